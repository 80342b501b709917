// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpu.h>
#include <linux/smp.h>

#include "sleep.h"
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

void sleep_image(void)
{
	unsigned int cpu;

	for_each_present_cpu(cpu)
		if (cpu != VMBUS_CONNECT_CPU)
			remove_cpu(cpu);
	smp_call_function_single(VMBUS_CONNECT_CPU, core, NULL, 1);
	for_each_present_cpu(cpu)
		if (cpu != VMBUS_CONNECT_CPU)
			add_cpu(cpu);
}
