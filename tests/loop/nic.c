// SPDX-License-Identifier: GPL-2.0-only
/*
 * NICs: the channel protocol, NVSP, from hyperv_net.h. See nic.h for what is
 * where.
 *
 * Actions: opening, signals and closing in the host's thread; files. All with
 * the model locked, which protects everything here.
 * References: the NICs are static; an offered channel points to its slot from the
 * offer to the rescind, a slot to its channel from open to close. GPADLs that
 * hold a buffer are mapped from the guest's message until it revokes them or the
 * primary is closed; teardown before that is the guest's violation.
 *
 * Files in debugfs:
 *   nic	write "up N", "down N": the link of NIC N; "offer N", once the guest
 *		has given back the last one; "rescind N", once nothing is on its
 *		way; "pull N", at once
 *   nics	a line for each NIC, see nics_show()
 */
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "loop.h"
#include "nic.h"

static uint nr_nics;
module_param_named(nics, nr_nics, uint, 0444);
MODULE_PARM_DESC(nics, "NICs that are there at once; 2k and 2k + 1 are a wire (default 0, at most 8)");

static bool monitored;
module_param_named(nic_monitor, monitored, bool, 0444);
MODULE_PARM_DESC(nic_monitor, "NICs' channels are signalled by the monitor page, a tick late");

static uint nvsp_max = 0x60001;
module_param_named(nvsp, nvsp_max, uint, 0444);
MODULE_PARM_DESC(nvsp, "Highest version of the NICs' protocol");

/* hyperv_net.h */
static const u32 versions[] = { 2, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001 };

enum {
	INIT = 1, INIT_DONE,
	NDIS_VERSION = 100, RECV_BUF, RECV_BUF_DONE, REVOKE_RECV, SEND_BUF, SEND_BUF_DONE,
	REVOKE_SEND, RNDIS_PKT, RNDIS_PKT_DONE,
	NDIS_CONFIG = 125,
	SUBCHANNEL = 133, SEND_TABLE,
};

#define MAX_MDL		34
#define RECV_SECTION	1728	/* at least */
#define SEND_SECTION	6144
#define DEFAULT_MTU	1514
#define SUB_ALLOCATE	1
#define SEND_TABLE_SIZE	16
/* Packets in a row from a channel, before others have their turn. */
#define BUDGET		64
#define PACKET		SZ_64K
#define QUIET_MS	10000

static const guid_t nic_type = GUID_INIT(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2,
					 0xf9, 0x65, 0xed, 0x0e);

static struct nic nics[NIC_MAX];

struct nic *nic_peer(struct nic *nic)
{
	return &nics[nic->index ^ 1];
}

u32 nic_max_channels(void)
{
	return min_t(u32, loop_channels + 1, NIC_CHANNELS);
}

/* ---- buffers ---- */

static bool map(struct nic_channel *channel, struct nic_buffer *buffer,
		const struct nvsp_message *msg)
{
	if (!buffer->at)
		buffer->at = sim_map_gpadl_locked(channel->chan, msg->buffer.gpadl,
						  &buffer->bytes);
	else
		buffer = NULL;
	if (!buffer || !buffer->at) {
		vsc_violation("NIC %u: GPADL 0x%x can be no buffer", channel->nic->index,
			      msg->buffer.gpadl);
		return false;
	}
	buffer->gpadl = msg->buffer.gpadl;
	buffer->id = msg->buffer.id;
	return true;
}

static void unmap(struct nic_buffer *buffer)
{
	if (buffer->at)
		sim_unmap_gpadl_locked(buffer->gpadl, buffer->at);
	memset(buffer, 0, sizeof(*buffer));
}

/* The guest goes on completing what it got before it revoked the buffer. */
static void drop_recv(struct nic *nic)
{
	unmap(&nic->recv);
}

static void forget_sections(struct nic *nic)
{
	bitmap_free(nic->sections);
	kvfree(nic->runs);
	kvfree(nic->serials);
	nic->sections = NULL;
	nic->runs = NULL;
	nic->serials = NULL;
	nic->nr_sections = 0;
}

static void drop_send(struct nic *nic)
{
	unmap(&nic->send);
	bitmap_free(nic->send_sections);
	nic->send_sections = NULL;
	nic->nr_send_sections = 0;
}

static void recv_buf(struct nic_channel *channel, const struct nvsp_message *msg)
{
	struct nvsp_message *answer = &channel->answer;
	struct nic *nic = channel->nic;

	answer->type = RECV_BUF_DONE;
	answer->recv_done.status = NVSP_FAIL;
	if (!map(channel, &nic->recv, msg))
		return;
	/* Guests refuse messages that are longer. */
	nic->section_size = max_t(u32, RECV_SECTION, ALIGN(nic->mtu + NIC_HEAD, 64));
	forget_sections(nic);
	nic->nr_sections = nic->recv.bytes / nic->section_size;
	nic->next_section = 0;
	nic->sections = bitmap_zalloc(nic->nr_sections, GFP_KERNEL | __GFP_NOFAIL);
	nic->runs = kvcalloc(nic->nr_sections, sizeof(u32), GFP_KERNEL | __GFP_NOFAIL);
	nic->serials = kvcalloc(nic->nr_sections, sizeof(u32), GFP_KERNEL | __GFP_NOFAIL);
	answer->recv_done.status = NVSP_SUCCESS;
	answer->recv_done.sections = 1;
	answer->recv_done.size = nic->section_size;
	answer->recv_done.count = nic->nr_sections;
	answer->recv_done.end = nic->nr_sections * nic->section_size;
}

static void send_buf(struct nic_channel *channel, const struct nvsp_message *msg)
{
	struct nvsp_message *answer = &channel->answer;
	struct nic *nic = channel->nic;

	answer->type = SEND_BUF_DONE;
	answer->send_done.status = NVSP_FAIL;
	if (!map(channel, &nic->send, msg))
		return;
	nic->nr_send_sections = nic->send.bytes / SEND_SECTION;
	nic->send_sections = bitmap_zalloc(nic->nr_send_sections, GFP_KERNEL | __GFP_NOFAIL);
	answer->send_done.status = NVSP_SUCCESS;
	answer->send_done.section_size = SEND_SECTION;
}

static void revoke(struct nic *nic, const struct nvsp_message *msg)
{
	const struct nic_buffer *buffer = msg->type == REVOKE_RECV ? &nic->recv : &nic->send;

	if (!buffer->at || buffer->id != msg->revoke.id) {
		vsc_violation("NIC %u: buffer 0x%x revoked, %s 0x%x", nic->index, msg->revoke.id,
			      buffer->at ? "it is" : "there is none,", buffer->id);
		return;
	}
	if (buffer == &nic->recv)
		drop_recv(nic);
	else
		drop_send(nic);
	nic_kick_peer(nic);
}

/* ---- to the guest ---- */

/* 0 or -EAGAIN; a ring that the guest has broken takes everything. */
static int put(struct nic_channel *channel, u16 type, u16 flags, u64 trans_id, const void *header,
	       u32 extra, const struct nvsp_message *msg)
{
	if (channel->wanted)
		return -EAGAIN;
	if (sim_write_ext(channel->chan, type, flags, trans_id, header, extra, msg,
			  sizeof(*msg)) != -EAGAIN)
		return 0;
	channel->wanted = sizeof(struct sim_packet_header) + extra + sizeof(*msg) + sizeof(u64);
	channel->nic->count.waited++;
	return -EAGAIN;
}

/* What stands behind the descriptor of a packet of type XFER_PAGES. */
struct xfer_header {
	u16 set_id;
	u8 sender_owns_set;
	u8 reserved;
	u32 count;
	struct { u32 bytes, offset; } ranges[NIC_BATCH];
};

static_assert(offsetof(struct xfer_header, ranges) == 8);

static u32 find_sections(struct nic *nic, u32 count)
{
	u32 at = bitmap_find_next_zero_area(nic->sections, nic->nr_sections, nic->next_section,
					    count, 0);

	if (at >= nic->nr_sections)
		at = bitmap_find_next_zero_area(nic->sections, nic->nr_sections, 0, count, 0);
	return at;
}

int nic_send(struct nic_channel *channel, enum rndis_channel type,
	     const struct nic_piece *pieces, u32 count)
{
	struct nvsp_message msg = { .type = RNDIS_PKT };
	struct nic *nic = channel->nic;
	struct xfer_header header = { .set_id = nic->recv.id, .count = count };
	u32 at, i;
	static u32 serial;
	u64 id;
	u8 *to;

	if (!nic->recv.at || !sim_gpadl_mapped_locked(nic->recv.gpadl) || count > nic->nr_sections)
		return -EMSGSIZE;
	for (i = 0; i < count; i++)
		if (pieces[i].head_len + pieces[i].len > nic->section_size)
			return -EMSGSIZE;
	if (channel->wanted)
		return -EAGAIN;
	at = find_sections(nic, count);
	if (at >= nic->nr_sections) {
		nic->count.waited++;
		return -EAGAIN;
	}
	for (i = 0; i < count; i++) {
		header.ranges[i].bytes = pieces[i].head_len + pieces[i].len;
		header.ranges[i].offset = (at + i) * nic->section_size;
		to = nic->recv.at + header.ranges[i].offset;
		memcpy(to, pieces[i].head, pieces[i].head_len);
		memcpy(to + pieces[i].head_len, pieces[i].data, pieces[i].len);
	}
	msg.rndis.channel = type;
	msg.rndis.section = NIC_NO_SECTION;
	serial++;
	id = (u64)serial << 32 | at;
	if (put(channel, SIM_PKT_XFER_PAGES, 1, id, &header,
		offsetof(struct xfer_header, ranges[count]), &msg))
		return -EAGAIN;
	bitmap_set(nic->sections, at, count);
	nic->runs[at] = count;
	nic->serials[at] = serial;
	nic->next_section = at + count;
	nic->count.xfer_packets++;
	return 0;
}

/* The guest has read what stood in the sections. */
static void completed(struct nic_channel *channel, const struct sim_packet_header *header,
		      const struct nvsp_message *msg, u32 len)
{
	u32 at = header->trans_id, serial = header->trans_id >> 32;
	struct nic *nic = channel->nic;

	if (at >= nic->nr_sections || !nic->runs[at] || nic->serials[at] != serial ||
	    len < offsetofend(struct nvsp_message, rndis_done) || msg->type != RNDIS_PKT_DONE) {
		vsc_violation("NIC %u: completion 0x%llx of %u bytes, type %u", nic->index,
			      header->trans_id, len, len >= sizeof(u32) ? msg->type : 0);
		return;
	}
	nic->count.completions++;
	nic->count.refused += msg->rndis_done.status != NVSP_SUCCESS;
	bitmap_clear(nic->sections, at, nic->runs[at]);
	nic->runs[at] = 0;
	nic->freed = true;
}

/*
 * Which channel the guest had better send on, by its own hash: those that are
 * open take turns.
 */
static void send_table(struct nic *nic)
{
	struct {
		struct nvsp_message msg;
		u32 table[SEND_TABLE_SIZE];
	} packet = { .msg.type = SEND_TABLE };
	u32 i, at = 0;

	if (!nic->table_due || !nic->channels[0].chan || nic->channels[0].wanted)
		return;
	packet.msg.table.count = SEND_TABLE_SIZE;
	packet.msg.table.offset = offsetof(typeof(packet), table);
	for (i = 0; i < SEND_TABLE_SIZE; i++) {
		packet.table[i] = at;
		do
			at = (at + 1) % NIC_CHANNELS;
		while (!nic->channels[at].chan);
	}
	nic->table_due = sim_write(nic->channels[0].chan, SIM_PKT_INBAND, 0, 0, &packet,
				   sizeof(packet)) == -EAGAIN;
}

/* ---- from the guest ---- */

static u8 in[PACKET] __aligned(8);

/* Copies what a packet of type GPA_DIRECT refers to behind the message. */
static bool gather(struct nic_channel *channel, const struct sim_packet_header *header)
{
	const u8 *at = in + sizeof(*header) + 2 * sizeof(u32), *end = in + header->offset8 * 8;
	u32 ranges, bytes, offset, now;
	u64 pfn;

	if (at > end)
		return false;
	memcpy(&ranges, at - sizeof(u32), sizeof(u32));
	while (ranges--) {
		if (at + 2 * sizeof(u32) > end)
			return false;
		memcpy(&bytes, at, sizeof(u32));
		memcpy(&offset, at + sizeof(u32), sizeof(u32));
		at += 2 * sizeof(u32);
		if (offset >= PAGE_SIZE || bytes > NIC_MESSAGE - channel->len)
			return false;
		for (; bytes; bytes -= now, offset = 0) {
			now = min_t(u32, bytes, PAGE_SIZE - offset);
			if (at + sizeof(pfn) > end)
				return false;
			memcpy(&pfn, at, sizeof(pfn));
			at += sizeof(pfn);
			if (!pfn_valid(pfn) || !sim_in_use(pfn_to_page(pfn)))
				return false;
			memcpy(channel->message + channel->len,
			       page_address(pfn_to_page(pfn)) + offset, now);
			channel->len += now;
		}
	}
	return true;
}

static bool take_section(struct nic_channel *channel, u32 section, u32 bytes)
{
	struct nic *nic = channel->nic;

	if (section == NIC_NO_SECTION)
		return true;
	if (section >= nic->nr_send_sections || bytes > SEND_SECTION ||
	    !sim_gpadl_mapped_locked(nic->send.gpadl) ||
	    test_and_set_bit(section, nic->send_sections))
		return false;
	channel->section = section;
	memcpy(channel->message, nic->send.at + section * SEND_SECTION, bytes);
	channel->len = bytes;
	return true;
}

static void rndis_packet(struct nic_channel *channel, const struct sim_packet_header *header,
			 const struct nvsp_message *msg)
{
	struct nic *nic = channel->nic;

	channel->answer.type = RNDIS_PKT_DONE;
	channel->answer.rndis_done.status = NVSP_SUCCESS;
	if (msg->rndis.channel > RNDIS_CONTROL ||
	    (msg->rndis.channel == RNDIS_CONTROL && channel != nic->channels) ||
	    !take_section(channel, msg->rndis.section, msg->rndis.bytes) ||
	    (header->type == SIM_PKT_GPA_DIRECT && !gather(channel, header)) || !channel->len) {
		vsc_violation("NIC %u: RNDIS channel %u, section %u of %u bytes, packet %u of %u",
			      nic->index, msg->rndis.channel, msg->rndis.section,
			      msg->rndis.bytes, header->type, header->len8 * 8);
		channel->answer.rndis_done.status = NVSP_BAD_RNDIS;
		channel->len = 0;
		return;
	}
	nic->count.messages++;
	if (msg->rndis.channel == RNDIS_CONTROL) {
		rndis_control(channel);
		channel->len = 0;
	}
}

static void init(struct nic_channel *channel, const struct nvsp_message *msg)
{
	struct nvsp_message *answer = &channel->answer;
	u32 i, version = 0;

	for (i = 0; i < ARRAY_SIZE(versions); i++)
		if (versions[i] >= msg->init.min && versions[i] <= msg->init.max &&
		    versions[i] <= nvsp_max)
			version = versions[i];
	if (channel->nic->version)
		vsc_violation("NIC %u: INIT again", channel->nic->index);
	channel->nic->version = version;
	answer->type = INIT_DONE;
	answer->init_done.version = version ?: U32_MAX;
	answer->init_done.max_mdl = MAX_MDL;
	answer->init_done.status = version ? NVSP_SUCCESS : NVSP_TOO_NEW;
}

static void subchannel(struct nic_channel *channel, const struct nvsp_message *msg)
{
	struct nvsp_message *answer = &channel->answer;
	struct nic *nic = channel->nic;
	u32 most = nic_max_channels() - 1;

	answer->type = SUBCHANNEL;
	answer->subs_done.status = NVSP_FAIL;
	if (nic->version < 0x50000 || msg->subs.op != SUB_ALLOCATE || nic->subs ||
	    !msg->subs.count || msg->subs.count > most) {
		vsc_violation("NIC %u: operation %u for %u sub-channels of %u", nic->index,
			      msg->subs.op, msg->subs.count, most);
		return;
	}
	nic->subs = msg->subs.count;
	answer->subs_done.status = NVSP_SUCCESS;
	answer->subs_done.count = msg->subs.count;
}

static void dispatch(struct nic_channel *channel, const struct sim_packet_header *header,
		     const struct nvsp_message *msg)
{
	struct nic *nic = channel->nic;
	bool must_answer = true;

	switch (msg->type) {
	case INIT:
		init(channel, msg);
		break;
	case NDIS_CONFIG:
		if (msg->config.mtu < ETH_HLEN || nic->recv.at)
			vsc_violation("NIC %u: MTU %u%s", nic->index, msg->config.mtu,
				      nic->recv.at ? ", with buffers" : "");
		else
			nic->mtu = msg->config.mtu;
		fallthrough;
	case NDIS_VERSION:
		must_answer = false;
		break;
	case RECV_BUF:
		recv_buf(channel, msg);
		break;
	case SEND_BUF:
		send_buf(channel, msg);
		break;
	case REVOKE_RECV:
	case REVOKE_SEND:
		must_answer = false;
		revoke(nic, msg);
		break;
	case RNDIS_PKT:
		rndis_packet(channel, header, msg);
		break;
	case SUBCHANNEL:
		subchannel(channel, msg);
		break;
	default:
		must_answer = false;
		vsc_violation("NIC %u: message %u", nic->index, msg->type);
	}
	if (must_answer && !channel->answers)
		vsc_violation("NIC %u: message %u wants no answer", nic->index, msg->type);
}

static void take(struct nic_channel *channel, const struct sim_packet_header *header,
		 const struct nvsp_message *msg, u32 len)
{
	bool primary = channel == channel->nic->channels, expected;

	channel->busy = true;
	channel->answers = header->flags & 1;
	channel->trans_id = header->trans_id;
	channel->section = NIC_NO_SECTION;
	channel->at = 0;
	channel->len = 0;
	memset(&channel->answer, 0, sizeof(channel->answer));
	/* INIT comes first, and only then. */
	expected = channel->nic->version ? msg->type != INIT : msg->type == INIT;
	if (len < sizeof(*msg) || !expected || (!primary && msg->type != RNDIS_PKT)) {
		vsc_violation("NIC %u, channel %u: message %u of %u bytes, version 0x%x",
			      channel->nic->index, channel->chan->sub,
			      len >= sizeof(u32) ? msg->type : 0, len, channel->nic->version);
		return;
	}
	dispatch(channel, header, msg);
}

/* Return: there was a packet. */
static bool receive(struct nic_channel *channel)
{
	const struct sim_packet_header *header = (const void *)in;
	int len = sim_read(channel->chan, in, sizeof(in));
	const struct nvsp_message *msg;

	if (len <= 0) {
		channel->broken |= len < 0;
		return false;
	}
	len -= header->offset8 * 8;
	msg = (const void *)(in + header->offset8 * 8);
	if (header->type == SIM_PKT_COMPLETION)
		completed(channel, header, msg, len);
	else if (header->type == SIM_PKT_INBAND || header->type == SIM_PKT_GPA_DIRECT)
		take(channel, header, msg, len);
	else
		vsc_violation("NIC %u: packet of type %u", channel->nic->index, header->type);
	return true;
}

/* ---- the VSP ---- */

static void signalled(struct sim_chan *chan);
static void opened(struct sim_chan *chan);
static void closed(struct sim_chan *chan);

static const struct sim_vsp vsp = { .opened = opened, .signalled = signalled, .closed = closed };

static void monitor(struct sim_chan *chan)
{
	if (monitored)
		loop_monitor(chan);
}

static void offer_subs(struct nic *nic)
{
	const struct sim_chan *primary = nic->channels[0].chan;
	struct sim_chan *chan;
	u32 i;

	for (i = 1; i <= nic->subs; i++) {
		chan = sim_new_sub_locked(primary, i, &vsp);
		chan->user = &nic->channels[i];
		monitor(chan);
		sim_offer_locked(chan);
	}
	nic->subs = 0;
}

/* Return: the packet is done with; else it waits for room. */
static bool finish(struct nic_channel *channel)
{
	struct nic *nic = channel->nic;

	if (channel->at < channel->len && !rndis_data(channel))
		return false;
	/* Before the guest knows, since then it may use it again. */
	if (channel->section != NIC_NO_SECTION && nic->send_sections)
		clear_bit(channel->section, nic->send_sections);
	channel->section = NIC_NO_SECTION;
	if (channel->answers && put(channel, SIM_PKT_COMPLETION, 0, channel->trans_id, NULL, 0,
				    &channel->answer))
		return false;
	channel->busy = false;
	if (nic->subs)
		offer_subs(nic);
	return true;
}

static void run(struct nic_channel *channel)
{
	struct sim_chan *chan = channel->chan;
	u32 budget = BUDGET;

	do {
		WRITE_ONCE(chan->in.header->interrupt_mask, 1);
		do {
			/* Goes on when there is room: the guest need not signal us till then. */
			if (channel->busy && !finish(channel))
				return;
			if (!budget--) {
				sim_signal_again(chan->relid);
				return;
			}
		} while (receive(channel));
		WRITE_ONCE(chan->in.header->interrupt_mask, 0);
		/* Pairs with the guest's barrier between its index and the mask. */
		smp_mb();
	} while (!channel->broken && sim_readable(chan));
}

void nic_kick_peer(struct nic *nic)
{
	const struct nic *peer = nic_peer(nic);
	u32 i;

	for (i = 0; i < NIC_CHANNELS; i++)
		if (peer->channels[i].chan && peer->channels[i].busy)
			sim_signal_again(peer->channels[i].chan->relid);
}

static void signalled(struct sim_chan *chan)
{
	struct nic_channel *channel = chan->user;
	struct nic *nic;

	if (!channel || channel->broken)
		return;
	nic = channel->nic;
	if (channel->wanted && sim_room(chan) > channel->wanted) {
		channel->wanted = 0;
		nic->freed = true;
	}
	run(channel);
	rndis_flush(nic);
	send_table(nic);
	if (nic->freed)
		nic_kick_peer(nic);
	nic->freed = false;
}

static void opened(struct sim_chan *chan)
{
	struct nic_channel *channel = chan->user;

	if (!channel)
		return;
	channel->chan = chan;
	channel->wanted = 0;
	channel->broken = false;
	channel->busy = false;
	channel->message = kvmalloc(NIC_MESSAGE, GFP_KERNEL | __GFP_NOFAIL);
	if (chan->sub && channel->nic->channels[0].chan) {
		/* Behind the result of this open. */
		channel->nic->table_due = true;
		sim_signal_again(channel->nic->channels[0].chan->relid);
	}
}

/* With a primary that is closed everything that the guest has set up ends. */
static void forget_guest(struct nic *nic)
{
	struct sim_chan *sub;
	u32 relid;

	for (relid = 1; relid < SIM_RELIDS; relid++) {
		sub = sim_chan_locked(relid);
		if (!sub || !sub->sub || sub->vsp != &vsp || !sub->user ||
		    ((struct nic_channel *)sub->user)->nic != nic)
			continue;
		sim_rescind_alone_locked(sub);
		sub->user = NULL;
	}
	rndis_reset(nic);
	drop_recv(nic);
	forget_sections(nic);
	drop_send(nic);
	nic->version = 0;
	nic->mtu = DEFAULT_MTU;
	nic->subs = 0;
	nic->table_due = false;
	nic_kick_peer(nic);
}

static void closed(struct sim_chan *chan)
{
	struct nic_channel *channel = chan->user;

	if (!channel)
		return;
	channel->chan = NULL;
	channel->busy = false;
	kvfree(channel->message);
	channel->message = NULL;
	if (channel == channel->nic->channels)
		forget_guest(channel->nic);
}

/* ---- life, files ---- */

/* The primary as long as the guest has not given it back. */
static struct sim_chan *last_primary(struct nic *nic)
{
	struct sim_chan *chan = nic->relid ? sim_chan_locked(nic->relid) : NULL;

	return chan && chan->user == &nic->channels[0] && !chan->released ? chan : NULL;
}

/* The primary as long as the host has not taken it back. */
static struct sim_chan *primary_of(struct nic *nic)
{
	struct sim_chan *chan = last_primary(nic);

	return chan && !chan->rescinded ? chan : NULL;
}

static void offer(struct nic *nic)
{
	struct sim_chan *chan = sim_new_locked(0, &nic_type, &vsp);
	u32 id[4] = { 0x4e1c0000 + nic->index, 0x4e1c4e1c, 0x4e1c4e1c, 0x4e1c4e1c };

	/* Always the same, as a device that comes back. */
	memcpy(&chan->instance, id, sizeof(id));
	chan->user = &nic->channels[0];
	monitor(chan);
	nic->relid = chan->relid;
	sim_offer_locked(chan);
}

/* Each end has read and completed what the other has sent. */
static bool quiet(const struct nic *nic)
{
	const struct nic_channel *channel;
	u32 i;

	for (i = 0; i < NIC_CHANNELS; i++) {
		channel = &nic->channels[i];
		if (channel->chan && (channel->busy || sim_readable(channel->chan) ||
				      READ_ONCE(channel->chan->out.header->out) !=
				      channel->chan->out.pos))
			return false;
	}
	return !nic->sections || bitmap_empty(nic->sections, nic->nr_sections);
}

/*
 * hv_netvsc waits for ever for completions of what it has sent. With the link
 * down it soon sends nothing. The lock is given up meanwhile.
 */
static void wait_until_quiet(struct nic *nic)
{
	unsigned long end = jiffies + msecs_to_jiffies(QUIET_MS);

	while (!quiet(nic) && time_before(jiffies, end)) {
		sim_unlock();
		msleep(20);
		sim_lock();
	}
}

static int command(const char *word, struct nic *nic)
{
	struct sim_chan *chan = primary_of(nic);

	if (!strcmp(word, "offer")) {
		if (last_primary(nic))
			return chan ? -EEXIST : -EBUSY;
		offer(nic);
		return 0;
	}
	if (!chan)
		return -ENODEV;
	if (!strcmp(word, "rescind")) {
		wait_until_quiet(nic);
		chan = primary_of(nic);
	}
	if (!chan)
		return -ENODEV;
	if (!strcmp(word, "rescind") || !strcmp(word, "pull"))
		sim_rescind_locked(chan);
	else if (!strcmp(word, "up") || !strcmp(word, "down"))
		rndis_set_link(nic, !strcmp(word, "up"));
	else
		return -EINVAL;
	return 0;
}

static int nic(const char *line)
{
	char word[16];
	u32 index;
	int err;

	if (sscanf(line, "%15s %u", word, &index) != 2 || index >= NIC_MAX)
		return -EINVAL;
	sim_lock();
	err = command(word, &nics[index]);
	sim_unlock();
	return err;
}

LOOP_COMMAND(nic);

static void show(struct seq_file *file, struct nic *nic)
{
	const struct sim_chan *chan = primary_of(nic);
	u32 i;

	seq_printf(file, "nic=%u relid=%u mac=%pM link=%u version=0x%x mtu=%u filter=0x%x rss=0x%x",
		   nic->index, chan ? chan->relid : 0, nic->mac, nic->link, nic->version, nic->mtu,
		   nic->rndis.filter, nic->rndis.hash_types);
	seq_printf(file, " packets=%llu bytes=%llu messages=%llu received=%llu xfer_packets=%llu",
		   nic->count.packets, nic->count.bytes, nic->count.messages, nic->count.received,
		   nic->count.xfer_packets);
	seq_printf(file, " unreachable=%llu filtered=%llu too_long=%llu waited=%llu",
		   nic->count.unreachable, nic->count.filtered, nic->count.too_long,
		   nic->count.waited);
	seq_printf(file, " completions=%llu refused=%llu checksums=%llu requests=%llu unknown_oid=0x%x",
		   nic->count.completions, nic->count.refused, nic->count.checksums,
		   nic->count.requests, nic->unknown_oid);
	seq_printf(file, " held=%u channels=",
		   nic->sections ? bitmap_weight(nic->sections, nic->nr_sections) : 0);
	for (i = 0; i < NIC_CHANNELS; i++)
		if (nic->channels[i].chan)
			seq_printf(file, "%u:%llu:%llu,", i, nic->channels[i].frames_in,
				   nic->channels[i].frames_out);
	seq_putc(file, '\n');
}

static int nics_show(struct seq_file *file, void *unused)
{
	u32 i;

	sim_lock();
	for (i = 0; i < NIC_MAX; i++)
		if (nics[i].relid)
			show(file, &nics[i]);
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nics);

void loop_nics_start(void)
{
	static const u8 mac[ETH_ALEN] = { 0x00, 0x15, 0x5d, 0x4e, 0x1c };
	u32 i, j;

	sim_lock();
	for (i = 0; i < NIC_MAX; i++) {
		nics[i].index = i;
		nics[i].link = true;
		nics[i].mtu = DEFAULT_MTU;
		memcpy(nics[i].mac, mac, sizeof(mac));
		nics[i].mac[ETH_ALEN - 1] = i;
		INIT_LIST_HEAD(&nics[i].replies);
		for (j = 0; j < NIC_CHANNELS; j++)
			nics[i].channels[j].nic = &nics[i];
	}
	for (i = 0; i < min_t(u32, nr_nics, NIC_MAX); i++)
		offer(&nics[i]);
	sim_unlock();
}

/* The guest has gone, so no channel is open. */
void loop_nics_stop(void)
{
	u32 i;

	sim_lock();
	for (i = 0; i < NIC_MAX; i++) {
		struct sim_chan *chan = primary_of(&nics[i]);

		if (chan)
			chan->user = NULL;
		forget_guest(&nics[i]);
	}
	sim_unlock();
}

void loop_nics_files(struct dentry *dir)
{
	debugfs_create_file("nic", 0200, dir, NULL, &nic_fops);
	debugfs_create_file("nics", 0400, dir, NULL, &nics_fops);
}
