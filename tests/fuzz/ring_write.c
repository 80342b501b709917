// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host behind an outbound ring: every way to send, and the ring's
 * reserve and commit. A packet's room and our index are all that may change in
 * the shared memory, wherever the host says that it reads; what a correct host
 * reads is what was sent.
 */
#include <stdlib.h>

#include "host.h"

const u32 driver_owns = offsetof(struct hv_ring_buffer, write_index);
struct vmbus_conn vmbus_conn;

static struct vmbus_chan chan;
static struct hv_monitor_page monitor;
static u32 nr_pages;
static unsigned int signals;
static bool is_open;

/* Packets that a correct host has not read, and where it goes on. */
static unsigned int unread;
static u32 host_read;

/* Where the driver is in the ring, reckoned here. */
static u32 model_index;
static bool model_broken;

/* Payloads end where the array does: a byte too far is seen. */
static u8 payloads[0xffff * 8 + 64], ranges[0xffff * 8 + 64];

enum ids { IDS_NONE, IDS_OTHER, IDS_REFUSED, IDS_EXHAUSTED, IDS_COUNT };
static enum ids ids;

int vmbus_host_signal_event(u64 connection_id)
{
	check(connection_id == chan.ch.sig_event && !chan.ch.outbound.ring_lock.held);
	signals++;
	return 0;
}

/* The host takes every signal here. */
void vmbus_signal_refused(struct vmbus_chan *chan)
{
	check(false);
}

static u64 next_id(struct vmbus_channel *channel, u64 address)
{
	static const u64 answers[IDS_COUNT] = {
		[IDS_OTHER] = 0x1122334455667788ULL,
		[IDS_REFUSED] = VMBUS_NO_RQSTOR,
		[IDS_EXHAUSTED] = VMBUS_RQST_ERROR,
	};

	return answers[ids];
}

static void open_ring(void)
{
	vmbus_ring_setup(&chan.tx, &chan.ch.outbound);
	check(!vmbus_ring_map(&chan.tx, shared_pages(), nr_pages, 0));
	shared_mapped();
	shared.logged = 0;
	model_index = 0;
	host_read = 0;
	unread = 0;
	model_broken = false;
	is_open = true;
}

static void close_ring(void)
{
	shared_verify();
	vmbus_ring_unmap(&chan.tx);
	is_open = false;
}

/* ---- what is sent, and what has to come of it ---- */

/**
 * struct wish - a packet as the VSC wants it
 * @desc: its descriptor, as it has to stand in the ring
 * @ranges_len: bytes of ranges between descriptor and payload
 * @len: bytes of payload
 */
struct wish {
	struct vmpacket_descriptor desc;
	u32 ranges_len;
	u32 len;
};

static u32 wish_total(const struct wish *wish)
{
	return ALIGN(16 + wish->ranges_len + wish->len, 8);
}

static const u8 *payload_of(const struct wish *wish)
{
	return payloads + sizeof(payloads) - wish->len;
}

/* The driver's index goes into what the memory must be; then the two are compared. */
static void expect_packet(const struct wish *wish)
{
	u32 total = wish_total(wish), first = min(total + 8, shared.size - model_index);
	u8 *packet = calloc(1, total + 8);
	u64 trailer = (u64)model_index << 32;

	memcpy(packet, &wish->desc, 16);
	memcpy(packet + 16, ranges, wish->ranges_len);
	memcpy(packet + 16 + wish->ranges_len, payload_of(wish), wish->len);
	memcpy(packet + total, &trailer, 8);
	memcpy(shared.shadow->buffer + model_index, packet, first);
	memcpy(shared.shadow->buffer, packet + first, total + 8 - first);
	free(packet);

	model_index = (model_index + total + 8) % shared.size;
	check(observed.stores == 1 && observed.stored == model_index);
	unread++;
}

/* Whether there is room for @total bytes, from the read index that the driver saw. */
static int expected_room(u32 total)
{
	u32 read = observed.read_index.first;

	check(is_open && !model_broken && observed.read_index.count);
	if (!index_valid(read))
		return -EIO;
	return distance(read, model_index) + total + 8 < shared.size ? 0 : -EAGAIN;
}

static void expect_signal(u32 old)
{
	bool wanted = !observed.interrupt_mask.last && observed.read_index.last == old;
	bool by_page = chan.ch.offermsg.monitor_allocated && !chan.ch.low_latency;
	u32 pending = monitor.trigger_group[chan.ch.monitor_grp].pending;

	check(observed.interrupt_mask.count == 1);
	check(observed.read_index.count == (observed.interrupt_mask.last ? 1 : 2));
	check(signals == (wanted && !by_page));
	check(pending == (wanted && by_page ? 1u << chan.ch.monitor_bit : 0));
}

/* @ret: what the driver said to @wish; @trans_id: the id it told. */
static void expect_result(int ret, struct wish *wish, const u64 *trans_id)
{
	u32 total = wish_total(wish), old = model_index;
	int expected;

	if (wish->len > 0xffff * 8 || total > 0xffff * 8) {
		expected = -EINVAL;
	} else if (!is_open || chan.ch.rescind) {
		expected = -ENODEV;
	} else if (model_broken) {
		expected = -EIO;
	} else {
		expected = expected_room(total);
		model_broken = expected == -EIO;
		if (expected == -EAGAIN && total + 8 >= shared.size)
			expected = -EINVAL;
		if (!expected && wish->desc.flags == 1 && ids == IDS_EXHAUSTED)
			expected = -EAGAIN;
	}
	check(ret == expected);
	check(!chan.ch.outbound.ring_lock.held);
	if (ret) {
		check(!observed.stores && !signals);
		return;
	}
	wish->desc.offset8 = (16 + wish->ranges_len) / 8;
	wish->desc.len8 = total / 8;
	if (wish->desc.flags == 1 && ids == IDS_OTHER)
		wish->desc.trans_id = 0x1122334455667788ULL;
	check(!trans_id || *trans_id == wish->desc.trans_id);
	expect_packet(wish);
	expect_signal(old);
}

static void check_ring(void)
{
	check(chan.tx.index == model_index && index_valid(chan.tx.index));
	check(chan.tx.broken == model_broken);
	check(shared.broke_rules || !model_broken);
	check(shared.logged <= 1 + (ids == IDS_EXHAUSTED) * 1000u);
	if (shared.size <= 4 * PAGE_SIZE)
		shared_verify();
}

static void prepare(void)
{
	forget();
	signals = 0;
	memset(&monitor, 0, sizeof(monitor));
}

/* Mostly small, now and then up to more than a packet can be. */
static u32 some_length(void)
{
	u8 kind = input_u8();

	if (kind < 160)
		return kind;
	return kind < 240 ? input_u16() % (shared.size + 64) : input_u16() * 8 + kind % 16;
}

/* The start tells packets apart, the rest is what it was. */
static void fill(u8 *to, u32 len, u8 seed)
{
	u32 i;

	for (i = 0; i < min(len, 64u); i++)
		to[i] = pattern(seed, i);
}

static void send(bool tell_id)
{
	struct wish wish = { .len = min(some_length(), 0xffffu * 8 + 64) };
	u64 trans_id = -1;
	int ret;

	wish.desc.type = input_u8();
	wish.desc.flags = input_u8() % 3;
	wish.desc.trans_id = input_u8() * 0x0101010101ULL;
	fill((u8 *)payload_of(&wish), wish.len, wish.desc.trans_id);
	prepare();
	if (tell_id)
		ret = vmbus_sendpacket_getid(&chan.ch, (void *)payload_of(&wish), wish.len,
					     wish.desc.trans_id, &trans_id, wish.desc.type,
					     wish.desc.flags);
	else
		ret = vmbus_sendpacket(&chan.ch, (void *)payload_of(&wish), wish.len,
				       wish.desc.trans_id, wish.desc.type, wish.desc.flags);
	expect_result(ret, &wish, tell_id && !ret ? &trans_id : NULL);
}

/* GPA-direct: the ranges are the VSC's own, reserved and rangecount apart. */
static void send_ranges(void)
{
	u32 size = some_length(), count = input_u8() % 4;
	struct vmbus_packet_mpb_array *mpb;
	struct wish wish = { .len = input_u8() };
	u8 *memory;
	int ret;

	if (input_u8() % 8)
		size = ALIGN(size, 8);
	size = max_t(u32, min(size, 0xffffu * 8 + 16), sizeof(*mpb));
	memory = malloc(size);
	mpb = (void *)memory;
	fill(memory, size, count);
	mpb->rangecount = count;
	wish.desc.type = VM_PKT_DATA_USING_GPA_DIRECT;
	wish.desc.flags = 1;
	wish.desc.trans_id = input_u8();
	fill((u8 *)payload_of(&wish), wish.len, count);
	prepare();
	ret = vmbus_sendpacket_mpb_desc(&chan.ch, mpb, size, (void *)payload_of(&wish), wish.len,
					wish.desc.trans_id);
	if (size % 8 || size < 40 || size > 0xffff * 8) {
		check(ret == -EINVAL && !observed.stores);
	} else {
		check(!mpb->reserved && mpb->rangecount == (count ? count : 1));
		wish.ranges_len = size - 16;
		memcpy(ranges, memory + 16, wish.ranges_len);
		expect_result(ret, &wish, NULL);
	}
	free(memory);
}

/* The ring alone, without a channel. */
static void reserve_commit(void)
{
	struct wish wish = { .len = min(some_length() / 8, 0xffffu - 2) * 8 };
	u32 total = wish_total(&wish), old = model_index;
	unsigned long flags;
	u8 *room;
	bool signal;

	wish.desc.len8 = total / 8;
	fill((u8 *)payload_of(&wish), wish.len, total);
	prepare();
	spin_lock_irqsave(&chan.ch.outbound.ring_lock, flags);
	room = vmbus_ring_reserve(&chan.tx, total);
	if (model_broken || expected_room(total)) {
		check(room == ERR_PTR(model_broken ? -EIO : expected_room(total)));
		model_broken |= room == ERR_PTR(-EIO);
		spin_unlock_irqrestore(&chan.ch.outbound.ring_lock, flags);
		return;
	}
	memcpy(room, &wish.desc, 16);
	memcpy(room + 16, payload_of(&wish), wish.len);
	signal = vmbus_ring_commit(&chan.tx, room, total);
	spin_unlock_irqrestore(&chan.ch.outbound.ring_lock, flags);
	expect_packet(&wish);
	check(signal == (!observed.interrupt_mask.last && observed.read_index.last == old));
}

/* ---- a correct host ---- */

/* Reads a packet as the protocol says, and lets the driver have its room. */
static void read_one(void)
{
	const u8 *data = shared.ring->buffer;
	u64 descriptor, trailer;
	u32 len;

	if (shared.broke_rules)
		return;
	check(distance(host_read, shared.ring->write_index) ? unread : !unread);
	if (!unread)
		return;
	memcpy(&descriptor, data + host_read, 8);
	len = (descriptor >> 32 & 0xffff) * 8;
	check(len >= 16 && len + 8 <= distance(host_read, shared.ring->write_index));
	memcpy(&trailer, data + (host_read + len) % shared.size, 8);
	check(trailer == (u64)host_read << 32);
	host_read = (host_read + len + 8) % shared.size;
	unread--;
	host_set(&shared.ring->read_index, host_read);
}

static void operation(void)
{
	switch (input_u8() % 16) {
	case 0:
	case 1:
		send(false);
		break;
	case 2:
	case 3:
		send(true);
		break;
	case 4:
	case 5:
		send_ranges();
		break;
	case 6:
	case 7:
		if (is_open)
			reserve_commit();
		break;
	case 8:
	case 9:
	case 10:
		if (is_open)
			read_one();
		break;
	case 11:
		host_act(NULL);
		break;
	case 12:
		host_set(&shared.ring->interrupt_mask, input_u8() & 1);
		break;
	case 13:
		chan.ch.low_latency = !chan.ch.low_latency;
		check(!hv_ringbuffer_spinlock_busy(&chan.ch));
		break;
	case 14:
		chan.ch.rescind = input_u8() % 4 == 0;
		break;
	case 15:
		if (is_open)
			close_ring();
		else
			open_ring();
		break;
	}
	if (is_open)
		check_ring();
}

int fuzz_one(const u8 *data, size_t size)
{
	static const u32 data_pages[] = { 1, 1, 2, 3, 1, 2, 3, FUZZ_MAX_DATA_PAGES };
	u8 config;

	input_start(data, size);
	memset(&chan, 0, sizeof(chan));
	chan.ch.is_dedicated_interrupt = true;
	chan.ch.sig_event = 0x1234;
	config = input_u8();
	nr_pages = 1 + data_pages[config % 8];
	ids = config / 8 % IDS_COUNT;
	chan.ch.next_request_id_callback = ids == IDS_NONE ? NULL : next_id;
	chan.ch.offermsg.monitor_allocated = config / 32;
	chan.ch.monitor_grp = config / 64;
	chan.ch.monitor_bit = input_u8() % 32;
	vmbus_conn.monitor_pages[1] = &monitor;
	shared_start(&chan.ch.outbound, nr_pages - 1, input_u8());
	open_ring();
	while (input_more())
		operation();
	if (is_open)
		close_ring();
	return 0;
}
