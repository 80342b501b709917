// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals to the host about a channel: by hypercall, or by a bit in the monitor
 * page where the host watches one.
 *
 * Actions: whoever sent, or made room, signals; in any context, without a lock.
 */
#include <linux/hyperv.h>
#include <asm/mshyperv.h>
#include <asm/sync_bitops.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/**
 * vmbus_signal_host() - one hypercall to signal the host about a channel
 * @channel: the channel
 *
 * Context: any.
 * Return: 0; otherwise the host refused.
 */
int vmbus_signal_host(struct vmbus_channel *channel)
{
	/* Only hosts of before 2.4 share one event among channels. */
	if (!channel->is_dedicated_interrupt)
		sync_set_bit(channel->offermsg.child_relid,
			     vmbus_conn.int_page + HV_HYP_PAGE_SIZE / 2);
	return static_call(vmbus_host_signal_event)(channel->sig_event);
}

/**
 * vmbus_set_event() - signal the host about a channel by hypercall
 * @channel: the channel
 *
 * If the host refuses, it is signalled again later.
 *
 * Context: any.
 */
void vmbus_set_event(struct vmbus_channel *channel)
{
	++channel->sig_events;
	if (unlikely(vmbus_signal_host(channel)))
		vmbus_signal_refused(to_vmbus_chan(channel));
}

static __always_inline void set_event_or_trigger(struct vmbus_channel *channel)
{
	struct hv_monitor_page *page = vmbus_conn.monitor_pages[1];

	if (!channel->offermsg.monitor_allocated || channel->low_latency) {
		vmbus_set_event(channel);
		return;
	}
	++channel->sig_events;
	sync_set_bit(channel->monitor_bit,
		     (unsigned long *)&page->trigger_group[channel->monitor_grp].pending);
}

static noinline void setevent_traced(struct vmbus_channel *channel)
{
	vmbus_trace_setevent(channel);
	set_event_or_trigger(channel);
}

/**
 * vmbus_setevent() - signal the host about a channel
 * @channel: the channel
 *
 * Sets a bit in the monitor page if the host watches one for this channel (it
 * looks within the monitor latency), else makes the hypercall.
 *
 * Context: any.
 */
void vmbus_setevent(struct vmbus_channel *channel)
{
	if (tracepoint_enabled(vmbus_setevent))
		setevent_traced(channel);
	else
		set_event_or_trigger(channel);
}

/**
 * vmbus_rx_report() - tell the user, once, that the inbound ring is broken
 * @chan: the channel
 */
void vmbus_rx_report(struct vmbus_chan *chan)
{
	if (chan->rx.reported)
		return;
	chan->rx.reported = true;
	pr_err_ratelimited("%pUl (relid %u): the host corrupted the inbound ring\n",
			   &chan->ch.offermsg.offer.if_instance, vmbus_chan_relid(chan));
}

/**
 * vmbus_rx_signal() - tell the host that there is room in the inbound ring
 * @chan: open channel
 *
 * Context: any; one caller at a time.
 */
void vmbus_rx_signal(struct vmbus_chan *chan)
{
	++chan->ch.intr_in_full;
	vmbus_setevent(&chan->ch);
}
