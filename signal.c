// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals to the host about a channel: by hypercall, or by a bit in the monitor
 * page where the host watches one.
 *
 * Actions: whoever sent, or made room, signals; in any context, without a lock.
 * A timer signals again where the host refused. Closing a channel ends that.
 *
 * A host may not know a channel's connection yet when it says that the channel
 * is open, or not know it for a moment while it is being moved. The signal is
 * lost then, and since a ring that is not empty is not signalled again, the
 * channel would be silent for ever. So the channel goes on a list, and all on
 * the list are signalled again by a timer, whose pauses double up to a second,
 * until the host takes it or the channel is not open any more.
 *
 * Locks: refused_lock for the list and the pause; innermost, and raw, because
 * interrupts signal on any kernel.
 */
#include <linux/hyperv.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <asm/mshyperv.h>
#include <asm/sync_bitops.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* The first pause and the longest before refused signals are tried again. */
#define RETRY_MIN_MS	1
#define RETRY_MAX_MS	1000

/* Refusals in a row after which the user is told: a quarter of a second. */
#define REFUSALS_TOLD	8

static DEFINE_RAW_SPINLOCK(refused_lock);	/* the list, retry_ms */
static LIST_HEAD(refused_list);
static unsigned int retry_ms;

static void retry_signals(struct timer_list *unused);
static DEFINE_TIMER(retry_timer, retry_signals);

static int signal_host(struct vmbus_channel *channel)
{
	/* Only hosts of before 2.4 share one event among channels. */
	if (!channel->is_dedicated_interrupt)
		sync_set_bit(channel->offermsg.child_relid,
			     vmbus_connection.int_page + HV_HYP_PAGE_SIZE / 2);
	return static_call(vmbus_host_signal_event)(channel->sig_event);
}

/* Rescinded or closed, there is nobody to signal, and no reason to tell anybody. */
static bool wants_signals(const struct vmbus_chan *chan)
{
	enum vmbus_chan_state state = READ_ONCE(chan->state);

	return state == VMBUS_CHAN_OPEN || state == VMBUS_CHAN_OPENING;
}

static noinline void signal_refused(struct vmbus_chan *chan)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&refused_lock, flags);
	if (list_empty(&chan->refused_node) && wants_signals(chan)) {
		chan->refusals = 1;
		list_add_tail(&chan->refused_node, &refused_list);
		retry_ms = RETRY_MIN_MS;
		mod_timer(&retry_timer, jiffies + msecs_to_jiffies(retry_ms));
	}
	raw_spin_unlock_irqrestore(&refused_lock, flags);
}

/* One more attempt for each; -1, or the relid of a channel to speak about. */
static int retry_all(guid_t *instance)
{
	struct vmbus_chan *chan, *next;
	int relid = -1;

	lockdep_assert_held(&refused_lock);
	list_for_each_entry_safe(chan, next, &refused_list, refused_node) {
		if (!wants_signals(chan) || !signal_host(&chan->ch)) {
			list_del_init(&chan->refused_node);
		} else if (++chan->refusals == REFUSALS_TOLD) {
			relid = vmbus_chan_relid(chan);
			*instance = chan->ch.offermsg.offer.if_instance;
		}
	}
	return relid;
}

static void retry_signals(struct timer_list *unused)
{
	unsigned long flags;
	guid_t instance;
	int relid;

	raw_spin_lock_irqsave(&refused_lock, flags);
	relid = retry_all(&instance);
	if (!list_empty(&refused_list)) {
		retry_ms = min(2 * retry_ms, RETRY_MAX_MS);
		mod_timer(&retry_timer, jiffies + msecs_to_jiffies(retry_ms));
	}
	raw_spin_unlock_irqrestore(&refused_lock, flags);
	if (relid >= 0)
		pr_warn_ratelimited("%pUl (relid %d): the host refuses signals, trying on\n",
				    &instance, relid);
}

/**
 * vmbus_signal_init() - a new channel's part of this file
 * @chan: the channel
 */
void vmbus_signal_init(struct vmbus_chan *chan)
{
	INIT_LIST_HEAD(&chan->refused_node);
}

/**
 * vmbus_signal_forget() - do not signal a channel again that the host refused
 * @chan: channel that is being closed or freed
 *
 * Context: any. When it returns the timer does not use @chan, unless somebody
 * signals it later.
 */
void vmbus_signal_forget(struct vmbus_chan *chan)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&refused_lock, flags);
	list_del_init(&chan->refused_node);
	raw_spin_unlock_irqrestore(&refused_lock, flags);
}

/**
 * vmbus_signals_stop() - the timer does not run and will not
 *
 * Context: process, sleeps; no channel is left.
 */
void vmbus_signals_stop(void)
{
	timer_delete_sync(&retry_timer);
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
	if (unlikely(signal_host(channel)))
		signal_refused(to_vmbus_chan(channel));
}

static __always_inline void set_event_or_trigger(struct vmbus_channel *channel)
{
	struct hv_monitor_page *page = vmbus_connection.monitor_pages[1];

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
