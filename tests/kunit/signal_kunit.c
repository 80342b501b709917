// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_signal: how the host is told of a packet: by a connection of the
 * channel's own, by the one that channels share, by a bit in a monitor page.
 */
#include <linux/delay.h>

#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_USUAL

/* Two devices that must not be taken for each other. */
#define FIRST		63
#define SECOND		64

static struct guest_chan *new_guest(struct kunit *test, u32 relid)
{
	return guest_new(test, sim_new(test, relid, NULL, &sim_echo));
}

static void open_both(struct kunit *test, struct guest_chan *first, struct guest_chan *second)
{
	guest_open(test, first, first->host);
	guest_open(test, second, second->host);
}

static void own_connection(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);

	sim_start_ok(test, version->version);
	open_both(test, first, second);
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 0);
	KUNIT_EXPECT_EQ(test, first->ch->sig_events, 1);
	vmbus_set_event(second->ch);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 1);
	KUNIT_EXPECT_EQ(test, second->ch->sig_events, 1);
}

/* The send half of the interrupt page says which of them it is. */
static void shared_connection(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);

	first->host->legacy = true;
	second->host->legacy = true;
	sim_start_ok(test, version->version);
	open_both(test, first, second);
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 1);
	KUNIT_EXPECT_EQ(test, first->ch->sig_events, 1);
}

/* Such an offer is wrong from 5.0 on: the signal reaches nobody, and harms nobody. */
static void shared_connection_without_page(struct kunit *test)
{
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);

	first->host->legacy = true;
	sim_start_ok(test, NEWEST);
	open_both(test, first, second);
	KUNIT_EXPECT_EQ(test, guest_send(first, "1234567", 8, 1), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 0);
}

static const struct monitor_case {
	const char *name;
	u32 version;
	u8 id, other;
} monitors[] = {
	{ "0", NEWEST, 0, 1 },
	{ "31", NEWEST, 31, 32 },
	{ "32", NEWEST, 32, 33 },
	{ "63", NEWEST, 63, 31 },
	{ "64", NEWEST, 64, 96 },
	{ "127", NEWEST, 127, 95 },
	{ "5 at 2.4", SIM_V(2, 4), 5, 127 },
	{ "100 at 4.0", SIM_V(4, 0), 100, 4 },
};

static void describe_monitor(const struct monitor_case *monitor, char *desc)
{
	strscpy(desc, monitor->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(monitors, monitors, describe_monitor);

static void monitored(struct kunit *test)
{
	const struct monitor_case *monitor = test->param_value;
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);

	first->host->monitored = true;
	first->host->monitor_id = monitor->id;
	second->host->monitored = true;
	second->host->monitor_id = monitor->other;
	sim_start_ok(test, monitor->version);
	open_both(test, first, second);
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
	KUNIT_EXPECT_EQ(test, sim_triggers(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_triggers(second->host), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_EQ(test, sim_triggers(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_triggers(second->host), 1);
	/* That is what it is good for. */
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 0);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 0);
}

static void low_latency_does_not_wait_for_the_monitor(struct kunit *test)
{
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);

	first->host->monitored = true;
	first->host->monitor_id = 33;
	second->host->monitored = true;
	second->host->monitor_id = 34;
	sim_start_ok(test, NEWEST);
	open_both(test, first, second);
	first->ch->low_latency = true;
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_EQ(test, sim_triggers(first->host), 0);
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_triggers(second->host), 1);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 0);
}

/* ---- a host that refuses ---- */

static const struct refusal_case {
	const char *name;
	u32 version;
	unsigned int times;
	bool shared;		/* connection */
} refusals[] = {
	{ "once", NEWEST, 1 },
	{ "for a while", NEWEST, 6 },
	{ "for a second", NEWEST, 10 },
	{ "2.4", SIM_V(2, 4), 3 },
	{ "shared connection", SIM_V(2, 4), 3, true },
};

static void describe_refusal(const struct refusal_case *refusal, char *desc)
{
	strscpy(desc, refusal->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refusals, refusals, describe_refusal);

/* The host has the packet in the end, although nothing more is sent. */
static void refused_signal_is_tried_again(struct kunit *test)
{
	const struct refusal_case *refusal = test->param_value;
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);
	u64 mark = sim_log_mark();

	first->host->legacy = refusal->shared;
	second->host->legacy = refusal->shared;
	sim_start_ok(test, refusal->version);
	open_both(test, first, second);
	sim_refuse_signals(0, refusal->times);
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
	KUNIT_EXPECT_EQ(test, sim_refused_signals(), refusal->times);
	/* Accepted once, it is not tried again. */
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, sim_signals(second->host), 0);
	msleep(50);
	KUNIT_EXPECT_EQ(test, sim_signals(first->host), 1);
	KUNIT_EXPECT_EQ(test, first->ch->sig_events, 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "refuses signals"), refusal->times >= 8);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
}

/* Packets that follow do not signal, since the ring is not empty; all get there. */
static void refused_signal_holds_up_a_queue(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);
	unsigned int i;

	sim_start_ok(test, NEWEST);
	guest_open(test, guest, guest->host);
	sim_refuse_signals(0, 5);
	for (i = 0; i < 20; i++)
		KUNIT_ASSERT_EQ(test, guest_send(guest, "1234567", 8, i), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == 20));
	KUNIT_EXPECT_EQ(test, guest->last_id, 19);
}

/*
 * It is asked less and less often, the user is told once, others go on, and it
 * may come to its senses.
 */
static void refused_for_long(struct kunit *test)
{
	struct guest_chan *first = new_guest(test, FIRST), *second = new_guest(test, SECOND);
	u64 mark = sim_log_mark();
	unsigned long begun;
	unsigned int refused;

	sim_start_ok(test, NEWEST);
	open_both(test, first, second);
	sim_refuse_signals(FIRST, INT_MAX);
	begun = jiffies;
	KUNIT_ASSERT_EQ(test, guest_send(first, "1234567", 8, 1), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_refused_signals() >= 9));
	msleep(2000);
	/* After 1 ms, 2 ms and so on to 512 ms; from then on after 1 s. */
	refused = sim_refused_signals();
	KUNIT_EXPECT_LE(test, refused, 11 + jiffies_to_msecs(jiffies - begun) / 1000);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "refuses signals"), 1);
	KUNIT_EXPECT_TRUE(test, guest_echoes(second));
	sim_refuse_signals(0, 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&first->received) == 1));
	KUNIT_EXPECT_TRUE(test, guest_echoes(first));
}

/* What is closed is not signalled again, and opens anew as if nothing had been. */
static void closed_while_refused(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);
	unsigned int round, refused;

	sim_start_ok(test, NEWEST);
	for (round = 0; round < 5; round++) {
		guest_open(test, guest, guest->host);
		sim_refuse_signals(0, INT_MAX);
		KUNIT_ASSERT_EQ(test, guest_send(guest, "1234567", 8, 1), 0);
		msleep(sim_random(10));
		vmbus_close(guest->ch);
		refused = sim_refused_signals();
		sim_refuse_signals(0, INT_MAX);
		msleep(20);
		KUNIT_EXPECT_EQ(test, sim_refused_signals(), refused);
		/* Somebody who was late: no harm, and nothing to try again. */
		vmbus_set_event(guest->ch);
		KUNIT_EXPECT_EQ(test, sim_refused_signals(), refused + 1);
		msleep(20);
		KUNIT_EXPECT_EQ(test, sim_refused_signals(), refused + 1);
		sim_refuse_signals(0, 0);
	}
	guest_open(test, guest, guest->host);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* Hosts refuse signals of what they have taken back: that is nothing to try, or to tell. */
static void rescinded_while_refused(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);
	u64 mark = sim_log_mark();
	unsigned int refused;

	sim_start_ok(test, NEWEST);
	guest_open(test, guest, guest->host);
	sim_refuse_signals(0, INT_MAX);
	KUNIT_ASSERT_EQ(test, guest_send(guest, "1234567", 8, 1), 0);
	sim_rescind(guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guest->host)));
	refused = sim_refused_signals();
	msleep(600);
	KUNIT_EXPECT_EQ(test, sim_refused_signals(), refused);
	/* The eighth refusal is told, if the rescind took so long to get here. */
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "refuses signals"), refused >= 8);
}

/* The driver goes while it is still trying. */
static void stops_while_refused(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);

	sim_start_ok(test, NEWEST);
	guest_open(test, guest, guest->host);
	sim_refuse_signals(0, INT_MAX);
	KUNIT_ASSERT_EQ(test, guest_send(guest, "1234567", 8, 1), 0);
	sim_stop(test);
	sim_refuse_signals(0, 0);
	sim_start_ok(test, NEWEST);
	guest_open(test, guest, guest->host);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

static void send_in_interrupt(void *context)
{
	struct guest_chan *guest = context;

	if (atomic_inc_return(&guest->callbacks) == 1 && guest_in_interrupt())
		guest_send(guest, "1234567", 8, 7);
}

/* Signals come from interrupts, too; there, nothing may sleep or be waited for. */
static void refused_in_interrupt(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);

	guest->host->vsp = &sim_sink;
	sim_start_ok(test, NEWEST);
	guest->ch = sim_guest_channel(test, guest->host);
	guest->ch->callback_mode = HV_CALL_ISR;
	KUNIT_ASSERT_EQ(test, vmbus_open(guest->ch, GUEST_RING, GUEST_RING, NULL, 0,
					 send_in_interrupt, guest), 0);
	sim_refuse_signals(0, 4);
	sim_event(VMBUS_CONNECT_CPU, FIRST);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_signals(guest->host) == 1));
	KUNIT_EXPECT_EQ(test, sim_refused_signals(), 4);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(guest->host->packets_in) == 1));
}

/* The host waits for room, and is told that there is some: the other direction. */
static void refused_signal_of_room(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);

	guest->host->vsp = &sim_source;
	guest->host->source_left = 2000;
	guest->host->source_size = 1024;
	/* On the CPU of the host's thread all would be read as it comes. */
	guest->reads = false;
	sim_start_ok(test, NEWEST);
	sim_refuse_signals(0, 3);
	guest_open(test, guest, guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(guest->host->out.header->pending_send)));
	WRITE_ONCE(guest->reads, true);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == 2000));
	KUNIT_EXPECT_EQ(test, sim_refused_signals(), 3);
}

/* No hypercall, nothing to refuse. */
static void monitor_refuses_nothing(struct kunit *test)
{
	struct guest_chan *guest = new_guest(test, FIRST);

	guest->host->monitored = true;
	guest->host->monitor_id = 33;
	sim_start_ok(test, NEWEST);
	guest_open(test, guest, guest->host);
	sim_refuse_signals(0, INT_MAX);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, sim_refused_signals(), 0);
	KUNIT_EXPECT_EQ(test, sim_triggers(guest->host), 1);
}

static struct kunit_case signal_cases[] = {
	KUNIT_CASE_PARAM(own_connection, sim_versions_gen_params),
	KUNIT_CASE_PARAM(shared_connection, sim_old_versions_gen_params),
	KUNIT_CASE(shared_connection_without_page),
	KUNIT_CASE_PARAM(monitored, monitors_gen_params),
	KUNIT_CASE(low_latency_does_not_wait_for_the_monitor),
	KUNIT_CASE_PARAM(refused_signal_is_tried_again, refusals_gen_params),
	KUNIT_CASE(refused_signal_holds_up_a_queue),
	KUNIT_CASE(refused_for_long),
	KUNIT_CASE(closed_while_refused),
	KUNIT_CASE(rescinded_while_refused),
	KUNIT_CASE(stops_while_refused),
	KUNIT_CASE(refused_in_interrupt),
	KUNIT_CASE(refused_signal_of_room),
	KUNIT_CASE(monitor_refuses_nothing),
	{}
};

struct kunit_suite signal_suite = {
	.name = "hv_vmbus_signal",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = signal_cases,
};
