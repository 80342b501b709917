// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments the memory of a test guest.
 *
 * Takes every free block of PIECE pages and more, the largest first, and gives
 * back all but one page frame of each PIECE: no more than what lies between two of
 * those is contiguous afterwards, and they cannot be moved. Smaller blocks stay
 * whole, since the kernel would rather kill init than do without one of eight
 * pages. Most of what was free stays so all the time, so others may be at work.
 * Page cache can still be reclaimed in larger blocks, so drop the caches first.
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
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>

static unsigned long held;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages held now");

#define PIECE	16

/* Pages are chained by their own lru member, which is the owner's to use. */
static LIST_HEAD(pages);

static void fragment_block(struct page *block, unsigned int order)
{
	unsigned int i;

	split_page(block, order);
	for (i = 0; i < 1U << order; i++) {
		if (i % PIECE) {
			__free_page(&block[i]);
		} else {
			list_add(&block[i].lru, &pages);
			held++;
		}
	}
}

/* Asks for what is free now: neither reclaims nor compacts, nor wakes those who do. */
static void fragment(void)
{
	struct page *block;
	unsigned int order;

	for (order = get_order(SZ_4M); order >= ilog2(PIECE); order--) {
		while ((block = alloc_pages(__GFP_NOWARN, order))) {
			fragment_block(block, order);
			cond_resched();
		}
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
