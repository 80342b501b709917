// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_channel: open and close, with and without sub-channels, and what a
 * rescind does to them.
 */
#include "call.h"
#include "guest.h"
#include "in_vain.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define FAILED		0x8000ffff

/* What the connection itself shares with the host. */
#define SHARED_PAGES	3

/* A rescind ends a wait at once, but for what the machine adds; the deadline is 60 s. */
#define AT_ONCE_MS	15000

/*
 * Starts with one channel on a host that sees only what is shared with it, so
 * that ring pages can be counted.
 */
static struct guest_chan *start(struct kunit *test, const struct sim_vsp *vsp)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, vsp));

	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	return guest;
}

/* The same; the channel may be rescinded: put_revoked() ends it. */
static struct guest_chan *start_held(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);

	vmbus_chan_get(to_vmbus_chan(guest->ch));
	return guest;
}

/* Nothing of a channel that is not open is left anywhere. */
static void expect_clean(struct kunit *test, struct guest_chan *guest)
{
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, guest->ch->state, CHANNEL_OPEN_STATE);
	KUNIT_EXPECT_PTR_EQ(test, guest->ch->onchannel_callback, NULL);
	KUNIT_EXPECT_PTR_EQ(test, guest->ch->outbound.ring_buffer, NULL);
	KUNIT_EXPECT_PTR_EQ(test, guest->ch->inbound.ring_buffer, NULL);
	KUNIT_EXPECT_EQ(test, guest->ch->ringbuffer_gpadlhandle.gpadl_handle, 0);
}

static void put_revoked(struct kunit *test, struct guest_chan *guest)
{
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guest->host)));
	KUNIT_EXPECT_EQ(test, guest->host->releases, 1);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -ENODEV);
	expect_clean(test, guest);
	vmbus_chan_put(to_vmbus_chan(guest->ch));
}

static void echoes(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	static const char sent[24] = "hello";

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->reads = true;
	sim_start_ok(test, version->version);
	guest_open(test, guest, chan);
	KUNIT_EXPECT_EQ(test, guest_send(guest, sent, sizeof(sent), 7), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received)));
	KUNIT_EXPECT_EQ(test, guest->last_len, sizeof(sent));
	KUNIT_EXPECT_EQ(test, guest->last_id, 7);
	KUNIT_EXPECT_STREQ(test, (char *)guest->last, sent);
	KUNIT_EXPECT_EQ(test, sim_signals(chan), 1);
	vmbus_close(guest->ch);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	sim_reoffer(chan);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, chan));
}

/* ---- the host refuses ---- */

static void refused_open_gives_all_back(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_OPEN, .times = 1, .action = SIM_REFUSE,
					 .status = FAILED };
	struct guest_chan *guest = start(test, &sim_echo);

	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EAGAIN);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	expect_clean(test, guest);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

static void refused_gpadl_gives_all_back(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .times = 1,
					 .action = SIM_REFUSE, .status = FAILED };
	struct guest_chan *guest = start(test, &sim_echo);

	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EDQUOT);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 0);
	expect_clean(test, guest);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

static void no_page_can_be_shared(struct kunit *test)
{
	const unsigned int last = 2 * GUEST_RING / PAGE_SIZE;
	const unsigned int nth[] = { 1, last / 2 + 1, last };	/* of both rings */
	struct guest_chan *guest;
	unsigned int i;

	sim_share_all();
	guest = start(test, &sim_echo);
	for (i = 0; i < ARRAY_SIZE(nth); i++) {
		sim_fail_visible(nth[i], true);
		KUNIT_EXPECT_EQ(test, guest_try_open(guest), -ENOMEM);
		expect_clean(test, guest);
		sim_fail_visible(nth[i], true);
		KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(guest->ch, GUEST_RING, GUEST_RING),
				sim_has_alias() ? -EOPNOTSUPP : -ENOMEM);
		sim_fail_visible(0, true);
		expect_clean(test, guest);
	}
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
}

/* ---- posts that fail ---- */

/*
 * A message that cannot be posted.
 *
 * @closing: it is one of closing
 * @kept: pages that the host may use then
 * @gpadls: that the host has heard of then
 */
static const struct failed_post {
	const char *name;
	u32 type;
	bool closing;
	u32 kept;
	u32 gpadls;
} failed_posts[] = {
	{ "header", SIM_GPADL_HEADER, false, 0, 0 },
	/* The host knows the pages of the header by then. */
	{ "body", SIM_GPADL_BODY, false, 0, 0 },
	{ "open", SIM_OPEN, false, 0, 0 },
	{ "close", SIM_CLOSE, true, 64, 1 },
	{ "teardown", SIM_GPADL_TEARDOWN, true, 64, 1 },
};

static void failed_post_name(const struct failed_post *post, char *desc)
{
	strscpy(desc, post->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(failed_posts, failed_posts, failed_post_name);

static int open_large(struct guest_chan *guest)
{
	return vmbus_open(guest->ch, 32 * PAGE_SIZE, 32 * PAGE_SIZE, NULL, 0, guest_callback,
			  guest);
}

static void failed_post(struct kunit *test)
{
	const struct failed_post *post = test->param_value;
	struct guest_chan *guest = start(test, &sim_echo);

	if (post->closing)
		KUNIT_EXPECT_EQ(test, open_large(guest), 0);
	sim_fail_posts(post->type, -EIO, 1);
	if (post->closing)
		vmbus_close(guest->ch);
	else
		KUNIT_EXPECT_EQ(test, open_large(guest), -EIO);
	KUNIT_EXPECT_EQ(test, sim_received_all(post->type), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), post->gpadls);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + post->kept);
	KUNIT_EXPECT_EQ(test, guest->ch->state, CHANNEL_OPEN_STATE);
	/* For the host it is still open after a CLOSECHANNEL that it never got. */
	if (post->type != SIM_CLOSE) {
		KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
		KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	}
	/* The end of the connection frees what was kept. */
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), 0);
}

/* ---- a rescind at each step ---- */

static void rescind_now(struct sim_chan *chan, void *arg)
{
	sim_rescind_locked(chan);
}

static void rescind_within_description(struct kunit *test)
{
	const struct sim_rule rescind = { .type = SIM_GPADL_BODY, .skip = 1, .times = 1,
					  .hook = rescind_now };
	struct guest_chan *guest = start_held(test);

	sim_rule(&rescind);
	KUNIT_EXPECT_EQ(test, vmbus_open(guest->ch, 64 * PAGE_SIZE, 64 * PAGE_SIZE, NULL, 0,
					 guest_callback, guest), -EDQUOT);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
	put_revoked(test, guest);
}

/* The answer to @type is held back, the channel rescinded, the answer comes after all. */
static void rescind_ends_wait(struct kunit *test, u32 type)
{
	const struct sim_rule hold = { .type = type, .action = SIM_HOLD };
	struct guest_chan *guest = start_held(test);
	struct guest_call *call;

	sim_rule(&hold);
	call = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(type)));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_rescind(guest->host);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), -ENODEV);
	KUNIT_EXPECT_LT(test, call->took_ms, AT_ONCE_MS);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	put_revoked(test, guest);
}

static void rescind_after_description(struct kunit *test)
{
	rescind_ends_wait(test, SIM_GPADL_HEADER);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
}

static void rescind_while_opening(struct kunit *test)
{
	rescind_ends_wait(test, SIM_OPEN);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 0);
}

/* The host took the channel back before it saw the OPENCHANNEL: it never answers. */
static void rescind_before_open_is_seen(struct kunit *test)
{
	const struct sim_rule rescind = { .type = SIM_OPEN, .hook = rescind_now };
	struct guest_chan *guest = start_held(test);
	ktime_t begin = ktime_get();

	sim_rule(&rescind);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -ENODEV);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), begin), AT_ONCE_MS);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_OPEN_RESULT), 0);
	put_revoked(test, guest);
}

static void rescind_ends_open_channel(struct kunit *test)
{
	struct guest_chan *guest = start_held(test);

	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	sim_rescind(guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guest->host)));
	KUNIT_EXPECT_EQ(test, guest_send(guest, "x", 1, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	put_revoked(test, guest);
}

/* A rescinded channel whose ring the host still describes in a request. */
static void rescind_while_closing(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .action = SIM_HOLD };
	struct guest_chan *guest = start_held(test);
	struct guest_call *call;

	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	sim_rule(&hold);
	call = guest_call_begin(test, guest_close, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN)));
	sim_rescind(guest->host);
	guest_call_end(call);
	KUNIT_EXPECT_LT(test, call->took_ms, AT_ONCE_MS);
	put_revoked(test, guest);
}

/* ---- open and close ---- */

static void opens_once(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);

	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EBUSY);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(guest->ch, guest_callback, guest), -EBUSY);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(guest->ch), -EINVAL);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 1);
	KUNIT_EXPECT_EQ(test, guest_send(guest, "x", 1, 0), -ENODEV);
	expect_clean(test, guest);
}

static void close_waits_for_open(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_OPEN, .action = SIM_HOLD };
	struct guest_chan *guest = start(test, &sim_echo);
	struct guest_call *open, *close, *again;

	sim_rule(&hold);
	open = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN)));
	KUNIT_EXPECT_EQ(test, guest->ch->state, CHANNEL_OPENING_STATE);
	close = guest_call_begin(test, guest_close, guest);
	again = guest_call_begin(test, guest_try_open, guest);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(open));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(close));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(again));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	sim_clear_rules();
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(open), 0);
	guest_call_end(close);
	/* Whichever of the two came first. */
	if (guest_call_end(again))
		KUNIT_EXPECT_EQ(test, again->result, -EBUSY);
	else
		vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), sim_received(SIM_OPEN));
	expect_clean(test, guest);
}

static void reopens_with_other_sizes(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);
	unsigned int i;

	for (i = 0; i < 20; i++) {
		u32 tx = (2 + sim_random(i < 10 ? 4 : 64)) * PAGE_SIZE;
		u32 rx = (2 + sim_random(i < 10 ? 4 : 64)) * PAGE_SIZE;

		KUNIT_ASSERT_EQ(test, vmbus_open(guest->ch, tx, rx, NULL, 0, guest_callback,
						 guest), 0);
		KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + (tx + rx) / PAGE_SIZE);
		sim_lock();
		KUNIT_EXPECT_EQ(test, guest->host->in.size, tx - PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, guest->host->out.size, rx - PAGE_SIZE);
		sim_unlock();
		KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
		vmbus_close(guest->ch);
		expect_clean(test, guest);
	}
	KUNIT_EXPECT_EQ(test, guest->host->opens, 20);
	KUNIT_EXPECT_EQ(test, guest->host->closes, 20);
}

static void user_data_arrives(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);
	u8 data[121], none[120] = { };
	u32 len, i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = i + 1;
	for (len = 0; len <= 120; len += len == 64 ? 56 : 32) {
		KUNIT_EXPECT_EQ(test, vmbus_open(guest->ch, GUEST_RING, GUEST_RING, data, len,
						 guest_callback, guest), 0);
		KUNIT_EXPECT_EQ(test, memcmp(guest->host->user_data, data, len), 0);
		KUNIT_EXPECT_EQ(test, memcmp(guest->host->user_data + len, none, 120 - len), 0);
		vmbus_close(guest->ch);
	}
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 4);
	KUNIT_EXPECT_EQ(test, vmbus_open(guest->ch, GUEST_RING, GUEST_RING, data, 121,
					 guest_callback, guest), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 4);
	expect_clean(test, guest);
}

static void bad_arguments_reach_no_host(struct kunit *test)
{
	static const struct {
		u32 tx, rx;
	} bad[] = {
		{ 0, GUEST_RING }, { GUEST_RING, 0 }, { PAGE_SIZE, GUEST_RING },
		{ GUEST_RING, PAGE_SIZE }, { GUEST_RING + 8, GUEST_RING },
		{ GUEST_RING, 3 * PAGE_SIZE - 1 }, { 8189 * PAGE_SIZE, 2 * PAGE_SIZE },
		{ 2 * PAGE_SIZE, 8189 * PAGE_SIZE }, { 0x80000000, 0x80000000 },
		{ 0xfffff000, 0xfffff000 },
	};
	struct guest_chan *guest = start(test, &sim_echo);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, vmbus_open(guest->ch, bad[i].tx, bad[i].rx, NULL, 0,
						     guest_callback, guest), -EINVAL,
				    "rings of %u, %u", bad[i].tx, bad[i].rx);
		KUNIT_EXPECT_EQ_MSG(test, vmbus_alloc_ring(guest->ch, bad[i].tx, bad[i].rx),
				    -EINVAL, "rings of %u, %u", bad[i].tx, bad[i].rx);
	}
	KUNIT_EXPECT_EQ(test, vmbus_open(guest->ch, GUEST_RING, GUEST_RING, NULL, 0, NULL,
					 guest), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
	expect_clean(test, guest);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
}

/* An answer that belongs to an open which was given up must not end the next one. */
static void late_result_is_not_the_next(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_OPEN, .times = 1, .action = SIM_DROP };
	const struct sim_rule hold = { .type = SIM_OPEN, .action = SIM_HOLD };
	struct guest_chan *guest = start(test, &sim_echo);
	struct guest_call *call;
	struct sim_msg_open first = { };

	sim_rule(&drop);
	sim_rule(&hold);
	in_vain(test, CHANNELMSG_OPENCHANNEL_RESULT, 0, IN_VAIN_MS);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -ETIMEDOUT);
	expect_clean(test, guest);
	in_vain_end();
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 1);
	KUNIT_EXPECT_EQ(test, sim_received_message(SIM_OPEN, 0, &first, sizeof(first)),
			sizeof(first));
	call = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN) == 2));
	sim_send_result(SIM_OPEN_RESULT, guest->host->relid, first.open_id, 0);
	sim_send_result(SIM_OPEN_RESULT, guest->host->relid, first.open_id, FAILED);
	sim_drain(test);
	msleep(20);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* ---- rings of the caller, as uio has them ---- */

static void ring_of_the_caller(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);
	struct vmbus_channel *ch = guest->ch;
	struct page *page;

	sim_needs_linear_rings(test);
	KUNIT_ASSERT_EQ(test, vmbus_alloc_ring(ch, GUEST_RING, 2 * GUEST_RING), 0);
	page = ch->ringbuffer_page;
	KUNIT_EXPECT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, ch->ringbuffer_pagecount, 3 * GUEST_RING / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ch->ringbuffer_send_offset, GUEST_RING / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadl_pfn(ch->ringbuffer_gpadlhandle.gpadl_handle, 1),
			(page_to_pfn(page) + 1) * SIM_PAGES_IN_PAGE);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	/* It stays for another time, and is not freed while it is in use. */
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), 0);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), 0);
	KUNIT_EXPECT_PTR_EQ(test, ch->ringbuffer_page, page);
	vmbus_free_ring(ch);
	KUNIT_EXPECT_PTR_EQ(test, ch->ringbuffer_page, page);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), 0);
	vmbus_free_ring(ch);
	KUNIT_EXPECT_PTR_EQ(test, ch->ringbuffer_page, NULL);
	expect_clean(test, guest);
}

static void rings_in_wrong_order(struct kunit *test)
{
	struct guest_chan *guest = start(test, &sim_echo);
	struct vmbus_channel *ch = guest->ch;

	sim_needs_linear_rings(test);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), -EINVAL);
	vmbus_free_ring(ch);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(ch, GUEST_RING, GUEST_RING), 0);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(ch, GUEST_RING, GUEST_RING), -EBUSY);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EBUSY);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, NULL, guest), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), 0);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), -EBUSY);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(ch, GUEST_RING, GUEST_RING), -EBUSY);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	/* A close instead: it frees the ring, too. */
	vmbus_close(ch);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), -EINVAL);
	vmbus_free_ring(ch);
	expect_clean(test, guest);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
}

static void refused_connect_keeps_ring(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_OPEN, .times = 1, .action = SIM_REFUSE,
					 .status = FAILED };
	struct guest_chan *guest = start(test, &sim_echo);
	struct page *page;

	sim_needs_linear_rings(test);
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(guest->ch, GUEST_RING, GUEST_RING), 0);
	page = guest->ch->ringbuffer_page;
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(guest->ch, guest_callback, guest), -EAGAIN);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_PTR_EQ(test, guest->ch->ringbuffer_page, page);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(guest->ch, guest_callback, guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(guest->ch), 0);
	vmbus_free_ring(guest->ch);
	expect_clean(test, guest);
}

/* ---- sub-channels ---- */

/* In the order in which the host was told to close: relids. */
static u32 closed_order[8];
static unsigned int nr_closed;

static void note_close(struct sim_chan *chan)
{
	if (nr_closed < ARRAY_SIZE(closed_order))
		closed_order[nr_closed++] = chan->relid;
}

static void leave_it(struct sim_chan *chan)
{
}

static const struct sim_vsp noting = { .signalled = leave_it, .closed = note_close };

/* A primary channel and two sub-channels of it. */
static void start_subs(struct kunit *test, struct guest_chan *guests[3])
{
	unsigned int i;

	nr_closed = 0;
	guests[0] = guest_new(test, sim_add(test, &sim_type_perf, &noting));
	for (i = 1; i < 3; i++)
		guests[i] = guest_new(test, sim_add_sub(test, guests[0]->host, i, &noting));
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < 3; i++)
		guests[i]->ch = sim_guest_channel(test, guests[i]->host);
}

static void sub_needs_open_primary(struct kunit *test)
{
	struct guest_chan *guests[3];

	start_subs(test, guests);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[1]), -ENODEV);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[0]), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[1]), 0);
	vmbus_close(guests[1]->ch);
	vmbus_close(guests[0]->ch);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[2]), -ENODEV);
	expect_clean(test, guests[0]);
}

static void primary_closes_subs_first(struct kunit *test)
{
	struct guest_chan *guests[3];
	unsigned int i;

	start_subs(test, guests);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, guest_try_open(guests[i]), 0);
	vmbus_close(guests[0]->ch);
	KUNIT_EXPECT_EQ(test, nr_closed, 3);
	KUNIT_EXPECT_EQ(test, closed_order[2], guests[0]->host->relid);
	for (i = 0; i < 3; i++)
		expect_clean(test, guests[i]);
	/* A driver that closes its sub-channels afterwards does no harm. */
	vmbus_close(guests[1]->ch);
	KUNIT_EXPECT_EQ(test, nr_closed, 3);
}

static void sub_rings_are_linear_like_primary(struct kunit *test)
{
	struct guest_chan *guests[3];

	sim_needs_linear_rings(test);
	start_subs(test, guests);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(guests[0]->ch, GUEST_RING, GUEST_RING), 0);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(guests[0]->ch, guest_callback, guests[0]), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[1]), 0);
	KUNIT_EXPECT_NOT_NULL(test, guests[1]->ch->ringbuffer_page);
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(guests[0]->ch), 0);
	vmbus_free_ring(guests[0]->ch);
	expect_clean(test, guests[0]);
	expect_clean(test, guests[1]);
}

/* It is its user's until it is closed; closed or not, it is released once. */
static void revoked_sub_waits_for_its_user(struct kunit *test)
{
	struct guest_chan *guests[3];
	unsigned int i;

	start_subs(test, guests);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, guest_try_open(guests[i]), 0);
	vmbus_chan_get(to_vmbus_chan(guests[1]->ch));
	sim_rescind(guests[1]->host);
	sim_rescind(guests[2]->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guests[2]->host)));
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(guests[1]->ch->rescind)));
	flush_workqueue(vmbus_bus.chan_wq);
	KUNIT_EXPECT_FALSE(test, sim_gone(guests[1]->host));
	KUNIT_EXPECT_EQ(test, guest_send(guests[1], "x", 1, 0), -ENODEV);
	vmbus_close(guests[1]->ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guests[1]->host)));
	KUNIT_EXPECT_EQ(test, guests[1]->host->releases, 1);
	KUNIT_EXPECT_EQ(test, guest_try_open(guests[1]), -ENODEV);
	vmbus_chan_put(to_vmbus_chan(guests[1]->ch));
	vmbus_close(guests[0]->ch);
	expect_clean(test, guests[0]);
}

static void rescinded_primary_takes_open_subs(struct kunit *test)
{
	struct guest_chan *guests[3];
	unsigned int i;

	start_subs(test, guests);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, guest_try_open(guests[i]), 0);
	sim_rescind(guests[0]->host);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(guests[i]->host)));
		KUNIT_EXPECT_EQ(test, guests[i]->host->releases, 1);
	}
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

static struct kunit_case channel_cases[] = {
	KUNIT_CASE_PARAM(echoes, sim_versions_gen_params),
	KUNIT_CASE(refused_open_gives_all_back),
	KUNIT_CASE(refused_gpadl_gives_all_back),
	KUNIT_CASE(no_page_can_be_shared),
	KUNIT_CASE_PARAM(failed_post, failed_posts_gen_params),
	KUNIT_CASE(rescind_within_description),
	KUNIT_CASE(rescind_after_description),
	KUNIT_CASE(rescind_while_opening),
	KUNIT_CASE(rescind_before_open_is_seen),
	KUNIT_CASE(rescind_ends_open_channel),
	KUNIT_CASE(rescind_while_closing),
	KUNIT_CASE(opens_once),
	KUNIT_CASE(close_waits_for_open),
	KUNIT_CASE(reopens_with_other_sizes),
	KUNIT_CASE(user_data_arrives),
	KUNIT_CASE(bad_arguments_reach_no_host),
	KUNIT_CASE(late_result_is_not_the_next),
	KUNIT_CASE(ring_of_the_caller),
	KUNIT_CASE(rings_in_wrong_order),
	KUNIT_CASE(refused_connect_keeps_ring),
	KUNIT_CASE(sub_needs_open_primary),
	KUNIT_CASE(primary_closes_subs_first),
	KUNIT_CASE(sub_rings_are_linear_like_primary),
	KUNIT_CASE(revoked_sub_waits_for_its_user),
	KUNIT_CASE(rescinded_primary_takes_open_subs),
	{}
};

struct kunit_suite channel_suite = {
	.name = "hv_vmbus_channel",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = channel_cases,
};
