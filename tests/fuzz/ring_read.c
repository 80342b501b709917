// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host behind an inbound ring: receive, iterators, publishing. What a
 * correct host sent has to arrive as it was sent; of anybody else's packets the
 * driver may not believe more than it checked.
 */
#include <stdlib.h>

#include "host.h"

#define MAX_QUEUED	1024

const u32 driver_owns = offsetof(struct hv_ring_buffer, read_index);
struct vmbus_conn vmbus_conn;

static struct vmbus_chan chan;
static u32 nr_pages, pkt_buffer_size;
static unsigned int signals;
static bool is_open, outstanding;

/* What a correct host has sent and the driver has not stepped over. */
static struct sent {
	u64 word0;
	u64 trans_id;
	u32 seed;
} queue[MAX_QUEUED];
static unsigned int head, tail;

int vmbus_host_signal_event(u64 connection_id)
{
	check(connection_id == chan.ch.sig_event);
	signals++;
	return 0;
}

/* The host takes every signal here. */
void vmbus_signal_refused(struct vmbus_chan *chan)
{
	check(false);
}

static u32 offset_of(u64 word0)
{
	return (word0 >> 16 & 0xffff) * 8;
}

static u32 length_of(u64 word0)
{
	return (word0 >> 32 & 0xffff) * 8;
}

/* @failing: which of its three allocations fails, if any */
static void open_ring(unsigned int failing)
{
	int ret;

	vmbus_ring_setup(&chan.rx, &chan.ch.inbound);
	fail_allocation(failing);
	ret = vmbus_ring_map(&chan.rx, shared_pages(), nr_pages, pkt_buffer_size);
	fail_allocation(0);
	check(ret == (failing ? -ENOMEM : 0));
	if (ret) {
		check(!chan.ch.inbound.ring_buffer);
		return;
	}
	shared_mapped();
	shared.logged = 0;
	head = 0;
	tail = 0;
	outstanding = false;
	is_open = true;
}

static void close_ring(void)
{
	shared_verify();
	vmbus_ring_unmap(&chan.rx);
	is_open = false;
}

/* ---- a correct host sends ---- */

static void send(void)
{
	u32 seed = input_u8(), kind = input_u8();
	u32 payload = kind & 1 ? input_u16() : input_u8();
	u32 offset = 16 + (kind & 2 ? input_u8() % 32 * 8 : 0);
	u32 write = shared.ring->write_index;
	u32 len = min(offset + ALIGN(payload, 8), 0xffffu * 8), i;
	u64 trailer = (u64)write << 32;
	struct sent *sent = &queue[tail % MAX_QUEUED];
	u8 word[8];

	if (shared.broke_rules || tail - head == MAX_QUEUED)
		return;
	if (distance(shared.ring->read_index, write) + len + 8 >= shared.size) {
		host_set(&shared.ring->pending_send_sz, kind & 4 ? len + 8 : 0);
		return;
	}
	sent->word0 = (kind >> 4) | (u64)offset / 8 << 16 | (u64)len / 8 << 32 |
		      (u64)(kind >> 3 & 1) << 48;
	sent->trans_id = seed * 0x0123456789abcdefULL;
	sent->seed = seed;
	tail++;
	host_write(write, &sent->word0, 8);
	host_write(write + 8, &sent->trans_id, 8);
	for (i = 16; i < len; i += 8) {
		for (u32 k = 0; k < 8; k++)
			word[k] = pattern(seed, i + k);
		host_write(write + i, word, 8);
	}
	host_write(write + len, &trailer, 8);
	host_set(&shared.ring->write_index, (write + len + 8) % shared.size);
}

/* A packet with any descriptor; it may reach beyond what is written, or not. */
static void send_wrong(void)
{
	u64 desc[2] = { input_u64(), input_u8() };
	u32 write = shared.ring->write_index / 8 * 8 % shared.size;

	shared.broke_rules = true;
	host_write(write, desc, sizeof(desc));
	write += input_u8() & 1 ? length_of(desc[0]) + 8 : input_u8() * 8;
	host_set(&shared.ring->write_index, write % shared.size);
}

/* ---- what must hold ---- */

static void check_payload(const u8 *data, const struct sent *sent, u32 from, u32 to)
{
	u32 i;

	for (i = from; i < to; i++)
		check(data[i - from] == pattern(sent->seed, i));
}

/* The reader's state from which a call starts. */
struct before {
	u32 read;	/* next byte to read */
	u32 told;	/* read index that the host knows */
	u32 seen;
	bool broken;
};

static struct before look_before(void)
{
	forget();
	signals = 0;
	return (struct before){
		.read = chan.ch.inbound.priv_read_index,
		.told = chan.rx.index,
		.seen = chan.rx.seen,
		.broken = chan.rx.broken,
	};
}

/* The packet at @read was read once, and what was read is sound. */
static void check_sound(const struct before *before, u32 read)
{
	u32 seen = before->seen == read ? observed.write_index.first : before->seen;
	u64 word0 = observed.data[0];

	check(!before->broken);
	check(observed.words == 2);
	check(before->seen != read || observed.write_index.count);
	check(index_valid(seen) && index_valid(read));
	check(offset_of(word0) >= 16 && offset_of(word0) <= length_of(word0));
	check(length_of(word0) + 8 <= distance(read, seen));
}

/* The host was told of @read and signalled only if it waited for that. */
static void check_published(const struct before *before, u32 read)
{
	u32 wanted = observed.pending_send_sz.last / 8 * 8;
	u32 write = observed.write_index.last, room, freed;

	check(chan.rx.index == read);
	if (before->told == read) {
		check(!observed.stores && !signals);
		return;
	}
	check(observed.stores == 1 && observed.stored == read);
	if (!wanted || !(observed.feature_bits.last & 1)) {
		check(!signals);
		return;
	}
	if (!index_valid(write)) {
		check(!signals && chan.rx.broken);
		return;
	}
	room = shared.size - distance(read, write);
	freed = distance(before->told, read);
	check(signals == (room > wanted && (freed >= room || room - freed <= wanted)));
}

static void check_ring(void)
{
	check(index_valid(chan.ch.inbound.priv_read_index));
	check(index_valid(chan.rx.index) && index_valid(chan.rx.seen));
	check(shared.logged <= 1);
	check(shared.broke_rules || !chan.rx.broken);
	check(!chan.rx.broken || chan.rx.seen == chan.ch.inbound.priv_read_index);
	if (shared.size <= 4 * PAGE_SIZE)
		shared_verify();
}

/* ---- what the VSC does ---- */

static void check_received(const struct before *before, const u8 *buffer, u32 actual, u64 id,
			   bool raw)
{
	u32 skip = raw ? 0 : offset_of(observed.data[0]);
	u32 len = length_of(observed.data[0]);
	struct sent *sent;

	check_sound(before, before->read);
	check(actual == len - skip && id == observed.data[1]);
	check(!raw || !memcmp(buffer, observed.data, 16));
	check(chan.ch.inbound.priv_read_index == (before->read + len + 8) % shared.size);
	if (shared.broke_rules)
		return;
	check(head != tail);
	sent = &queue[head++ % MAX_QUEUED];
	check(observed.data[0] == sent->word0 && id == sent->trans_id);
	if (raw)
		check_payload(buffer + 16, sent, 16, len);
	else
		check_payload(buffer, sent, skip, len);
}

static void receive(bool raw)
{
	u32 size = input_u8() & 1 ? input_u16() : input_u8(), actual = -1;
	struct before before = look_before();
	u8 *buffer = malloc(size);
	u64 id = -1;
	int ret;

	ret = raw ? vmbus_recvpacket_raw(&chan.ch, buffer, size, &actual, &id) :
		    vmbus_recvpacket(&chan.ch, buffer, size, &actual, &id);
	if (ret == -ENODEV) {
		check(!is_open);
	} else if (ret == -EIO) {
		check(chan.rx.broken && shared.logged == 1 && !actual && !id);
	} else if (ret == -ENOBUFS) {
		check_sound(&before, before.read);
		check(actual > size && !observed.stores);
		check(chan.ch.inbound.priv_read_index == before.read);
	} else if (!observed.words) {
		check(!ret && !actual && !id && !before.broken);
		check(shared.broke_rules || head == tail);
	} else {
		check(!ret && actual <= size);
		check_received(&before, buffer, actual, id, raw);
		check_published(&before, chan.ch.inbound.priv_read_index);
		outstanding = false;
	}
	free(buffer);
}

/* What an iterator gave out, from the packet at @read. */
static void check_given(const struct before *before, const struct vmpacket_descriptor *desc,
			u32 read)
{
	u32 size = chan.ch.inbound.pkt_buffer_size;
	u32 whole = length_of(observed.data[0]);
	u32 offset, len;
	u64 word0;

	outstanding = desc;
	if (!desc) {
		check(chan.rx.broken || !observed.words);
		check(shared.broke_rules || head == tail);
		return;
	}
	check_sound(before, read);
	check(chan.ch.inbound.priv_read_index == read);
	check((void *)desc == chan.ch.inbound.pkt_buffer);
	memcpy(&word0, desc, sizeof(word0));
	offset = offset_of(word0);
	len = length_of(word0);
	check(len == min(whole, size) && offset == min(offset_of(observed.data[0]), len));
	check(offset >= 16 && !((word0 ^ observed.data[0]) & 0xffff00000000ffffULL));
	check(whole > size || desc->trans_id == observed.data[1]);
	if (shared.broke_rules)
		return;
	check(head != tail && observed.data[0] == queue[head % MAX_QUEUED].word0);
	check(desc->trans_id == queue[head % MAX_QUEUED].trans_id);
	check_payload((u8 *)desc + 16, &queue[head % MAX_QUEUED], 16, len);
}

static struct vmpacket_descriptor *first(void)
{
	struct before before = look_before();
	struct vmpacket_descriptor *desc = hv_pkt_iter_first(&chan.ch);

	if (is_open)
		check_given(&before, desc, before.read);
	else
		check(!desc);
	return desc;
}

static struct vmpacket_descriptor *next(struct vmpacket_descriptor *desc, u32 handed_out)
{
	struct before before = look_before();
	u32 read = (before.read + handed_out) % shared.size;

	check(outstanding);
	head += !shared.broke_rules;
	desc = __hv_pkt_iter_next(&chan.ch, desc);
	check(!before.broken || !desc);
	if (!before.broken)
		check_given(&before, desc, read);
	outstanding = desc;
	return desc;
}

static void close_iter(void)
{
	struct before before = look_before();

	hv_pkt_iter_close(&chan.ch);
	check(!observed.words);
	check_published(&before, before.read);
}

/* A VSC's loop ends: each packet takes 24 bytes, and the host has so many turns. */
static void drain(bool close_each)
{
	unsigned int count = 0, acted = shared.acted;
	struct vmpacket_descriptor *desc = first();

	while (desc) {
		check(++count <= (shared.acted - acted + 2) * (shared.size / 24));
		if (close_each)
			close_iter();
		desc = next(desc, chan.rx.handed_out);
	}
	close_iter();
}

static void debug_info(void)
{
	struct hv_ring_buffer_debug_info info;
	int ret;

	forget();
	ret = hv_ringbuffer_get_debuginfo(&chan.ch.inbound, &info);
	check(ret == (is_open ? 0 : -EINVAL));
	if (ret)
		return;
	check(info.current_read_index == observed.read_index.last &&
	      info.current_write_index == observed.write_index.last);
	check(info.bytes_avail_toread < shared.size && info.bytes_avail_towrite <= shared.size);
}

static void operation(void)
{
	switch (input_u8() % 16) {
	case 0:
	case 1:
	case 2:
		if (is_open)
			send();
		break;
	case 3:
		if (is_open)
			send_wrong();
		break;
	case 4:
		host_act(NULL);
		break;
	case 5:
	case 6:
		receive(true);
		break;
	case 7:
	case 8:
		receive(false);
		break;
	case 9:
		first();
		break;
	case 10:
	case 11:
		if (is_open && outstanding)
			next(chan.ch.inbound.pkt_buffer, chan.rx.handed_out);
		break;
	case 12:
		if (is_open)
			close_iter();
		break;
	case 13:
		if (is_open)
			drain(input_u8() & 1);
		break;
	case 14:
		debug_info();
		break;
	case 15:
		if (is_open)
			close_ring();
		else
			open_ring(input_u8() % 4);
		break;
	}
	if (is_open)
		check_ring();
}

int fuzz_one(const u8 *data, size_t size)
{
	static const u32 data_pages[] = { 1, 1, 2, 3, 1, 2, 3, FUZZ_MAX_DATA_PAGES };
	struct page *header_only = NULL;
	u32 wish;

	input_start(data, size);
	memset(&chan, 0, sizeof(chan));
	chan.ch.is_dedicated_interrupt = true;
	chan.ch.sig_event = 0x1234;
	nr_pages = 1 + data_pages[input_u8() % ARRAY_SIZE(data_pages)];
	wish = input_u16();
	pkt_buffer_size = 1 + wish % (2 * PAGE_SIZE);
	shared_start(&chan.ch.inbound, nr_pages - 1, input_u8());
	chan.rx.info = &chan.ch.inbound;
	check(vmbus_ring_map(&chan.rx, &header_only, 1, pkt_buffer_size) == -EINVAL);
	open_ring(0);
	while (input_more())
		operation();
	if (is_open)
		close_ring();
	return 0;
}
