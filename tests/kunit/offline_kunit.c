// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_offline: CPUs go, and the driver moves the channels that interrupt
 * them; whatever the host does meanwhile, nothing that it signalled is missed.
 */
#include <linux/cpu.h>
#include <linux/kthread.h>

#include "call.h"
#include "files.h"
#include "guest.h"
#include "in_vain.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define V5_2		SIM_V(5, 2)
#define NR_CPUS_NEEDED	4
#define MANY		12	/* channels, three for each CPU */
#define GOING		2	/* the CPU that goes in most cases */
#define USER_ROUNDS	6
#define HELD_MS		100
/* At first; longer where this machine is too slow for it. */
#define LATE_MS		1500
/* Of an opener; a CPU that goes too late for it is not held up. */
#define HANGS_MS	2000

/**
 * struct place - a channel, and where it is served
 * @guest: the channel
 * @ran_on: where the callback ran last
 * @insists: the host interrupts the CPU that goes again whenever it has been heard
 */
struct place {
	struct guest_chan guest;
	unsigned int ran_on;
	bool insists;
};

static void note_cpu(void *context)
{
	struct place *place = context;

	/* Whoever sees the packet sees the CPU, too. */
	WRITE_ONCE(place->ran_on, raw_smp_processor_id());
	if (READ_ONCE(place->insists))
		sim_event(GOING, place->guest.host->relid);
	guest_callback(&place->guest);
}

static int open_place(void *context)
{
	struct place *place = context;

	return vmbus_open(place->guest.ch, GUEST_RING, GUEST_RING, NULL, 0, note_cpu, place);
}

static struct place *places_new(struct kunit *test, unsigned int count)
{
	struct place *places = kunit_kcalloc(test, count, sizeof(*places), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, places);
	KUNIT_ASSERT_EQ(test, num_online_cpus(), NR_CPUS_NEEDED);
	for (i = 0; i < count; i++) {
		places[i].guest.host = sim_add(test, &sim_type_perf, &sim_echo);
		places[i].guest.reads = true;
	}
	return places;
}

static void open_places(struct kunit *test, struct place *places, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		KUNIT_ASSERT_EQ(test, open_place(&places[i]), 0);
}

/* The driver runs, with so many channels of devices that are spread over the CPUs. */
static struct place *start(struct kunit *test, u32 version, unsigned int count)
{
	struct place *places = places_new(test, count);
	unsigned int i;

	sim_start_ok(test, version);
	for (i = 0; i < count; i++)
		places[i].guest.ch = sim_guest_channel(test, places[i].guest.host);
	return places;
}

static struct place *find_on(struct place *places, unsigned int count, unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (places[i].guest.ch->target_cpu == cpu)
			return &places[i];
	return NULL;
}

/* One open channel, on the CPU that goes. */
static struct place *start_one(struct kunit *test, u32 version)
{
	struct place *places = start(test, version, NR_CPUS_NEEDED);
	struct place *place = find_on(places, NR_CPUS_NEEDED, GOING);

	KUNIT_ASSERT_NOT_NULL(test, place);
	open_places(test, place, 1);
	return place;
}

static bool host_targets(struct place *place, unsigned int cpu)
{
	return READ_ONCE(place->guest.host->target_vp) == vmbus_host->vp_index(cpu);
}

/*
 * The channel works where it says that it does. The driver's look at moved channels
 * may be in between, and on any CPU: with the CPU that went and twice after it.
 */
static void expect_served(struct kunit *test, struct place *place)
{
	unsigned int tries = 0;

	KUNIT_EXPECT_TRUE(test, host_targets(place, place->guest.ch->target_cpu));
	do {
		KUNIT_EXPECT_TRUE(test, guest_echoes(&place->guest));
	} while (READ_ONCE(place->ran_on) != place->guest.ch->target_cpu && ++tries < 4);
	KUNIT_EXPECT_LT(test, tries, 4);
}

static unsigned int count_on(struct place *places, unsigned int count, unsigned int cpu)
{
	unsigned int i, found = 0;

	for (i = 0; i < count; i++)
		found += places[i].guest.ch->target_cpu == cpu;
	return found;
}

/* The CPU stays, and one line names the channel and says why. */
static void expect_stays(struct kunit *test, struct place *place, const char *why)
{
	char text[160];
	u64 mark = sim_log_mark();

	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), -EBUSY);
	KUNIT_EXPECT_TRUE(test, cpu_online(GOING));
	snprintf(text, sizeof(text), "%pUl (relid %u): keeps CPU %u online: %s",
		 &place->guest.host->instance, place->guest.host->relid, GOING, why);
	KUNIT_EXPECT_EQ_MSG(test, sim_log_lines(mark, text), 1, "%s", text);
	KUNIT_EXPECT_EQ(test, place->guest.ch->target_cpu, GOING);
}

static int go(void *unused)
{
	return remove_cpu(GOING);
}

/* The versions at which channels move. */
static const void *moving_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct sim_version *next = prev;

	do {
		next = VMBUS_PARAM_NEXT(sim_versions_gen_params, next, desc);
	} while (next && next->version < SIM_V(4, 1));
	return next;
}

static u32 version_of(struct kunit *test)
{
	return ((const struct sim_version *)test->param_value)->version;
}

/* ---- moves ---- */

static void channels_leave_from_4_1_on(struct kunit *test)
{
	struct place *places = start(test, version_of(test), MANY), *place;
	unsigned int i;

	open_places(test, places, MANY);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, GOING), 3);
	if (version_of(test) < SIM_V(4, 1)) {
		place = find_on(places, MANY, GOING);
		expect_stays(test, place, "the protocol is older than 4.1");
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
		expect_served(test, place);
		return;
	}
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 3);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_MODIFY_RESPONSE),
			version_of(test) >= SIM_V(5, 3) ? 3 : 0);
	/* Each to the CPU that had fewest, and none to the connect CPU. */
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, GOING), 0);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, 0), 3);
	KUNIT_EXPECT_GE(test, count_on(places, MANY, 1), 4);
	KUNIT_EXPECT_GE(test, count_on(places, MANY, 3), 4);
	for (i = 0; i < MANY; i++)
		expect_served(test, &places[i]);
	KUNIT_EXPECT_EQ(test, add_cpu(GOING), 0);
	/* Only the rings are still shared. */
	KUNIT_EXPECT_EQ(test, sim_gpadls(), MANY);
}

/* Of unopened channels the host does not know where they are. */
static void unopened_are_assigned_anew(struct kunit *test)
{
	struct place *places = start(test, SIM_USUAL, MANY);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, count_on(places, MANY, GOING), 3);
	/* Closed is as good as never opened. */
	open_places(test, find_on(places, MANY, GOING), 1);
	vmbus_close(find_on(places, MANY, GOING)->guest.ch);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, GOING), 0);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, 0), 3);
	open_places(test, places, MANY);
	for (i = 0; i < MANY; i++)
		expect_served(test, &places[i]);
}

/* Also one that no driver spread: a user has put it there. */
static void user_placed_channel_leaves(struct kunit *test)
{
	struct place *place = places_new(test, 1);

	place->guest.host = sim_add(test, NULL, &sim_echo);
	sim_start_ok(test, SIM_USUAL);
	place->guest.ch = sim_guest_channel(test, place->guest.host);
	open_places(test, place, 1);
	KUNIT_EXPECT_EQ(test, channel_write(place->guest.ch, "cpu", "2"), 0);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_NE(test, place->guest.ch->target_cpu, 0);
	expect_served(test, place);
}

/* All but the connect CPU go, one after the other, and come back. */
static void devices_with_sub_channels(struct kunit *test)
{
	struct place *places = start(test, SIM_USUAL, MANY);
	unsigned int i, cpu;

	/* The first three have three sub-channels each; the others go. */
	for (i = 3; i < MANY; i++) {
		sim_rescind(places[i].guest.host);
		KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(places[i].guest.host)));
	}
	open_places(test, places, 3);
	for (i = 3; i < MANY; i++) {
		places[i].guest.host = sim_add_sub(test, places[i % 3].guest.host, i / 3,
						   &sim_echo);
		places[i].guest.ch = sim_guest_channel(test, places[i].guest.host);
		open_places(test, &places[i], 1);
	}
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, 0), 3);
	for (cpu = 1; cpu < NR_CPUS_NEEDED; cpu++) {
		KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
		KUNIT_EXPECT_EQ(test, count_on(places, MANY, cpu), 0);
		/* As long as there is another. */
		KUNIT_EXPECT_EQ(test, count_on(places, MANY, 0), cpu < 3 ? 3 : MANY);
		for (i = 0; i < MANY; i++)
			expect_served(test, &places[i]);
	}
	for (cpu = 1; cpu < NR_CPUS_NEEDED; cpu++)
		KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	for (i = 0; i < 3; i++)
		vmbus_close(places[i].guest.ch);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
}

static void new_channels_use_it_again(struct kunit *test)
{
	struct place *places = start(test, SIM_USUAL, MANY);
	struct sim_chan *chan;
	unsigned int i;

	open_places(test, places, MANY);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	chan = sim_add(test, &sim_type_perf, NULL);
	KUNIT_EXPECT_EQ(test, sim_guest_channel(test, chan)->target_cpu, 0);
	KUNIT_ASSERT_EQ(test, add_cpu(GOING), 0);
	/* It has none, the others have four or five. */
	for (i = 0; i < 4; i++) {
		chan = sim_add(test, &sim_type_perf, NULL);
		KUNIT_EXPECT_EQ(test, sim_guest_channel(test, chan)->target_cpu, GOING);
	}
	/* The counts are right even so when all have gone. */
	for (i = 0; i < MANY; i++)
		vmbus_close(places[i].guest.ch);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
}

static void vsc_is_told(struct kunit *test)
{
	struct place *place = start_one(test, SIM_USUAL);

	memset(&guest_moved, 0, sizeof(guest_moved));
	place->guest.ch->change_target_cpu_callback = guest_on_move;
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_EQ(test, guest_moved.calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, guest_moved.ch, place->guest.ch);
	KUNIT_EXPECT_EQ(test, guest_moved.old, GOING);
	KUNIT_EXPECT_EQ(test, guest_moved.new, place->guest.ch->target_cpu);
}

/* ---- hosts that do not want to ---- */

static void host_refuses(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_MODIFY, .times = 1, .action = SIM_REFUSE,
					 .status = 0x8000ffff };
	struct place *place = start_one(test, SIM_USUAL);

	sim_rule(&refuse);
	expect_stays(test, place, "the host refused to move it");
	expect_served(test, place);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	expect_served(test, place);
}

static void host_cannot_be_asked(struct kunit *test)
{
	struct place *place = start_one(test, version_of(test));

	sim_fail_posts(SIM_MODIFY, -EIO, 1);
	expect_stays(test, place, "the host could not be asked to move it");
	vmbus_deadlines.post = 200;
	sim_fail_posts(SIM_MODIFY, -EAGAIN, 0);
	expect_stays(test, place, "the host could not be asked to move it");
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	sim_fail_posts(0, 0, 0);
	expect_served(test, place);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	expect_served(test, place);
}

/*
 * It may interrupt either CPU, so that both stay until the channel is closed. What
 * tells the driver is its answer to the move, or before 5.3 one about a page.
 */
static void host_is_silent(struct kunit *test)
{
	bool answers = version_of(test) >= SIM_V(5, 3);
	const struct sim_rule silent = {
		.type = answers ? SIM_MODIFY : SIM_GPADL_HEADER,
		.action = answers ? SIM_DROP : SIM_IGNORE,
	};
	struct place *place = start_one(test, version_of(test));
	struct vmbus_chan *chan = to_vmbus_chan(place->guest.ch);

	sim_rule(&silent);
	vmbus_deadlines.request = 300;
	expect_stays(test, place, "the host does not answer");
	/* It has seen all of it before it changes its mind. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(answers ? SIM_MODIFY : SIM_GPADL_TEARDOWN)));
	sim_clear_rules();
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 1);
	KUNIT_EXPECT_TRUE(test, guest_echoes(&place->guest));
	expect_stays(test, place, "the host did not answer when it was moved before");
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 1);
	KUNIT_EXPECT_EQ(test, remove_cpu(chan->doubtful_cpu), -EBUSY);
	vmbus_close(place->guest.ch);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_EQ(test, open_place(place), 0);
	expect_served(test, place);
}

/* Before 5.3 the host refuses the page, so it is through with the move before it. */
static void refused_page_is_an_answer(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .action = SIM_REFUSE,
					 .status = 0x8000ffff };
	struct place *place = start_one(test, V5_2);

	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	sim_clear_rules();
	expect_served(test, place);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 1);
}

/* What has moved before another could not has moved. */
static void some_leave_some_do_not(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_MODIFY, .skip = 2, .times = 1,
					 .action = SIM_REFUSE, .status = 0x8000ffff };
	struct place *places = start(test, SIM_USUAL, MANY), *last;
	unsigned int i;

	open_places(test, places, MANY);
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), -EBUSY);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, GOING), 1);
	last = find_on(places, MANY, GOING);
	KUNIT_EXPECT_EQ(test, count_on(places, MANY, 0), 3);
	for (i = 0; i < MANY; i++)
		expect_served(test, &places[i]);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_ASSERT_NOT_NULL(test, last);
	expect_served(test, last);
}

/* The channel has left, says the host, and interrupts the CPU all the same. */
static void host_does_not_stop(struct kunit *test)
{
	struct place *places = start(test, SIM_USUAL, NR_CPUS_NEEDED);
	struct place *place = find_on(places, NR_CPUS_NEEDED, GOING);
	u64 mark = sim_log_mark();

	KUNIT_ASSERT_NOT_NULL(test, place);
	/* Where an event is handled, there is the next at once. */
	place->guest.ch->callback_mode = HV_CALL_ISR;
	place->insists = true;
	open_places(test, place, 1);
	sim_lose_interrupts(place->guest.host->relid, false);
	sim_event(GOING, place->guest.host->relid);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), -EBUSY);
	WRITE_ONCE(place->insists, false);
	sim_lose_interrupts(0, false);
	KUNIT_EXPECT_GE(test, sim_log_lines(mark, "CPU 2 stays online: the host goes on"), 1);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	expect_served(test, place);
}

/* ---- late interrupts ---- */

/*
 * struct late - an interrupt that comes late, or nowhere
 * @name: of the case
 * @version: protocol
 * @mode: of the channel's callback
 * @flags_too: not even the event flag is set
 */
static const struct late {
	const char *name;
	u32 version;
	enum hv_callback_mode mode;
	bool flags_too;
} lates[] = {
	{ "batched", SIM_USUAL, HV_CALL_BATCHED, false },
	{ "direct", SIM_USUAL, HV_CALL_DIRECT, false },
	{ "direct, lost", SIM_USUAL, HV_CALL_DIRECT, true },
	{ "isr", SIM_USUAL, HV_CALL_ISR, false },
	{ "isr, lost", SIM_USUAL, HV_CALL_ISR, true },
	{ "5.2, lost", V5_2, HV_CALL_BATCHED, true },
	{ "4.1", SIM_V(4, 1), HV_CALL_ISR, false },
};

static void late_name(const struct late *late, char *desc)
{
	strscpy(desc, late->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(late, lates, late_name);

static struct place *start_late(struct kunit *test)
{
	const struct late *late = test->param_value;
	struct place *places = start(test, late->version, NR_CPUS_NEEDED);
	struct place *place = find_on(places, NR_CPUS_NEEDED, GOING);

	KUNIT_ASSERT_NOT_NULL(test, place);
	place->guest.host->vsp = &sim_manual;
	place->guest.ch->callback_mode = late->mode;
	open_places(test, place, 1);
	return place;
}

static const u64 word = 0x1234567812345678;

static void write_one(struct sim_chan *chan)
{
	sim_write(chan, VM_PKT_DATA_INBAND, 0, word, &word, sizeof(word));
}

/* The last thing that the host does before it moves the channel. */
static void write_unheard(struct sim_chan *chan, void *arg)
{
	const struct late *late = arg;

	sim_lose_interrupts(chan->relid, late->flags_too);
	write_one(chan);
}

static void data_on_the_old_cpu(struct kunit *test)
{
	struct place *place = start_late(test);
	struct sim_rule rule = { .type = SIM_MODIFY, .times = 1, .hook = write_unheard,
				 .arg = (void *)test->param_value };

	sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&place->guest.received) == 1));
	KUNIT_EXPECT_EQ(test, place->guest.last_id, word);
	sim_lose_interrupts(0, false);
	sim_lock();
	write_one(place->guest.host);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&place->guest.received) == 2));
}

/* Those of which nothing is left but the data. */
static const void *lost_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct late *next = prev;

	do {
		next = VMBUS_PARAM_NEXT(late_gen_params, next, desc);
	} while (next && !next->flags_too);
	return next;
}

/* The host was about to interrupt the old CPU, and does so when nobody is there. */
static void data_after_the_cpu(struct kunit *test)
{
	struct place *place = start_late(test);
	unsigned int tries = 0, late = LATE_MS;
	unsigned long went;
	bool in_time;

	/* This machine may be too slow to write before the driver's late look. */
	do {
		vmbus_deadlines.late = late;
		KUNIT_ASSERT_EQ(test, channel_write(place->guest.ch, "cpu", "2"), 0);
		went = jiffies;
		KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
		atomic_set(&place->guest.received, 0);
		sim_lose_interrupts(place->guest.host->relid, true);
		sim_lock();
		write_one(place->guest.host);
		sim_unlock();
		in_time = time_before(jiffies, went + msecs_to_jiffies(late));
		if (in_time)
			KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&place->guest.received)));
		/* Nor does it stay so. */
		sim_lose_interrupts(0, false);
		KUNIT_ASSERT_EQ(test, add_cpu(GOING), 0);
		sim_lock();
		write_one(place->guest.host);
		sim_interrupt_locked(place->guest.host);
		sim_unlock();
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&place->guest.received) == 2));
		late *= 2;
	} while (!in_time && ++tries < 5);
	KUNIT_EXPECT_TRUE(test, in_time);
}

/* Makes room in the guest's full ring, which waits for it, and tells nobody that hears. */
static void read_unheard(struct sim_chan *chan, void *arg)
{
	static u8 packet[64];
	const struct late *late = arg;

	sim_lose_interrupts(chan->relid, late->flags_too);
	while (sim_read(chan, packet, sizeof(packet)) > 0)
		;
}

static void room_on_the_old_cpu(struct kunit *test)
{
	struct place *place = start_late(test);
	struct sim_rule rule = { .type = SIM_MODIFY, .times = 1, .hook = read_unheard,
				 .arg = (void *)test->param_value };
	u64 payload[4] = { };
	int before;

	while (!guest_send(&place->guest, payload, sizeof(payload), 0))
		;
	KUNIT_EXPECT_EQ(test, guest_send(&place->guest, payload, sizeof(payload), 0), -EAGAIN);
	set_channel_pending_send_size(place->guest.ch, GUEST_RING / 2);
	before = atomic_read(&place->guest.callbacks);
	sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&place->guest.callbacks) > before));
	KUNIT_EXPECT_EQ(test, guest_send(&place->guest, payload, sizeof(payload), 0), 0);
	sim_lose_interrupts(0, false);
}

/* ---- while other things go on ---- */

static void rescind_now(struct sim_chan *chan, void *arg)
{
	sim_rescind_locked(chan);
}

static void rescind_meanwhile(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_MODIFY, .times = 1, .hook = rescind_now };
	struct place *place = start_one(test, version_of(test));

	sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(place->guest.host)));
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
}

/* The host has taken it back, the VSC has it open: nobody is interrupted for it. */
static void rescinded_but_open(struct kunit *test)
{
	struct place *places = start(test, SIM_USUAL, 1), *sub;
	unsigned int i;

	open_places(test, places, 1);
	sub = kunit_kcalloc(test, 3, sizeof(*sub), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sub);
	for (i = 0; i < 3; i++) {
		sub[i].guest.host = sim_add_sub(test, places->guest.host, i + 1, &sim_echo);
		sub[i].guest.ch = sim_guest_channel(test, sub[i].guest.host);
		sub[i].guest.reads = true;
		open_places(test, &sub[i], 1);
	}
	sub = find_on(sub, 3, GOING);
	KUNIT_ASSERT_NOT_NULL(test, sub);
	sim_rescind(sub->guest.host);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(sub->guest.ch->rescind)));
	KUNIT_EXPECT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	KUNIT_EXPECT_NE(test, sub->guest.ch->target_cpu, GOING);
	vmbus_close(sub->guest.ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub->guest.host)));
}

static void open_meanwhile(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_OPEN, .times = 1, .action = SIM_HOLD };
	struct place *places = start(test, SIM_USUAL, NR_CPUS_NEEDED);
	struct place *place = find_on(places, NR_CPUS_NEEDED, GOING);
	struct guest_call *open, *offline;

	KUNIT_ASSERT_NOT_NULL(test, place);
	sim_rule(&hold);
	open = guest_call_begin(test, open_place, place);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN) == 1));
	offline = guest_call_begin(test, go, NULL);
	msleep(HELD_MS);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(offline));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(open), 0);
	KUNIT_EXPECT_EQ(test, guest_call_end(offline), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 1);
	expect_served(test, place);
}

/* An opener that waits in vain holds a CPU up for its deadline, and no longer. */
static void open_in_vain_meanwhile(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_OPEN, .times = 1, .action = SIM_DROP };
	struct place *places = start(test, SIM_USUAL, NR_CPUS_NEEDED);
	struct place *place = find_on(places, NR_CPUS_NEEDED, GOING);
	struct guest_call *open, *offline;

	KUNIT_ASSERT_NOT_NULL(test, place);
	sim_rule(&drop);
	in_vain(test, CHANNELMSG_OPENCHANNEL_RESULT, 0, HANGS_MS);
	open = guest_call_begin(test, open_place, place);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN) == 1));
	in_vain_end();
	offline = guest_call_begin(test, go, NULL);
	KUNIT_EXPECT_EQ(test, guest_call_end(offline), 0);
	KUNIT_EXPECT_EQ(test, guest_call_end(open), -ETIMEDOUT);
	sim_clear_rules();
	KUNIT_EXPECT_EQ(test, open_place(place), 0);
	expect_served(test, place);
}

static void close_meanwhile(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .times = 1, .action = SIM_HOLD };
	struct place *place = start_one(test, SIM_USUAL);
	struct guest_call *close, *offline;

	sim_rule(&hold);
	close = guest_call_begin(test, guest_close, &place->guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN) == 1));
	offline = guest_call_begin(test, go, NULL);
	msleep(HELD_MS);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(offline));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	guest_call_end(close);
	KUNIT_EXPECT_EQ(test, guest_call_end(offline), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	KUNIT_EXPECT_EQ(test, open_place(place), 0);
	expect_served(test, place);
}

/* The module goes while a CPU does, and the host has said nothing yet. */
static void stop_meanwhile(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_MODIFY, .times = 1, .action = SIM_DROP };
	struct place *place = start_one(test, SIM_USUAL);
	struct guest_call *offline;

	sim_rule(&drop);
	vmbus_deadlines.request = SIM_IN_VAIN_MS;
	offline = guest_call_begin(test, go, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY) == 1));
	KUNIT_EXPECT_FALSE(test, guest_call_ended(offline));
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, guest_call_end(offline), -EBUSY);
	KUNIT_EXPECT_FALSE(test, place->guest.error);
}

static int writer_thread(void *arg)
{
	struct place *places = arg;
	char text[16];

	while (!kthread_should_stop()) {
		snprintf(text, sizeof(text), "%u", sim_random(NR_CPUS_NEEDED));
		channel_write(places[sim_random(MANY)].guest.ch, "cpu", text);
	}
	return 0;
}

/* Users move channels to and fro while CPUs come and go, and packets as well. */
static void users_move_meanwhile(struct kunit *test)
{
	struct place *places = start(test, version_of(test), MANY);
	struct task_struct *task;
	unsigned int i, cpu;
	bool good = true;

	open_places(test, places, MANY);
	task = kthread_run(writer_thread, places, "writer");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < USER_ROUNDS; i++) {
		cpu = 1 + sim_random(NR_CPUS_NEEDED - 1);
		good &= !remove_cpu(cpu);
		good &= !count_on(places, MANY, cpu);
		good &= guest_echoes(&places[sim_random(MANY)].guest);
		good &= !add_cpu(cpu);
	}
	kthread_stop(task);
	KUNIT_EXPECT_TRUE(test, good);
	for (i = 0; i < MANY; i++)
		expect_served(test, &places[i]);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), MANY);
}

static struct kunit_case offline_cases[] = {
	KUNIT_CASE_PARAM(channels_leave_from_4_1_on, sim_versions_gen_params),
	KUNIT_CASE(unopened_are_assigned_anew),
	KUNIT_CASE(user_placed_channel_leaves),
	KUNIT_CASE(devices_with_sub_channels),
	KUNIT_CASE(new_channels_use_it_again),
	KUNIT_CASE(vsc_is_told),
	KUNIT_CASE(host_refuses),
	KUNIT_CASE_PARAM(host_cannot_be_asked, moving_gen_params),
	KUNIT_CASE_PARAM(host_is_silent, moving_gen_params),
	KUNIT_CASE(refused_page_is_an_answer),
	KUNIT_CASE(some_leave_some_do_not),
	KUNIT_CASE(host_does_not_stop),
	KUNIT_CASE_PARAM(data_on_the_old_cpu, late_gen_params),
	KUNIT_CASE_PARAM(data_after_the_cpu, lost_gen_params),
	KUNIT_CASE_PARAM(room_on_the_old_cpu, late_gen_params),
	KUNIT_CASE_PARAM(rescind_meanwhile, moving_gen_params),
	KUNIT_CASE(rescinded_but_open),
	KUNIT_CASE(open_meanwhile),
	KUNIT_CASE(open_in_vain_meanwhile),
	KUNIT_CASE(close_meanwhile),
	KUNIT_CASE(stop_meanwhile),
	KUNIT_CASE_PARAM(users_move_meanwhile, moving_gen_params),
	{}
};

struct kunit_suite offline_suite = {
	.name = "hv_vmbus_offline",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = offline_cases,
};
