// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that are told when the host takes their device back, and keep it until
 * they are done with it: hv_sock, whose sockets are read to their end, and
 * uio_hv_generic, whose users have the rings mapped.
 *
 * Actions: the rescind work of a channel calls the callback, once. The driver
 * unregisters the device at any time in any task, also in its callback or before
 * the rescind: the work is queued (again) when both have happened, and since one
 * work does not run twice at a time, the device is removed once and after the
 * callback.
 *
 * References: the device and its channel are there until that last run, so
 * drivers need none; the work holds its own.
 *
 * Locks: chan->lock for who has the device; nothing is held while the callback
 * runs. Who must not go before its end waits for @teller.
 */
#include <linux/hyperv.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "include/vmbus_private.h"

/**
 * vmbus_rescind_told() - tell the driver of a rescinded device, if it wants that
 * @chan: its primary channel, referenced; no probe that has it open runs
 *
 * Context: the channel's rescind work; sleeps in the driver's callback.
 * Return: whether the device is the driver's; if not, it is to be removed.
 */
bool vmbus_rescind_told(struct vmbus_chan *chan)
{
	void (*callback)(struct vmbus_channel *channel) = NULL;
	struct vmbus_channel *ch = &chan->ch;
	bool kept;

	spin_lock(&chan->lock);
	if (ch->device_obj && !chan->told && !chan->unregistered) {
		callback = ch->chn_rescind_callback;
		chan->told = callback;
		chan->teller = callback ? current : NULL;
	}
	kept = chan->told && !chan->unregistered;
	spin_unlock(&chan->lock);
	if (!callback)
		return kept;

	vmbus_reset_channel_cb(ch);
	callback(ch);
	WRITE_ONCE(chan->teller, NULL);
	/* Pairs with the barrier in wait_var_event(): it sees this, or is woken. */
	smp_mb();
	wake_up_var(&chan->teller);
	/* If the driver is done with it already, the work is queued again. */
	return true;
}

/**
 * vmbus_rescind_wait_told() - a rescind callback that runs is over
 * @chan: primary channel
 *
 * Context: process, sleeps; the callback itself may call this, and does not wait.
 */
void vmbus_rescind_wait_told(struct vmbus_chan *chan)
{
	if (READ_ONCE(chan->teller) != current)
		wait_var_event(&chan->teller, !READ_ONCE(chan->teller));
}

/**
 * vmbus_set_chn_rescind_callback() - who to tell that a device is revoked
 * @channel: the device's primary channel
 * @chn_rescind_cb: called once, in process context, when the host has taken the
 *	channel back and interrupts it no more; NULL for nobody
 *
 * Who is told keeps the device, and what is left in its ring, until it calls
 * vmbus_device_unregister() or vmbus_hvsock_device_unregister(), be it in the
 * callback. Without a callback a revoked device is removed at once. To be set
 * by a probe that has opened the channel, or later.
 *
 * Context: process, sleeps until the one that was set before does not run.
 */
void vmbus_set_chn_rescind_callback(struct vmbus_channel *channel,
				    void (*chn_rescind_cb)(struct vmbus_channel *))
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);

	spin_lock(&chan->lock);
	channel->chn_rescind_callback = chn_rescind_cb;
	spin_unlock(&chan->lock);
	vmbus_rescind_wait_told(chan);
}

/**
 * vmbus_rescind_unregister() - the driver is done with a device
 * @chan: its primary channel, referenced
 *
 * The device goes when the host has rescinded it, without a further callback,
 * and its relid with it.
 *
 * Context: process.
 */
void vmbus_rescind_unregister(struct vmbus_chan *chan)
{
	spin_lock(&chan->lock);
	chan->unregistered = true;
	spin_unlock(&chan->lock);
	/* A rescind that comes later finds it. At removal everything goes anyway. */
	if (!READ_ONCE(chan->ch.rescind) || READ_ONCE(vmbus_conn.state) != VMBUS_CONNECTED)
		return;
	vmbus_chan_queue(chan, chan->wq, &chan->rescind_work);
}

/**
 * vmbus_device_unregister() - a driver is done with a revoked device
 * @device_obj: the device, whose driver was told by its rescind callback
 *
 * The driver's remove() is called afterwards, when the callback has returned.
 *
 * Context: process.
 */
void vmbus_device_unregister(struct hv_device *device_obj)
{
	struct vmbus_chan *chan = vmbus_chan_get(to_vmbus_chan(device_obj->channel));

	vmbus_rescind_unregister(chan);
	vmbus_chan_put(chan);
}

/**
 * vmbus_rescind_forget_driver() - a device has no driver any more
 * @chan: its primary channel
 *
 * A socket does not end with its driver's binding, and keeps the driver's module
 * until it has unregistered its device. No other driver is told of a rescind any
 * more, and what one was told of and did not unregister goes.
 *
 * Context: process, sleeps until the rescind callback does not run.
 */
void vmbus_rescind_forget_driver(struct vmbus_chan *chan)
{
	bool kept;

	if (is_hvsock_channel(&chan->ch)) {
		vmbus_rescind_wait_told(chan);
		return;
	}
	vmbus_set_chn_rescind_callback(&chan->ch, NULL);
	spin_lock(&chan->lock);
	kept = chan->told && !chan->unregistered;
	spin_unlock(&chan->lock);
	if (kept)
		vmbus_rescind_unregister(chan);
}
