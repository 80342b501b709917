// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ring arithmetic and copies.
 *
 * Actions: a writer reserves, fills and commits under info->ring_lock. The one
 * reader peeks, consumes and publishes without a lock. Anyone may ask for debug
 * information; info->ring_buffer_mutex keeps the mapping while they look.
 *
 * The host writes to both rings at any time. Each shared index is read once,
 * range-checked and then used; what lies between our own indices is never taken
 * from shared memory. A ring found corrupt is broken until it is closed.
 *
 * Wake-ups, the same protocol in both directions: the side that makes progress
 * publishes its index, then looks whether the other side sleeps; the other side
 * says that it sleeps, then looks at the index again. A full barrier between
 * the two steps on each side lets at least one of them see the other. This is
 * tested by a model, tests/model/ring.pml; comments name the labels in it.
 */
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>

#include "include/vmbus_ring.h"
#include "include/vmbus_wire.h"

/**
 * vmbus_ring_setup() - initialise one direction of a new channel
 * @ring: private side
 * @info: side that VSCs see, zeroed
 */
void vmbus_ring_setup(struct vmbus_ring *ring, struct hv_ring_buffer_info *info)
{
	ring->info = info;
	spin_lock_init(&info->ring_lock);
	mutex_init(&info->ring_buffer_mutex);
}

/**
 * vmbus_ring_map() - make a ring of pages
 * @ring: set-up ring, not mapped
 * @pages: a header page and at least one data page, in any place
 * @nr_pages: number of @pages
 * @pkt_buffer_size: bytes for the iterator's private copy of a packet, or 0 if
 *	nothing will be received
 *
 * The data pages are mapped twice in a row, so that a packet that wraps around
 * is contiguous in our eyes.
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL if there is no data page; -ENOMEM.
 */
int vmbus_ring_map(struct vmbus_ring *ring, struct page **pages, u32 nr_pages,
		   u32 pkt_buffer_size)
{
	struct hv_ring_buffer_info *info = ring->info;
	u32 i, data_pages = nr_pages - 1;
	struct hv_ring_buffer *shared;
	void *pkt_buffer = NULL;
	struct page **twice;

	if (nr_pages < 2)
		return -EINVAL;

	twice = kvmalloc_array(nr_pages + data_pages, sizeof(*twice), GFP_KERNEL);
	if (!twice)
		return -ENOMEM;
	twice[0] = pages[0];
	for (i = 0; i < data_pages; i++) {
		twice[1 + i] = pages[1 + i];
		twice[1 + data_pages + i] = pages[1 + i];
	}
	shared = vmbus_shared_map(twice, nr_pages + data_pages, ring->private);
	kvfree(twice);
	if (!shared)
		return -ENOMEM;

	if (pkt_buffer_size) {
		pkt_buffer_size = max_t(u32, round_up(pkt_buffer_size, sizeof(u64)),
					sizeof(struct vmpacket_descriptor));
		pkt_buffer = kvzalloc(pkt_buffer_size, GFP_KERNEL);
		if (!pkt_buffer) {
			vunmap(shared);
			return -ENOMEM;
		}
	}

	/*
	 * The pages may be those of an earlier opening: start anew.
	 *
	 * The host owns the bit of the ring it writes to, but hosts have always
	 * seen Linux set both; pending_send_sz decides anyway.
	 */
	shared->write_index = 0;
	shared->read_index = 0;
	shared->interrupt_mask = 0;
	shared->pending_send_sz = 0;
	shared->feature_bits.value = VMBUS_RING_FEAT_PENDING_SEND_SZ;

	ring->index = 0;
	ring->seen = 0;
	ring->handed_out = 0;
	ring->broken = false;
	ring->reported = false;

	mutex_lock(&info->ring_buffer_mutex);
	info->ring_size = nr_pages * PAGE_SIZE;
	info->ring_size_div10_reciprocal = reciprocal_value(info->ring_size / 10);
	info->ring_datasize = data_pages * PAGE_SIZE;
	info->priv_read_index = 0;
	info->pkt_buffer = pkt_buffer;
	info->pkt_buffer_size = pkt_buffer_size;
	/* From here on senders use it. */
	spin_lock_irq(&info->ring_lock);
	info->ring_buffer = shared;
	spin_unlock_irq(&info->ring_lock);
	mutex_unlock(&info->ring_buffer_mutex);
	return 0;
}

/**
 * vmbus_ring_unmap() - undo vmbus_ring_map()
 * @ring: ring that nobody reads any more; may be unmapped already. Senders find
 *	that it is gone
 *
 * Context: process, sleeps.
 */
void vmbus_ring_unmap(struct vmbus_ring *ring)
{
	struct hv_ring_buffer_info *info = ring->info;
	struct hv_ring_buffer *shared;

	mutex_lock(&info->ring_buffer_mutex);
	spin_lock_irq(&info->ring_lock);
	shared = info->ring_buffer;
	info->ring_buffer = NULL;
	spin_unlock_irq(&info->ring_lock);
	vunmap(shared);
	kvfree(info->pkt_buffer);
	info->pkt_buffer = NULL;
	mutex_unlock(&info->ring_buffer_mutex);
}

static void *map_often(struct page *page, u32 times)
{
	struct page **same = kvmalloc_array(times, sizeof(*same), GFP_KERNEL);
	void *at = NULL;
	u32 i;

	if (!same)
		return NULL;
	for (i = 0; i < times; i++)
		same[i] = page;
	at = vmap(same, times, VM_MAP, PAGE_KERNEL);
	kvfree(same);
	return at;
}

/**
 * vmbus_ring_cut() - take the host's memory out of a ring that may be in use
 * @ring: any
 * @empty: a private zeroed page that stays, or NULL
 *
 * Who sends or receives finds the ring broken; who only looks, as some VSCs do
 * inline, finds an empty one. Who is in the middle of it uses the old memory,
 * which stays mapped. Without @empty the ring is gone, as after closing.
 *
 * Context: process, sleeps.
 */
void vmbus_ring_cut(struct vmbus_ring *ring, struct page *empty)
{
	struct hv_ring_buffer_info *info = ring->info;
	void *instead = NULL;

	mutex_lock(&info->ring_buffer_mutex);
	if (info->ring_buffer) {
		if (empty)
			instead = map_often(empty, 2 * (info->ring_size / PAGE_SIZE) - 1);
		spin_lock_irq(&info->ring_lock);
		ring->reported = true;
		ring->broken = true;
		WRITE_ONCE(info->ring_buffer, instead);
		spin_unlock_irq(&info->ring_lock);
	}
	mutex_unlock(&info->ring_buffer_mutex);
}

/**
 * vmbus_ring_reserve() - find room for a packet
 * @ring: outbound ring
 * @len: bytes of descriptor and payload, a multiple of 8
 *
 * Context: any; the caller holds info->ring_lock until vmbus_ring_commit().
 * Return: where to write @len contiguous bytes; ERR_PTR(-EAGAIN) if the ring is
 * too full now; ERR_PTR(-EIO) if it is broken.
 */
void *vmbus_ring_reserve(struct vmbus_ring *ring, u32 len)
{
	struct hv_ring_buffer_info *info = ring->info;
	struct hv_ring_buffer *shared = info->ring_buffer;
	u32 read;

	lockdep_assert_held(&info->ring_lock);
	if (unlikely(ring->broken))
		return ERR_PTR(-EIO);

	/*
	 * The branch on the room orders this load before the stores of the
	 * packet: the host has read what they overwrite.
	 * ring.pml: reserve_branch
	 */
	read = READ_ONCE(shared->read_index);
	if (unlikely(!vmbus_ring_index_valid(info, read))) {
		ring->broken = true;
		return ERR_PTR(-EIO);
	}
	/* In use + the packet must stay below the size: full is not empty. */
	if (vmbus_ring_distance(info, read, ring->index) + len + VMBUS_RING_TRAILER >=
	    info->ring_datasize)
		return ERR_PTR(-EAGAIN);
	return shared->buffer + ring->index;
}

/**
 * vmbus_ring_commit() - hand a packet to the host
 * @ring: outbound ring
 * @start: what vmbus_ring_reserve() returned
 * @len: the same as there
 *
 * Return: whether the host must be signalled: it had read everything before
 * this packet, so it may sleep, and it has not masked its interrupt.
 */
bool vmbus_ring_commit(struct vmbus_ring *ring, void *start, u32 len)
{
	struct hv_ring_buffer_info *info = ring->info;
	struct hv_ring_buffer *shared = info->ring_buffer;
	u32 old = ring->index;

	*(u64 *)(start + len) = (u64)old << 32;
	ring->index = vmbus_ring_advance(info, old, len + VMBUS_RING_TRAILER);

	/*
	 * Pairs with the host's read barrier after it read write_index.
	 * ring.pml: commit_wmb
	 */
	virt_wmb();
	WRITE_ONCE(shared->write_index, ring->index);

	/*
	 * Pairs with the host's barrier between unmasking its interrupt or
	 * publishing read_index, and looking at write_index again.
	 * ring.pml: commit_fence
	 */
	virt_mb();
	if (READ_ONCE(shared->interrupt_mask))
		return false;
	return READ_ONCE(shared->read_index) == old;
}

/**
 * vmbus_ring_break() - mark an inbound ring as broken
 * @ring: inbound ring
 *
 * Every later look at it fails, because there is nothing more to see.
 */
void vmbus_ring_break(struct vmbus_ring *ring)
{
	ring->broken = true;
	ring->seen = ring->info->priv_read_index;
	/* Nor may the iterator step over the packet it gave out, past @seen. */
	ring->handed_out = 0;
}

/**
 * vmbus_ring_publish() - give the room of all consumed packets to the host
 * @ring: inbound ring
 *
 * Return: whether the host must be signalled: it waits for room, and this call
 * is the one that made enough.
 */
bool vmbus_ring_publish(struct vmbus_ring *ring)
{
	struct hv_ring_buffer_info *info = ring->info;
	struct hv_ring_buffer *shared = info->ring_buffer;
	u32 old = ring->index, read = info->priv_read_index;
	u32 wanted, write, room, freed;

	if (old == read)
		return false;
	ring->index = read;

	/*
	 * All reads of the packets come before the host may overwrite them.
	 * ring.pml: publish_before
	 */
	virt_mb();
	WRITE_ONCE(shared->read_index, read);

	/*
	 * Pairs with the host's barrier between setting pending_send_sz and
	 * looking at read_index again. Also comes before the next look.
	 * ring.pml: publish_fence
	 */
	virt_mb();
	/* Some hosts ask for one byte less than the ring; room comes in 8s. */
	wanted = round_down(READ_ONCE(shared->pending_send_sz), sizeof(u64));
	if (likely(!wanted))
		return false;
	if (!(READ_ONCE(shared->feature_bits.value) & VMBUS_RING_FEAT_PENDING_SEND_SZ))
		return false;

	write = READ_ONCE(shared->write_index);
	if (unlikely(!vmbus_ring_index_valid(info, write))) {
		vmbus_ring_break(ring);
		return false;
	}
	/*
	 * The gap counts as room here, hence "more than" what is wanted.
	 * ring.pml: publish_crossing
	 */
	room = info->ring_datasize - vmbus_ring_distance(info, read, write);
	freed = vmbus_ring_distance(info, old, read);
	return room > wanted && room - min(freed, room) <= wanted;
}

/**
 * hv_ringbuffer_get_debuginfo() - indices of a ring, for humans
 * @ring_info: the ring
 * @debug_info: filled; the indices are as found, the counts are 0 if they are
 *	not in the ring
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL if the channel is not open.
 */
int hv_ringbuffer_get_debuginfo(struct hv_ring_buffer_info *ring_info,
				struct hv_ring_buffer_debug_info *debug_info)
{
	struct hv_ring_buffer *shared;
	u32 read, write;

	mutex_lock(&ring_info->ring_buffer_mutex);
	shared = ring_info->ring_buffer;
	if (!shared) {
		mutex_unlock(&ring_info->ring_buffer_mutex);
		return -EINVAL;
	}
	read = READ_ONCE(shared->read_index);
	write = READ_ONCE(shared->write_index);
	debug_info->current_interrupt_mask = READ_ONCE(shared->interrupt_mask);
	mutex_unlock(&ring_info->ring_buffer_mutex);

	debug_info->current_read_index = read;
	debug_info->current_write_index = write;
	debug_info->bytes_avail_toread = 0;
	debug_info->bytes_avail_towrite = 0;
	if (read < ring_info->ring_datasize && write < ring_info->ring_datasize) {
		debug_info->bytes_avail_toread = vmbus_ring_distance(ring_info, read, write);
		debug_info->bytes_avail_towrite =
			ring_info->ring_datasize - debug_info->bytes_avail_toread;
	}
	return 0;
}
