// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_enforce: that the host finds each way to share memory wrongly.
 *
 * The guest here is the test itself, which speaks the protocol from below the seam
 * and makes one mistake; and the same without the mistake. Then the driver, with
 * each change of visibility refused in turn.
 */
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"
#include "sim_internal.h"

#define HANDLE		0x1234
#define RING_PAGES	4	/* of both rings */

/**
 * struct wrong_guest - one that needs no driver
 * @test: the case
 * @ops: the seam, which it is above
 * @chan: the channel that it is offered
 * @monitors: its monitor pages
 * @ring: pages of its ring, or of another GPADL
 * @features: that it asks for
 */
struct wrong_guest {
	struct kunit *test;
	const struct vmbus_host_ops *ops;
	struct sim_chan *chan;
	void *monitors[2];
	void *ring[RING_PAGES];
	u32 features;
};

static int show(struct wrong_guest *guest, void *page)
{
	return guest->ops->set_visible(page, 1, true);
}

static int hide(struct wrong_guest *guest, void *page)
{
	return guest->ops->set_visible(page, 1, false);
}

/* What is shared is where this kind of guest finds it. */
static void clear(void *page)
{
	clear_page(sim_seen(page));
}

static void share(struct wrong_guest *guest, void *page)
{
	KUNIT_ASSERT_EQ(guest->test, show(guest, page), 0);
	clear(page);
}

static u64 pfn(const void *page)
{
	return __pa(page) / SIM_PAGE;
}

static void post(struct wrong_guest *guest, u32 connection, const void *message, u32 len)
{
	u32 type = ((const struct sim_header *)message)->type;
	unsigned int before = sim_received(type);

	KUNIT_ASSERT_EQ(guest->test, guest->ops->post_message(connection, message, len), 0);
	KUNIT_ASSERT_TRUE(guest->test, sim_wait(sim_received_all(type) > before));
}

static void contact(struct wrong_guest *guest, u64 boundary)
{
	struct sim_msg_contact msg = {
		.header.type = SIM_CONTACT,
		.version = sim_which_version(SIM_USUAL),
		.target_vp = guest->ops->vp_index(0),
		.target = (u64)guest->features << 32 | SIM_SINT,
		.monitor_page = { __pa(guest->monitors[0]) | boundary,
				  __pa(guest->monitors[1]) | boundary },
	};
	struct sim_header request = { .type = SIM_REQUEST_OFFERS };

	post(guest, 4, &msg, sizeof(msg));
	post(guest, sim_connection_id(), &request, sizeof(request));
}

static void say(struct wrong_guest *guest, const void *message, u32 len)
{
	post(guest, sim_connection_id(), message, len);
}

static void connect(struct wrong_guest *guest)
{
	share(guest, guest->monitors[0]);
	share(guest, guest->monitors[1]);
	contact(guest, sim_boundary());
}

static void describe(struct wrong_guest *guest, u64 boundary)
{
	u64 raw[SIM_PAYLOAD / sizeof(u64)] = { 0 };
	struct sim_msg_gpadl *msg = (void *)raw;
	u32 i;

	msg->header.type = SIM_GPADL_HEADER;
	msg->relid = guest->chan->relid;
	msg->gpadl = HANDLE;
	msg->range_bytes = 8 + RING_PAGES * sizeof(u64);
	msg->ranges = 1;
	msg->byte_count = RING_PAGES * SIM_PAGE;
	for (i = 0; i < RING_PAGES; i++)
		msg->pfn[i] = pfn(guest->ring[i]) | boundary / SIM_PAGE;
	say(guest, msg, struct_size(msg, pfn, RING_PAGES));
}

static void share_ring(struct wrong_guest *guest)
{
	u32 i;

	for (i = 0; i < RING_PAGES; i++)
		share(guest, guest->ring[i]);
}

static void hide_ring(struct wrong_guest *guest)
{
	u32 i;

	for (i = 0; i < RING_PAGES; i++)
		KUNIT_EXPECT_EQ(guest->test, hide(guest, guest->ring[i]), 0);
}

static void open(struct wrong_guest *guest)
{
	struct sim_msg_open msg = {
		.header.type = SIM_OPEN,
		.relid = guest->chan->relid,
		.open_id = HANDLE,
		.gpadl = HANDLE,
		.target_vp = guest->ops->vp_index(0),
		.downstream_page = RING_PAGES / 2,
	};

	say(guest, &msg, sizeof(msg));
}

static void close(struct wrong_guest *guest)
{
	struct sim_msg_relid msg = { .header.type = SIM_CLOSE, .relid = guest->chan->relid };

	say(guest, &msg, sizeof(msg));
}

static void tear_down(struct wrong_guest *guest)
{
	struct sim_msg_teardown msg = {
		.header.type = SIM_GPADL_TEARDOWN,
		.relid = guest->chan->relid,
		.gpadl = HANDLE,
	};

	say(guest, &msg, sizeof(msg));
}

static void unload(struct wrong_guest *guest)
{
	struct sim_header msg = { .type = SIM_UNLOAD };

	say(guest, &msg, sizeof(msg));
}

static void connect_and_open(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	describe(guest, 0);
	open(guest);
}

static void disconnect(struct wrong_guest *guest)
{
	unload(guest);
	hide(guest, guest->monitors[0]);
	hide(guest, guest->monitors[1]);
}

/* ---- the mistakes ---- */

static void none(struct wrong_guest *guest)
{
	connect_and_open(guest);
	sim_lock();
	KUNIT_EXPECT_EQ(guest->test, sim_write(guest->chan, SIM_PKT_INBAND, 0, 0, "fine", 4), 0);
	KUNIT_EXPECT_EQ(guest->test, sim_read(guest->chan, NULL, 0), 0);
	sim_unlock();
	sim_look_at_visible();
	close(guest);
	tear_down(guest);
	hide_ring(guest);
	disconnect(guest);
}

static void freed_while_visible(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	free_page((unsigned long)guest->ring[0]);
	guest->ring[0] = NULL;
	sim_look_at_visible();
}

static void freed_before_taken_back(struct wrong_guest *guest)
{
	void *page = guest->ring[0];

	share(guest, page);
	free_page((unsigned long)page);
	guest->ring[0] = NULL;
	hide(guest, page);
}

static void freed_while_open(struct wrong_guest *guest)
{
	connect_and_open(guest);
	free_page((unsigned long)guest->ring[0]);
	guest->ring[0] = NULL;
	sim_lock();
	sim_read(guest->chan, NULL, 0);
	sim_unlock();
}

static void visible_twice(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	show(guest, guest->ring[0]);
}

static void private_twice(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	hide(guest, guest->ring[0]);
	hide(guest, guest->ring[0]);
}

static void described_before_visible(struct wrong_guest *guest)
{
	connect(guest);
	describe(guest, 0);
	/* Too late, whatever the host was doing meanwhile. */
	share_ring(guest);
}

static void described_in_part(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	hide(guest, guest->ring[RING_PAGES - 1]);
	describe(guest, 0);
}

static void described_above_the_boundary(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	describe(guest, sim_boundary());
}

static void not_zeroed(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	hide(guest, guest->ring[1]);
	show(guest, guest->ring[1]);
	describe(guest, 0);
	open(guest);
}

static void zeroed_before(struct wrong_guest *guest)
{
	clear(guest->monitors[0]);
	clear(guest->monitors[1]);
	show(guest, guest->monitors[0]);
	show(guest, guest->monitors[1]);
	contact(guest, sim_boundary());
}

static void taken_back_while_described(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	describe(guest, 0);
	hide(guest, guest->ring[0]);
}

static void taken_back_before_torndown(struct wrong_guest *guest)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .action = SIM_HOLD };

	connect(guest);
	share_ring(guest);
	describe(guest, 0);
	sim_rule(&hold);
	tear_down(guest);
	hide(guest, guest->ring[0]);
}

static void taken_back_while_open(struct wrong_guest *guest)
{
	connect_and_open(guest);
	hide(guest, guest->ring[0]);
	sim_lock();
	sim_read(guest->chan, NULL, 0);
	sim_unlock();
}

static void monitor_page_is_private(struct wrong_guest *guest)
{
	share(guest, guest->monitors[0]);
	contact(guest, sim_boundary());
}

static void monitor_page_without_boundary(struct wrong_guest *guest)
{
	share(guest, guest->monitors[0]);
	share(guest, guest->monitors[1]);
	contact(guest, 0);
}

static void monitor_page_taken_back(struct wrong_guest *guest)
{
	connect(guest);
	hide(guest, guest->monitors[0]);
}

static void monitor_page_before_unload_response(struct wrong_guest *guest)
{
	const struct sim_rule hold = { .type = SIM_UNLOAD, .action = SIM_HOLD };

	connect(guest);
	sim_rule(&hold);
	disconnect(guest);
}

static void written_below_the_boundary(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	clear_page(guest->ring[0]);
	hide(guest, guest->ring[0]);
}

static void mapped_before_visible(struct wrong_guest *guest)
{
	struct page *page = virt_to_page(guest->ring[0]);

	vunmap(guest->ops->isolation->map(&page, 1));
}

static void address_in_shared_page(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	*(void **)sim_seen(guest->ring[0]) = guest->ring[1];
	sim_look_at_visible();
}

static void unset_memory_in_shared_page(struct wrong_guest *guest)
{
	share(guest, guest->ring[0]);
	memset(sim_seen(guest->ring[0]) + 128, 0xfe, 16);
	hide(guest, guest->ring[0]);
}

static void unset_memory_in_message(struct wrong_guest *guest)
{
	struct sim_msg_relid msg = { .header.type = SIM_CLOSE };

	connect_and_open(guest);
	msg.relid = guest->chan->relid;
	memset(&msg.header.reserved, 0xfe, sizeof(msg.header.reserved));
	say(guest, &msg, sizeof(msg));
}

static void reached_after_the_end(struct wrong_guest *guest)
{
	connect(guest);
	share_ring(guest);
	sim_end_visibility();
	KUNIT_EXPECT_EQ(guest->test, hide(guest, guest->ring[0]), -EBUSY);
	free_page((unsigned long)guest->ring[0]);
	guest->ring[0] = NULL;
	sim_look_at_visible();
}

/* ---- the same where memory stays private, which is the paravisor's to use ---- */

static void connect_and_open_private(struct wrong_guest *guest)
{
	connect(guest);
	describe(guest, 0);
	open(guest);
}

static void private_none(struct wrong_guest *guest)
{
	connect_and_open_private(guest);
	sim_lock();
	KUNIT_EXPECT_EQ(guest->test, sim_write(guest->chan, SIM_PKT_INBAND, 0, 0, "fine", 4), 0);
	KUNIT_EXPECT_EQ(guest->test, sim_read(guest->chan, NULL, 0), 0);
	sim_unlock();
	KUNIT_EXPECT_EQ(guest->test, sim_host_pages(), sim_visible_pages() + RING_PAGES);
	close(guest);
	tear_down(guest);
	KUNIT_EXPECT_EQ(guest->test, sim_host_pages(), sim_visible_pages());
	/* It is the guest's again. */
	share_ring(guest);
	hide_ring(guest);
	disconnect(guest);
}

static void private_ring_is_visible(struct wrong_guest *guest)
{
	connect_and_open(guest);
}

static void private_ring_in_part(struct wrong_guest *guest)
{
	connect(guest);
	share(guest, guest->ring[RING_PAGES - 1]);
	describe(guest, 0);
}

static void ring_alone_is_visible(struct wrong_guest *guest)
{
	guest->chan->co_external = false;
	connect_and_open(guest);
}

static void private_made_visible(struct wrong_guest *guest)
{
	connect_and_open_private(guest);
	show(guest, guest->ring[0]);
}

static void private_used_when_visible(struct wrong_guest *guest)
{
	private_made_visible(guest);
	sim_lock();
	sim_read(guest->chan, NULL, 0);
	sim_unlock();
}

static void private_freed_while_open(struct wrong_guest *guest)
{
	connect_and_open_private(guest);
	free_page((unsigned long)guest->ring[0]);
	guest->ring[0] = NULL;
	sim_lock();
	sim_read(guest->chan, NULL, 0);
	sim_unlock();
}

static void private_freed_before_torndown(struct wrong_guest *guest)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .action = SIM_HOLD };

	connect(guest);
	describe(guest, 0);
	sim_rule(&hold);
	tear_down(guest);
	free_page((unsigned long)guest->ring[1]);
	guest->ring[1] = NULL;
	KUNIT_EXPECT_EQ(guest->test, sim_release_held(), 1);
}

static void private_freed_before_unload_response(struct wrong_guest *guest)
{
	const struct sim_rule hold = { .type = SIM_UNLOAD, .action = SIM_HOLD };

	connect(guest);
	describe(guest, 0);
	sim_rule(&hold);
	unload(guest);
	free_page((unsigned long)guest->ring[1]);
	guest->ring[1] = NULL;
	KUNIT_EXPECT_EQ(guest->test, sim_release_held(), 1);
}

/* The ring alone may be, and this is none. */
static void shared_buffer_is_private(struct wrong_guest *guest)
{
	u32 bytes;
	void *at;

	guest->chan->co_external = false;
	connect(guest);
	describe(guest, 0);
	sim_lock();
	at = sim_map_gpadl_locked(guest->chan, HANDLE, &bytes);
	sim_unmap_gpadl_locked(HANDLE, at);
	sim_unlock();
}

static void private_not_agreed(struct wrong_guest *guest)
{
	guest->features = 0;
	connect_and_open_private(guest);
}

static void asks_for_more_features(struct wrong_guest *guest)
{
	guest->features |= 1;
	connect(guest);
}

static void asks_for_features(struct wrong_guest *guest)
{
	guest->features = SIM_FEATURE_CONFIDENTIAL;
	connect(guest);
}

#define ANY_KIND	SIM_ORDINARY

static const struct mistake {
	const char *name;
	void (*make)(struct wrong_guest *guest);
	enum sim_kind kind;
	const char *found;
} mistakes[] = {
#define MISTAKE(kind, name, found)	{ #name, name, kind, found }
	MISTAKE(ANY_KIND, none, NULL),
	MISTAKE(SIM_VTOM, none, NULL),
	MISTAKE(SIM_PARAVISOR, none, NULL),
	MISTAKE(SIM_ENLIGHTENED, none, NULL),
	MISTAKE(ANY_KIND, freed_while_visible, "was freed while it was visible"),
	MISTAKE(ANY_KIND, freed_before_taken_back, "was freed while it was visible"),
	MISTAKE(ANY_KIND, freed_while_open, "was freed, the host was to use it"),
	MISTAKE(ANY_KIND, reached_after_the_end, "was freed while it was visible"),
	MISTAKE(ANY_KIND, visible_twice, "made visible twice"),
	MISTAKE(ANY_KIND, private_twice, "made private twice"),
	MISTAKE(ANY_KIND, described_before_visible, "the host is told of it"),
	MISTAKE(ANY_KIND, described_in_part, "the host is told of it"),
	MISTAKE(SIM_PARAVISOR, described_above_the_boundary, "the host is told of it"),
	MISTAKE(ANY_KIND, not_zeroed, "was not zeroed"),
	MISTAKE(SIM_ENLIGHTENED, zeroed_before, "was not zeroed"),
	MISTAKE(ANY_KIND, taken_back_while_described, "taken back while the host uses it"),
	MISTAKE(ANY_KIND, taken_back_before_torndown, "taken back while the host uses it"),
	MISTAKE(ANY_KIND, taken_back_while_open, "is private, the host was to use it"),
	MISTAKE(ANY_KIND, monitor_page_is_private, "the host is told of it"),
	MISTAKE(SIM_VTOM, monitor_page_without_boundary, "without the boundary"),
	MISTAKE(SIM_PARAVISOR, monitor_page_without_boundary, "without the boundary"),
	MISTAKE(ANY_KIND, monitor_page_taken_back, "taken back while the host uses it"),
	MISTAKE(ANY_KIND, monitor_page_before_unload_response, "taken back while the host uses it"),
	MISTAKE(SIM_VTOM, written_below_the_boundary, "written to below the boundary"),
	MISTAKE(SIM_VTOM, mapped_before_visible, "the guest maps it as visible"),
	MISTAKE(ANY_KIND, address_in_shared_page, "tells the host"),
	MISTAKE(SIM_VTOM, address_in_shared_page, "tells the host"),
	MISTAKE(ANY_KIND, unset_memory_in_shared_page, "tells the host"),
	MISTAKE(ANY_KIND, unset_memory_in_message, "what nobody has set"),
	MISTAKE(SIM_CONFIDENTIAL, private_none, NULL),
	MISTAKE(SIM_CONFIDENTIAL, private_ring_is_visible, "is visible, was to be private"),
	MISTAKE(SIM_CONFIDENTIAL, private_ring_in_part, "is visible, was to be private"),
	MISTAKE(SIM_CONFIDENTIAL, ring_alone_is_visible, "is visible, was to be private"),
	MISTAKE(SIM_CONFIDENTIAL, private_made_visible, "made visible while the paravisor uses it"),
	MISTAKE(SIM_CONFIDENTIAL, private_used_when_visible, "is visible, was to be private"),
	MISTAKE(SIM_CONFIDENTIAL, private_freed_while_open, "freed, the paravisor was to use it"),
	MISTAKE(SIM_CONFIDENTIAL, private_freed_before_torndown,
		"freed while the paravisor used it"),
	MISTAKE(SIM_CONFIDENTIAL, private_freed_before_unload_response,
		"freed while the paravisor used it"),
	MISTAKE(SIM_CONFIDENTIAL, shared_buffer_is_private, "is private, the host was to use it"),
	MISTAKE(SIM_CONFIDENTIAL, private_not_agreed, "the host is told of it"),
	MISTAKE(SIM_CONFIDENTIAL, asks_for_more_features, "asked for at version"),
	MISTAKE(SIM_CONFIDENTIAL, monitor_page_is_private, "the host is told of it"),
	MISTAKE(SIM_PARAVISOR, asks_for_features, "asked for at version"),
	MISTAKE(SIM_ENLIGHTENED, asks_for_features, "asked for at version"),
};

static void mistake_name(const struct mistake *mistake, char *desc)
{
	static const char * const kinds[] = { "any", "vtom", "paravisor", "enlightened",
					      "confidential" };

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, %s", mistake->name, kinds[mistake->kind]);
}

KUNIT_ARRAY_PARAM(mistakes, mistakes, mistake_name);

static void *new_page(struct kunit *test)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

static long synic_up(void *unused)
{
	struct vmbus_synic synics[VMBUS_NR_SYNICS];

	return sim_ops()->synic_up(0, synics);
}

static long synic_down(void *unused)
{
	sim_ops()->synic_down(0);
	return 0;
}

static void finds(struct kunit *test)
{
	const struct mistake *mistake = test->param_value;
	struct wrong_guest guest = { .test = test };
	u32 i;

	if (mistake->kind != ANY_KIND)
		sim_set_kind(mistake->kind);
	sim_use_visibility(true);
	sim_busy(0);
	sim_set_version(SIM_USUAL);
	if (sim_confidential())
		guest.features = SIM_FEATURE_CONFIDENTIAL;
	if (mistake->kind != SIM_CONFIDENTIAL)
		sim_share_all();
	guest.chan = sim_add(test, NULL, NULL);
	guest.ops = sim_ops();
	KUNIT_ASSERT_EQ(test, work_on_cpu(0, synic_up, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(guest.monitors); i++)
		guest.monitors[i] = new_page(test);
	for (i = 0; i < RING_PAGES; i++)
		guest.ring[i] = new_page(test);

	if (mistake->found)
		sim_allow_violations();
	mistake->make(&guest);
	KUNIT_EXPECT_EQ(test, sim_found(mistake->found ?: ""), !!mistake->found);

	work_on_cpu(0, synic_down, NULL);
	guest.ops->detach();
	/* Where they are visible still the host has references of its own. */
	for (i = 0; i < ARRAY_SIZE(guest.monitors); i++)
		free_page((unsigned long)guest.monitors[i]);
	for (i = 0; i < RING_PAGES; i++)
		free_page((unsigned long)guest.ring[i]);
}

/* ---- the driver, when what it shares cannot be shared, or not taken back ---- */

#define MOST_CHANGES	200

static const struct change {
	const char *name;
	bool visible;
} changes[] = {
	{ "made visible", true },
	{ "taken back", false },
};

static void change_name(const struct change *change, char *desc)
{
	strscpy(desc, change->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(changes, changes, change_name);

static void share_a_buffer(struct kunit *test, struct guest_chan *guest)
{
	struct vmbus_gpadl gpadl = { };
	void *buffer = new_page(test);

	if (!vmbus_establish_gpadl(guest->ch, buffer, PAGE_SIZE, &gpadl))
		vmbus_teardown_gpadl(guest->ch, &gpadl);
	/* A VSC must not free what may be visible still. */
	if (!gpadl.decrypted)
		free_page((unsigned long)buffer);
}

/* From load to unload, as far as it goes. Return: no step failed. */
static bool live(struct kunit *test, struct guest_chan *guest)
{
	bool opened;

	if (sim_start(test, SIM_USUAL))
		return false;
	guest->ch = sim_guest_channel(test, guest->host);
	opened = !guest_try_open(guest);
	if (opened) {
		KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
		share_a_buffer(test, guest);
		vmbus_close(guest->ch);
	}
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	sim_stop(test);
	return opened;
}

static void each_change_may_fail(struct kunit *test)
{
	const struct change *change = test->param_value;
	unsigned long leaked = 0;
	struct guest_chan *guest;
	unsigned int n, failed;

	sim_use_visibility(true);
	sim_share_all();
	guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	for (n = 1; n < MOST_CHANGES; n++) {
		sim_fail_visible(n, change->visible);
		live(test, guest);
		failed = sim_failed_visible();
		if (!failed)
			break;
		/* What could not be taken back is visible for ever, and nobody else's. */
		if (!change->visible)
			leaked += failed;
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), leaked);
		sim_look_at_visible();
	}
	/* Pages of the connection, of two rings, of a buffer. */
	KUNIT_EXPECT_GT(test, n, 4);
	KUNIT_EXPECT_LT(test, n, MOST_CHANGES);
	sim_fail_visible(0, change->visible);
	KUNIT_EXPECT_TRUE(test, live(test, guest));
}

/* As set_memory_encrypted() once a kexec has begun: all that is visible stays so. */
static void nothing_is_taken_back(struct kunit *test)
{
	struct guest_chan *guest;
	unsigned long shared;

	sim_use_visibility(true);
	guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	sim_start_ok(test, SIM_USUAL);
	guest_open(test, guest, guest->host);
	shared = sim_visible_pages();
	sim_end_visibility();
	share_a_buffer(test, guest);
	vmbus_close(guest->ch);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), shared);
	sim_look_at_visible();
}

static struct kunit_case enforce_cases[] = {
	KUNIT_CASE_PARAM(finds, mistakes_gen_params),
	KUNIT_CASE_PARAM(each_change_may_fail, changes_gen_params),
	KUNIT_CASE(nothing_is_taken_back),
	{}
};

struct kunit_suite enforce_suite = {
	.name = "hv_vmbus_enforce",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = enforce_cases,
};
