// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet iterators: how VSCs read many packets and give the room back at once.
 *
 * Actions: one receiver for each channel, as in packet.c; it may stop between
 * two packets and go on later.
 */
#include <linux/hyperv.h>
#include <linux/string.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

/* No copy, the next packet is corrupt. */
static noinline struct vmpacket_descriptor *iter_broken(struct vmbus_ring *ring)
{
	vmbus_ring_break(ring);
	return NULL;
}

/* A private copy of as much of the packet at @start as the buffer holds. */
static noinline struct vmpacket_descriptor *
iter_clamped(struct vmbus_ring *ring, const u64 *start, u64 word0)
{
	struct vmpacket_descriptor *copy = ring->info->pkt_buffer;
	u32 size = ring->info->pkt_buffer_size;

	memcpy(copy, start, size);
	memcpy(copy, &word0, sizeof(word0));
	copy->len8 = size / sizeof(u64);
	copy->offset8 = min(copy->offset8, copy->len8);
	return copy;
}

/*
 * A private copy of the packet at @read. A packet larger than the buffer is
 * clamped, its length too. What is rare is called last, so that the common way
 * saves no registers.
 */
static __always_inline struct vmpacket_descriptor *iter_copy(struct vmbus_ring *ring, u32 read)
{
	struct vmpacket_descriptor *copy = ring->info->pkt_buffer;
	struct vmbus_ring_packet pkt = { };

	if (unlikely(!vmbus_ring_parse(ring, read, &pkt)))
		return iter_broken(ring);
	ring->handed_out = pkt.len + VMBUS_RING_TRAILER;
	if (unlikely(pkt.len > ring->info->pkt_buffer_size))
		return iter_clamped(ring, pkt.start, pkt.word0);
	vmbus_ring_copy_packet(copy, &pkt, pkt.len);
	return copy;
}

/* All of what was seen is consumed: look for more. */
static noinline struct vmpacket_descriptor *iter_refill(struct vmbus_ring *ring)
{
	ring->handed_out = 0;
	if (!vmbus_ring_look(ring))
		return NULL;
	return iter_copy(ring, ring->info->priv_read_index);
}

static __always_inline struct vmpacket_descriptor *iter_first(struct vmbus_ring *ring)
{
	u32 read = ring->info->priv_read_index;

	if (ring->seen == read)
		return iter_refill(ring);
	return iter_copy(ring, read);
}

/* Step over the packet that was last given out. */
static __always_inline struct vmpacket_descriptor *iter_next(struct vmbus_ring *ring)
{
	struct hv_ring_buffer_info *info = ring->info;
	u32 read = vmbus_ring_advance(info, info->priv_read_index, ring->handed_out);

	info->priv_read_index = read;
	if (ring->seen == read)
		return iter_refill(ring);
	return iter_copy(ring, read);
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
	desc = iter_first(&chan->rx);
	if (unlikely(!desc && chan->rx.broken))
		vmbus_rx_report(chan);
	return desc;
}

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

	return iter_next(&chan->rx);
}

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
