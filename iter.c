// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet iterators: how VSCs read many packets and give the room back at once.
 *
 * Actions: one receiver for each channel, as in packet.c; it may stop between
 * two packets and go on later.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/hyperv.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <linux/slab.h>
#include <linux/prefetch.h>
#include <linux/io.h>
#include <asm/mshyperv.h>
#include <linux/list.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include <asm/hyperv-tlfs.h>
#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/tracepoint.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

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
 * vmbus_rx_publish() - give the room of consumed packets back to the host
 * @chan: open channel
 *
 * Context: any; one caller at a time.
 */
void vmbus_rx_publish(struct vmbus_chan *chan)
{
	if (vmbus_ring_publish(&chan->rx)) {
		++chan->ch.intr_in_full;
		vmbus_setevent(&chan->ch);
	}
}

/**
 * hv_pkt_iter_first() - a private copy of the next packet
 * @channel: channel
 *
 * Until __hv_pkt_iter_next() the same packet is given out again. A packet
 * larger than channel->max_pkt_size is clamped.
 *
 * Context: any; one caller at a time.
 * Return: the packet, valid until the next call; NULL if there is none, the
 * channel is not open, or the host corrupted the ring.
 */
struct vmpacket_descriptor *hv_pkt_iter_first(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	struct vmpacket_descriptor *desc;

	if (unlikely(!channel->inbound.ring_buffer))
		return NULL;
	desc = vmbus_ring_iter_first(&chan->rx);
	if (unlikely(!desc && chan->rx.broken))
		vmbus_rx_report(chan);
	return desc;
}
EXPORT_SYMBOL_GPL(hv_pkt_iter_first);

/**
 * __hv_pkt_iter_next() - step over a packet to the next one
 * @channel: open channel
 * @desc: the packet that was last given out
 *
 * Context, Return: as hv_pkt_iter_first(). The host gets the room back with
 * hv_pkt_iter_close().
 */
struct vmpacket_descriptor *__hv_pkt_iter_next(struct vmbus_channel *channel,
					       const struct vmpacket_descriptor *desc)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);

	return vmbus_ring_iter_next(&chan->rx);
}
EXPORT_SYMBOL_GPL(__hv_pkt_iter_next);

/**
 * hv_pkt_iter_close() - give the room of all packets stepped over to the host
 * @channel: open channel
 *
 * Context: any; one caller at a time.
 */
void hv_pkt_iter_close(struct vmbus_channel *channel)
{
	vmbus_rx_publish(to_vmbus_chan(channel));
}
EXPORT_SYMBOL_GPL(hv_pkt_iter_close);

/**
 * hv_ringbuffer_spinlock_busy() - is anybody sending?
 * @channel: the channel
 *
 * For panic code that must not wait for a lock whose holder is stopped.
 */
bool hv_ringbuffer_spinlock_busy(struct vmbus_channel *channel)
{
	return spin_is_locked(&channel->outbound.ring_lock);
}
EXPORT_SYMBOL_GPL(hv_ringbuffer_spinlock_busy);
