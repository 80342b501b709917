// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_connection: version negotiation, posts, start and stop.
 *
 * The simulated host checks the contents of each INITIATE_CONTACT and that what
 * follows goes to the connection id that its version asks for.
 */
#include <linux/ktime.h>
#include <linux/sched.h>

#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_V(6, 0)

/* A deadline that tests let pass, and what the machine may add to it. */
#define SHORT_MS	300
#define LONG_MS		60000
#define SLACK_MS	15000

/* The version that the @nth INITIATE_CONTACT of this case asked for. */
static u32 asked(unsigned int nth)
{
	struct sim_msg_contact msg = { };

	return sim_received_message(SIM_CONTACT, nth, &msg, sizeof(msg)) ? msg.version : 0;
}

/* A device can be used. */
static void works(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
}

/* The driver starts, a device works, the host confirms the end. */
static void starts_again(struct kunit *test, struct sim_chan *chan)
{
	unsigned int unloads = sim_received_all(SIM_UNLOAD);
	u64 mark = sim_log_mark();

	sim_start_ok(test, NEWEST);
	works(test, chan);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), unloads + 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

/* ---- versions ---- */

static void connects(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	unsigned int i, tried = sim_versions + sim_nr_versions - version;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);

	sim_start_ok(test, version->version);
	/* From the best one down, each once. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), tried);
	for (i = 0; i < tried; i++)
		KUNIT_EXPECT_EQ(test, asked(i), sim_versions[sim_nr_versions - 1 - i].version);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 1);
	works(test, chan);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), version->version >= SIM_V(3, 0));
	KUNIT_EXPECT_TRUE(test, sim_synics_down());
}

static void asks_no_higher_than_max(struct kunit *test)
{
	const struct sim_version *version = test->param_value;

	KUNIT_ASSERT_EQ(test, sim_start_max(test, NEWEST, version->version), 0);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, version->version);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), 1);
}

static const struct max_case {
	const char *name;
	u32 max;
	u32 first;	/* what is asked for; 0: nothing */
} maxima[] = {
	{ "between two", SIM_V(4, 5), SIM_V(4, 1) },
	{ "unknown high one", SIM_V(6, 1), SIM_V(6, 0) },
	{ "highest number", U32_MAX, SIM_V(6, 0) },
	{ "just below the lowest", SIM_V(2, 4) - 1, 0 },
	{ "Windows 7", SIM_V(1, 1), 0 },
	{ "zero", 0, 0 },
};

static void describe_max(const struct max_case *max, char *desc)
{
	strscpy(desc, max->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(maxima, maxima, describe_max);

static void max_version_is_any_number(struct kunit *test)
{
	const struct max_case *max = test->param_value;

	KUNIT_EXPECT_EQ(test, sim_start_max(test, NEWEST, max->max), max->first ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), !!max->first);
	KUNIT_EXPECT_EQ(test, asked(0), max->first);
}

/* Hosts before 5.0 do not know connection 4: those versions cannot be asked for. */
static void lacks_contact_port(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u32 best = min_t(u32, version->version, SIM_V(4, 1));

	sim_needs_version(test, best);
	sim_no_contact_port(true);
	KUNIT_ASSERT_EQ(test, sim_start(test, version->version), 0);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, best);
	KUNIT_EXPECT_EQ(test, asked(0), SIM_V(4, 1));
	works(test, chan);
}

/* ---- a host that does not connect ---- */

static const struct contact_case {
	const char *name;
	u32 version;		/* that the host speaks */
	struct sim_rule rule;	/* of INITIATE_CONTACT */
	u32 len;		/* of VERSION_RESPONSE */
	int post_error;		/* of every INITIATE_CONTACT */
	int err;		/* wanted */
	unsigned int contacts;	/* that reach the host */
	bool leaks;		/* the host may have the pages' addresses */
} contacts[] = {
	{ "refuses all", 0, .err = -EPROTONOSUPPORT, .contacts = 9 },
	{ "low on resources", NEWEST, { .action = SIM_REFUSE, .status = 1 },
	  .err = -ECONNABORTED, .contacts = 1 },
	{ "failed", NEWEST, { .action = SIM_REFUSE, .status = 2 },
	  .err = -ECONNABORTED, .contacts = 1 },
	{ "unknown state", NEWEST, { .action = SIM_REFUSE, .status = 0xff },
	  .err = -ECONNABORTED, .contacts = 1 },
	{ "failed at a lower version", SIM_V(4, 1),
	  { .action = SIM_REFUSE, .status = 2, .skip = 5 },
	  .err = -ECONNABORTED, .contacts = 6 },
	{ "never answers", NEWEST, { .action = SIM_IGNORE },
	  .err = -ETIMEDOUT, .contacts = 1, .leaks = true },
	{ "answer lost", NEWEST, { .action = SIM_DROP },
	  .err = -ETIMEDOUT, .contacts = 1, .leaks = true },
	{ "no connection id", NEWEST, .len = 12, .err = -EPROTO, .contacts = 1, .leaks = true },
	{ "part of a connection id", NEWEST, .len = 15, .err = -EPROTO, .contacts = 1,
	  .leaks = true },
	{ "answer too short", NEWEST, .len = 11, .err = -ETIMEDOUT, .contacts = 1,
	  .leaks = true },
	{ "post fails", NEWEST, .post_error = -EIO, .err = -EIO },
	{ "no buffers", NEWEST, .post_error = -EAGAIN, .err = -ENOBUFS },
	{ "no connection at all", NEWEST, .post_error = -ENOTCONN, .err = -ENOTCONN },
};

static void describe_contact(const struct contact_case *contact, char *desc)
{
	strscpy(desc, contact->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(contacts, contacts, describe_contact);

static void start_fails(struct kunit *test)
{
	const struct contact_case *contact = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_rule rule = contact->rule;
	u64 mark = sim_log_mark();
	ktime_t begun = ktime_get();

	/* The guest comes again without having been told that it is connected. */
	sim_allow_no_unload();
	vmbus_deadlines.version = contact->err == -ETIMEDOUT ? SHORT_MS : LONG_MS;
	vmbus_deadlines.post = contact->err == -ENOBUFS ? SHORT_MS : LONG_MS;
	rule.type = SIM_CONTACT;
	sim_rule(&rule);
	sim_short_version_response(contact->len);
	sim_fail_posts(SIM_CONTACT, contact->post_error, 0);
	KUNIT_ASSERT_EQ(test, sim_start(test, contact->version), contact->err);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), begun), SLACK_MS);
	/* Before the host changes its mind. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_CONTACT) >= contact->contacts));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), contact->contacts);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 0);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "Unable to connect to host"), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), contact->leaks);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());

	sim_clear_rules();
	sim_short_version_response(0);
	sim_fail_posts(0, 0, 0);
	/* From here on nothing may be late. */
	vmbus_deadlines.version = LONG_MS;
	vmbus_deadlines.post = LONG_MS;
	starts_again(test, chan);
}

/* Before 5.0 nobody needs a connection id in the answer. */
static void old_hosts_answer_briefly(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);

	sim_short_version_response(12);
	sim_start_ok(test, version->version);
	works(test, chan);
}

/* Nothing says which INITIATE_CONTACT is answered: a late answer must be gone in time. */
static void version_response_comes_late(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_HOLD, .times = 1 };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_msg_version late;
	unsigned int round;

	sim_allow_no_unload();
	for (round = 0; round < 5; round++) {
		sim_rule(&rule);
		vmbus_deadlines.version = SHORT_MS;
		KUNIT_ASSERT_EQ(test, sim_start(test, NEWEST), -ETIMEDOUT);
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_held_message(&late, sizeof(late))));
		sim_clear_rules();
		vmbus_deadlines.version = LONG_MS;
		KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
		starts_again(test, chan);
	}
}

static void version_response_comes_twice(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_TWICE };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();

	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "VERSION_RESPONSE that nobody asked for"), 1);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, NEWEST);
	works(test, chan);
}

/* ---- posts ---- */

static const struct post_case {
	const char *name;
	u32 type;
	int error;
	unsigned int times;	/* 0: all */
	int err;		/* wanted, of the start */
	bool confirmed;		/* the UNLOAD is */
} posts[] = {
	{ "contact waits for buffers", SIM_CONTACT, -EAGAIN, 20, 0, true },
	{ "offers wait for buffers", SIM_REQUEST_OFFERS, -EAGAIN, 20, 0, true },
	{ "unload waits for buffers", SIM_UNLOAD, -EAGAIN, 20, 0, true },
	{ "connection lost for a moment", SIM_REQUEST_OFFERS, -ENOTCONN, 20, 0, true },
	{ "connection lost while unloading", SIM_UNLOAD, -ENOTCONN, 20, 0, true },
	{ "offers refused", SIM_REQUEST_OFFERS, -EIO, 0, -EIO, true },
	{ "no buffers for offers", SIM_REQUEST_OFFERS, -EAGAIN, 0, -ENOBUFS, true },
	{ "connection lost for good", SIM_REQUEST_OFFERS, -ENOTCONN, 0, -ENOBUFS, true },
	{ "unload refused", SIM_UNLOAD, -EIO, 0, 0, false },
	{ "no buffers for unload", SIM_UNLOAD, -EAGAIN, 0, 0, false },
};

static void describe_post(const struct post_case *post, char *desc)
{
	strscpy(desc, post->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(posts, posts, describe_post);

static void post_fails(struct kunit *test)
{
	const struct post_case *post = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	ktime_t begun = ktime_get();

	if (!post->confirmed)
		sim_allow_no_unload();
	/* Other posts than those must not have to be tried again then. */
	if (!post->times) {
		vmbus_deadlines.post = SHORT_MS;
		sim_busy(0);
	}
	sim_fail_posts(post->type, post->error, post->times);
	KUNIT_ASSERT_EQ(test, sim_start(test, NEWEST), post->err);
	if (!post->err)
		works(test, chan);
	sim_stop(test);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), post->confirmed);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), !post->confirmed);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "posting "), !post->times);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());

	sim_fail_posts(0, 0, 0);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	starts_again(test, chan);
}

static void host_is_nearly_full(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);

	sim_busy(80);
	sim_start_ok(test, NEWEST);
	works(test, chan);
}

/* ---- offers ---- */

static void all_offers_never_delivered(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_DROP };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo), *late;
	u64 mark = sim_log_mark();
	unsigned long begun = jiffies;

	sim_rule(&rule);
	vmbus_deadlines.offers = SHORT_MS;
	sim_start_ok(test, NEWEST);
	/* By the clock of the deadline, which catches up with others by leaps. */
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - begun), SHORT_MS);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no ALLOFFERS_DELIVERED"), 1);
	works(test, chan);
	late = sim_add(test, NULL, &sim_echo);
	works(test, late);
	/* At last, and nobody waits. */
	sim_drain(test);
	works(test, chan);
}

static void offers_are_asked_for_but_unheard(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_IGNORE };
	u64 mark = sim_log_mark();

	sim_rule(&rule);
	vmbus_deadlines.offers = SHORT_MS;
	sim_start_ok(test, NEWEST);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no ALLOFFERS_DELIVERED"), 1);
	/* Before it is asked the host offers nothing. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_REQUEST_OFFERS)));
	works(test, sim_add(test, NULL, &sim_echo));
}

/*
 * A host that was saved and restored offers without being asked. The message
 * work and the task that waits for the version share a CPU, where the work goes
 * first, since the task is as nice as can be: so all of it is there before the
 * task wakes.
 */
static void start_unasked(struct kunit *test, u32 version, bool again)
{
	sim_offer_unasked(again);
	set_cpus_allowed_ptr(current, cpumask_of(VMBUS_CONNECT_CPU));
	sched_set_normal(current, MAX_NICE);
	sim_start_ok(test, version);
	sched_set_normal(current, 0);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

static void offers_behind_the_version(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chans[10];
	u64 mark = sim_log_mark();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, NULL, &sim_echo);
	start_unasked(test, version->version, false);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_OFFER), ARRAY_SIZE(chans));
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		works(test, chans[i]);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "from the host ignored"), 0);
	/* No relid of theirs is given back. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	works(test, sim_add(test, NULL, &sim_echo));
}

static void offers_before_and_after_the_request(struct kunit *test)
{
	struct sim_chan *chans[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, NULL, &sim_echo);
	start_unasked(test, NEWEST, true);
	/* The end that the driver waited for may be the first. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_sent(SIM_OFFER) == 2 * ARRAY_SIZE(chans)));
	sim_drain(test);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		works(test, chans[i]);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
}

static void rescind_first(struct sim_chan *unused, void *chan)
{
	sim_rescind_locked(chan);
}

static void rescind_behind_the_version(struct kunit *test)
{
	struct sim_chan *gone = sim_add(test, NULL, &sim_echo);
	struct sim_chan *stays = sim_add(test, NULL, &sim_echo);
	const struct sim_rule rule = {
		.type = SIM_REQUEST_OFFERS,
		.hook = rescind_first,
		.arg = gone,
	};

	sim_rule(&rule);
	start_unasked(test, NEWEST, false);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(gone)));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 1);
	works(test, stays);
	sim_reoffer(gone);
	works(test, gone);
}

/*
 * The end of offers that counts is the one behind the request. The other one has
 * been handled before the request goes out, since the offer behind it has.
 */
static void unasked_end_is_not_the_end(struct kunit *test)
{
	const struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .delay_ms = SHORT_MS };
	const struct sim_header end = { .type = SIM_ALL_OFFERS };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	unsigned long begun;

	sim_start_ok(test, NEWEST);
	sim_send(&end, sizeof(end));
	works(test, sim_add(test, NULL, &sim_echo));
	sim_rule(&rule);
	sim_take_request();
	begun = jiffies;
	KUNIT_EXPECT_EQ(test, vmbus_channels_request(), 0);
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - begun), SHORT_MS);
	works(test, chan);
}

/* ---- the machine fails ---- */

static void attach_fails(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);

	sim_fail_attach(-ENODEV);
	KUNIT_ASSERT_EQ(test, sim_start(test, NEWEST), -ENODEV);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), 0);
	sim_fail_attach(0);
	starts_again(test, chan);
}

/* The partition that has the hosts: there is nothing to do, and that is no failure. */
static void root_partition_has_no_bus(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct hv_driver drv = { .name = "kunit_root" };
	u64 mark = sim_log_mark();

	sim_fail_attach(-EHOSTDOWN);
	KUNIT_ASSERT_EQ(test, sim_start(test, NEWEST), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), 0);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());
	/* Modules that link against this one are there, and find no bus. */
	KUNIT_EXPECT_EQ(test, vmbus_driver_register(&drv), -ENODEV);
	KUNIT_EXPECT_EQ(test, vmbus_post("12345678", 8), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "Unable to connect"), 0);
	sim_stop(test);
	sim_fail_attach(0);
	starts_again(test, chan);
}

static void synic_up_fails(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		sim_fail_synic_up(cpu, -ENOMEM);
		KUNIT_ASSERT_EQ(test, sim_start(test, NEWEST), -ENOMEM);
		KUNIT_EXPECT_TRUE(test, sim_synics_down());
		sim_fail_synic_up(cpu, 0);
	}
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), 0);
	starts_again(test, chan);
}

static void reconnects(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	unsigned int round;

	for (round = 0; round < 6; round++) {
		/* Once with each kind of answer at least. */
		sim_start_ok(test, round < 2 ? sim_versions[round].version :
			     sim_versions[sim_random(sim_nr_versions)].version);
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), round + 1);
		works(test, chan);
		sim_stop(test);
		KUNIT_EXPECT_TRUE(test, sim_synics_down());
	}
}

static struct kunit_case connection_cases[] = {
	KUNIT_CASE_PARAM(connects, sim_versions_gen_params),
	KUNIT_CASE_PARAM(asks_no_higher_than_max, sim_versions_gen_params),
	KUNIT_CASE_PARAM(max_version_is_any_number, maxima_gen_params),
	KUNIT_CASE_PARAM(lacks_contact_port, sim_versions_gen_params),
	KUNIT_CASE_PARAM(start_fails, contacts_gen_params),
	KUNIT_CASE_PARAM(old_hosts_answer_briefly, sim_old_versions_gen_params),
	KUNIT_CASE(version_response_comes_late),
	KUNIT_CASE(version_response_comes_twice),
	KUNIT_CASE_PARAM(post_fails, posts_gen_params),
	KUNIT_CASE(host_is_nearly_full),
	KUNIT_CASE(all_offers_never_delivered),
	KUNIT_CASE(offers_are_asked_for_but_unheard),
	KUNIT_CASE_PARAM(offers_behind_the_version, sim_versions_gen_params),
	KUNIT_CASE(offers_before_and_after_the_request),
	KUNIT_CASE(rescind_behind_the_version),
	KUNIT_CASE(unasked_end_is_not_the_end),
	KUNIT_CASE(attach_fails),
	KUNIT_CASE(root_partition_has_no_bus),
	KUNIT_CASE(synic_up_fails),
	KUNIT_CASE(reconnects),
	{}
};

struct kunit_suite connection_suite = {
	.name = "hv_vmbus_connection",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = connection_cases,
};
