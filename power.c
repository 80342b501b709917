// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hibernation: the host forgets the guest before the image is made, and finds
 * it again in the next life.
 *
 * Actions: the PM core calls, one after the other and with user space frozen:
 * prepare of the root, suspend of each device (its driver closes the channel),
 * suspend of the root, CPUs off, syscore suspend; then all of it backwards. An
 * error on the way down turns it round there. Host messages are handled all the
 * time, by the work queues, which are not frozen; interrupts come as ever.
 *
 * From prepare to complete no device is added or removed, whatever the host
 * says: hold_devices().
 *
 * Locks: vmbus_connection.channel_mutex, never while a work or the host is
 * awaited.
 */
#include <linux/cpu.h>
#include <linux/hyperv.h>
#include <linux/pm.h>
#include <linux/syscore_ops.h>
#include <linux/wait_bit.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* Before 3.0 there is no UNLOAD: the host would go on using our memory. */
static bool can_leave_host(void)
{
	return vmbus_proto_version >= VERSION_WIN8_1;
}

/**
 * vmbus_power_supported() - can this machine hibernate?
 *
 * Return: whether the machine has the state for it, and the bus can leave its
 * host and come back.
 */
bool vmbus_power_supported(void)
{
	return hv_is_hibernation_supported() && can_leave_host() && !vmbus_host->isolation;
}

/* ---- channels ---- */

/**
 * vmbus_channels_flush() - sub-channels, sockets and rescinds under way are done
 *
 * Context: process, sleeps.
 */
void vmbus_channels_flush(void)
{
	flush_workqueue(vmbus_bus.sock_wq);
	flush_workqueue(vmbus_bus.gone_wq);
	flush_workqueue(vmbus_bus.chan_wq);
}

/*
 * From now on no device is added or removed: one that is added would miss its
 * turn, and the driver of one that is removed could be in the middle of its
 * suspend or resume. Sub-channels and sockets come and go as ever, but for new
 * sockets.
 */
static int hold_devices(struct device *root)
{
	mutex_lock(&vmbus_connection.channel_mutex);
	vmbus_bus.held = true;
	mutex_unlock(&vmbus_connection.channel_mutex);
	flush_workqueue(vmbus_bus.add_wq);
	vmbus_channels_flush();
	return 0;
}

/*
 * What had to wait is added and removed, and with it what has no driver and was
 * not offered again. A device whose driver could not resume without its offer
 * stays, asleep: the drivers that there are cannot be asked to remove a device
 * that is suspended. Nothing waits for any driver here: user space sleeps until
 * the end.
 */
static void let_devices_go(struct device *root)
{
	struct vmbus_chan *chan;

	mutex_lock(&vmbus_connection.channel_mutex);
	vmbus_bus.held = false;
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry) {
		bool sleeps = chan->asleep && READ_ONCE(chan->state) == VMBUS_CHAN_SUSPENDED;

		if (READ_ONCE(chan->ch.rescind) && !sleeps)
			vmbus_chan_queue(chan, chan->wq, &chan->rescind_work);
		else if (chan->asleep && !sleeps)
			vmbus_chan_queue(chan, chan->wq, &chan->wake_work);
		else if (chan->add_held)
			vmbus_chan_queue(chan, vmbus_chan_is_device(chan) ?
					 vmbus_bus.add_wq : chan->wq,
					 &chan->ch.add_channel_work);
		chan->add_held = false;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/* A socket or sub-channel is treated as if the host had rescinded it. */
static void revoke(struct vmbus_chan *chan)
{
	lockdep_assert_held(&vmbus_connection.channel_mutex);
	if (!vmbus_chan_event(chan, VMBUS_EV_RESCIND))
		vmbus_chan_queue(chan, chan->wq, &chan->rescind_work);
}

/* The host has forgotten it. */
static void forget_relid(struct vmbus_chan *chan)
{
	lockdep_assert_held(&vmbus_connection.channel_mutex);
	if (vmbus_chan_relid(chan) == VMBUS_NO_RELID)
		return;
	vmbus_relid_unmap(chan);
	chan->ch.offermsg.child_relid = VMBUS_NO_RELID;
}

/* ---- devices ---- */

/* What the host may see of an isolation VM's memory is not in its image. */
static bool isolated(void)
{
	if (vmbus_host->isolation)
		pr_err("an isolation VM cannot hibernate\n");
	return vmbus_host->isolation;
}

static int device_suspend(struct device *dev)
{
	struct hv_driver *drv;

	if (isolated())
		return -EOPNOTSUPP;
	if (!can_leave_host()) {
		pr_err("protocol %u.%u cannot hibernate, it has no UNLOAD\n",
		       VMBUS_VERSION_MAJOR(vmbus_proto_version),
		       VMBUS_VERSION_MINOR(vmbus_proto_version));
		return -EOPNOTSUPP;
	}
	if (!dev->driver)
		return 0;
	/* Since an earlier hibernation. */
	if (READ_ONCE(to_vmbus_chan(device_to_hv_device(dev)->channel)->asleep))
		return 0;
	drv = drv_to_hv_drv(dev->driver);
	if (!drv->suspend) {
		pr_err("%s: its driver %s cannot hibernate\n", dev_name(dev), drv->name);
		return -EOPNOTSUPP;
	}
	return drv->suspend(device_to_hv_device(dev));
}

static int device_resume(struct device *dev)
{
	struct hv_device *hv_dev = device_to_hv_device(dev);
	struct vmbus_chan *chan = to_vmbus_chan(hv_dev->channel);
	struct hv_driver *drv;
	bool missing;
	int err;

	if (!dev->driver)
		return 0;
	drv = drv_to_hv_drv(dev->driver);
	if (!drv->resume)
		return -EOPNOTSUPP;
	/* Its CPU may not have come back. */
	if (!cpu_online(hv_dev->channel->target_cpu))
		vmbus_cpus_choose(chan);

	missing = READ_ONCE(chan->state) == VMBUS_CHAN_SUSPENDED;
	err = drv->resume(hv_dev);
	mutex_lock(&vmbus_connection.channel_mutex);
	chan->asleep = err && (missing || chan->asleep);
	mutex_unlock(&vmbus_connection.channel_mutex);
	return err;
}

/**
 * vmbus_power_wake() - resume a driver whose device is offered at last
 * @chan: the device's channel; the device is not removed meanwhile
 *
 * Context: process, sleeps in the driver's resume().
 */
void vmbus_power_wake(struct vmbus_chan *chan)
{
	struct device *dev = &chan->ch.device_obj->device;

	/* The driver neither comes nor goes meanwhile. */
	device_lock(dev);
	if (READ_ONCE(chan->asleep) && !READ_ONCE(chan->ch.rescind))
		device_resume(dev);
	device_unlock(dev);
}

/* Suspend to idle keeps the connection: nothing to do. */
const struct dev_pm_ops vmbus_bus_pm = {
	.freeze_noirq = device_suspend,
	.thaw_noirq = device_resume,
	.poweroff_noirq = device_suspend,
	.restore_noirq = device_resume,
};

/* ---- the bus ---- */

/* A referenced socket that has not ended, or NULL. */
static struct vmbus_chan *get_socket(void)
{
	struct vmbus_chan *chan, *found = NULL;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry) {
		if (is_hvsock_channel(&chan->ch) && !READ_ONCE(chan->ch.rescind)) {
			found = vmbus_chan_get(chan);
			break;
		}
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

/*
 * No socket outlives the connection. The host lets go of its rings first; its
 * user may read them to the end, in the next life.
 */
static int end_sockets(void)
{
	struct vmbus_chan *chan;
	int err = 0;

	while (!err && (chan = get_socket())) {
		err = vmbus_channel_withdraw(chan);
		if (err)
			pr_err("%pUl (relid %u), a socket, does not end: no hibernation (%d)\n",
			       &chan->ch.offermsg.offer.if_instance,
			       vmbus_chan_relid(chan), err);
		mutex_lock(&vmbus_connection.channel_mutex);
		if (!err)
			revoke(chan);
		mutex_unlock(&vmbus_connection.channel_mutex);
		vmbus_chan_put(chan);
	}
	vmbus_channels_flush();
	return err;
}

/* -EBUSY if a device's channel is open, which its driver should have closed. */
static int find_open(void)
{
	struct vmbus_chan *chan;
	int err = 0;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry) {
		enum vmbus_chan_state state = READ_ONCE(chan->state);

		if (is_hvsock_channel(&chan->ch) || state == VMBUS_CHAN_OFFERED ||
		    state == VMBUS_CHAN_REVOKED || state == VMBUS_CHAN_SUSPENDED)
			continue;
		pr_err("%pUl (relid %u) is still open: no hibernation\n",
		       &chan->ch.offermsg.offer.if_instance, vmbus_chan_relid(chan));
		err = -EBUSY;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return err;
}

/* The host rescinds the sub-channels of a device whose channel is closed. */
static int await_subs(void)
{
	struct vmbus_chan *chan;

	if (wait_var_event_timeout(&vmbus_bus.nr_subs, !atomic_read(&vmbus_bus.nr_subs),
				   msecs_to_jiffies(vmbus_deadlines.request)))
		return 0;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry)
		if (!list_empty(&chan->subs))
			pr_err("%pUl (relid %u) has sub-channels that the host did not rescind in %u ms: no hibernation\n",
			       &chan->ch.offermsg.offer.if_instance,
			       vmbus_chan_relid(chan), vmbus_deadlines.request);
	mutex_unlock(&vmbus_connection.channel_mutex);
	return -ETIMEDOUT;
}

/* Without a connection there are no relids, no sub-channels and no sockets. */
static void forget_relids(void)
{
	struct vmbus_chan *chan, *sub;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry) {
		forget_relid(chan);
		list_for_each_entry(sub, &chan->subs, sub_node) {
			forget_relid(sub);
			revoke(sub);
		}
		if (is_hvsock_channel(&chan->ch))
			revoke(chan);
		else
			vmbus_chan_event(chan, VMBUS_EV_SUSPEND);
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	vmbus_channels_flush();
}

static void name_missing(void)
{
	struct vmbus_chan *chan;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry)
		if (READ_ONCE(chan->state) == VMBUS_CHAN_SUSPENDED)
			pr_err("device %pUl/%pUl is not there after resume\n",
			       &chan->ch.offermsg.offer.if_type,
			       &chan->ch.offermsg.offer.if_instance);
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/*
 * Devices are there again when the host has offered them; of the others
 * let_devices_go() decides.
 */
static int root_resume(struct device *dev)
{
	int err = vmbus_connection_resume();

	if (!err)
		err = vmbus_channels_request();
	if (err)
		pr_err("no connection to the host after resume: %d\n", err);
	name_missing();
	return err;
}

/*
 * On an error the connection is as it was, or made again, since nobody calls
 * root_resume() then. Devices are resumed in both cases.
 */
static int root_suspend(struct device *dev)
{
	int err;

	if (isolated())
		return -EOPNOTSUPP;
	err = find_open();
	if (!err)
		err = end_sockets();
	if (!err)
		err = await_subs();
	if (err)
		return err;
	/* What has gone is given back before the host is left. */
	vmbus_channels_flush();

	err = vmbus_connection_suspend();
	if (err && err != -ETIMEDOUT) {
		pr_err("the host cannot be told: no hibernation (%d)\n", err);
		return err;
	}
	/* Handlers that saw the connection up are done. */
	vmbus_messages_flush();
	forget_relids();
	if (err) {
		/* The image would be restored under a host that uses old memory. */
		pr_err("the host did not confirm: no hibernation, connecting again\n");
		vmbus_parked_keep();
		root_resume(dev);
		return err;
	}
	vmbus_parked_release(0);
	return 0;
}

const struct dev_pm_ops vmbus_root_pm = {
	.prepare = hold_devices,
	.complete = let_devices_go,
	.freeze_noirq = root_suspend,
	.thaw_noirq = root_resume,
	.poweroff_noirq = root_suspend,
	.restore_noirq = root_resume,
};

/* ---- CPU 0, which does not go off ---- */

/**
 * vmbus_power_syscore_suspend() - the SynIC of CPU 0 goes off
 *
 * Context: on CPU 0, interrupts off, all other CPUs are off.
 * Return: always 0.
 */
int vmbus_power_syscore_suspend(void)
{
	struct hv_message *message =
		per_cpu(vmbus_synic[VMBUS_SYNIC_HOST], VMBUS_CONNECT_CPU).message;
	u32 type;

	vmbus_host->synic_suspend(VMBUS_CONNECT_CPU);
	/* In the next life no interrupt comes for what is in the slot now. */
	type = READ_ONCE(message->header.message_type);
	if (type != HVMSG_NONE)
		vmbus_host->message_done(message, type);
	return 0;
}

/**
 * vmbus_power_syscore_resume() - undo vmbus_power_syscore_suspend()
 *
 * Context: the same.
 */
void vmbus_power_syscore_resume(void)
{
	vmbus_host->synic_resume(VMBUS_CONNECT_CPU);
}

#if VMBUS_SYSCORE_HAS_DATA

static int suspend_cpu(void *data)
{
	return vmbus_power_syscore_suspend();
}

static void resume_cpu(void *data)
{
	vmbus_power_syscore_resume();
}

static const struct syscore_ops syscore_ops = {
	.suspend = suspend_cpu,
	.resume = resume_cpu,
};

static struct syscore syscore = {
	.ops = &syscore_ops,
};

static void syscore_add(void)
{
	register_syscore(&syscore);
}

static void syscore_del(void)
{
	unregister_syscore(&syscore);
}

#else

static struct syscore_ops syscore_ops = {
	.suspend = vmbus_power_syscore_suspend,
	.resume = vmbus_power_syscore_resume,
};

static void syscore_add(void)
{
	register_syscore_ops(&syscore_ops);
}

static void syscore_del(void)
{
	unregister_syscore_ops(&syscore_ops);
}

#endif

/**
 * vmbus_power_init() - hibernation may come from now on
 *
 * Called last: of what is registered last the suspend comes first, before that
 * of Hyper-V's hypercall page.
 */
void vmbus_power_init(void)
{
	syscore_add();
}

/**
 * vmbus_power_exit() - undo vmbus_power_init()
 */
void vmbus_power_exit(void)
{
	syscore_del();
}
