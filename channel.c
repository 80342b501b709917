// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: their references and callbacks, open and close.
 *
 * Actions: open, close and retarget of all channels of one device exclude each
 * other by the primary channel's open_mutex. Interrupts come at any time from
 * the moment that a callback is set until vmbus_reset_channel_cb() is done with
 * its grace period.
 *
 * Ring memory belongs to the channel while it is open. If the host does not
 * confirm that it let go of it, the memory is parked: kept until a late
 * confirmation, the end of a rescind, or the unload.
 *
 * Locks: open_mutex -> vmbus_connection.channel_mutex -> chan->lock.
 */
#include <linux/hyperv.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* A batched callback gives the CPU back after this long. */
#define BATCH_JIFFIES	2

struct vmbus_bus vmbus_bus;

static atomic_t next_openid;

/**
 * vmbus_openid_start() - choose where open ids start
 *
 * Anywhere: an answer to a kernel that crashed here may still come.
 *
 * Context: process, at start; no channel exists.
 */
void vmbus_openid_start(void)
{
	atomic_set(&next_openid, get_random_u32());
}

/**
 * vmbus_chan_open_mutex() - the mutex that serves all channels of a device
 * @chan: one of them
 */
struct mutex *vmbus_chan_open_mutex(struct vmbus_chan *chan)
{
	struct vmbus_channel *primary = chan->ch.primary_channel;

	return primary ? &to_vmbus_chan(primary)->open_mutex : &chan->open_mutex;
}

static void chan_free(struct kref *ref)
{
	struct vmbus_chan *chan = container_of(ref, struct vmbus_chan, ref);
	struct vmbus_channel *primary = chan->ch.primary_channel;

	/* A sender may have been slower than who closed the channel. */
	vmbus_signal_forget(chan);
	tasklet_kill(&chan->ch.callback_event);
	vmbus_ring_release(chan);
	mutex_destroy(&chan->sc_mutex);
	mutex_destroy(&chan->open_mutex);
	/* Interrupts look channels up under RCU. */
	kfree_rcu(chan, ch.rcu);
	if (primary)
		vmbus_chan_put(to_vmbus_chan(primary));
}

/**
 * vmbus_chan_get() - take a reference
 * @chan: channel that is referenced already
 */
struct vmbus_chan *vmbus_chan_get(struct vmbus_chan *chan)
{
	kref_get(&chan->ref);
	return chan;
}

/**
 * vmbus_chan_put() - drop a reference
 * @chan: the channel; freed with the last one
 *
 * Context: process, may sleep.
 */
void vmbus_chan_put(struct vmbus_chan *chan)
{
	kref_put(&chan->ref, chan_free);
}

/**
 * vmbus_chan_queue() - queue a work of a channel, unless it is queued
 * @chan: referenced channel
 * @wq: where
 * @work: it gets a reference of its own, which it drops
 */
void vmbus_chan_queue(struct vmbus_chan *chan, struct workqueue_struct *wq,
		      struct work_struct *work)
{
	vmbus_chan_get(chan);
	if (!queue_work(wq, work))
		vmbus_chan_put(chan);
}

/* ---- host interrupts ---- */

static __always_inline void call(struct vmbus_channel *ch, void (*callback)(void *context),
				 bool watched)
{
	if (watched)
		vmbus_latency_begin(ch);
	callback(ch->channel_callback_context);
	if (watched)
		vmbus_latency_end(ch);
}

static __always_inline void run(struct vmbus_channel *ch, bool watched)
{
	unsigned long end = jiffies + BATCH_JIFFIES;
	void (*callback)(void *context);

	for (;;) {
		/* vmbus_reset_channel_cb() waits for us after it cleared it. */
		callback = smp_load_acquire(&ch->onchannel_callback);
		if (unlikely(!callback))
			return;
		call(ch, callback, watched);
		if (ch->callback_mode != HV_CALL_BATCHED)
			return;
		/* Nothing will ever be read from it: it would never be empty. */
		if (unlikely(to_vmbus_chan(ch)->rx.broken))
			return;
		/*
		 * Unmask, and look again for what came while masked.
		 * ring.pml: unmask_again
		 */
		if (likely(!vmbus_ring_unmask(&to_vmbus_chan(ch)->rx)))
			return;
		hv_begin_read(&ch->inbound);
		if (time_after(jiffies, end)) {
			/* ring.pml: run_reschedule */
			tasklet_schedule(&ch->callback_event);
			return;
		}
	}
}

static noinline void run_watched(struct vmbus_channel *ch)
{
	vmbus_trace_on_event(ch);
	run(ch, true);
}

static void run_callback(unsigned long data)
{
	struct vmbus_channel *ch = (struct vmbus_channel *)data;

	if (tracepoint_enabled(vmbus_on_event))
		run_watched(ch);
	else
		run(ch, false);
}

static __always_inline void call_or_schedule(struct vmbus_channel *ch,
					     void (*callback)(void *context), bool watched)
{
	switch (ch->callback_mode) {
	case HV_CALL_ISR:
		/* Of a channel that moves, the old CPU may be at it as well. */
		spin_lock(&ch->sched_lock);
		call(ch, callback, watched);
		spin_unlock(&ch->sched_lock);
		return;
	case HV_CALL_BATCHED:
		hv_begin_read(&ch->inbound);
		fallthrough;
	case HV_CALL_DIRECT:
		/*
		 * If it is scheduled already, its atomic orders the mask before
		 * that run's unmasking. ring.pml: interrupt_schedule
		 */
		tasklet_schedule(&ch->callback_event);
		return;
	}
}

static noinline void interrupt_watched(struct vmbus_channel *ch,
				       void (*callback)(void *context))
{
	vmbus_trace_chan_sched(ch);
	call_or_schedule(ch, callback, true);
}

/**
 * vmbus_chan_interrupt() - the host signalled a channel
 * @chan: the channel
 *
 * Context: interrupts off, on PREEMPT_RT process; in an RCU read-side section.
 */
void vmbus_chan_interrupt(struct vmbus_chan *chan)
{
	struct vmbus_channel *ch = &chan->ch;
	/* Pairs with the release in connect(): the context comes first. */
	void (*callback)(void *context) = smp_load_acquire(&ch->onchannel_callback);

	++ch->interrupts;
	if (unlikely(!callback))
		return;
	if (tracepoint_enabled(vmbus_chan_sched))
		interrupt_watched(ch, callback);
	else
		call_or_schedule(ch, callback, false);
}

/**
 * vmbus_reset_channel_cb() - no callback of this channel runs any more
 * @channel: the channel
 *
 * Context: process, sleeps.
 */
void vmbus_reset_channel_cb(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	unsigned long flags, silenced;

	/* pci-hyperv calls its callback itself, under this lock. */
	spin_lock_irqsave(&channel->sched_lock, flags);
	if (channel->onchannel_callback) {
		WRITE_ONCE(channel->onchannel_callback, NULL);
		chan->silenced = get_state_synchronize_rcu();
	}
	silenced = chan->silenced;
	spin_unlock_irqrestore(&channel->sched_lock, flags);

	/*
	 * Interrupts that saw the callback are over, the tasklet too. That costs
	 * a grace period once: a socket comes here when it is told of the rescind
	 * and when it is removed, which only few are at a time.
	 */
	cond_synchronize_rcu(silenced);
	tasklet_disable(&channel->callback_event);
	tasklet_enable(&channel->callback_event);
}

/**
 * vmbus_chan_init() - initialise the parts of a new channel that this file owns
 * @chan: zeroed
 */
void vmbus_chan_init(struct vmbus_chan *chan)
{
	struct vmbus_channel *ch = &chan->ch;

	kref_init(&chan->ref);
	spin_lock_init(&chan->lock);
	mutex_init(&chan->open_mutex);
	mutex_init(&chan->sc_mutex);
	chan->doubtful_cpu = nr_cpu_ids;
	chan->state = VMBUS_CHAN_OFFERED;
	ch->state = vmbus_chan_visible_state(chan->state);
	spin_lock_init(&ch->sched_lock);
	spin_lock_init(&ch->requestor.req_lock);
	tasklet_init(&ch->callback_event, run_callback, (unsigned long)ch);
	vmbus_signal_init(chan);
	vmbus_ring_setup(&chan->tx, &ch->outbound);
	vmbus_ring_setup(&chan->rx, &ch->inbound);
	ch->max_pkt_size = VMBUS_DEFAULT_MAX_PKT_SIZE;
}

/* ---- open and close ---- */

/* A rescinded sub-channel may be removed as soon as it is closed. */
static void lock_opens(struct vmbus_chan *chan)
{
	mutex_lock(vmbus_chan_open_mutex(vmbus_chan_get(chan)));
}

static void unlock_opens(struct vmbus_chan *chan)
{
	mutex_unlock(vmbus_chan_open_mutex(chan));
	vmbus_chan_put(chan);
}

/* Both halves of a ring: a header page and at least one of data. */
static bool ring_size_valid(u32 size)
{
	return size >= 2 * PAGE_SIZE && PAGE_ALIGNED(size);
}

static int ring_alloc(struct vmbus_chan *chan, u32 send_size, u32 recv_size, bool linear)
{
	unsigned int flags = (linear ? VMBUS_PAGES_LINEAR : 0) |
			     (chan->tx.private ? VMBUS_PAGES_PRIVATE : 0);
	u32 tx_pages = send_size / PAGE_SIZE, rx_pages = recv_size / PAGE_SIZE;
	u32 nr_pages = tx_pages + rx_pages;
	struct page **pages;

	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	if (!ring_size_valid(send_size) || !ring_size_valid(recv_size) ||
	    vmbus_ring_hv_pages(tx_pages) + vmbus_ring_hv_pages(rx_pages) > VMBUS_GPADL_MAX_PAGES)
		return -EINVAL;
	if (chan->ring_pages)
		return -EBUSY;
	/* Whoever maps it knows of no other place than that in the direct map. */
	if (linear && !chan->tx.private && vmbus_shared_aliased())
		return -EOPNOTSUPP;

	pages = vmbus_pages_alloc(nr_pages, cpu_to_node(chan->ch.target_cpu), flags);
	if (!pages)
		return -ENOMEM;

	chan->ring_pages = pages;
	chan->nr_ring_pages = nr_pages;
	chan->tx_pages = tx_pages;
	chan->ch.ringbuffer_page = linear ? pages[0] : NULL;
	chan->ch.ringbuffer_pagecount = nr_pages;
	chan->ch.ringbuffer_send_offset = tx_pages;
	/* Whoever maps it does so by the channel's directory, and goes with that. */
	if (linear && chan->ch.primary_channel)
		vmbus_ring_hold(chan, pages[0], nr_pages);
	return 0;
}

static void ring_forget(struct vmbus_chan *chan)
{
	chan->ring_pages = NULL;
	chan->ch.ringbuffer_page = NULL;
}

static void ring_free(struct vmbus_chan *chan)
{
	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	if (chan->ring_pages)
		vmbus_pages_free(chan->ring_pages);
	ring_forget(chan);
	chan->linear_only = false;
}

/*
 * Takes the ring back from the host, or gives its memory up for now. @err: why
 * the host did not hear that the channel is closed, or 0.
 */
static int ring_unshare(struct vmbus_chan *chan, int err)
{
	u32 handle = chan->ch.ringbuffer_gpadlhandle.gpadl_handle;

	if (!err)
		err = vmbus_gpadl_teardown_ring(chan, handle);
	if (err) {
		vmbus_pages_park(chan, handle, chan->ring_pages, chan->nr_ring_pages);
		ring_forget(chan);
	}
	chan->ch.ringbuffer_gpadlhandle.gpadl_handle = 0;
	chan->ch.ringbuffer_gpadlhandle.decrypted = err;
	return err;
}

static int post_close(struct vmbus_chan *chan)
{
	struct vmbus_channel_close_channel msg = {
		.header.msgtype = CHANNELMSG_CLOSECHANNEL,
		.child_relid = vmbus_chan_relid(chan),
	};
	int err;

	if (READ_ONCE(chan->ch.rescind))
		return 0;
	err = vmbus_post(&msg, sizeof(msg));
	if (err)
		pr_err_ratelimited("%pUl (relid %u): Close failed: close post msg return is %d\n",
				   &chan->ch.offermsg.offer.if_instance,
				   vmbus_chan_relid(chan), err);
	return err;
}

/* Asks the host to open; the rings are shared, the callback is set. */
static int request_open(struct vmbus_chan *chan, const void *userdata, u32 userdatalen)
{
	struct vmbus_channel_open_channel msg = {
		.header.msgtype = CHANNELMSG_OPENCHANNEL,
		.child_relid = vmbus_chan_relid(chan),
		/* Not the relid: a late answer must not end the next request. */
		.openid = atomic_inc_return(&next_openid),
		.ringbuffer_gpadlhandle = chan->ch.ringbuffer_gpadlhandle.gpadl_handle,
		.target_vp = vmbus_host->vp_index(chan->ch.target_cpu),
		.downstream_ringbuffer_pageoffset = vmbus_ring_hv_pages(chan->tx_pages),
	};
	struct vmbus_request req;
	int err;

	if (userdatalen)
		memcpy(msg.userdata, userdata, userdatalen);

	vmbus_request_init(&req, CHANNELMSG_OPENCHANNEL_RESULT, msg.child_relid, msg.openid);
	err = vmbus_request_call(&req, &chan->ch, &msg, sizeof(msg), vmbus_deadlines.request);
	if (err == -ETIMEDOUT)
		post_close(chan);	/* should it open after all */
	if (!err && req.reply.open_result.status) {
		pr_err_ratelimited("%pUl (relid %u): host refused to open it: status 0x%x\n",
				   &chan->ch.offermsg.offer.if_instance,
				   vmbus_chan_relid(chan), req.reply.open_result.status);
		err = -EAGAIN;
	}
	return err;
}

/*
 * uio_hv_generic uses the ring of each sub-channel in the list, with the mutex
 * held, so only open ones are in it.
 */
static void publish_sub(struct vmbus_chan *chan)
{
	struct vmbus_channel *primary = chan->ch.primary_channel;

	if (!primary)
		return;
	mutex_lock(&vmbus_connection.channel_mutex);
	list_add_tail(&chan->ch.sc_list, &primary->sc_list);
	mutex_unlock(&vmbus_connection.channel_mutex);
}

static void unpublish_sub(struct vmbus_chan *chan)
{
	if (!chan->ch.primary_channel)
		return;
	mutex_lock(&vmbus_connection.channel_mutex);
	list_del_init(&chan->ch.sc_list);
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/* Opens a channel whose ring is allocated. On error the ring stays, or is parked. */
static int connect(struct vmbus_chan *chan, const void *userdata, u32 userdatalen,
		   void (*callback)(void *context), void *context)
{
	struct vmbus_channel *ch = &chan->ch;
	u32 rx_pages = chan->nr_ring_pages - chan->tx_pages;
	u32 handle;
	int err;

	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	err = vmbus_requestor_alloc(&ch->requestor, ch->rqstor_size);
	if (err)
		return err;
	err = vmbus_ring_map(&chan->tx, chan->ring_pages, chan->tx_pages, 0);
	if (!err)
		err = vmbus_ring_map(&chan->rx, chan->ring_pages + chan->tx_pages, rx_pages,
				     ch->max_pkt_size);
	if (err)
		goto unmap;

	err = vmbus_gpadl_create_ring(chan, chan->ring_pages, chan->tx_pages, rx_pages, &handle);
	ch->ringbuffer_gpadlhandle.gpadl_handle = handle;
	if (err)
		goto unmap;

	/* The host may interrupt before its OPENCHANNEL_RESULT. */
	ch->channel_callback_context = context;
	chan->doubtful_cpu = nr_cpu_ids;
	WRITE_ONCE(chan->moved, false);
	/* Pairs with the acquires of those who call it: the context comes first. */
	smp_store_release(&ch->onchannel_callback, callback);

	err = request_open(chan, userdata, userdatalen);
	if (!err)
		err = vmbus_chan_event(chan, VMBUS_EV_OPENED);
	if (!err) {
		publish_sub(chan);
		return 0;
	}

	vmbus_reset_channel_cb(ch);
unmap:
	vmbus_ring_unmap(&chan->rx);
	vmbus_ring_unmap(&chan->tx);
	ring_unshare(chan, 0);
	vmbus_requestor_free(&ch->requestor);
	return err;
}

/* Starts an open; a sub-channel can only be open while its primary is. */
static int begin_open(struct vmbus_chan *chan)
{
	struct vmbus_channel *primary = chan->ch.primary_channel;

	if (primary && (READ_ONCE(primary->state) != CHANNEL_OPENED_STATE ||
			READ_ONCE(primary->rescind)))
		return -ENODEV;
	return vmbus_chan_event(chan, VMBUS_EV_OPEN);
}

/*
 * A primary channel is removed with its device, whose driver closes it. What
 * was rescinded of a sub-channel while it was in use is removed now.
 */
static void remove_if_revoked(struct vmbus_chan *chan)
{
	if (!chan->ch.primary_channel || !READ_ONCE(chan->ch.rescind) ||
	    READ_ONCE(vmbus_conn.state) != VMBUS_CONNECTED)
		return;
	vmbus_chan_get(chan);
	if (!queue_work(vmbus_bus.chan_wq, &chan->rescind_work))
		vmbus_chan_put(chan);
}

static void open_failed(struct vmbus_chan *chan)
{
	vmbus_chan_event(chan, VMBUS_EV_OPEN_FAILED);
	remove_if_revoked(chan);
}

/**
 * vmbus_open() - open a channel
 * @channel: offered channel
 * @send_size: bytes of the outbound ring with its header, whole pages, >= 2
 * @recv_size: bytes of the inbound ring, likewise
 * @userdata: passed to the host's side, or NULL
 * @userdatalen: its bytes, at most MAX_USER_DEFINED_BYTES
 * @onchannel_callback: called when the host signals, by channel->callback_mode
 * @context: its argument
 *
 * The rings are made of single pages, so fragmented memory does no harm. The
 * callback may be called before this returns. Before calling, a VSC may set
 * channel->max_pkt_size, rqstor_size, callback_mode and the request id hooks.
 *
 * Context: process, sleeps up to about four times vmbus_deadlines.request.
 * Return: 0; -EINVAL for bad sizes; -EBUSY if it is open; -ENODEV if it is
 * rescinded, or a sub-channel whose primary is not open; -EAGAIN if the host
 * refused; -EDQUOT if it refused the ring's GPADL; -ETIMEDOUT if it did not
 * answer; -ENOMEM; -ENOBUFS, -EIO from posting; -ESHUTDOWN without a connection.
 */
int vmbus_open(struct vmbus_channel *channel, u32 send_size, u32 recv_size,
	       void *userdata, u32 userdatalen,
	       void (*onchannel_callback)(void *context), void *context)
{
	struct vmbus_channel *primary = channel->primary_channel;
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	bool linear;
	int err;

	if (userdatalen > MAX_USER_DEFINED_BYTES || !onchannel_callback)
		return -EINVAL;

	lock_opens(chan);
	err = begin_open(chan);
	if (err)
		goto unlock;
	/* Who maps the primary's ring linearly does so with its sub-channels'. */
	linear = primary && to_vmbus_chan(primary)->linear_only;
	err = ring_alloc(chan, send_size, recv_size, linear);
	if (!err) {
		err = connect(chan, userdata, userdatalen, onchannel_callback, context);
		if (err)
			ring_free(chan);
	}
	if (err)
		open_failed(chan);
unlock:
	unlock_opens(chan);
	return err;
}

/**
 * vmbus_alloc_ring() - allocate a ring that channel->ringbuffer_page maps
 * @channel: channel that is not open
 * @send_size: bytes of the outbound ring, as for vmbus_open()
 * @recv_size: bytes of the inbound ring, likewise
 *
 * The caller maps the ring linearly, so it is one block of memory.
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL for bad sizes; -EBUSY if it has a ring; -ENOMEM; -EOPNOTSUPP
 * in an isolation VM where memory that the host sees is mapped elsewhere.
 */
int vmbus_alloc_ring(struct vmbus_channel *channel, u32 send_size, u32 recv_size)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	int err;

	lock_opens(chan);
	err = ring_alloc(chan, send_size, recv_size, true);
	if (!err)
		chan->linear_only = true;
	unlock_opens(chan);
	return err;
}

static void hold_for_users(struct vmbus_chan *chan)
{
	const struct hv_device *dev = chan->ch.device_obj;

	if (!dev || !dev->device.driver)
		return;
	pr_info_ratelimited("%pUl: in use, so its ring stays until %s is unregistered\n",
			    &dev->dev_instance, dev->device.driver->name);
	vmbus_ring_hold(dev->device.driver, chan->ring_pages[0], chan->nr_ring_pages);
}

/**
 * vmbus_free_ring() - free the ring of vmbus_alloc_ring()
 * @channel: the channel; the ring of an open one is freed when it is closed
 *
 * If it is open then its users are still there, so they may have the ring mapped:
 * the memory stays until the driver is unregistered.
 *
 * A ring that the host did not let go of was taken away by
 * vmbus_disconnect_ring() and is not freed here.
 */
void vmbus_free_ring(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);

	lock_opens(chan);
	if (!channel->outbound.ring_buffer)
		ring_free(chan);
	else if (chan->linear_only)
		hold_for_users(chan);
	unlock_opens(chan);
}

/**
 * vmbus_connect_ring() - open a channel with the ring of vmbus_alloc_ring()
 * @channel: offered channel
 * @onchannel_callback: called when the host signals
 * @context: its argument
 *
 * Context, Return: as vmbus_open(); -EINVAL if there is no ring. On error the
 * ring stays allocated, unless the host did not let go of it.
 */
int vmbus_connect_ring(struct vmbus_channel *channel,
		       void (*onchannel_callback)(void *context), void *context)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	int err;

	lock_opens(chan);
	if (!chan->ring_pages || !onchannel_callback) {
		err = -EINVAL;
		goto unlock;
	}
	err = begin_open(chan);
	if (err)
		goto unlock;
	err = connect(chan, NULL, 0, onchannel_callback, context);
	if (err)
		open_failed(chan);
unlock:
	unlock_opens(chan);
	return err;
}

/* Closes one channel that is open; the ring stays unless it was parked. */
static int close_one(struct vmbus_chan *chan)
{
	struct vmbus_channel *ch = &chan->ch;
	int err;

	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	err = vmbus_chan_event(chan, VMBUS_EV_CLOSE);
	if (err)
		return err;
	unpublish_sub(chan);
	vmbus_reset_channel_cb(ch);
	vmbus_signal_forget(chan);
	err = post_close(chan);
	/* A closed channel interrupts no CPU. */
	if (!err)
		WRITE_ONCE(chan->doubtful_cpu, nr_cpu_ids);
	/* Before anybody else may get their pages. */
	vmbus_ring_unmap(&chan->rx);
	vmbus_ring_unmap(&chan->tx);
	err = ring_unshare(chan, err);
	vmbus_requestor_free(&ch->requestor);
	vmbus_chan_event(chan, VMBUS_EV_CLOSED);
	return err;
}

/**
 * vmbus_channel_withdraw() - take an open channel's rings back from the host
 * @chan: channel that nobody opens now
 *
 * To the host it is closed. Its driver still has it open, and may read what has
 * come.
 *
 * Context: process, sleeps up to vmbus_deadlines.post and .request.
 * Return: 0, also if it is not open; otherwise the host may still use the rings:
 * -ETIMEDOUT, -ENOBUFS, -EIO.
 */
int vmbus_channel_withdraw(struct vmbus_chan *chan)
{
	struct vmbus_gpadl *gpadl = &chan->ch.ringbuffer_gpadlhandle;
	int err = 0;

	lock_opens(chan);
	if (READ_ONCE(chan->state) == VMBUS_CHAN_OPEN) {
		err = post_close(chan);
		if (!err)
			err = vmbus_gpadl_teardown_ring(chan, gpadl->gpadl_handle);
		if (!err)
			gpadl->gpadl_handle = 0;
	}
	unlock_opens(chan);
	return err;
}

static void cut(struct vmbus_chan *chan, struct page *empty)
{
	vmbus_ring_cut(&chan->tx, empty);
	vmbus_ring_cut(&chan->rx, empty);
}

/**
 * vmbus_channels_cut() - nobody uses the rings of any channel any more
 *
 * For the way to another kernel: drivers have their channels open, and go on.
 *
 * Context: process, sleeps; the host has forgotten all channels, and interrupts no
 * CPU.
 */
void vmbus_channels_cut(void)
{
	struct page *empty = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct vmbus_chan *chan, *sub;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(chan, &vmbus_bus.channels, ch.listentry) {
		cut(chan, empty);
		list_for_each_entry(sub, &chan->subs, sub_node)
			cut(sub, empty);
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	/* Callbacks, polls of NICs and whoever sends with a lock are through. */
	synchronize_rcu();
}

/* A referenced sub-channel that is open, or NULL. */
static struct vmbus_chan *get_open_sub(struct vmbus_chan *primary)
{
	struct vmbus_chan *sub, *found = NULL;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(sub, &primary->subs, sub_node) {
		if (READ_ONCE(sub->ch.state) == CHANNEL_OPENED_STATE) {
			found = vmbus_chan_get(sub);
			break;
		}
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

static int disconnect(struct vmbus_chan *chan)
{
	struct vmbus_chan *sub;
	int err;

	/* Nobody opens a sub-channel meanwhile: that takes the same mutex. */
	while (!chan->ch.primary_channel && (sub = get_open_sub(chan))) {
		close_one(sub);
		ring_free(sub);
		remove_if_revoked(sub);
		vmbus_chan_put(sub);
	}
	err = close_one(chan);
	remove_if_revoked(chan);
	return err;
}

/**
 * vmbus_disconnect_ring() - close a channel, and its sub-channels before it
 * @channel: open channel
 *
 * Context: process, sleeps up to vmbus_deadlines.post and .request for each
 * channel; not in the channel's callback.
 * Return: 0; -EINVAL if it is not open; otherwise the host did not confirm and
 * the ring was taken away from the caller: -ETIMEDOUT, -ENOBUFS, -EIO,
 * -ESHUTDOWN.
 */
int vmbus_disconnect_ring(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	int err;

	lock_opens(chan);
	err = disconnect(chan);
	unlock_opens(chan);
	return err;
}

/**
 * vmbus_close() - close a channel, and its sub-channels before it, and free
 * the rings
 * @channel: the channel; may be closed already
 *
 * Context: as vmbus_disconnect_ring().
 */
void vmbus_close(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);

	lock_opens(chan);
	if (disconnect(chan) != -EINVAL)
		ring_free(chan);
	unlock_opens(chan);
}
