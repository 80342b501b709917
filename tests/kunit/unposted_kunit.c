// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_unposted: requests that cannot be posted, and requests when there is
 * no connection any more. What the host may still use is kept then, too.
 */
#include <linux/ratelimit_types.h>
#include <linux/vmalloc.h>

#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define SHARED_PAGES	3	/* of the connection itself */
#define RING_PAGES	(2 * GUEST_RING / PAGE_SIZE)
#define BUFFER_PAGES	4
#define POST_MS		200

/* A channel and a buffer. */
struct caller {
	struct guest_chan *guest;
	void *buffer;
	struct vmbus_gpadl gpadl;
};

static int call_open(struct caller *caller)
{
	return guest_try_open(caller->guest);
}

static int call_connect(struct caller *caller)
{
	return vmbus_alloc_ring(caller->guest->ch, GUEST_RING, GUEST_RING) ?:
	       vmbus_connect_ring(caller->guest->ch, guest_callback, caller->guest);
}

static int call_disconnect(struct caller *caller)
{
	return vmbus_disconnect_ring(caller->guest->ch);
}

static int call_establish(struct caller *caller)
{
	return vmbus_establish_gpadl(caller->guest->ch, caller->buffer, BUFFER_PAGES * PAGE_SIZE,
				     &caller->gpadl);
}

static int call_teardown(struct caller *caller)
{
	return vmbus_teardown_gpadl(caller->guest->ch, &caller->gpadl);
}

static int call_modify(struct caller *caller)
{
	return vmbus_send_modifychannel(caller->guest->ch, vmbus_host->vp_index(1));
}

/*
 * A call whose message does not go out.
 *
 * @type: of the message
 * @prepare: call that has to work before, or NULL
 * @kept: pages that the host may use afterwards
 * @of_vsc: pages among them that the driver cannot free
 */
static const struct unposted {
	const char *name;
	u32 type;
	int (*prepare)(struct caller *caller);
	int (*call)(struct caller *caller);
	u32 kept, of_vsc;
} unposted[] = {
	{ "open: gpadl", SIM_GPADL_HEADER, NULL, call_open, 0, 0 },
	{ "open: open", SIM_OPEN, NULL, call_open, 0, 0 },
	{ "disconnect: close", SIM_CLOSE, call_connect, call_disconnect, RING_PAGES, 0 },
	{ "disconnect: teardown", SIM_GPADL_TEARDOWN, call_connect, call_disconnect,
	  RING_PAGES, 0 },
	{ "establish", SIM_GPADL_HEADER, NULL, call_establish, 0, 0 },
	{ "teardown", SIM_GPADL_TEARDOWN, call_establish, call_teardown, BUFFER_PAGES,
	  BUFFER_PAGES },
	{ "modify", SIM_MODIFY, call_open, call_modify, RING_PAGES, 0 },
};

static void unposted_name(const struct unposted *unposted, char *desc)
{
	strscpy(desc, unposted->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(unposted, unposted, unposted_name);

static struct caller *start(struct kunit *test)
{
	const struct unposted *about = test->param_value;
	struct caller *caller = kunit_kzalloc(test, sizeof(*caller), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, caller);
	if (about->call == call_connect || about->prepare == call_connect)
		sim_needs_linear_rings(test);
	caller->guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	caller->buffer = vzalloc(BUFFER_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, caller->buffer);
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	caller->guest->ch = sim_guest_channel(test, caller->guest->host);
	if (about->prepare)
		KUNIT_ASSERT_EQ(test, about->prepare(caller), 0);
	return caller;
}

/* The kernel lets 10 lines of a kind pass in 5 s; the cases that look for one have fewer. */
static void spare_the_limit(void)
{
	static bool spared;

	if (!spared)
		msleep(5100);
	spared = true;
	BUILD_BUG_ON(ARRAY_SIZE(unposted) > DEFAULT_RATELIMIT_BURST);
}

static void expect_failure(struct kunit *test, struct caller *caller, int error)
{
	const struct unposted *about = test->param_value;

	KUNIT_EXPECT_EQ(test, about->call(caller), error);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + about->kept);
	KUNIT_EXPECT_EQ(test, caller->gpadl.decrypted, about->of_vsc != 0);
	KUNIT_EXPECT_EQ(test, caller->gpadl.gpadl_handle, 0);
}

/* The end of the connection is that of the host's use. */
static void finish(struct kunit *test, struct caller *caller)
{
	const struct unposted *about = test->param_value;

	sim_stop(test);
	/* The paravisor sees all, and lets go of what is private. */
	KUNIT_EXPECT_EQ(test, sim_host_pages(),
			caller->guest->host->co_external ? 0 : about->of_vsc);
	sim_take_back(caller->buffer, BUFFER_PAGES);
	vfree(caller->buffer);
}

static void refused_post(struct kunit *test)
{
	const struct unposted *about = test->param_value;
	struct caller *caller = start(test);
	unsigned int before = sim_received_all(about->type);

	sim_fail_posts(about->type, -EIO, 1);
	expect_failure(test, caller, -EIO);
	KUNIT_EXPECT_EQ(test, sim_received_all(about->type), before);
	finish(test, caller);
}

static void host_without_buffers(struct kunit *test)
{
	const struct unposted *about = test->param_value;
	struct caller *caller = start(test);
	unsigned int before = sim_received_all(about->type);
	u64 mark;

	spare_the_limit();
	mark = sim_log_mark();
	/* Other posts than those must not have to be tried again then. */
	sim_busy(0);
	vmbus_deadlines.post = POST_MS;
	sim_fail_posts(about->type, -EAGAIN, 0);
	expect_failure(test, caller, -ENOBUFS);
	KUNIT_EXPECT_EQ(test, sim_received_all(about->type), before);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "posting "), 1);
	sim_fail_posts(0, 0, 1);
	sim_busy(25);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	finish(test, caller);
}

/* A host short of buffers for a while only costs time. */
static void host_with_buffers_in_the_end(struct kunit *test)
{
	const struct unposted *about = test->param_value;
	struct caller *caller = start(test);

	sim_fail_posts(about->type, -EAGAIN, 10);
	KUNIT_EXPECT_EQ(test, about->call(caller), 0);
	if (caller->gpadl.gpadl_handle)
		KUNIT_EXPECT_EQ(test, call_teardown(caller), 0);
	vmbus_close(caller->guest->ch);
	vmbus_free_ring(caller->guest->ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	sim_take_back(caller->buffer, BUFFER_PAGES);
	vfree(caller->buffer);
}

/* As when another kernel is about to start, and somebody still calls. */
static void without_connection(struct kunit *test)
{
	struct caller *caller;

	/* What a paravisor alone sees it has let go of by then. */
	sim_share_all();
	caller = start(test);
	KUNIT_EXPECT_TRUE(test, vmbus_unload());
	/* A close is posted even now, and later what the host has forgotten is torn down. */
	sim_allow_violations();
	vmbus_deadlines.request = POST_MS;
	expect_failure(test, caller, -ESHUTDOWN);
	sim_undo_unload();
	finish(test, caller);
}

static struct kunit_case unposted_cases[] = {
	KUNIT_CASE_PARAM(refused_post, unposted_gen_params),
	KUNIT_CASE_PARAM(host_without_buffers, unposted_gen_params),
	KUNIT_CASE_PARAM(host_with_buffers_in_the_end, unposted_gen_params),
	KUNIT_CASE_PARAM(without_connection, unposted_gen_params),
	{}
};

struct kunit_suite unposted_suite = {
	.name = "hv_vmbus_unposted",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = unposted_cases,
};
