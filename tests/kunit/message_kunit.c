// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_message: messages from a host that is wrong.
 *
 * Each case shows first or last that the good message has its effect, and that
 * the malformed ones had none: nothing ends, appears or goes, their slots are
 * free again, a device next to them works.
 */
#include <linux/kthread.h>
#include <linux/jiffies.h>
#include <linux/ratelimit.h>

#include "call.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"
#include "../../include/vmbus_slot.h"

#define NEWEST		SIM_V(6, 0)

#define SYNIC_VMBUS	1
#define SYNIC_TIMER	0x80000010

/* Relids with a free one between. */
#define VICTIM		10
#define FREE		11
#define GOOD		12

union message {
	u8 bytes[SIM_PAYLOAD];
	struct sim_header header;
	struct sim_msg_offer offer;
	struct sim_msg_relid relid;
	struct sim_msg_version version;
};

struct field {
	u8 at;
	u8 size;
};

static bool known(u32 relid)
{
	bool found;

	rcu_read_lock();
	found = vmbus_relid_lookup(relid);
	rcu_read_unlock();
	return found;
}

/* What @field could say instead; false if it says that already or there is no more. */
static bool spoil(union message *msg, const struct field *field, unsigned int nth)
{
	static const u32 extremes[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7ff, 0x800, 0x801, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	};
	u32 old = 0, value;

	memcpy(&old, msg->bytes + field->at, field->size);
	if (nth < ARRAY_SIZE(extremes))
		value = extremes[nth];
	else
		value = nth % 2 ? old - 1 : old + 1;
	value &= GENMASK(8 * field->size - 1, 0);
	memcpy(msg->bytes + field->at, &value, field->size);
	return value != old;
}

#define SPOILS		16	/* values that spoil() knows */

static void send_spoilt(const union message *good, u32 size, const struct field *field)
{
	unsigned int nth;

	for (nth = 0; nth < SPOILS; nth++) {
		union message bad = *good;

		if (spoil(&bad, field, nth))
			sim_send(&bad, size);
	}
}

static void send_cut(const union message *good, u32 size)
{
	u32 len;

	for (len = 0; len < size; len++)
		sim_send(good, len);
}

/* A device that must go on working, and one that the messages are about. */
static struct guest_chan *start(struct kunit *test, u32 version, struct guest_chan **victim)
{
	struct guest_chan *good = guest_new(test, sim_add_relid(test, GOOD, NULL, &sim_echo));

	*victim = guest_new(test, sim_add_relid(test, VICTIM, NULL, &sim_echo));
	sim_start_ok(test, version);
	guest_open(test, good, good->host);
	(*victim)->ch = sim_guest_channel(test, (*victim)->host);
	return good;
}

/* ---- answers ---- */

static int move(void *arg)
{
	struct guest_chan *guest = arg;

	return vmbus_channel_retarget(to_vmbus_chan(guest->ch), !guest->ch->target_cpu);
}

static const struct answer_case {
	const char *name;
	u32 asked;			/* the guest's message */
	u32 size;
	struct field fields[3];		/* type and ids */
	int (*call)(void *guest);
} answers[] = {
	{ "OPENCHANNEL_RESULT", SIM_OPEN, 20, { { 0, 4 }, { 8, 4 }, { 12, 4 } }, guest_try_open },
	{ "GPADL_CREATED", SIM_GPADL_HEADER, 20, { { 0, 4 }, { 8, 4 }, { 12, 4 } },
	  guest_try_open },
	{ "MODIFYCHANNEL_RESPONSE", SIM_MODIFY, 16, { { 0, 4 }, { 8, 4 } }, move },
	{ "GPADL_TORNDOWN", SIM_GPADL_TEARDOWN, 12, { { 0, 4 }, { 8, 4 } }, guest_close },
};

static void describe_answer(const struct answer_case *answer, char *desc)
{
	strscpy(desc, answer->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(answers, answers, describe_answer);

/* All but the last, which has no status. */
static const void *refusals_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct answer_case *next = VMBUS_PARAM_NEXT(answers_gen_params, prev, desc);

	return next && next->asked != SIM_GPADL_TEARDOWN ? next : NULL;
}

/* Makes the call of @answer possible, before the first and after each. */
static void prepare(struct kunit *test, const struct answer_case *answer, struct guest_chan *guest)
{
	bool open = READ_ONCE(guest->ch->state) == CHANNEL_OPENED_STATE;

	if (answer->call == guest_try_open && open)
		vmbus_close(guest->ch);
	if (answer->call != guest_try_open && !open)
		KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
}

/* The call is made, its answer held back: @msg. */
static struct guest_call *ask(struct kunit *test, const struct answer_case *answer,
			      struct guest_chan *guest, union message *msg)
{
	struct sim_rule rule = { .type = answer->asked, .action = SIM_HOLD, .times = 1 };
	struct guest_call *call;

	rule.relid = guest->host->relid;
	sim_rule(&rule);
	call = guest_call_begin(test, answer->call, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_held_message(msg, sizeof(*msg))));
	KUNIT_EXPECT_EQ(test, sim_held_message(msg, sizeof(*msg)), answer->size);
	return call;
}

static void malformed_answers_end_nothing(struct kunit *test)
{
	const struct answer_case *answer = test->param_value;
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	struct guest_call *call;
	union message msg;
	unsigned int i;

	/* As it was held back, it is the answer. */
	prepare(test, answer, victim);
	call = ask(test, answer, victim, &msg);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);

	prepare(test, answer, victim);
	call = ask(test, answer, victim, &msg);
	send_cut(&msg, answer->size);
	sim_drain(test);
	KUNIT_EXPECT_FALSE_MSG(test, guest_call_ended(call), "cut");
	for (i = 0; i < ARRAY_SIZE(answer->fields) && answer->fields[i].size; i++) {
		send_spoilt(&msg, answer->size, &answer->fields[i]);
		sim_drain(test);
		KUNIT_EXPECT_FALSE_MSG(test, guest_call_ended(call), "field %u", i);
	}
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	/* And nobody minds the same once more. */
	sim_send(&msg, answer->size);
	sim_drain(test);
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
	if (READ_ONCE(victim->ch->state) == CHANNEL_OPENED_STATE)
		KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
}

static void any_status_is_a_refusal(struct kunit *test)
{
	static const u32 statuses[] = { 1, 0xff, 0x100, 0x7fffffff, 0x80000000, U32_MAX };
	const struct answer_case *answer = test->param_value;
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct sim_rule rule = {
			.type = answer->asked,
			.relid = VICTIM,
			.action = SIM_REFUSE,
			.status = statuses[i],
		};

		prepare(test, answer, victim);
		sim_rule(&rule);
		KUNIT_EXPECT_LT_MSG(test, answer->call(victim), 0, "status 0x%x", statuses[i]);
		sim_clear_rules();
	}
	prepare(test, answer, victim);
	KUNIT_EXPECT_EQ(test, answer->call(victim), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

/* ---- offers and rescinds ---- */

static void malformed_offers_bring_nothing(struct kunit *test)
{
	static const struct field type = { 0, 4 };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	struct sim_chan *chan = sim_new(test, FREE, NULL, &sim_echo);
	static const u32 relids[] = {
		0, VICTIM, GOOD, 2048, 2049, 0x10000 + FREE, 0x7fffffff, 0x80000000, U32_MAX,
	};
	union message msg = { }, bad;
	unsigned int i;

	sim_make_offer(chan, &msg.offer);
	send_cut(&msg, sizeof(msg.offer));
	sim_drain(test);
	KUNIT_EXPECT_FALSE_MSG(test, known(FREE), "cut");
	send_spoilt(&msg, sizeof(msg.offer), &type);
	sim_drain(test);
	KUNIT_EXPECT_FALSE_MSG(test, known(FREE), "type");
	for (i = 0; i < ARRAY_SIZE(relids); i++) {
		bad = msg;
		bad.offer.relid = relids[i];
		sim_send(&bad, sizeof(bad.offer));
	}
	sim_drain(test);
	KUNIT_EXPECT_FALSE_MSG(test, known(FREE), "relid");
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));

	sim_offer(chan);
	victim->host = chan;
	guest_open(test, victim, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
}

/* Groups of triggers end at 128. Of such an offer the relid is good, and goes back. */
static void bad_monitor_ids_are_given_back(struct kunit *test)
{
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	unsigned int i;

	for (i = SIM_MONITOR_IDS; i <= U8_MAX; i++) {
		struct sim_chan *chan = sim_new(test, FREE, NULL, &sim_echo);

		chan->monitored = true;
		chan->monitor_id = i;
		chan->unwelcome = true;
		sim_offer(chan);
		KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED),
				i - SIM_MONITOR_IDS + 1);
		KUNIT_EXPECT_FALSE(test, known(FREE));
	}
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

/* An offer that fits nowhere is well-formed: its relid goes back. */
static void stray_sub_channels_are_given_back(struct kunit *test)
{
	static const u16 indexes[] = { 1, 2, 0x7fff, 0x8000, 0xffff };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		struct sim_chan *chan = sim_new(test, FREE, NULL, &sim_echo);

		chan->sub = indexes[i];
		chan->offered = true;
		chan->rescinded = true;		/* so that the release is right */
		sim_send_offer(chan);
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), i + 1);
		KUNIT_EXPECT_FALSE(test, known(FREE));
	}
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static void malformed_rescinds_take_nothing(struct kunit *test)
{
	static const struct field fields[] = { { 0, 4 }, { 8, 4 } };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	union message msg = { .relid = { .header.type = SIM_RESCIND, .relid = VICTIM } };

	guest_open(test, victim, victim->host);
	send_cut(&msg, sizeof(msg.relid));
	send_spoilt(&msg, sizeof(msg.relid), &fields[0]);
	send_spoilt(&msg, sizeof(msg.relid), &fields[1]);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, victim->ch->rescind);
	KUNIT_EXPECT_FALSE(test, good->ch->rescind);
	KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));

	sim_rescind(victim->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(victim->host)));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

/* ---- the connection's own ---- */

static int start_newest(void *test)
{
	return sim_start(test, NEWEST);
}

static int stop(void *test)
{
	sim_stop(test);
	return 0;
}

/* What comes before there is a connection is no part of it. */
static void nothing_counts_while_connecting(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_HOLD, .times = 1 };
	struct sim_chan *chan = sim_add_relid(test, GOOD, NULL, &sim_echo);
	struct guest_chan *good = guest_new(test, chan);
	struct guest_call *call;
	union message msg;
	u64 mark;

	sim_rule(&rule);
	call = guest_call_begin(test, start_newest, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_held_message(&msg, sizeof(msg))));
	mark = sim_log_mark();
	send_cut(&msg, offsetof(struct sim_msg_version, connection_id));
	sim_send_offer(chan);
	sim_send_relid(SIM_RESCIND, GOOD);
	sim_send_result(SIM_OPEN_RESULT, GOOD, 1, 0);
	sim_send_result(SIM_GPADL_CREATED, GOOD, 0xe1e10, 0);
	sim_send_relid(SIM_GPADL_TORNDOWN, 0xe1e10);
	sim_send_relid(SIM_MODIFY_RESPONSE, GOOD);
	sim_send_relid(SIM_UNLOAD_RESPONSE, 0);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, known(GOOD));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	/* The drain says so, too: that all offers are there. */
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "going on"), 0);
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	guest_open(test, good, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static void cut_all_offers_is_not_the_end(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_HOLD, .times = 1 };
	union message msg = { .header.type = SIM_ALL_OFFERS };
	struct guest_call *call;

	vmbus_deadlines.offers = 60000;
	sim_rule(&rule);
	call = guest_call_begin(test, start_newest, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_REQUEST_OFFERS)));
	send_cut(&msg, sizeof(msg.header));
	/* When it is there, those before it have been handled. */
	sim_add_relid(test, GOOD, NULL, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(known(GOOD)));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
}

static void cut_unload_response_is_none(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = SIM_HOLD, .times = 1 };
	struct guest_call *call;
	u64 mark = sim_log_mark();
	union message msg;

	vmbus_deadlines.unload = 60000;
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	call = guest_call_begin(test, stop, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_held_message(&msg, sizeof(msg))));
	send_cut(&msg, sizeof(msg.header));
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_release_held();
	guest_call_end(call);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

/* Versions to come append fields: what is longer than it must be is as good. */
static void longer_messages_are_taken(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct guest_chan *victim, *good;
	u64 mark = sim_log_mark();

	sim_pad_messages(sim_random(2) ? SIM_PAYLOAD : 1 + sim_random(32));
	good = start(test, version->version, &victim);
	guest_open(test, victim, victim->host);
	if (version->version >= SIM_V(4, 1))
		KUNIT_EXPECT_EQ(test, move(victim), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
	sim_rescind(victim->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(victim->host)));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "from the host ignored"), 0);
	if (version->version >= SIM_V(3, 0))
		KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

/* An answer that the version does not have is none. */
static void answers_need_their_version(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct vmbus_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);
	struct guest_chan *victim, *good = start(test, version->version, &victim);

	KUNIT_ASSERT_NOT_NULL(test, req);
	vmbus_request_init(req, CHANNELMSG_MODIFYCHANNEL_RESPONSE, VICTIM, 0);
	KUNIT_ASSERT_EQ(test, vmbus_request_begin(req), 0);
	sim_send_result(SIM_MODIFY_RESPONSE, VICTIM, 0, 0);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, vmbus_request_wait(req, 1),
			version->version >= SIM_V(5, 3) ? 0 : -ETIMEDOUT);

	vmbus_request_init(req, CHANNELMSG_UNLOAD_RESPONSE, 0, 0);
	KUNIT_ASSERT_EQ(test, vmbus_request_begin(req), 0);
	sim_send_relid(SIM_UNLOAD_RESPONSE, 0);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, vmbus_request_wait(req, 1),
			version->version >= SIM_V(3, 0) ? 0 : -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

/* Each defect has its errno; the bytes that a message does not have are zero. */
static void defects_have_names(struct kunit *test)
{
	static const struct {
		u32 type, len, relid, version;
		bool connecting;
		int err;
	} verdicts[] = {
		{ SIM_RESCIND, 12, VICTIM, NEWEST, true, 0 },
		{ SIM_RESCIND, SIM_PAYLOAD, VICTIM, NEWEST, false, 0 },
		{ SIM_RESCIND, SIM_PAYLOAD + 1, VICTIM, NEWEST, false, -EMSGSIZE },
		{ SIM_RESCIND, 11, VICTIM, NEWEST, false, -EMSGSIZE },
		{ SIM_RESCIND, 7, VICTIM, NEWEST, false, -EMSGSIZE },
		{ SIM_RESCIND, 0, VICTIM, NEWEST, false, -EMSGSIZE },
		{ SIM_OPEN, SIM_PAYLOAD, VICTIM, NEWEST, false, -EOPNOTSUPP },
		{ U32_MAX, SIM_PAYLOAD, VICTIM, NEWEST, false, -EOPNOTSUPP },
		{ SIM_UNLOAD_RESPONSE, 8, 0, SIM_V(3, 0), true, 0 },
		{ SIM_UNLOAD_RESPONSE, 8, 0, SIM_V(2, 4), true, -EPROTO },
		{ SIM_MODIFY_RESPONSE, 16, VICTIM, SIM_V(5, 2), false, -EPROTO },
		{ SIM_TL_RESULT, 44, 0, SIM_V(4, 1), true, 0 },
		{ SIM_TL_RESULT, 43, 0, SIM_V(4, 1), false, -EMSGSIZE },
		{ SIM_TL_RESULT, 44, 0, SIM_V(4, 0), false, -EPROTO },
		{ SIM_ALL_OFFERS, 8, 0, NEWEST, false, 0 },
		{ SIM_ALL_OFFERS, 8, 0, NEWEST, true, -ENOTCONN },
		{ SIM_RESCIND, 12, 0, NEWEST, false, -ERANGE },
		{ SIM_RESCIND, 12, 2048, NEWEST, false, -ERANGE },
		{ SIM_OPEN_RESULT, 20, U32_MAX, NEWEST, false, -ERANGE },
		{ SIM_GPADL_CREATED, 20, 0, NEWEST, false, -ERANGE },
		{ SIM_MODIFY_RESPONSE, 16, 2048, NEWEST, false, -ERANGE },
	};
	struct vmbus_message *copy = kunit_kzalloc(test, sizeof(*copy), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	for (i = 0; i < ARRAY_SIZE(verdicts); i++) {
		const union message msg = { .relid = { .header.type = verdicts[i].type,
						       .relid = verdicts[i].relid } };

		vmbus_message_copy(copy, &msg, verdicts[i].len);
		KUNIT_EXPECT_EQ_MSG(test, vmbus_message_check(copy, verdicts[i].version,
							      !verdicts[i].connecting),
				    verdicts[i].err, "verdict %u", i);
	}
}

/* ---- what is no message of a host ---- */

static unsigned int posts(void)
{
	unsigned int type, count = 0;

	for (type = 0; type < SIM_NR_TYPES; type++)
		count += sim_received_all(type);
	return count;
}

static void unknown_types_do_nothing(struct kunit *test)
{
	static const u32 types[] = {
		0, SIM_REQUEST_OFFERS, SIM_OPEN, SIM_CLOSE, SIM_GPADL_HEADER, SIM_GPADL_BODY,
		SIM_GPADL_TEARDOWN, SIM_RELID_RELEASED, SIM_CONTACT, SIM_UNLOAD, 18, 19, 20,
		SIM_TL_CONNECT, SIM_MODIFY, 25, 26, 27, 28, 29, 0xff, 0x101,
		0x10001, 0x7fffffff, 0x80000000, 0x80000001, U32_MAX,
	};
	static const u32 sizes[] = { 8, 12, 44, SIM_PAYLOAD };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	unsigned int i, before;

	guest_open(test, victim, victim->host);
	before = posts();
	for (i = 0; i < ARRAY_SIZE(types) * ARRAY_SIZE(sizes); i++) {
		union message msg = { .relid.relid = VICTIM };

		msg.header.type = types[i / ARRAY_SIZE(sizes)];
		sim_send(&msg, sizes[i % ARRAY_SIZE(sizes)]);
	}
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, posts(), before);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
	KUNIT_EXPECT_TRUE(test, guest_echoes(victim));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static void other_synic_messages_are_only_freed(struct kunit *test)
{
	static const u32 types[] = { 2, 3, 0x101, 0x7fffffff, 0x80000000, 0x80000011, U32_MAX };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	struct sim_chan *chan = sim_new(test, FREE, NULL, &sim_echo);
	union message msg = { };
	unsigned int i, cpu;

	sim_make_offer(chan, &msg.offer);
	for_each_online_cpu(cpu) {
		for (i = 0; i < ARRAY_SIZE(types); i++)
			sim_send_raw(cpu, types[i], sizeof(msg.offer), &msg, sizeof(msg));
		/* More than a slot holds. */
		sim_send_raw(cpu, SYNIC_VMBUS, SIM_PAYLOAD + 1, &msg, sizeof(msg));
		sim_send_raw(cpu, SYNIC_VMBUS, U8_MAX, &msg, sizeof(msg));
	}
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, known(FREE));
	KUNIT_EXPECT_EQ(test, sim_timers(), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));

	chan->offered = true;
	sim_send_slot(sim_bus_synic(), 1, SYNIC_VMBUS, SIM_PAYLOAD, &msg, sizeof(msg));
	KUNIT_EXPECT_TRUE(test, sim_wait(known(FREE)));
}

/* A timer shares the slot: its messages are the timer's, those behind it are ours. */
static void timer_messages_go_to_the_timer(struct kunit *test)
{
	static const struct sim_header marker = { .type = SIM_ALL_OFFERS };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	struct sim_chan *chan = sim_new(test, FREE, NULL, &sim_echo);
	unsigned int cpu, round, timers = 0;
	union message msg = { };

	sim_make_offer(chan, &msg.offer);
	for_each_online_cpu(cpu) {
		for (round = 0; round < 20; round++) {
			sim_send_raw(cpu, SYNIC_TIMER, sizeof(msg.offer), &msg, sizeof(msg));
			sim_send_raw(cpu, SYNIC_VMBUS, sizeof(marker), &marker, sizeof(marker));
			timers++;
		}
		sim_drain(test);
		KUNIT_EXPECT_EQ(test, sim_timers(), timers);
	}
	KUNIT_EXPECT_FALSE(test, known(FREE));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static long poll_messages(void *unused)
{
	return vmbus_message_poll(0);
}

/* The work may find a timer's message before its interrupt comes. */
static void work_leaves_timer_messages(struct kunit *test)
{
	static const struct sim_header marker = { .type = SIM_ALL_OFFERS };
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	struct hv_message *slot;

	sim_drain(test);
	sim_mute(true);
	sim_send_raw(0, SYNIC_TIMER, sizeof(marker), &marker, sizeof(marker));
	KUNIT_EXPECT_FALSE(test, work_on_cpu(0, poll_messages, NULL));
	KUNIT_EXPECT_EQ(test, sim_timers(), 0);
	slot = per_cpu(vmbus_synic[VMBUS_SYNIC_HOST], 0).message;
	KUNIT_EXPECT_EQ(test, READ_ONCE(slot->header.message_type), SYNIC_TIMER);
	sim_mute(false);
	sim_event(0, FREE);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_timers() == 1));
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static u64 slot_state(u32 type, bool pending)
{
	return type | (u64)SIM_PAYLOAD << 32 | (u64)pending << 40;
}

static void freed_slots_say_who_waits(struct kunit *test)
{
	struct hv_message *slot = kunit_kzalloc(test, sizeof(*slot), GFP_KERNEL);
	u64 *state = (u64 *)slot;
	unsigned int pending;

	KUNIT_ASSERT_NOT_NULL(test, slot);
	for (pending = 0; pending < 2; pending++) {
		*state = slot_state(SYNIC_VMBUS, pending);
		KUNIT_EXPECT_FALSE(test, vmbus_slot_free(slot, SYNIC_TIMER));
		KUNIT_EXPECT_EQ(test, *state, slot_state(SYNIC_VMBUS, pending));
		KUNIT_EXPECT_EQ(test, vmbus_slot_free(slot, SYNIC_VMBUS), pending);
		KUNIT_EXPECT_EQ(test, *state, slot_state(0, pending));
		KUNIT_EXPECT_FALSE(test, vmbus_slot_free(slot, SYNIC_VMBUS));
	}
}

/* The slot's other source: a message of its own as soon as the slot is free. */
static int refill(void *slot)
{
	while (!kthread_should_stop()) {
		if (!READ_ONCE(*(u32 *)slot))
			WRITE_ONCE(*(u64 *)slot, slot_state(SYNIC_TIMER, false));
		cond_resched();
	}
	return 0;
}

static void refilled_slots_say_who_waits(struct kunit *test)
{
	struct hv_message *slot = kunit_kzalloc(test, sizeof(*slot), GFP_KERNEL);
	unsigned long end = jiffies + msecs_to_jiffies(5000);
	unsigned int round, lost = 0;
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, slot);
	WRITE_ONCE(*(u64 *)slot, slot_state(SYNIC_TIMER, false));
	task = kthread_run(refill, slot, "refill");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (round = 0; round < 200000 && time_before(jiffies, end); round++) {
		WRITE_ONCE(*(u64 *)slot, slot_state(SYNIC_VMBUS, true));
		lost += !vmbus_slot_free(slot, SYNIC_VMBUS);
		while (READ_ONCE(slot->header.message_type) != SYNIC_TIMER)
			cond_resched();
	}
	kthread_stop(task);
	kunit_info(test, "%u rounds\n", round);
	KUNIT_EXPECT_EQ(test, lost, 0);
}

/* The limit is so many for each of its windows, which are counted in jiffies as well. */
static void expect_limited(struct kunit *test, u64 mark, unsigned long begun, const char *text)
{
	unsigned int lines = sim_log_lines(mark, text);
	unsigned long windows = (jiffies - begun) / DEFAULT_RATELIMIT_INTERVAL + 1;

	KUNIT_EXPECT_GT_MSG(test, lines, 0, "%s", text);
	KUNIT_EXPECT_LE_MSG(test, lines, windows * DEFAULT_RATELIMIT_BURST, "%s", text);
}

/* A host that talks nonsense all the time must not fill the log. */
static void log_is_rate_limited(struct kunit *test)
{
	struct guest_chan *victim, *good = start(test, NEWEST, &victim);
	union message unknown = { .header.type = 25 };
	unsigned long begun;
	unsigned int i;
	u64 mark;

	/* What earlier cases left of the limit, at most 10 lines in 5 s. */
	msleep(5500);
	mark = sim_log_mark();
	begun = jiffies;
	for (i = 0; i < 400; i++) {
		sim_send(&unknown, sizeof(unknown.header));
		sim_send_relid(SIM_RESCIND, FREE);
		sim_send_result(SIM_OPEN_RESULT, VICTIM, 77, 0);
	}
	sim_drain(test);
	expect_limited(test, mark, begun, "from the host ignored: ");
	expect_limited(test, mark, begun, "rescind of relid 11 ignored");
	expect_limited(test, mark, begun, "OPENCHANNEL_RESULT that nobody asked for");
	KUNIT_EXPECT_TRUE(test, guest_echoes(good));
}

static struct kunit_case message_cases[] = {
	KUNIT_CASE_PARAM(malformed_answers_end_nothing, answers_gen_params),
	KUNIT_CASE_PARAM(any_status_is_a_refusal, refusals_gen_params),
	KUNIT_CASE(malformed_offers_bring_nothing),
	KUNIT_CASE(bad_monitor_ids_are_given_back),
	KUNIT_CASE(stray_sub_channels_are_given_back),
	KUNIT_CASE(malformed_rescinds_take_nothing),
	KUNIT_CASE(nothing_counts_while_connecting),
	KUNIT_CASE(cut_all_offers_is_not_the_end),
	KUNIT_CASE(cut_unload_response_is_none),
	KUNIT_CASE_PARAM(longer_messages_are_taken, sim_versions_gen_params),
	KUNIT_CASE_PARAM(answers_need_their_version, sim_versions_gen_params),
	KUNIT_CASE(defects_have_names),
	KUNIT_CASE(unknown_types_do_nothing),
	KUNIT_CASE(other_synic_messages_are_only_freed),
	KUNIT_CASE(timer_messages_go_to_the_timer),
	KUNIT_CASE(work_leaves_timer_messages),
	KUNIT_CASE(freed_slots_say_who_waits),
	KUNIT_CASE(refilled_slots_say_who_waits),
	KUNIT_CASE(log_is_rate_limited),
	{}
};

struct kunit_suite message_suite = {
	.name = "hv_vmbus_message",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = message_cases,
};
