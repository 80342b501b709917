// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments the memory of a test guest.
 *
 * Takes all free pages one at a time, down to a few, and gives back every
 * second page frame: what is free afterwards is not contiguous, and what lies
 * between cannot be moved. Page cache can still be reclaimed in larger blocks,
 * so drop the caches first.
 *
 *   insmod vmbus_frag.ko                                 fragments
 *   echo 0 > /sys/module/vmbus_frag/parameters/hold      gives all of it back
 *   echo 1 > /sys/module/vmbus_frag/parameters/hold      fragments again
 *   cat /sys/module/vmbus_frag/parameters/held           pages held now
 *   rmmod vmbus_frag                                     gives all of it back
 *
 * Actions: load, unload, a write to "hold". They exclude each other: the
 * parameter lock is held during a write, and load and unload happen before the
 * parameters appear and after they are gone.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nmi.h>
#include <linux/vmstat.h>

static unsigned int leave = 32;
module_param(leave, uint, 0644);
MODULE_PARM_DESC(leave, "pages to leave free while taking (default 32)");

static unsigned long held;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages held now");

/* Pages are chained by their own lru member, which is the owner's to use. */
static LIST_HEAD(pages);

/*
 * Never sleeps: memory is so short in here that whatever ran in between would
 * meet the OOM killer.
 */
static void fragment(void)
{
	struct page *page, *next;

	while (global_zone_page_state(NR_FREE_PAGES) > leave) {
		page = alloc_page(GFP_ATOMIC | __GFP_MEMALLOC | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &pages);
		held++;
		if (held % 4096 == 0)
			touch_nmi_watchdog();
	}
	list_for_each_entry_safe(page, next, &pages, lru) {
		if (page_to_pfn(page) & 1)
			continue;
		list_del(&page->lru);
		__free_page(page);
		held--;
	}
}

static void release(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del(&page->lru);
		__free_page(page);
		held--;
	}
}

static bool hold = true;
static bool loaded;

static int hold_set(const char *val, const struct kernel_param *kp)
{
	bool before = hold;
	int err = param_set_bool(val, kp);

	/* On the command line of insmod: it is init that acts. */
	if (err || !loaded || hold == before)
		return err;
	if (hold)
		fragment();
	else
		release();
	return 0;
}

static const struct kernel_param_ops hold_ops = {
	.set = hold_set,
	.get = param_get_bool,
};
module_param_cb(hold, &hold_ops, &hold, 0644);
MODULE_PARM_DESC(hold, "Y: memory is fragmented; N: all given back");

static int __init frag_init(void)
{
	if (hold)
		fragment();
	loaded = true;
	pr_info("%lu pages held, %lu free\n", held,
		global_zone_page_state(NR_FREE_PAGES));
	return 0;
}
module_init(frag_init);

static void __exit frag_exit(void)
{
	release();
}
module_exit(frag_exit);

MODULE_DESCRIPTION("Fragments the memory of a test guest");
MODULE_LICENSE("GPL");
