// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_confidential: a VM whose paravisor has a bus of its own: what is agreed,
 * which channels it takes, and what of them the host sees.
 *
 * The simulated host is the paravisor here, and where it uses memory that is not as the
 * offer says it finds so. Cases choose the kind of VM, whatever this run's is.
 */
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "files.h"
#include "in_vain.h"
#include "sorts.h"
#include "suites.h"

#define NEWEST		SIM_V(6, 0)
#define AGREED		SIM_FEATURE_CONFIDENTIAL
#define UNASKED		"host claims features 0x%x that were not asked for: ignored"
#define NO_SUPPORT	"Invalid offer relid=%u: no support for confidential VMBus"
#define BARE_RING	"Invalid offer relid=%u: the ring buffer isn't encrypted"

static unsigned int said(u64 mark, const char *format, u32 value)
{
	char line[120];

	snprintf(line, sizeof(line), format, value);
	return sim_log_lines(mark, line);
}

static unsigned int posts(void)
{
	unsigned int type, count = 0;

	for (type = 0; type < SIM_NR_TYPES; type++)
		count += sim_received_all(type);
	return count;
}

/* ---- kinds of VM, and of memory ---- */

static const struct vm {
	const char *name;
	enum sim_kind kind;
	bool refused;		/* the feature is asked for, and not agreed to */
} vms[] = {
	{ "ordinary", SIM_ORDINARY },
	{ "vtom", SIM_VTOM },
	{ "paravisor", SIM_PARAVISOR },
	{ "enlightened", SIM_ENLIGHTENED },
	{ "confidential", SIM_CONFIDENTIAL },
	{ "confidential, refused", SIM_CONFIDENTIAL, true },
};

static void vm_name(const struct vm *vm, char *desc)
{
	strscpy(desc, vm->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(vms, vms, vm_name);

/* One for each kind: the last differs in what the host claims. */
static const void *kind_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct vm *next = VMBUS_PARAM_NEXT(vms_gen_params, prev, desc);

	return next && next->refused ? NULL : next;
}

/* What is asked for in such a VM, and what comes of it. */
static u32 asked_in(const struct vm *vm)
{
	return vm->kind == SIM_CONFIDENTIAL ? AGREED : 0;
}

static u32 agreed_in(const struct vm *vm)
{
	return vm->refused ? 0 : asked_in(vm);
}

static void sort_name(const struct sort *sort, char *desc)
{
	strscpy(desc, sort->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(sorts, sorts, sort_name);

/* A channel of that sort on a bus where it can be had. */
static struct guest_chan *start(struct kunit *test, const struct sort *sort)
{
	struct guest_chan *guest = guest_new(test, new_chan(test, sort));

	sim_start_ok(test, NEWEST);
	guest->ch = sim_guest_channel(test, guest->host);
	return guest;
}

static void echoes(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
}

/* ---- features ---- */

static void expect_features(struct kunit *test, u32 claimed, u32 asked)
{
	u64 mark = sim_log_mark();

	sim_claim_features(claimed);
	sim_start_ok(test, NEWEST);
	KUNIT_EXPECT_EQ_MSG(test, sim_asked_features(), asked, "0x%x is claimed", claimed);
	KUNIT_EXPECT_EQ_MSG(test, vmbus_conn.features, claimed & asked, "0x%x is claimed", claimed);
	KUNIT_EXPECT_EQ_MSG(test, said(mark, UNASKED, claimed & ~asked), !!(claimed & ~asked),
			    "0x%x is claimed", claimed);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "host claims features"), !!(claimed & ~asked));
	sim_stop(test);
}

/* Each alone, all, and none of them; other kinds of VM ask for nothing, as the ordinary one. */
static void unasked_features_are_masked(struct kunit *test)
{
	const struct vm *vm = test->param_value;
	bool each = vm->kind == SIM_ORDINARY || vm->kind == SIM_CONFIDENTIAL;
	unsigned int bit;

	sim_set_kind(vm->kind);
	for (bit = 0; each && bit < 32; bit++)
		expect_features(test, BIT(bit), asked_in(vm));
	expect_features(test, U32_MAX, asked_in(vm));
	expect_features(test, ~AGREED, asked_in(vm));
	expect_features(test, 0, asked_in(vm));
}

/* Bytes of VERSION_RESPONSE at 6.0; parts of a number are none. */
static const struct reply {
	u32 len;
	bool agrees;
} replies[] = {
	{ 16, false }, { 17, false }, { 19, false }, { 20, true }, { 24, true }, { 40, true },
};

static void features_are_as_long_as_the_reply(struct kunit *test)
{
	unsigned int i;
	u64 mark;

	sim_claim_features(U32_MAX);
	for (i = 0; i < ARRAY_SIZE(replies); i++) {
		mark = sim_log_mark();
		sim_short_version_response(replies[i].len);
		sim_start_ok(test, NEWEST);
		KUNIT_EXPECT_EQ_MSG(test, vmbus_conn.features, replies[i].agrees ? AGREED : 0,
				    "%u bytes", replies[i].len);
		KUNIT_EXPECT_EQ_MSG(test, said(mark, UNASKED, ~AGREED), replies[i].agrees,
				    "%u bytes", replies[i].len);
		sim_stop(test);
	}
}

/* Nor are they read where the version has none, be there bytes or not. */
static void older_versions_have_no_features(struct kunit *test)
{
	struct sim_msg_contact contacts[3] = { };
	u64 mark;

	sim_start_ok(test, NEWEST);
	KUNIT_EXPECT_EQ(test, vmbus_conn.features, AGREED);
	sim_stop(test);
	mark = sim_log_mark();
	sim_claim_features(U32_MAX);
	sim_short_version_response(20);
	sim_start_ok(test, SIM_V(5, 3));
	KUNIT_EXPECT_EQ(test, vmbus_conn.features, 0);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "host claims features"), 0);
	/* 6.0 of the first start and of this one, then 5.3. */
	KUNIT_EXPECT_EQ(test, sim_received_message(SIM_CONTACT, 1, &contacts[1], 40), 40);
	KUNIT_EXPECT_EQ(test, sim_received_message(SIM_CONTACT, 2, &contacts[2], 40), 40);
	KUNIT_EXPECT_EQ(test, contacts[1].version, NEWEST);
	KUNIT_EXPECT_EQ(test, contacts[1].target, (u64)AGREED << 32 | SIM_SINT);
	KUNIT_EXPECT_EQ(test, contacts[2].version, SIM_V(5, 3));
	KUNIT_EXPECT_EQ(test, contacts[2].target, SIM_SINT);
}

/* Another life has nothing of the one before, where features go from agreed to none. */
static void features_end_with_the_connection(struct kunit *test)
{
	struct sim_chan *chan = new_chan(test, &sorts[0]);
	unsigned int round;

	for (round = 0; round < 4; round++) {
		sim_claim_features(round % 2 ? 0 : AGREED);
		sim_start_ok(test, NEWEST);
		KUNIT_EXPECT_EQ(test, vmbus_conn.features, round % 2 ? 0 : AGREED);
		KUNIT_EXPECT_EQ(test, to_vmbus_chan(sim_guest_channel(test, chan))->tx.private,
				round % 2 == 0);
		echoes(test, chan);
		sim_stop(test);
	}
}

/* ---- offers ---- */

static const u16 flags[] = { 0, SIM_OFFER_CO_RING, SIM_OFFER_CO_EXTERNAL,
			     SIM_OFFER_CO_RING | SIM_OFFER_CO_EXTERNAL };

/* They may say anything, whatever was agreed. */
static struct sim_chan *lying_chan(struct kunit *test, unsigned int i)
{
	static const struct sort visible;
	struct sim_chan *chan = new_chan(test, &visible);

	chan->flags = flags[i];
	if (sim_agreed_features()) {
		chan->flags = 0;
		chan->co_ring = flags[i] & SIM_OFFER_CO_RING;
		chan->co_external = flags[i] & SIM_OFFER_CO_EXTERNAL;
	}
	return chan;
}

/* A line of what debugfs shows; it reads as grep has it. */
static bool file_says(const char *line)
{
	char command[120];

	snprintf(command, sizeof(command), "grep -qx '%s' /sys/kernel/debug/vmbus/connection",
		 line);
	return !file_shell(command);
}

/* The lines are rate-limited: this comes before others who have them. */
static void refused_offers_are_told(struct kunit *test)
{
	struct sim_chan *chans[ARRAY_SIZE(flags)];
	u64 mark = sim_log_mark();
	unsigned int before, i;

	sim_start_ok(test, NEWEST);
	before = posts();
	chans[2] = lying_chan(test, 2);
	sim_offer(chans[2]);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, said(mark, BARE_RING, chans[2]->relid), 1);
	KUNIT_EXPECT_TRUE(test, file_says("refused EPERM 1"));
	KUNIT_EXPECT_TRUE(test, file_says("features.* confidential"));
	KUNIT_EXPECT_FALSE(test, is_channel(chans[2]->relid));
	KUNIT_EXPECT_EQ(test, posts(), before);
	sim_stop(test);
	sim_withhold(chans[2]);

	mark = sim_log_mark();
	sim_claim_features(0);
	sim_start_ok(test, NEWEST);
	before = posts();
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		chans[i] = lying_chan(test, i);
		sim_offer(chans[i]);
	}
	sim_drain(test);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		KUNIT_EXPECT_EQ(test, said(mark, NO_SUPPORT, chans[i]->relid), i != 0);
	KUNIT_EXPECT_TRUE(test, file_says("refused EPERM 3"));
	KUNIT_EXPECT_FALSE(test, file_says("features.* confidential"));
	KUNIT_EXPECT_EQ(test, posts(), before);
}

static void offers_are_chosen(struct kunit *test)
{
	const struct vm *vm = test->param_value;
	unsigned int before, i;
	struct sim_chan *chan;
	bool taken;

	sim_set_kind(vm->kind);
	if (vm->refused)
		sim_claim_features(0);
	sim_start_ok(test, NEWEST);
	KUNIT_EXPECT_EQ(test, vmbus_conn.features, agreed_in(vm));
#if VMBUS_NEWER_EXPORTS
	KUNIT_EXPECT_EQ(test, vmbus_is_confidential(), agreed_in(vm) != 0);
#endif
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		/* An ordinary VM knows of no such thing, a confidential one of what makes sense. */
		taken = vm->kind == SIM_ORDINARY || !flags[i] ||
			(agreed_in(vm) && flags[i] != SIM_OFFER_CO_EXTERNAL);
		chan = lying_chan(test, i);
		before = posts();
		sim_offer(chan);
		sim_drain(test);
		KUNIT_EXPECT_EQ_MSG(test, is_channel(chan->relid), taken, "flags %u", flags[i]);
		KUNIT_EXPECT_EQ_MSG(test, posts(), before, "flags %u", flags[i]);
		if (taken)
			echoes(test, chan);
	}
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), vm->kind == SIM_ORDINARY ? 0 : SHARED_PAGES);
}

/* 6.0 is not spoken: what is offered as private is refused, whatever was claimed. */
static void older_versions_have_no_private_channels(struct kunit *test)
{
	struct sim_chan *chan = new_chan(test, &sorts[2]), *private;
	unsigned int before;

	sim_claim_features(U32_MAX);
	sim_start_ok(test, SIM_V(5, 3));
	private = lying_chan(test, 3);
	before = posts();
	sim_offer(private);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, is_channel(private->relid));
	KUNIT_EXPECT_EQ(test, posts(), before);
	echoes(test, chan);
}

/* ---- rings ---- */

/* How many of its ring's pages the host sees. */
static u32 visible_pages_of(const struct guest_chan *guest)
{
	u32 handle = guest->ch->ringbuffer_gpadlhandle.gpadl_handle, i, count = 0;

	for (i = 0; i < sim_gpadl_pages(handle); i++)
		count += sim_is_visible(sim_gpadl_pfn(handle, i));
	return count;
}

static void expect_ring(struct kunit *test, struct guest_chan *guest, bool private)
{
	u32 pages = sim_gpadl_pages(guest->ch->ringbuffer_gpadlhandle.gpadl_handle);

	KUNIT_EXPECT_GT(test, pages, 0);
	KUNIT_EXPECT_EQ(test, visible_pages_of(guest), private ? 0 : pages);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* The ring is mapped as what it is: map() has something to say of private pages. */
static void rings_are_as_offered(struct kunit *test)
{
	const struct sort *sort = test->param_value;
	struct guest_chan *guest;
	unsigned int round;

	sim_watch_maps();
	guest = start(test, sort);
	KUNIT_EXPECT_EQ(test, to_vmbus_chan(guest->ch)->tx.private, sort->ring);
	KUNIT_EXPECT_EQ(test, to_vmbus_chan(guest->ch)->private_memory, sort->external);
	for (round = 0; round < 3; round++) {
		guest_open(test, guest, guest->host);
		expect_ring(test, guest, sort->ring);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(),
				SHARED_PAGES + (sort->ring ? 0 : RING_PAGES));
		KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + RING_PAGES);
		vmbus_close(guest->ch);
		KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	}
	sim_look_at_visible();
}

/* One block, for a driver that maps it linearly. */
static void linear_rings_are_as_offered(struct kunit *test)
{
	const struct sort *sort = test->param_value;
	struct guest_chan *guest = start(test, sort);

	KUNIT_ASSERT_EQ(test, vmbus_alloc_ring(guest->ch, GUEST_RING, GUEST_RING), 0);
	KUNIT_ASSERT_EQ(test, vmbus_connect_ring(guest->ch, guest_callback, guest), 0);
	expect_ring(test, guest, sort->ring);
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(guest->ch), 0);
	vmbus_free_ring(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

/* All at once, and each with sub-channels that differ from it. */
static void sub_channels_differ(struct kunit *test)
{
	struct guest_chan *guests[ARRAY_SIZE(sorts)], *subs[ARRAY_SIZE(sorts)];
	unsigned int i;

	sim_start_ok(test, NEWEST);
	for (i = 0; i < ARRAY_SIZE(sorts); i++) {
		const struct sort *other = &sorts[(i + 1) % ARRAY_SIZE(sorts)];
		struct sim_chan *sub;

		guests[i] = guest_new(test, new_chan(test, &sorts[i]));
		sim_offer(guests[i]->host);
		sim_lock();
		sub = sim_new_sub_locked(guests[i]->host, 1, &sim_echo);
		sub->co_ring = other->ring;
		sub->co_external = other->external;
		sim_offer_locked(sub);
		sim_unlock();
		subs[i] = guest_new(test, sub);
		guest_open(test, guests[i], guests[i]->host);
		guest_open(test, subs[i], sub);
	}
	for (i = 0; i < ARRAY_SIZE(sorts); i++) {
		expect_ring(test, guests[i], sorts[i].ring);
		expect_ring(test, subs[i], sorts[(i + 1) % ARRAY_SIZE(sorts)].ring);
	}
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + 6 * RING_PAGES);
	/* Of two primary channels and two sub-channels they are private. */
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES + 2 * RING_PAGES);
	for (i = 0; i < ARRAY_SIZE(sorts); i++) {
		sim_rescind(guests[i]->host);
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guests[i]->host)));
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(subs[i]->host)));
	}
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

static void sockets_are_as_offered(struct kunit *test)
{
	static const guid_t service = GUID_INIT(0x12345678, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00,
						0x6a, 0x79, 0x86, 0xd3);
	const struct sort *sort = test->param_value;
	struct sim_chan *chan = sim_new(test, 0, &service, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);

	chan->flags = SIM_OFFER_HVSOCK;
	chan->from_host = true;
	chan->co_ring = sort->ring;
	chan->co_external = sort->external;
	sim_start_ok(test, NEWEST);
	sim_offer(chan);
	guest_open(test, guest, chan);
	expect_ring(test, guest, sort->ring);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

/* ---- buffers ---- */

/* The VSP writes, the guest reads what it wrote. */
static void used_by_vsp(struct kunit *test, struct sim_chan *chan, void *buffer, u32 handle)
{
	u32 bytes;
	void *at;

	sim_lock();
	at = sim_map_gpadl_locked(chan, handle, &bytes);
	if (at)
		memset(at, SECRET, bytes);
	KUNIT_EXPECT_NOT_NULL(test, at);
	if (at)
		sim_unmap_gpadl_locked(handle, at);
	sim_unlock();
	KUNIT_EXPECT_NULL(test, memchr_inv(buffer, SECRET, BUFFER_BYTES));
}

static void buffers_are_as_offered(struct kunit *test)
{
	const struct sort *sort = test->param_value;
	struct guest_chan *guest = start(test, sort);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;
	unsigned int round;

	/* Before it is opened, and when it is open. */
	for (round = 0; round < 2; round++) {
		unsigned long before = sim_visible_pages();

		memset(buffer, ~SECRET, BUFFER_BYTES);
		KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), 0);
		KUNIT_EXPECT_EQ(test, gpadl.decrypted, !sort->external);
		KUNIT_EXPECT_EQ(test, sim_visible_pages() - before,
				sort->external ? 0 : BUFFER_PAGES);
		/* Nothing is done to what stays private. */
		if (sort->external)
			KUNIT_EXPECT_NULL(test, memchr_inv(buffer, (u8)~SECRET, BUFFER_BYTES));
		used_by_vsp(test, guest->host, buffer, gpadl.gpadl_handle);
		KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
		KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), before);
		if (sort->external)
			KUNIT_EXPECT_NULL(test, memchr_inv(buffer, SECRET, BUFFER_BYTES));
		if (!round)
			guest_open(test, guest, guest->host);
	}
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	vfree(buffer);
}

/* Nothing is asked of set_visible() for what is private, so nothing can fail. */
static void private_memory_changes_no_hands(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sorts[0]);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sim_fail_visible(1, i);
		guest_open(test, guest, guest->host);
		KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), 0);
		KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
		KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
		vmbus_close(guest->ch);
		KUNIT_EXPECT_EQ(test, sim_failed_visible(), 0);
	}
	sim_fail_visible(0, false);
	vfree(buffer);
}

/* Of a channel whose ring alone is private a buffer's change is what may fail. */
static void shared_buffer_may_fail(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sorts[1]);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;

	sim_fail_visible(1, true);
	guest_open(test, guest, guest->host);
	KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), -EIO);
	KUNIT_EXPECT_EQ(test, sim_failed_visible(), BUFFER_PAGES);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), 0);
	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), -EIO);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES + BUFFER_PAGES);
	sim_take_back(buffer, BUFFER_PAGES);
	vfree(buffer);
}

static void refused_buffer_is_given_back(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .action = SIM_REFUSE,
					 .status = 0x8000ffff };
	struct guest_chan *guest = start(test, test->param_value);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;

	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), -EDQUOT);
	KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EDQUOT);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	vfree(buffer);
}

/* Private or not: whoever may still write there must not find another's memory. */
static void unanswered_teardown_keeps_the_buffer(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_GPADL_TEARDOWN, .action = SIM_DROP };
	const struct sort *sort = test->param_value;
	struct guest_chan *guest = start(test, sort);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;

	KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), 0);
	guest_open(test, guest, guest->host);
	sim_rule(&drop);
	vmbus_deadlines.request = IN_VAIN_MS;
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	/* The ring is parked. */
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + RING_PAGES + BUFFER_PAGES);
	sim_stop(test);
	/* What the host let go of in the end the driver frees; the buffer is its VSC's. */
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), sort->external ? 0 : BUFFER_PAGES);
	sim_take_back(buffer, BUFFER_PAGES);
	vfree(buffer);
}

/* Neither GPADL_CREATED comes nor GPADL_TORNDOWN. */
static void unanswered_buffer_is_kept(struct kunit *test)
{
	const struct sim_rule drops[] = {
		{ .type = SIM_GPADL_HEADER, .action = SIM_DROP },
		{ .type = SIM_GPADL_TEARDOWN, .action = SIM_DROP },
	};
	struct guest_chan *guest = start(test, test->param_value);
	void *buffer = new_buffer(test);
	struct vmbus_gpadl gpadl;

	sim_rule(&drops[0]);
	sim_rule(&drops[1]);
	vmbus_deadlines.request = IN_VAIN_MS;
	KUNIT_EXPECT_EQ(test, share(guest, buffer, &gpadl), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + BUFFER_PAGES);
	sim_stop(test);
	sim_take_back(buffer, BUFFER_PAGES);
	vfree(buffer);
}

static struct kunit_case confidential_cases[] = {
	KUNIT_CASE(refused_offers_are_told),
	KUNIT_CASE_PARAM(unasked_features_are_masked, kind_gen_params),
	KUNIT_CASE(features_are_as_long_as_the_reply),
	KUNIT_CASE(older_versions_have_no_features),
	KUNIT_CASE(features_end_with_the_connection),
	KUNIT_CASE_PARAM(offers_are_chosen, vms_gen_params),
	KUNIT_CASE(older_versions_have_no_private_channels),
	KUNIT_CASE_PARAM(rings_are_as_offered, sorts_gen_params),
	KUNIT_CASE_PARAM(linear_rings_are_as_offered, sorts_gen_params),
	KUNIT_CASE(sub_channels_differ),
	KUNIT_CASE_PARAM(sockets_are_as_offered, sorts_gen_params),
	KUNIT_CASE_PARAM(buffers_are_as_offered, sorts_gen_params),
	KUNIT_CASE(private_memory_changes_no_hands),
	KUNIT_CASE(shared_buffer_may_fail),
	KUNIT_CASE_PARAM(refused_buffer_is_given_back, sorts_gen_params),
	KUNIT_CASE_PARAM(unanswered_teardown_keeps_the_buffer, sorts_gen_params),
	KUNIT_CASE_PARAM(unanswered_buffer_is_kept, sorts_gen_params),
	{}
};

struct kunit_suite confidential_suite = {
	.name = "hv_vmbus_confidential",
	.init = sorts_init,
	.exit = sim_exit,
	.test_cases = confidential_cases,
};
