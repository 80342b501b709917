/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring arithmetic and copies. Knows no channel and no hypercall: functions
 * return "signal needed" and the caller does it.
 */
#ifndef _VMBUS_RING_H
#define _VMBUS_RING_H

#include <linux/hyperv.h>

/* After each packet: a u64 whose upper half is the packet's start offset. */
#define VMBUS_RING_TRAILER	sizeof(u64)

/* The last 8 bytes of a ring stay free, so that "full" is not "empty". */
#define VMBUS_RING_GAP		sizeof(u64)

/**
 * struct vmbus_ring - private side of one direction of a channel
 * @info: what VSCs see of it; info->ring_buffer is shared with the host
 * @index: our own index in bytes, never read back from shared memory: the
 *	next byte to write (outbound), or the read index that the host was last
 *	told (inbound; info->priv_read_index is the next byte to read)
 * @handed_out: inbound: length in bytes of the packet that the iterator last
 *	gave out, 0 if none; the copy that the VSC has may be clamped
 * @broken: the shared part was found corrupt; sticky until the ring is closed
 * @reported: the caller has told the user so
 *
 * Outbound rings are serialised by info->ring_lock. An inbound ring has one
 * reader: the channel callback, or whoever the VSC lets read.
 */
struct vmbus_ring {
	struct hv_ring_buffer_info *info;
	u32 index;
	u32 handed_out;
	bool broken;
	bool reported;
};

/**
 * struct vmbus_ring_packet - a received packet, validated
 * @desc: private copy of the descriptor
 * @start: the packet in the ring: shared memory, may change at any time
 * @len: bytes of descriptor and payload, a multiple of 8
 * @offset: bytes from @start to the payload
 */
struct vmbus_ring_packet {
	struct vmpacket_descriptor desc;
	const void *start;
	u32 len;
	u32 offset;
};

void vmbus_ring_setup(struct vmbus_ring *ring, struct hv_ring_buffer_info *info);
int vmbus_ring_map(struct vmbus_ring *ring, struct page **pages, u32 nr_pages,
		   u32 pkt_buffer_size);
void vmbus_ring_unmap(struct vmbus_ring *ring);

void *vmbus_ring_reserve(struct vmbus_ring *ring, u32 len);
bool vmbus_ring_commit(struct vmbus_ring *ring, void *start, u32 len);

int vmbus_ring_peek(struct vmbus_ring *ring, struct vmbus_ring_packet *pkt);
void vmbus_ring_consume(struct vmbus_ring *ring, u32 len);
bool vmbus_ring_publish(struct vmbus_ring *ring);

struct vmpacket_descriptor *vmbus_ring_iter_peek(struct vmbus_ring *ring);
void vmbus_ring_iter_next(struct vmbus_ring *ring);

#endif /* _VMBUS_RING_H */
