// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_flow: the two sides signal each other when they must, and only then;
 * what counters and debug information say of it. One step at a time; the same
 * at full speed is in stream_kunit.c.
 */
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "rings.h"
#include "suites.h"

#define DATA	(RING_SMALLEST - PAGE_SIZE)
#define STEP	(DATA / 64)	/* bytes that a packet of PAYLOAD bytes takes */
#define PAYLOAD	(STEP - RING_DESC - RING_TRAILER)

static const u8 payload[PAYLOAD];

static const struct ring_packet plain = {
	.type = VM_PKT_DATA_INBAND,
	.payload = payload,
	.len = PAYLOAD,
};

static void send_some(struct kunit *test, struct guest_chan *guest, u32 count)
{
	while (count--)
		KUNIT_EXPECT_EQ(test, guest_send(guest, payload, PAYLOAD, 0), 0);
}

static void host_reads_some(struct kunit *test, struct guest_chan *guest, u32 count)
{
	u8 buffer[STEP];

	while (count--)
		KUNIT_EXPECT_EQ(test, ring_host_read(guest, buffer, sizeof(buffer)),
				STEP - RING_TRAILER);
}

static void guest_reads_some(struct kunit *test, struct guest_chan *guest, u32 count)
{
	u32 got;
	u64 id;

	while (count--) {
		KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, guest->last, PAYLOAD, &got, &id),
				0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
	}
}

/* Signals since the last time. */
static u32 new_signals(struct guest_chan *guest)
{
	u64 all = sim_signals(guest->host), before = guest->last_id;

	guest->last_id = all;
	return all - before;
}

/* ---- guest to host: the host may sleep when it has read everything ---- */

static void signals_when_it_was_empty(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static const u32 bursts[] = { 1, 2, 17, 63 };
	u32 i, round;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < ARRAY_SIZE(bursts); i++) {
			send_some(test, guest, bursts[i]);
			KUNIT_EXPECT_EQ(test, new_signals(guest), 1);
			/* As long as one is left the host is not asleep. */
			host_reads_some(test, guest, bursts[i] - 1);
			send_some(test, guest, 1);
			KUNIT_EXPECT_EQ(test, new_signals(guest), 0);
			host_reads_some(test, guest, 2);
			KUNIT_EXPECT_EQ(test, ring_host_read(guest, guest->last, 8), 0);
		}
		if (ring_failed(test))
			return;
	}
	KUNIT_EXPECT_EQ(test, guest->ch->intr_out_empty, 200 * ARRAY_SIZE(bursts));
	KUNIT_EXPECT_EQ(test, guest->ch->sig_events, 200 * ARRAY_SIZE(bursts));
}

static void masked_host_is_left_alone(struct kunit *test)
{
	static const u32 masks[] = { 1, 2, 0x80000000, U32_MAX };
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 *mask = &guest->host->in.header->interrupt_mask;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		WRITE_ONCE(*mask, masks[i]);
		send_some(test, guest, 3);
		host_reads_some(test, guest, 3);
		send_some(test, guest, 1);
		KUNIT_EXPECT_EQ(test, new_signals(guest), 0);
		/* The host looks after unmasking; that there is more is no news. */
		WRITE_ONCE(*mask, 0);
		send_some(test, guest, 2);
		KUNIT_EXPECT_EQ(test, new_signals(guest), 0);
		host_reads_some(test, guest, 3);
		send_some(test, guest, 1);
		KUNIT_EXPECT_EQ(test, new_signals(guest), 1);
		host_reads_some(test, guest, 1);
	}
}

/* A netvsc that waits for room: the host signals once, at the crossing. */
static void host_signals_room(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 wanted, free, before;

	for (wanted = 8; wanted <= DATA; wanted += DATA / 16 + 8) {
		ring_seek_out(guest, sim_random(DATA / 8) * 8);
		send_some(test, guest, DATA / STEP - 1);
		KUNIT_EXPECT_EQ(test, guest_send(guest, payload, PAYLOAD, 0), -EAGAIN);
		set_channel_pending_send_size(guest->ch, wanted);
		for (free = STEP; free < DATA; free += STEP) {
			before = READ_ONCE(guest->host->interrupts);
			host_reads_some(test, guest, 1);
			KUNIT_EXPECT_EQ_MSG(test, guest->host->interrupts - before,
					    free <= wanted && free + STEP > wanted,
					    "%u wanted, %u were free", wanted, free);
		}
		KUNIT_EXPECT_EQ(test, hv_get_bytes_to_write(&guest->ch->outbound), DATA);
		set_channel_pending_send_size(guest->ch, 0);
		if (ring_failed(test))
			return;
	}
}

/* ---- host to guest: the host waits for room ---- */

static const u32 wanted_sizes[] = { 0, 1, 7, 8, STEP - 1, STEP, STEP + 1, STEP + 8, STEP + 36,
				    2 * STEP, DATA / 2, DATA / 2 + 1, DATA / 2 + 7, DATA - 96,
				    DATA - 17, DATA - 16, DATA - 9, DATA - 8, DATA - 1, DATA,
				    DATA + 1, 0x80000000, U32_MAX };

/* The rule in other words: reading was what made more than the wanted room. */
static bool crosses(u32 wanted, u32 before, u32 after)
{
	wanted &= ~7U;
	return wanted && before <= wanted && after > wanted;
}

static void fill_inbound(struct kunit *test, struct guest_chan *guest, u32 wanted, u32 features)
{
	u32 i;

	ring_seek_in(guest, sim_random(DATA / 8) * 8);
	for (i = 0; i < DATA / STEP - 1; i++)
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &plain), 0);
	guest->host->out.header->features = features;
	WRITE_ONCE(guest->host->out.header->pending_send, wanted);
}

static void signals_room(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 i, features, free, wanted, expected, total = 0;

	for (features = 0; features < 2; features++) {
		for (i = 0; i < ARRAY_SIZE(wanted_sizes); i++) {
			wanted = wanted_sizes[i];
			fill_inbound(test, guest, wanted, features);
			for (free = STEP; free < DATA; free += STEP) {
				guest_reads_some(test, guest, 1);
				expected = features && crosses(wanted, free, free + STEP);
				total += expected;
				KUNIT_EXPECT_EQ_MSG(test, new_signals(guest), expected,
						    "%u wanted, %u were free", wanted, free);
			}
			if (ring_failed(test))
				return;
		}
	}
	KUNIT_EXPECT_EQ(test, guest->ch->intr_in_full, total);
	KUNIT_EXPECT_GT(test, total, 10);
}

/* The index is published and the host signalled once for each batch. */
static void signals_room_by_batches(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 i, batch, out, free, before;
	struct vmpacket_descriptor *desc;

	for (i = 0; i < 3 * ARRAY_SIZE(wanted_sizes); i++) {
		fill_inbound(test, guest, wanted_sizes[i / 3], 1);
		free = STEP;
		batch = 0;
		out = guest->host->out.header->out;
		before = free;
		foreach_vmbus_pkt(desc, guest->ch) {
			KUNIT_EXPECT_EQ(test, guest->host->out.header->out, out);
			if (++batch % (7 + 8 * (i % 3)) == 0) {
				/* The packet in hand still has its room. */
				free = batch * STEP;
				hv_pkt_iter_close(guest->ch);
				out = guest->host->out.header->out;
				KUNIT_EXPECT_EQ(test, new_signals(guest),
						crosses(wanted_sizes[i / 3], before, free));
				before = free;
			}
		}
		KUNIT_EXPECT_EQ(test, new_signals(guest),
				crosses(wanted_sizes[i / 3], before, DATA));
		if (ring_failed(test))
			return;
	}
}

/* The host as it is: it asks when it finds no room, and takes it back when it has. */
static void host_that_was_stuck(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 len, free, read, signals, round;
	struct ring_packet big = plain;

	big.payload = ring_pattern(DATA, 1);
	for (len = 0; len < DATA - 32; len += STEP - 8) {
		big.len = len;
		ring_seek_in(guest, sim_random(DATA / 8) * 8);
		for (round = 0; !ring_host_write(guest, &plain); round++)
			;
		KUNIT_EXPECT_EQ(test, round, DATA / STEP - 1);
		if (ring_len(&big) + RING_TRAILER < STEP)
			continue;
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &big), -EAGAIN);
		signals = 0;
		free = STEP;
		for (read = 0; read < round; read++, free += STEP) {
			guest_reads_some(test, guest, 1);
			if (!new_signals(guest))
				continue;
			signals++;
			KUNIT_EXPECT_EQ(test, ring_host_write(guest, &big), 0);
			KUNIT_EXPECT_LE(test, free, ring_len(&big) + RING_TRAILER);
		}
		KUNIT_EXPECT_EQ_MSG(test, signals, 1, "for %u bytes", len);
		if (ring_failed(test))
			return;
	}
}

/* ---- what is shown ---- */

static void counts_full_rings(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct vmbus_channel *ch = guest->ch;
	u32 round, i;

	for (round = 1; round <= 3; round++) {
		send_some(test, guest, DATA / STEP - 1);
		for (i = 0; i < 5; i++)
			KUNIT_EXPECT_EQ(test, guest_send(guest, payload, PAYLOAD, 0), -EAGAIN);
		KUNIT_EXPECT_EQ(test, ch->out_full_first, round);
		KUNIT_EXPECT_EQ(test, ch->out_full_total, 5 * round);
		host_reads_some(test, guest, DATA / STEP - 1);
	}
	/* What never fits says nothing of the host's speed. */
	KUNIT_EXPECT_EQ(test, guest_send(guest, payload, U16_MAX * 8, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, guest_send(guest, payload, DATA - 24, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ch->out_full_total, 5 * 3);
	KUNIT_EXPECT_EQ(test, ch->intr_out_empty, 3);
	KUNIT_EXPECT_EQ(test, ch->intr_in_full, 0);
	KUNIT_EXPECT_EQ(test, ch->sig_events, 3);
}

static void debug_info(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct hv_ring_buffer_debug_info info;
	struct vmbus_channel *ch = guest->ch;
	u32 offset;

	for (offset = 0; offset < DATA; offset = ring_next(offset, 8, DATA)) {
		ring_seek_out(guest, offset);
		ring_seek_in(guest, offset);
		send_some(test, guest, 3);
		guest->host->in.header->interrupt_mask = offset;
		KUNIT_EXPECT_EQ(test, hv_ringbuffer_get_debuginfo(&ch->outbound, &info), 0);
		KUNIT_EXPECT_EQ(test, info.current_read_index, offset);
		KUNIT_EXPECT_EQ(test, info.current_write_index, (offset + 3 * STEP) % DATA);
		KUNIT_EXPECT_EQ(test, info.bytes_avail_toread, 3 * STEP);
		KUNIT_EXPECT_EQ(test, info.bytes_avail_towrite, DATA - 3 * STEP);
		KUNIT_EXPECT_EQ(test, info.current_interrupt_mask, offset);
		KUNIT_EXPECT_EQ(test, hv_get_avail_to_write_percent(&ch->outbound),
				(DATA - 3 * STEP) * 10 / ((u32)RING_SMALLEST / 10));
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &plain), 0);
		KUNIT_EXPECT_EQ(test, hv_ringbuffer_get_debuginfo(&ch->inbound, &info), 0);
		KUNIT_EXPECT_EQ(test, info.current_read_index, offset);
		KUNIT_EXPECT_EQ(test, info.current_write_index, (offset + STEP) % DATA);
		KUNIT_EXPECT_EQ(test, info.bytes_avail_toread, STEP);
		KUNIT_EXPECT_EQ(test, info.bytes_avail_towrite, DATA - STEP);
		KUNIT_EXPECT_EQ(test, info.current_interrupt_mask, 0);
		if (ring_failed(test))
			return;
	}
}

/* The host watches a bit in the monitor page instead of being called. */
static void monitored(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct hv_monitor_page *page;
	struct sim_chan *host;
	static const u8 ids[] = { 0, 31, 37, 127 };
	unsigned int i;
	u32 *pending;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	sim_start_ok(test, SIM_USUAL);
	page = sim_seen(vmbus_connection.monitor_pages[1]);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		memset(guest, 0, sizeof(*guest));
		host = sim_new(test, 0, NULL, NULL);
		host->monitored = true;
		host->monitor_id = ids[i];
		sim_offer(host);
		KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, RING_SMALLEST), 0);
		pending = &page->trigger_group[ids[i] / 32].pending;
		/* The host does not look at the page meanwhile. */
		sim_lock();
		send_some(test, guest, 2);
		KUNIT_EXPECT_EQ(test, *pending, BIT(ids[i] % 32));
		KUNIT_EXPECT_EQ(test, sim_signals(host), 0);
		KUNIT_EXPECT_EQ(test, guest->ch->sig_events, 1);
		*pending = 0;
		/* Not empty before, so no signal. */
		send_some(test, guest, 1);
		KUNIT_EXPECT_EQ(test, *pending, 0);
		sim_unlock();
		host_reads_some(test, guest, 3);
		guest->ch->low_latency = true;
		send_some(test, guest, 1);
		KUNIT_EXPECT_EQ(test, *pending, 0);
		KUNIT_EXPECT_EQ(test, sim_signals(host), 1);
		KUNIT_EXPECT_EQ(test, guest->ch->sig_events, 2);
		vmbus_close(guest->ch);
	}
}

static struct kunit_case flow_cases[] = {
	KUNIT_CASE(signals_when_it_was_empty),
	KUNIT_CASE(masked_host_is_left_alone),
	KUNIT_CASE(host_signals_room),
	KUNIT_CASE(signals_room),
	KUNIT_CASE(signals_room_by_batches),
	KUNIT_CASE(host_that_was_stuck),
	KUNIT_CASE(counts_full_rings),
	KUNIT_CASE(debug_info),
	KUNIT_CASE(monitored),
	{}
};

struct kunit_suite flow_suite = {
	.name = "hv_vmbus_flow",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = flow_cases,
};
