// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_power: hibernation, with what can go wrong in each of its steps.
 */
#include <linux/hyperv.h>
#include <linux/smp.h>
#include <asm/mshyperv.h>

#include "call.h"
#include "files.h"
#include "guest.h"
#include "sleep.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_V(5, 3)
#define SHORT_MS	300

static void settle(struct kunit *test)
{
	unsigned int i;

	/* A removal may be followed by an addition, and that by an offer. */
	for (i = 0; i < 3; i++) {
		sim_drain(test);
		flush_workqueue(vmbus_bus.chan_wq);
		flush_workqueue(vmbus_bus.sock_wq);
		flush_workqueue(vmbus_bus.add_wq);
	}
}

/* A packet goes to an echo and comes back, on a channel that a driver has open. */
static bool echoes(struct vmbus_channel *ch)
{
	static u64 next = 1;
	u64 sent = next++, got[2], id;
	u32 len = 0;

	if (vmbus_sendpacket(ch, &sent, sizeof(sent), 1, VM_PKT_DATA_INBAND, 0))
		return false;
	return sim_wait(!vmbus_recvpacket(ch, got, sizeof(got), &len, &id) && len) &&
	       len == sizeof(sent) && got[0] == sent;
}

static void expect_works(struct kunit *test, struct sim_chan *chan)
{
	struct vmbus_channel *ch = sim_guest_channel(test, chan);

	KUNIT_EXPECT_EQ_MSG(test, ch->state, CHANNEL_OPENED_STATE, "relid %u", chan->relid);
	KUNIT_EXPECT_TRUE_MSG(test, echoes(ch), "relid %u", chan->relid);
}

/* One more hibernation, whatever was before. */
static void expect_sleeps(struct kunit *test, struct sim_chan *chan)
{
	struct sleep sleep;

	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sleep_image();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	if (chan)
		expect_works(test, chan);
}

static unsigned int nr_devices(void)
{
	struct sleep sleep;
	unsigned int count;

	sleep_prepare(&sleep);
	count = sleep.nr_devs;
	sleep_complete(&sleep);
	return count;
}

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
	sleep_image();
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
	expect_works(test, plain);
	expect_works(test, perf);
	KUNIT_EXPECT_EQ(test, sim_received(SIM_RELID_RELEASED), 0);
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
		expect_works(test, plain);
		expect_works(test, perf);
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
	expect_works(test, one);
	KUNIT_EXPECT_GT(test, sim_triggers(one), signals);
	expect_works(test, two);
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
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	expect_works(test, chan);
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
	slot = per_cpu(vmbus_synic, VMBUS_CONNECT_CPU).message;
	sim_mute(true);
	sim_send_relid(SIM_RESCIND, 9);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(slot->header.message_type) != HVMSG_NONE));
	sleep_image();
	KUNIT_EXPECT_EQ(test, READ_ONCE(slot->header.message_type), HVMSG_NONE);
	sim_mute(false);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	expect_works(test, chan);
}

/* ---- devices come and go meanwhile ---- */

static void expect_missing(struct kunit *test, struct vsc *vsc, struct sim_chan *chan, u64 mark)
{
	char line[120];

	snprintf(line, sizeof(line), "device %pUl/%pUl is not there after resume", &chan->type,
		 &chan->instance);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	settle(test);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == 1));
	KUNIT_EXPECT_EQ(test, vsc->last_error, -ENODEV);
}

static void missing_device_goes(struct kunit *test)
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
	/* Its driver is asked to go when all others are back. */
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_complete(&sleep);
	expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 3);
	KUNIT_EXPECT_EQ(test, sim_received(SIM_RELID_RELEASED), 0);
	KUNIT_EXPECT_EQ(test, nr_devices(), 1);
	expect_works(test, other);
	expect_sleeps(test, other);
	KUNIT_EXPECT_EQ(test, atomic_read(&other_vsc->resumes), 2);
	/* It may come again some day. */
	chan->withheld = false;
	sim_offer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	expect_sleeps(test, chan);
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
	settle(test);
	KUNIT_EXPECT_EQ(test, nr_devices(), 0);
	expect_sleeps(test, NULL);
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
		}
		vsc->hold_remove = round == 4;
		reinit_completion(&vsc->gate);
		sleep_complete(&sleep);
		/* In the middle of its removal. */
		if (vsc->hold_remove)
			KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
		sim_offer(chan);
		sim_drain(test);
		vsc_let_go(vsc);
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == round));
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
		settle(test);
		/* In the end it is there, or was given back and may be offered anew. */
		expect_works(test, chan);
	}
	KUNIT_EXPECT_EQ(test, nr_devices(), 1);
}

/* In time for its driver, though not for the bus. */
static void offer_after_the_last(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "late", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_withhold(chan);
	KUNIT_EXPECT_EQ(test, wake_root(), 0);
	chan->withheld = false;
	sim_offer(chan);
	sim_drain(test);
	wake_devices(&sleep);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
	sleep_complete(&sleep);
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	expect_works(test, chan);
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
	/* The old device is not gone yet: the relid is given back. */
	chan->unwelcome = true;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == 1));
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	settle(test);
	chan->unwelcome = false;
	sim_reoffer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&other->bound) == 1));
	expect_works(test, chan);
}

enum moment { PREPARED, SUSPENDED, AWAY, CONNECTED, RESUMED, NR_MOMENTS };

static const char * const moments[NR_MOMENTS] = {
	"before the devices", "before the bus", "without a connection", "before the devices again",
	"before the end",
};

static void moment_name(const unsigned int *moment, char *desc)
{
	strscpy(desc, moments[*moment], KUNIT_PARAM_DESC_SIZE);
}

static const unsigned int moment_values[] = { PREPARED, SUSPENDED, AWAY, CONNECTED, RESUMED };

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
			sleep_image();
			break;
		case CONNECTED:
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
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == 1));
	settle(test);
	/* A relid of the last connection is not given back to this one. */
	KUNIT_EXPECT_EQ(test, sim_received(SIM_RELID_RELEASED), moment >= CONNECTED);
	KUNIT_EXPECT_EQ(test, nr_devices(), 1);
	expect_works(test, other);
	expect_sleeps(test, other);
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
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	expect_works(test, chan);
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
	settle(test);
	expect_works(test, chan);
	expect_works(test, old);
	expect_sleeps(test, chan);
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
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	expect_works(test, other);
	/* Offered and rescinded within the sleep, it never was. */
	sleep_prepare(&sleep);
	chan = sim_add(test, NULL, NULL);
	sim_rescind(chan);
	settle(test);
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 2);
}

/* ---- drivers fail ---- */

static void expect_turned_round(struct kunit *test, struct vsc *vsc, struct sim_chan *chan,
				struct sim_chan *other)
{
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	expect_works(test, chan);
	expect_works(test, other);
}

static void driver_cannot_sleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	struct vsc *vsc, *other_vsc;
	u64 mark = sim_log_mark();
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
	KUNIT_EXPECT_EQ(test, vmbus_bus_pm.restore_noirq(
				&sim_guest_channel(test, chan)->device_obj->device), -EOPNOTSUPP);
	expect_turned_round(test, vsc, chan, other);
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
	expect_turned_round(test, vsc, chan, other);
	vsc->suspend_error = 0;
	expect_sleeps(test, chan);
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
	expect_turned_round(test, vsc, chan, other);
}

/* ---- the host is told ---- */

static const struct unload_case {
	const char *name;
	enum sim_action action;
} unloads[] = {
	{ "does not hear it", SIM_IGNORE },
	{ "never answers", SIM_DROP },
	{ "answers too late", SIM_HOLD },
};

static void unload_name(const struct unload_case *unload, char *desc)
{
	strscpy(desc, unload->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(unloads, unloads, unload_name);

static void host_does_not_confirm(struct kunit *test)
{
	const struct unload_case *unload = test->param_value;
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = unload->action, .times = 1 };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *idle = sim_add(test, &sim_type_perf, NULL);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	/* INITIATE_CONTACT comes to a host that did not hear of the end. */
	sim_allow_no_unload();
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	vmbus_deadlines.unload = SHORT_MS;
	sim_guest_channel(test, idle);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "the host did not confirm: no hibernation"), 1);
	/* The machine goes on, on a new connection. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	expect_works(test, chan);
	/* Late, this is the answer to nothing. */
	sim_release_held();
	settle(test);
	expect_works(test, chan);
	vmbus_deadlines.unload = 10 * MSEC_PER_SEC;
	expect_sleeps(test, chan);
}

static const int post_errors[] = { -EIO, -EAGAIN };

static void post_error_name(const int *err, char *desc)
{
	strscpy(desc, *err == -EIO ? "refused" : "no buffers", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(post_error, post_errors, post_error_name);

static void host_cannot_be_told(struct kunit *test)
{
	int err = *(const int *)test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	vsc_add(test, "other", &sim_type_perf);
	vmbus_deadlines.post = SHORT_MS;
	sim_fail_posts(SIM_UNLOAD, err, 0);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), err == -EIO ? -EIO : -ENOBUFS);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "the host cannot be told: no hibernation"), 1);
	sim_fail_posts(0, 0, 1);
	vmbus_deadlines.post = 10 * MSEC_PER_SEC;
	/* The connection is the old one. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 1);
	expect_turned_round(test, vsc, chan, other);
	expect_sleeps(test, chan);
}

/* ---- the host is found again ---- */

static void refuse_contact(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_REFUSE };

	sim_rule(&rule);
}

static void fail_to_connect(void)
{
	static const struct sim_rule rule = {
		.type = SIM_CONTACT, .action = SIM_REFUSE, .status = 2,
	};

	sim_rule(&rule);
}

static void ignore_contact(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_IGNORE };

	sim_rule(&rule);
	vmbus_deadlines.version = SHORT_MS;
}

static void drop_version_response(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_DROP };

	sim_rule(&rule);
	vmbus_deadlines.version = SHORT_MS;
}

static void speak_older_version(void)
{
	sim_set_version(SIM_V(5, 2));
}

static void answer_briefly(void)
{
	sim_short_version_response(12);
}

static void fail_contact(void)
{
	sim_fail_posts(SIM_CONTACT, -EIO, 0);
}

static void fail_contact_for_want_of_buffers(void)
{
	sim_fail_posts(SIM_CONTACT, -EAGAIN, 0);
	vmbus_deadlines.post = SHORT_MS;
}

static void miss_contact_port(void)
{
	sim_no_contact_port(true);
}

static void fail_request(void)
{
	sim_fail_posts(SIM_REQUEST_OFFERS, -EIO, 0);
}


/* @may_use: the host may have our pages, so there is no hibernation without it. */
static const struct contact_case {
	const char *name;
	void (*fault)(void);
	int error;
	bool may_use;
	bool connected;
} contacts[] = {
	{ "refuses the version", refuse_contact, -ECONNREFUSED },
	{ "speaks an older version", speak_older_version, -ECONNREFUSED },
	{ "fails to connect", fail_to_connect, -ECONNABORTED },
	{ "does not hear it", ignore_contact, -ETIMEDOUT, .may_use = true },
	{ "never answers", drop_version_response, -ETIMEDOUT, .may_use = true },
	{ "answers too briefly", answer_briefly, -EPROTO, .may_use = true },
	{ "takes no message", fail_contact, -EIO },
	{ "has no buffers", fail_contact_for_want_of_buffers, -ENOBUFS },
	{ "has no such port", miss_contact_port, -ECONNREFUSED },
	{ "takes no REQUESTOFFERS", fail_request, -EIO, .connected = true },
};

static void contact_name(const struct contact_case *contact, char *desc)
{
	strscpy(desc, contact->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(contacts, contacts, contact_name);

static void heal(void)
{
	sim_clear_rules();
	sim_set_version(NEWEST);
	sim_short_version_response(0);
	sim_fail_posts(0, 0, 1);
	sim_no_contact_port(false);
	vmbus_deadlines.version = 5 * MSEC_PER_SEC;
	vmbus_deadlines.post = 10 * MSEC_PER_SEC;
}

static void host_is_not_found(struct kunit *test)
{
	const struct contact_case *contact = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	/* What a host made of a contact that it did not answer well is its affair. */
	sim_allow_no_unload();
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "lost", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	contact->fault();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), contact->error);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no connection to the host after resume"), 1);
	expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, nr_devices(), 0);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state,
			contact->connected ? VMBUS_CONNECTED : VMBUS_DISCONNECTED);

	/* Nothing to leave; the next time the host may be found, and has the device. */
	heal();
	KUNIT_EXPECT_EQ(test, freeze(&sleep), contact->may_use ? -ESHUTDOWN : 0);
	if (contact->may_use)
		return;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	expect_works(test, chan);
}

/* The module goes while there is no connection, and comes again. */
static void stops_without_connection(struct kunit *test)
{
	const struct contact_case *contact = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_allow_no_unload();
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "lost", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	contact->fault();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), contact->error);
	vsc_unregister(vsc);
	heal();
	sim_stop(test);
	/* Of the last connection only what a host may have taken up is lost. */
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), contact->may_use);
	sim_forget_guest();
	sim_start_ok(test, NEWEST);
	vsc_add(test, "found", NULL);
	expect_works(test, chan);
}

/* The module goes when it is asleep: nothing of the kind happens, but nothing is lost. */
static void stops_asleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	sim_guest_channel(test, chan);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sleep.nr_down = 0;
	sleep.held = false;
	sleep_complete(&sleep);
	vsc_unregister(vsc);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

static void host_neither_confirms_nor_comes_back(struct kunit *test)
{
	struct sim_rule unload = { .type = SIM_UNLOAD, .action = SIM_DROP };
	struct sim_rule contact = { .type = SIM_CONTACT, .action = SIM_IGNORE };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_allow_no_unload();
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "lost", NULL);
	sim_rule(&unload);
	sim_rule(&contact);
	vmbus_deadlines.unload = SHORT_MS;
	vmbus_deadlines.version = SHORT_MS;
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, nr_devices(), 0);
	/* Nobody knows what that host does with our memory. */
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ESHUTDOWN);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), 1);
}

/* Before 5.0 there is one connection id for all. */
static void old_host_knows_no_port(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, SIM_V(4, 1));
	vsc = vsc_add(test, "lost", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_fail_posts(SIM_CONTACT, -ENOTCONN, 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), -ENOTCONN);
	expect_missing(test, vsc, chan, mark);
	sim_fail_posts(0, 0, 1);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	expect_works(test, chan);
}

static void offers_never_end(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_DROP };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_rule(&rule);
	vmbus_deadlines.offers = SHORT_MS;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no ALLOFFERS_DELIVERED from the host"), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	expect_works(test, chan);
}

/* ---- sub-channels ---- */

#define SUBS	3

static int ask_for_subs(struct vsc *vsc, struct hv_device *dev)
{
	u32 count = SUBS, got, len = 0;
	int before = atomic_read(&vsc->subs), err;
	u64 id;

	err = vmbus_sendpacket(dev->channel, &count, sizeof(count), 1, VM_PKT_DATA_INBAND, 0);
	if (!err && !sim_wait(atomic_read(&vsc->subs) == before + SUBS))
		err = -ETIMEDOUT;
	/* The host's answer. */
	if (!err && !sim_wait(!vmbus_recvpacket(dev->channel, &got, sizeof(got), &len, &id) && len))
		err = -ETIMEDOUT;
	return err;
}

static struct vsc *vsc_with_subs(struct kunit *test)
{
	struct vsc *vsc = vsc_new(test, "wide", &sim_type_perf);

	vsc->open_subs = true;
	vsc->in_probe = ask_for_subs;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	return vsc;
}

static void subs_come_anew(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	struct sleep sleep;
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	for (i = 1; i <= 5; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), i * SUBS);
		KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), SUBS);
		KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
		/* All were given back to the host that took them back. */
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), i * SUBS);
		KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
		KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
		KUNIT_EXPECT_EQ(test, vsc->last_error, 0);
		KUNIT_EXPECT_EQ(test, vsc->last_sub->state, CHANNEL_OPENED_STATE);
	}
	KUNIT_EXPECT_TRUE(test, chan->open);
}

static void rescind_subs(struct sim_chan *chan)
{
	u32 relid;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		struct sim_chan *sub = sim_chan_locked(relid);

		if (sub && sub->sub && guid_equal(&sub->instance, &chan->instance))
			sim_rescind_alone_locked(sub);
	}
	sim_unlock();
}

static int sleep_root_call(void *unused)
{
	return sleep_root();
}

static void subs_go_late(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	struct guest_call *call;
	struct sleep sleep;
	struct vsc *vsc;

	chan->keeps_subs = true;
	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	sleep_prepare(&sleep);
	KUNIT_EXPECT_EQ(test, sleep_devices(&sleep), 0);
	call = guest_call_begin(test, sleep_root_call, NULL);
	msleep(SHORT_MS);
	/* The host is not left before it has taken them back. */
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	rescind_subs(chan);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), SUBS);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 2 * SUBS);
}

static void subs_never_go(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;
	char line[80];

	chan->keeps_subs = true;
	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	vmbus_deadlines.request = 2000;
	vsc->in_probe = NULL;
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	snprintf(line, sizeof(line), "%pUl (relid %u) has sub-channels", &chan->instance,
		 chan->relid);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	KUNIT_EXPECT_TRUE(test, chan->open);
	rescind_subs(chan);
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
}

static void offer_sub(struct sim_chan *chan, void *arg)
{
	sim_offer_locked(sim_new_sub_locked(arg, 9, NULL));
}

/* Offered while the host is being left: it is gone with the connection. */
static void sub_at_the_last_moment(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct sim_rule rule = { .type = SIM_UNLOAD, .hook = offer_sub, .arg = chan };
	struct sleep sleep;
	u32 relid;

	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	vsc_add(test, "sleeper", &sim_type_perf);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	sim_clear_rules();
	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (sim_chan_locked(relid) && sim_chan_locked(relid)->sub)
			sim_chan_locked(relid)->withheld = true;
	sim_unlock();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	expect_works(test, chan);
}

/* ---- sockets ---- */

static int socket_sleeps(struct hv_device *dev)
{
	return 0;
}

static struct sim_chan *new_socket(struct kunit *test, const struct sim_vsp *vsp)
{
	struct sim_chan *socket = sim_new(test, 0, &sim_type_unknown, vsp);

	socket->flags = SIM_OFFER_HVSOCK;
	/* The guest ends it, and the host has not rescinded it then. */
	socket->unwelcome = true;
	socket->withheld = true;
	return socket;
}

/* A driver of sockets, which stay open when it is suspended, and an open one. */
static struct vsc *vsc_with_socket(struct kunit *test, struct sim_chan *socket)
{
	struct vsc *vsc = vsc_new(test, "socket", &sim_type_unknown);

	vsc->drv.hvsock = true;
	vsc->drv.suspend = socket_sleeps;
	vsc->drv.resume = socket_sleeps;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	socket->withheld = false;
	sim_offer(socket);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	return vsc;
}

static void sockets_go_first(struct kunit *test)
{
	struct sim_chan *device = sim_add(test, NULL, &sim_echo);
	struct sim_chan *socket = new_socket(test, &sim_echo);
	struct vsc *vsc, *socket_vsc;
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "device", NULL);
	socket_vsc = vsc_with_socket(test, socket);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	/* The host let go of its rings before anybody freed them. */
	KUNIT_EXPECT_EQ(test, socket->closes, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&socket_vsc->removes), 1);
	sim_lock();
	KUNIT_EXPECT_TRUE(test, socket->released);
	sim_unlock();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, nr_devices(), 1);
	expect_works(test, device);
}

static void keep_socket(struct vmbus_channel *channel)
{
}

/* Its user has not read everything, and goes on with it in the next life. */
static void socket_is_read_to_the_end(struct kunit *test)
{
	struct sim_chan *device = sim_add(test, NULL, &sim_echo);
	struct sim_chan *socket = new_socket(test, NULL);
	u64 text = 0x1122334455667788, got[2], id;
	struct vmbus_channel *ch;
	struct sleep sleep;
	struct vsc *vsc;
	u32 len, relid;

	sim_start_ok(test, NEWEST);
	vsc_add(test, "device", NULL);
	vsc = vsc_with_socket(test, socket);
	ch = sim_guest_channel(test, socket);
	vmbus_set_chn_rescind_callback(ch, keep_socket);
	sim_lock();
	KUNIT_EXPECT_EQ(test, sim_write(socket, VM_PKT_DATA_INBAND, 0, 0, &text, sizeof(text)), 0);
	relid = socket->relid;
	sim_unlock();
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	/* Another device has its relid now. */
	sim_withhold(socket);
	sim_move(socket, relid + 1);
	sim_move(device, relid);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(ch, got, sizeof(got), &len, &id), 0);
	KUNIT_EXPECT_EQ(test, len, sizeof(text));
	KUNIT_EXPECT_EQ(test, got[0], text);
	vmbus_hvsock_device_unregister(ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == 1));
	settle(test);
	KUNIT_EXPECT_EQ(test, sim_received(SIM_RELID_RELEASED), 0);
	expect_works(test, device);
	expect_sleeps(test, device);
}

static const struct ending_case {
	const char *name;
	u32 type;
	int post_error;		/* or 0: the host does not answer */
	int error;
} endings[] = {
	{ "no answer", SIM_GPADL_TEARDOWN, 0, -ETIMEDOUT },
	{ "no buffers", SIM_GPADL_TEARDOWN, -EAGAIN, -ENOBUFS },
	{ "refused", SIM_CLOSE, -EIO, -EIO },
};

static void ending_name(const struct ending_case *ending, char *desc)
{
	strscpy(desc, ending->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(endings, endings, ending_name);

static void socket_does_not_end(struct kunit *test)
{
	const struct ending_case *ending = test->param_value;
	struct sim_chan *socket = new_socket(test, &sim_echo);
	struct sim_rule rule = {
		.type = ending->type, .action = SIM_DROP, .relid = socket->relid,
	};
	struct sim_chan *idle = sim_add(test, NULL, NULL);
	u64 mark = sim_log_mark();
	struct sleep sleep;

	/* Its driver closes it once more in the end. */
	sim_allow_violations();
	sim_start_ok(test, NEWEST);
	vsc_with_socket(test, socket);
	sim_guest_channel(test, idle);
	vmbus_deadlines.post = SHORT_MS;
	vmbus_deadlines.request = SHORT_MS;
	if (ending->post_error)
		sim_fail_posts(ending->type, ending->post_error, 0);
	else
		sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), ending->error);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "a socket, does not end: no hibernation"), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	sim_fail_posts(0, 0, 1);
	sim_clear_rules();
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
}

static struct kunit_case power_cases[] = {
	KUNIT_CASE(callbacks_are_for_hibernation_alone),
	KUNIT_CASE_PARAM(comes_back, sim_versions_gen_params),
	KUNIT_CASE(sleeps_many_times),
	KUNIT_CASE(offers_may_differ),
	KUNIT_CASE(old_relids_mean_nothing),
	KUNIT_CASE_PARAM(hibernation_attribute, sim_versions_gen_params),
	KUNIT_CASE(slot_is_left_empty),
	KUNIT_CASE(missing_device_goes),
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
	KUNIT_CASE_PARAM(host_does_not_confirm, unloads_gen_params),
	KUNIT_CASE_PARAM(host_cannot_be_told, post_error_gen_params),
	KUNIT_CASE_PARAM(host_is_not_found, contacts_gen_params),
	KUNIT_CASE_PARAM(stops_without_connection, contacts_gen_params),
	KUNIT_CASE(stops_asleep),
	KUNIT_CASE(host_neither_confirms_nor_comes_back),
	KUNIT_CASE(old_host_knows_no_port),
	KUNIT_CASE(offers_never_end),
	KUNIT_CASE(subs_come_anew),
	KUNIT_CASE(subs_go_late),
	KUNIT_CASE(subs_never_go),
	KUNIT_CASE(sub_at_the_last_moment),
	KUNIT_CASE(sockets_go_first),
	KUNIT_CASE(socket_is_read_to_the_end),
	KUNIT_CASE_PARAM(socket_does_not_end, endings_gen_params),
	{}
};

struct kunit_suite power_suite = {
	.name = "hv_vmbus_power",
	.init = vsc_init,
	.exit = vsc_exit,
	.test_cases = power_cases,
};
