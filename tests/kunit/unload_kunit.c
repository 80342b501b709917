// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_unload: the ways to end a connection: stop, crash, kexec.
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>

#include "call.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_USUAL
#define OLDEST		SIM_V(2, 4)	/* has no UNLOAD */

/* A deadline that tests let pass, one that they must not, what the machine may add. */
#define SHORT_MS	300
#define LONG_MS		120000
#define SLACK_MS	45000

static s64 since(ktime_t begun)
{
	return ktime_ms_delta(ktime_get(), begun);
}

static void works(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
}

/* So many come to the host, which may hear of them when the guest has given up. */
static void expect_unloads(struct kunit *test, unsigned int unloads)
{
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_UNLOAD) >= unloads));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), unloads);
}

/* ---- stop ---- */

static const struct unload_case {
	const char *name;
	enum sim_action action;
	u32 delay_ms;
	bool confirmed;
} unloads[] = {
	{ "answers", SIM_ANSWER, 0, true },
	{ "answers late but in time", SIM_ANSWER, 2 * SHORT_MS, true },
	{ "answers twice", SIM_TWICE, 0, true },
	{ "does not hear it", SIM_IGNORE, 0, false },
	{ "never answers", SIM_DROP, 0, false },
	{ "answers too late", SIM_HOLD, 0, false },
};

static void describe_unload(const struct unload_case *unload, char *desc)
{
	strscpy(desc, unload->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(unloads, unloads, describe_unload);

static void stops(struct kunit *test)
{
	const struct unload_case *unload = test->param_value;
	struct sim_rule rule = {
		.type = SIM_UNLOAD,
		.action = unload->action,
		.delay_ms = unload->delay_ms,
	};
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	ktime_t begun;

	sim_allow_no_unload();
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	works(test, chan);
	vmbus_deadlines.unload = unload->confirmed ? LONG_MS : SHORT_MS;
	begun = ktime_get();
	sim_stop(test);
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	expect_unloads(test, 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no UNLOAD_RESPONSE"), !unload->confirmed);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), !unload->confirmed);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());

	/* A late answer finds the next connection, and must not end it either. */
	sim_clear_rules();
	vmbus_deadlines.unload = LONG_MS;
	sim_release_held();
	sim_start_ok(test, NEWEST);
	works(test, chan);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 2);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), !unload->confirmed);
}

/* What the host says to the first UNLOAD says nothing about the second. */
static void late_answer_is_not_for_the_next(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = SIM_HOLD };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark;

	sim_allow_no_unload();
	sim_rule(&rule);
	vmbus_deadlines.unload = SHORT_MS;
	sim_start_ok(test, NEWEST);
	sim_stop(test);
	expect_unloads(test, 1);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_start_ok(test, NEWEST);
	works(test, chan);
	mark = sim_log_mark();
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), 1);
}

static void oldest_version_cannot_unload(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	ktime_t begun;

	vmbus_deadlines.unload = LONG_MS;
	sim_start_ok(test, OLDEST);
	works(test, chan);
	begun = ktime_get();
	sim_stop(test);
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), 1);
}

static const struct linger_case {
	const char *name;
	u32 version;
	u32 ms;			/* that the host goes on writing to pages */
	bool legacy;		/* the interrupt page as well */
	bool kexec;
	bool ends;		/* before the guest gives up */
} lingers[] = {
	{ "not at all", NEWEST, 0, false, false, true },
	{ "a moment", NEWEST, 30, false, false, true },
	{ "a second", NEWEST, 1000, false, false, true },
	{ "interrupt page", SIM_V(4, 1), 200, true, false, true },
	{ "for long", NEWEST, LONG_MS, false, false, false },
	{ "into the next kernel", NEWEST, 300, false, true, true },
};

static void describe_linger(const struct linger_case *linger, char *desc)
{
	strscpy(desc, linger->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(lingers, lingers, describe_linger);

/* The host writes whenever who ends the connection is about to sleep. */
static struct task_struct *ending;

static int on_msleep(struct kprobe *kp, struct pt_regs *regs)
{
	if (current == ending)
		sim_write_late();
	return 0;
}

/* A confirmed UNLOAD, and yet the host writes to monitor pages: nobody else gets them. */
static void host_writes_after_its_answer(struct kunit *test)
{
	const struct linger_case *linger = test->param_value;
	struct sim_chan *chan = sim_new(test, 0, NULL, &sim_echo);
	struct kprobe probe = { .symbol_name = "msleep", .pre_handler = on_msleep };
	u64 mark = sim_log_mark();
	ktime_t begun;

	chan->monitored = !linger->legacy;
	chan->monitor_id = 3;
	chan->legacy = linger->legacy;
	sim_linger(linger->ms);
	vmbus_deadlines.unload = LONG_MS;
	sim_start_ok(test, linger->version);
	works(test, chan);
	ending = current;
	KUNIT_ASSERT_EQ(test, register_kprobe(&probe), 0);
	begun = ktime_get();
	if (linger->kexec) {
		sim_upcall_kexec();
		KUNIT_EXPECT_FALSE(test, sim_lingers());
		sim_linger(0);
		sim_allow_no_unload();
		sim_allow_violations();
		vmbus_deadlines.unload = SHORT_MS;
	}
	sim_stop(test);
	unregister_kprobe(&probe);
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_lingers(), !linger->ends);
	if (linger->kexec)
		return;
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "still writes to its pages"), !linger->ends);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), !linger->ends);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);
	sim_linger(0);
	sim_start_ok(test, linger->version);
	works(test, chan);
}

static void answer_comes_to_any_cpu(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	unsigned int cpu;

	vmbus_deadlines.unload = LONG_MS;
	for_each_online_cpu(cpu) {
		sim_message_cpu(0);
		sim_start_ok(test, NEWEST);
		works(test, chan);
		sim_message_cpu(cpu);
		sim_stop(test);
	}
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

static void send_unload_response(void)
{
	struct sim_header msg = { .type = SIM_UNLOAD_RESPONSE };

	sim_send(&msg, sizeof(msg));
}

static void unasked_answer_ends_nothing(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();

	sim_start_ok(test, NEWEST);
	send_unload_response();
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "UNLOAD_RESPONSE that nobody asked for"), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
	works(test, chan);
	works(test, sim_add(test, NULL, &sim_echo));
}

/*
 * ---- crash: the other CPUs are stopped and this one has interrupts off, which
 * sim_mute() stands for ----
 */

/* Undoes what a crash left, so that the driver can be stopped. */
static void survive(struct kunit *test)
{
	sim_clear_rules();
	sim_fail_posts(0, 0, 0);
	sim_mute(false);
	sim_undo_unload();
	vmbus_deadlines.unload = LONG_MS;
	sim_stop(test);
}

static const struct crash_case {
	const char *name;
	u32 version;
	struct sim_rule rule;		/* of UNLOAD */
	unsigned int cpu;		/* that gets the answer */
	bool full;			/* another message is in the slot */
	int post_error;
	unsigned int times;		/* so often; 0: always */
	unsigned int deadline;
	unsigned int unloads;		/* that reach the host */
	bool overdue;
	bool short_delays;		/* the kernel has calibrated udelay() wrong */
} crashes[] = {
	{ "answer in the slot", NEWEST, .deadline = LONG_MS, .unloads = 1 },
	{ "answer takes a while", NEWEST, { .action = SIM_ANSWER, .delay_ms = SHORT_MS },
	  .deadline = LONG_MS, .unloads = 1 },
	{ "answer takes a while, delays are short", NEWEST,
	  { .action = SIM_ANSWER, .delay_ms = SHORT_MS }, .deadline = LONG_MS, .unloads = 1,
	  .short_delays = true },
	{ "answer on another CPU", NEWEST, .cpu = 1, .deadline = LONG_MS,
	  .unloads = 1 },
	{ "answer on the last CPU", NEWEST, .cpu = 3, .deadline = LONG_MS,
	  .unloads = 1 },
	{ "another message first", NEWEST, .full = true, .deadline = LONG_MS,
	  .unloads = 1 },
	{ "another message first, on another CPU", NEWEST, .cpu = 2, .full = true,
	  .deadline = LONG_MS, .unloads = 1 },
	{ "3.0", SIM_V(3, 0), .deadline = LONG_MS, .unloads = 1 },
	{ "2.4", OLDEST, .deadline = LONG_MS },
	{ "no answer", NEWEST, { .action = SIM_DROP }, .deadline = SHORT_MS,
	  .unloads = 1, .overdue = true },
	{ "host waits for buffers", NEWEST, .post_error = -EAGAIN, .times = 10,
	  .deadline = LONG_MS, .unloads = 1 },
	{ "host has no buffers", NEWEST, .post_error = -EAGAIN,
	  .deadline = SHORT_MS, .overdue = true },
	{ "connection lost for a moment", NEWEST, .post_error = -ENOTCONN,
	  .times = 10, .deadline = LONG_MS, .unloads = 1 },
	/* There is no answer to wait for. */
	{ "post refused", NEWEST, .post_error = -EIO, .deadline = LONG_MS,
	  .overdue = true },
};

static void describe_crash(const struct crash_case *crash, char *desc)
{
	strscpy(desc, crash->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(crashes, crashes, describe_crash);

/* As in a guest that had no time when it calibrated udelay(). Elsewhere that has a timer. */
static void shorten_delays(unsigned long *saved)
{
#ifdef CONFIG_X86
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		*saved = cpu_data(cpu).loops_per_jiffy;
		WRITE_ONCE(cpu_data(cpu).loops_per_jiffy, *saved / 1000);
	}
#endif
}

static void restore_delays(unsigned long saved)
{
#ifdef CONFIG_X86
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(cpu_data(cpu).loops_per_jiffy, saved);
#endif
}

static void crashes_down(struct kunit *test)
{
	const struct crash_case *crash = test->param_value;
	struct sim_rule rule = crash->rule;
	u64 mark = sim_log_mark();
	unsigned long delays = 0;
	ktime_t begun;

	sim_add(test, NULL, &sim_echo);
	rule.type = SIM_UNLOAD;
	sim_rule(&rule);
	sim_start_ok(test, crash->version);
	sim_message_cpu(crash->cpu);
	sim_mute(true);
	if (crash->full) {
		sim_add(test, NULL, &sim_echo);
		sim_add(test, NULL, &sim_echo);
	}
	sim_fail_posts(SIM_UNLOAD, crash->post_error, crash->times);
	vmbus_deadlines.unload = crash->deadline;
	if (crash->short_delays)
		shorten_delays(&delays);
	begun = ktime_get();
	sim_upcall_crash();
	if (crash->short_delays)
		restore_delays(delays);
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	expect_unloads(test, crash->unloads);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "UNLOAD did not complete"), crash->overdue);

	/* The panic notifier and the crash handler both call it. */
	begun = ktime_get();
	sim_upcall_crash();
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	expect_unloads(test, crash->unloads);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "UNLOAD did not complete"), crash->overdue);
	survive(test);
}

/* An answer that came before anybody asked is not the host's word that it is done. */
static void crash_waits_for_its_own_answer(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_UNLOAD, .delay_ms = 2 * SHORT_MS };
	ktime_t begun;

	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	send_unload_response();
	sim_drain(test);
	sim_mute(true);
	vmbus_deadlines.unload = LONG_MS;
	begun = ktime_get();
	sim_upcall_crash();
	KUNIT_EXPECT_GE(test, since(begun), SHORT_MS);
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	survive(test);
}

/* The same when the answer of a former connection was the early one. */
static void crash_ignores_former_connections(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = SIM_HOLD, .times = 1 };
	ktime_t begun;

	sim_allow_no_unload();
	sim_rule(&rule);
	vmbus_deadlines.unload = SHORT_MS;
	sim_start_ok(test, NEWEST);
	sim_stop(test);
	expect_unloads(test, 1);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_clear_rules();
	rule = (struct sim_rule) { .type = SIM_UNLOAD, .delay_ms = 2 * SHORT_MS };
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	sim_drain(test);
	sim_mute(true);
	vmbus_deadlines.unload = LONG_MS;
	begun = ktime_get();
	sim_upcall_crash();
	KUNIT_EXPECT_GE(test, since(begun), SHORT_MS);
	survive(test);
}

static int stop(void *arg)
{
	sim_stop(arg);
	return 0;
}

/* Whoever waited for the answer does so no more: here, only in vain. */
static void crashes_while_unloading(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = SIM_IGNORE, .times = 1 };
	struct guest_call *call;
	ktime_t begun;

	sim_allow_no_unload();
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	vmbus_deadlines.unload = 20 * SHORT_MS;
	call = guest_call_begin(test, stop, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_UNLOAD) == 1));
	sim_mute(true);
	vmbus_deadlines.unload = LONG_MS;
	begun = ktime_get();
	sim_upcall_crash();
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 2);
	guest_call_end(call);
}

/* ---- kexec ---- */

static const struct kexec_case {
	const char *name;
	u32 version;
	enum sim_action action;
	unsigned int unloads;
	bool open;		/* a device is in use */
	unsigned int cpu;	/* that gets the answer */
} kexecs[] = {
	{ "5.3", SIM_V(5, 3), SIM_ANSWER, 1 },
	{ "3.0", SIM_V(3, 0), SIM_ANSWER, 1 },
	{ "2.4", OLDEST, SIM_ANSWER, 0 },
	{ "device in use", NEWEST, SIM_ANSWER, 1, true },
	{ "answer on another CPU", NEWEST, SIM_ANSWER, 1, true, 1 },
	{ "answer on the last CPU", NEWEST, SIM_ANSWER, 1, false, 3 },
	{ "no answer", NEWEST, SIM_DROP, 1 },
	{ "host does not hear", NEWEST, SIM_IGNORE, 1 },
};

static void describe_kexec(const struct kexec_case *kexec, char *desc)
{
	strscpy(desc, kexec->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kexecs, kexecs, describe_kexec);

/*
 * After a kexec there is another kernel and nothing of us. Here the driver is
 * stopped, which has no SynIC to hear the host with: that has to end, no more.
 */
static void kexec_ends_connection(struct kunit *test)
{
	const struct kexec_case *kexec = test->param_value;
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = kexec->action };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct vmbus_gpadl gpadl;
	ktime_t begun;

	KUNIT_ASSERT_NOT_NULL(test, page);
	sim_allow_no_unload();
	sim_rule(&rule);
	sim_start_ok(test, kexec->version);
	if (kexec->open)
		guest_open(test, guest, chan);
	sim_message_cpu(kexec->cpu);
	vmbus_deadlines.unload = kexec->action == SIM_ANSWER ? LONG_MS : SHORT_MS;
	begun = ktime_get();
	sim_upcall_kexec();
	KUNIT_EXPECT_LT(test, since(begun), SLACK_MS);
	expect_unloads(test, kexec->unloads);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());
	/* Drivers may still try: they get an error and do not wait. */
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(sim_guest_channel(test, chan), page, PAGE_SIZE,
						    &gpadl), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);

	sim_allow_violations();
	sim_clear_rules();
	sim_undo_unload();
	vmbus_deadlines.unload = SHORT_MS;
	vmbus_deadlines.request = SHORT_MS;
	sim_stop(test);
}

/* Who waits for the host is told at once, and so is who asks after that. */
static void kexec_ends_waits(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_OPEN, .action = SIM_DROP };
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct guest_call *call;

	sim_allow_no_unload();
	sim_rule(&drop);
	sim_start_ok(test, NEWEST);
	guest->ch = sim_guest_channel(test, guest->host);
	vmbus_deadlines.request = LONG_MS;
	vmbus_deadlines.unload = LONG_MS;
	call = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN)));
	sim_upcall_kexec();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), -ESHUTDOWN);
	KUNIT_EXPECT_LT(test, call->took_ms, SLACK_MS);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -ESHUTDOWN);

	sim_allow_violations();
	sim_clear_rules();
	sim_undo_unload();
	vmbus_deadlines.unload = SHORT_MS;
	vmbus_deadlines.request = SHORT_MS;
	sim_stop(test);
}

static struct kunit_case unload_cases[] = {
	KUNIT_CASE_PARAM(stops, unloads_gen_params),
	KUNIT_CASE(late_answer_is_not_for_the_next),
	KUNIT_CASE(oldest_version_cannot_unload),
	KUNIT_CASE_PARAM(host_writes_after_its_answer, lingers_gen_params),
	KUNIT_CASE(answer_comes_to_any_cpu),
	KUNIT_CASE(unasked_answer_ends_nothing),
	KUNIT_CASE_PARAM(crashes_down, crashes_gen_params),
	KUNIT_CASE(crash_waits_for_its_own_answer),
	KUNIT_CASE(crash_ignores_former_connections),
	KUNIT_CASE(crashes_while_unloading),
	KUNIT_CASE_PARAM(kexec_ends_connection, kexecs_gen_params),
	KUNIT_CASE(kexec_ends_waits),
	{}
};

struct kunit_suite unload_suite = {
	.name = "hv_vmbus_unload",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = unload_cases,
};
