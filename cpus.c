// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which CPU a channel interrupts, and how it moves to another.
 *
 * Actions: the choice for a new channel; moves that users ask for; CPUs that
 * go, whose channels are moved in the hotplug thread of the CPU; one late look
 * after them, from a work. Moves of the channels of one device exclude each
 * other, and its opens and closes, by the primary channel's open_mutex.
 *
 * Who goes through the channels that a CPU has to lose holds a reference on the
 * one at hand: it may be closed, rescinded and released meanwhile.
 *
 * Locks: CPU hotplug -> open_mutex -> vmbus_connection.channel_mutex, which
 * protects the counts. The first is held for reading by users who move a channel
 * and by the choice for a new one, for writing while a CPU goes: whoever holds
 * open_mutex must not ask for it.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/hyperv.h>
#include <linux/jiffies.h>
#include <linux/nodemask.h>
#include <linux/sched/isolation.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* Channels of perf devices on each CPU, and the node that gets the next. */
static DEFINE_PER_CPU(unsigned int, perf_channels);
static int last_node = NUMA_NO_NODE;

/* When a CPU went last (vmbus_connection.channel_mutex). */
static unsigned long last_went;

static bool same_device_uses(struct vmbus_chan *chan, unsigned int cpu)
{
	struct vmbus_chan *primary = to_vmbus_chan(chan->ch.primary_channel ?: &chan->ch);
	struct vmbus_chan *sub;

	if (primary->target_counted && primary->ch.target_cpu == cpu)
		return true;
	list_for_each_entry(sub, &primary->subs, sub_node)
		if (sub->target_counted && sub->ch.target_cpu == cpu)
			return true;
	return false;
}

/*
 * The CPU of @node that is best for @chan, or nr_cpu_ids if it has none. One that
 * @moves looks for another than it has, and leaves the connect CPU to others.
 */
static unsigned int best_cpu(struct vmbus_chan *chan, int node, bool moves)
{
	const struct cpumask *allowed = housekeeping_cpumask(HK_TYPE_MANAGED_IRQ);
	unsigned int cpu, load, best = nr_cpu_ids, best_load = UINT_MAX;

	for_each_cpu_and(cpu, cpumask_of_node(node), cpu_online_mask) {
		if (!cpumask_test_cpu(cpu, allowed) ||
		    (moves && (cpu == chan->ch.target_cpu || cpu == VMBUS_CONNECT_CPU)))
			continue;
		/* Two channels of one device on a CPU help nobody. */
		load = min(per_cpu(perf_channels, cpu), UINT_MAX / 4);
		if (same_device_uses(chan, cpu))
			load += UINT_MAX / 2;
		if (load < best_load) {
			best = cpu;
			best_load = load;
		}
	}
	return best;
}

/* Round the nodes; the connect CPU if there is no other. With CPU hotplug locked. */
static unsigned int spread(struct vmbus_chan *chan, bool moves)
{
	unsigned int cpu = nr_cpu_ids, tries;

	lockdep_assert_held(&vmbus_connection.channel_mutex);
	for (tries = 0; cpu >= nr_cpu_ids && tries < num_online_nodes(); tries++) {
		last_node = next_node_in(last_node, node_online_map);
		cpu = best_cpu(chan, last_node, moves);
	}
	return cpu < nr_cpu_ids ? cpu : VMBUS_CONNECT_CPU;
}

static void count_target(struct vmbus_chan *chan, unsigned int cpu)
{
	lockdep_assert_held(&vmbus_connection.channel_mutex);
	if (chan->target_counted)
		per_cpu(perf_channels, chan->ch.target_cpu)--;
	WRITE_ONCE(chan->ch.target_cpu, cpu);
	chan->target_counted = chan->perf;
	if (chan->target_counted)
		per_cpu(perf_channels, cpu)++;
}

/**
 * vmbus_cpus_choose() - the CPU that a new channel interrupts
 * @chan: the channel, in its list
 *
 * Channels of perf devices go round the NUMA nodes, on each to the CPU with the
 * fewest of them; others stay with the connect CPU.
 *
 * Context: process, sleeps.
 */
void vmbus_cpus_choose(struct vmbus_chan *chan)
{
	cpus_read_lock();
	mutex_lock(&vmbus_connection.channel_mutex);
	count_target(chan, chan->perf ? spread(chan, false) : VMBUS_CONNECT_CPU);
	mutex_unlock(&vmbus_connection.channel_mutex);
	cpus_read_unlock();
}

/**
 * vmbus_cpus_forget() - a channel that goes interrupts no CPU
 * @chan: the channel
 *
 * Context: process, vmbus_connection.channel_mutex held.
 */
void vmbus_cpus_forget(struct vmbus_chan *chan)
{
	lockdep_assert_held(&vmbus_connection.channel_mutex);
	if (chan->target_counted)
		per_cpu(perf_channels, chan->ch.target_cpu)--;
	chan->target_counted = false;
}

/* ---- moving ---- */

/**
 * vmbus_send_modifychannel() - ask the host to interrupt another CPU
 * @channel: open channel
 * @target_vp: the host's number of that CPU
 *
 * The host drops a second request for a channel while it works on the first, so
 * callers exclude each other.
 *
 * Context: process, sleeps up to vmbus_deadlines.request.
 * Return: 0; -EIO if the protocol is older than 4.1; -EINVAL if the host refused;
 * -ENODEV if the channel is rescinded; -ETIMEDOUT; -ENOBUFS, -EIO from posting;
 * -ESHUTDOWN without a connection.
 */
int vmbus_send_modifychannel(struct vmbus_channel *channel, u32 target_vp)
{
	struct vmbus_channel_modifychannel msg = {
		.header.msgtype = CHANNELMSG_MODIFYCHANNEL,
		.child_relid = channel->offermsg.child_relid,
		.target_vp = target_vp,
	};
	struct vmbus_request req;
	int err;

	if (vmbus_proto_version < VERSION_WIN10_V4_1)
		return -EIO;
	/* Before 5.3 the host does not answer. */
	if (vmbus_proto_version < VERSION_WIN10_V5_3)
		return vmbus_post(&msg, sizeof(msg));

	vmbus_request_init(&req, CHANNELMSG_MODIFYCHANNEL_RESPONSE, msg.child_relid, 0);
	err = vmbus_request_call(&req, channel, &msg, sizeof(msg), vmbus_deadlines.request);
	if (!err && req.reply.modify_response.status)
		err = -EINVAL;
	return err;
}

/*
 * Waits until the host is through with what was posted about the channel: it
 * handles messages one after the other, and answers one about a GPADL. Frees
 * @fence, or keeps it for the host. -ETIMEDOUT if nobody knows; -ENODEV.
 */
static int pass_fence(struct vmbus_chan *chan, struct page **fence)
{
	u32 handle;
	int err;

	err = vmbus_gpadl_create_ring(chan, fence, 1, 0, &handle);
	if (vmbus_gpadl_teardown_ring(chan, handle))
		vmbus_pages_park(chan, handle, fence, 1);
	else
		vmbus_pages_free(fence);
	/* A refusal is an answer. */
	if (!err || err == -EDQUOT)
		return 0;
	return err == -ENODEV ? -ENODEV : -ETIMEDOUT;
}

/*
 * After 0 the host interrupts @cpu, after -ETIMEDOUT either that or the old one,
 * otherwise the old one; none after -ENODEV.
 */
static int ask_host(struct vmbus_chan *chan, unsigned int cpu)
{
	struct page **fence = NULL;
	int err;

	/* A later host says itself when it is done. */
	if (vmbus_proto_version < VERSION_WIN10_V5_3) {
		fence = vmbus_pages_alloc(1, NUMA_NO_NODE, 0);
		if (!fence)
			return -ENOMEM;
	}
	err = vmbus_send_modifychannel(&chan->ch, vmbus_host->vp_index(cpu));
	if (!fence)
		return err;
	if (!err)
		return pass_fence(chan, fence);
	vmbus_pages_free(fence);
	return err;
}

/*
 * Moves an open channel, with CPU hotplug locked. -EALREADY if an earlier move
 * got no answer, so that another would be of no use; otherwise as ask_host().
 */
static int move(struct vmbus_chan *chan, unsigned int cpu)
{
	struct vmbus_channel *ch = &chan->ch;
	unsigned int old = ch->target_cpu;
	int err;

	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	if (chan->doubtful_cpu != nr_cpu_ids)
		return -EALREADY;
	err = ask_host(chan, cpu);
	if (err == -ETIMEDOUT)
		WRITE_ONCE(chan->doubtful_cpu, cpu);
	if (err)
		return err;
	mutex_lock(&vmbus_connection.channel_mutex);
	count_target(chan, cpu);
	mutex_unlock(&vmbus_connection.channel_mutex);
	WRITE_ONCE(chan->moved, true);
	if (ch->change_target_cpu_callback)
		ch->change_target_cpu_callback(ch, old, cpu);
	return 0;
}

/**
 * vmbus_channel_retarget() - move a channel's interrupts to a CPU
 * @chan: open channel
 * @cpu: online CPU that takes managed interrupts
 *
 * The old CPU may still have interrupts of before. If the host does not answer,
 * it may interrupt either, and the channel stays so until it is closed.
 *
 * Context: process, sleeps up to vmbus_deadlines.request, or before 5.3 twice
 * that.
 * Return: 0; -EIO if the protocol is older than 4.1, the channel is not open, or
 * the host could not be asked; -EINVAL for a bad CPU or if the host refused.
 */
int vmbus_channel_retarget(struct vmbus_chan *chan, unsigned int cpu)
{
	int err = 0;

	if (vmbus_proto_version < VERSION_WIN10_V4_1)
		return -EIO;
	if (cpu >= nr_cpu_ids ||
	    !cpumask_test_cpu(cpu, housekeeping_cpumask(HK_TYPE_MANAGED_IRQ)))
		return -EINVAL;

	cpus_read_lock();
	mutex_lock(vmbus_chan_open_mutex(chan));
	if (!cpu_online(cpu))
		err = -EINVAL;
	else if (READ_ONCE(chan->ch.state) != CHANNEL_OPENED_STATE ||
		 chan->doubtful_cpu != nr_cpu_ids)
		err = -EIO;
	else if (cpu != chan->ch.target_cpu)
		err = move(chan, cpu);
	mutex_unlock(vmbus_chan_open_mutex(chan));
	cpus_read_unlock();
	return !err || err == -EINVAL ? err : -EIO;
}

/* ---- CPUs that go ---- */

static bool targets(const struct vmbus_chan *chan, unsigned int cpu)
{
	return READ_ONCE(chan->ch.target_cpu) == cpu || READ_ONCE(chan->doubtful_cpu) == cpu;
}

/* A referenced channel that interrupts @cpu or would, or NULL. */
static struct vmbus_chan *get_channel_on(unsigned int cpu)
{
	struct vmbus_chan *primary, *sub, *found = NULL;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(primary, &vmbus_bus.channels, ch.listentry) {
		if (targets(primary, cpu))
			found = primary;
		list_for_each_entry(sub, &primary->subs, sub_node)
			if (targets(sub, cpu))
				found = sub;
		if (found) {
			vmbus_chan_get(found);
			break;
		}
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

/* Another CPU for a channel for which the host interrupts none. */
static void reassign(struct vmbus_chan *chan)
{
	struct list_head *node = chan->ch.primary_channel ? &chan->sub_node : &chan->ch.listentry;

	mutex_lock(&vmbus_connection.channel_mutex);
	WRITE_ONCE(chan->doubtful_cpu, nr_cpu_ids);
	/* Released meanwhile, it counts no more. */
	if (!list_empty(node))
		count_target(chan, spread(chan, true));
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/* Takes a channel away from a CPU that goes; errors as move(), -EOPNOTSUPP. */
static int leave(struct vmbus_chan *chan, unsigned int cpu)
{
	unsigned int to;
	int err;

	lockdep_assert_held(vmbus_chan_open_mutex(chan));
	if (!targets(chan, cpu))
		return 0;
	if (vmbus_proto_version < VERSION_WIN10_V4_1)
		return -EOPNOTSUPP;
	if (!READ_ONCE(chan->ch.rescind) && (chan->doubtful_cpu != nr_cpu_ids ||
					     READ_ONCE(chan->ch.state) == CHANNEL_OPENED_STATE)) {
		mutex_lock(&vmbus_connection.channel_mutex);
		to = spread(chan, true);
		mutex_unlock(&vmbus_connection.channel_mutex);
		err = move(chan, to);
		if (err != -ENODEV)
			return err;
	}
	/* The host learns of the CPU at the next open, if there is one. */
	reassign(chan);
	return 0;
}

static const char *why_it_stays(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "the protocol is older than 4.1";
	case -EALREADY:
		return "the host did not answer when it was moved before";
	case -EINVAL:
		return "the host refused to move it";
	case -ETIMEDOUT:
		return "the host does not answer";
	default:
		return "the host could not be asked to move it";
	}
}

/**
 * vmbus_cpu_leave() - no channel shall interrupt a CPU any more
 * @cpu: the CPU, about to go
 *
 * Open channels are moved, each to the best other CPU, and to the connect CPU
 * only if there is none; the others are assigned anew. No channel comes to @cpu
 * meanwhile, since that takes the lock of CPU hotplug.
 *
 * Context: process, with CPU hotplug locked for writing; sleeps while channels
 * are opened or closed, and as vmbus_channel_retarget() for each that is open.
 * Return: 0; -EBUSY, logged each time, since somebody has just asked for it, if a
 * channel cannot leave. Those before it have.
 */
int vmbus_cpu_leave(unsigned int cpu)
{
	struct vmbus_chan *chan;
	int err = 0;

	while (!err && (chan = get_channel_on(cpu))) {
		mutex_lock(vmbus_chan_open_mutex(chan));
		err = leave(chan, cpu);
		mutex_unlock(vmbus_chan_open_mutex(chan));
		if (err)
			pr_warn("%pUl (relid %u): keeps CPU %u online: %s\n",
				&chan->ch.offermsg.offer.if_instance, vmbus_chan_relid(chan),
				cpu, why_it_stays(err));
		vmbus_chan_put(chan);
	}
	return err ? -EBUSY : 0;
}

/* As if the host had signalled it. */
static void look_at(struct vmbus_chan *chan)
{
	unsigned long flags;

	if (!READ_ONCE(chan->moved))
		return;
	rcu_read_lock();
	flags = vmbus_irq_save();
	vmbus_chan_interrupt(chan);
	vmbus_irq_restore(flags);
	rcu_read_unlock();
}

static void look_at_all(void)
{
	struct vmbus_chan *primary, *sub;

	lockdep_assert_held(&vmbus_connection.channel_mutex);
	list_for_each_entry(primary, &vmbus_bus.channels, ch.listentry) {
		look_at(primary);
		list_for_each_entry(sub, &primary->subs, sub_node)
			look_at(sub);
	}
}

static void look_late(struct work_struct *work);
static DECLARE_DELAYED_WORK(late_look, look_late);

static void look_late(struct work_struct *work)
{
	unsigned long late = msecs_to_jiffies(vmbus_deadlines.late);

	mutex_lock(&vmbus_connection.channel_mutex);
	look_at_all();
	/* Another CPU went since: its time is not over. */
	if (time_before(jiffies, last_went + late))
		schedule_delayed_work(&late_look, late);
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/**
 * vmbus_cpu_gone() - look at the channels that may have left a CPU
 *
 * An interrupt that the host sent before it moved a channel may have come when
 * the CPU did not take any more. The host would not send another: data wait, or
 * a sender that is due to be told of room. So each channel that was moved is
 * looked at, now and again when the host must be done.
 *
 * Context: process; the CPU takes no interrupts of the host any more.
 */
void vmbus_cpu_gone(void)
{
	mutex_lock(&vmbus_connection.channel_mutex);
	last_went = jiffies;
	look_at_all();
	mutex_unlock(&vmbus_connection.channel_mutex);
	schedule_delayed_work(&late_look, msecs_to_jiffies(vmbus_deadlines.late));
}

/**
 * vmbus_cpus_exit() - CPUs that went are not looked after any more
 *
 * Context: process, sleeps.
 */
void vmbus_cpus_exit(void)
{
	cancel_delayed_work_sync(&late_look);
}
