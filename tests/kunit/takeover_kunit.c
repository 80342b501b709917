// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_takeover: a kernel starts on a host that still has the connection of
 * a kernel that crashed there, as after kdump.
 *
 * The dead kernel is the driver itself, which is stopped while the host neither
 * hears nor sees it. What the host may still use is leaked then, so the host
 * goes on using memory that is nobody's, as it does after a crash.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "call.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_V(6, 0)

/* A deadline that tests let pass. */
#define SHORT_MS	100

#define BUFFER_ORDER	6
#define BUFFER_SIZE	(PAGE_SIZE << BUFFER_ORDER)

/* The kernel dies; nothing of what it does from now on reaches the host. */
static void die(struct kunit *test)
{
	struct vmbus_deadlines saved = vmbus_deadlines;

	vmbus_deadlines.request = SHORT_MS;
	vmbus_deadlines.unload = SHORT_MS;
	sim_allow_no_unload();
	sim_deaf(true);
	sim_upcall_crash();
	sim_stop(test);
	sim_deaf(false);
	sim_clear_rules();
	vmbus_deadlines = saved;
}

static void works(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
}

/* All that is on its way to the dead kernel, and comes to this one. */
static void late_messages(struct sim_chan *unused, void *arg)
{
	struct sim_chan *chan = arg;
	struct sim_header unload = { .type = SIM_UNLOAD_RESPONSE };

	sim_send_offer(chan);
	sim_send_result(SIM_OPEN_RESULT, chan->relid, chan->open_id, 0);
	sim_send_result(SIM_GPADL_CREATED, chan->relid, chan->ring_gpadl, 0);
	sim_send_relid(SIM_GPADL_TORNDOWN, chan->ring_gpadl);
	sim_send_relid(SIM_MODIFY_RESPONSE, chan->relid);
	sim_send_relid(SIM_RESCIND, chan->relid);
	sim_send(&unload, sizeof(unload));
}

/* Each version takes over what each left, also those that cannot unload. */
static void takes_over(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *open = sim_add(test, NULL, &sim_echo);
	struct sim_chan *idle = sim_add(test, &sim_type_perf, &sim_echo);
	const struct sim_rule late = { .type = SIM_CONTACT, .hook = late_messages, .arg = open };
	struct guest_chan *guest = guest_new(test, open);
	bool can_unload = version->version >= SIM_V(3, 0);
	u64 mark = sim_log_mark();

	sim_start_ok(test, version->version);
	guest_open(test, guest, open);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	die(test);
	KUNIT_EXPECT_TRUE(test, open->open);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	/* Either way there is a line that says what became of the UNLOAD. */
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "UNLOAD did not complete"), can_unload);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "has no UNLOAD"), can_unload ? 0 : 2);

	/* Some of it is there before the first message is sent, the rest comes then. */
	sim_lock();
	late_messages(NULL, open);
	sim_unlock();
	sim_rule(&late);
	sim_start_ok(test, version->version);
	sim_drain(test);
	works(test, open);
	works(test, idle);
	/* The dead kernel's rescind did not take the new kernel's channel. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	works(test, sim_add(test, NULL, &sim_echo));
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), can_unload);
}

/* The next kernel may speak another version. */
static void takes_over_at_another_version(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);

	sim_start_ok(test, version->version);
	guest_open(test, guest, chan);
	die(test);
	KUNIT_ASSERT_EQ(test, sim_start_max(test, NEWEST, VERSION_WIN10_V5_3), 0);
	works(test, chan);
	guest_open(test, guest, chan);
	die(test);
	KUNIT_ASSERT_EQ(test, sim_start_max(test, NEWEST, version->version), 0);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, version->version);
	works(test, chan);
}

/* The kexec of a version without UNLOAD leaves a line, and the connection. */
static void kexec_without_unload(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();

	sim_start_ok(test, SIM_V(2, 4));
	sim_upcall_kexec();
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "has no UNLOAD"), 1);
	die(test);
	sim_start_ok(test, SIM_V(2, 4));
	works(test, chan);
}

struct sharing {
	struct guest_chan *guest;
	void *buffer;
	struct vmbus_gpadl gpadl;
};

static int share(void *arg)
{
	struct sharing *sharing = arg;

	return vmbus_establish_gpadl(sharing->guest->ch, sharing->buffer, BUFFER_SIZE,
				     &sharing->gpadl);
}

/*
 * Between a header and its last body the host knows the handle, and goes on
 * knowing it: no other GPADL may have it until the channel is gone.
 */
static void handle_is_known_to_the_host(struct kunit *test)
{
	const struct sim_rule ignore = { .type = SIM_GPADL_BODY, .action = SIM_IGNORE };
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct sharing sharing = { .guest = guest };
	struct sim_msg_gpadl header = { };
	struct guest_call *call;
	unsigned int nth = 0;
	void *buffers[2];

	buffers[0] = alloc_pages_exact(BUFFER_SIZE, GFP_KERNEL | __GFP_ZERO);
	buffers[1] = alloc_pages_exact(BUFFER_SIZE, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_TRUE(test, buffers[0] && buffers[1]);
	sharing.buffer = buffers[0];
	sim_keep_handles(true);
	sim_rule(&ignore);
	sim_start_ok(test, NEWEST);
	guest->ch = sim_guest_channel(test, guest->host);
	vmbus_deadlines.request = 10 * SHORT_MS;
	call = guest_call_begin(test, share, &sharing);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_BODY)));
	KUNIT_EXPECT_GT(test, sim_received_message(SIM_GPADL_HEADER, nth++, &header,
						   sizeof(header)), 0);
	sim_deaf(true);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), -ETIMEDOUT);
	die(test);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 1);

	/* The next kernel has other memory. */
	sharing.buffer = buffers[1];
	vmbus_deadlines.request = 100 * SHORT_MS;
	sim_start_ok(test, NEWEST);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 1);
	guest->ch = sim_guest_channel(test, guest->host);
	KUNIT_EXPECT_EQ(test, share(&sharing), 0);
	KUNIT_EXPECT_NE(test, sharing.gpadl.gpadl_handle, header.gpadl);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &sharing.gpadl), 0);
	works(test, guest->host);
	sim_keep_handles(false);
	sim_stop(test);
	sim_take_back(buffers[0], BUFFER_SIZE / PAGE_SIZE);
	free_pages_exact(buffers[0], BUFFER_SIZE);
	free_pages_exact(buffers[1], BUFFER_SIZE);
}

/* As after a crash and another load: no start uses ids of another, but by rare chance. */
static void ids_start_anywhere(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u32 handles[6], openids[ARRAY_SIZE(handles)];
	struct sim_msg_gpadl header = { };
	struct sim_msg_open open = { };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		sim_start_ok(test, NEWEST);
		works(test, chan);
		sim_stop(test);
		KUNIT_ASSERT_GT(test, sim_received_message(SIM_GPADL_HEADER, i, &header,
							   sizeof(header)), 0);
		KUNIT_ASSERT_GT(test, sim_received_message(SIM_OPEN, i, &open, sizeof(open)), 0);
		handles[i] = header.gpadl;
		openids[i] = open.open_id;
		KUNIT_EXPECT_NE(test, handles[i], 0);
		for (j = 0; j < i; j++) {
			KUNIT_EXPECT_GT(test, abs((s32)(handles[i] - handles[j])), 0x100);
			KUNIT_EXPECT_GT(test, abs((s32)(openids[i] - openids[j])), 0x100);
		}
	}
}

static struct kunit_case takeover_cases[] = {
	KUNIT_CASE_PARAM(takes_over, sim_versions_gen_params),
	KUNIT_CASE_PARAM(takes_over_at_another_version, sim_versions_gen_params),
	KUNIT_CASE(kexec_without_unload),
	KUNIT_CASE(handle_is_known_to_the_host),
	KUNIT_CASE(ids_start_anywhere),
	{}
};

struct kunit_suite takeover_suite = {
	.name = "hv_vmbus_takeover",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = takeover_cases,
};
