// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpu.h>
#include <linux/smp.h>

#include "sleep.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

static int add_device(struct device *dev, void *data)
{
	struct sleep *sleep = data;

	if (sleep->nr_devs < SLEEP_DEVICES)
		sleep->devs[sleep->nr_devs++] = get_device(dev);
	return 0;
}

void sleep_prepare(struct sleep *sleep)
{
	memset(sleep, 0, sizeof(*sleep));
	vmbus_root_pm.prepare(vmbus_bus.root);
	sleep->held = true;
	bus_for_each_dev(&vmbus_bus_type, NULL, sleep, add_device);
}

int sleep_devices(struct sleep *sleep)
{
	int err = 0;

	while (!err && sleep->nr_down < sleep->nr_devs) {
		struct device *dev = sleep->devs[sleep->nr_devs - sleep->nr_down - 1];

		err = vmbus_bus_type.pm->freeze_noirq(dev);
		sleep->nr_down += !err;
	}
	return err;
}

int sleep_root(void)
{
	return vmbus_root_pm.freeze_noirq(vmbus_bus.root);
}

int wake_root(void)
{
	return vmbus_root_pm.restore_noirq(vmbus_bus.root);
}

void wake_devices(struct sleep *sleep)
{
	while (sleep->nr_down) {
		unsigned int i = sleep->nr_devs - sleep->nr_down--;

		sleep->errors[i] = vmbus_bus_type.pm->restore_noirq(sleep->devs[i]);
	}
}

void sleep_complete(struct sleep *sleep)
{
	if (sleep->held)
		vmbus_root_pm.complete(vmbus_bus.root);
	sleep->held = false;
	while (sleep->nr_devs)
		put_device(sleep->devs[--sleep->nr_devs]);
}

int freeze(struct sleep *sleep)
{
	int err;

	sleep_prepare(sleep);
	err = sleep_devices(sleep);
	if (!err)
		err = sleep_root();
	if (err) {
		wake_devices(sleep);
		sleep_complete(sleep);
	}
	return err;
}

int thaw(struct sleep *sleep)
{
	int err = wake_root();

	wake_devices(sleep);
	sleep_complete(sleep);
	return err;
}

static void core(void *unused)
{
	vmbus_power_syscore_suspend();
	vmbus_power_syscore_resume();
}

void sleep_core(void)
{
	smp_call_function_single(VMBUS_CONNECT_CPU, core, NULL, 1);
}

void sleep_image(void)
{
	unsigned int cpu;

	for_each_present_cpu(cpu)
		if (cpu != VMBUS_CONNECT_CPU)
			remove_cpu(cpu);
	sleep_core();
	for_each_present_cpu(cpu)
		if (cpu != VMBUS_CONNECT_CPU)
			add_cpu(cpu);
}

/* ---- what has to hold ---- */

void sleep_settle(struct kunit *test)
{
	unsigned int i;

	/* A removal may be followed by an addition, and that by an offer. */
	for (i = 0; i < 3; i++) {
		sim_drain(test);
		vmbus_channels_flush();
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

void sleep_expect_works(struct kunit *test, struct sim_chan *chan)
{
	struct vmbus_channel *ch = sim_guest_channel(test, chan);

	KUNIT_EXPECT_EQ_MSG(test, ch->state, CHANNEL_OPENED_STATE, "relid %u", chan->relid);
	KUNIT_EXPECT_TRUE_MSG(test, echoes(ch), "relid %u", chan->relid);
}

/* One more hibernation, whatever was before. */
void sleep_expect_again(struct kunit *test, struct sim_chan *chan)
{
	struct sleep sleep;

	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sleep_core();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	if (chan)
		sleep_expect_works(test, chan);
}

unsigned int sleep_nr_devices(void)
{
	struct sleep sleep;
	unsigned int count;

	sleep_prepare(&sleep);
	count = sleep.nr_devs;
	sleep_complete(&sleep);
	return count;
}

void sleep_expect_missing(struct kunit *test, struct vsc *vsc, struct sim_chan *chan, u64 mark)
{
	char line[120];

	snprintf(line, sizeof(line), "device %pUl/%pUl is not there after resume", &chan->type,
		 &chan->instance);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, vsc->last_error, -ENODEV);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 0);
	/* Not all drivers bear that: hv_balloon stops a thread that it has not got. */
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
}

void sleep_expect_turned_round(struct kunit *test, struct vsc *vsc, struct sim_chan *chan,
			       struct sim_chan *other)
{
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_expect_works(test, chan);
	sleep_expect_works(test, other);
}
