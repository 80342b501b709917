// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_hostile: any messages at any time. KASAN, lockdep and the like see
 * what goes wrong in the driver; here it has to go on working: a good device
 * next to the bad ones, answers in time, a log that is not flooded.
 *
 * Bad channels go through all states meanwhile: actors open and close them all
 * the time. The host never touches their rings, since after a lie about them the
 * guest is right to use that memory for something else.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>

#include "guest.h"
#include "log_watch.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

static unsigned int hostile_count = 32000;
module_param(hostile_count, uint, 0444);
MODULE_PARM_DESC(hostile_count, "Messages that the hostile host sends, in all");

/* Channels: one good one, bad ones, and a range of relids for made-up offers. */
#define GOOD		1
#define BAD		2
#define NR_BAD		4
#define BOGUS		64
#define NR_BOGUS	32

#define BATCH		256	/* messages between two looks at the guest */
#define KINDS		16	/* cases that share hostile_count */

struct junk {
	u32 len;
	union {
		struct sim_header header;
		struct sim_msg_offer offer;
		struct sim_msg_relid relid;
		struct sim_msg_result result;
		struct sim_msg_torndown torndown;
		struct sim_msg_version version;
		struct sim_msg_modify_result modify;
		u8 bytes[SIM_PAYLOAD];
		u32 words[SIM_PAYLOAD / sizeof(u32)];
	};
};

static struct sim_chan *good_chan, *bad_chans[NR_BAD];
static atomic_t opened, refused, bogus, unexpected;

/* ---- messages ---- */

/* Dice of the one thread that sends: sim_random() takes a lock for each throw. */
static struct rnd_state dice;

static u32 roll(u32 below)
{
	return prandom_u32_state(&dice) % below;
}

/* Anything at all. */
static void make_random(struct junk *junk)
{
	junk->len = roll(SIM_PAYLOAD + 1);
	prandom_bytes_state(&dice, junk->bytes, junk->len);
}

/* A type that there is, or nearly, and anything else. */
static void make_body(struct junk *junk)
{
	make_random(junk);
	junk->len = max_t(u32, junk->len, sizeof(junk->header));
	junk->header.type = roll(SIM_NR_TYPES);
}

static u32 some_relid(void)
{
	switch (roll(8)) {
	case 0:
		return GOOD;
	case 1:
	case 2:
	case 3:
		return BAD + roll(NR_BAD);
	case 4:
		return roll(2 * SIM_RELIDS);
	default:
		return BOGUS + roll(NR_BOGUS);
	}
}

/* An id that is, was or will be in use. */
static u32 near(u32 id)
{
	return id + roll(5) - 2;
}

static u32 some_status(void)
{
	return roll(2) ? 0 : roll(2) ? 0x8000ffff : roll(U32_MAX);
}

static void make_offer(struct junk *junk)
{
	static const guid_t * const types[] = {
		&sim_type_plain, &sim_type_perf, &sim_type_unknown,
	};
	struct sim_chan chan = {
		.relid = some_relid(),
		.type = *types[roll(ARRAY_SIZE(types))],
		.flags = roll(16) ? 0 : SIM_OFFER_HVSOCK,
		.sub = roll(4) ? 0 : roll(4),
		.monitored = !roll(4),
		.monitor_id = roll(256),
	};

	/* Few instances, so that they meet, and those that there are. */
	chan.instance.b[0] = roll(16);
	if (!roll(8))
		chan.instance = good_chan->instance;
	else if (!roll(8))
		chan.instance = bad_chans[roll(NR_BAD)]->instance;
	sim_make_offer(&chan, &junk->offer);
	junk->len = sizeof(junk->offer);
}

/* What a good host may send, but nobody asked for it now. */
static void make_untimely(struct junk *junk)
{
	const struct sim_chan *chan = bad_chans[roll(NR_BAD)];
	static const u8 lengths[SIM_NR_TYPES] = {
		[SIM_RESCIND] = sizeof(junk->relid),
		[SIM_ALL_OFFERS] = sizeof(junk->header),
		[SIM_OPEN_RESULT] = sizeof(junk->result),
		[SIM_GPADL_CREATED] = sizeof(junk->result),
		[SIM_GPADL_TORNDOWN] = sizeof(junk->torndown),
		[SIM_VERSION_RESPONSE] = sizeof(junk->version),
		[SIM_UNLOAD_RESPONSE] = sizeof(junk->header),
		[SIM_TL_RESULT] = sizeof(junk->header) + 36,
		[SIM_MODIFY_RESPONSE] = sizeof(junk->modify),
	};
	u32 type;

	do {
		type = 1 + roll(SIM_NR_TYPES - 1);
	} while (type != SIM_OFFER && !lengths[type]);
	memset(junk, 0, sizeof(*junk));
	if (type == SIM_OFFER) {
		make_offer(junk);
		return;
	}
	junk->header.type = type;
	junk->len = lengths[type];
	junk->result.relid = some_relid();
	junk->result.id = near(type == SIM_OPEN_RESULT ? chan->open_id : chan->ring_gpadl);
	junk->result.status = some_status();
	if (type == SIM_GPADL_TORNDOWN)
		junk->torndown.gpadl = near(chan->ring_gpadl);
	if (type == SIM_MODIFY_RESPONSE)
		junk->modify.status = some_status();
	if (type == SIM_VERSION_RESPONSE)
		junk->version.supported = roll(2);
}

/* The same with one to three bytes or words changed, or of another length. */
static void make_mutated(struct junk *junk)
{
	static const u32 edges[] = {
		0, 1, 0x7f, 0xff, 0x7ff, 0x800, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	u32 n = 1 + roll(3);

	make_untimely(junk);
	while (n--) {
		if (roll(2))
			junk->bytes[roll(junk->len)] = roll(256);
		else
			junk->words[roll(junk->len / sizeof(u32))] =
				edges[roll(ARRAY_SIZE(edges))];
	}
	if (!roll(4))
		junk->len = roll(SIM_PAYLOAD + 1);
}

/*
 * What would spoil the test and not the driver: a rescind of the good channel;
 * one of a bad channel, since then the model would keep what the guest has
 * freed; offers of two thousand devices, each of which takes its time.
 */
static void tame(struct junk *junk)
{
	bool offer = junk->len >= sizeof(junk->offer) && junk->header.type == SIM_OFFER;

	if (junk->len >= sizeof(junk->relid) && junk->header.type == SIM_RESCIND &&
	    junk->relid.relid && junk->relid.relid < BOGUS)
		junk->relid.relid = BOGUS + roll(NR_BOGUS);
	if (offer && junk->offer.relid >= BAD + NR_BAD && junk->offer.relid < SIM_RELIDS)
		junk->offer.relid = BOGUS + junk->offer.relid % NR_BOGUS;
}

struct hostile_kind {
	const char *name;
	void (*make)(struct junk *junk);
	u32 version;
};

static void send_junk(const struct hostile_kind *kind)
{
	struct junk junk;

	kind->make(&junk);
	tame(&junk);
	/*
	 * Some say that they are longer than a message can be, or no VMBus message;
	 * none that it is no message at all (0), which no hypervisor could deliver.
	 */
	if (!roll(64))
		sim_send_raw(roll(nr_cpu_ids), 1 + roll(3), roll(256), junk.bytes, junk.len);
	else
		sim_send(junk.bytes, junk.len);
}

/* ---- bad channels in all states ---- */

static void nothing(void *context)
{
}

static struct vmbus_chan *get_chan(u32 relid)
{
	struct vmbus_chan *chan;

	rcu_read_lock();
	chan = vmbus_relid_lookup(relid);
	if (chan && !kref_get_unless_zero(&chan->ref))
		chan = NULL;
	rcu_read_unlock();
	return chan;
}

static void act(struct vmbus_chan *chan)
{
	u32 size = (2 + sim_random(30)) * PAGE_SIZE;
	int err = vmbus_open(&chan->ch, size, size, NULL, 0, nothing, NULL);

	if (!err) {
		atomic_inc(&opened);
		usleep_range(500, 5000);
		if (!sim_random(2))
			vmbus_channel_retarget(chan, sim_random(nr_cpu_ids));
		vmbus_close(&chan->ch);
		return;
	}
	atomic_inc(&refused);
	if (err != -EDQUOT && err != -EAGAIN && err != -ENODEV && err != -ETIMEDOUT &&
	    err != -EBUSY) {
		pr_err("hostile: open: %d\n", err);
		atomic_inc(&unexpected);
	}
}

static int actor(void *unused)
{
	struct vmbus_chan *chan;

	while (!kthread_should_stop()) {
		chan = get_chan(BAD + sim_random(NR_BAD));
		if (chan) {
			act(chan);
			vmbus_chan_put(chan);
		}
		chan = get_chan(BOGUS + sim_random(NR_BOGUS));
		if (chan) {
			atomic_inc(&bogus);
			/* Some of them are opened: the host does not know them. */
			if (!sim_random(4))
				act(chan);
			vmbus_chan_put(chan);
		}
		usleep_range(1000, 4000);
	}
	return 0;
}

/* The model's own rescinds: what follows them is as the host expects it. */
static void rescind_some(void)
{
	struct sim_chan *chan = bad_chans[sim_random(NR_BAD)];

	if (sim_gone(chan))
		sim_reoffer(chan);
	else if (!sim_random(4))
		sim_rescind(chan);
}

/* ---- the cases ---- */

static bool echoes(struct guest_chan *guest)
{
	int before = atomic_read(&guest->received);
	u64 payload = before;

	return !guest_send(guest, &payload, sizeof(payload), before) &&
	       sim_wait(atomic_read(&guest->received) == before + 1) &&
	       guest->last_len == sizeof(payload) && guest->last_id == before;
}

static void set_up(struct kunit *test)
{
	unsigned int i;

	sim_allow_violations();
	atomic_set(&opened, 0);
	atomic_set(&refused, 0);
	atomic_set(&bogus, 0);
	atomic_set(&unexpected, 0);
	prandom_seed_state(&dice, sim_random(U32_MAX));
	good_chan = sim_add_relid(test, GOOD, NULL, &sim_echo);
	for (i = 0; i < NR_BAD; i++)
		bad_chans[i] = sim_add_relid(test, BAD + i, i % 2 ? &sim_type_perf : NULL,
					     &sim_manual);
}

/* The messages met channels in their several states, and made some. */
static bool covered(const struct hostile_kind *kind)
{
	if (atomic_read(&opened) < 5)
		return false;
	return (kind->make != make_untimely && kind->make != make_mutated) ||
	       (atomic_read(&bogus) >= 3 && sim_received(SIM_RELID_RELEASED) >= 5);
}

/*
 * Sends at least @count messages, more if the actor needs time. Return: how many,
 * 0 if the guest did not keep up.
 */
static unsigned int pester(const struct hostile_kind *kind, struct guest_chan *guest,
			   unsigned int count)
{
	unsigned long end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	unsigned int sent = 0, i;

	while (sent < count || (!covered(kind) && time_before(jiffies, end))) {
		for (i = 0; i < BATCH; i++)
			send_junk(kind);
		sent += BATCH;
		rescind_some();
		if (!sim_wait(!sim_queued()) || !echoes(guest))
			return 0;
	}
	return sent;
}

static void survives_messages(struct kunit *test)
{
	const struct hostile_kind *kind = test->param_value;
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	unsigned int sent, took, lines;
	struct task_struct *thread;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	set_up(test);
	guest->reads = true;
	sim_start_ok(test, kind->version);
	guest_open(test, guest, good_chan);
	/* What is made up gets no true answer. */
	vmbus_deadlines.request = 100;
	thread = kthread_run(actor, NULL, "hostile");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	log_watch_begin();
	took = jiffies_to_msecs(jiffies);
	sent = pester(kind, guest, hostile_count / KINDS);
	took = jiffies_to_msecs(jiffies) - took;
	kthread_stop(thread);
	/* The actor's openings and closings that fail say so each. */
	lines = log_watch_end(test, 3 * (atomic_read(&opened) + atomic_read(&refused)) + 20);
	kunit_info(test, "%u messages in %u ms, opened %d, refused %d, made-up channels %d, released %u, %u lines\n",
		   sent, took, atomic_read(&opened), atomic_read(&refused), atomic_read(&bogus),
		   sim_received(SIM_RELID_RELEASED), lines);

	KUNIT_EXPECT_GE(test, sent, hostile_count / KINDS);
	KUNIT_EXPECT_GT(test, sent, 0);
	KUNIT_EXPECT_TRUE(test, covered(kind));
	KUNIT_EXPECT_TRUE(test, echoes(guest));
	KUNIT_EXPECT_EQ(test, guest->error, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&unexpected), 0);
}

static const struct hostile_kind kinds[KINDS] = {
	{ "random bytes, 5.3", make_random, SIM_V(5, 3) },
	{ "random bodies, 5.3", make_body, SIM_V(5, 3) },
	{ "mutations, 5.3", make_mutated, SIM_V(5, 3) },
	{ "at the wrong time, 5.3", make_untimely, SIM_V(5, 3) },
	{ "random bytes, 5.0", make_random, SIM_V(5, 0) },
	{ "random bodies, 5.0", make_body, SIM_V(5, 0) },
	{ "mutations, 5.0", make_mutated, SIM_V(5, 0) },
	{ "at the wrong time, 5.0", make_untimely, SIM_V(5, 0) },
	{ "random bytes, 4.1", make_random, SIM_V(4, 1) },
	{ "random bodies, 4.1", make_body, SIM_V(4, 1) },
	{ "mutations, 4.1", make_mutated, SIM_V(4, 1) },
	{ "at the wrong time, 4.1", make_untimely, SIM_V(4, 1) },
	{ "random bytes, 2.4", make_random, SIM_V(2, 4) },
	{ "random bodies, 2.4", make_body, SIM_V(2, 4) },
	{ "mutations, 2.4", make_mutated, SIM_V(2, 4) },
	{ "at the wrong time, 2.4", make_untimely, SIM_V(2, 4) },
};

static const struct hostile_kind start_kinds[] = {
	{ "random bytes, 5.3", make_random, SIM_V(5, 3) },
	{ "random bodies, 5.3", make_body, SIM_V(5, 3) },
	{ "mutations, 5.3", make_mutated, SIM_V(5, 3) },
	{ "at the wrong time, 5.3", make_untimely, SIM_V(5, 3) },
};

static void describe(const struct hostile_kind *kind, char *description)
{
	strscpy(description, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kinds, kinds, describe);
KUNIT_ARRAY_PARAM(start_kinds, start_kinds, describe);

/* ---- while the driver starts and stops ---- */

#define STARTS		6
#define BACKLOG		32	/* that waits for a driver that starts */

static int flood(void *kind)
{
	while (!kthread_should_stop()) {
		if (sim_queued() < BACKLOG)
			send_junk(kind);
		else
			usleep_range(200, 500);
	}
	return 0;
}

static void survives_while_starting(struct kunit *test)
{
	const struct hostile_kind *kind = test->param_value;
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	unsigned int i, started = 0;
	struct task_struct *thread;
	int err = 0;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	set_up(test);
	sim_allow_no_unload();
	vmbus_deadlines.request = 100;
	vmbus_deadlines.version = 1000;
	vmbus_deadlines.offers = 1000;
	vmbus_deadlines.unload = 1000;
	vmbus_deadlines.post = 1000;
	thread = kthread_run(flood, (void *)kind, "hostile");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	for (i = 0; i < STARTS; i++) {
		err = sim_start(test, kind->version);
		started += !err;
		sim_stop(test);
		/* What it has not heard yet is not to come between the next one's. */
		sim_wait(sim_heard_all());
		sim_forget_guest();
	}
	kthread_stop(thread);
	kunit_info(test, "%u of %u starts\n", started, i);

	/* What waits is for the next one to read; then it is as if nothing had been. */
	for (i = 0; i < 4; i++) {
		sim_start(test, kind->version);
		sim_wait(!sim_queued());
		sim_stop(test);
		sim_wait(sim_heard_all());
		sim_forget_guest();
	}
	vmbus_deadlines.version = SIM_ANSWERED_MS;
	vmbus_deadlines.offers = SIM_ANSWERED_MS;
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	sim_start_ok(test, kind->version);
	guest->reads = true;
	guest_open(test, guest, good_chan);
	KUNIT_EXPECT_TRUE(test, echoes(guest));
}

static struct kunit_case hostile_cases[] = {
	KUNIT_CASE_PARAM(survives_messages, kinds_gen_params),
	KUNIT_CASE_PARAM(survives_while_starting, start_kinds_gen_params),
	{}
};

struct kunit_suite hostile_suite = {
	.name = "hv_vmbus_hostile",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = hostile_cases,
};
