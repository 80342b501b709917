// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets: what VSCs call to send and receive on an open channel.
 *
 * Actions: senders are serialised by the outbound ring's lock. A channel has
 * one receiver, chosen by the VSC: its callback, a NAPI poll, a task. The VSC
 * stops it before it closes the channel. Senders may go on, since who closes a
 * primary closes its sub-channels: they look for the ring under its lock.
 */
#include <linux/hyperv.h>
#include <linux/string.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/**
 * struct packet - a packet to send
 * @type: enum vmbus_packet_type
 * @flags: 0 or VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED
 * @ranges: what follows the descriptor, before the payload, or NULL
 * @ranges_len: its bytes
 * @data: the payload
 * @len: its bytes
 * @requestid: what the host gives back with its completion, unless the channel
 *	has request ids, then what the id stands for
 */
struct packet {
	u16 type;
	u16 flags;
	const void *ranges;
	u32 ranges_len;
	const void *data;
	u32 len;
	u64 requestid;
};

static noinline int send_failed(struct vmbus_chan *chan, int err, u32 total)
{
	struct vmbus_channel *ch = &chan->ch;

	if (err == -EIO && !chan->tx.reported) {
		chan->tx.reported = true;
		pr_err_ratelimited("%pUl (relid %u): the host corrupted the outbound ring\n",
				   &ch->offermsg.offer.if_instance, vmbus_chan_relid(chan));
	}
	if (err == -EAGAIN) {
		if (total + VMBUS_RING_TRAILER >= ch->outbound.ring_datasize)
			return -EINVAL;
		++ch->out_full_total;
		if (!ch->out_full_flag) {
			++ch->out_full_first;
			ch->out_full_flag = true;
		}
	}
	return err;
}

static __always_inline int send(struct vmbus_channel *ch, const struct packet *packet,
				u64 *trans_id)
{
	u32 offset = sizeof(struct vmpacket_descriptor) + packet->ranges_len;
	u32 total = ALIGN(offset + packet->len, sizeof(u64));
	struct vmbus_chan *chan = to_vmbus_chan(ch);
	struct vmpacket_descriptor *desc;
	u64 id = packet->requestid;
	unsigned long flags;
	bool signal;
	int err;

	if (unlikely(packet->len > U16_MAX * sizeof(u64) ||
		     total > U16_MAX * sizeof(u64)))
		return -EINVAL;
	if (unlikely(READ_ONCE(ch->rescind)))
		return -ENODEV;

	/* ring.pml: ring_lock */
	spin_lock_irqsave(&ch->outbound.ring_lock, flags);
	if (unlikely(!ch->outbound.ring_buffer)) {
		err = -ENODEV;
		goto unlock;
	}
	desc = vmbus_ring_reserve(&chan->tx, total);
	if (IS_ERR(desc)) {
		err = send_failed(chan, PTR_ERR(desc), total);
		goto unlock;
	}
	if (packet->flags == VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED &&
	    ch->next_request_id_callback) {
		id = ch->next_request_id_callback(ch, packet->requestid);
		if (unlikely(id == VMBUS_RQST_ERROR)) {
			pr_err_ratelimited("No request id available\n");
			err = -EAGAIN;
			goto unlock;
		}
		if (id == VMBUS_NO_RQSTOR)
			id = packet->requestid;
	}

	/* The last word first: what the payload leaves of it must be zero. */
	*(u64 *)((void *)desc + total - sizeof(u64)) = 0;
	desc->type = packet->type;
	desc->offset8 = offset / sizeof(u64);
	desc->len8 = total / sizeof(u64);
	desc->flags = packet->flags;
	desc->trans_id = id;
	if (packet->ranges_len)
		memcpy(desc + 1, packet->ranges, packet->ranges_len);
	memcpy((void *)desc + offset, packet->data, packet->len);

	signal = vmbus_ring_commit(&chan->tx, desc, total);
	ch->out_full_flag = false;
	spin_unlock_irqrestore(&ch->outbound.ring_lock, flags);

	if (trans_id)
		*trans_id = id;
	if (signal) {
		++ch->intr_out_empty;
		vmbus_setevent(ch);
	}
	return 0;

unlock:
	spin_unlock_irqrestore(&ch->outbound.ring_lock, flags);
	return err;
}

/**
 * vmbus_sendpacket_getid() - send a packet, tell its transaction id
 * @channel: open channel
 * @buffer: payload
 * @bufferlen: its bytes
 * @requestid: given back by the host with its completion
 * @trans_id: filled with the id that was sent, or NULL. With request ids it is
 *	not @requestid but what vmbus_request_addr() turns into it.
 * @type: kind of packet, mostly VM_PKT_DATA_INBAND or VM_PKT_COMP
 * @flags: 0 or VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED
 *
 * Context: any.
 * Return: 0; -EAGAIN if the ring is too full now or no request id is free;
 * -EINVAL if the packet can never fit; -ENODEV if the channel is rescinded or
 * not open; -EIO if the host corrupted the ring.
 */
int vmbus_sendpacket_getid(struct vmbus_channel *channel, void *buffer, u32 bufferlen,
			   u64 requestid, u64 *trans_id, enum vmbus_packet_type type,
			   u32 flags)
{
	const struct packet packet = {
		.type = type,
		.flags = flags,
		.data = buffer,
		.len = bufferlen,
		.requestid = requestid,
	};

	return send(channel, &packet, trans_id);
}

/**
 * vmbus_sendpacket() - send a packet
 * @channel: open channel
 * @buffer: payload
 * @bufferlen: its bytes
 * @requestid: given back by the host with its completion
 * @type: kind of packet, mostly VM_PKT_DATA_INBAND or VM_PKT_COMP
 * @flags: 0 or VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED
 *
 * Context, Return: as vmbus_sendpacket_getid().
 */
int vmbus_sendpacket(struct vmbus_channel *channel, void *buffer, u32 bufferlen,
		     u64 requestid, enum vmbus_packet_type type, u32 flags)
{
	const struct packet packet = {
		.type = type,
		.flags = flags,
		.data = buffer,
		.len = bufferlen,
		.requestid = requestid,
	};

	return send(channel, &packet, NULL);
}

/**
 * vmbus_sendpacket_mpb_desc() - send a GPA-direct packet
 * @channel: open channel
 * @desc: its ranges; the caller sets desc->rangecount (0 is taken as 1) and
 *	desc->range and what follows it, the rest is filled in here
 * @desc_size: bytes of @desc that are used, a multiple of 8
 * @buffer: payload
 * @bufferlen: its bytes
 * @requestid: given back by the host with its completion, which is requested
 *
 * Context, Return: as vmbus_sendpacket_getid(); -EINVAL for a @desc_size that
 * holds no range.
 */
int vmbus_sendpacket_mpb_desc(struct vmbus_channel *channel,
			      struct vmbus_packet_mpb_array *desc, u32 desc_size,
			      void *buffer, u32 bufferlen, u64 requestid)
{
	const u32 skip = sizeof(struct vmpacket_descriptor);
	const struct packet packet = {
		.type = VM_PKT_DATA_USING_GPA_DIRECT,
		.flags = VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
		.ranges = (void *)desc + skip,
		.ranges_len = desc_size - skip,
		.data = buffer,
		.len = bufferlen,
		.requestid = requestid,
	};

	if (unlikely(desc_size < struct_size(desc, range.pfn_array, 1) ||
		     desc_size % sizeof(u64) || desc_size > U16_MAX * sizeof(u64)))
		return -EINVAL;
	desc->reserved = 0;
	if (!desc->rangecount)
		desc->rangecount = 1;
	return send(channel, &packet, NULL);
}

/* @skip_desc: whether the caller wants the payload only. */
static __always_inline int receive(struct vmbus_channel *ch, void *buffer, u32 bufferlen,
				   u32 *actual_len, u64 *requestid, bool skip_desc)
{
	struct vmbus_chan *chan = to_vmbus_chan(ch);
	struct vmbus_ring_packet pkt = { };
	u32 offset, len;

	*actual_len = 0;
	*requestid = 0;
	if (unlikely(!ch->inbound.ring_buffer))
		return -ENODEV;

	if (!vmbus_ring_peek(&chan->rx, &pkt)) {
		if (!chan->rx.broken)
			return 0;
		vmbus_rx_report(chan);
		return -EIO;
	}

	offset = skip_desc ? pkt.offset : 0;
	len = pkt.len - offset;
	*actual_len = len;
	*requestid = pkt.trans_id;
	if (unlikely(len > bufferlen))
		return -ENOBUFS;

	if (skip_desc)
		vmbus_ring_copy(buffer, (const void *)pkt.start + offset, len);
	else
		vmbus_ring_copy_packet(buffer, &pkt, len);
	vmbus_ring_consume(&chan->rx, pkt.len + VMBUS_RING_TRAILER);
	/* So the caller's next look comes after it. ring.pml: direct_publish */
	vmbus_rx_publish(chan);
	return 0;
}

/**
 * vmbus_recvpacket() - receive the payload of the next packet
 * @channel: open channel
 * @buffer: private memory
 * @bufferlen: its bytes
 * @buffer_actual_len: bytes of the payload, 0 if there is no packet
 * @requestid: transaction id of the packet, 0 if there is none
 *
 * Context: any; one caller at a time.
 * Return: 0, also if there is no packet; -ENOBUFS if @buffer is too small, then
 * the packet stays and its size is told; -ENODEV if the channel is not open;
 * -EIO if the host corrupted the ring.
 */
int vmbus_recvpacket(struct vmbus_channel *channel, void *buffer, u32 bufferlen,
		     u32 *buffer_actual_len, u64 *requestid)
{
	return receive(channel, buffer, bufferlen, buffer_actual_len, requestid, true);
}

/**
 * vmbus_recvpacket_raw() - receive the next packet with its descriptor
 * @channel: open channel
 * @buffer: private memory
 * @bufferlen: its bytes
 * @buffer_actual_len: bytes of descriptor and payload, 0 if there is no packet
 * @requestid: transaction id of the packet, 0 if there is none
 *
 * Context, Return: as vmbus_recvpacket().
 */
int vmbus_recvpacket_raw(struct vmbus_channel *channel, void *buffer, u32 bufferlen,
			 u32 *buffer_actual_len, u64 *requestid)
{
	return receive(channel, buffer, bufferlen, buffer_actual_len, requestid, false);
}
