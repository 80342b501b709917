// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SCSI controller: the host's end of hv_storvsc. The disks are in disk.c.
 *
 * Facts of the protocol: Windows' storvsp as the public drivers and OpenVMM's
 * documents describe it; SRBs and their status as in SCSI port drivers of
 * Windows ("srb.h").
 *
 * A request is read from its channel, waits, is executed, and is answered on
 * the channel that it came by. Which of those that wait is next is random, and
 * some wait a while on top.
 *
 * Actions: signals, opens and closes in the host's thread; the worker, which
 * executes; files. All with the model locked, which protects everything here,
 * apart from the media's part of a command: the worker lets the lock go for it.
 * References: a request belongs to one of the lists, or is what the worker
 * executes. A channel that is closed takes its requests along; what the worker
 * has then loses its channel, and the guest's memory is not touched any more.
 *
 * Nothing is allocated for a request: memory may be short because the guest
 * swaps to this disk.
 *
 * Files in debugfs:
 *   controller	write "offer", "rescind" or "vanish"; offered again it is the
 *		same device. A rescind comes when the guest has an answer to
 *		all that it asked for: that its disks are gone. What vanishes
 *		keeps requests, and hv_storvsc waits for them for ever.
 *   scsi	counters, see scsi_show()
 *   disk_delay	ms that each request waits
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "disk.h"
#include "loop.h"
#include "sim_host.h"

static uint vstor = 0x602;
module_param(vstor, uint, 0444);
MODULE_PARM_DESC(vstor, "Highest version of the SCSI controller's protocol, (major << 8) | minor");

#define REQUESTS	512
/* A transfer that begins within a page, and some for ranges of odd shapes. */
#define PIECES		(DISK_MAX_TRANSFER / PAGE_SIZE + 32)
#define MAX_PACKET	SZ_64K
/* A guest that says nothing for so long knows that the disks are gone; 350 ms have been seen. */
#define QUIET_MS	2000
#define LEAVING_MS	30000

/* ---- the wire ---- */

enum {
	COMPLETE_IO = 1,
	REMOVE_DEVICE,
	EXECUTE_SRB,
	RESET_LUN,
	RESET_ADAPTER,
	RESET_BUS,
	BEGIN_INITIALIZATION,
	END_INITIALIZATION,
	QUERY_PROTOCOL_VERSION,
	QUERY_PROPERTIES,
	ENUMERATE_BUS,
	FCHBA_DATA,
	CREATE_SUB_CHANNELS,
};

#define REQUEST_COMPLETION	1	/* flags */

#define SRB_SUCCESS		0x01
#define SRB_ABORTED		0x02
#define SRB_ERROR		0x04
#define SRB_INVALID_REQUEST	0x06
#define SRB_INVALID_LUN		0x20
#define SRB_AUTOSENSE_VALID	0x80

#define STATUS_REVISION_MISMATCH	0xc0000059
#define STATUS_INVALID_DEVICE_REQUEST	0xc0000010

#define TO_DISK			0	/* data_in */
#define FROM_DISK		1

#define WIN7			0x402	/* without the end of an SRB */

struct srb {
	u16 length;
	u8 srb_status;
	u8 scsi_status;
	u8 port;
	u8 path;
	u8 target;
	u8 lun;
	u8 cdb_len;
	u8 sense_len;
	u8 data_in;
	u8 reserved;
	u32 data_len;
	u8 cdb_or_sense[20];
	u16 reserved2;
	u8 queue_tag;
	u8 queue_action;
	u32 srb_flags;
	u32 timeout;
	u32 sort_key;
} __packed;

struct vstor {
	u32 operation;
	u32 flags;
	u32 status;
	union {
		struct srb srb;
		struct {
			u16 version;
			u16 revision;
		} __packed protocol;
		struct {
			u32 reserved;
			u16 max_subs;
			u16 reserved1;
			u32 flags;	/* bit 0: sub-channels */
			u32 max_transfer;
			u64 reserved2;
		} __packed properties;
		u16 subs;
		u8 raw[52];
	} __packed;
} __packed;

#define WIN7_SIZE	48

static_assert(sizeof(struct srb) == 52);
static_assert(offsetof(struct srb, cdb_or_sense) == 16);
static_assert(offsetof(struct srb, srb_flags) == 40);
static_assert(offsetof(struct vstor, properties.max_transfer) == 24);
static_assert(sizeof(struct vstor) == 64);

/* Of a packet of GPA ranges, behind its descriptor. */
struct gpa_ranges {
	u32 reserved;
	u32 count;
};

struct gpa_range {
	u32 byte_count;
	u32 byte_offset;
	u64 pfn[];
};

/* ---- state ---- */

struct piece {
	u64 pfn;
	u16 offset;
	u16 len;
};

struct request {
	struct list_head node;
	struct sim_chan *chan;		/* NULL: closed since */
	u64 trans_id;
	unsigned long due;		/* jiffies */
	bool abort;
	u32 nr_pieces;
	struct vstor packet;		/* then the answer */
	struct piece pieces[PIECES];
};

/* What the guest has said on the primary, in this order. */
enum state { CLOSED, OPEN, BEGUN, VERSION_KNOWN, PROPERTIES_KNOWN, READY };

static struct {
	guid_t instance;
	u32 relid;			/* of the primary; 0: there was none yet */
	enum state state;
	u16 version;
	bool has_subs;
	struct request *pool;
	u8 *buffer;			/* of the command that is executed */
	struct list_head free, waiting, unsent;
	struct request *running;
	bool starved;			/* packets wait for a request to be free */
	bool stopping;
	bool leaving;			/* it is rescinded once nothing comes any more */
	unsigned long last;		/* jiffies, of the last request meanwhile */
	unsigned long latest;		/* then it is rescinded whatever comes */
	struct workqueue_struct *queue;
} ctl = {
	.free = LIST_HEAD_INIT(ctl.free),
	.waiting = LIST_HEAD_INIT(ctl.waiting),
	.unsent = LIST_HEAD_INIT(ctl.unsent),
};

static u32 delay_ms;

static struct {
	u32 opened, ready, subs, requests, answered, dropped, aborted, resets, overtaken, most;
} count;

static void work(struct work_struct *work);
static DECLARE_DELAYED_WORK(worker, work);
static const struct sim_vsp vsp;

static bool is_primary(const struct sim_chan *chan)
{
	return !chan->sub;
}

/* Of the controller, as far as it is there. */
static struct sim_chan *find_primary(void)
{
	struct sim_chan *chan = ctl.relid ? sim_chan_locked(ctl.relid) : NULL;

	return chan && chan->vsp == &vsp && is_primary(chan) && !chan->rescinded &&
	       !chan->released ? chan : NULL;
}

static u32 packet_size(void)
{
	return ctl.version == WIN7 ? WIN7_SIZE : sizeof(struct vstor);
}

/* ---- answers ---- */

static void free_request(struct request *req)
{
	req->chan = NULL;
	list_add(&req->node, &ctl.free);
}

/* Return: there was room for it. */
static bool send(struct request *req)
{
	if (sim_write(req->chan, SIM_PKT_COMPLETION, 0, req->trans_id, &req->packet,
		      packet_size()) == -EAGAIN)
		return false;
	count.answered++;
	free_request(req);
	return true;
}

/* The request is on no list. Without room the guest signals when there is some. */
static void answer(struct request *req)
{
	req->packet.operation = COMPLETE_IO;
	req->packet.flags = 0;
	if (!send(req))
		list_add_tail(&req->node, &ctl.unsent);
}

static void send_unsent(struct sim_chan *chan)
{
	struct request *req, *next;

	list_for_each_entry_safe(req, next, &ctl.unsent, node) {
		if (req->chan != chan)
			continue;
		list_del(&req->node);
		if (send(req))
			continue;
		list_add(&req->node, next->node.prev);
		return;
	}
}

static void answer_status(struct request *req, u32 status)
{
	req->packet.status = status;
	answer(req);
}

static void answer_srb(struct request *req, u8 srb_status)
{
	req->packet.srb.srb_status = srb_status;
	req->packet.srb.data_len = 0;
	answer_status(req, 0);
}

/* ---- the guest's memory ---- */

static void copy(struct request *req, u8 *buffer, u32 len, bool to_guest)
{
	const struct piece *piece;
	u32 now;
	u8 *at;

	for (piece = req->pieces; len; piece++, buffer += now, len -= now) {
		now = min_t(u32, len, piece->len);
		at = (u8 *)page_address(pfn_to_page(piece->pfn)) + piece->offset;
		if (to_guest)
			memcpy(at, buffer, now);
		else
			memcpy(buffer, at, now);
	}
}

/* Return: the range's size in the packet; 0 if it is not one. */
static u32 take_range(struct request *req, const struct gpa_range *range, u32 left, u32 *bytes)
{
	u64 offset, end, size;
	u32 i, len;

	if (left < sizeof(*range))
		return 0;
	end = (u64)range->byte_offset + range->byte_count;
	size = sizeof(*range) + DIV_ROUND_UP(end, PAGE_SIZE) * sizeof(u64);
	if (size > left)
		return 0;
	for (offset = range->byte_offset; offset < end; offset += len) {
		struct piece *piece = &req->pieces[req->nr_pieces];

		i = offset / PAGE_SIZE;
		len = min_t(u64, end - offset, PAGE_SIZE - offset % PAGE_SIZE);
		if (req->nr_pieces == PIECES || !pfn_valid(range->pfn[i]))
			return 0;
		*piece = (struct piece) { range->pfn[i], offset % PAGE_SIZE, len };
		req->nr_pieces++;
	}
	*bytes += range->byte_count;
	return size;
}

/* Return: all ranges are right, and hold what the SRB says. */
static bool take_ranges(struct request *req, const void *ext, u32 left)
{
	const struct gpa_ranges *ranges = ext;
	u32 i, size, bytes = 0;

	req->nr_pieces = 0;
	if (left < sizeof(*ranges))
		return false;
	ext += sizeof(*ranges);
	left -= sizeof(*ranges);
	for (i = 0; i < ranges->count; i++) {
		size = take_range(req, ext, left, &bytes);
		if (!size)
			return false;
		ext += size;
		left -= size;
	}
	return !left && bytes >= req->packet.srb.data_len;
}

/* ---- execution ---- */

/* With the lock, which is let go for the media. */
static void execute(struct request *req)
{
	static struct disk_command cmd;
	struct srb *srb = &req->packet.srb;

	memset(&cmd, 0, sizeof(cmd));
	/* One bus, one target, and in the end none. */
	cmd.lun = srb->path || srb->target || ctl.leaving ? DISK_LUNS : srb->lun;
	cmd.cdb_len = srb->cdb_len;
	memcpy(cmd.cdb, srb->cdb_or_sense, srb->cdb_len);
	cmd.to_disk = req->nr_pieces && srb->data_in == TO_DISK;
	cmd.from_disk = req->nr_pieces && srb->data_in == FROM_DISK;
	cmd.len = srb->data_len;
	cmd.buffer = ctl.buffer;
	if (cmd.to_disk)
		copy(req, ctl.buffer, cmd.len, false);

	if (ctl.leaving)
		ctl.last = jiffies;
	disk_begin(&cmd);
	ctl.running = req;
	sim_unlock();
	disk_media(&cmd);
	sim_lock();
	ctl.running = NULL;
	disk_end(&cmd);

	if (!req->chan) {
		free_request(req);
		return;
	}
	if (req->abort) {
		count.aborted++;
		answer_srb(req, SRB_ABORTED);
		return;
	}
	if (cmd.from_disk)
		copy(req, ctl.buffer, cmd.done, true);
	srb->scsi_status = cmd.status;
	/* DATA_OVERRUN, for less than was asked for, is an error to hv_storvsc of 6.12. */
	srb->srb_status = SRB_SUCCESS;
	srb->data_len = cmd.done;
	if (cmd.status == DISK_CHECK_CONDITION) {
		srb->srb_status = (cmd.no_lun ? SRB_INVALID_LUN : SRB_ERROR) | SRB_AUTOSENSE_VALID;
		srb->sense_len = min_t(u8, srb->sense_len, DISK_SENSE);
		memcpy(srb->cdb_or_sense, cmd.sense, srb->sense_len);
	} else {
		srb->sense_len = 0;
	}
	answer_status(req, 0);
}

/* A random one of those that are due. */
static struct request *pick(void)
{
	struct request *req, *first;
	u32 due = 0, waiting = 0;

	list_for_each_entry(req, &ctl.waiting, node) {
		waiting++;
		due += !time_before(jiffies, req->due);
	}
	count.most = max(count.most, waiting);
	if (!due)
		return NULL;
	due = sim_random(due);
	first = list_first_entry(&ctl.waiting, struct request, node);
	list_for_each_entry(req, &ctl.waiting, node)
		if (!time_before(jiffies, req->due) && !due--)
			break;
	/* More may have become due since; the list has an end all the same. */
	if (list_entry_is_head(req, &ctl.waiting, node))
		req = first;
	count.overtaken += req != first;
	list_del(&req->node);
	return req;
}

static void feed_starved(void)
{
	struct sim_chan *chan;
	u32 relid;

	if (!ctl.starved || list_empty(&ctl.free))
		return;
	ctl.starved = false;
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (chan && chan->vsp == &vsp && chan->open)
			vsp.signalled(chan);
	}
}

static void leave(void)
{
	struct sim_chan *chan = find_primary();

	if (time_before(jiffies, ctl.latest) &&
	    (!list_empty(&ctl.waiting) || !list_empty(&ctl.unsent) ||
	     time_before(jiffies, ctl.last + msecs_to_jiffies(QUIET_MS))))
		return;
	ctl.leaving = false;
	if (chan)
		sim_rescind_locked(chan);
}

static void work(struct work_struct *work)
{
	struct request *req;

	sim_lock();
	while ((req = pick())) {
		execute(req);
		feed_starved();
	}
	if (ctl.leaving)
		leave();
	if (!list_empty(&ctl.waiting) || ctl.leaving)
		queue_delayed_work(ctl.queue, &worker, 1);
	sim_unlock();
}

static void abort_all(void)
{
	struct request *req, *next;

	list_for_each_entry_safe(req, next, &ctl.waiting, node) {
		list_del(&req->node);
		count.aborted++;
		answer_srb(req, SRB_ABORTED);
	}
	if (ctl.running)
		ctl.running->abort = true;
}

/* ---- requests ---- */

static bool violation(const struct request *req, const char *what)
{
	vsc_violation("SCSI relid %u: operation %u in state %u: %s", req->chan->relid,
		      req->packet.operation, ctl.state, what);
	return false;
}

static bool in_state(const struct request *req, enum state from, enum state to)
{
	if (!is_primary(req->chan))
		return violation(req, "on a sub-channel");
	if (ctl.state < from || ctl.state > to)
		return violation(req, "not now");
	return true;
}

static bool query_version(struct request *req)
{
	static const u16 known[] = { 0x402, 0x501, 0x600, 0x602 };
	u16 version = req->packet.protocol.version;
	unsigned int i;

	if (!in_state(req, BEGUN, BEGUN))
		return false;
	req->packet.status = STATUS_REVISION_MISMATCH;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (version != known[i] || version > vstor)
			continue;
		req->packet.status = 0;
		ctl.version = version;
		ctl.state = VERSION_KNOWN;
	}
	return true;
}

static bool query_properties(struct request *req)
{
	bool can = ctl.version > WIN7 && loop_channels;

	if (!in_state(req, VERSION_KNOWN, VERSION_KNOWN))
		return false;
	memset(req->packet.raw, 0, sizeof(req->packet.raw));
	req->packet.properties.max_subs = can ? loop_channels : 0;
	req->packet.properties.flags = can;
	req->packet.properties.max_transfer = DISK_MAX_TRANSFER;
	ctl.state = PROPERTIES_KNOWN;
	return true;
}

static bool create_subs(struct request *req)
{
	u16 wanted = req->packet.subs, i;

	if (!in_state(req, PROPERTIES_KNOWN, READY))
		return false;
	if (ctl.version == WIN7 || !wanted || wanted > loop_channels || ctl.has_subs)
		return violation(req, "sub-channels");
	ctl.has_subs = true;
	for (i = 1; i <= wanted; i++)
		sim_offer_locked(sim_new_sub_locked(req->chan, i, &vsp));
	return true;
}

static bool begin(struct request *req)
{
	if (!in_state(req, OPEN, OPEN))
		return false;
	ctl.state = BEGUN;
	return true;
}

static bool end(struct request *req)
{
	if (!in_state(req, PROPERTIES_KNOWN, PROPERTIES_KNOWN))
		return false;
	ctl.state = READY;
	count.ready++;
	return true;
}

static bool reset(struct request *req)
{
	if (ctl.state != READY)
		return violation(req, "not now");
	count.resets++;
	abort_all();
	if (req->packet.operation == RESET_LUN)
		disk_reset_lun(req->packet.srb.lun);
	else
		disk_reset();
	return true;
}

static bool (* const controls[])(struct request *req) = {
	[RESET_LUN] = reset,
	[RESET_ADAPTER] = reset,
	[RESET_BUS] = reset,
	[BEGIN_INITIALIZATION] = begin,
	[END_INITIALIZATION] = end,
	[QUERY_PROTOCOL_VERSION] = query_version,
	[QUERY_PROPERTIES] = query_properties,
	[CREATE_SUB_CHANNELS] = create_subs,
};

static void control(struct request *req)
{
	u32 operation = req->packet.operation;

	req->packet.status = 0;
	if (operation >= ARRAY_SIZE(controls) || !controls[operation])
		violation(req, "unknown");
	else if (controls[operation](req))
		return answer(req);
	answer_status(req, STATUS_INVALID_DEVICE_REQUEST);
}

static bool is_good_srb(const struct request *req, const struct sim_packet_header *header)
{
	const struct srb *srb = &req->packet.srb;

	if (ctl.state != READY)
		return violation(req, "not now");
	if (srb->length != sizeof(*srb) && srb->length != WIN7_SIZE - offsetof(struct vstor, srb))
		return violation(req, "length of the SRB");
	if (!srb->cdb_len || srb->cdb_len > 16)
		return violation(req, "length of the CDB");
	if (srb->data_len > DISK_MAX_TRANSFER)
		return violation(req, "more than the host takes");
	if (header->type == SIM_PKT_INBAND ? srb->data_len : !srb->data_len)
		return violation(req, "data without ranges, or ranges without data");
	return true;
}

static void take_srb(struct request *req, const struct sim_packet_header *header, const u8 *packet)
{
	u32 ext = header->offset8 * 8 - sizeof(*header);

	if (!is_good_srb(req, header)) {
		answer_srb(req, SRB_INVALID_REQUEST);
		return;
	}
	if (header->type == SIM_PKT_GPA_DIRECT &&
	    !take_ranges(req, packet + sizeof(*header), ext)) {
		violation(req, "ranges of its data");
		answer_srb(req, SRB_INVALID_REQUEST);
		return;
	}
	count.requests++;
	req->due = jiffies + msecs_to_jiffies(delay_ms);
	if (!sim_random(8))
		req->due += 1 + sim_random(3);
	list_add_tail(&req->node, &ctl.waiting);
	mod_delayed_work(ctl.queue, &worker, 0);
}

static bool is_good_packet(const struct sim_chan *chan, const struct sim_packet_header *header,
			   u32 len)
{
	bool ranges = header->type == SIM_PKT_GPA_DIRECT;

	if ((!ranges && header->type != SIM_PKT_INBAND) || header->flags != 1 ||
	    (!ranges && header->offset8 * 8 != sizeof(*header)) ||
	    (len != sizeof(struct vstor) && (len != WIN7_SIZE || ctl.version != WIN7))) {
		vsc_violation("SCSI relid %u: packet of type %u, flags %u, payload at %u, %u bytes",
			      chan->relid, header->type, header->flags, header->offset8 * 8, len);
		return false;
	}
	return true;
}

/* Return: 1: there was a packet; 0: there is none now; -EPROTO: nor will be any more. */
static int receive(struct sim_chan *chan)
{
	static u8 packet[MAX_PACKET] __aligned(8);
	const struct sim_packet_header *header = (const void *)packet;
	struct request *req = list_first_entry_or_null(&ctl.free, struct request, node);
	int len;

	if (!req || ctl.stopping) {
		ctl.starved = true;
		return 0;
	}
	len = sim_read(chan, packet, sizeof(packet));
	if (len == -EMSGSIZE)
		vsc_violation("SCSI relid %u: a packet of more than %u bytes", chan->relid,
			      MAX_PACKET);
	if (len <= 0)
		return len ? -EPROTO : 0;
	len -= header->offset8 * 8;
	if (!is_good_packet(chan, header, len))
		return 1;
	list_del(&req->node);
	req->chan = chan;
	req->trans_id = header->trans_id;
	req->abort = false;
	req->nr_pieces = 0;
	memset(&req->packet, 0, sizeof(req->packet));
	memcpy(&req->packet, packet + header->offset8 * 8, len);
	if (!(req->packet.flags & REQUEST_COMPLETION))
		violation(req, "no answer is asked for");
	if (req->packet.operation == EXECUTE_SRB)
		take_srb(req, header, packet);
	else
		control(req);
	return 1;
}

/* ---- the VSP ---- */

static void signalled(struct sim_chan *chan)
{
	int more;

	send_unsent(chan);
	do {
		WRITE_ONCE(chan->in.header->interrupt_mask, 1);
		while ((more = receive(chan)) > 0)
			;
		WRITE_ONCE(chan->in.header->interrupt_mask, 0);
		/* Pairs with the guest's barrier between its index and the mask. */
		smp_mb();
	} while (!more && !ctl.starved && sim_readable(chan));
}

static void opened(struct sim_chan *chan)
{
	if (is_primary(chan)) {
		ctl.state = OPEN;
		ctl.version = 0;
		ctl.has_subs = false;
		count.opened++;
		return;
	}
	count.subs++;
	if (ctl.state != READY)
		vsc_violation("SCSI relid %u: a sub-channel in state %u", chan->relid, ctl.state);
}

static void drop(struct list_head *list, const struct sim_chan *chan)
{
	struct request *req, *next;

	list_for_each_entry_safe(req, next, list, node) {
		if (req->chan != chan)
			continue;
		list_del(&req->node);
		free_request(req);
		count.dropped++;
	}
}

/* A sub-channel is there for as long as its primary is open. */
static void take_subs_back(const struct sim_chan *primary)
{
	struct sim_chan *chan;
	u32 relid;

	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (!chan || !chan->sub || !guid_equal(&chan->instance, &primary->instance))
			continue;
		chan->withheld = true;
		sim_rescind_alone_locked(chan);
	}
}

static void closed(struct sim_chan *chan)
{
	drop(&ctl.waiting, chan);
	drop(&ctl.unsent, chan);
	if (ctl.running && ctl.running->chan == chan) {
		ctl.running->chan = NULL;
		count.dropped++;
	}
	if (!is_primary(chan))
		return;
	ctl.state = CLOSED;
	take_subs_back(chan);
}

static const struct sim_vsp vsp = { .opened = opened, .signalled = signalled, .closed = closed };

/* ---- the device ---- */

void loop_scsi_rescan(void)
{
	struct vstor packet = { .operation = ENUMERATE_BUS };
	struct sim_chan *chan = find_primary();

	/* A ring without room has a guest that is about to look anyway, or never will. */
	if (chan && chan->open && ctl.state == READY)
		sim_write(chan, SIM_PKT_INBAND, 0, 0, &packet, packet_size());
}

static void offer(void)
{
	/* As a sub-channel of this device with the index 0, which is its primary. */
	struct sim_chan device = { .type = sim_type_perf, .instance = ctl.instance };
	struct sim_chan *chan = sim_new_sub_locked(&device, 0, &vsp);

	ctl.relid = chan->relid;
	sim_offer_locked(chan);
}

static void begin_to_leave(void)
{
	ctl.leaving = true;
	loop_scsi_rescan();	/* a guest that asks for nothing would not find out */
	ctl.last = jiffies;
	ctl.latest = jiffies + msecs_to_jiffies(LEAVING_MS);
	mod_delayed_work(ctl.queue, &worker, 0);
}

static int controller(const char *line)
{
	struct sim_chan *chan;
	int err = 0;

	sim_lock();
	chan = find_primary();
	if (!strcmp(line, "offer") && !chan)
		offer();
	else if (!strcmp(line, "vanish") && chan)
		sim_rescind_locked(chan);
	else if (!strcmp(line, "rescind") && chan)
		begin_to_leave();
	else
		err = chan ? -EBUSY : -ENODEV;
	sim_unlock();
	return err;
}

LOOP_COMMAND(controller);

int loop_scsi_start(void)
{
	u32 i;
	int err = -ENOMEM;

	ctl.pool = kvcalloc(REQUESTS, sizeof(*ctl.pool), GFP_KERNEL);
	ctl.buffer = kvzalloc(DISK_MAX_TRANSFER, GFP_KERNEL);
	ctl.queue = alloc_workqueue("loop_scsi", WQ_MEM_RECLAIM | VMBUS_WQ_PERCPU, 1);
	if (!ctl.pool || !ctl.buffer || !ctl.queue)
		goto fail;
	err = loop_disk_start();
	if (err)
		goto fail;
	sim_lock();
	for (i = 0; i < REQUESTS; i++)
		free_request(&ctl.pool[i]);
	/* As other instances of the host's: the number, then anything. */
	guid_gen(&ctl.instance);
	if (loop_disk_count())
		offer();
	sim_unlock();
	return 0;

fail:
	loop_scsi_stop();
	return err;
}

/* From here on packets stay where they are: there is no request for them. */
static void forget_requests(void)
{
	sim_lock();
	ctl.stopping = true;
	ctl.leaving = false;
	INIT_LIST_HEAD(&ctl.free);
	INIT_LIST_HEAD(&ctl.waiting);
	INIT_LIST_HEAD(&ctl.unsent);
	sim_unlock();
}

void loop_scsi_stop(void)
{
	forget_requests();
	cancel_delayed_work_sync(&worker);
	/* What it had has come back since. */
	forget_requests();
	loop_disk_stop();
	if (ctl.queue)
		destroy_workqueue(ctl.queue);
	kvfree(ctl.buffer);
	kvfree(ctl.pool);
}

static int scsi_show(struct seq_file *file, void *unused)
{
	sim_lock();
	seq_printf(file, "state %u\nversion %u\n", ctl.state, ctl.version);
	seq_printf(file, "opened %u\nready %u\nsubs %u\n", count.opened, count.ready, count.subs);
	seq_printf(file, "requests %u\nanswered %u\ndropped %u\naborted %u\nresets %u\n",
		   count.requests, count.answered, count.dropped, count.aborted, count.resets);
	seq_printf(file, "overtaken %u\nmost %u\n", count.overtaken, count.most);
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scsi);

void loop_scsi_files(struct dentry *dir)
{
	debugfs_create_file("controller", 0200, dir, NULL, &controller_fops);
	debugfs_create_file("scsi", 0400, dir, NULL, &scsi_fops);
	debugfs_create_u32("disk_delay", 0600, dir, &delay_ms);
	loop_disk_files(dir);
}
