// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_flip: the host changes the rings while the guest looks at them. What
 * was checked must be what is used: nothing is read or written outside of what
 * belongs to the packet (KASAN sees that), and no call goes on for ever.
 */
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "rings.h"
#include "suites.h"

#define DATA		(RING_SMALLEST - PAGE_SIZE)
#define FLIP_MS		1000
#define BUFFER		1000
#define SMALL_COPY	256U	/* max_pkt_size */

/* struct flipper - a thread of the host that writes to the rings of a channel */
struct flipper {
	struct guest_chan *guest;
	struct rnd_state random;
	bool outbound;
	u64 flips;
	struct task_struct *task;
};

static u32 random(struct flipper *flipper, u32 below)
{
	return prandom_u32_state(&flipper->random) % below;
}

static const u32 odd_values[] = { 0, 1, 4, DATA - 8, DATA, DATA + 8, 0x80000000, U32_MAX };

/* Mostly multiples of 8 in the ring, so that the guest often comes far. */
static u32 any_index(struct flipper *flipper)
{
	if (random(flipper, 64))
		return random(flipper, DATA / 8) * 8;
	return odd_values[random(flipper, ARRAY_SIZE(odd_values))];
}

/* One sound descriptor and another, to and fro: a second look finds what was not checked. */
static void toggle(struct flipper *flipper)
{
	const u32 *read = &flipper->guest->ch->inbound.priv_read_index;
	u8 *data = flipper->guest->host->out.data;
	u32 i;

	for (i = 0; i < 1000; i++)
		WRITE_ONCE(*(u64 *)(data + READ_ONCE(*read)),
			   (i & 1 ? 3ull : 20ull) << 32 | 2 << 16 | VM_PKT_DATA_INBAND);
}

/* Descriptors that are sound as often as not, where the guest reads next. */
static void flip_inbound(struct flipper *flipper)
{
	struct guest_chan *guest = flipper->guest;
	struct sim_ring *ring = &guest->host->out;
	u32 at = READ_ONCE(guest->ch->inbound.priv_read_index);
	u64 len8 = random(flipper, 8) ? random(flipper, 160) : random(flipper, 0x10000);
	u64 offset8 = random(flipper, 8) ? 2 + random(flipper, 6) : random(flipper, 0x10000);
	u32 i;

	switch (random(flipper, 4)) {
	case 0:
		WRITE_ONCE(ring->header->in, any_index(flipper));
		toggle(flipper);
		break;
	case 1:
		i = random(flipper, 4) + 1;
		WRITE_ONCE(((u32 *)ring->header)[i], random(flipper, 4) ? any_index(flipper) : 0);
		break;
	default:
		for (i = 0; i < 8; i++)
			WRITE_ONCE(*(u64 *)(ring->data + (at + random(flipper, 64) * 8) % DATA),
				   len8 << 32 | offset8 << 16 | random(flipper, 0x10000));
	}
}

static void flip_outbound(struct flipper *flipper)
{
	struct sim_ring *ring = &flipper->guest->host->in;

	switch (random(flipper, 4)) {
	case 0:
	case 1:
		WRITE_ONCE(ring->header->out, any_index(flipper));
		break;
	case 2:
		WRITE_ONCE(((u32 *)ring->header)[random(flipper, 17)], any_index(flipper));
		break;
	default:
		WRITE_ONCE(*(u64 *)(ring->data + random(flipper, DATA / 8) * 8),
			   prandom_u32_state(&flipper->random));
	}
}

static int flipper_thread(void *data)
{
	struct flipper *flipper = data;

	while (!kthread_should_stop()) {
		if (flipper->outbound)
			flip_outbound(flipper);
		else
			flip_inbound(flipper);
		WRITE_ONCE(flipper->flips, flipper->flips + 1);
		if (flipper->flips % 1024 == 0)
			cond_resched();
	}
	return 0;
}

static struct flipper *start_flipper(struct kunit *test, struct guest_chan *guest, bool outbound)
{
	struct flipper *flipper = kunit_kzalloc(test, sizeof(*flipper), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, flipper);
	flipper->guest = guest;
	flipper->outbound = outbound;
	prandom_seed_state(&flipper->random, sim_random(U32_MAX));
	flipper->task = kthread_run(flipper_thread, flipper, "ring-flipper");
	KUNIT_ASSERT_FALSE(test, IS_ERR(flipper->task));
	return flipper;
}

/* The same between the calls: the thread's share of the processors may be small. */
static struct flipper own_changes(const struct flipper *flipper)
{
	struct flipper own = { .guest = flipper->guest };

	prandom_seed_state(&own.random, sim_random(U32_MAX));
	return own;
}

static void small_copies(struct vmbus_channel *ch)
{
	ch->max_pkt_size = SMALL_COPY;
}

/* struct tally - what the guest met with */
struct tally {
	u32 good;
	u32 broken;
	u32 too_small;
	u32 wrong;
};

static void count_length(struct tally *tally, int err, u32 got, u32 size)
{
	if (err == -EIO && !got)
		tally->broken++;
	else if (err == -ENOBUFS && got > size && got < DATA)
		tally->too_small++;
	else if (!err && got <= size && got % 8 == 0)
		tally->good += !!got;
	else
		tally->wrong++;
}

static void receive_many(struct guest_chan *guest, bool raw, void *buffer, struct tally *tally)
{
	int err, i;
	u32 got;
	u64 id;

	for (i = 0; i < 100; i++) {
		err = (raw ? vmbus_recvpacket_raw : vmbus_recvpacket)(guest->ch, buffer, BUFFER,
								      &got, &id);
		count_length(tally, err, got, BUFFER);
		if (raw && !err && got) {
			struct vmpacket_descriptor *desc = buffer;

			/* The copy says what was checked, not what the host made of it. */
			if (hv_pkt_len(desc) != got || desc->offset8 < 2 ||
			    desc->offset8 > desc->len8 || desc->trans_id != id)
				tally->wrong++;
		}
		if (err)
			return;
	}
}

static void iterate_many(struct guest_chan *guest, void *buffer, struct tally *tally)
{
	const struct vmbus_ring *rx = &to_vmbus_chan(guest->ch)->rx;
	struct vmpacket_descriptor *desc;
	u32 count = 0;

	foreach_vmbus_pkt(desc, guest->ch) {
		if (hv_pkt_len(desc) != min(rx->handed_out - RING_TRAILER, SMALL_COPY) ||
		    desc->offset8 < 2 || desc->offset8 > desc->len8) {
			tally->wrong++;
			break;
		}
		/* As a VSC does: it takes the lengths at their word. */
		memcpy(buffer, desc, hv_pkt_len(desc));
		memcpy(buffer, hv_pkt_data(desc), hv_pkt_datalen(desc));
		tally->good++;
		if (++count == 100) {
			hv_pkt_iter_close(guest->ch);
			return;
		}
	}
	if (to_vmbus_chan(guest->ch)->rx.broken)
		tally->broken++;
}

/* Wherever the guest looks there is a packet. */
static void fill_sound(struct sim_ring *ring)
{
	u64 *words = (u64 *)ring->data;
	u32 i;

	for (i = 0; i < DATA / 8; i++)
		WRITE_ONCE(words[i], (2 + i % 150ull) << 32 | 2 << 16 | VM_PKT_DATA_INBAND);
}

static void mend(struct guest_chan *guest)
{
	struct vmbus_chan *chan = to_vmbus_chan(guest->ch);

	if (chan->rx.broken) {
		ring_seek_in(guest, sim_random(DATA / 8) * 8);
		fill_sound(&guest->host->out);
		chan->rx.broken = false;
		WRITE_ONCE(guest->host->out.header->in, sim_random(DATA / 8) * 8);
	}
	if (chan->tx.broken) {
		ring_seek_out(guest, sim_random(DATA / 8) * 8);
		chan->tx.broken = false;
	}
}

static const enum ring_api apis[] = { RING_RECV, RING_RAW, RING_ITER };

static void api_name(const enum ring_api *api, char *desc)
{
	static const char * const names[] = { "recvpacket", "recvpacket_raw", "iterator" };

	strscpy(desc, names[*api], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(api, apis, api_name);

static void while_receiving(struct kunit *test)
{
	struct guest_chan *guest = ring_open_with(test, NULL, RING_SMALLEST, small_copies);
	void *buffer = kunit_kzalloc(test, BUFFER, GFP_KERNEL);
	unsigned long end = jiffies + msecs_to_jiffies(FLIP_MS);
	const enum ring_api *api = test->param_value;
	struct flipper *flipper, own;
	struct tally tally = { };

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	flipper = start_flipper(test, guest, false);
	own = own_changes(flipper);
	while (time_before(jiffies, end) || tally.good < 100 || tally.broken < 100 ||
	       READ_ONCE(flipper->flips) <= 1000 || (*api != RING_ITER && !tally.too_small)) {
		if (*api == RING_ITER)
			iterate_many(guest, buffer, &tally);
		else
			receive_many(guest, *api == RING_RAW, buffer, &tally);
		mend(guest);
		flip_inbound(&own);
		cond_resched();
		if (time_after(jiffies, end + msecs_to_jiffies(SIM_PATIENCE_MS)))
			break;
	}
	kthread_stop(flipper->task);
	kunit_info(test, "%u packets, %u times broken, %u too small a buffer, %llu changes\n",
		   tally.good, tally.broken, tally.too_small, flipper->flips);
	KUNIT_EXPECT_EQ(test, tally.wrong, 0);
	KUNIT_EXPECT_GE(test, tally.good, 100);
	KUNIT_EXPECT_GE(test, tally.broken, 100);
	KUNIT_EXPECT_GT(test, flipper->flips, 1000);
	KUNIT_EXPECT_EQ(test, *api != RING_ITER, tally.too_small > 0);
}

static void while_sending(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	unsigned long end = jiffies + msecs_to_jiffies(FLIP_MS);
	u32 sent = 0, full = 0, broken = 0, wrong = 0;
	struct flipper *flipper = start_flipper(test, guest, true);
	struct flipper own = own_changes(flipper);

	while (time_before(jiffies, end) || sent < 100 || full < 10 || broken < 10) {
		switch (guest_send(guest, ring_pattern(BUFFER, sent), sim_random(BUFFER), sent)) {
		case 0:
			sent++;
			break;
		case -EAGAIN:
			full++;
			break;
		case -EIO:
			broken++;
			break;
		default:
			wrong++;
		}
		mend(guest);
		flip_outbound(&own);
		cond_resched();
		if (time_after(jiffies, end + msecs_to_jiffies(SIM_PATIENCE_MS)))
			break;
	}
	kthread_stop(flipper->task);
	kunit_info(test, "%u packets, %u times full, %u times broken, %llu changes\n", sent, full,
		   broken, flipper->flips);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_GE(test, sent, 100);
	KUNIT_EXPECT_GE(test, full, 10);
	KUNIT_EXPECT_GE(test, broken, 10);
}

/* A BATCHED callback that reads what comes gives its processor back, and can be closed. */
static void while_calling_back(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	unsigned long end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	struct flipper *flipper;
	struct sim_chan *host;
	int calls;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->reads = true;
	sim_start_ok(test, SIM_USUAL);
	host = sim_add(test, NULL, NULL);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, RING_SMALLEST), 0);
	flipper = start_flipper(test, guest, false);
	while (!READ_ONCE(guest->error) && time_before(jiffies, end)) {
		sim_lock();
		sim_interrupt_locked(host);
		sim_unlock();
		usleep_range(100, 200);
	}
	kthread_stop(flipper->task);
	calls = atomic_read(&guest->callbacks);
	sim_lock();
	sim_interrupt_locked(host);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) != calls));
	KUNIT_EXPECT_EQ(test, guest->error, -EIO);
	KUNIT_EXPECT_TRUE(test, to_vmbus_chan(guest->ch)->rx.broken);
	vmbus_close(guest->ch);
	guest->error = 0;
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, RING_SMALLEST), 0);
	calls = atomic_read(&guest->received);
	sim_lock();
	KUNIT_EXPECT_EQ(test, sim_write(host, SIM_PKT_INBAND, 0, 9, "healthy", 8), 0);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == calls + 1));
	KUNIT_EXPECT_STREQ(test, (char *)guest->last, "healthy");
}

static struct kunit_case flip_cases[] = {
	KUNIT_CASE_PARAM(while_receiving, api_gen_params),
	KUNIT_CASE(while_sending),
	KUNIT_CASE(while_calling_back),
	{}
};

struct kunit_suite flip_suite = {
	.name = "hv_vmbus_flip",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = flip_cases,
};
