// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_gpadl: memory that is shared with the host, as rings and as buffers
 * of a VSC.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "call.h"
#include "guest.h"
#include "in_vain.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define FAILED		0x8000ffff
#define SHARED_PAGES	3	/* of the connection itself */
/* What the machine may add; the deadline is 60 s. */
#define AT_ONCE_MS	15000
#define SMALL		(4 * PAGE_SIZE)

/* What a header and a body hold at most, by the protocol. */
#define HEADER_PFNS	26
#define BODY_PFNS	28
#define MAX_PAGES	8190

/* Around the limits of a header, of one body and of two, and the most there can be. */
static const u32 page_counts[] = { 1, 2, 26, 27, 28, 54, 55, 82, 1000, MAX_PAGES };
/* The same as far as the page allocator has blocks of them. */
static const u32 block_counts[] = { 1, 2, 26, 27, 28, 54, 55, 82, 1000 };
/* Two rings have four pages at least. */
static const u32 ring_counts[] = { 4, 26, 27, 28, 54, 55, 82, 1000, MAX_PAGES };

static void count_name(const u32 *count, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u pages", *count);
}

KUNIT_ARRAY_PARAM(page_counts, page_counts, count_name);
KUNIT_ARRAY_PARAM(block_counts, block_counts, count_name);
KUNIT_ARRAY_PARAM(ring_counts, ring_counts, count_name);

/* Starts on a host that sees only what is shared with it. */
static struct guest_chan *start(struct kunit *test)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));

	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	return guest;
}

/* The same, whatever kind of VM: all that the channel is given. */
static struct guest_chan *start_shown(struct kunit *test)
{
	sim_share_all();
	return start(test);
}

/* The messages on the wire describe @count pages under @handle, and nothing else came. */
static void expect_description(struct kunit *test, struct guest_chan *guest, u32 handle, u32 count)
{
	u32 first = min_t(u32, count, HEADER_PFNS), left = count - first, i;
	u64 raw[SIM_PAYLOAD / sizeof(u64)];
	const struct sim_msg_gpadl *header = (const void *)raw;
	const struct sim_msg_gpadl_body *body = (const void *)raw;

	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_BODY), DIV_ROUND_UP(left, BODY_PFNS));
	KUNIT_EXPECT_EQ(test, sim_received_message(SIM_GPADL_HEADER, 0, raw, sizeof(raw)),
			28 + first * sizeof(u64));
	KUNIT_EXPECT_EQ(test, header->relid, guest->host->relid);
	KUNIT_EXPECT_EQ(test, header->gpadl, handle);
	KUNIT_EXPECT_EQ(test, header->ranges, 1);
	KUNIT_EXPECT_EQ(test, header->range_bytes, 8 + count * sizeof(u64));
	KUNIT_EXPECT_EQ(test, header->byte_count, count * SIM_PAGE);
	KUNIT_EXPECT_EQ(test, header->byte_offset, 0);
	for (i = 0; left; i++) {
		u32 now = min_t(u32, left, BODY_PFNS);

		KUNIT_EXPECT_EQ(test, sim_received_message(SIM_GPADL_BODY, i, raw, sizeof(raw)),
				16 + now * sizeof(u64));
		KUNIT_EXPECT_EQ(test, body->number, i);
		KUNIT_EXPECT_EQ(test, body->gpadl, handle);
		left -= now;
	}
	KUNIT_EXPECT_EQ(test, sim_gpadl_pages(handle), count);
}

/* How many of the host's pages are not those of @buffer, in their order. */
static u32 wrong_pages(u32 handle, void *buffer, u32 count)
{
	u32 i, wrong = 0;

	/* Its VSC would have to find it above the boundary. */
	for (i = 0; sim_has_alias() && i < count; i++)
		wrong += sim_gpadl_pfn(handle, i) != virt_to_hvpfn(buffer + i * SIM_PAGE);
	if (sim_has_alias())
		return wrong;
	for (i = 0; i < count; i++)
		*(u32 *)(buffer + i * SIM_PAGE) = ~i;
	for (i = 0; i < count; i++) {
		u64 pfn = sim_gpadl_pfn(handle, i);

		if (!pfn || *(u32 *)phys_to_virt(pfn * SIM_PAGE) != ~i)
			wrong++;
	}
	return wrong;
}

static void share(struct kunit *test, struct guest_chan *guest, void *buffer, u32 count)
{
	struct vmbus_gpadl gpadl = { };

	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, count * SIM_PAGE, &gpadl),
			0);
	KUNIT_EXPECT_NE(test, gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_NE(test, gpadl.decrypted, sim_external_is_private(guest->host));
	KUNIT_EXPECT_PTR_EQ(test, gpadl.buffer, buffer);
	KUNIT_EXPECT_EQ(test, gpadl.size, count * SIM_PAGE);
	expect_description(test, guest, gpadl.gpadl_handle, count);
	KUNIT_EXPECT_EQ(test, wrong_pages(gpadl.gpadl_handle, buffer, count), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(),
			SHARED_PAGES + PFN_UP(offset_in_page(buffer) + count * SIM_PAGE));

	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
	KUNIT_EXPECT_EQ(test, gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	/* Once is enough. */
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 1);
}

static void vmalloc_buffer(struct kunit *test)
{
	u32 count = *(const u32 *)test->param_value;
	struct guest_chan *guest = start(test);
	void *buffer = vzalloc(count * SIM_PAGE);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	share(test, guest, buffer, count);
	vfree(buffer);
}

static void direct_map_buffer(struct kunit *test)
{
	u32 count = *(const u32 *)test->param_value;
	struct guest_chan *guest = start(test);
	void *buffer = alloc_pages_exact(count * SIM_PAGE, GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	share(test, guest, buffer, count);
	free_pages_exact(buffer, count * SIM_PAGE);
}

/* Where the kernel's pages are larger it begins within one of them. */
static void buffer_across_pages(struct kunit *test)
{
	struct guest_chan *guest = start(test);
	void *buffer = vzalloc(3 * PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	share(test, guest, buffer + PAGE_SIZE - SIM_PAGE, 3);
	vfree(buffer);
}

static void rings(struct kunit *test)
{
	u32 count = *(const u32 *)test->param_value, tx, i, j, nr = 0, wrong = 0, handle;
	struct guest_chan *guest = start(test);
	struct vmbus_chan *chan;

	/* Of the kernel's pages, as many as describe themselves by so many of the host's. */
	count = max_t(u32, (count - 2) / SIM_PAGES_IN_PAGE + 2, 4);
	tx = 2 + sim_random(count - 3);
	KUNIT_ASSERT_EQ(test, vmbus_open(guest->ch, tx * PAGE_SIZE, (count - tx) * PAGE_SIZE, NULL,
					 0, guest_callback, guest), 0);
	chan = to_vmbus_chan(guest->ch);
	handle = guest->ch->ringbuffer_gpadlhandle.gpadl_handle;
	/* The host gets the first page of its own of each header, and all of the rest. */
	for (i = 0; i < count; i++)
		for (j = 0; j < (i && i != tx ? SIM_PAGES_IN_PAGE : 1); j++)
			wrong += sim_gpadl_pfn(handle, nr++) !=
				 page_to_pfn(chan->ring_pages[i]) * SIM_PAGES_IN_PAGE + j;
	expect_description(test, guest, handle, nr);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	sim_lock();
	KUNIT_EXPECT_EQ(test, guest->host->in.size, (tx - 1) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, guest->host->out.size, (count - tx - 1) * PAGE_SIZE);
	sim_unlock();
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + count);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
}

static void bad_buffers_reach_no_host(struct kunit *test)
{
	static const u32 bad_sizes[] = { 0, 1, SIM_PAGE - 1, SIM_PAGE + 8, SMALL + 1,
					 (MAX_PAGES + 1) * SIM_PAGE, 0xfffff000, U32_MAX };
	struct guest_chan *guest = start(test);
	void *buffer = vzalloc(SMALL + PAGE_SIZE);
	struct vmbus_gpadl gpadl;
	u32 handle = 1;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	for (i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
		memset(&gpadl, 0xff, sizeof(gpadl));
		KUNIT_EXPECT_EQ_MSG(test, vmbus_establish_gpadl(guest->ch, buffer, bad_sizes[i],
								&gpadl), -EINVAL,
				    "size %u", bad_sizes[i]);
		KUNIT_EXPECT_EQ(test, gpadl.gpadl_handle, 0);
		KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
	}
	for (i = 1; i < SIM_PAGE; i = i * 2 + 1)
		KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer + i, SMALL, &gpadl),
				-EINVAL);
	for (i = 0; i <= MAX_PAGES + 1; i += MAX_PAGES + 1)
		KUNIT_EXPECT_EQ(test, vmbus_gpadl_create_ring(to_vmbus_chan(guest->ch), NULL, i,
							      0, &handle), -EINVAL);
	KUNIT_EXPECT_EQ(test, handle, 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	vfree(buffer);
}

/* Many at once, which come and go in any order; no handle is used twice. */
static void many_come_and_go(struct kunit *test)
{
	struct guest_chan *guest = start(test);
	struct vmbus_gpadl gpadls[8] = { };
	u32 last = 0, i, at;
	void *buffer;

	buffer = vzalloc(ARRAY_SIZE(gpadls) * SMALL);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	for (i = 0; i < 100; i++) {
		at = sim_random(ARRAY_SIZE(gpadls));
		if (gpadls[at].gpadl_handle) {
			KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadls[at]), 0);
			continue;
		}
		KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer + at * SMALL, SMALL,
							    &gpadls[at]), 0);
		KUNIT_EXPECT_GT(test, gpadls[at].gpadl_handle, last);
		last = gpadls[at].gpadl_handle;
		KUNIT_EXPECT_EQ(test, wrong_pages(last, buffer + at * SMALL, SMALL / SIM_PAGE), 0);
	}
	for (at = 0; at < ARRAY_SIZE(gpadls); at++)
		KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadls[at]), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	vfree(buffer);
}

static void refused_buffer_is_given_back(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .times = 1,
					 .action = SIM_REFUSE, .status = FAILED };
	struct guest_chan *guest = start(test);
	void *buffer = vzalloc(SMALL);
	struct vmbus_gpadl gpadl;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, SMALL, &gpadl), -EDQUOT);
	KUNIT_EXPECT_EQ(test, gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, SMALL, &gpadl), 0);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
	vfree(buffer);
}

/* ---- memory that cannot be shown or hidden ---- */

static const int errors[] = { -EIO, -ENOMEM };

static void error_name(const int *err, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%pe", ERR_PTR(*err));
}

KUNIT_ARRAY_PARAM(errors, errors, error_name);

/* Whatever was wrong. */
static void buffer_that_cannot_be_shown(struct kunit *test)
{
	struct guest_chan *guest = start_shown(test);
	int err = *(const int *)test->param_value;
	void *buffer = vzalloc(SMALL);
	struct vmbus_gpadl gpadl;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	sim_fail_visible(1, true);
	sim_fail_visible_by(err);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, SMALL, &gpadl), -EIO);
	KUNIT_EXPECT_EQ(test, gpadl.gpadl_handle, 0);
	/* In an unknown state: a VSC must not free it. */
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	vfree(buffer);
}

static void buffer_that_cannot_be_hidden(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .skip = 1, .times = 1,
					 .action = SIM_REFUSE, .status = FAILED };
	struct guest_chan *guest = start_shown(test);
	struct vmbus_gpadl gpadls[2];
	void *buffer = vzalloc(2 * SMALL);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, SMALL, &gpadls[0]), 0);
	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadls[0]), -EIO);
	KUNIT_EXPECT_EQ(test, gpadls[0].gpadl_handle, 0);
	KUNIT_EXPECT_TRUE(test, gpadls[0].decrypted);

	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer + SMALL, SMALL, &gpadls[1]),
			-EDQUOT);
	KUNIT_EXPECT_EQ(test, gpadls[1].gpadl_handle, 0);
	KUNIT_EXPECT_TRUE(test, gpadls[1].decrypted);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	sim_take_back(buffer, 2 * SMALL / PAGE_SIZE);
	vfree(buffer);
}

static void ring_pages_that_cannot_be_hidden(struct kunit *test)
{
	struct guest_chan *guest = start_shown(test);

	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	sim_fail_visible(3, false);
	vmbus_close(guest->ch);
	/* That page is leaked, all others are not. */
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + 1);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* ---- rescinds ---- */

/* A buffer for guest_call_begin(). */
struct sharing {
	struct guest_chan *guest;
	void *buffer;
	u32 size;
	struct vmbus_gpadl gpadl;
};

static int establish(void *context)
{
	struct sharing *sharing = context;

	return vmbus_establish_gpadl(sharing->guest->ch, sharing->buffer, sharing->size,
				     &sharing->gpadl);
}

static int teardown(void *context)
{
	struct sharing *sharing = context;

	return vmbus_teardown_gpadl(sharing->guest->ch, &sharing->gpadl);
}

static struct sharing *new_sharing(struct kunit *test, struct guest_chan *guest, u32 size)
{
	struct sharing *sharing = kunit_kzalloc(test, sizeof(*sharing), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sharing);
	sharing->guest = guest;
	sharing->size = size;
	sharing->buffer = vzalloc(size);
	KUNIT_ASSERT_NOT_NULL(test, sharing->buffer);
	return sharing;
}

/*
 * A sub-channel that its user has open: after a rescind it stays until it is
 * closed, so its user can go on.
 */
static struct guest_chan *start_sub(struct kunit *test)
{
	struct sim_chan *host = sim_add(test, NULL, &sim_echo);
	struct guest_chan *primary = guest_new(test, host);
	struct guest_chan *sub = guest_new(test, sim_add_sub(test, host, 1, &sim_echo));

	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	primary->ch = sim_guest_channel(test, primary->host);
	sub->ch = sim_guest_channel(test, sub->host);
	KUNIT_ASSERT_EQ(test, guest_try_open(primary), 0);
	KUNIT_ASSERT_EQ(test, guest_try_open(sub), 0);
	return sub;
}

static void close_revoked(struct kunit *test, struct sharing *sharing)
{
	KUNIT_EXPECT_FALSE(test, sim_gone(sharing->guest->host));
	vmbus_close(sharing->guest->ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sharing->guest->host)));
	/* Those of the primary's ring. */
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + 2 * GUEST_RING / PAGE_SIZE);
	vfree(sharing->buffer);
}

static void rescind_now(struct sim_chan *chan, void *arg)
{
	sim_rescind_locked(chan);
}

static void rescind_within_description(struct kunit *test)
{
	const struct sim_rule rescind = { .type = SIM_GPADL_BODY, .skip = 3, .times = 1,
					  .hook = rescind_now };
	struct guest_chan *sub = start_sub(test);
	struct sharing *sharing = new_sharing(test, sub, 1000 * SIM_PAGE);

	sim_rule(&rescind);
	KUNIT_EXPECT_EQ(test, establish(sharing), -EDQUOT);
	KUNIT_EXPECT_EQ(test, sharing->gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	close_revoked(test, sharing);
}

static void rescind_after_description(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_GPADL_HEADER, .action = SIM_HOLD };
	struct guest_chan *sub = start_sub(test);
	struct sharing *sharing = new_sharing(test, sub, 100 * SIM_PAGE);
	struct guest_call *call;

	sim_rule(&hold);
	call = guest_call_begin(test, establish, sharing);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_BODY) == 3));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_rescind(sub->host);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), -ENODEV);
	KUNIT_EXPECT_LT(test, call->took_ms, AT_ONCE_MS);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	close_revoked(test, sharing);
}

static void rescind_ends_teardown(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .times = 1, .action = SIM_HOLD };
	struct guest_chan *sub = start_sub(test);
	struct sharing *sharing = new_sharing(test, sub, SMALL);
	struct guest_call *call;

	KUNIT_EXPECT_EQ(test, establish(sharing), 0);
	sim_rule(&hold);
	call = guest_call_begin(test, teardown, sharing);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN)));
	sim_rescind(sub->host);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_LT(test, call->took_ms, AT_ONCE_MS);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	close_revoked(test, sharing);
}

static void revoked_channel_has_no_gpadls(struct kunit *test)
{
	struct guest_chan *sub = start_sub(test);
	struct sharing *sharing = new_sharing(test, sub, SMALL);

	KUNIT_EXPECT_EQ(test, establish(sharing), 0);
	sim_rescind(sub->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(sub->ch->rescind)));
	KUNIT_EXPECT_EQ(test, teardown(sharing), 0);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, establish(sharing), -ENODEV);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 3);
	close_revoked(test, sharing);
}

/* ---- answers about something else ---- */

static void answer_for_another_is_none(struct kunit *test)
{
	const struct sim_rule wrong = { .type = SIM_GPADL_HEADER, .times = 1,
					.action = SIM_WRONG_ID };
	const struct sim_rule twice = { .type = SIM_GPADL_TEARDOWN, .action = SIM_TWICE };
	struct guest_chan *guest = start(test);
	struct sharing *sharing = new_sharing(test, guest, SMALL);

	sim_rule(&wrong);
	sim_rule(&twice);
	in_vain(test, CHANNELMSG_GPADL_CREATED, 0, IN_VAIN_MS);
	KUNIT_EXPECT_EQ(test, establish(sharing), -ETIMEDOUT);
	/* The host said that it let go. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 1);
	KUNIT_EXPECT_FALSE(test, sharing->gpadl.decrypted);
	in_vain_end();
	KUNIT_EXPECT_EQ(test, establish(sharing), 0);
	KUNIT_EXPECT_EQ(test, teardown(sharing), 0);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	vfree(sharing->buffer);
}

static struct kunit_case gpadl_cases[] = {
	KUNIT_CASE_PARAM(vmalloc_buffer, page_counts_gen_params),
	KUNIT_CASE_PARAM(direct_map_buffer, block_counts_gen_params),
	KUNIT_CASE(buffer_across_pages),
	KUNIT_CASE_PARAM(rings, ring_counts_gen_params),
	KUNIT_CASE(bad_buffers_reach_no_host),
	KUNIT_CASE(many_come_and_go),
	KUNIT_CASE(refused_buffer_is_given_back),
	KUNIT_CASE_PARAM(buffer_that_cannot_be_shown, errors_gen_params),
	KUNIT_CASE(buffer_that_cannot_be_hidden),
	KUNIT_CASE(ring_pages_that_cannot_be_hidden),
	KUNIT_CASE(rescind_within_description),
	KUNIT_CASE(rescind_after_description),
	KUNIT_CASE(rescind_ends_teardown),
	KUNIT_CASE(revoked_channel_has_no_gpadls),
	KUNIT_CASE(answer_for_another_is_none),
	{}
};

struct kunit_suite gpadl_suite = {
	.name = "hv_vmbus_gpadl",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = gpadl_cases,
};
