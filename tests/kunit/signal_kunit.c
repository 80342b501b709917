// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_signal: how the host is told of a packet: by a connection of the
 * channel's own, by the one that channels share, by a bit in a monitor page.
 */
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_V(5, 3)

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

static struct kunit_case signal_cases[] = {
	KUNIT_CASE_PARAM(own_connection, sim_versions_gen_params),
	KUNIT_CASE_PARAM(shared_connection, sim_old_versions_gen_params),
	KUNIT_CASE(shared_connection_without_page),
	KUNIT_CASE_PARAM(monitored, monitors_gen_params),
	KUNIT_CASE(low_latency_does_not_wait_for_the_monitor),
	{}
};

struct kunit_suite signal_suite = {
	.name = "hv_vmbus_signal",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = signal_cases,
};
