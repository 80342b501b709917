// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals that the host refused.
 *
 * A host may not know a channel's connection yet when it says that the channel
 * is open, or not know it for a moment while it is being moved. The signal is
 * lost then, and since a ring that is not empty is not signalled again, the
 * channel would be silent for ever. So the channel goes on a list, and all on
 * the list are signalled again by a timer, whose pauses double up to a second,
 * until the host takes it or the channel is not open any more.
 *
 * Actions: whoever signals, in any context, and the timer. Closing a channel
 * takes it off the list.
 *
 * Locks: refused_lock for the list and the pause; innermost, and raw, because
 * interrupts signal on any kernel.
 */
#include <linux/hyperv.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <asm/mshyperv.h>

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

/* Rescinded or closed, there is nobody to signal, and no reason to tell anybody. */
static bool wants_signals(const struct vmbus_chan *chan)
{
	enum vmbus_chan_state state = READ_ONCE(chan->state);

	return state == VMBUS_CHAN_OPEN || state == VMBUS_CHAN_OPENING;
}

/**
 * vmbus_signal_refused() - the host refused a signal: it is to be signalled again
 * @chan: the channel
 *
 * Context: any.
 */
void vmbus_signal_refused(struct vmbus_chan *chan)
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
		if (!wants_signals(chan) || !vmbus_signal_host(&chan->ch)) {
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
