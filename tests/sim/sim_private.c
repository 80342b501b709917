// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the paravisor uses of the guest's memory that no host sees: in a confidential
 * VM the simulated host is the paravisor's bus, and finds rings, or all memory, of the
 * channels that say so where the guest has them.
 *
 * It holds a reference to each page, so one that the guest frees meanwhile is nobody
 * else's, and is found by being the paravisor's alone. Such a page must not become
 * visible.
 *
 * private.lock protects everything here. It nests in nothing but the model, and is
 * taken in any context.
 */
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "sim_internal.h"

#define TABLE_BITS	12

/* What is being described at a time, and the last that were. */
#define DESCRIBED	64

/* Of a channel's memory. */
enum {
	NOTHING,
	RING,
	EVERYTHING,
};

/**
 * struct kept - a private page that the paravisor uses
 * @node: in the table
 * @pfn: of the guest's page
 * @held: the host has a reference
 * @users: GPADLs that it is in
 */
struct kept {
	struct hlist_node node;
	unsigned long pfn;
	bool held;
	unsigned int users;
};

static struct {
	raw_spinlock_t lock;
	struct hlist_head table[1 << TABLE_BITS];
	unsigned long nr_pages;
	u8 stays[SIM_RELIDS];	/* private, by relid */
	struct {
		u32 handle;
		bool private;
	} described[DESCRIBED];
	unsigned int last;
} private;

/* ---- what is to be private ---- */

void sim_set_private(u32 relid, bool ring, bool external)
{
	WRITE_ONCE(private.stays[relid], !ring ? NOTHING : external ? EVERYTHING : RING);
}

bool sim_to_be_private(u32 relid, u64 first)
{
	switch (relid < SIM_RELIDS ? READ_ONCE(private.stays[relid]) : NOTHING) {
	case RING:
		return !sim_is_visible(first);
	case EVERYTHING:
		return true;
	default:
		return false;
	}
}

static void check_private(const u64 *pfns, u32 nr_pages)
{
	u32 i;

	for (i = 0; i < nr_pages; i++)
		if (sim_is_visible(pfns[i]))
			sim_violation("page 0x%llx is visible, was to be private", pfns[i]);
}

static void check(bool is_private, const u64 *pfns, u32 nr_pages)
{
	if (is_private)
		check_private(pfns, nr_pages);
	else
		sim_check_visible(pfns, nr_pages);
}

void sim_check_header(u32 relid, u32 handle, const u64 *pfns, u32 nr_pages)
{
	bool is_private = sim_to_be_private(relid, pfns[0]);
	unsigned long flags;

	raw_spin_lock_irqsave(&private.lock, flags);
	private.last = (private.last + 1) % DESCRIBED;
	private.described[private.last].handle = handle;
	private.described[private.last].private = is_private;
	raw_spin_unlock_irqrestore(&private.lock, flags);
	check(is_private, pfns, nr_pages);
}

void sim_check_body(u32 handle, const u64 *pfns, u32 nr_pages)
{
	bool is_private = false;
	unsigned long flags;
	unsigned int i, at;

	raw_spin_lock_irqsave(&private.lock, flags);
	for (i = 0; i < DESCRIBED; i++) {
		at = (private.last + DESCRIBED - i) % DESCRIBED;
		if (private.described[at].handle == handle) {
			is_private = private.described[at].private;
			break;
		}
	}
	raw_spin_unlock_irqrestore(&private.lock, flags);
	check(is_private, pfns, nr_pages);
}

/* ---- pages in use ---- */

static struct hlist_head *bucket(unsigned long pfn)
{
	return &private.table[hash_long(pfn, TABLE_BITS)];
}

static struct kept *find(unsigned long pfn)
{
	struct kept *kept;

	lockdep_assert_held(&private.lock);
	hlist_for_each_entry(kept, bucket(pfn), node)
		if (kept->pfn == pfn)
			return kept;
	return NULL;
}

/* Alone with its page: the guest has freed it. */
static bool freed(const struct kept *kept)
{
	return kept->held && page_count(pfn_to_page(kept->pfn)) == 1;
}

static void keep(u64 pfn)
{
	struct kept *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL | __GFP_NOFAIL), *kept;
	struct page *page = sim_page(pfn);
	unsigned long flags;

	raw_spin_lock_irqsave(&private.lock, flags);
	kept = find(pfn / SIM_PAGES_IN_PAGE);
	if (!kept) {
		kept = fresh;
		fresh = NULL;
		kept->pfn = pfn / SIM_PAGES_IN_PAGE;
		/* Of a block of pages the first alone has a count, or has that of all. */
		kept->held = !PageCompound(page) && get_page_unless_zero(page);
		hlist_add_head(&kept->node, bucket(kept->pfn));
		private.nr_pages++;
	}
	kept->users++;
	raw_spin_unlock_irqrestore(&private.lock, flags);
	kfree(fresh);
}

void sim_keep_pages(const u64 *pfns, u32 nr_pages)
{
	u32 i;

	for (i = 0; i < nr_pages; i++)
		if (sim_page_valid(pfns[i]))
			keep(pfns[i]);
}

static void let_go(struct kept *kept)
{
	if (freed(kept))
		sim_violation("page 0x%lx was freed while the paravisor used it", kept->pfn);
	if (kept->held)
		put_page(pfn_to_page(kept->pfn));
	kfree(kept);
}

/* By one of its users, or by all: NULL while there are others, or if nobody uses it. */
static struct kept *take_out(unsigned long pfn, bool all)
{
	struct kept *kept;
	unsigned long flags;

	raw_spin_lock_irqsave(&private.lock, flags);
	kept = find(pfn);
	if (kept && (all || !--kept->users)) {
		hlist_del(&kept->node);
		private.nr_pages--;
	} else {
		kept = NULL;
	}
	raw_spin_unlock_irqrestore(&private.lock, flags);
	return kept;
}

void sim_drop_pages(const u64 *pfns, u32 nr_pages)
{
	struct kept *kept;
	u32 i;

	for (i = 0; i < nr_pages; i++) {
		kept = take_out(pfns[i] / SIM_PAGES_IN_PAGE, false);
		if (kept)
			let_go(kept);
	}
}

void sim_forget_page(unsigned long guest_pfn)
{
	struct kept *kept = take_out(guest_pfn, true);

	if (kept)
		let_go(kept);
}

bool sim_keeps(unsigned long guest_pfn)
{
	unsigned long flags;
	bool found;

	raw_spin_lock_irqsave(&private.lock, flags);
	found = find(guest_pfn);
	raw_spin_unlock_irqrestore(&private.lock, flags);
	return found;
}

unsigned long sim_kept_pages(void)
{
	return READ_ONCE(private.nr_pages);
}

void sim_reach_private(u64 pfn)
{
	bool is_freed = false;
	struct kept *kept;
	unsigned long flags;

	check_private(&pfn, 1);
	raw_spin_lock_irqsave(&private.lock, flags);
	kept = find(pfn / SIM_PAGES_IN_PAGE);
	if (kept)
		is_freed = freed(kept);
	raw_spin_unlock_irqrestore(&private.lock, flags);
	if (is_freed)
		sim_violation("page 0x%llx was freed, the paravisor was to use it", pfn);
}

/* ---- its life ---- */

void sim_private_init(void)
{
	memset(&private, 0, sizeof(private));
	raw_spin_lock_init(&private.lock);
}

void sim_private_exit(void)
{
	struct hlist_node *next;
	struct kept *kept;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(private.table); i++)
		hlist_for_each_entry_safe(kept, next, &private.table[i], node)
			let_go(kept);
}
