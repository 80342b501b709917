// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_power: hibernation with a host that does its part: devices that come and
 * go meanwhile, drivers that fail.
 */
#include <linux/cpu.h>
#include <linux/hyperv.h>
#include <linux/smp.h>
#include <asm/mshyperv.h>

#include "files.h"
#include "guest.h"
#include "sleep.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_USUAL

/* ---- it works ---- */

static void callbacks_are_for_hibernation_alone(struct kunit *test)
{
	static const struct dev_pm_ops * const all[] = { &vmbus_bus_pm, &vmbus_root_pm };
	unsigned int i;

	KUNIT_EXPECT_PTR_EQ(test, vmbus_bus_type.pm, &vmbus_bus_pm);
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		const struct dev_pm_ops *pm = all[i];

		KUNIT_EXPECT_NOT_NULL(test, pm->freeze_noirq);
		KUNIT_EXPECT_TRUE(test, pm->freeze_noirq == pm->poweroff_noirq);
		KUNIT_EXPECT_NOT_NULL(test, pm->thaw_noirq);
		KUNIT_EXPECT_TRUE(test, pm->thaw_noirq == pm->restore_noirq);
		/* Suspend to idle keeps the connection. */
		KUNIT_EXPECT_NULL(test, pm->suspend_noirq);
		KUNIT_EXPECT_NULL(test, pm->resume_noirq);
	}
}

static void comes_back(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *plain = sim_add(test, NULL, &sim_echo);
	struct sim_chan *perf = sim_add(test, &sim_type_perf, &sim_echo);
	struct sim_chan *idle = sim_add(test, &sim_type_unknown, NULL);
	struct sim_msg_contact before, after;
	struct vmbus_channel *ch;
	struct hv_device *dev;
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;
	u32 cpu;

	sim_start_ok(test, version->version);
	vsc = vsc_new(test, "sleeper", NULL);
	vsc->ids[1].guid = sim_type_perf;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	ch = sim_guest_channel(test, perf);
	dev = ch->device_obj;
	cpu = ch->target_cpu;
	if (version->version < SIM_V(3, 0)) {
		/* Such a host cannot be left. */
		KUNIT_EXPECT_EQ(test, freeze(&sleep), -EOPNOTSUPP);
		KUNIT_EXPECT_EQ(test, perf->closes + plain->closes, 0);
		KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "protocol 2.4 cannot hibernate"), 1);
		goto works;
	}

	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->suspends), 2);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	KUNIT_EXPECT_EQ(test, ch->offermsg.child_relid, VMBUS_NO_RELID);
	KUNIT_EXPECT_EQ(test, to_vmbus_chan(ch)->state, VMBUS_CHAN_SUSPENDED);
	KUNIT_EXPECT_EQ(test, vmbus_open(ch, VSC_RING, VSC_RING, NULL, 0, guest_callback, NULL),
			-ENODEV);
	if (version->version == SIM_V(5, 3))
		sleep_image();
	else
		sleep_core();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);

	/* The same version at once, and the same pages. */
	KUNIT_ASSERT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 2);
	sim_received_message(SIM_CONTACT, sim_received(SIM_CONTACT) - 2, &before, sizeof(before));
	sim_received_message(SIM_CONTACT, sim_received(SIM_CONTACT) - 1, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, memcmp(&before, &after, sizeof(before)), 0);
	KUNIT_EXPECT_EQ(test, after.version, version->version);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 2);
	/* Nothing was removed or probed. */
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_PTR_EQ(test, sim_guest_channel(test, perf), ch);
	KUNIT_EXPECT_PTR_EQ(test, ch->device_obj, dev);
	KUNIT_EXPECT_EQ(test, ch->target_cpu, cpu);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, idle)->device_obj);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "not there after resume"), 0);
works:
	sleep_expect_works(test, plain);
	sleep_expect_works(test, perf);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
}

/* The host is told of another one by the open: nobody would be interrupted there. */
static void cpu_does_not_come_back(struct kunit *test)
{
	struct vmbus_channel *ch = NULL;
	struct sim_chan *chans[2];
	struct sleep sleep;
	unsigned int cpu, i;

	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, &sim_type_perf, &sim_echo);
	sim_start_ok(test, NEWEST);
	vsc_add(test, "sleeper", &sim_type_perf);
	/* They are spread, so one of them has a CPU that can go. */
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		if (sim_guest_channel(test, chans[i])->target_cpu != VMBUS_CONNECT_CPU)
			ch = sim_guest_channel(test, chans[i]);
	KUNIT_ASSERT_NOT_NULL(test, ch);
	cpu = ch->target_cpu;
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_NE(test, ch->target_cpu, cpu);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		sleep_expect_works(test, chans[i]);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
}

static void sleeps_many_times(struct kunit *test)
{
	struct sim_chan *plain = sim_add(test, NULL, &sim_echo);
	struct sim_chan *perf = sim_add(test, &sim_type_perf, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, NEWEST);
	vsc = vsc_new(test, "sleeper", NULL);
	vsc->ids[1].guid = sim_type_perf;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	for (i = 1; i <= 20; i++) {
		KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
		KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
		/* Thaw, go down again, and into the next life. */
		if (i % 2)
			sim_move(i % 4 == 1 ? plain : perf, 100 + i);
		KUNIT_ASSERT_EQ(test, thaw(&sleep), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 2 * i);
		sleep_expect_works(test, plain);
		sleep_expect_works(test, perf);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 2);
}

/* The next host numbers its channels differently: each gets the other's relid. */
static void offers_may_differ(struct kunit *test)
{
	struct sim_chan *one = sim_add_relid(test, 11, NULL, &sim_echo);
	struct sim_chan *two = sim_add_relid(test, 12, &sim_type_perf, &sim_echo);
	struct vmbus_channel *ch_one, *ch_two;
	char name[FILE_PATH_MAX], id[16];
	unsigned int signals;
	struct sleep sleep;
	struct vsc *vsc;

	one->monitored = true;
	one->monitor_id = 3;
	/* The newest that still signals without an interrupt of its own. */
	sim_start_ok(test, SIM_V(4, 1));
	vsc = vsc_new(test, "sleeper", NULL);
	vsc->ids[1].guid = sim_type_perf;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	ch_one = sim_guest_channel(test, one);
	ch_two = sim_guest_channel(test, two);
	channel_path(name, ch_one, "cpu");

	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_move(one, 13);
	sim_move(two, 11);
	sim_move(one, 12);
	one->monitor_id = 70;
	two->legacy = true;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);

	KUNIT_EXPECT_PTR_EQ(test, sim_guest_channel(test, one), ch_one);
	KUNIT_EXPECT_PTR_EQ(test, sim_guest_channel(test, two), ch_two);
	KUNIT_EXPECT_EQ(test, ch_one->offermsg.child_relid, 12);
	KUNIT_EXPECT_EQ(test, ch_one->monitor_grp, 70 / 32);
	KUNIT_EXPECT_EQ(test, ch_one->monitor_bit, 70 % 32);
	KUNIT_EXPECT_FALSE(test, ch_two->is_dedicated_interrupt);
	KUNIT_EXPECT_EQ(test, ch_two->sig_event, 2);
	/* Signals take the new way, and interrupts find the channel. */
	signals = sim_triggers(one);
	sleep_expect_works(test, one);
	KUNIT_EXPECT_GT(test, sim_triggers(one), signals);
	sleep_expect_works(test, two);
	/* What users see: the directory keeps its name, the id is the new one. */
	KUNIT_EXPECT_GT(test, file_read(name, id, sizeof(id)), 0);
	KUNIT_EXPECT_GT(test, device_read(ch_one, "id", id, sizeof(id)), 0);
	KUNIT_EXPECT_STREQ(test, id, "12");
}

/* A new host that has nothing for the relid that a channel had. */
static void old_relids_mean_nothing(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 5, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_move(chan, 6);
	KUNIT_EXPECT_EQ(test, wake_root(), 0);
	sim_send_relid(SIM_RESCIND, 5);
	sim_event(0, 5);
	sim_drain(test);
	wake_devices(&sleep);
	sleep_complete(&sleep);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_expect_works(test, chan);
}

static void hibernation_attribute(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	bool wanted = hv_is_hibernation_supported() && version->version >= SIM_V(3, 0);
	char text[8] = "";

	sim_start_ok(test, version->version);
	KUNIT_EXPECT_GT(test, file_read("/sys/bus/vmbus/hibernation", text, sizeof(text)), 0);
	KUNIT_EXPECT_EQ(test, text[0], wanted ? '1' : '0');
	KUNIT_EXPECT_EQ(test, vmbus_power_supported(), wanted);
}

/* What is in the slot of CPU 0 has no interrupt in the next life. */
static void slot_is_left_empty(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct hv_message *slot;
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc_add(test, "sleeper", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	slot = per_cpu(vmbus_synic[VMBUS_SYNIC_HOST], VMBUS_CONNECT_CPU).message;
	sim_mute(true);
	sim_send_relid(SIM_RESCIND, 9);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(slot->header.message_type) != HVMSG_NONE));
	sleep_core();
	KUNIT_EXPECT_EQ(test, READ_ONCE(slot->header.message_type), HVMSG_NONE);
	sim_mute(false);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_expect_works(test, chan);
}

/* ---- devices come and go meanwhile ---- */

static void missing_device_stays_asleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	struct vsc *vsc, *other_vsc;
	u64 mark = sim_log_mark();
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "missing", NULL);
	other_vsc = vsc_add(test, "other", &sim_type_perf);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_withhold(chan);
	KUNIT_EXPECT_EQ(test, wake_root(), 0);
	wake_devices(&sleep);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], -ENODEV);
	KUNIT_EXPECT_EQ(test, sleep.errors[1], 0);
	sleep_complete(&sleep);
	sleep_expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 3);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 2);
	sleep_expect_works(test, other);
	/* In the next hibernation it is not put to sleep again. */
	sleep_expect_again(test, other);
	KUNIT_EXPECT_EQ(test, atomic_read(&other_vsc->resumes), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->suspends), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	/* It may come again some day. */
	chan->withheld = false;
	sim_offer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->resumes) == 1));
	sleep_settle(test);
	sleep_expect_works(test, chan);
	sleep_expect_again(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->suspends), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
}

/* A driver is at work on @chan, all goes to sleep, and the next host does not have the device. */
static struct vsc *asleep_without(struct kunit *test, struct sleep *sleep, struct sim_chan *chan)
{
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "missing", NULL);
	KUNIT_ASSERT_EQ(test, freeze(sleep), 0);
	sim_withhold(chan);
	return vsc;
}

/* The next host that has it brings it back, with no offer between. */
static void missing_device_is_there_next_time(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	vsc = asleep_without(test, &sleep, chan);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_expect_missing(test, vsc, chan, mark);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	chan->withheld = false;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_expect_works(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	sleep_expect_again(test, chan);
}

/* Its driver goes first: then it is a device without one. */
static void missing_device_loses_its_driver(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	vsc = asleep_without(test, &sleep, chan);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	vsc_unregister(vsc);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	sleep_expect_again(test, NULL);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 0);
}

/* Nobody serves it: it goes all the same. */
static void missing_device_without_driver_goes(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	sim_guest_channel(test, chan);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_withhold(chan);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 0);
	sleep_expect_again(test, NULL);
}

/* The offer comes when the driver has given up, before or after the end of it all. */
static void missing_device_comes_late(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;
	unsigned int round;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "late", NULL);
	for (round = 1; round <= 4; round++) {
		KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
		sim_withhold(chan);
		KUNIT_EXPECT_EQ(test, wake_root(), 0);
		wake_devices(&sleep);
		KUNIT_EXPECT_EQ(test, sleep.errors[0], -ENODEV);
		chan->withheld = false;
		if (round % 2) {
			sim_offer(chan);
			sim_drain(test);
			/* Not before the end of it all. */
			KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), round - 1);
		}
		sleep_complete(&sleep);
		if (!(round % 2))
			sim_offer(chan);
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->resumes) == round));
		sleep_settle(test);
		sleep_expect_works(test, chan);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 1);
}

/* In time for its driver, though not for the bus. */
static void offer_after_the_last(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	vsc = asleep_without(test, &sleep, chan);
	KUNIT_EXPECT_EQ(test, wake_root(), 0);
	chan->withheld = false;
	sim_offer(chan);
	sim_drain(test);
	wake_devices(&sleep);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
	sleep_complete(&sleep);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_expect_works(test, chan);
}

/* The instance that a keyboard had is a disk now. */
static void other_type_is_another_device(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct vsc *vsc, *other;
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "keyboard", NULL);
	other = vsc_add(test, "disk", &sim_type_perf);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	chan->type = sim_type_perf;
	/* The old device is there, asleep: the relid is given back. */
	chan->unwelcome = true;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&other->bound), 0);
	/* What is offered when its driver has gone is taken in the end. */
	vsc_unregister(vsc);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_return(chan);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	sleep_settle(test);
	chan->unwelcome = false;
	sim_reoffer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&other->bound) == 1));
	sleep_expect_works(test, chan);
}

enum moment { PREPARED, SUSPENDED, AWAY, BACK, RESUMED, NR_MOMENTS };

static const char * const moments[NR_MOMENTS] = {
	"before the devices", "before the bus", "without a connection", "before the devices again",
	"before the end",
};

static void moment_name(const unsigned int *moment, char *desc)
{
	strscpy(desc, moments[*moment], KUNIT_PARAM_DESC_SIZE);
}

static const unsigned int moment_values[] = { PREPARED, SUSPENDED, AWAY, BACK, RESUMED };

KUNIT_ARRAY_PARAM(moment, moment_values, moment_name);

/* Goes through a hibernation and does something in the middle. */
static void sleep_with(struct kunit *test, struct sleep *sleep, unsigned int when,
		       void (*what)(struct sim_chan *chan), struct sim_chan *chan)
{
	unsigned int moment;

	for (moment = 0; moment < NR_MOMENTS; moment++) {
		switch (moment) {
		case PREPARED:
			sleep_prepare(sleep);
			break;
		case SUSPENDED:
			KUNIT_EXPECT_EQ(test, sleep_devices(sleep), 0);
			break;
		case AWAY:
			KUNIT_EXPECT_EQ(test, sleep_root(), 0);
			sleep_core();
			break;
		case BACK:
			KUNIT_EXPECT_EQ(test, wake_root(), 0);
			break;
		case RESUMED:
			wake_devices(sleep);
			break;
		}
		if (moment == when) {
			what(chan);
			sim_drain(test);
		}
	}
}

/* While the guest is away the host just has not got it any more. */
static void rescind_or_lose(struct sim_chan *chan)
{
	sim_rescind(chan);
	if (vmbus_conn.state == VMBUS_DISCONNECTED)
		sim_withhold(chan);
}

static void rescind_at_any_moment(struct kunit *test)
{
	unsigned int moment = *(const unsigned int *)test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "rescinded", NULL);
	vsc_add(test, "other", &sim_type_perf);
	sleep_with(test, &sleep, moment, rescind_or_lose, chan);
	/* Its driver is never removed in the middle of a suspend or resume. */
	flush_workqueue(vmbus_bus.chan_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->suspends), 1);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], moment == RESUMED ? 0 : -ENODEV);
	sleep_complete(&sleep);
	sleep_settle(test);
	/* Of the new host it is known that it has the device no more. */
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == (moment >= BACK)));
	/* A relid of the last connection is not given back to this one. */
	if (moment >= BACK)
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_RELID_RELEASED) == 1));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), moment >= BACK);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), moment >= BACK ? 1 : 2);
	sleep_expect_works(test, other);
	sleep_expect_again(test, other);
}

/* As with key-value pairs: closed, it is rescinded, and the next host has it again. */
static void rescinded_and_offered_again(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "again", NULL);
	sleep_prepare(&sleep);
	KUNIT_EXPECT_EQ(test, sleep_devices(&sleep), 0);
	sim_rescind(chan);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sleep_root(), 0);
	sim_return(chan);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	sleep_expect_works(test, chan);
}

static void offer_new(struct sim_chan *chan)
{
	chan->withheld = false;
	sim_offer(chan);
}

static void new_device_at_any_moment(struct kunit *test)
{
	unsigned int moment = *(const unsigned int *)test->param_value;
	struct sim_chan *old = sim_add(test, &sim_type_perf, &sim_echo);
	struct sim_chan *chan = sim_new(test, 0, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	chan->withheld = true;
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "new", NULL);
	vsc_add(test, "old", &sim_type_perf);
	sleep_with(test, &sleep, moment, offer_new, chan);
	flush_workqueue(vmbus_bus.add_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 0);
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	sleep_settle(test);
	sleep_expect_works(test, chan);
	sleep_expect_works(test, old);
	sleep_expect_again(test, chan);
}

/* A sleep that leaves the host alone: devices wait for its end. */
static void nothing_changes_in_any_sleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other;
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_new(test, "two", NULL);
	vsc->ids[1].guid = sim_type_perf;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	sleep_prepare(&sleep);
	other = sim_add(test, &sim_type_perf, &sim_echo);
	sim_rescind(chan);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	sleep_expect_works(test, other);
	/* Offered and rescinded within the sleep, it never was. */
	sleep_prepare(&sleep);
	chan = sim_add(test, NULL, NULL);
	sim_rescind(chan);
	sleep_settle(test);
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 2);
}

/* ---- drivers fail ---- */

static void driver_cannot_sleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	struct vsc *vsc, *other_vsc;
	u64 mark = sim_log_mark();
	struct device *dev;
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc = vsc_new(test, "restless", NULL);
	vsc->drv.suspend = NULL;
	vsc->drv.resume = NULL;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	other_vsc = vsc_add(test, "other", &sim_type_perf);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "its driver restless cannot hibernate"), 1);
	/* The one that was suspended first is back. */
	KUNIT_EXPECT_EQ(test, atomic_read(&other_vsc->suspends), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&other_vsc->resumes), 1);
	KUNIT_EXPECT_EQ(test, chan->closes, 0);
	dev = &sim_guest_channel(test, chan)->device_obj->device;
	KUNIT_EXPECT_EQ(test, vmbus_bus_pm.restore_noirq(dev), -EOPNOTSUPP);
	sleep_expect_turned_round(test, vsc, chan, other);
}

static void suspend_fails(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "busy", NULL);
	vsc->suspend_error = -EBADE;
	vsc_add(test, "other", &sim_type_perf);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -EBADE);
	sleep_expect_turned_round(test, vsc, chan, other);
	vsc->suspend_error = 0;
	sleep_expect_again(test, chan);
}

static void channel_left_open(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	char line[80];
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_new(test, "careless", NULL);
	vsc->leaves_open = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	vsc_add(test, "other", &sim_type_perf);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -EBUSY);
	/* It did not have to open what was open. */
	KUNIT_EXPECT_EQ(test, vsc->last_error, -EBUSY);
	snprintf(line, sizeof(line), "%pUl (relid %u) is still open", &chan->instance, chan->relid);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	sleep_expect_turned_round(test, vsc, chan, other);
}

static struct kunit_case power_cases[] = {
	KUNIT_CASE(callbacks_are_for_hibernation_alone),
	KUNIT_CASE_PARAM(comes_back, sim_versions_gen_params),
	KUNIT_CASE(cpu_does_not_come_back),
	KUNIT_CASE(sleeps_many_times),
	KUNIT_CASE(offers_may_differ),
	KUNIT_CASE(old_relids_mean_nothing),
	KUNIT_CASE_PARAM(hibernation_attribute, sim_versions_gen_params),
	KUNIT_CASE(slot_is_left_empty),
	KUNIT_CASE(missing_device_stays_asleep),
	KUNIT_CASE(missing_device_is_there_next_time),
	KUNIT_CASE(missing_device_loses_its_driver),
	KUNIT_CASE(missing_device_without_driver_goes),
	KUNIT_CASE(missing_device_comes_late),
	KUNIT_CASE(offer_after_the_last),
	KUNIT_CASE(other_type_is_another_device),
	KUNIT_CASE_PARAM(rescind_at_any_moment, moment_gen_params),
	KUNIT_CASE(rescinded_and_offered_again),
	KUNIT_CASE_PARAM(new_device_at_any_moment, moment_gen_params),
	KUNIT_CASE(nothing_changes_in_any_sleep),
	KUNIT_CASE(driver_cannot_sleep),
	KUNIT_CASE(suspend_fails),
	KUNIT_CASE(channel_left_open),
	{}
};

static int power_init(struct kunit *test)
{
	sim_needs_ordinary(test, "an isolation VM does not hibernate");
	return vsc_init(test);
}

struct kunit_suite power_suite = {
	.name = "hv_vmbus_power",
	.init = power_init,
	.exit = vsc_exit,
	.test_cases = power_cases,
};
