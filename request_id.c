// SPDX-License-Identifier: GPL-2.0-only
/*
 * Request ids: what a VSC sends to the host instead of the address of its
 * request, so that a completion with a wrong id cannot lead astray.
 *
 * Actions: any context, each under the lock of its channel's requestor, which
 * nests in the outbound ring's.
 */
#include <linux/bitmap.h>
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "include/vmbus_private.h"

/**
 * vmbus_requestor_alloc() - room for the request ids of a channel
 * @rqstor: the channel's
 * @size: how many; 0 for none
 *
 * Context: process, sleeps.
 * Return: 0; -ENOMEM.
 */
int vmbus_requestor_alloc(struct vmbus_requestor *rqstor, u32 size)
{
	u32 i;

	if (!size)
		return 0;
	rqstor->req_arr = kvmalloc_array(size, sizeof(*rqstor->req_arr), GFP_KERNEL);
	rqstor->req_bitmap = bitmap_zalloc(size, GFP_KERNEL);
	if (!rqstor->req_arr || !rqstor->req_bitmap) {
		kvfree(rqstor->req_arr);
		bitmap_free(rqstor->req_bitmap);
		rqstor->req_arr = NULL;
		rqstor->req_bitmap = NULL;
		return -ENOMEM;
	}
	/* A free slot holds the index of the next free one. */
	for (i = 0; i < size; i++)
		rqstor->req_arr[i] = i + 1;
	rqstor->size = size;
	rqstor->next_request_id = 0;
	return 0;
}

/**
 * vmbus_requestor_free() - undo vmbus_requestor_alloc()
 * @rqstor: the channel's; may have no ids
 */
void vmbus_requestor_free(struct vmbus_requestor *rqstor)
{
	kvfree(rqstor->req_arr);
	bitmap_free(rqstor->req_bitmap);
	rqstor->req_arr = NULL;
	rqstor->req_bitmap = NULL;
	rqstor->size = 0;
}

/**
 * vmbus_next_request_id() - an id for a request, to send instead of its address
 * @channel: open channel; its rqstor_size was set before it was opened
 * @rqst_addr: address (or anything) to remember
 *
 * Context: any.
 * Return: 1 .. rqstor_size; VMBUS_NO_RQSTOR if the channel has no ids;
 * VMBUS_RQST_ERROR if all are in use.
 */
u64 vmbus_next_request_id(struct vmbus_channel *channel, u64 rqst_addr)
{
	struct vmbus_requestor *rqstor = &channel->requestor;
	unsigned long flags;
	u64 slot;

	if (!channel->rqstor_size)
		return VMBUS_NO_RQSTOR;

	lock_requestor(channel, flags);
	slot = rqstor->next_request_id;
	if (slot >= rqstor->size) {
		unlock_requestor(channel, flags);
		return VMBUS_RQST_ERROR;
	}
	rqstor->next_request_id = rqstor->req_arr[slot];
	rqstor->req_arr[slot] = rqst_addr;
	__set_bit(slot, rqstor->req_bitmap);
	unlock_requestor(channel, flags);

	/* 0 is the id of messages that the host was not asked for. */
	return slot + 1;
}

/**
 * __vmbus_request_addr_match() - the address of an id, freed if it matches
 * @channel: the channel
 * @trans_id: id as the host sent it, any value
 * @rqst_addr: free the id if it holds this address, or VMBUS_RQST_ADDR_ANY
 *
 * Context: any; the caller holds the requestor's lock (lock_requestor()).
 * Return: the address, also if it does not match; VMBUS_NO_RQSTOR if the
 * channel has no ids; VMBUS_RQST_ERROR if the id is not in use.
 */
u64 __vmbus_request_addr_match(struct vmbus_channel *channel, u64 trans_id,
			       u64 rqst_addr)
{
	struct vmbus_requestor *rqstor = &channel->requestor;
	u64 slot = trans_id - 1, addr;

	if (!channel->rqstor_size)
		return VMBUS_NO_RQSTOR;
	if (slot >= rqstor->size || !test_bit(slot, rqstor->req_bitmap))
		return VMBUS_RQST_ERROR;

	addr = rqstor->req_arr[slot];
	if (rqst_addr == VMBUS_RQST_ADDR_ANY || addr == rqst_addr) {
		__clear_bit(slot, rqstor->req_bitmap);
		rqstor->req_arr[slot] = rqstor->next_request_id;
		rqstor->next_request_id = slot;
	}
	return addr;
}

/**
 * vmbus_request_addr_match() - __vmbus_request_addr_match() with its lock
 * @channel: the channel
 * @trans_id: id as the host sent it, any value
 * @rqst_addr: free the id if it holds this address, or VMBUS_RQST_ADDR_ANY
 */
u64 vmbus_request_addr_match(struct vmbus_channel *channel, u64 trans_id, u64 rqst_addr)
{
	unsigned long flags;
	u64 addr;

	lock_requestor(channel, flags);
	addr = __vmbus_request_addr_match(channel, trans_id, rqst_addr);
	unlock_requestor(channel, flags);
	return addr;
}

/**
 * vmbus_request_addr() - the address of an id, which is free from now on
 * @channel: the channel
 * @trans_id: id as the host sent it, any value
 *
 * Return: as __vmbus_request_addr_match().
 */
u64 vmbus_request_addr(struct vmbus_channel *channel, u64 trans_id)
{
	return vmbus_request_addr_match(channel, trans_id, VMBUS_RQST_ADDR_ANY);
}
