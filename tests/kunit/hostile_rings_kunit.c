// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_hostile_rings: rings whose shared part has any content at any time.
 *
 * Two ways: one step after the other, where what the guest has to make of it is
 * known exactly; and a host that scribbles while the guest reads, where KASAN
 * watches. A good device works next to the bad one.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "guest.h"
#include "log_watch.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

static unsigned int ring_count = 250000;
module_param(ring_count, uint, 0444);
MODULE_PARM_DESC(ring_count, "Corruptions of rings, in all");

#define STEPPED_CASES	4
#define SCRIBBLED_CASES	9
#define SCRIBBLED_SHARE	20	/* of ring_count, together: they close and open for real */

#define RING		(3 * PAGE_SIZE)	/* larger than what an iterator copies */
#define REOPEN		4000	/* steps between two openings */
#define SHOW_OFF	1000	/* steps between two echoes of the good device */

enum api { RECV, RECV_RAW, ITER, NR_APIS };

static struct guest_chan *good;
static struct sim_chan *bad_host;
static struct vmbus_chan *bad;
static struct rnd_state dice;

static u32 roll(u32 below)
{
	return prandom_u32_state(&dice) % below;
}

static bool good_echoes(void)
{
	int before = atomic_read(&good->received);
	u64 payload = before;

	return !guest_send(good, &payload, sizeof(payload), before) &&
	       sim_wait(atomic_read(&good->received) == before + 1);
}

static void set_up(struct kunit *test)
{
	struct sim_chan *good_host = sim_add(test, NULL, &sim_echo);

	good = kunit_kzalloc(test, sizeof(*good), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, good);
	good->reads = true;
	bad_host = sim_add(test, NULL, &sim_manual);
	prandom_seed_state(&dice, sim_random(U32_MAX));
	sim_start_ok(test, SIM_USUAL);
	guest_open(test, good, good_host);
	bad = to_vmbus_chan(sim_guest_channel(test, bad_host));
}

/* ---- step by step ---- */

static void nothing(void *context)
{
}

static u32 distance(u32 size, u32 from, u32 to)
{
	return to >= from ? to - from : size - from + to;
}

static bool index_fits(u32 size, u32 index)
{
	return index < size && index % 8 == 0;
}

static u32 some_index(u32 size)
{
	static const u32 edges[] = { 0, 1, 4, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff };

	switch (roll(16)) {
	case 0:
		return prandom_u32_state(&dice);
	case 1:
		return edges[roll(ARRAY_SIZE(edges))];
	case 2:
		return size + roll(32) - 16;
	default:
		return roll(size / 8) * 8;
	}
}

/* Mostly nearly right: what is quite wrong is found at the first look. */
static void some_descriptor(struct sim_packet_header *header)
{
	prandom_bytes_state(&dice, header, sizeof(*header));
	if (roll(8))
		header->len8 = roll(8) ? roll(64) : roll(1024);
	if (roll(8))
		header->offset8 = roll(8) ? 2 : roll(16);
}

/* A write index: of a packet that @header describes, or any. */
static u32 some_end(const struct sim_ring *ring, u32 pos, const struct sim_packet_header *header)
{
	if (!roll(4))
		return some_index(ring->size);
	return (pos + header->len8 * 8 + 8) % ring->size;
}

/* What the next packet at @pos is: its bytes, 0 if there is none, -EIO. */
static int next_packet(const struct sim_ring *ring, u32 pos, struct sim_packet_header *header)
{
	u32 in = ring->header->in;

	if (in == pos)
		return 0;
	if (!index_fits(ring->size, in))
		return -EIO;
	sim_peek(ring, pos, header, sizeof(*header));
	if (header->offset8 < 2 || header->offset8 > header->len8 ||
	    header->len8 * 8 + 8 > distance(ring->size, pos, in))
		return -EIO;
	return header->len8 * 8;
}

static u8 buffer[RING];

/* Reads one packet; the errno, or bytes of what the API calls the packet. */
static int read_one(struct vmbus_channel *ch, enum api api, bool first)
{
	struct vmpacket_descriptor *desc;
	u32 len;
	u64 id;
	int err;

	if (api == ITER) {
		desc = first ? hv_pkt_iter_first(ch) : __hv_pkt_iter_next(ch, NULL);
		if (!desc)
			return to_vmbus_chan(ch)->rx.broken ? -EIO : 0;
		/* All that the VSC may look at. */
		memcpy(buffer, desc, desc->len8 * 8);
		return desc->len8 * 8;
	}
	if (api == RECV)
		err = vmbus_recvpacket(ch, buffer, sizeof(buffer), &len, &id);
	else
		err = vmbus_recvpacket_raw(ch, buffer, sizeof(buffer), &len, &id);
	return err ?: len;
}

/* What read_one() has to return for a packet of @len bytes. */
static int as_read(enum api api, const struct sim_packet_header *header, int len)
{
	if (len <= 0)
		return len;
	if (api == RECV)
		return len - header->offset8 * 8;
	if (api == ITER)
		return min_t(int, len, bad->ch.max_pkt_size);
	return len;
}

/*
 * Reads until there is nothing more, beside the rules as this file knows them.
 * Return: false if the guest sees something else. *@broken: it is corrupt.
 */
static bool read_and_compare(enum api api, u32 *pos, bool *broken)
{
	const struct sim_ring *ring = &bad_host->out;
	struct sim_packet_header header;
	bool first = true;
	int len, expected, got;

	do {
		len = next_packet(ring, *pos, &header);
		expected = as_read(api, &header, len);
		got = read_one(&bad->ch, api, first);
		/* A packet without payload looks like none, and is stepped over. */
		if (got != expected) {
			pr_err("hostile: %d instead of %d, packet of %d at %u, in %u\n", got,
			       expected, len, *pos, ring->header->in);
			return false;
		}
		if (len > 0)
			*pos = (*pos + len + 8) % ring->size;
		first = false;
	} while (len > 0);
	if (api == ITER)
		hv_pkt_iter_close(&bad->ch);
	*broken = len < 0;
	return true;
}

/*
 * As after closing and opening, which takes a thousand times as long. Nobody
 * else uses the ring: its callback does nothing.
 */
static void rearm_inbound(u32 pos)
{
	WRITE_ONCE(bad_host->out.header->in, pos);
	bad->rx.broken = false;
	bad->rx.reported = false;
	bad->rx.handed_out = 0;
	bad->rx.seen = pos;
	bad->rx.index = pos;
	bad->ch.inbound.priv_read_index = pos;
}

static bool step_inbound(enum api api, u32 *pos, unsigned int *breaks)
{
	struct sim_ring *ring = &bad_host->out;
	struct sim_packet_header header;
	bool broken;
	u32 in;

	some_descriptor(&header);
	sim_poke(bad_host, *pos, &header, sizeof(header));
	in = some_end(ring, *pos, &header);
	if (!roll(4)) {
		prandom_bytes_state(&dice, &header, sizeof(header));
		sim_poke(bad_host, roll(ring->size), &header, sizeof(header));
	}
	ring->header->interrupt_mask = roll(3);
	ring->header->pending_send = some_index(ring->size);
	ring->header->features = roll(4);
	ring->header->out = some_index(ring->size);
	WRITE_ONCE(ring->header->in, in);

	if (!read_and_compare(api, pos, &broken))
		return false;
	if (broken) {
		(*breaks)++;
		/* It stays so, whatever the host does. */
		WRITE_ONCE(ring->header->in, *pos);
		if (read_one(&bad->ch, api, true) != -EIO)
			return false;
		rearm_inbound(*pos);
	}
	return true;
}

static bool step_outbound(unsigned int *breaks)
{
	struct sim_ring_header *header = bad_host->in.header;
	u32 size = bad_host->in.size, len = 8 * (1 + roll(200)), old = bad->tx.index;
	int expected = 0, got;

	header->in = some_index(size);
	header->interrupt_mask = roll(2);
	header->pending_send = some_index(size);
	header->features = roll(4);
	header->out = some_index(size);
	if (!index_fits(size, header->out))
		expected = -EIO;
	else if (distance(size, header->out, old) + 16 + len + 8 >= size)
		expected = -EAGAIN;
	got = vmbus_sendpacket(&bad->ch, buffer, len, 1, VM_PKT_DATA_INBAND, 0);
	if (got != expected || (!got && header->in != (old + 16 + len + 8) % size) ||
	    (got && bad->tx.index != old)) {
		pr_err("hostile: send: %d instead of %d, out %u, in %u\n", got, expected,
		       header->out, header->in);
		return false;
	}
	if (got == -EIO) {
		(*breaks)++;
		header->out = old;
		if (vmbus_sendpacket(&bad->ch, buffer, len, 1, VM_PKT_DATA_INBAND, 0) != -EIO)
			return false;
		bad->tx.broken = false;
		bad->tx.reported = false;
	}
	return true;
}

struct stepped_case {
	const char *name;
	enum api api;
	bool outbound;
};

static void steps(struct kunit *test)
{
	const struct stepped_case *param = test->param_value;
	unsigned int count = ring_count / STEPPED_CASES, breaks = 0, i;
	unsigned long began;
	u32 pos = 0;
	bool fine = true;

	set_up(test);
	log_watch_begin();
	began = jiffies;
	for (i = 0; i < count && fine; i++) {
		if (i % REOPEN == 0) {
			vmbus_close(&bad->ch);
			pos = 0;
			fine = !vmbus_open(&bad->ch, RING, RING, NULL, 0, nothing, NULL);
		}
		if (fine && param->outbound)
			fine = step_outbound(&breaks);
		else if (fine)
			fine = step_inbound(param->api, &pos, &breaks);
		if (i % SHOW_OFF == 0)
			fine &= good_echoes();
	}
	KUNIT_EXPECT_TRUE(test, fine);
	log_watch_end(test, 20);
	KUNIT_EXPECT_TRUE(test, good_echoes());
	KUNIT_EXPECT_GT(test, breaks, count / 20);
	KUNIT_EXPECT_LT(test, breaks, count);
	kunit_info(test, "%u corruptions, found %u, %u ms\n", i, breaks,
		   jiffies_to_msecs(jiffies - began));
}

static const struct stepped_case stepped_cases[STEPPED_CASES] = {
	{ "recvpacket", RECV },
	{ "recvpacket_raw", RECV_RAW },
	{ "iterator", ITER },
	{ "send", RECV, true },
};

static void describe_step(const struct stepped_case *param, char *description)
{
	strscpy(description, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(steps, stepped_cases, describe_step);

/* ---- while the guest reads ---- */

struct scribbled_case {
	const char *name;
	enum api api;
	enum hv_callback_mode mode;
};

static atomic_t scribbles, packets;

/* Until there is nothing or the ring is broken; a host that goes on has to wait. */
static void read_all(void *context)
{
	const struct scribbled_case *param = context;
	unsigned int i;

	for (i = 0; i < 100 && read_one(&bad->ch, param->api, !i) > 0; i++)
		atomic_inc(&packets);
	if (param->api == ITER)
		hv_pkt_iter_close(&bad->ch);
}

static void scribble(void)
{
	struct sim_ring *ring = &bad_host->out;
	struct sim_packet_header header;
	u32 pos;

	some_descriptor(&header);
	switch (roll(8)) {
	case 0:
		ring->header->pending_send = some_index(ring->size);
		ring->header->features = roll(4);
		break;
	case 1:
		ring->header->interrupt_mask = roll(2);
		ring->header->out = some_index(ring->size);
		break;
	case 2:
		prandom_bytes_state(&dice, &header, sizeof(header));
		sim_poke(bad_host, roll(ring->size), &header, sizeof(header));
		break;
	default:
		/* Where the guest will look next, or is looking. */
		pos = READ_ONCE(bad->ch.inbound.priv_read_index);
		sim_poke(bad_host, pos, &header, sizeof(header));
		WRITE_ONCE(ring->header->in, some_end(ring, pos, &header));
	}
	atomic_inc(&scribbles);
}

static int scribbler(void *unused)
{
	unsigned int i;

	while (!kthread_should_stop()) {
		sim_lock();
		/* When it is closed the memory is the guest's again. */
		for (i = 0; bad_host->open && !READ_ONCE(bad->rx.broken) && i < 20; i++) {
			scribble();
			sim_event(0, bad_host->relid);
		}
		sim_unlock();
		usleep_range(50, 200);
	}
	return 0;
}

static void survives_scribbling(struct kunit *test)
{
	const struct scribbled_case *param = test->param_value;
	unsigned int count = ring_count / SCRIBBLED_SHARE / SCRIBBLED_CASES, opens = 0;
	struct task_struct *thread;
	bool fine = true;

	atomic_set(&scribbles, 0);
	atomic_set(&packets, 0);
	set_up(test);
	bad->ch.callback_mode = param->mode;
	log_watch_begin();
	thread = kthread_run(scribbler, NULL, "scribbler");
	while (fine && !IS_ERR(thread) && atomic_read(&scribbles) < count) {
		fine = !vmbus_open(&bad->ch, RING, RING, NULL, 0, read_all, (void *)param);
		opens++;
		fine = fine && sim_wait(READ_ONCE(bad->rx.broken) ||
					atomic_read(&scribbles) >= count);
		fine = fine && good_echoes();
		vmbus_close(&bad->ch);
	}
	if (!IS_ERR(thread))
		kthread_stop(thread);
	KUNIT_EXPECT_TRUE(test, fine);
	log_watch_end(test, 20);
	KUNIT_EXPECT_GT(test, opens, 1);
	KUNIT_EXPECT_GT(test, atomic_read(&packets), 0);
	KUNIT_EXPECT_GE(test, atomic_read(&scribbles), count);
	kunit_info(test, "%d corruptions, %d packets, %u openings\n", atomic_read(&scribbles),
		   atomic_read(&packets), opens);
}

static const struct scribbled_case scribbled_cases[SCRIBBLED_CASES] = {
	{ "recvpacket, batched", RECV, HV_CALL_BATCHED },
	{ "recvpacket, direct", RECV, HV_CALL_DIRECT },
	{ "recvpacket, interrupt", RECV, HV_CALL_ISR },
	{ "recvpacket_raw, batched", RECV_RAW, HV_CALL_BATCHED },
	{ "recvpacket_raw, direct", RECV_RAW, HV_CALL_DIRECT },
	{ "recvpacket_raw, interrupt", RECV_RAW, HV_CALL_ISR },
	{ "iterator, batched", ITER, HV_CALL_BATCHED },
	{ "iterator, direct", ITER, HV_CALL_DIRECT },
	{ "iterator, interrupt", ITER, HV_CALL_ISR },
};

static void describe_scribble(const struct scribbled_case *param, char *description)
{
	strscpy(description, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(scribbles, scribbled_cases, describe_scribble);

static struct kunit_case hostile_rings_cases[] = {
	KUNIT_CASE_PARAM(steps, steps_gen_params),
	KUNIT_CASE_PARAM(survives_scribbling, scribbles_gen_params),
	{}
};

struct kunit_suite hostile_rings_suite = {
	.name = "hv_vmbus_hostile_rings",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = hostile_rings_cases,
};
