// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic memory: takes pages of the guest and gives them back.
 *
 * The guest begins: it asks for a version of the protocol, says what it can, and
 * reports its memory each second. Then the host asks for pages; the guest answers
 * with the ranges that it gives, in as many messages as it needs. Given back are
 * just these. What the protocol is comes from its published description (as in
 * QEMU's dynmem-proto.h, which describes the host's side of the same messages).
 *
 * Actions: the guest's messages in the host's thread; files. All with the model
 * locked, which protects everything here.
 * References: the one channel is kept by the host from the first offer on. What
 * the guest gave is forgotten when it closes the channel: then it has it back.
 *
 * Files in debugfs:
 *   inflate	MB: the guest is asked for so much more
 *   deflate	write anything: it gets all back
 *   balloon	the state: version, ranges and pages that are the host's, the last
 *		request's pages, status reports, pages that the last one had as free
 */
#include <linux/build_bug.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "loop.h"
#include "sim_host.h"

static bool balloon;
module_param(balloon, bool, 0444);
MODULE_PARM_DESC(balloon, "Offer a balloon (dynamic memory)");

#define MAX_PACKET	SZ_8K
#define MAX_RANGES	SZ_64K
#define MAX_MB		SZ_64K
#define PAGES_PER_MB	(SZ_1M / PAGE_SIZE)
/* Of one message to the guest. */
#define RANGES_AT_ONCE	200

#define V(major, minor)	((major) << 16 | (minor))

/* The types of messages that there are here. */
enum {
	VERSION_REQUEST = 1, VERSION_RESPONSE, CAPABILITIES, CAPABILITIES_RESPONSE, STATUS,
	BALLOON_REQUEST, BALLOON_RESPONSE, UNBALLOON_REQUEST, UNBALLOON_RESPONSE,
};

struct header {
	u16 type;
	u16 size;		/* with this header */
	u32 trans_id;
} __packed;

struct version_request {
	struct header header;
	u32 version;
	u32 last_attempt;	/* bit 0 */
} __packed;

/* Answers to the version and to the capabilities: bit 0 says yes. */
struct response {
	struct header header;
	u64 accepted;
} __packed;

struct capabilities {
	struct header header;
	u64 can;		/* bit 0: balloon; bit 1: hot add */
	u64 min_pages;
	u64 max_page;
} __packed;

struct status {
	struct header header;
	u64 available;
	u64 committed;
	u64 page_file;
	u64 zeroed;
	u32 page_file_writes;
	u32 io_difference;
} __packed;

struct balloon_request {
	struct header header;
	u32 pages;
	u32 reserved;
} __packed;

/* A range: the first page in the lower 40 bits, pages in the upper 24. */
struct balloon_response {
	struct header header;
	u32 reserved;
	u32 more_and_count;	/* bit 0: more messages come; then ranges */
	u64 ranges[];
} __packed;

struct unballoon_request {
	struct header header;
	u32 more;		/* bit 0: more messages come */
	u32 count;
	u64 ranges[];
} __packed;

static_assert(sizeof(struct version_request) == 16);
static_assert(sizeof(struct response) == 16);
static_assert(sizeof(struct capabilities) == 32);
static_assert(sizeof(struct status) == 48);
static_assert(sizeof(struct balloon_request) == 16);
static_assert(sizeof(struct balloon_response) == 16);
static_assert(sizeof(struct unballoon_request) == 16);

#define FIRST_PAGE	GENMASK_ULL(39, 0)

static const u32 versions[] = { V(0, 3), V(1, 0), V(2, 0) };

static struct sim_chan *channel;
static struct {
	u32 version;
	bool ready;		/* the capabilities were accepted */
	bool inflates;		/* the answer, or its end, has not come */
	bool deflates;
	u32 trans_id;
	u32 asked;		/* pages */
	u32 given;		/* of these */
	u64 *ranges;		/* MAX_RANGES */
	u32 nr_ranges;
	u32 sent_back;		/* deflates: ranges that the guest was told of */
	u64 pages;
	u32 reports;
	u64 available;
} state;

static union {
	struct header header;
	struct version_request version_request;
	struct capabilities capabilities;
	struct status status;
	struct balloon_response balloon_response;
	u8 bytes[MAX_PACKET];
} in __aligned(8);

static u32 pages_of(u64 range)
{
	return range >> 40;
}

static void to_guest(void *message, u16 type, u32 size)
{
	struct header *header = message;

	header->type = type;
	header->size = size;
	header->trans_id = ++state.trans_id;
	/* Answers are few and short: that the ring is full is the guest's doing. */
	if (sim_write(channel, SIM_PKT_INBAND, 0, 0, message, size))
		vsc_violation("balloon: no room for an answer of type %u", type);
}

/* ---- the ranges ---- */

static bool overlaps(u64 range)
{
	u64 first = range & FIRST_PAGE, end = first + pages_of(range), at;
	u32 i;

	for (i = 0; i < state.nr_ranges; i++) {
		at = state.ranges[i] & FIRST_PAGE;
		if (first < at + pages_of(state.ranges[i]) && at < end)
			return true;
	}
	return false;
}

static bool in_use(u64 range)
{
	u64 pfn = range & FIRST_PAGE, end = pfn + pages_of(range);

	for (; pfn < end; pfn++)
		if (!pfn_valid(pfn) || !sim_in_use(pfn_to_page(pfn)))
			return false;
	return true;
}

/* A page that the host has must not be free in the guest, nor given twice. */
static void take_range(u64 range)
{
	u32 pages = pages_of(range);

	if (!pages || pages > state.asked - state.given || overlaps(range) || !in_use(range) ||
	    state.nr_ranges == MAX_RANGES) {
		vsc_violation("balloon: range of %u pages at 0x%llx, %u of %u given, %u ranges",
			      pages, range & FIRST_PAGE, state.given, state.asked,
			      state.nr_ranges);
		return;
	}
	state.ranges[state.nr_ranges++] = range;
	state.given += pages;
	state.pages += pages;
}

static void send_ranges_back(void)
{
	static struct {
		struct unballoon_request request;
		u64 ranges[RANGES_AT_ONCE];
	} out;
	u32 count, size, i;

	while (state.deflates && state.sent_back < state.nr_ranges) {
		count = min_t(u32, state.nr_ranges - state.sent_back, RANGES_AT_ONCE);
		size = struct_size(&out.request, ranges, count);
		memset(&out, 0, sizeof(out));
		out.request.header.type = UNBALLOON_REQUEST;
		out.request.header.size = size;
		out.request.header.trans_id = ++state.trans_id;
		out.request.more = state.sent_back + count < state.nr_ranges;
		out.request.count = count;
		memcpy(out.ranges, state.ranges + state.sent_back, count * sizeof(u64));
		for (i = 0; i < count; i++)
			if (!in_use(out.ranges[i]))
				vsc_violation("balloon: page 0x%llx was freed before it came back",
					      out.ranges[i] & FIRST_PAGE);
		/* If there is no room now, the guest signals when there is. */
		if (sim_write(channel, SIM_PKT_INBAND, 0, 0, &out, size))
			return;
		state.sent_back += count;
	}
}

/* ---- the guest's messages ---- */

static void take_version(void)
{
	struct response response = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(versions); i++)
		response.accepted |= in.version_request.version == versions[i];
	if (state.ready)
		vsc_violation("balloon: version 0x%x asked for after the capabilities",
			      in.version_request.version);
	state.version = response.accepted ? in.version_request.version : 0;
	to_guest(&response, VERSION_RESPONSE, sizeof(response));
}

static void take_capabilities(void)
{
	struct response response = { .accepted = 1 };

	if (!state.version || state.ready)
		vsc_violation("balloon: capabilities with version 0x%x, %s", state.version,
			      state.ready ? "again" : "once");
	state.ready = true;
	to_guest(&response, CAPABILITIES_RESPONSE, sizeof(response));
}

static void take_status(void)
{
	if (!state.ready)
		vsc_violation("balloon: status before the capabilities");
	state.reports++;
	state.available = in.status.available;
}

static void take_balloon(u32 size)
{
	const struct balloon_response *text = &in.balloon_response;
	u32 count = text->more_and_count >> 1, i;

	if (!state.inflates || size != struct_size(text, ranges, count)) {
		vsc_violation("balloon: %u ranges in %u bytes%s", count, size,
			      state.inflates ? "" : ", not asked for");
		return;
	}
	for (i = 0; i < count; i++)
		take_range(text->ranges[i]);
	state.inflates = text->more_and_count & 1;
}

static void take_unballoon(void)
{
	if (!state.deflates || state.sent_back < state.nr_ranges) {
		vsc_violation("balloon: end of a deflation that has not been asked for");
		return;
	}
	state.deflates = false;
	state.nr_ranges = 0;
	state.pages = 0;
}

static const struct {
	u32 size;		/* at least */
	bool exact;
} sizes[] = {
	[VERSION_REQUEST] = { sizeof(struct version_request), true },
	[CAPABILITIES] = { sizeof(struct capabilities), true },
	[STATUS] = { sizeof(struct status), true },
	[BALLOON_RESPONSE] = { sizeof(struct balloon_response) },
	[UNBALLOON_RESPONSE] = { sizeof(struct header), true },
};

static void take(const struct sim_packet_header *packet, u32 len)
{
	u32 type = in.header.type, size = in.header.size;

	/* Packets end at 8 bytes. */
	if (packet->type != SIM_PKT_INBAND || packet->flags || len < sizeof(struct header) ||
	    type >= ARRAY_SIZE(sizes) || !sizes[type].size || round_up(size, 8) != len ||
	    (sizes[type].exact ? size != sizes[type].size : size < sizes[type].size)) {
		vsc_violation("balloon: packet type %u flags %u, %u bytes: message %u of %u bytes",
			      packet->type, packet->flags, len, type, size);
		return;
	}
	switch (type) {
	case VERSION_REQUEST:
		take_version();
		break;
	case CAPABILITIES:
		take_capabilities();
		break;
	case STATUS:
		take_status();
		break;
	case BALLOON_RESPONSE:
		take_balloon(size);
		break;
	default:
		take_unballoon();
	}
}

/* ---- the VSP ---- */

static void signalled(struct sim_chan *chan)
{
	static u8 packet[MAX_PACKET + sizeof(struct sim_packet_header)] __aligned(8);
	const struct sim_packet_header *header = (const void *)packet;
	int len;

	send_ranges_back();
	while ((len = sim_read(chan, packet, sizeof(packet))) > 0) {
		len -= header->offset8 * 8;
		memset(&in, 0, sizeof(in));
		memcpy(&in, packet + header->offset8 * 8, min_t(u32, len, sizeof(in)));
		take(header, len);
	}
	if (len == -EMSGSIZE)
		vsc_violation("balloon: a packet of more than %zu bytes", sizeof(packet));
}

static void closed(struct sim_chan *chan)
{
	u64 *ranges = state.ranges;

	memset(&state, 0, sizeof(state));
	state.ranges = ranges;
}

static const struct sim_vsp vsp = { .signalled = signalled, .closed = closed };

static int offer(void)
{
	static const struct hv_vmbus_device_id id = { HV_DM_GUID };
	int err = 0;

	if (!state.ranges)
		state.ranges = vzalloc(array_size(MAX_RANGES, sizeof(u64)));
	if (!state.ranges)
		return -ENOMEM;
	if (!channel) {
		channel = sim_new(NULL, 0, &id.guid, &vsp);
		channel->kept = true;
		sim_offer(channel);
		return 0;
	}
	sim_lock();
	if (channel->released)
		sim_reoffer_locked(channel);
	else
		err = channel->rescinded ? -EBUSY : -EEXIST;
	sim_unlock();
	return err;
}

/* ---- files, life ---- */

static int inflate(const char *line)
{
	struct balloon_request out = {};
	u32 mb;
	int err = kstrtou32(line, 0, &mb);

	if (err)
		return err;
	if (!mb || mb > MAX_MB)
		return -ERANGE;
	sim_lock();
	if (!state.ready) {
		err = -ENOTCONN;
	} else if (state.inflates || state.deflates) {
		err = -EBUSY;
	} else {
		out.header.type = BALLOON_REQUEST;
		out.header.size = sizeof(out);
		out.header.trans_id = ++state.trans_id;
		out.pages = mb * PAGES_PER_MB;
		err = sim_write(channel, SIM_PKT_INBAND, 0, 0, &out, sizeof(out)) ? -EBUSY : 0;
	}
	if (!err) {
		state.asked = out.pages;
		state.given = 0;
		state.inflates = true;
	}
	sim_unlock();
	return err;
}

LOOP_COMMAND(inflate);

static int deflate(const char *line)
{
	int err = 0;

	sim_lock();
	if (!state.ready)
		err = -ENOTCONN;
	else if (state.inflates || state.deflates)
		err = -EBUSY;
	else if (!state.nr_ranges)
		err = -ENODATA;
	if (!err) {
		state.deflates = true;
		state.sent_back = 0;
		send_ranges_back();
	}
	sim_unlock();
	return err;
}

LOOP_COMMAND(deflate);

static int balloon_show(struct seq_file *file, void *unused)
{
	sim_lock();
	seq_printf(file, "state %s\nversion %u.%u\nranges %u\npages %llu\nasked %u\ngiven %u\n",
		   !state.ready ? "closed" : state.inflates ? "inflates" :
		   state.deflates ? "deflates" : "ready", state.version >> 16,
		   state.version & 0xffff, state.nr_ranges, state.pages, state.asked,
		   state.given);
	seq_printf(file, "reports %u\navailable %llu\n", state.reports, state.available);
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(balloon);

void loop_balloon_start(void)
{
	loop_set_vsp("balloon", offer);
	if (balloon)
		offer();
}

/* When the host has gone. */
void loop_balloon_stop(void)
{
	vfree(state.ranges);
	state.ranges = NULL;
}

void loop_balloon_files(struct dentry *dir)
{
	debugfs_create_file("inflate", 0200, dir, NULL, &inflate_fops);
	debugfs_create_file("deflate", 0200, dir, NULL, &deflate_fops);
	debugfs_create_file("balloon", 0400, dir, NULL, &balloon_fops);
}
