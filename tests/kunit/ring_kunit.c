// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_ring: packets arrive as they were sent, whatever their size, kind
 * and place in the ring. How the two sides wake each other up is in flow_kunit.c.
 */
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "call.h"
#include "rings.h"
#include "suites.h"

#define SMALL_DATA	(RING_SMALLEST - PAGE_SIZE)
/* One packet can leave 8 bytes free, none can fill the ring. */
#define SMALL_MOST	(SMALL_DATA - 8 - RING_TRAILER - RING_DESC)
#define BIG_MOST	(RING_BIGGEST - RING_DESC)

/* Payloads; with a start at each multiple of 8 they wrap in each of their words. */
static const u32 sizes[] = { 0, 1, 8, 15, 64, 123, 1000, 2020, SMALL_MOST - 1, SMALL_MOST };

static int send_inband(struct guest_chan *guest, const struct ring_packet *packet)
{
	return vmbus_sendpacket(guest->ch, (void *)packet->payload, packet->len, packet->id,
				packet->type, packet->flags);
}

static struct ring_packet inband(u32 len, u32 seed)
{
	const struct ring_packet packet = {
		.type = VM_PKT_DATA_INBAND,
		.id = 0x1234567800000000ull | seed,
		.payload = ring_pattern(len, seed),
		.len = len,
	};

	return packet;
}

/* Nothing but @used bytes from @start on was written since ring_seek_*(). */
static bool rest_untouched(const struct sim_ring *ring, u32 start, u32 used)
{
	u32 free = ring->size - used, at = (start + used) % ring->size;
	u32 first = min(free, ring->size - at);

	return !memchr_inv(ring->data + at, RING_POISON, first) &&
	       !memchr_inv(ring->data, RING_POISON, free - first);
}

static void sends_at_every_offset(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct sim_ring *ring = &guest->host->in;
	struct ring_packet packet;
	u32 offset, i, used;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (offset = 0; offset < SMALL_DATA; offset = ring_next(offset, 8, SMALL_DATA)) {
			packet = inband(sizes[i], offset + i);
			used = ring_len(&packet) + RING_TRAILER;
			ring_seek_out(guest, offset);
			KUNIT_ASSERT_EQ(test, send_inband(guest, &packet), 0);
			KUNIT_EXPECT_EQ(test, ring->header->in, (offset + used) % SMALL_DATA);
			KUNIT_EXPECT_TRUE(test, rest_untouched(ring, offset, used));
			KUNIT_ASSERT_TRUE_MSG(test, ring_host_reads(test, guest, &packet),
					      "%u bytes at %u", sizes[i], offset);
		}
	}
}

static const enum ring_api apis[] = { RING_RECV, RING_RAW, RING_ITER };

static void api_name(const enum ring_api *api, char *desc)
{
	static const char * const names[] = { "recvpacket", "recvpacket_raw", "iterator" };

	strscpy(desc, names[*api], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(api, apis, api_name);

static void receives_at_every_offset(struct kunit *test)
{
	const enum ring_api *way = test->param_value;
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet;
	u32 offset, i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (offset = 0; offset < SMALL_DATA; offset = ring_next(offset, 8, SMALL_DATA)) {
			packet = inband(sizes[i], offset + i);
			ring_seek_in(guest, offset);
			KUNIT_ASSERT_TRUE_MSG(test, ring_guest_reads(test, guest, &packet, *way),
					      "%u bytes at %u", sizes[i], offset);
		}
	}
}

static void sends_every_size(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet;
	u32 len, sent = 0;

	for (len = 0; len <= SMALL_MOST; len = ring_next(len, 1, SMALL_MOST)) {
		packet = inband(len, len);
		KUNIT_ASSERT_EQ(test, send_inband(guest, &packet), 0);
		sent++;
		KUNIT_ASSERT_TRUE_MSG(test, ring_host_reads(test, guest, &packet), "%u bytes",
				      len);
	}
	packet = inband(len, len);
	KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_getid(guest->ch, (void *)packet.payload, len, 1,
						     NULL, VM_PKT_DATA_INBAND, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), sent);
	KUNIT_EXPECT_EQ(test, guest->ch->out_full_total, 0);
}

static void receives_every_size(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet;
	u32 len, received = 0;

	for (len = 0; len <= SMALL_MOST; len = ring_next(len, 1, SMALL_MOST)) {
		packet = inband(len, len);
		KUNIT_ASSERT_TRUE_MSG(test,
				      ring_guest_reads(test, guest, &packet, received % RING_APIS),
				      "%u bytes", len);
		received++;
	}
	KUNIT_EXPECT_EQ(test, guest->host->interrupts, received);
}

static void takes_big_packets(struct vmbus_channel *ch)
{
	ch->max_pkt_size = RING_BIGGEST;
}

static void big_packets(struct kunit *test)
{
	static const u32 big[] = { 4096, 65535, 65536, 262144, BIG_MOST - 8, BIG_MOST - 7,
				   BIG_MOST };
	struct guest_chan *guest = ring_open_with(test, NULL, SZ_1M, takes_big_packets);
	struct ring_packet packet;
	u32 i, way;

	for (i = 0; i < ARRAY_SIZE(big); i++) {
		packet = inband(big[i], i);
		KUNIT_ASSERT_EQ(test, send_inband(guest, &packet), 0);
		KUNIT_ASSERT_TRUE_MSG(test, ring_host_reads(test, guest, &packet), "%u bytes",
				      big[i]);
		for (way = 0; way < RING_APIS; way++)
			KUNIT_ASSERT_TRUE_MSG(test, ring_guest_reads(test, guest, &packet, way),
					      "%u bytes", big[i]);
	}
	/* len8 cannot say more, though the ring has the room. */
	packet = inband(BIG_MOST, 0);
	packet.len++;
	KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), -EINVAL);
	packet.len = U32_MAX;
	KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), -EINVAL);
	packet.len = 0;
	KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), 0);
}

/* Payloads that together take 16, 8 or 0 bytes less than the ring has. */
static void never_quite_full(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	const u32 first = 2000, used = first + RING_DESC + RING_TRAILER;
	struct sim_ring *ring = &guest->host->in;
	struct ring_packet packet;
	static u8 buffer[PAGE_SIZE];
	u32 offset, less, in, full = 0;

	for (offset = 0; offset < SMALL_DATA; offset = ring_next(offset, 8, SMALL_DATA)) {
		for (less = 0; less <= 16; less += 8) {
			ring_seek_out(guest, offset);
			packet = inband(first, 1);
			KUNIT_ASSERT_EQ(test, send_inband(guest, &packet), 0);
			in = ring->header->in;
			packet = inband(SMALL_DATA - used - RING_DESC - RING_TRAILER - less, 2);
			KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), less ? 0 : -EAGAIN);
			full += !less;
			if (!less) {
				KUNIT_EXPECT_EQ(test, ring->header->in, in);
				KUNIT_EXPECT_TRUE(test, rest_untouched(ring, offset, used));
			}
			KUNIT_EXPECT_EQ(test, ring_host_read(guest, buffer, sizeof(buffer)),
					first + RING_DESC);
			if (!less)
				KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), 0);
			KUNIT_ASSERT_TRUE_MSG(test, ring_host_reads(test, guest, &packet),
					      "%u bytes left at %u", less, offset);
		}
	}
	KUNIT_EXPECT_EQ(test, guest->ch->out_full_total, full);
}

/* An inbound ring that the host has filled but for 8 bytes, from each offset. */
static void drains_full_ring(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet;
	const u32 packets = SMALL_DATA / SZ_2K;
	u32 offset, got, i;
	u64 id;

	for (offset = 0; offset < SMALL_DATA; offset = ring_next(offset, 8, SMALL_DATA)) {
		ring_seek_in(guest, offset);
		for (i = 0; i < packets; i++) {
			packet = inband(i == packets - 1 ? 2016 : 2020, i);
			KUNIT_ASSERT_EQ(test, ring_host_write(guest, &packet), 0);
		}
		packet.len = 0;
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &packet), -EAGAIN);
		for (i = 0; i < packets; i++) {
			packet = inband(i == packets - 1 ? 2016 : 2020, i);
			KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, guest->last,
							       sizeof(guest->last), &got, &id), 0);
			KUNIT_EXPECT_EQ(test, got, ALIGN(packet.len, 8));
			KUNIT_EXPECT_EQ(test, id, packet.id);
			KUNIT_ASSERT_EQ(test, memcmp(guest->last, packet.payload, packet.len), 0);
		}
	}
}

/* ---- kinds of packets ---- */

static void sends_all_kinds(struct kunit *test)
{
	static const u16 types[] = { VM_PKT_DATA_INBAND, VM_PKT_COMP, VM_PKT_CANCEL_REQUEST };
	struct guest_chan *guest = ring_open(test, NULL, GUEST_RING);
	struct ring_packet packet;
	u64 trans_id;
	u32 i;

	for (i = 0; i < 2 * ARRAY_SIZE(types); i++) {
		packet = inband(20, i);
		packet.type = types[i / 2];
		packet.flags = i % 2;
		KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), 0);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &packet));
		trans_id = 0;
		KUNIT_EXPECT_EQ(test, vmbus_sendpacket_getid(guest->ch, (void *)packet.payload,
							     packet.len, packet.id, &trans_id,
							     packet.type, packet.flags), 0);
		KUNIT_EXPECT_EQ(test, trans_id, packet.id);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &packet));
	}
	packet.len = 0;
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_getid(guest->ch, NULL, 0, packet.id, NULL,
						     packet.type, packet.flags), 0);
	KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &packet));
}

/* Fills the ranges of @desc with anything; returns its size. */
static u32 fill_ranges(struct vmbus_packet_mpb_array *desc, u32 ranges, u32 pfns)
{
	u64 *at = (u64 *)&desc->range;
	u32 i;

	memset(desc, 0xff, offsetof(struct vmbus_packet_mpb_array, range));
	desc->rangecount = ranges;
	for (i = 0; i < max(ranges, 1U) * (1 + pfns); i++)
		at[i] = 0x1000000000ull * i + 0x123;
	return (u8 *)&at[i] - (u8 *)desc;
}

static void expect_gpa_direct(struct kunit *test, struct guest_chan *guest, u32 ranges, u32 pfns,
			      u32 len)
{
	static u64 memory[2 + 1 + 2 * MAX_PAGE_BUFFER_COUNT];
	struct vmbus_packet_mpb_array *desc = (void *)memory;
	u32 size = fill_ranges(desc, ranges, pfns);
	struct ring_packet packet = inband(len, ranges * 100 + pfns);

	packet.type = VM_PKT_DATA_USING_GPA_DIRECT;
	packet.flags = VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED;
	packet.ext = &desc->reserved;
	packet.ext_len = size - RING_DESC;
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_mpb_desc(guest->ch, desc, size,
							(void *)packet.payload, len, packet.id), 0);
	/* What the caller left of these does not get to the host. */
	desc->reserved = 0;
	desc->rangecount = max(ranges, 1U);
	KUNIT_EXPECT_TRUE_MSG(test, ring_host_reads(test, guest, &packet), "%u ranges of %u",
			      ranges, pfns);
}

static void sends_gpa_direct(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static u64 memory[8];
	struct vmbus_packet_mpb_array *desc = (void *)memory;
	static const u32 wrong[] = { 0, 15, 16, 24, 32, 39, 41, 44, 48 + U16_MAX * 8, U32_MAX - 7 };
	u32 i;

	/* As netvsc does, and as storvsc does. */
	for (i = 1; i <= MAX_PAGE_BUFFER_COUNT; i++)
		expect_gpa_direct(test, guest, i, 1, 7 * i);
	for (i = 1; i <= MAX_MULTIPAGE_BUFFER_COUNT; i++)
		expect_gpa_direct(test, guest, i % 2, i, 64);
	for (i = 0; i < SMALL_DATA / 8 && !ring_failed(test); i++)
		expect_gpa_direct(test, guest, 1, 31, 9);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		fill_ranges(desc, 1, 2);
		KUNIT_EXPECT_EQ_MSG(test, vmbus_sendpacket_mpb_desc(guest->ch, desc, wrong[i],
								    memory, 8, 1),
				    -EINVAL, "%u bytes", wrong[i]);
	}
	/* Descriptor and payload are each sound, together they are too much. */
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_mpb_desc(guest->ch, desc, fill_ranges(desc, 1, 2),
							memory, BIG_MOST, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_readable(guest->host), 0);
}

struct kind {
	const char *name;
	u16 type;
	u16 flags;
	u32 ext_len;
	u32 len;
};

static const struct kind kinds[] = {
	{ "inband", VM_PKT_DATA_INBAND, 0, 0, 100 },
	{ "inband, completion wanted", VM_PKT_DATA_INBAND, 1, 0, 8 },
	{ "completion", VM_PKT_COMP, 0, 0, 40 },
	{ "empty completion", VM_PKT_COMP, 0, 0, 0 },
	{ "1 transfer page", VM_PKT_DATA_USING_XFER_PAGES, 1, 16, 40 },
	{ "300 transfer pages", VM_PKT_DATA_USING_XFER_PAGES, 1, 8 + 300 * 8, 40 },
	{ "ranges only", VM_PKT_DATA_USING_XFER_PAGES, 0, 64, 0 },
	{ "GPA direct", VM_PKT_DATA_USING_GPA_DIRECT, 1, 24, 64 },
	{ "additional data", VM_PKT_ADDITIONAL_DATA, 0, 0, 33 },
	{ "unknown type", 0x55, 0, 8, 8 },
	{ "no type", 0, 0, 0, 8 },
	{ "all bits", 0xffff, 0xffff, 24, 24 },
};

static void receives_all_kinds(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static u8 ext[8 + 300 * 8];
	const struct kind *kind;
	struct ring_packet packet;
	u32 i;

	memcpy(ext, ring_pattern(sizeof(ext), 99), sizeof(ext));
	for (kind = kinds; kind < kinds + ARRAY_SIZE(kinds); kind++) {
		for (i = 0; i < 3 * RING_APIS; i++) {
			packet = inband(kind->len, i);
			packet.type = kind->type;
			packet.flags = kind->flags;
			packet.ext = ext;
			packet.ext_len = kind->ext_len;
			KUNIT_ASSERT_TRUE_MSG(test, ring_guest_reads(test, guest, &packet,
								     i % RING_APIS),
					      "%s", kind->name);
		}
	}
}

/* ---- what the receiver may do ---- */

static void small_buffer(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet = inband(100, 5);
	u8 buffer[128];
	u32 got, size;
	u64 id;

	KUNIT_ASSERT_EQ(test, ring_host_write(guest, &packet), 0);
	memset(buffer, RING_POISON, sizeof(buffer));
	for (size = 0; size < sizeof(buffer); size++) {
		if (size < 104) {
			KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, buffer, size, &got, &id),
					-ENOBUFS);
			KUNIT_EXPECT_EQ(test, got, 104);
			KUNIT_EXPECT_EQ(test, id, packet.id);
		}
		if (size < 120) {
			KUNIT_EXPECT_EQ(test, vmbus_recvpacket_raw(guest->ch, buffer, size, &got,
								   &id), -ENOBUFS);
			KUNIT_EXPECT_EQ(test, got, 120);
		}
	}
	KUNIT_EXPECT_NULL(test, memchr_inv(buffer, RING_POISON, sizeof(buffer)));
	KUNIT_EXPECT_EQ(test, guest->host->out.header->out, 0);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, buffer, 104, &got, &id), 0);
	KUNIT_EXPECT_EQ(test, memcmp(buffer, packet.payload, packet.len), 0);
	KUNIT_EXPECT_EQ(test, guest->host->out.header->out, 120 + RING_TRAILER);
}

/* Writes packets with the numbers @from to @to - 1; each takes 32 bytes of the ring. */
static void write_numbered(struct kunit *test, struct guest_chan *guest, u64 from, u64 to)
{
	struct ring_packet packet = { .type = VM_PKT_DATA_INBAND, .payload = &packet.id, .len = 8 };

	for (packet.id = from; packet.id < to; packet.id++)
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &packet), 0);
}

/* Stops in the middle, with a packet in hand, and goes on later. */
static void iterates_in_parts(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct sim_ring *ring = &guest->host->out;
	struct vmpacket_descriptor *desc;
	u64 next = 0;
	u32 got;
	u64 id;

	write_numbered(test, guest, 0, 20);
	KUNIT_EXPECT_PTR_EQ(test, hv_pkt_iter_first(guest->ch), hv_pkt_iter_first(guest->ch));
	foreach_vmbus_pkt(desc, guest->ch) {
		KUNIT_EXPECT_EQ(test, desc->trans_id, next);
		KUNIT_EXPECT_EQ(test, *(u64 *)hv_pkt_data(desc), next);
		KUNIT_EXPECT_EQ(test, ring->header->out, 0);
		if (next == 7)
			break;
		next++;
	}
	/* The one in hand was not stepped over: it comes again, its room stays taken. */
	hv_pkt_iter_close(guest->ch);
	KUNIT_EXPECT_EQ(test, ring->header->out, 7 * 32);
	write_numbered(test, guest, 20, 30);
	/* A receiver of another kind takes the next one. */
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, guest->last, 8, &got, &id), 0);
	KUNIT_EXPECT_EQ(test, id, 7);
	KUNIT_EXPECT_EQ(test, ring->header->out, 8 * 32);
	next = 8;
	foreach_vmbus_pkt(desc, guest->ch) {
		KUNIT_EXPECT_EQ(test, desc->trans_id, next);
		/* What comes meanwhile belongs to the batch. */
		if (next++ == 29)
			write_numbered(test, guest, 30, 35);
		/* Giving room back in between does not disturb the iterator. */
		if (next == 15)
			hv_pkt_iter_close(guest->ch);
	}
	KUNIT_EXPECT_EQ(test, next, 35);
	KUNIT_EXPECT_EQ(test, ring->header->out, ring->pos);
	KUNIT_EXPECT_NULL(test, hv_pkt_iter_first(guest->ch));
}

static void small_packets_only(struct vmbus_channel *ch)
{
	ch->max_pkt_size = 60;
}

/* max_pkt_size is 60: the private copy has 64 bytes. */
static void iterator_clamps(struct kunit *test)
{
	struct guest_chan *guest = ring_open_with(test, NULL, RING_SMALLEST, small_packets_only);
	struct ring_packet packets[] = { inband(48, 1), inband(49, 2), inband(3000, 3),
					 inband(8, 4), inband(0, 5) };
	static const u8 ext[128];
	struct vmpacket_descriptor *desc;
	u32 i;

	/* The payload begins behind the end of the copy. */
	packets[3].ext = ext;
	packets[3].ext_len = sizeof(ext);
	for (i = 0; i < ARRAY_SIZE(packets); i++)
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &packets[i]), 0);
	i = 0;
	foreach_vmbus_pkt(desc, guest->ch) {
		u32 len = min(ring_len(&packets[i]), 64U);

		KUNIT_EXPECT_EQ(test, desc->trans_id, packets[i].id);
		KUNIT_EXPECT_EQ(test, hv_pkt_len(desc), len);
		KUNIT_EXPECT_EQ(test, desc->offset8 * 8, min(RING_DESC + packets[i].ext_len, 64U));
		KUNIT_EXPECT_EQ(test, hv_pkt_datalen(desc), len - desc->offset8 * 8);
		i++;
	}
	KUNIT_EXPECT_EQ(test, i, ARRAY_SIZE(packets));
	KUNIT_EXPECT_EQ(test, guest->host->out.header->out, guest->host->out.pos);
	/* The other functions take packets of any size. */
	KUNIT_EXPECT_TRUE(test, ring_guest_reads(test, guest, &packets[2], RING_RECV));
}

/* ---- errors of the sender ---- */

static void closed_channel(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static u64 memory[8];
	struct vmbus_packet_mpb_array *desc = (void *)memory;
	struct hv_ring_buffer_debug_info info;
	u32 got, size = fill_ranges(desc, 1, 2);
	u64 id = 1;

	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_getid(guest->ch, "", 1, 1, &id, VM_PKT_COMP, 0),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket_mpb_desc(guest->ch, desc, size, memory, 8, 1),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, memory, 8, &got, &id), -ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket_raw(guest->ch, memory, 8, &got, &id), -ENODEV);
	KUNIT_EXPECT_NULL(test, hv_pkt_iter_first(guest->ch));
	KUNIT_EXPECT_EQ(test, hv_ringbuffer_get_debuginfo(&guest->ch->inbound, &info), -EINVAL);
	KUNIT_EXPECT_EQ(test, hv_ringbuffer_get_debuginfo(&guest->ch->outbound, &info), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), 0);
}

/* Panic code asks before it sends. */
static void send_lock_shows(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	unsigned long flags;
	bool busy;

	KUNIT_EXPECT_FALSE(test, hv_ringbuffer_spinlock_busy(guest->ch));
	spin_lock_irqsave(&guest->ch->outbound.ring_lock, flags);
	busy = hv_ringbuffer_spinlock_busy(guest->ch);
	spin_unlock_irqrestore(&guest->ch->outbound.ring_lock, flags);
	KUNIT_EXPECT_TRUE(test, busy);
	KUNIT_EXPECT_FALSE(test, hv_ringbuffer_spinlock_busy(guest->ch));
}

struct sending {
	struct guest_chan *guest;
	unsigned int sent;
	bool stop;
};

static int send_all_the_time(void *context)
{
	struct sending *sending = context;
	int err = 0;

	while (!READ_ONCE(sending->stop) && (!err || err == -EAGAIN || err == -ENODEV)) {
		err = guest_send(sending->guest, "", 1, 1);
		sending->sent += !err;
		cond_resched();
	}
	return READ_ONCE(sending->stop) ? 0 : err;
}

/* As a primary closes its sub-channels, whoever sends there. */
static void closes_under_senders(struct kunit *test)
{
	struct sending *sending = kunit_kcalloc(test, 2, sizeof(*sending), GFP_KERNEL);
	struct guest_chan *guest = ring_open(test, &sim_sink, RING_SMALLEST);
	struct guest_call *senders[2];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, sending);
	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		sending[i].guest = guest;
		senders[i] = guest_call_begin(test, send_all_the_time, &sending[i]);
	}
	for (i = 0; i < 50; i++) {
		usleep_range(1000, 3000);
		vmbus_close(guest->ch);
		KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -ENODEV);
		KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	}
	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(sending[i].sent)));
		WRITE_ONCE(sending[i].stop, true);
		KUNIT_EXPECT_EQ(test, guest_call_end(senders[i]), 0);
	}
}

static void rescinded_channel(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct ring_packet packet = inband(8, 1);
	u32 got;
	u64 id;

	/* What came before the end can still be read. */
	KUNIT_EXPECT_EQ(test, ring_host_write(guest, &packet), 0);
	vmbus_chan_get(to_vmbus_chan(guest->ch));
	sim_rescind(guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(guest->ch->rescind)));
	KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, guest->last, 8, &got, &id), 0);
	KUNIT_EXPECT_EQ(test, got, 8);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -ENODEV);
	vmbus_chan_put(to_vmbus_chan(guest->ch));
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guest->host)));
}

/* ---- request ids ---- */

#define REQUESTS	3

static void use_request_ids(struct vmbus_channel *ch)
{
	ch->rqstor_size = REQUESTS;
	ch->next_request_id_callback = vmbus_next_request_id;
	ch->request_addr_callback = vmbus_request_addr;
}

static int send_request(struct guest_chan *guest, u64 addr, u64 *id)
{
	u64 payload = addr;

	return vmbus_sendpacket_getid(guest->ch, &payload, sizeof(payload), addr, id,
				      VM_PKT_DATA_INBAND,
				      VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED);
}

static void request_ids(struct kunit *test)
{
	struct guest_chan *guest = ring_open_with(test, NULL, RING_SMALLEST, use_request_ids);
	struct sim_ring *ring = &guest->host->in;
	u64 id, buffer[8];
	u32 in, i;

	for (i = 1; i <= REQUESTS; i++) {
		KUNIT_EXPECT_EQ(test, send_request(guest, 0x1000 + i, &id), 0);
		KUNIT_EXPECT_EQ(test, id, i);
		KUNIT_EXPECT_EQ(test, ring_host_read(guest, buffer, sizeof(buffer)), 24);
		KUNIT_EXPECT_EQ(test, buffer[1], i);
	}
	/* Without an id nothing is sent, and it does not count as a full ring. */
	in = ring->header->in;
	KUNIT_EXPECT_EQ(test, send_request(guest, 1, &id), -EAGAIN);
	KUNIT_EXPECT_EQ(test, ring->header->in, in);
	KUNIT_EXPECT_EQ(test, guest->ch->out_full_total, 0);
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), REQUESTS);
	/* Packets that ask for no completion need none. */
	KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 0x77), 0);
	KUNIT_EXPECT_EQ(test, ring_host_read(guest, buffer, sizeof(buffer)), 24);
	KUNIT_EXPECT_EQ(test, buffer[1], 0x77);
	/* An id that comes back is used again, once. */
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, 2), 0x1002);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, 2), VMBUS_RQST_ERROR);
	KUNIT_EXPECT_EQ(test, send_request(guest, 0x2000, &id), 0);
	KUNIT_EXPECT_EQ(test, id, 2);
	KUNIT_EXPECT_EQ(test, send_request(guest, 1, &id), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, 2), 0x2000);
}

/* A full ring takes no id. */
static void request_ids_and_full_ring(struct kunit *test)
{
	struct guest_chan *guest = ring_open_with(test, NULL, RING_SMALLEST, use_request_ids);
	struct ring_packet packet = inband(SMALL_MOST, 1);
	u64 id, i;

	KUNIT_EXPECT_EQ(test, send_inband(guest, &packet), 0);
	for (i = 0; i < 2 * REQUESTS; i++)
		KUNIT_EXPECT_EQ(test, send_request(guest, 1, &id), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &packet));
	for (i = 1; i <= REQUESTS; i++) {
		KUNIT_EXPECT_EQ(test, send_request(guest, i, &id), 0);
		KUNIT_EXPECT_EQ(test, id, i);
	}
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(sends_at_every_offset),
	KUNIT_CASE_PARAM(receives_at_every_offset, api_gen_params),
	KUNIT_CASE(sends_every_size),
	KUNIT_CASE(receives_every_size),
	KUNIT_CASE(big_packets),
	KUNIT_CASE(never_quite_full),
	KUNIT_CASE(drains_full_ring),
	KUNIT_CASE(sends_all_kinds),
	KUNIT_CASE(sends_gpa_direct),
	KUNIT_CASE(receives_all_kinds),
	KUNIT_CASE(small_buffer),
	KUNIT_CASE(iterates_in_parts),
	KUNIT_CASE(iterator_clamps),
	KUNIT_CASE(closed_channel),
	KUNIT_CASE(send_lock_shows),
	KUNIT_CASE(closes_under_senders),
	KUNIT_CASE(rescinded_channel),
	KUNIT_CASE(request_ids),
	KUNIT_CASE(request_ids_and_full_ring),
	{}
};

struct kunit_suite ring_suite = {
	.name = "hv_vmbus_ring",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = ring_cases,
};
