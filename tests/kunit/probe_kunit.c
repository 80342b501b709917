// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_probe: a driver whose device has a silent host, and the devices
 * after it.
 */
#include <linux/ktime.h>
#include <linux/module.h>

#include "call.h"
#include "guest.h"
#include "in_vain.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

/* What the guest may be late; the driver's own deadlines are 60 s. */
#define SLACK_MS	15000
/* Of a probe, while the driver goes; if this machine is too slow, the probe is over by then. */
#define HANGS_MS	2000

/**
 * struct probe - a device with the driver
 * @guest: its channel
 * @begun: its probe has
 * @ended: its probe has
 * @removed: how often its remove ran
 * @err: what its probe returned
 * @when: at what time, in jiffies as deadlines
 */
struct probe {
	struct guest_chan *guest;
	atomic_t begun, ended, removed;
	int err;
	unsigned long when;
};

static struct probe probes[4];
static unsigned int nr_probes;

static struct probe *probe_of(const struct hv_device *dev)
{
	unsigned int i;

	for (i = 0; i < nr_probes; i++)
		if (probes[i].guest->host->relid == dev->channel->offermsg.child_relid)
			return &probes[i];
	return NULL;
}

static int guest_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct probe *probe = probe_of(dev);

	atomic_inc(&probe->begun);
	probe->guest->ch = dev->channel;
	probe->err = guest_try_open(probe->guest);
	probe->when = jiffies;
	/* Whoever sees the end finds the rest. */
	smp_mb__before_atomic();
	atomic_inc(&probe->ended);
	return probe->err;
}

/* void since 6.x, int before: nobody looks at it. */
static typeof(((struct hv_driver *)0)->remove(NULL)) guest_remove(struct hv_device *dev)
{
	vmbus_close(dev->channel);
	atomic_inc(&probe_of(dev)->removed);
	return (typeof(((struct hv_driver *)0)->remove(NULL)))0;
}

static const struct hv_vmbus_device_id guest_ids[] = {
	{ HV_KBD_GUID, },
	{ HV_HEART_BEAT_GUID, },	/* sim_type_plain in an isolation VM */
	{ },
};

static struct hv_driver driver;

static const struct kind {
	enum probe_type type;
	const char *name;
	unsigned int deadline;	/* ms; where several probes make requests, it is that of all */
} kinds[] = {
	{ PROBE_FORCE_SYNCHRONOUS, "synchronous", IN_VAIN_MS },	/* netvsc */
	{ PROBE_PREFER_ASYNCHRONOUS, "asynchronous", SIM_IN_VAIN_MS },	/* most others */
};

static void kind_name(const struct kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kinds, kinds, kind_name);

static void start_host(struct kunit *test)
{
	memset(probes, 0, sizeof(probes));
	nr_probes = 0;
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
}

/* What fails from here on must not abort the case. */
static void start_driver(struct kunit *test, enum probe_type type)
{
	memset(&driver, 0, sizeof(driver));
	driver.name = "kunit_vsc";
	driver.id_table = guest_ids;
	driver.probe = guest_probe;
	driver.remove = guest_remove;
	driver.driver.probe_type = type;
	KUNIT_ASSERT_EQ(test, vmbus_driver_register(&driver), 0);
}

/* A driver that waits for devices. */
static void start(struct kunit *test, enum probe_type type)
{
	start_host(test);
	start_driver(test, type);
}

static void stop(struct kunit *test)
{
	vmbus_driver_unregister(&driver);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), 0);
}

/* A device whose host does not answer @type; 0: answers all. */
static struct probe *new_device(struct kunit *test, u32 type, enum sim_action action)
{
	struct sim_rule rule = { .type = type, .action = action };
	struct sim_rule any_close = { .type = SIM_CLOSE, .action = SIM_IGNORE };
	struct sim_chan *host = sim_new(test, 0, NULL, &sim_echo);
	struct probe *probe = &probes[nr_probes];

	probe->guest = guest_new(test, host);
	nr_probes++;
	rule.relid = host->relid;
	any_close.relid = host->relid;
	if (type) {
		sim_rule(&rule);
		sim_rule(&any_close);
	}
	return probe;
}

/* Offered at once. */
static struct probe *add_device(struct kunit *test, u32 type, enum sim_action action)
{
	struct probe *probe = new_device(test, type, action);

	sim_offer(probe->guest->host);
	return probe;
}

/* Not more than the deadlines of the dead device's own requests. */
static void expect_delay(struct kunit *test, unsigned long begin, struct probe *probe,
			 unsigned int at_most_ms)
{
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&probe->ended)));
	KUNIT_EXPECT_EQ(test, probe->err, 0);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(probe->when - begin), at_most_ms + SLACK_MS);
	KUNIT_EXPECT_TRUE(test, guest_echoes(probe->guest));
}

/* OPENCHANNEL is one deadline; a GPADL that the host never saw is two. */
static void dead_device_delays_others(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	unsigned int deadline = kind->deadline;
	struct probe *dead[2], *live;
	unsigned long begin;

	start(test, kind->type);
	dead[0] = new_device(test, SIM_OPEN, SIM_IGNORE);
	dead[1] = new_device(test, SIM_GPADL_HEADER, SIM_IGNORE);
	live = new_device(test, 0, SIM_ANSWER);
	if (kind->type == PROBE_FORCE_SYNCHRONOUS) {
		in_vain(test, CHANNELMSG_OPENCHANNEL_RESULT, dead[0]->guest->host->relid, deadline);
		in_vain(test, CHANNELMSG_GPADL_CREATED, dead[1]->guest->host->relid, deadline);
		in_vain(test, CHANNELMSG_GPADL_TORNDOWN, dead[1]->guest->host->relid, deadline);
	} else {
		vmbus_deadlines.request = deadline;
	}
	begin = jiffies;
	sim_offer(dead[0]->guest->host);
	sim_offer(dead[1]->guest->host);
	sim_offer(live->guest->host);
	expect_delay(test, begin, live, 3 * deadline);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead[0]->ended)));
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead[1]->ended)));
	KUNIT_EXPECT_EQ(test, dead[0]->err, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, dead[1]->err, -ETIMEDOUT);
	/* One at a time, in the order of the offers: the delays add up. */
	if (kind->type == PROBE_FORCE_SYNCHRONOUS)
		KUNIT_EXPECT_GE(test, jiffies_to_msecs(live->when - begin), 3 * deadline);
	in_vain_end();
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	stop(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&live->removed), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&dead[0]->removed), 0);
}

static void asynchronous_probes_wait_for_nobody(struct kunit *test)
{
	struct probe *dead, *live;

	vmbus_deadlines.request = 60 * MSEC_PER_SEC;
	start(test, PROBE_PREFER_ASYNCHRONOUS);
	dead = add_device(test, SIM_OPEN, SIM_HOLD);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead->begun)));
	live = add_device(test, 0, SIM_ANSWER);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&live->ended)));
	KUNIT_EXPECT_EQ(test, live->err, 0);
	KUNIT_EXPECT_FALSE(test, atomic_read(&dead->ended));
	/* The answer may be in time after all. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN) == 2));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead->ended)));
	KUNIT_EXPECT_EQ(test, dead->err, 0);
	stop(test);
}

/* Its host takes a dead device back: its probe ends at once, and the next begins. */
static void rescind_ends_a_hanging_probe(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct probe *dead, *live;
	unsigned long begin;

	vmbus_deadlines.request = 60 * MSEC_PER_SEC;
	start(test, kind->type);
	begin = jiffies;
	dead = add_device(test, SIM_OPEN, SIM_IGNORE);
	live = add_device(test, 0, SIM_ANSWER);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead->begun)));
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN)));
	KUNIT_EXPECT_FALSE(test, atomic_read(&dead->ended));
	sim_rescind(dead->guest->host);
	expect_delay(test, begin, live, 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(dead->guest->host)));
	KUNIT_EXPECT_EQ(test, dead->err, -ENODEV);
	KUNIT_EXPECT_EQ(test, dead->guest->host->releases, 1);
	stop(test);
}

static int unregister(void *unused)
{
	vmbus_driver_unregister(&driver);
	return 0;
}

/*
 * The device is there before the driver: a driver that goes while a new device
 * goes through the list of drivers is freed too early by the driver core
 * (klist_release() of 6.1 writes to it after it has woken who frees it).
 */
static void module_goes_while_a_probe_hangs(struct kunit *test)
{
	struct guest_call *call;
	struct probe *dead;
	unsigned long begin;

	start_host(test);
	dead = add_device(test, SIM_OPEN, SIM_IGNORE);
	sim_guest_channel(test, dead->guest->host);
	in_vain(test, CHANNELMSG_OPENCHANNEL_RESULT, 0, HANGS_MS);
	start_driver(test, PROBE_PREFER_ASYNCHRONOUS);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead->begun)));
	call = guest_call_begin(test, unregister, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(guest_call_ended(call)));
	guest_call_end(call);
	KUNIT_EXPECT_LT(test, call->took_ms, HANGS_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, dead->err, -ETIMEDOUT);
	begin = jiffies;
	sim_stop(test);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begin), SLACK_MS);
}

/* A remove that waits for a TORNDOWN: the driver is gone in time, the ring is kept. */
static void remove_hangs_once(struct kunit *test)
{
	struct probe *dead;
	unsigned long begin;

	start(test, PROBE_FORCE_SYNCHRONOUS);
	dead = add_device(test, SIM_GPADL_TEARDOWN, SIM_HOLD);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&dead->ended)));
	KUNIT_EXPECT_EQ(test, dead->err, 0);
	/* That is all it asks for. */
	vmbus_deadlines.request = IN_VAIN_MS;
	begin = jiffies;
	vmbus_driver_unregister(&driver);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begin), IN_VAIN_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), 3 + 2 * GUEST_RING / PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN)));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), 3);
}

static struct kunit_case probe_cases[] = {
	KUNIT_CASE_PARAM(dead_device_delays_others, kinds_gen_params),
	KUNIT_CASE(asynchronous_probes_wait_for_nobody),
	KUNIT_CASE_PARAM(rescind_ends_a_hanging_probe, kinds_gen_params),
	KUNIT_CASE(module_goes_while_a_probe_hangs),
	KUNIT_CASE(remove_hangs_once),
	{}
};

struct kunit_suite probe_suite = {
	.name = "hv_vmbus_probe",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = probe_cases,
};
