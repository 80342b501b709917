// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the simulated host can see of the guest's memory, page by page, and the
 * rules of sharing it. In ordinary VMs that is all, unless a test wants the rules.
 *
 * A page that changes hands is filled with noise, as by encryption with another
 * key. With vTOM a visible page is two: the guest finds at its old address, below
 * the boundary, nothing that the host knows of, and above it what they share.
 *
 * The host holds a reference to each page that it can see, so a page that the
 * guest frees meanwhile is nobody else's, and is found by being the host's alone.
 * It counts for what it was told to use a page, which must not be taken back
 * before that is over.
 *
 * visible.lock protects the table. It is innermost, and taken in any context.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../../include/vmbus_host.h"
#include "sim_internal.h"

#define TABLE_BITS	12

/* Of the kinds that have one: above all memory that the test machine can have. */
#define BOUNDARY	BIT_ULL(46)

/* What the test module's variables and memory have in them that nobody has set: canary.h. */
#define CANARY32	0xfefefefeU
#define CANARY		((u64)CANARY32 << 32 | CANARY32)

/**
 * struct shown - a page of the guest that the host can see
 * @node: in the table
 * @pfn: of the guest's page
 * @view: the page that has what the host sees: the same, or with vTOM another one
 * @held: the host has a reference to the guest's page
 * @users: GPADLs and pages of the connection that it is in
 * @noise: where the noise in the guest's page began in visible.noise
 * @view_noise: the same of what the host sees
 */
struct shown {
	struct hlist_node node;
	unsigned long pfn;
	struct page *view;
	bool held;
	unsigned int users;
	u32 noise;
	u32 view_noise;
};

static struct {
	raw_spinlock_t lock;		/* the table and its entries */
	struct hlist_head table[1 << TABLE_BITS];
	unsigned long nr_pages;
	enum sim_kind kind;
	bool on;
	u8 *noise;			/* two pages, to be cut from anywhere */
	struct {
		unsigned int after;
		bool visible;
		unsigned int pages;	/* of the call that failed */
		void *buffer;
		int err;
	} fail;
	bool ended;			/* nothing changes any more */
	bool watches_maps;
} visible;

bool sim_has_alias(void)
{
	return visible.kind == SIM_VTOM;
}

u64 sim_boundary(void)
{
	return sim_isolated() && visible.kind != SIM_ENLIGHTENED ? BOUNDARY : 0;
}

bool sim_isolated(void)
{
	return visible.kind != SIM_ORDINARY;
}

bool sim_confidential(void)
{
	return visible.kind == SIM_CONFIDENTIAL;
}

/* ---- the table ---- */

static struct hlist_head *bucket(unsigned long pfn)
{
	return &visible.table[hash_long(pfn, TABLE_BITS)];
}

static struct shown *find(unsigned long pfn)
{
	struct shown *shown;

	lockdep_assert_held(&visible.lock);
	hlist_for_each_entry(shown, bucket(pfn), node)
		if (shown->pfn == pfn)
			return shown;
	return NULL;
}

/* Alone with its page: the guest has freed it. */
static bool freed(const struct shown *shown)
{
	return shown->held && page_count(pfn_to_page(shown->pfn)) == 1;
}

bool sim_is_visible(u64 pfn)
{
	unsigned long flags;
	bool found;

	if (!visible.on)
		return true;
	raw_spin_lock_irqsave(&visible.lock, flags);
	found = find(pfn / SIM_PAGES_IN_PAGE);
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	return found;
}

unsigned int sim_holds(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page), flags;
	const struct shown *shown;
	bool held;

	raw_spin_lock_irqsave(&visible.lock, flags);
	shown = find(pfn);
	held = shown && shown->held;
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	return held + sim_keeps(pfn);
}

void sim_reach(u64 pfn)
{
	bool found, is_freed = false;
	struct shown *shown;
	unsigned long flags;

	if (!visible.on)
		return;
	raw_spin_lock_irqsave(&visible.lock, flags);
	shown = find(pfn / SIM_PAGES_IN_PAGE);
	found = shown;
	if (shown)
		is_freed = freed(shown);
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	if (!found)
		sim_violation("page 0x%llx is private, the host was to use it", pfn);
	if (is_freed)
		sim_violation("page 0x%llx was freed, the host was to use it", pfn);
}

struct page *sim_view(u64 pfn)
{
	struct page *view = sim_page(pfn);
	struct shown *shown;
	unsigned long flags;

	if (!visible.on)
		return view;
	raw_spin_lock_irqsave(&visible.lock, flags);
	shown = find(pfn / SIM_PAGES_IN_PAGE);
	if (shown)
		view = shown->view;
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	return view;
}

void *sim_try_view_address(u64 address)
{
	struct shown *shown;
	unsigned long flags;
	void *at;

	if (!visible.on)
		return phys_to_virt(address);
	if (!raw_spin_trylock_irqsave(&visible.lock, flags))
		return NULL;
	shown = find(address / PAGE_SIZE);
	at = shown ? page_address(shown->view) + offset_in_page(address) : ERR_PTR(-ENOENT);
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	return at;
}

void *sim_view_address(u64 address)
{
	return page_address(sim_view(address / SIM_PAGE)) + offset_in_page(address);
}

/* struct vmbus_isolation.map: above the boundary there is what the host sees. */
static void *map_views(struct page **pages, unsigned int nr_pages)
{
	struct page **views = kvmalloc_array(nr_pages, sizeof(*views), GFP_KERNEL);
	unsigned int i;
	void *at;

	if (!views)
		return NULL;
	for (i = 0; i < nr_pages; i++) {
		u64 pfn = (u64)page_to_pfn(pages[i]) * SIM_PAGES_IN_PAGE;

		if (!sim_is_visible(pfn))
			sim_violation("page 0x%llx is private, the guest maps it as visible", pfn);
		views[i] = sim_view(pfn);
	}
	at = vmap(views, nr_pages, VM_MAP, PAGE_KERNEL);
	kvfree(views);
	return at;
}

const struct vmbus_isolation *sim_isolation(void)
{
	static struct vmbus_isolation isolation;

	if (!sim_isolated())
		return NULL;
	isolation.boundary = sim_boundary();
	isolation.map = sim_has_alias() || visible.watches_maps ? map_views : NULL;
	/* Where there is a paravisor they are its own. */
	isolation.synic_goes = visible.kind != SIM_ENLIGHTENED;
	isolation.confidential = sim_confidential();
	return &isolation;
}

void *sim_seen(void *page)
{
	return sim_view_address(__pa(page));
}

/* The end of a page is enough: at its beginning the guest may have written since. */
void sim_check_zeroed(const u64 *pfns, u32 nr_pages)
{
	const u32 at = PAGE_SIZE - 64;
	struct shown *shown;
	unsigned long flags;
	bool noisy = false;
	u32 i;

	for (i = 0; visible.on && i < nr_pages; i++) {
		raw_spin_lock_irqsave(&visible.lock, flags);
		shown = find(pfns[i] / SIM_PAGES_IN_PAGE);
		if (shown)
			noisy = !memcmp(page_address(shown->view) + at,
					visible.noise + shown->view_noise + at, PAGE_SIZE - at);
		raw_spin_unlock_irqrestore(&visible.lock, flags);
		if (noisy)
			sim_violation("page 0x%llx was not zeroed when it was visible", pfns[i]);
		noisy = false;
	}
}

static void count_users(const u64 *pfns, u32 nr_pages, int change)
{
	struct shown *shown;
	unsigned long flags;
	u32 i;

	for (i = 0; visible.on && i < nr_pages; i++) {
		raw_spin_lock_irqsave(&visible.lock, flags);
		shown = find(pfns[i] / SIM_PAGES_IN_PAGE);
		/* What was taken back too early is not there, and shared anew is not counted. */
		if (shown && (change > 0 || shown->users))
			shown->users += change;
		raw_spin_unlock_irqrestore(&visible.lock, flags);
	}
}

void sim_use_pages(const u64 *pfns, u32 nr_pages)
{
	count_users(pfns, nr_pages, 1);
}

void sim_leave_pages(const u64 *pfns, u32 nr_pages)
{
	count_users(pfns, nr_pages, -1);
}

/* ---- secrets ---- */

/*
 * What the host must not learn: memory that nobody has set, and where the kernel
 * has its objects. Noise and most of what tests send is neither.
 */
static bool is_secret(u64 word)
{
	return word == CANARY || (!(word % sizeof(long)) && word >= PAGE_OFFSET &&
				  virt_addr_valid((void *)(unsigned long)word));
}

/* Without the checker's look at each word. Addresses are above the pattern. */
static noinline __no_sanitize_address unsigned int find_secret(const u64 *words, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (unlikely(words[i] >= CANARY) && is_secret(words[i]))
			break;
	return i;
}

static void look_for_secrets(unsigned long pfn, const struct page *view)
{
	const u64 *words = page_address(view);
	unsigned int at = find_secret(words, PAGE_SIZE / sizeof(u64));

	if (at < PAGE_SIZE / sizeof(u64))
		sim_violation("page 0x%lx tells the host 0x%llx at %zu", pfn, words[at],
			      at * sizeof(u64));
}

/* ---- pages change hands ---- */

static unsigned long pfn_of(const void *addr)
{
	return is_vmalloc_addr(addr) ? vmalloc_to_pfn(addr) : PHYS_PFN(virt_to_phys((void *)addr));
}

static u32 make_noise(struct page *page)
{
	u32 at = sim_random(PAGE_SIZE / sizeof(u64)) * sizeof(u64);

	memcpy(page_address(page), visible.noise + at, PAGE_SIZE);
	return at;
}

static void show(unsigned long pfn)
{
	struct shown *shown = kzalloc(sizeof(*shown), GFP_KERNEL | __GFP_NOFAIL);
	struct page *page = pfn_to_page(pfn);
	unsigned long flags;
	bool twice;

	if (sim_keeps(pfn))
		sim_violation("page 0x%lx was made visible while the paravisor uses it", pfn);
	shown->pfn = pfn;
	shown->view = page;
	if (sim_has_alias())
		shown->view = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
	raw_spin_lock_irqsave(&visible.lock, flags);
	twice = find(pfn);
	if (!twice) {
		/* Of a block of pages the first alone has a count, or has that of all. */
		shown->held = !PageCompound(page) && get_page_unless_zero(page);
		hlist_add_head(&shown->node, bucket(pfn));
		visible.nr_pages++;
	}
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	if (twice) {
		sim_violation("page 0x%lx made visible twice", pfn);
		if (sim_has_alias())
			__free_page(shown->view);
		kfree(shown);
		return;
	}
	shown->noise = make_noise(page);
	shown->view_noise = sim_has_alias() ? make_noise(shown->view) : shown->noise;
}

static void look_at(const struct shown *shown)
{
	const struct page *page = pfn_to_page(shown->pfn);

	if (freed(shown))
		sim_violation("page 0x%lx was freed while it was visible", shown->pfn);
	look_for_secrets(shown->pfn, shown->view);
	if (sim_has_alias() && memcmp(page_address(page), visible.noise + shown->noise, PAGE_SIZE))
		sim_violation("page 0x%lx was written to below the boundary", shown->pfn);
}

void sim_look_at_visible(void)
{
	struct shown *shown;
	unsigned long flags;
	u32 i;

	raw_spin_lock_irqsave(&visible.lock, flags);
	for (i = 0; i < ARRAY_SIZE(visible.table); i++)
		hlist_for_each_entry(shown, &visible.table[i], node)
			look_at(shown);
	raw_spin_unlock_irqrestore(&visible.lock, flags);
}

/* It is not in the table any more. @private: the guest has taken it back. */
static void forget(struct shown *shown, bool private)
{
	struct page *page = pfn_to_page(shown->pfn);

	look_at(shown);
	if (private)
		make_noise(page);
	/* What the host has mapped against the rules stays there for it. */
	if (sim_has_alias() && !shown->users)
		__free_page(shown->view);
	if (shown->held)
		put_page(page);
	kfree(shown);
}

static struct shown *take_out(unsigned long pfn)
{
	struct shown *shown;
	unsigned long flags;

	raw_spin_lock_irqsave(&visible.lock, flags);
	shown = find(pfn);
	if (shown) {
		hlist_del(&shown->node);
		visible.nr_pages--;
	}
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	return shown;
}

static void hide(unsigned long pfn)
{
	struct shown *shown = take_out(pfn);

	if (!shown) {
		sim_violation("page 0x%lx made private twice", pfn);
		return;
	}
	if (shown->users)
		sim_violation("page 0x%lx was taken back while the host uses it", pfn);
	forget(shown, true);
}

int sim_set_visible(void *addr, int nr_pages, bool make_visible)
{
	unsigned long flags;
	bool fail;

	might_sleep();
	raw_spin_lock_irqsave(&visible.lock, flags);
	fail = visible.fail.after && visible.fail.visible == make_visible && !--visible.fail.after;
	if (fail) {
		visible.fail.pages = nr_pages;
		visible.fail.buffer = addr;
	}
	raw_spin_unlock_irqrestore(&visible.lock, flags);
	if (fail)
		return visible.fail.err;
	if (visible.ended)
		return -EBUSY;
	for (; nr_pages; nr_pages--, addr += PAGE_SIZE) {
		if (make_visible)
			show(pfn_of(addr));
		else
			hide(pfn_of(addr));
	}
	return 0;
}

void sim_take_back(void *buffer, u32 nr_pages)
{
	struct shown *shown;

	for (; nr_pages; nr_pages--, buffer += PAGE_SIZE) {
		shown = take_out(pfn_of(buffer));
		if (shown)
			forget(shown, false);
		sim_forget_page(pfn_of(buffer));
	}
}

/* ---- what the guest posts ---- */

void sim_check_visible(const u64 *pfns, u32 nr_pages)
{
	u32 i;

	for (i = 0; i < nr_pages; i++)
		if (!sim_is_visible(pfns[i]))
			sim_violation("page 0x%llx is private, the host is told of it", pfns[i]);
}

static void check_contact_pages(const struct sim_msg_contact *msg)
{
	u64 pfns[2];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = (msg->monitor_page[i] & ~sim_boundary()) / SIM_PAGE;
	sim_check_visible(pfns, ARRAY_SIZE(pfns));
}

/*
 * At the moment of the post: by the time that the host's thread looks, what was
 * described too early may be visible.
 */
void sim_check_post(const void *payload, u32 len)
{
	const struct sim_msg_gpadl_body *body = payload;
	const struct sim_msg_gpadl *gpadl = payload;
	const u32 *words = payload;
	u32 i;

	if (!visible.on)
		return;
	for (i = 0; i < len / sizeof(u32); i++)
		if (words[i] == CANARY32)
			sim_violation("message %u tells the host what nobody has set, at %zu",
				      words[0], i * sizeof(u32));
	switch (words[0]) {
	case SIM_CONTACT:
		if (len >= sizeof(struct sim_msg_contact))
			check_contact_pages(payload);
		break;
	case SIM_GPADL_HEADER:
		if (len > sizeof(*gpadl))
			sim_check_header(gpadl->relid, gpadl->gpadl, gpadl->pfn,
					 (len - sizeof(*gpadl)) / sizeof(u64));
		break;
	case SIM_GPADL_BODY:
		if (len > sizeof(*body))
			sim_check_body(body->gpadl, body->pfn,
				       (len - sizeof(*body)) / sizeof(u64));
		break;
	}
}

/* ---- what tests change and see ---- */

void sim_set_kind(enum sim_kind kind)
{
	visible.kind = kind;
	visible.on = sim_isolated();
	sim_choose_types(sim_isolated());
}

void sim_use_visibility(bool use)
{
	visible.on = use || sim_isolated();
}

bool sim_uses_visibility(void)
{
	return visible.on;
}

void sim_fail_visible(unsigned int after, bool make_visible)
{
	visible.fail.after = after;
	visible.fail.visible = make_visible;
	visible.fail.err = -EIO;
	visible.fail.pages = 0;
}

void sim_fail_visible_by(int err)
{
	visible.fail.err = err;
}

unsigned int sim_failed_visible(void)
{
	return visible.fail.pages;
}

void *sim_failed_buffer(void)
{
	return visible.fail.buffer;
}

void sim_end_visibility(void)
{
	visible.ended = true;
}

unsigned long sim_visible_pages(void)
{
	return visible.nr_pages;
}

unsigned long sim_host_pages(void)
{
	return visible.nr_pages + sim_kept_pages();
}

void sim_watch_maps(void)
{
	visible.watches_maps = true;
}

/* ---- its life ---- */

void sim_visible_init(void)
{
	u64 *words;
	u32 i;

	memset(&visible, 0, sizeof(visible));
	raw_spin_lock_init(&visible.lock);
	visible.noise = kvmalloc(2 * PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL);
	words = (u64 *)visible.noise;
	/* No address of the kernel has bit 63 clear. */
	for (i = 0; i < 2 * PAGE_SIZE / sizeof(u64); i++)
		words[i] = (u64)sim_random(S32_MAX) << 32 | sim_random(U32_MAX) | 1;
}

void sim_visible_exit(void)
{
	struct hlist_node *next;
	struct shown *shown;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(visible.table); i++) {
		hlist_for_each_entry_safe(shown, next, &visible.table[i], node) {
			hlist_del(&shown->node);
			forget(shown, false);
		}
	}
	kvfree(visible.noise);
	visible.noise = NULL;
}
