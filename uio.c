// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings that user space maps: what uio_hv_generic needs beyond what every VSC does.
 *
 * - A ring of vmbus_alloc_ring() is one block of memory, which its users map by
 *   channel->ringbuffer_page; so is the ring of each sub-channel of that channel.
 *   It stays the same one when the channel is closed and opened again.
 * - The file `ring` of a channel: the bus makes it where the driver asks for it
 *   (hv_create_ring_sysfs(), Linux 6.12), or the driver makes one of its own.
 * - The interrupt page and the monitor pages are whole pages of the direct map.
 * - vmbus_connection.channel_mutex held, the driver walks a channel's sc_list and
 *   writes into the inbound ring of each sub-channel in it: channel.c has only
 *   open ones there.
 *
 * Mappings outlive what they map: nobody tells us of them, and their pages count no
 * reference for them. So what may be mapped has one of ours. Removing a file from
 * sysfs ends its mappings: a sub-channel's ring is released after its directory has
 * gone. A mapping of /dev/uioN ends when it is closed, and its driver's module
 * cannot go before that: a ring whose device goes while it is open is released
 * when the driver is unregistered.
 *
 * Actions: drivers ask for files and give them up, in any task; directories come
 * and go; users map files. Each may meet each.
 *
 * Locks: files_mutex for the files; removing one waits for who maps it now, and
 * that takes open_mutex, so never under that. held_lock for what is held.
 */
#include <linux/hyperv.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* What the distribution's uio_hv_generic.ko uses of the connection. */
#if !defined(CONFIG_DEBUG_SPINLOCK) && !defined(CONFIG_DEBUG_LOCK_ALLOC)
static_assert(offsetof(struct vmbus_connection, int_page) == 48);
static_assert(offsetof(struct vmbus_connection, monitor_pages[1]) == 80);
static_assert(offsetof(struct vmbus_connection, channel_mutex) ==
	      (IS_ENABLED(CONFIG_PREEMPT_RT) ? 152 : 128));
#endif

/* ---- memory that may be mapped ---- */

struct held {
	struct list_head node;
	const void *owner;
	struct page *first;
	u32 nr_pages;
};

static DEFINE_SPINLOCK(held_lock);
static LIST_HEAD(held_list);

/**
 * vmbus_ring_hold() - keep a ring's memory for those who may have it mapped
 * @owner: until when: names it to vmbus_ring_release()
 * @first: first page of the ring, which is one block of single pages
 * @nr_pages: their number
 *
 * Context: process, sleeps.
 */
void vmbus_ring_hold(const void *owner, struct page *first, u32 nr_pages)
{
	struct held *held = kmalloc(sizeof(*held), GFP_KERNEL);
	u32 i;

	for (i = 0; i < nr_pages; i++)
		get_page(first + i);
	if (!held) {
		pr_err("leaking %lu KiB of a ring that users may have mapped\n",
		       nr_pages * (PAGE_SIZE / SZ_1K));
		return;
	}
	held->owner = owner;
	held->first = first;
	held->nr_pages = nr_pages;
	spin_lock(&held_lock);
	list_add(&held->node, &held_list);
	spin_unlock(&held_lock);
}

/**
 * vmbus_ring_release() - what vmbus_ring_hold() kept is mapped no more
 * @owner: as there
 *
 * Context: process.
 */
void vmbus_ring_release(const void *owner)
{
	struct held *held, *next;
	LIST_HEAD(list);
	u32 i;

	spin_lock(&held_lock);
	list_for_each_entry_safe(held, next, &held_list, node)
		if (held->owner == owner)
			list_move(&held->node, &list);
	spin_unlock(&held_lock);

	list_for_each_entry_safe(held, next, &list, node) {
		for (i = 0; i < held->nr_pages; i++)
			put_page(held->first + i);
		kfree(held);
	}
}

/* ---- ring files ---- */

static DEFINE_MUTEX(files_mutex);

/* Pages in any place; their mapping holds references to them. */
static int map_pages(struct vmbus_chan *chan, struct vm_area_struct *vma)
{
	if (READ_ONCE(chan->ch.state) != CHANNEL_OPENED_STATE ||
	    (vmbus_shared_aliased() && !chan->tx.private))
		return -ENODEV;
	if (!chan->tx.private)
		vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	return vm_map_pages(vma, chan->ring_pages, chan->nr_ring_pages);
}

/* The driver's function maps channel->ringbuffer_page, or says how to. */
static int map_linear(struct vmbus_chan *chan, struct file *file, struct vm_area_struct *vma)
{
#if VMBUS_MMAP_PREPARED
	struct vm_area_desc desc;
	int err;

	compat_set_desc_from_vma(&desc, file, vma);
	err = chan->ring_file.mmap(&chan->ch, &desc);
	/* The mapping is there already, so it cannot be hidden. */
	desc.action.hide_from_rmap_until_complete = false;
	return err ?: __compat_vma_mmap(&desc, vma);
#else
	return chan->ring_file.mmap(&chan->ch, vma);
#endif
}

static int ring_mmap(struct file *file, struct kobject *kobj,
		     VMBUS_BIN_ATTR_CONST struct bin_attribute *attr, struct vm_area_struct *vma)
{
	struct vmbus_chan *chan = container_of(attr, struct vmbus_chan, ring_file.attr);
	int err = mutex_lock_killable(vmbus_chan_open_mutex(chan));

	if (err)
		return err;
	/* The driver's function takes it for granted that there is a linear ring. */
	if (!chan->ring_pages)
		err = -ENODEV;
	else if (chan->ch.ringbuffer_page)
		err = map_linear(chan, file, vma);
	else
		err = map_pages(chan, vma);
	mutex_unlock(vmbus_chan_open_mutex(chan));
	return err;
}

static void hide_file(struct vmbus_chan *chan)
{
	lockdep_assert_held(&files_mutex);
	if (chan->ring_file.shown)
		sysfs_remove_bin_file(&chan->ch.kobj, &chan->ring_file.attr);
	chan->ring_file.shown = false;
}

/* An attribute of each channel's own, since their sizes differ. */
static int show_file(struct vmbus_chan *chan)
{
	struct bin_attribute *attr = &chan->ring_file.attr;
	int err;

	lockdep_assert_held(&files_mutex);
	if (!chan->ring_file.has_dir || !chan->ring_file.mmap)
		return 0;
	sysfs_bin_attr_init(attr);
	attr->attr.name = "ring";
	attr->attr.mode = 0600;
	attr->size = (size_t)chan->ch.ringbuffer_pagecount << PAGE_SHIFT;
	attr->mmap = ring_mmap;
	err = sysfs_create_bin_file(&chan->ch.kobj, attr);
	chan->ring_file.shown = !err;
	return err;
}

/**
 * hv_create_ring_sysfs() - show the file `ring` in a channel's directory
 * @channel: a channel that has a ring, whose size is the file's
 * @hv_mmap_ring_buffer: maps channel->ringbuffer_page, which is the first page of
 *	the ring's one block, for a user of the file
 *
 * The file comes when the directory does, if that is not there yet. It goes with
 * hv_remove_ring_sysfs(), with the directory, or when the driver has gone from the
 * device. While @hv_mmap_ring_buffer runs the channel is neither opened nor closed.
 * It is not called for a ring of single pages, as vmbus_open() makes them: there is
 * no page for it to map. The bus maps that one.
 *
 * Context: process, sleeps; not in @hv_mmap_ring_buffer.
 * Return: 0; -EINVAL without a function; -ENOMEM.
 */
int hv_create_ring_sysfs(struct vmbus_channel *channel,
			 int (*hv_mmap_ring_buffer)(struct vmbus_channel *channel,
						    struct VMBUS_MAPPING *vma))
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	int err;

	if (!hv_mmap_ring_buffer)
		return -EINVAL;
	mutex_lock(&files_mutex);
	hide_file(chan);
	chan->ring_file.mmap = hv_mmap_ring_buffer;
	err = show_file(chan);
	if (err)
		chan->ring_file.mmap = NULL;
	mutex_unlock(&files_mutex);
	return err;
}

/**
 * hv_remove_ring_sysfs() - undo hv_create_ring_sysfs()
 * @channel: the channel; need not have the file
 *
 * Context: process, sleeps until nobody maps the file; what is mapped of it is
 * mapped no more afterwards.
 * Return: 0 in any case.
 */
int hv_remove_ring_sysfs(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);

	mutex_lock(&files_mutex);
	hide_file(chan);
	chan->ring_file.mmap = NULL;
	mutex_unlock(&files_mutex);
	return 0;
}

/**
 * vmbus_ring_file_dir() - a channel's directory is there, or about to go
 * @chan: the channel
 * @there: which of them
 *
 * Context: process, sleeps.
 */
void vmbus_ring_file_dir(struct vmbus_chan *chan, bool there)
{
	int err = 0;

	mutex_lock(&files_mutex);
	chan->ring_file.has_dir = there;
	if (there)
		err = show_file(chan);
	else
		hide_file(chan);
	mutex_unlock(&files_mutex);
	if (err)
		pr_err_ratelimited("%pUl (relid %u): no file for its ring: %d\n",
				   &chan->ch.offermsg.offer.if_instance,
				   vmbus_chan_relid(chan), err);
}

static struct vmbus_chan *get_sub_with_file(struct vmbus_chan *primary)
{
	struct vmbus_chan *sub, *found = NULL;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(sub, &primary->subs, sub_node) {
		if (READ_ONCE(sub->ring_file.mmap)) {
			found = vmbus_chan_get(sub);
			break;
		}
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

/**
 * vmbus_ring_files_forget() - the driver of a device goes, and its functions
 * @primary: the device's channel; no file is asked for any more
 *
 * Context: process, sleeps.
 */
void vmbus_ring_files_forget(struct vmbus_chan *primary)
{
	struct vmbus_chan *sub;

	while ((sub = get_sub_with_file(primary))) {
		hv_remove_ring_sysfs(&sub->ch);
		vmbus_chan_put(sub);
	}
	hv_remove_ring_sysfs(&primary->ch);
}
