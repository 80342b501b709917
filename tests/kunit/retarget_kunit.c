// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_retarget: a channel's interrupts move to another CPU.
 */
#include "call.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

/* What the machine may add; the deadline is 60 s. */
#define AT_ONCE_MS	15000

/**
 * struct moving - a channel that moves
 * @guest: the channel
 * @to: CPU for retarget()
 * @ran_on: where the callback ran last
 */
struct moving {
	struct guest_chan guest;
	unsigned int to;
	unsigned int ran_on;
};

static void note_cpu(void *context)
{
	struct moving *moving = context;

	WRITE_ONCE(moving->ran_on, raw_smp_processor_id());
	guest_callback(&moving->guest);
}

static struct moving *start(struct kunit *test, u32 version)
{
	struct moving *moving = kunit_kzalloc(test, sizeof(*moving), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, moving);
	KUNIT_ASSERT_GE(test, num_online_cpus(), 3);
	moving->guest.host = sim_add(test, NULL, &sim_echo);
	moving->guest.reads = true;
	moving->to = 1;
	sim_start_ok(test, version);
	moving->guest.ch = sim_guest_channel(test, moving->guest.host);
	KUNIT_ASSERT_EQ(test, vmbus_open(moving->guest.ch, GUEST_RING, GUEST_RING, NULL, 0,
					 note_cpu, moving), 0);
	return moving;
}

static int retarget(void *context)
{
	struct moving *moving = context;

	return vmbus_channel_retarget(to_vmbus_chan(moving->guest.ch), moving->to);
}

static int retarget_to(struct moving *moving, unsigned int cpu)
{
	moving->to = cpu;
	return retarget(moving);
}

static int modify(void *context)
{
	struct moving *moving = context;

	return vmbus_send_modifychannel(moving->guest.ch, vmbus_host->vp_index(moving->to));
}

static bool host_targets(struct moving *moving, unsigned int cpu)
{
	return READ_ONCE(moving->guest.host->target_vp) == vmbus_host->vp_index(cpu);
}

/* The channel works, and on that CPU. */
static void expect_on(struct kunit *test, struct moving *moving, unsigned int cpu)
{
	KUNIT_EXPECT_EQ(test, moving->guest.ch->target_cpu, cpu);
	KUNIT_EXPECT_TRUE(test, sim_wait(host_targets(moving, cpu)));
	KUNIT_EXPECT_TRUE(test, guest_echoes(&moving->guest));
	KUNIT_EXPECT_EQ(test, moving->ran_on, cpu);
	guest_tasklet_ends(moving->guest.ch);
}

static void moves_from_4_1_on(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct moving *moving = start(test, version->version);

	expect_on(test, moving, 0);
	if (version->version < SIM_V(4, 1)) {
		KUNIT_EXPECT_EQ(test, retarget_to(moving, 1), -EIO);
		KUNIT_EXPECT_EQ(test, modify(moving), -EIO);
		sim_drain(test);
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
		expect_on(test, moving, 0);
		return;
	}
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 1), 0);
	expect_on(test, moving, 1);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 2), 0);
	expect_on(test, moving, 2);
	/* There already. */
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 2), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 2);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_MODIFY_RESPONSE),
			version->version >= SIM_V(5, 3) ? 2 : 0);
	KUNIT_EXPECT_EQ(test, modify(moving), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY) == 3));
	/* Where it is opened the next time. */
	vmbus_close(moving->guest.ch);
	KUNIT_EXPECT_EQ(test, vmbus_open(moving->guest.ch, GUEST_RING, GUEST_RING, NULL, 0,
					 note_cpu, moving), 0);
	expect_on(test, moving, 2);
}

static void wrong_moves_reach_no_host(struct kunit *test)
{
	struct moving *moving = start(test, SIM_USUAL);

	KUNIT_EXPECT_EQ(test, retarget_to(moving, nr_cpu_ids), -EINVAL);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, UINT_MAX), -EINVAL);
	vmbus_close(moving->guest.ch);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 1), -EIO);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	KUNIT_EXPECT_EQ(test, moving->guest.ch->target_cpu, 0);
}

static void refused_move_changes_nothing(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_MODIFY, .times = 1, .action = SIM_REFUSE,
					 .status = 0x8000ffff };
	struct moving *moving = start(test, SIM_USUAL);

	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 1), -EINVAL);
	expect_on(test, moving, 0);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 1), 0);
	expect_on(test, moving, 1);
}

static void vsc_is_told(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_MODIFY, .times = 1, .action = SIM_REFUSE,
					 .status = 0x8000ffff };
	struct moving *moving = start(test, SIM_USUAL);

	memset(&guest_moved, 0, sizeof(guest_moved));
	moving->guest.ch->change_target_cpu_callback = guest_on_move;
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 0), 0);
	KUNIT_EXPECT_EQ(test, guest_moved.calls, 0);
	KUNIT_EXPECT_EQ(test, retarget_to(moving, 2), 0);
	KUNIT_EXPECT_EQ(test, guest_moved.calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, guest_moved.ch, moving->guest.ch);
	KUNIT_EXPECT_EQ(test, guest_moved.old, 0);
	KUNIT_EXPECT_EQ(test, guest_moved.new, 2);
}

/* The host drops a second request before it answered the first, and says so here. */
static void moves_do_not_overlap(struct kunit *test)
{
	const struct sim_rule slow = { .type = SIM_MODIFY, .delay_ms = 100 };
	struct moving *moving = start(test, SIM_USUAL);
	struct moving *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct guest_call *first, *second;

	KUNIT_ASSERT_NOT_NULL(test, other);
	other->guest.ch = moving->guest.ch;
	other->to = 2;
	sim_rule(&slow);
	first = guest_call_begin(test, retarget, moving);
	second = guest_call_begin(test, retarget, other);
	KUNIT_EXPECT_EQ(test, guest_call_end(first), 0);
	KUNIT_EXPECT_EQ(test, guest_call_end(second), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 2);
	expect_on(test, moving, moving->guest.ch->target_cpu);
	KUNIT_EXPECT_NE(test, moving->guest.ch->target_cpu, 0);
}

static void close_waits_for_move(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_MODIFY, .action = SIM_HOLD };
	struct moving *moving = start(test, SIM_USUAL);
	struct guest_call *move, *close;

	sim_rule(&hold);
	move = guest_call_begin(test, retarget, moving);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY)));
	close = guest_call_begin(test, guest_close, &moving->guest);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(close));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(move), 0);
	guest_call_end(close);
	KUNIT_EXPECT_EQ(test, moving->guest.ch->target_cpu, 1);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
}

/* The export alone, which takes no lock: the answer comes after the close. */
static void modify_crosses_close(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_MODIFY, .action = SIM_HOLD };
	struct moving *moving = start(test, SIM_USUAL);
	struct guest_call *call;

	sim_rule(&hold);
	call = guest_call_begin(test, modify, moving);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY)));
	vmbus_close(moving->guest.ch);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_EQ(test, guest_try_open(&moving->guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(&moving->guest));
}

static void move_without_answer(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_MODIFY, .times = 1, .action = SIM_DROP };
	struct moving *moving = start(test, SIM_USUAL);

	sim_rule(&drop);
	vmbus_deadlines.request = 200;
	KUNIT_EXPECT_EQ(test, modify(moving), -ETIMEDOUT);
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	vmbus_close(moving->guest.ch);
	KUNIT_EXPECT_EQ(test, guest_try_open(&moving->guest), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(&moving->guest));
}

static void rescind_ends_move(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_MODIFY, .action = SIM_HOLD };
	struct moving *moving = start(test, SIM_USUAL);
	struct guest_call *call;

	vmbus_chan_get(to_vmbus_chan(moving->guest.ch));
	sim_rule(&hold);
	call = guest_call_begin(test, retarget, moving);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY)));
	sim_rescind(moving->guest.host);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), -EIO);
	KUNIT_EXPECT_LT(test, call->took_ms, AT_ONCE_MS);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(moving->guest.host)));
	KUNIT_EXPECT_EQ(test, modify(moving), -ENODEV);
	KUNIT_EXPECT_EQ(test, retarget(moving), -EIO);
	vmbus_chan_put(to_vmbus_chan(moving->guest.ch));
}

static struct kunit_case retarget_cases[] = {
	KUNIT_CASE_PARAM(moves_from_4_1_on, sim_versions_gen_params),
	KUNIT_CASE(wrong_moves_reach_no_host),
	KUNIT_CASE(refused_move_changes_nothing),
	KUNIT_CASE(vsc_is_told),
	KUNIT_CASE(moves_do_not_overlap),
	KUNIT_CASE(close_waits_for_move),
	KUNIT_CASE(modify_crosses_close),
	KUNIT_CASE(move_without_answer),
	KUNIT_CASE(rescind_ends_move),
	{}
};

struct kunit_suite retarget_suite = {
	.name = "hv_vmbus_retarget",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = retarget_cases,
};
