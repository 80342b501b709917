/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring arithmetic and copies. Knows no channel and no hypercall: functions
 * return "signal needed" and the caller does it. What a receiver does for each
 * packet is inline here, the rest is in ring_buffer.c.
 */
#ifndef _VMBUS_RING_H
#define _VMBUS_RING_H

#include <linux/hyperv.h>
#include <linux/string.h>

/* After each packet: a u64 whose upper half is the packet's start offset. */
#define VMBUS_RING_TRAILER	sizeof(u64)

/* Up to here copying words is cheaper than starting a string instruction. */
#define VMBUS_RING_COPY_WORDS	128

/**
 * struct vmbus_ring - private side of one direction of a channel
 * @info: what VSCs see of it; info->ring_buffer is shared with the host
 * @index: our own index in bytes, never read back from shared memory: the
 *	next byte to write (outbound), or the read index that the host was last
 *	told (inbound; info->priv_read_index is the next byte to read)
 * @seen: inbound: the host's write index as last checked, so that a batch of
 *	packets looks at shared memory once
 * @handed_out: inbound: bytes in the ring of the packet that the iterator last
 *	gave out, trailer included, 0 if none; the VSC's copy may be clamped
 * @broken: the shared part was found corrupt; sticky until the ring is closed
 * @reported: the caller has told the user so
 * @private: its memory is not visible to the host, which is a paravisor; constant
 *
 * Outbound rings are serialised by info->ring_lock. An inbound ring has one
 * reader: the channel callback, or whoever the VSC lets read.
 */
struct vmbus_ring {
	struct hv_ring_buffer_info *info;
	u32 index;
	u32 seen;
	u32 handed_out;
	bool broken;
	bool reported;
	bool private;
};

/*
 * The hypervisor's pages of a ring of @nr_pages of the kernel's. Where these are
 * larger, only the first of the header is the host's to see.
 */
static inline u32 vmbus_ring_hv_pages(u32 nr_pages)
{
	return nr_pages ? (nr_pages - 1) * NR_HV_HYP_PAGES_IN_PAGE + 1 : 0;
}

/* shared.c: maps what the host sees; undone by vunmap(). */
void *vmbus_shared_map(struct page **pages, u32 nr_pages, bool private);

void vmbus_ring_setup(struct vmbus_ring *ring, struct hv_ring_buffer_info *info);
int vmbus_ring_map(struct vmbus_ring *ring, struct page **pages, u32 nr_pages,
		   u32 pkt_buffer_size);
void vmbus_ring_unmap(struct vmbus_ring *ring);
void vmbus_ring_cut(struct vmbus_ring *ring, struct page *empty);

void *vmbus_ring_reserve(struct vmbus_ring *ring, u32 len);
bool vmbus_ring_commit(struct vmbus_ring *ring, void *start, u32 len);
bool vmbus_ring_publish(struct vmbus_ring *ring);
void vmbus_ring_break(struct vmbus_ring *ring);

static inline bool vmbus_ring_index_valid(const struct hv_ring_buffer_info *info, u32 index)
{
	return index < info->ring_datasize && !(index % sizeof(u64));
}

/* Bytes from @from to @to, going up and around. */
static inline u32 vmbus_ring_distance(const struct hv_ring_buffer_info *info, u32 from, u32 to)
{
	return to >= from ? to - from : info->ring_datasize - from + to;
}

static inline u32 vmbus_ring_advance(const struct hv_ring_buffer_info *info, u32 index, u32 len)
{
	index += len;
	return index >= info->ring_datasize ? index - info->ring_datasize : index;
}

/**
 * struct vmbus_ring_packet - a received packet, validated
 * @start: the packet in the ring: shared memory, may change at any time
 * @word0: first half of the private copy of the descriptor: type, offset8,
 *	len8, flags
 * @trans_id: second half
 * @len: bytes of descriptor and payload, a multiple of 8
 * @offset: bytes from @start to the payload
 */
struct vmbus_ring_packet {
	const u64 *start;
	u64 word0;
	u64 trans_id;
	u32 len;
	u32 offset;
};

/**
 * vmbus_ring_unmask() - let the host signal again, and look once more
 * @ring: inbound ring, masked by hv_begin_read()
 *
 * Not hv_end_read(): that compares with the shared read index. A host that
 * changes it would make the ring look full for ever.
 *
 * Return: whether there is something that the reader has not given back.
 */
static inline bool vmbus_ring_unmask(const struct vmbus_ring *ring)
{
	struct hv_ring_buffer *shared = ring->info->ring_buffer;

	WRITE_ONCE(shared->interrupt_mask, 0);
	/*
	 * Pairs with the host's barrier between write_index and the mask.
	 * ring.pml: unmask_fence
	 */
	virt_mb();
	return READ_ONCE(shared->write_index) != READ_ONCE(ring->index);
}

/**
 * vmbus_ring_parse() - read a packet's descriptor once and check it
 * @ring: inbound ring
 * @read: the reader's index, not @ring->seen
 * @pkt: filled if the packet is sound
 *
 * Inline, as what follows: calls are much of what a small packet costs.
 *
 * Return: whether the packet lies within what the host has written.
 */
static __always_inline bool vmbus_ring_parse(const struct vmbus_ring *ring, u32 read,
					     struct vmbus_ring_packet *pkt)
{
	const struct hv_ring_buffer_info *info = ring->info;
	/* Even if less than a descriptor is there, this stays in the mapping. */
	const u64 *start = (const u64 *)(info->ring_buffer->buffer + read);
	u64 word0 = READ_ONCE(start[0]);

	pkt->start = start;
	pkt->word0 = word0;
	pkt->trans_id = READ_ONCE(start[1]);
	/* offset8 and len8, in bytes */
	pkt->offset = (word0 >> 13) & (U16_MAX * sizeof(u64));
	pkt->len = (word0 >> 29) & (U16_MAX * sizeof(u64));
	return pkt->offset >= sizeof(struct vmpacket_descriptor) && pkt->offset <= pkt->len &&
	       pkt->len + VMBUS_RING_TRAILER <= vmbus_ring_distance(info, read, ring->seen);
}

/**
 * vmbus_ring_look() - see what the host has written since the last look
 * @ring: inbound ring, all of what was seen is consumed
 *
 * Return: whether there is something new; false if the ring is broken.
 */
static inline bool vmbus_ring_look(struct vmbus_ring *ring)
{
	struct hv_ring_buffer_info *info = ring->info;
	u32 write;

	if (unlikely(ring->broken))
		return false;
	/*
	 * Pairs with the host's barrier between the packet and write_index.
	 * ring.pml: look_acquire
	 */
	write = virt_load_acquire(&info->ring_buffer->write_index);
	if (write == ring->seen)
		return false;
	if (unlikely(!vmbus_ring_index_valid(info, write))) {
		vmbus_ring_break(ring);
		return false;
	}
	ring->seen = write;
	return true;
}

/**
 * vmbus_ring_peek() - look at the next packet
 * @ring: inbound ring
 * @pkt: filled if there is one
 *
 * Return: whether there is one; false if the ring is empty or @ring->broken.
 */
static __always_inline bool vmbus_ring_peek(struct vmbus_ring *ring,
					    struct vmbus_ring_packet *pkt)
{
	u32 read = ring->info->priv_read_index;

	if (ring->seen == read && !vmbus_ring_look(ring))
		return false;
	if (likely(vmbus_ring_parse(ring, read, pkt)))
		return true;
	vmbus_ring_break(ring);
	return false;
}

/**
 * vmbus_ring_consume() - step over a packet; the host is not told yet
 * @ring: inbound ring
 * @bytes: of the whole packet with its trailer
 */
static __always_inline void vmbus_ring_consume(struct vmbus_ring *ring, u32 bytes)
{
	struct hv_ring_buffer_info *info = ring->info;

	info->priv_read_index = vmbus_ring_advance(info, info->priv_read_index, bytes);
}

/**
 * vmbus_ring_copy() - copy from the ring, which may change meanwhile
 * @to: private memory
 * @from: at a multiple of 8 in the ring
 * @len: a multiple of 8
 */
static __always_inline void vmbus_ring_copy(void *to, const void *from, u32 len)
{
	const void *end = from + len;

	if (len > VMBUS_RING_COPY_WORDS) {
		memcpy(to, from, len);
		return;
	}
	for (; from != end; from += sizeof(u64), to += sizeof(u64))
		memcpy(to, from, sizeof(u64));
}

/**
 * vmbus_ring_copy_packet() - copy a packet, its descriptor as it was checked
 * @to: private memory
 * @pkt: a parsed packet
 * @len: bytes to copy, at least a descriptor, at most pkt->len
 */
static __always_inline void vmbus_ring_copy_packet(void *to, const struct vmbus_ring_packet *pkt,
						   u32 len)
{
	memcpy(to, &pkt->word0, sizeof(u64));
	memcpy(to + sizeof(u64), &pkt->trans_id, sizeof(u64));
	vmbus_ring_copy(to + sizeof(struct vmpacket_descriptor), pkt->start + 2,
			len - sizeof(struct vmpacket_descriptor));
}

#endif /* _VMBUS_RING_H */
