// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the host may see: shown, mapped, hidden again.
 *
 * In an isolation VM the host sees what it is shown. It is shown a page before it
 * is told of it, and what was in the page is worth nothing then, on either side: the
 * page is zeroed. It is hidden after the host has let go of it, and before it is
 * anybody else's. What cannot be hidden is leaked, and counted. Memory that is a
 * paravisor's to use, and no host's, is never shown.
 *
 * Actions: channels are opened and closed, GPADLs come and go, in any task; late
 * confirmations on the message work. All that is visible is on one list, which is
 * hidden on the way to another kernel: that one takes all memory for private.
 *
 * Lock: shared_mutex for the list, within all others but those of the kernel's.
 */
#include <linux/atomic.h>
#include <linux/hyperv.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/**
 * struct shared - memory that the host uses, or a paravisor
 * @node: on the list of all of it
 * @buffer: a VSC's, or NULL for pages of ours
 * @visible: the host may see it
 * @kept: of a buffer that the bus has allocated: the host may use, or see, it for ever
 * @nr_pages: its number of pages
 * @pages: the pages, unless it is a VSC's; NULL where one is leaked
 */
struct shared {
	struct list_head node;
	void *buffer;
	bool visible;
	bool kept;
	u32 nr_pages;
	struct page *pages[];
};

static DEFINE_MUTEX(shared_mutex);
static LIST_HEAD(shared_list);
static atomic_long_t leaked_pages;

/* @nr_pages are lost until the next boot. */
static void count_leaked(u32 nr_pages)
{
	atomic_long_add(nr_pages, &leaked_pages);
}

/**
 * vmbus_leaked_kib() - how much memory is lost, since the host may see or use it
 *
 * Return: KiB since the module was loaded.
 */
unsigned long vmbus_leaked_kib(void)
{
	return atomic_long_read(&leaked_pages) * (PAGE_SIZE / SZ_1K);
}

static void enlist(struct shared *shared, bool private)
{
	shared->visible = vmbus_host->set_visible && !private;
	mutex_lock(&shared_mutex);
	list_add(&shared->node, &shared_list);
	mutex_unlock(&shared_mutex);
}

static void unlist(struct shared *shared)
{
	mutex_lock(&shared_mutex);
	list_del(&shared->node);
	mutex_unlock(&shared_mutex);
}

/* ---- mapping ---- */

/**
 * vmbus_shared_aliased() - do visible pages have a place apart from the direct map?
 */
bool vmbus_shared_aliased(void)
{
	return vmbus_host->isolation && vmbus_host->isolation->map;
}

/**
 * vmbus_shared_map() - map pages one after the other
 * @pages: the pages, of which one may be there more than once
 * @nr_pages: their number
 * @private: they are not visible
 *
 * Context: process, sleeps.
 * Return: where, for vunmap(); NULL for want of memory.
 */
void *vmbus_shared_map(struct page **pages, u32 nr_pages, bool private)
{
	if (private)
		return vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL);
	if (vmbus_shared_aliased())
		return vmbus_host->isolation->map(pages, nr_pages);
	return vmap(pages, nr_pages, VM_MAP, pgprot_decrypted(PAGE_KERNEL));
}

static bool zero_pages(struct shared *shared)
{
	void *all;
	u32 i;

	if (!vmbus_shared_aliased()) {
		for (i = 0; i < shared->nr_pages; i++)
			clear_page(page_address(shared->pages[i]));
		return true;
	}
	all = vmbus_shared_map(shared->pages, shared->nr_pages, false);
	if (!all)
		return false;
	memset(all, 0, shared->nr_pages * PAGE_SIZE);
	vunmap(all);
	return true;
}

/* ---- pages of ours ---- */

static bool alloc_single_pages(struct page **pages, u32 nr_pages, int node)
{
	u32 i;

	for (i = 0; i < nr_pages; i++) {
		pages[i] = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		if (!pages[i]) {
			while (i--)
				__free_page(pages[i]);
			return false;
		}
	}
	return true;
}

/* One block, split into single pages, so that all are freed alike. */
static bool alloc_linear_pages(struct page **pages, u32 nr_pages, int node)
{
	unsigned int order = get_order(nr_pages * PAGE_SIZE);
	struct page *block = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, order);
	u32 i;

	if (!block)
		return false;
	split_page(block, order);
	for (i = 0; i < nr_pages; i++)
		pages[i] = block + i;
	for (; i < 1U << order; i++)
		__free_page(block + i);
	return true;
}

/* Hides the first @nr_pages. What stays visible is leaked, and NULL afterwards. */
static void hide_pages(struct shared *shared, u32 nr_pages)
{
	u32 i, leaked = 0;

	for (i = 0; i < nr_pages; i++) {
		if (!vmbus_host->set_visible(page_address(shared->pages[i]), 1, false))
			continue;
		shared->pages[i] = NULL;
		leaked++;
	}
	shared->visible = false;
	count_leaked(leaked);
	if (leaked)
		pr_err("leaking %u pages that cannot be taken back from the host\n", leaked);
}

static void free_pages_of(struct shared *shared)
{
	u32 i;

	for (i = 0; i < shared->nr_pages; i++)
		if (shared->pages[i])
			__free_page(shared->pages[i]);
	kvfree(shared);
}

/* If it fails @shared is gone. */
static bool show_pages(struct shared *shared)
{
	u32 i;

	for (i = 0; i < shared->nr_pages; i++)
		if (vmbus_host->set_visible(page_address(shared->pages[i]), 1, true))
			break;
	if (i == shared->nr_pages && zero_pages(shared))
		return true;
	/* Those after that one were never shown: they are not hidden. */
	hide_pages(shared, i);
	if (i < shared->nr_pages) {
		pr_err("leaking a page that cannot be shared with the host\n");
		shared->pages[i] = NULL;
		count_leaked(1);
	}
	free_pages_of(shared);
	return false;
}

/**
 * vmbus_pages_alloc() - allocate zeroed pages that the host can use
 * @nr_pages: how many
 * @node: NUMA node to take them from, if it can be
 * @flags: VMBUS_PAGES_LINEAR: one block; else single pages, which fragmented memory
 *	has too. VMBUS_PAGES_PRIVATE: they do not become visible, since who uses them is
 *	a paravisor
 *
 * Context: process, sleeps.
 * Return: an array for vmbus_pages_free(), vmbus_pages_leak() or
 * vmbus_pages_park(); NULL if there is no memory, or, with a message, if the host
 * cannot be given it.
 */
struct page **vmbus_pages_alloc(u32 nr_pages, int node, unsigned int flags)
{
	bool private = flags & VMBUS_PAGES_PRIVATE;
	struct shared *shared = kvzalloc(struct_size(shared, pages, nr_pages), GFP_KERNEL);

	if (!shared)
		return NULL;
	shared->nr_pages = nr_pages;
	if (flags & VMBUS_PAGES_LINEAR ? !alloc_linear_pages(shared->pages, nr_pages, node) :
					 !alloc_single_pages(shared->pages, nr_pages, node)) {
		kvfree(shared);
		return NULL;
	}
	if (vmbus_host->set_visible && !private && !show_pages(shared))
		return NULL;
	enlist(shared, private);
	return shared->pages;
}

static struct shared *shared_of(struct page **pages)
{
	return container_of(pages, struct shared, pages[0]);
}

/**
 * vmbus_pages_free() - free pages that no host uses
 * @pages: from vmbus_pages_alloc(); the array is freed too
 *
 * Context: process, sleeps. A page that cannot be hidden from the host again
 * is leaked, with a message.
 */
void vmbus_pages_free(struct page **pages)
{
	struct shared *shared = shared_of(pages);

	unlist(shared);
	if (shared->visible)
		hide_pages(shared, shared->nr_pages);
	free_pages_of(shared);
}

/**
 * vmbus_pages_leak() - give up pages that a host may use for ever
 * @pages: from vmbus_pages_alloc(); the array is freed
 *
 * Context: process, sleeps. The caller says so in the log.
 */
void vmbus_pages_leak(struct page **pages)
{
	struct shared *shared = shared_of(pages);

	unlist(shared);
	count_leaked(shared->nr_pages);
	kvfree(shared);
}

/* ---- buffers of VSCs ---- */

static struct shared *find_buffer(const void *buffer)
{
	struct shared *shared;

	lockdep_assert_held(&shared_mutex);
	list_for_each_entry(shared, &shared_list, node)
		if (shared->buffer == buffer)
			return shared;
	return NULL;
}

static struct shared *buffer_new(void *buffer, u32 nr_pages)
{
	struct shared *shared = kzalloc(sizeof(*shared), GFP_KERNEL);

	if (shared) {
		shared->buffer = buffer;
		shared->nr_pages = nr_pages;
	}
	return shared;
}

/* If it fails the buffer is leaked, and @shared is gone. */
static int buffer_show(struct shared *shared)
{
	int err = vmbus_host->set_visible(shared->buffer, shared->nr_pages, true);

	if (!err)
		return 0;
	pr_err_ratelimited("leaking a buffer of %u pages that cannot be shared with the host: %d\n",
			   shared->nr_pages, err);
	count_leaked(shared->nr_pages);
	kfree(shared);
	/* Some of it may be visible even if memory is all that there was too little of. */
	return err == -ENOMEM ? -EIO : err;
}

static void buffer_leak(u32 nr_pages, int err)
{
	pr_err_ratelimited("leaking a buffer of %u pages that cannot be taken back from the host: %d\n",
			   nr_pages, err);
	count_leaked(nr_pages);
}

/* NULL if it is not known. */
static struct shared *buffer_take(const void *buffer)
{
	struct shared *shared;

	mutex_lock(&shared_mutex);
	shared = find_buffer(buffer);
	if (shared)
		list_del(&shared->node);
	mutex_unlock(&shared_mutex);
	return shared;
}

/**
 * vmbus_buffer_show() - make a VSC's buffer visible to the host
 * @buffer: page-aligned, from the direct map or vmalloc
 * @nr_pages: its pages
 *
 * Context: process, sleeps.
 * Return: 0; -ENOMEM, then it is not visible; errors of the host, which are logged:
 * then it is leaked, and must not be freed.
 */
int vmbus_buffer_show(void *buffer, u32 nr_pages)
{
	struct shared *shared;
	int err;

	if (!vmbus_host->set_visible)
		return 0;
	shared = buffer_new(buffer, nr_pages);
	if (!shared)
		return -ENOMEM;
	err = buffer_show(shared);
	if (!err)
		enlist(shared, false);
	return err;
}

/**
 * vmbus_buffer_hide() - undo vmbus_buffer_show(), if it succeeded
 * @buffer: as there
 * @nr_pages: as there
 *
 * Context: process, sleeps; the host has let go of it.
 * Return: 0; otherwise it is leaked, with a message: -ESHUTDOWN if another kernel
 * is about to start, and errors of the host.
 */
int vmbus_buffer_hide(void *buffer, u32 nr_pages)
{
	struct shared *shared;
	int err = -ESHUTDOWN;

	if (!vmbus_host->set_visible)
		return 0;
	shared = buffer_take(buffer);
	if (shared && shared->visible)
		err = vmbus_host->set_visible(buffer, nr_pages, false);
	kfree(shared);
	if (err)
		buffer_leak(nr_pages, err);
	return err;
}

#if VMBUS_NEWER_EXPORTS

/**
 * vmbus_buffer_alloc() - allocate a buffer that is shared as it is
 * @nr_pages: its pages
 * @private: it does not become visible, since who uses it is a paravisor
 *
 * Context: process, sleeps.
 * Return: zeroed memory for vmbus_buffer_free(); NULL if there is none, or, with a
 * message, if the host cannot be given it.
 */
void *vmbus_buffer_alloc(u32 nr_pages, bool private)
{
	void *buffer = vzalloc(nr_pages * PAGE_SIZE);
	struct shared *shared;

	if (!buffer)
		return NULL;
	shared = buffer_new(buffer, nr_pages);
	if (!shared) {
		vfree(buffer);
		return NULL;
	}
	if (vmbus_host->set_visible && !private) {
		if (buffer_show(shared))
			return NULL;
		/* What was in it is something else in the eyes of either side. */
		memset(buffer, 0, nr_pages * PAGE_SIZE);
	}
	enlist(shared, private);
	return buffer;
}

/**
 * vmbus_buffer_free() - free a buffer of vmbus_buffer_alloc()
 * @buffer: the buffer
 *
 * Context: process, sleeps. What the host may still use, or see, is leaked, with a
 * message.
 */
void vmbus_buffer_free(void *buffer)
{
	struct shared *shared = buffer_take(buffer);
	int err = -EBUSY;

	if (WARN_ON_ONCE(!shared))
		return;
	if (!shared->kept)
		err = shared->visible ?
			vmbus_host->set_visible(buffer, shared->nr_pages, false) : 0;
	if (err)
		buffer_leak(shared->nr_pages, err);
	else
		vfree(buffer);
	kfree(shared);
}

#endif

/**
 * vmbus_buffer_keep() - the host may use a buffer for ever
 * @buffer: a VSC's, or of vmbus_buffer_alloc(), which then does not free it
 *
 * Context: process, sleeps.
 */
void vmbus_buffer_keep(const void *buffer)
{
	struct shared *shared;

	mutex_lock(&shared_mutex);
	shared = find_buffer(buffer);
	if (shared)
		shared->kept = true;
	mutex_unlock(&shared_mutex);
}

/* ---- the ways down ---- */

/**
 * vmbus_shared_hide_all() - hide what is visible still: another kernel is started
 *
 * Nothing is freed. What stays visible is a trap for that kernel, and the log says
 * how much.
 *
 * Context: process, sleeps; the host has let go of all memory, and nobody uses
 * what it shared.
 */
void vmbus_shared_hide_all(void)
{
	struct shared *shared;

	mutex_lock(&shared_mutex);
	list_for_each_entry(shared, &shared_list, node) {
		if (!shared->visible)
			continue;
		if (!shared->buffer) {
			hide_pages(shared, shared->nr_pages);
			continue;
		}
		if (vmbus_host->set_visible(shared->buffer, shared->nr_pages, false)) {
			pr_err("%u pages of a buffer stay visible to the host\n",
			       shared->nr_pages);
			shared->kept = true;
		}
		shared->visible = false;
	}
	mutex_unlock(&shared_mutex);
}

/**
 * vmbus_shared_forget() - drop what is known of buffers that VSCs have leaked
 *
 * Context: process, sleeps; no channel is left.
 */
void vmbus_shared_forget(void)
{
	struct shared *shared, *next;

	mutex_lock(&shared_mutex);
	list_for_each_entry_safe(shared, next, &shared_list, node) {
		if (!shared->buffer)
			continue;
		list_del(&shared->node);
		kfree(shared);
	}
	mutex_unlock(&shared_mutex);
}
