// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPADLs: guest memory that the host may use, and the fate of memory that it
 * does not let go.
 *
 * Actions: creation and teardown in any task; late confirmations on the message
 * work; release of parked memory there, after a rescind, and at unload.
 *
 * Parked memory is on a list that owns it. The list's lock is innermost.
 */
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/**
 * struct parked - memory that the host has not confirmed to have let go
 * @node: on the list of all of them
 * @relid: channel it was shared through
 * @gpadl: handle it was shared under
 * @pages: the pages, owned
 * @nr_pages: their number
 */
struct parked {
	struct list_head node;
	u32 relid;
	u32 gpadl;
	struct page **pages;
	u32 nr_pages;
};

static DEFINE_SPINLOCK(parked_lock);
static LIST_HEAD(parked_list);
static atomic_t next_gpadl;

/* Two rings, one behind the other, in whole pages of the kernel's size. */
struct ring_memory {
	struct page **pages;
	u32 tx_pages;
};

/* Of a ring's header the host gets its first 4 KiB alone. */
static u64 ring_pfn(const void *memory, u32 index)
{
	const struct ring_memory *rings = memory;
	u32 tx = vmbus_ring_hv_pages(rings->tx_pages), first = 0;

	if (index >= tx) {
		index -= tx;
		first = rings->tx_pages;
	}
	if (index)
		index += NR_HV_HYP_PAGES_IN_PAGE - 1;
	return page_to_hvpfn(rings->pages[first + index / NR_HV_HYP_PAGES_IN_PAGE]) +
	       index % NR_HV_HYP_PAGES_IN_PAGE;
}

static u64 buffer_pfn(const void *memory, u32 index)
{
	return virt_to_hvpfn((void *)memory + index * HV_HYP_PAGE_SIZE);
}

/*
 * Posts the description of the memory: a header with the first page numbers,
 * bodies with the rest. The host answers after the last one. @begun: it was told
 * of some of the pages, maybe not of all.
 */
static int post_description(struct vmbus_chan *chan, u32 handle, const void *memory,
			    u64 (*pfn_of)(const void *memory, u32 index), u32 nr_pages,
			    bool *begun)
{
	u64 raw[HV_MESSAGE_PAYLOAD_QWORD_COUNT] = { 0 };
	struct vmbus_gpadl_header *header = (void *)raw;
	struct vmbus_channel_gpadl_body *body = (void *)raw;
	u32 i, done, now;
	int err;

	now = min_t(u32, nr_pages, VMBUS_GPADL_HEADER_PFNS);
	header->header.msgtype = CHANNELMSG_GPADL_HEADER;
	header->child_relid = vmbus_chan_relid(chan);
	header->gpadl = handle;
	header->range_buflen = VMBUS_GPADL_RANGE_HEADER + nr_pages * sizeof(u64);
	header->rangecount = 1;
	header->byte_count = nr_pages * HV_HYP_PAGE_SIZE;
	for (i = 0; i < now; i++)
		header->pfn[i] = pfn_of(memory, i);
	err = vmbus_post(raw, struct_size(header, pfn, now));
	*begun = !err;

	for (done = now; !err && done < nr_pages; done += now) {
		now = min_t(u32, nr_pages - done, VMBUS_GPADL_BODY_PFNS);
		body->header.msgtype = CHANNELMSG_GPADL_BODY;
		body->msgnumber = (done - VMBUS_GPADL_HEADER_PFNS) /
				  VMBUS_GPADL_BODY_PFNS;
		body->gpadl = handle;
		for (i = 0; i < now; i++)
			body->pfn[i] = pfn_of(memory, done + i);
		err = vmbus_post(raw, struct_size(body, pfn, now));
	}
	return err;
}

/**
 * vmbus_gpadl_start() - choose where handles start
 *
 * Anywhere, since the host may know handles of a kernel that crashed here, and
 * answers to it may be on their way: those must not be taken for ours.
 *
 * Context: process, at start; no GPADL exists.
 */
void vmbus_gpadl_start(void)
{
	atomic_set(&next_gpadl, get_random_u32());
}

static u32 new_handle(void)
{
	u32 handle;

	/* 0 means "none" to VSCs. */
	do {
		handle = atomic_inc_return(&next_gpadl);
	} while (!handle);
	return handle;
}

/*
 * Returns 0 with *handle. On error *handle is 0 if the host certainly has no
 * part of the memory, and else has to be torn down before the memory is free.
 */
static int create(struct vmbus_chan *chan, const void *memory,
		  u64 (*pfn_of)(const void *memory, u32 index), u32 nr_pages, u32 *handle)
{
	struct vmbus_request req;
	bool begun;
	int err;

	*handle = 0;
	if (!nr_pages || nr_pages > VMBUS_GPADL_MAX_PAGES)
		return -EINVAL;

	*handle = new_handle();
	vmbus_request_init(&req, CHANNELMSG_GPADL_CREATED, vmbus_chan_relid(chan), *handle);
	err = vmbus_request_begin(&req);
	if (err) {
		*handle = 0;
		return err;
	}
	if (READ_ONCE(chan->ch.rescind)) {
		vmbus_request_abort(&req);
		*handle = 0;
		return -ENODEV;
	}
	err = post_description(chan, *handle, memory, pfn_of, nr_pages, &begun);
	if (err) {
		vmbus_request_abort(&req);
		/* A host that knows some of the pages may look at them. */
		if (!begun)
			*handle = 0;
		return err;
	}
	err = vmbus_request_wait(&req, vmbus_deadlines.request);
	if (!err && req.reply.gpadl_created.creation_status) {
		pr_err_ratelimited("%pUl (relid %u): Failed to establish GPADL: err = 0x%x\n",
				   &chan->ch.offermsg.offer.if_instance,
				   vmbus_chan_relid(chan),
				   req.reply.gpadl_created.creation_status);
		err = -EDQUOT;
		*handle = 0;
	}
	/* A rescind ends the host's use of whatever it had. */
	if (err == -ENODEV)
		*handle = 0;
	return err;
}

/* 0 if the host has no part of the memory any more. */
static int teardown(struct vmbus_chan *chan, u32 handle)
{
	struct vmbus_channel_gpadl_teardown msg = {
		.header.msgtype = CHANNELMSG_GPADL_TEARDOWN,
		.child_relid = vmbus_chan_relid(chan),
		.gpadl = handle,
	};
	struct vmbus_request req;
	int err;

	vmbus_request_init(&req, CHANNELMSG_GPADL_TORNDOWN, vmbus_chan_relid(chan), handle);
	err = vmbus_request_call(&req, &chan->ch, &msg, sizeof(msg), vmbus_deadlines.request);
	/* A rescinded channel has no GPADLs, and its host may not answer. */
	return err == -ENODEV ? 0 : err;
}

/**
 * vmbus_gpadl_create_ring() - share a ring's pages with the host
 * @chan: the channel
 * @pages: the pages, already visible to the host, the outbound ring's first
 * @tx_pages: those of the outbound ring
 * @rx_pages: those of the inbound ring behind it, if there is one; vmbus_ring_hv_pages() of both
 *	together at most VMBUS_GPADL_MAX_PAGES
 * @handle: filled; on error 0 if the host certainly has no part of the pages,
 *	otherwise to be given to vmbus_gpadl_teardown_ring()
 *
 * Context: process, sleeps up to vmbus_deadlines.request, and .post for each
 * message, of which there is one for 28 pages.
 * Return: 0; -EINVAL for too many pages; -EDQUOT if the host refused; -ENODEV
 * if the channel is rescinded; -ETIMEDOUT; -ENOBUFS, -EIO from posting;
 * -ESHUTDOWN without a connection.
 */
int vmbus_gpadl_create_ring(struct vmbus_chan *chan, struct page **pages, u32 tx_pages,
			    u32 rx_pages, u32 *handle)
{
	const struct ring_memory rings = { .pages = pages, .tx_pages = tx_pages };

	return create(chan, &rings, ring_pfn,
		      vmbus_ring_hv_pages(tx_pages) + vmbus_ring_hv_pages(rx_pages), handle);
}

/**
 * vmbus_gpadl_teardown_ring() - take a ring's pages back
 * @chan: the channel
 * @handle: from vmbus_gpadl_create_ring(); 0 is fine
 *
 * Return: 0 if the host has let go; otherwise the pages must be parked.
 */
int vmbus_gpadl_teardown_ring(struct vmbus_chan *chan, u32 handle)
{
	return handle ? teardown(chan, handle) : 0;
}

/* Pages of the kernel's size, which have more in them than the host's where they are larger. */
static u32 pages_of(const void *buffer, u32 size)
{
	return PFN_UP(offset_in_page(buffer) + size);
}

/* @shown: the caller has made the buffer visible, and hides it; or nobody does. */
static int establish(struct vmbus_channel *channel, void *kbuffer, u32 size,
		     struct vmbus_gpadl *gpadl, bool shown)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	u32 handle, nr_pages = size / HV_HYP_PAGE_SIZE;
	int err;

	gpadl->gpadl_handle = 0;
	gpadl->decrypted = false;
	if (!size || size % HV_HYP_PAGE_SIZE || offset_in_hvpage(kbuffer) ||
	    nr_pages > VMBUS_GPADL_MAX_PAGES)
		return -EINVAL;

	gpadl->buffer = kbuffer;
	gpadl->size = size;
	if (!shown) {
		err = vmbus_buffer_show(kbuffer, pages_of(kbuffer, size));
		/* Where the host may see some of it. */
		gpadl->decrypted = err != -ENOMEM;
		if (err)
			return err;
	}

	err = create(chan, kbuffer, buffer_pfn, nr_pages, &handle);
	if (!err) {
		gpadl->gpadl_handle = handle;
		return 0;
	}
	if (handle && teardown(chan, handle)) {
		gpadl->decrypted = true;
		vmbus_buffer_keep(kbuffer);
	} else if (!shown && !vmbus_buffer_hide(kbuffer, pages_of(kbuffer, size))) {
		gpadl->decrypted = false;
	}
	return err;
}

/**
 * vmbus_establish_gpadl() - share a buffer with the host
 * @channel: the channel it is for
 * @kbuffer: from the direct map or vmalloc, aligned to the hypervisor's page
 * @size: bytes, a multiple of that page's, at most VMBUS_GPADL_MAX_PAGES pages
 * @gpadl: filled. gpadl->decrypted stays true for as long as the host may use
 *	the buffer, also after a failure: then the buffer must not be freed. Where a
 *	paravisor uses it, which sees it anyway, it is true after a failure alone.
 *
 * Context: process, sleeps up to vmbus_deadlines.request, twice if it fails,
 * and .post for each message, of which there is one for 28 pages.
 * Return: 0; -EINVAL for a bad address or size; -EDQUOT if the host refused;
 * -ENODEV if the channel is rescinded; -ETIMEDOUT; -ENOBUFS, -EIO from posting;
 * -ESHUTDOWN without a connection; errors of changing visibility.
 */
int vmbus_establish_gpadl(struct vmbus_channel *channel, void *kbuffer, u32 size,
			  struct vmbus_gpadl *gpadl)
{
	return establish(channel, kbuffer, size, gpadl, to_vmbus_chan(channel)->private_memory);
}

#if VMBUS_NEWER_EXPORTS

/**
 * vmbus_establish_gpadl_caller_decrypted() - share a buffer that is visible
 * @channel: the channel it is for
 * @kbuffer: page-aligned, from the direct map or vmalloc; the caller has made it
 *	visible to the host, and hides it when the GPADL is torn down
 * @size: as for vmbus_establish_gpadl()
 * @gpadl: filled. gpadl->decrypted is true only after an error after which the
 *	host may still use the buffer: then it must not be freed.
 *
 * Context: as vmbus_establish_gpadl().
 * Return: 0; -EINVAL for a bad address or size; -EDQUOT if the host refused;
 * -ENODEV if the channel is rescinded; -ETIMEDOUT; -ENOBUFS, -EIO from posting;
 * -ESHUTDOWN without a connection.
 */
int vmbus_establish_gpadl_caller_decrypted(struct vmbus_channel *channel, void *kbuffer,
					   u32 size, struct vmbus_gpadl *gpadl)
{
	return establish(channel, kbuffer, size, gpadl, true);
}

#endif

/**
 * vmbus_teardown_gpadl() - take a buffer back from the host
 * @channel: the channel it was shared for
 * @gpadl: from vmbus_establish_gpadl(), or with a buffer that the caller hides
 *
 * Context: process, sleeps up to vmbus_deadlines.request.
 * Return: 0; otherwise the host may still use the buffer, gpadl->decrypted is
 * true and the buffer must not be freed: -ETIMEDOUT; -ENOBUFS, -EIO from
 * posting; -ESHUTDOWN without a connection; errors of changing visibility.
 */
int vmbus_teardown_gpadl(struct vmbus_channel *channel, struct vmbus_gpadl *gpadl)
{
	int err;

	if (!gpadl->gpadl_handle)
		return 0;
	err = teardown(to_vmbus_chan(channel), gpadl->gpadl_handle);
	if (err)
		vmbus_buffer_keep(gpadl->buffer);
	else if (gpadl->decrypted)
		err = vmbus_buffer_hide(gpadl->buffer, pages_of(gpadl->buffer, gpadl->size));
	gpadl->decrypted = err;
	gpadl->gpadl_handle = 0;
	return err;
}

/**
 * vmbus_pages_park() - keep pages that the host may still use
 * @chan: channel they were shared through
 * @handle: under which GPADL
 * @pages: from vmbus_pages_alloc(), taken over
 * @nr_pages: entries
 */
void vmbus_pages_park(struct vmbus_chan *chan, u32 handle, struct page **pages,
		      u32 nr_pages)
{
	struct parked *parked = kmalloc(sizeof(*parked), GFP_KERNEL);

	pr_warn("%pUl (relid %u): %s %lu KiB that the host may still use\n",
		&chan->ch.offermsg.offer.if_instance, vmbus_chan_relid(chan),
		parked ? "keeping" : "leaking", nr_pages * (PAGE_SIZE / SZ_1K));
	if (!parked) {
		vmbus_pages_leak(pages);
		return;
	}
	parked->relid = vmbus_chan_relid(chan);
	parked->gpadl = handle;
	parked->pages = pages;
	parked->nr_pages = nr_pages;
	spin_lock(&parked_lock);
	list_add(&parked->node, &parked_list);
	spin_unlock(&parked_lock);
}

static void release_parked(struct list_head *list)
{
	struct parked *parked, *next;

	list_for_each_entry_safe(parked, next, list, node) {
		vmbus_pages_free(parked->pages);
		kfree(parked);
	}
}

/**
 * vmbus_parked_release() - free what was parked for a channel
 * @relid: the channel, which the host has forgotten, or 0 for all channels
 *	after the host confirmed the unload
 *
 * Context: process, sleeps.
 */
void vmbus_parked_release(u32 relid)
{
	struct parked *parked, *next;
	LIST_HEAD(list);

	spin_lock(&parked_lock);
	list_for_each_entry_safe(parked, next, &parked_list, node)
		if (!relid || parked->relid == relid)
			list_move(&parked->node, &list);
	spin_unlock(&parked_lock);
	release_parked(&list);
}

/**
 * vmbus_parked_torndown() - a confirmation nobody waited for: free its memory
 * @handle: the GPADL
 *
 * Context: process, sleeps.
 * Return: whether anything was parked under that handle.
 */
bool vmbus_parked_torndown(u32 handle)
{
	struct parked *parked, *next;
	LIST_HEAD(list);
	bool found;

	spin_lock(&parked_lock);
	list_for_each_entry_safe(parked, next, &parked_list, node)
		if (parked->gpadl == handle)
			list_move(&parked->node, &list);
	spin_unlock(&parked_lock);
	found = !list_empty(&list);
	release_parked(&list);
	return found;
}

/**
 * vmbus_parked_keep() - keep what is parked until the host confirms an unload
 *
 * The relids that the memory was shared through may soon be other channels'.
 */
void vmbus_parked_keep(void)
{
	struct parked *parked;

	spin_lock(&parked_lock);
	list_for_each_entry(parked, &parked_list, node)
		parked->relid = VMBUS_NO_RELID;
	spin_unlock(&parked_lock);
}

/**
 * vmbus_parked_leak() - give up what is still parked, the host never confirmed
 *
 * Return: KiB leaked.
 */
unsigned long vmbus_parked_leak(void)
{
	struct parked *parked, *next;
	unsigned long pages = 0;

	list_for_each_entry_safe(parked, next, &parked_list, node) {
		pages += parked->nr_pages;
		list_del(&parked->node);
		vmbus_pages_leak(parked->pages);
		kfree(parked);
	}
	return pages * (PAGE_SIZE / SZ_1K);
}

/**
 * vmbus_parked_kib() - how much is parked
 * @relid: through this channel; 0: in all
 *
 * Return: KiB.
 */
unsigned long vmbus_parked_kib(u32 relid)
{
	const struct parked *parked;
	unsigned long pages = 0;

	spin_lock(&parked_lock);
	list_for_each_entry(parked, &parked_list, node)
		if (!relid || parked->relid == relid)
			pages += parked->nr_pages;
	spin_unlock(&parked_lock);
	return pages * (PAGE_SIZE / SZ_1K);
}
