// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Linux side: start and stop, bus type, devices, CPU hotplug, the ways down
 * (kexec, panic).
 *
 * Actions: start and stop; the driver core's calls for devices; CPUs coming and
 * going.
 * The ways down can start at any moment.
 *
 * References: an hv_device holds one on its primary channel until its release.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/module.h>
#include <linux/panic_notifier.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#define VENDOR_MICROSOFT	0x1414

static enum cpuhp_state online_state;

/* Whether vmbus_start() found a host; else there is nothing to stop. */
static bool started;

/* ---- CPU hotplug ---- */

static int cpu_up_callback(unsigned int cpu)
{
	int err = vmbus_host->synic_up(cpu, per_cpu(vmbus_synic, cpu));

	if (!err)
		vmbus_synic_show(cpu);
	return err;
}

/* Whoever looks at the slots of all CPUs leaves this one out from now on. */
static void forget_slot(unsigned int cpu)
{
	WRITE_ONCE(per_cpu(vmbus_synic[VMBUS_SYNIC_HOST], cpu).message, NULL);
	vmbus_synic_show(cpu);
}

static int cpu_down_callback(unsigned int cpu)
{
	/* At removal of the module every CPU goes down for us. */
	bool leaves = vmbus_conn.state == VMBUS_CONNECTED;
	int err = 0;

	if (leaves && cpu == VMBUS_CONNECT_CPU)
		return -EBUSY;
	if (leaves)
		err = vmbus_cpu_leave(cpu) ?: vmbus_events_drain(cpu);
	if (err)
		return err;
	vmbus_host->synic_down(cpu);
	if (leaves) {
		/* What came in the very last moment. */
		vmbus_events_handle(cpu);
		vmbus_cpu_gone();
	}
	if (vmbus_host->isolation && vmbus_host->isolation->synic_goes)
		forget_slot(cpu);
	return 0;
}

/* ---- bus ---- */

static int vmbus_match(struct device *dev, VMBUS_MATCH_CONST struct device_driver *driver)
{
	struct hv_vmbus_device_id id;

	return vmbus_driver_find_id((struct hv_driver *)drv_to_hv_drv(driver),
				    device_to_hv_device(dev), &id);
}

static int vmbus_uevent(VMBUS_UEVENT_CONST struct device *dev, struct kobj_uevent_env *env)
{
	const struct hv_device *hv_dev = container_of(dev, const struct hv_device, device);

	return add_uevent_var(env, "MODALIAS=vmbus:%*phN", UUID_SIZE, &hv_dev->dev_type);
}

/* The driver's state is gone and its code may go: nothing calls it any more. */
static void forget_driver(struct hv_device *hv_dev)
{
	vmbus_set_sc_create_callback(hv_dev->channel, NULL);
	vmbus_rescind_forget_driver(to_vmbus_chan(hv_dev->channel));
	vmbus_ring_files_forget(to_vmbus_chan(hv_dev->channel));
	vmbus_close(hv_dev->channel);	/* in case the driver did not */
	/* That was its state. */
	mutex_lock(&vmbus_connection.channel_mutex);
	to_vmbus_chan(hv_dev->channel)->asleep = false;
	mutex_unlock(&vmbus_connection.channel_mutex);
}

static int vmbus_probe(struct device *dev)
{
	struct hv_driver *drv = drv_to_hv_drv(dev->driver);
	struct hv_device *hv_dev = device_to_hv_device(dev);
	struct hv_vmbus_device_id id;
	int err;

	if (!drv->probe) {
		pr_err("probe not set for driver %s\n", dev_name(dev));
		return -ENODEV;
	}
	/* The id that matched may have been removed since. */
	if (!vmbus_driver_find_id(drv, hv_dev, &id))
		return -ENODEV;
	err = drv->probe(hv_dev, &id);
	if (err) {
		pr_err_ratelimited("probe failed for device %s (%d)\n", dev_name(dev), err);
		vmbus_set_chn_rescind_callback(hv_dev->channel, NULL);
		forget_driver(hv_dev);
	}
	return err;
}

static void vmbus_remove(struct device *dev)
{
	struct hv_driver *drv = drv_to_hv_drv(dev->driver);
	struct hv_device *hv_dev = device_to_hv_device(dev);

	if (drv->remove)
		drv->remove(hv_dev);
	forget_driver(hv_dev);
}

static void vmbus_shutdown(struct device *dev)
{
	struct hv_driver *drv;

	if (!dev->driver)
		return;
	drv = drv_to_hv_drv(dev->driver);
	if (drv->shutdown)
		drv->shutdown(device_to_hv_device(dev));
}

static int vmbus_dma_configure(struct device *dev)
{
	hv_setup_dma_ops(dev, device_get_dma_attr(vmbus_bus.root) != DEV_DMA_NON_COHERENT);
	return 0;
}

struct bus_type vmbus_bus_type = {
	.name = "vmbus",
	.match = vmbus_match,
	.uevent = vmbus_uevent,
	.probe = vmbus_probe,
	.remove = vmbus_remove,
	.shutdown = vmbus_shutdown,
	.dma_configure = vmbus_dma_configure,
	.pm = &vmbus_bus_pm,
#if VMBUS_CORE_OVERRIDE
	.driver_override = true,
#endif
	.dev_groups = vmbus_dev_groups,
	.drv_groups = vmbus_drv_groups,
	.bus_groups = vmbus_bus_groups,
};

/* ---- devices ---- */

static void device_release(struct device *dev)
{
	struct hv_device *hv_dev = device_to_hv_device(dev);
	struct vmbus_chan *chan = to_vmbus_chan(hv_dev->channel);

#if !VMBUS_CORE_OVERRIDE
	kfree(hv_dev->driver_override);
#endif
	kfree(hv_dev);
	vmbus_chan_put(chan);
}

/*
 * The channels directory comes before the device's uevent and before any driver
 * probes it: user space finds it there, and sub-channels find their place.
 */
static void show_channels(struct hv_device *hv_dev)
{
	struct vmbus_chan *chan = to_vmbus_chan(hv_dev->channel);
	struct kset *kset;

	kset = kset_create_and_add("channels", NULL, &hv_dev->device.kobj);
	if (!kset)
		return;
	hv_dev->channels_kset = kset;
	if (vmbus_sysfs_add_channel(chan)) {
		hv_dev->channels_kset = NULL;
		kset_unregister(kset);
		return;
	}
	vmbus_channel_subs_ready(chan);
}

static void hide_channels(struct hv_device *hv_dev)
{
	vmbus_sysfs_del_channel(to_vmbus_chan(hv_dev->channel));
	if (hv_dev->channels_kset)
		kset_unregister(hv_dev->channels_kset);
	hv_dev->channels_kset = NULL;
}

static int bus_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct hv_device *hv_dev = device_to_hv_device((struct device *)data);

	if (event == BUS_NOTIFY_ADD_DEVICE)
		show_channels(hv_dev);
	else if (event == BUS_NOTIFY_REMOVED_DEVICE)
		hide_channels(hv_dev);
	return NOTIFY_OK;
}

static struct notifier_block bus_notifier = {
	.notifier_call = bus_event,
};

static void device_del_glue(struct vmbus_chan *chan)
{
	struct hv_device *hv_dev = chan->ch.device_obj;

	pr_debug("child device %s unregistered\n", dev_name(&hv_dev->device));
	device_unregister(&hv_dev->device);
	chan->ch.device_obj = NULL;
}

static void device_settle_glue(struct vmbus_chan *chan)
{
	struct device *dev = &chan->ch.device_obj->device;

	device_lock(dev);
	device_unlock(dev);
}

static int device_add_glue(struct vmbus_chan *chan)
{
	const struct vmbus_channel_offer *offer = &chan->ch.offermsg.offer;
	struct hv_device *hv_dev = kzalloc(sizeof(*hv_dev), GFP_KERNEL);
	struct device *dev;
	int err;

	if (!hv_dev)
		return -ENOMEM;
	hv_dev->channel = &vmbus_chan_get(chan)->ch;
	hv_dev->dev_type = offer->if_type;
	hv_dev->dev_instance = offer->if_instance;
	hv_dev->vendor_id = VENDOR_MICROSOFT;
	hv_dev->device_id = chan->ch.device_id;

	dev = &hv_dev->device;
	dev->bus = &vmbus_bus_type;
	dev->parent = vmbus_bus.root;
	dev->release = device_release;
	dev->dma_parms = &hv_dev->dma_parms;
	dev->dma_mask = &hv_dev->dma_mask;
	hv_dev->dma_mask = DMA_BIT_MASK(64);
	set_dev_node(dev, cpu_to_node(chan->ch.target_cpu));
	device_initialize(dev);
	chan->ch.device_obj = hv_dev;

	err = dev_set_name(dev, "%pUl", &offer->if_instance);
	if (!err)
		err = device_add(dev);
	if (err) {
		chan->ch.device_obj = NULL;
		put_device(dev);
		return err;
	}
	if (!hv_dev->channels_kset) {
		device_del_glue(chan);
		return -ENOMEM;
	}
	pr_debug("child device %s registered\n", dev_name(dev));
	return 0;
}

static const struct vmbus_glue_ops glue_ops = {
	.device_add = device_add_glue,
	.device_del = device_del_glue,
	.device_settle = device_settle_glue,
	.device_wake = vmbus_power_wake,
	.channel_add = vmbus_sysfs_add_channel,
	.channel_del = vmbus_sysfs_del_channel,
};

/* ---- the ways down ---- */

/* That kernel would take what the host still sees for its own. */
static void hide_memory(void)
{
	if (!vmbus_host->set_visible)
		return;
	vmbus_channels_cut();
	vmbus_shared_hide_all();
}

static void on_kexec(void)
{
	bool confirmed;

	vmbus_stop_offers();
	confirmed = vmbus_unload();
	cpuhp_remove_state(online_state);
	if (confirmed)
		hide_memory();
}

static void on_crash(void)
{
	if (!READ_ONCE(vmbus_conn.skip_unload))
		vmbus_unload_crashed();
}

static int on_panic(struct notifier_block *nb, unsigned long event, void *data)
{
	on_crash();
	return NOTIFY_DONE;
}

/* Last but one: others may still want to use their devices. */
static struct notifier_block panic_notifier = {
	.notifier_call = on_panic,
	.priority = INT_MIN + 1,
};

static const struct vmbus_host_upcalls upcalls = {
	.interrupt = vmbus_isr,
	.interrupt_both = vmbus_isr_both,
	.kexec = on_kexec,
	.crash = on_crash,
};

/* ---- start and stop ---- */

static int bus_init(void)
{
	int err;

	err = bus_register(&vmbus_bus_type);
	if (err)
		return err;
	err = bus_register_notifier(&vmbus_bus_type, &bus_notifier);
	if (err)
		bus_unregister(&vmbus_bus_type);
	return err;
}

static void bus_exit(void)
{
	bus_unregister_notifier(&vmbus_bus_type, &bus_notifier);
	bus_unregister(&vmbus_bus_type);
}

/* Ends the connection and frees what the host lets go of. */
static void disconnect(void)
{
	unsigned long leaked;
	bool confirmed;

	vmbus_stop_offers();
	/* Handlers that saw the connection up have queued what they had to. */
	vmbus_messages_flush();
	vmbus_channels_remove();
	confirmed = vmbus_unload();
	cpuhp_remove_state(online_state);
	vmbus_cpus_exit();
	vmbus_interrupts_drain();
	vmbus_channels_forget();
	vmbus_signals_stop();
	if (confirmed) {
		vmbus_parked_release(0);
	} else {
		leaked = vmbus_parked_leak();
		if (leaked)
			pr_err("leaking %lu KiB of rings that the host may still use\n", leaked);
	}
	vmbus_disconnect(confirmed);
	vmbus_shared_forget();
}

/**
 * vmbus_start() - connect to a host, add its devices
 * @host: the host, used until vmbus_stop()
 * @max_version: highest protocol version to offer, (major << 16) | minor
 *
 * On the root partition, which has the hosts and is no guest of one, nothing is
 * started and nothing is wrong: modules of that partition link against this one.
 *
 * Context: process, sleeps, up to the deadlines of the connection; once until
 * vmbus_stop().
 * Return: 0; -ENODEV if there is no such host, no VMBus in ACPI, or no
 * interrupt for it where there has to be one; -ENOMEM; errors of
 * vmbus_connect(), of vmbus_channels_request() and of the driver core. After
 * an error nothing is left behind but what was said to be leaked.
 */
int vmbus_start(const struct vmbus_host_ops *host, u32 max_version)
{
	int err;

	err = host->attach(&upcalls);
	if (err)
		return err == -EHOSTDOWN ? 0 : err;
	started = true;
	vmbus_host_set(host);
	vmbus_gpadl_start();
	vmbus_openid_start();
	err = vmbus_root_init();
	if (err)
		goto detach_host;
	if (vmbus_host->listen)
		err = vmbus_host->listen(vmbus_bus.irq);
	if (err)
		goto exit_root;
	err = vmbus_interrupts_init();
	if (err)
		goto exit_root;
	err = vmbus_channels_init(&glue_ops);
	if (err)
		goto exit_interrupts;
	err = bus_init();
	if (err)
		goto exit_channels;
	vmbus_debugfs_init();
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "hyperv/vmbus:online",
				cpu_up_callback, cpu_down_callback);
	if (err < 0)
		goto exit_debugfs;
	online_state = err;

	vmbus_messages_take_late();
	err = vmbus_connect(max_version);
	if (err)
		goto remove_cpus;
	err = vmbus_channels_request();
	if (err)
		goto disconnect;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_notifier);
	vmbus_power_init();
	return 0;

disconnect:
	vmbus_debugfs_exit();
	disconnect();
	goto exit_bus;
remove_cpus:
	cpuhp_remove_state(online_state);
	vmbus_interrupts_drain();
exit_debugfs:
	vmbus_debugfs_exit();
exit_bus:
	bus_exit();
exit_channels:
	vmbus_channels_exit();
exit_interrupts:
	vmbus_interrupts_exit();
exit_root:
	vmbus_root_exit();
detach_host:
	vmbus_host->detach();
	started = false;
	vmbus_host_set(NULL);
	return err;
}

/**
 * vmbus_stop() - remove all devices, end the connection; undo vmbus_start()
 *
 * Context: process, sleeps, up to the deadlines of closing and unloading; no
 * driver is registered any more.
 */
void vmbus_stop(void)
{
	if (!started)
		return;
	started = false;
	vmbus_debugfs_exit();
	vmbus_power_exit();
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_notifier);
	disconnect();
	bus_exit();
	vmbus_channels_exit();
	vmbus_interrupts_exit();
	vmbus_root_exit();
	vmbus_host->detach();
	vmbus_host_set(NULL);
	/* Channels and requests are freed after a grace period. */
	rcu_barrier();
}
