// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_callback: when and where the callback of a channel runs, and request
 * ids.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/preempt.h>

#include "call.h"
#include "guest.h"
#include "modes.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

/**
 * struct watch - what a callback finds when it runs
 * @guest: its channel
 * @over: it must not run any more
 * @late: how often it did nevertheless
 * @astray: not in the context of its mode, or with the wrong interrupt mask
 * @running: callbacks that run now
 * @overlaps: how often one ran beside another
 */
struct watch {
	struct guest_chan guest;
	bool over;
	atomic_t running;
	atomic_t overlaps;
	atomic_t late;
	atomic_t astray;
};

static bool context_fits(struct vmbus_channel *ch)
{
	u32 masked = READ_ONCE(ch->inbound.ring_buffer->interrupt_mask);

	switch (ch->callback_mode) {
	case HV_CALL_ISR:
		return guest_in_interrupt() && !masked;
	case HV_CALL_DIRECT:
		return in_serving_softirq() && !masked;
	case HV_CALL_BATCHED:
		return in_serving_softirq() && masked == 1;
	}
	return false;
}

static void watching(void *context)
{
	struct watch *watch = context;

	if (READ_ONCE(watch->over))
		atomic_inc(&watch->late);
	if (!context_fits(watch->guest.ch))
		atomic_inc(&watch->astray);
	guest_callback(&watch->guest);
}

static struct watch *start(struct kunit *test, const struct sim_vsp *vsp)
{
	const struct mode *mode = test->param_value;
	struct watch *watch = kunit_kzalloc(test, sizeof(*watch), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, watch);
	watch->guest.host = sim_add(test, NULL, vsp);
	watch->guest.reads = true;
	sim_start_ok(test, SIM_USUAL);
	watch->guest.ch = sim_guest_channel(test, watch->guest.host);
	set_channel_read_mode(watch->guest.ch, mode->mode);
	return watch;
}

static int open(struct watch *watch)
{
	return vmbus_open(watch->guest.ch, GUEST_RING, GUEST_RING, NULL, 0, watching, watch);
}

/* One interrupt for so many packets. */
static void interrupt_for(struct kunit *test, struct watch *watch, unsigned int packets)
{
	struct vmbus_channel *ch = watch->guest.ch;
	int calls = atomic_read(&watch->guest.callbacks);
	u32 got = atomic_read(&watch->guest.received), i;

	guest_tasklet_ends(ch);
	sim_lock();
	for (i = 0; i < packets; i++)
		KUNIT_EXPECT_GE(test, sim_write_quiet(watch->guest.host, SIM_PKT_INBAND, 0, i, &i,
						      sizeof(i)), 0);
	sim_interrupt_locked(watch->guest.host);
	sim_unlock();
	got += packets;
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&watch->guest.received) == got));
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&watch->guest.callbacks) > calls));
	KUNIT_EXPECT_TRUE(test, sim_wait(guest_unmasked(ch)));
}

static void runs_where_it_belongs(struct kunit *test)
{
	struct watch *watch = start(test, &sim_manual);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, open(watch), 0);
	for (i = 0; i < 34; i++)
		interrupt_for(test, watch, 1 + i % 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&watch->guest.received), 51);
	KUNIT_EXPECT_GE(test, atomic_read(&watch->guest.callbacks), 34);
	KUNIT_EXPECT_EQ(test, atomic_read(&watch->astray), 0);
	KUNIT_EXPECT_EQ(test, watch->guest.error, 0);
}

/* Interrupts every CPU about the channel, without end. */
static int hammer(void *context)
{
	struct watch *watch = context;
	unsigned int cpu;

	while (!kthread_should_stop()) {
		for_each_online_cpu(cpu)
			sim_event(cpu, watch->guest.host->relid);
		usleep_range(20, 50);
	}
	return 0;
}

static void lingering(void *context)
{
	struct watch *watch = context;

	if (atomic_inc_return(&watch->running) != 1)
		atomic_inc(&watch->overlaps);
	mdelay(1);
	atomic_dec(&watch->running);
	atomic_inc(&watch->guest.callbacks);
}

/* While a channel moves the host may interrupt its old CPU and its new one. */
static void never_runs_twice_at_once(struct kunit *test)
{
	struct watch *watch = start(test, &sim_manual);
	struct task_struct *task;

	KUNIT_ASSERT_EQ(test, vmbus_open(watch->guest.ch, GUEST_RING, GUEST_RING, NULL, 0,
					 lingering, watch), 0);
	task = kthread_run(hammer, watch, "hammer");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&watch->guest.callbacks) > 300));
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, atomic_read(&watch->overlaps), 0);
}

/* One life of the channel under interrupts. */
static void close_under_fire(struct kunit *test, struct watch *watch, bool reset)
{
	int before = atomic_read(&watch->guest.callbacks);

	WRITE_ONCE(watch->over, false);
	KUNIT_EXPECT_EQ(test, open(watch), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&watch->guest.callbacks) > before + 5));
	if (reset) {
		vmbus_reset_channel_cb(watch->guest.ch);
		WRITE_ONCE(watch->over, true);
		usleep_range(1000, 2000);
	}
	vmbus_close(watch->guest.ch);
	WRITE_ONCE(watch->over, true);
	usleep_range(1000, 2000);
}

static void never_runs_after_the_end(struct kunit *test)
{
	struct watch *watch = start(test, &sim_manual);
	struct task_struct *task = kthread_run(hammer, watch, "hammer");
	unsigned int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < 12; i++)
		close_under_fire(test, watch, i % 2);
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, atomic_read(&watch->late), 0);
}

struct reader {
	unsigned int ms;
	bool entered, inside, leave;
};

/* Holds up every grace period, but not until the kernel minds. */
static int read_rcu(void *context)
{
	struct reader *reader = context;
	unsigned long end = jiffies + msecs_to_jiffies(reader->ms);

	rcu_read_lock();
	WRITE_ONCE(reader->inside, true);
	/* Whoever sees that it has entered sees it inside, or left again. */
	smp_store_release(&reader->entered, true);
	while (!READ_ONCE(reader->leave) && time_before(jiffies, end))
		cpu_relax();
	WRITE_ONCE(reader->inside, false);
	rcu_read_unlock();
	return 0;
}

static bool entered(const struct reader *reader)
{
	/* Pairs with read_rcu()'s: "inside" is read after that. */
	return smp_load_acquire(&reader->entered);
}

/* Sockets come here twice each, and are removed few at a time. */
static void who_is_silent_is_not_awaited(struct kunit *test)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct reader reader = { .ms = 14000 };
	struct guest_call *call;

	sim_start_ok(test, SIM_USUAL);
	guest_open(test, guest, guest->host);
	vmbus_reset_channel_cb(guest->ch);
	call = guest_call_begin(test, read_rcu, &reader);
	KUNIT_EXPECT_TRUE(test, sim_wait(entered(&reader)));
	vmbus_reset_channel_cb(guest->ch);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(reader.inside));
	WRITE_ONCE(reader.leave, true);
	guest_call_end(call);

	/* Opened again, it is not silent. */
	vmbus_close(guest->ch);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	reader = (struct reader){ .ms = 2000 };
	call = guest_call_begin(test, read_rcu, &reader);
	KUNIT_EXPECT_TRUE(test, sim_wait(entered(&reader)));
	vmbus_reset_channel_cb(guest->ch);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(reader.inside));
	guest_call_end(call);
	vmbus_close(guest->ch);
}

/* A closed channel that the host interrupts, and one that nobody offered. */
static void interrupts_of_others_are_nobodys(struct kunit *test)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	unsigned int cpu;

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	for_each_online_cpu(cpu) {
		sim_event(cpu, guest->host->relid);
		sim_event(cpu, 0);
		sim_event(cpu, guest->host->relid + 1);
		sim_event(cpu, SIM_RELIDS - 1);
	}
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(guest->ch->interrupts)));
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* ---- before the answer to OPENCHANNEL ---- */

static void greet(struct sim_chan *chan)
{
	static const char hello[8] = "hello";

	sim_write(chan, SIM_PKT_INBAND, 0, 99, hello, sizeof(hello));
}

static void leave_it(struct sim_chan *chan)
{
}

static const struct sim_vsp greeting = { .opened = greet, .signalled = leave_it };

static void packet_before_open_result(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_OPEN, .action = SIM_HOLD };
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &greeting));
	struct guest_call *call;

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	sim_rule(&hold);
	call = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received)));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, guest->last_id, 99);
	KUNIT_EXPECT_STREQ(test, (char *)guest->last, "hello");
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
}

/* ---- request ids ---- */

#define NR_IDS	4

static struct guest_chan *start_ids(struct kunit *test, const struct sim_vsp *vsp)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, vsp));

	guest->reads = false;
	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	guest->ch->rqstor_size = NR_IDS;
	guest->ch->next_request_id_callback = vmbus_next_request_id;
	guest->ch->request_addr_callback = vmbus_request_addr;
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	return guest;
}

static int ask(struct guest_chan *guest, u64 address, u64 *id)
{
	return vmbus_sendpacket_getid(guest->ch, &address, sizeof(address), address, id,
				      VM_PKT_DATA_INBAND,
				      VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED);
}

/* The transaction id of the next packet that the host reads, or 0. */
static u64 next_trans_id(struct guest_chan *guest)
{
	struct {
		struct sim_packet_header header;
		u8 payload[64];
	} packet = { };

	sim_lock();
	sim_read(guest->host, &packet, sizeof(packet));
	sim_unlock();
	return packet.header.trans_id;
}

static void ids_run_out(struct kunit *test)
{
	struct guest_chan *guest = start_ids(test, &sim_manual);
	bool used[NR_IDS + 1] = { };
	unsigned int i;
	u64 id;

	for (i = 0; i < NR_IDS; i++) {
		KUNIT_EXPECT_EQ(test, ask(guest, 0x1000 + i, &id), 0);
		KUNIT_ASSERT_TRUE(test, id >= 1 && id <= NR_IDS);
		KUNIT_EXPECT_FALSE(test, used[id]);
		used[id] = true;
		KUNIT_EXPECT_EQ(test, next_trans_id(guest), id);
	}
	KUNIT_EXPECT_EQ(test, ask(guest, 0x2000, &id), -EAGAIN);
	KUNIT_EXPECT_EQ(test, next_trans_id(guest), 0);
	/* What asks for no completion needs none. */
	KUNIT_EXPECT_EQ(test, guest_send(guest, "x", 1, 0x3000), 0);
	KUNIT_EXPECT_EQ(test, next_trans_id(guest), 0x3000);
	/* One comes back and is used again. */
	KUNIT_EXPECT_GE(test, vmbus_request_addr(guest->ch, 3), 0x1000);
	KUNIT_EXPECT_EQ(test, ask(guest, 0x4000, &id), 0);
	KUNIT_EXPECT_EQ(test, id, 3);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, 3), 0x4000);
}

static void bogus_ids_are_errors(struct kunit *test)
{
	static const u64 bogus[] = { 0, NR_IDS + 1, NR_IDS + 2, BIT_ULL(32), BIT_ULL(32) + 1,
				     BIT_ULL(63), U64_MAX - 1, U64_MAX };
	struct guest_chan *guest = start_ids(test, &sim_manual);
	unsigned int i;
	u64 id;

	for (id = 1; id <= NR_IDS; id++)
		KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, id), VMBUS_RQST_ERROR);
	KUNIT_EXPECT_EQ(test, ask(guest, 0x1000, &id), 0);
	for (i = 0; i < ARRAY_SIZE(bogus); i++)
		KUNIT_EXPECT_EQ_MSG(test, vmbus_request_addr(guest->ch, bogus[i]),
				    VMBUS_RQST_ERROR, "id 0x%llx", bogus[i]);
	/* The address of another request does not free it. */
	KUNIT_EXPECT_EQ(test, vmbus_request_addr_match(guest->ch, id, 0x2000), 0x1000);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr_match(guest->ch, id, 0x1000), 0x1000);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, id), VMBUS_RQST_ERROR);
	/* All are still there. */
	for (i = 0; i < NR_IDS; i++)
		KUNIT_EXPECT_EQ(test, ask(guest, 0x1000, &id), 0);
	KUNIT_EXPECT_EQ(test, ask(guest, 0x1000, &id), -EAGAIN);
}

static void ids_end_with_the_channel(struct kunit *test)
{
	struct guest_chan *guest = start_ids(test, &sim_manual);
	unsigned int i;
	u64 id;

	KUNIT_EXPECT_EQ(test, ask(guest, 0x1000, &id), 0);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, id), VMBUS_RQST_ERROR);
	KUNIT_EXPECT_EQ(test, vmbus_next_request_id(guest->ch, 0x1000), VMBUS_RQST_ERROR);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, id), VMBUS_RQST_ERROR);
	for (i = 0; i < NR_IDS; i++)
		KUNIT_EXPECT_EQ(test, ask(guest, 0x1000, &id), 0);
	vmbus_close(guest->ch);

	/* Without any, what the VSC gives is what the host gets. */
	guest->ch->rqstor_size = 0;
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_EQ(test, vmbus_next_request_id(guest->ch, 0x1000), VMBUS_NO_RQSTOR);
	KUNIT_EXPECT_EQ(test, vmbus_request_addr(guest->ch, 1), VMBUS_NO_RQSTOR);
	KUNIT_EXPECT_EQ(test, ask(guest, 0x5000, &id), 0);
	KUNIT_EXPECT_EQ(test, id, 0x5000);
	KUNIT_EXPECT_EQ(test, next_trans_id(guest), 0x5000);
}

/**
 * struct requests - a VSC that finds its requests again by their ids
 * @guest: its channel
 * @seen: completions of each request
 * @unknown: completions of none
 */
struct requests {
	struct guest_chan guest;
	atomic_t seen[100];
	atomic_t unknown;
};

static void completed(void *context)
{
	struct requests *requests = context;
	struct guest_chan *guest = &requests->guest;
	u64 id, address;
	u32 len;

	while (!vmbus_recvpacket(guest->ch, guest->last, sizeof(guest->last), &len, &id) && id) {
		address = guest->ch->request_addr_callback(guest->ch, id);
		if (address == VMBUS_RQST_ERROR || address - 0x1000 >= ARRAY_SIZE(requests->seen))
			atomic_inc(&requests->unknown);
		else
			atomic_inc(&requests->seen[address - 0x1000]);
	}
}

/* As netvsc and storvsc: the address goes out as an id and comes back from it. */
static void completions_find_their_requests(struct kunit *test)
{
	struct requests *requests = kunit_kzalloc(test, sizeof(*requests), GFP_KERNEL);
	struct sim_chan *host = sim_add(test, NULL, &sim_complete);
	unsigned int i;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, requests);
	requests->guest.host = host;
	sim_start_ok(test, SIM_USUAL);
	requests->guest.ch = sim_guest_channel(test, host);
	requests->guest.ch->rqstor_size = NR_IDS;
	requests->guest.ch->next_request_id_callback = vmbus_next_request_id;
	requests->guest.ch->request_addr_callback = vmbus_request_addr;
	KUNIT_ASSERT_EQ(test, vmbus_open(requests->guest.ch, GUEST_RING, GUEST_RING, NULL, 0,
					 completed, requests), 0);
	for (i = 0; i < ARRAY_SIZE(requests->seen); i++) {
		KUNIT_EXPECT_TRUE(test, sim_wait((err = ask(&requests->guest, 0x1000 + i, NULL)) !=
						 -EAGAIN));
		KUNIT_EXPECT_EQ(test, err, 0);
	}
	/* A host that completes what nobody asked for. */
	sim_lock();
	sim_write(host, SIM_PKT_COMPLETION, 0, U64_MAX, NULL, 0);
	sim_write(host, SIM_PKT_COMPLETION, 0, NR_IDS + 1, NULL, 0);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&requests->unknown) == 2));
	for (i = 0; i < ARRAY_SIZE(requests->seen); i++)
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&requests->seen[i])));
	for (i = 0; i < ARRAY_SIZE(requests->seen); i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&requests->seen[i]), 1);
}

static struct kunit_case callback_cases[] = {
	KUNIT_CASE_PARAM(runs_where_it_belongs, modes_gen_params),
	KUNIT_CASE_PARAM(never_runs_twice_at_once, modes_gen_params),
	KUNIT_CASE_PARAM(never_runs_after_the_end, modes_gen_params),
	KUNIT_CASE(who_is_silent_is_not_awaited),
	KUNIT_CASE(interrupts_of_others_are_nobodys),
	KUNIT_CASE(packet_before_open_result),
	KUNIT_CASE(ids_run_out),
	KUNIT_CASE(bogus_ids_are_errors),
	KUNIT_CASE(ids_end_with_the_channel),
	KUNIT_CASE(completions_find_their_requests),
	{}
};

struct kunit_suite callback_suite = {
	.name = "hv_vmbus_callback",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = callback_cases,
};
