// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which CPU a channel interrupts, and how it moves to another.
 *
 * Actions: the choice for a new channel; moves that users ask for; CPUs that
 * want to go. Moves of the channels of one device exclude each other, and its
 * opens and closes, by the primary channel's open_mutex.
 *
 * Locks: cpus_read_lock() -> open_mutex -> vmbus_connection.channel_mutex, which
 * protects the counts.
 */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/hyperv.h>
#include <linux/nodemask.h>
#include <linux/sched/isolation.h>
#include <linux/topology.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

/* Channels of perf devices on each CPU, and the node that gets the next. */
static DEFINE_PER_CPU(unsigned int, perf_channels);
static int last_node = NUMA_NO_NODE;

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

/* The CPU of @node that is best for @chan, or nr_cpu_ids if it has none. */
static unsigned int best_cpu(struct vmbus_chan *chan, int node)
{
	const struct cpumask *allowed = housekeeping_cpumask(HK_TYPE_MANAGED_IRQ);
	unsigned int cpu, load, best = nr_cpu_ids, best_load = UINT_MAX;

	for_each_cpu_and(cpu, cpumask_of_node(node), cpu_online_mask) {
		if (!cpumask_test_cpu(cpu, allowed))
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
	unsigned int cpu = nr_cpu_ids, tries;

	cpus_read_lock();
	mutex_lock(&vmbus_connection.channel_mutex);
	for (tries = 0; chan->perf && cpu >= nr_cpu_ids && tries < num_online_nodes();
	     tries++) {
		last_node = next_node_in(last_node, node_online_map);
		cpu = best_cpu(chan, last_node);
	}
	count_target(chan, cpu < nr_cpu_ids ? cpu : VMBUS_CONNECT_CPU);
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

static bool targets(const struct vmbus_chan *chan, unsigned int cpu)
{
	return chan->ch.target_cpu == cpu || READ_ONCE(chan->doubtful_cpu) == cpu;
}

/**
 * vmbus_cpu_is_target() - does any channel interrupt this CPU?
 * @cpu: the CPU
 *
 * Context: process, with CPU hotplug locked.
 */
bool vmbus_cpu_is_target(unsigned int cpu)
{
	struct vmbus_chan *primary, *sub;
	bool found = false;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(primary, &vmbus_bus.channels, ch.listentry) {
		found = targets(primary, cpu);
		list_for_each_entry(sub, &primary->subs, sub_node)
			found |= targets(sub, cpu);
		if (found)
			break;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

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

/**
 * vmbus_channel_retarget() - move a channel's interrupts to a CPU
 * @chan: open channel
 * @cpu: online CPU that takes managed interrupts
 *
 * The host may interrupt the old CPU for a while after this. If it does not
 * answer, it may interrupt either, and the channel stays so until it is closed.
 *
 * Context: process, sleeps up to vmbus_deadlines.request.
 * Return: 0; -EIO if the protocol is older than 4.1, the channel is not open, or
 * the host could not be asked; -EINVAL for a bad CPU or if the host refused.
 */
int vmbus_channel_retarget(struct vmbus_chan *chan, unsigned int cpu)
{
	struct vmbus_channel *ch = &chan->ch;
	unsigned int old;
	int err = 0;

	if (vmbus_proto_version < VERSION_WIN10_V4_1)
		return -EIO;
	if (cpu >= nr_cpu_ids ||
	    !cpumask_test_cpu(cpu, housekeeping_cpumask(HK_TYPE_MANAGED_IRQ)))
		return -EINVAL;

	cpus_read_lock();
	mutex_lock(vmbus_chan_open_mutex(chan));
	old = ch->target_cpu;
	if (!cpu_online(cpu)) {
		err = -EINVAL;
	} else if (READ_ONCE(ch->state) != CHANNEL_OPENED_STATE) {
		err = -EIO;
	} else if (chan->doubtful_cpu != nr_cpu_ids) {
		err = -EIO;
	} else if (cpu != old) {
		err = vmbus_send_modifychannel(ch, vmbus_host->vp_index(cpu));
		if (err == -ETIMEDOUT)
			WRITE_ONCE(chan->doubtful_cpu, cpu);
		if (err && err != -EINVAL)
			err = -EIO;
		if (!err) {
			mutex_lock(&vmbus_connection.channel_mutex);
			count_target(chan, cpu);
			mutex_unlock(&vmbus_connection.channel_mutex);
			if (ch->change_target_cpu_callback)
				ch->change_target_cpu_callback(ch, old, cpu);
		}
	}
	mutex_unlock(vmbus_chan_open_mutex(chan));
	cpus_read_unlock();
	return err;
}
