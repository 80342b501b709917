// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_withheld: the host does not answer, at each request in turn. The
 * caller gets an errno in time, one line says so, everybody else goes on, and
 * what the host may still use is kept until it says that it let go.
 */
#include <linux/cpu.h>
#include <linux/jiffies.h>
#include <linux/vmalloc.h>

#include "call.h"
#include "files.h"
#include "guest.h"
#include "in_vain.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define SHARED_PAGES	3	/* of the connection itself */
#define DEADLINE_MS	IN_VAIN_MS
/* Where something is to happen meanwhile; if this machine is too slow for that, after it. */
#define HANG_MS		1000
/* What the guest may be late; the driver's own deadlines are 60 s. */
#define SLACK_MS	15000
/* Long enough for a description of three messages. */
#define RING		(PAGE_SIZE + SZ_128K)
#define RING_PAGES	(2 * RING / PAGE_SIZE)
#define BUFFER_PAGES	4

/* A channel whose host is silent. */
struct dead {
	struct guest_chan *guest;
	void *buffer;
	struct vmbus_gpadl gpadl;
};

static int call_open(void *context)
{
	struct dead *dead = context;

	return vmbus_open(dead->guest->ch, RING, RING, NULL, 0, guest_callback, dead->guest);
}

static int call_close(void *context)
{
	struct dead *dead = context;

	vmbus_close(dead->guest->ch);
	return 0;
}

static int call_establish(void *context)
{
	struct dead *dead = context;

	return vmbus_establish_gpadl(dead->guest->ch, dead->buffer, BUFFER_PAGES * PAGE_SIZE,
				     &dead->gpadl);
}

static int call_teardown(void *context)
{
	struct dead *dead = context;

	return vmbus_teardown_gpadl(dead->guest->ch, &dead->gpadl);
}

static int call_retarget(void *context)
{
	struct dead *dead = context;

	return vmbus_channel_retarget(to_vmbus_chan(dead->guest->ch), 1);
}

/*
 * One request that gets no answer.
 *
 * @type: of the guest's message
 * @action: SIM_HOLD: done, the answer comes late; SIM_IGNORE: never seen
 * @prepare: call that has to work before, or NULL
 * @call: the call that fails
 * @result: its errno
 * @message: the one missing
 * @waits: how many deadlines pass, one line each
 * @answer: type of the message that is missing, where other requests of the call are
 *	answered; else 0
 * @kept: pages that the host may use afterwards
 * @kept_late: and after the late answer
 * @of_vsc: pages among them that the driver cannot free
 */
static const struct withheld {
	const char *name;
	u32 type;
	enum sim_action action;
	int (*prepare)(void *dead);
	int (*call)(void *dead);
	int result;
	const char *message;
	unsigned int waits;
	u32 answer;
	unsigned int kept, kept_late, of_vsc;
} withheld[] = {
	{ "ring gpadl", SIM_GPADL_HEADER, SIM_HOLD, NULL, call_open, -ETIMEDOUT,
	  "GPADL_CREATED", 1, CHANNELMSG_GPADL_CREATED, 0, 0, 0 },
	{ "ring gpadl unseen", SIM_GPADL_HEADER, SIM_IGNORE, NULL, call_open, -ETIMEDOUT,
	  "GPADL_CREATED", 2, 0, RING_PAGES, RING_PAGES, 0 },
	{ "ring body unseen", SIM_GPADL_BODY, SIM_IGNORE, NULL, call_open, -ETIMEDOUT,
	  "GPADL_CREATED", 2, 0, RING_PAGES, RING_PAGES, 0 },
	{ "open", SIM_OPEN, SIM_HOLD, NULL, call_open, -ETIMEDOUT,
	  "OPENCHANNEL_RESULT", 1, CHANNELMSG_OPENCHANNEL_RESULT, 0, 0, 0 },
	{ "open unseen", SIM_OPEN, SIM_IGNORE, NULL, call_open, -ETIMEDOUT,
	  "OPENCHANNEL_RESULT", 1, CHANNELMSG_OPENCHANNEL_RESULT, 0, 0, 0 },
	{ "ring teardown", SIM_GPADL_TEARDOWN, SIM_HOLD, call_open, call_close, 0,
	  "GPADL_TORNDOWN", 1, 0, RING_PAGES, 0, 0 },
	{ "ring teardown unseen", SIM_GPADL_TEARDOWN, SIM_IGNORE, call_open, call_close, 0,
	  "GPADL_TORNDOWN", 1, 0, RING_PAGES, RING_PAGES, 0 },
	{ "buffer gpadl", SIM_GPADL_HEADER, SIM_HOLD, NULL, call_establish, -ETIMEDOUT,
	  "GPADL_CREATED", 1, CHANNELMSG_GPADL_CREATED, 0, 0, 0 },
	{ "buffer gpadl unseen", SIM_GPADL_HEADER, SIM_IGNORE, NULL, call_establish, -ETIMEDOUT,
	  "GPADL_CREATED", 2, 0, BUFFER_PAGES, BUFFER_PAGES, BUFFER_PAGES },
	{ "buffer teardown", SIM_GPADL_TEARDOWN, SIM_HOLD, call_establish, call_teardown,
	  -ETIMEDOUT, "GPADL_TORNDOWN", 1, 0, BUFFER_PAGES, BUFFER_PAGES, BUFFER_PAGES },
	{ "modify", SIM_MODIFY, SIM_HOLD, call_open, call_retarget, -EIO,
	  "MODIFYCHANNEL_RESPONSE", 1, 0, RING_PAGES, RING_PAGES, 0 },
};

static void withheld_name(const struct withheld *withheld, char *desc)
{
	strscpy(desc, withheld->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(withheld, withheld, withheld_name);

/* Those that the removal of a device waits for; a VSC sees to the others itself. */
static const void *awaited_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct withheld *next = prev;

	do {
		next = VMBUS_PARAM_NEXT(withheld_gen_params, next, desc);
	} while (next && (next->call == call_establish || next->call == call_teardown));
	return next;
}

/* Whoever waits in vain from now on has this deadline. */
static void expect_silence(struct kunit *test, const struct withheld *about, unsigned int ms)
{
	if (about->answer)
		in_vain(test, about->answer, 0, ms);
	else
		vmbus_deadlines.request = ms;
}

static void forget_silence(void)
{
	in_vain_end();
	vmbus_deadlines.request = SIM_ANSWERED_MS;
}

static void start(struct kunit *test)
{
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
}

/* After start(). The channel's host says nothing of that kind from now on. */
static struct dead *new_dead(struct kunit *test, const struct withheld *about)
{
	struct dead *dead = kunit_kzalloc(test, sizeof(*dead), GFP_KERNEL);
	struct sim_rule rule = { .type = about->type, .action = about->action };
	struct sim_rule any_close = { .type = SIM_CLOSE, .action = SIM_IGNORE };

	KUNIT_ASSERT_NOT_NULL(test, dead);
	dead->guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	dead->guest->ch = sim_guest_channel(test, dead->guest->host);
	dead->buffer = vzalloc(BUFFER_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, dead->buffer);
	if (about->prepare)
		KUNIT_ASSERT_EQ(test, about->prepare(dead), 0);
	rule.relid = dead->guest->host->relid;
	sim_rule(&rule);
	/* What the host never opened is closed nevertheless. */
	any_close.relid = rule.relid;
	sim_rule(&any_close);
	return dead;
}

/* The lines since @mark that name the channel, the message and how long that is overdue. */
static unsigned int overdue_lines(u64 mark, const struct sim_chan *host, const char *message,
				  unsigned int deadline)
{
	char text[120];

	snprintf(text, sizeof(text), "%pUl (relid %u): no %s from the host in %u ms",
		 &host->instance, host->relid, message, deadline);
	return sim_log_lines(mark, text);
}

/* The channel as it should be again when its host speaks. */
static void expect_usable(struct kunit *test, struct dead *dead)
{
	if (dead->guest->ch->state != CHANNEL_OPENED_STATE)
		KUNIT_EXPECT_EQ(test, call_open(dead), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(dead->guest));
	vmbus_close(dead->guest->ch);
}

static void expect_stop(struct kunit *test, unsigned int at_most_ms)
{
	unsigned long begin = jiffies;

	sim_stop(test);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begin), at_most_ms);
}

/* Pages of a VSC that are visible for ever; the paravisor sees all, and lets go. */
static u32 lost_for_ever(const struct dead *dead, const struct withheld *about)
{
	return dead->guest->host->co_external ? 0 : about->of_vsc;
}

static void gives_up_in_time(struct kunit *test)
{
	const struct withheld *about = test->param_value;
	unsigned int took, before;
	u64 mark = sim_log_mark();
	unsigned long begin;
	struct dead *dead;
	u32 late;

	start(test);
	dead = new_dead(test, about);
	before = sim_received_all(about->type);
	expect_silence(test, about, DEADLINE_MS);
	begin = jiffies;
	KUNIT_EXPECT_EQ(test, about->call(dead), about->result);
	took = jiffies_to_msecs(jiffies - begin);
	forget_silence();
	KUNIT_EXPECT_GE(test, took, about->waits * DEADLINE_MS);
	KUNIT_EXPECT_LT(test, took, about->waits * DEADLINE_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, overdue_lines(mark, dead->guest->host, about->message, DEADLINE_MS),
			1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, " from the host in "), about->waits);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + about->kept);
	KUNIT_EXPECT_EQ(test, dead->gpadl.decrypted, about->of_vsc != 0);
	KUNIT_EXPECT_EQ(test, dead->gpadl.gpadl_handle, 0);

	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(about->type) > before));
	KUNIT_EXPECT_EQ(test, sim_release_held(), about->action == SIM_HOLD);
	sim_drain(test);
	/* A private buffer is nobody's but its owner's again. */
	late = about->kept_late;
	if (about->action == SIM_HOLD)
		late -= about->of_vsc - lost_for_ever(dead, about);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + late);
	sim_clear_rules();
	expect_usable(test, dead);
	expect_stop(test, SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), lost_for_ever(dead, about));
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

/* What was kept for a channel is free when that is taken back and released. */
static void rescind_frees_what_was_kept(struct kunit *test)
{
	const struct withheld *about = test->param_value;
	struct dead *dead;

	start(test);
	dead = new_dead(test, about);
	expect_silence(test, about, DEADLINE_MS);
	KUNIT_EXPECT_EQ(test, about->call(dead), about->result);
	sim_rescind(dead->guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(dead->guest->host)));
	KUNIT_EXPECT_EQ(test, dead->guest->host->releases, 1);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + lost_for_ever(dead, about));
	sim_release_held();
	sim_drain(test);
	sim_clear_rules();
	forget_silence();
	sim_reoffer(dead->guest->host);
	dead->guest->ch = sim_guest_channel(test, dead->guest->host);
	expect_usable(test, dead);
	expect_stop(test, SLACK_MS);
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

/* ---- everybody else ---- */

static int read_attribute(const guid_t *device, const char *name)
{
	char path[FILE_PATH_MAX], text[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/vmbus/devices/%pUl/%s", device, name);
	len = file_read(path, text, sizeof(text));
	return len > 0 ? 0 : len ?: -ENODATA;
}

static const char * const attributes[] = {
	"id", "state", "class_id", "device_id", "modalias", "vendor", "device",
	"channel_vp_mapping", "numa_node", "uevent",
	/* Of rings: only while it is open. */
	"out_read_index", "out_write_bytes_avail", "in_write_index", "in_intr_mask",
};

static const char * const channel_attributes[] = {
	"cpu", "interrupts", "events", "subchannel_id", "out_full_total",
	"out_mask", "read_avail",
};

/* How many attributes of the device do not answer as they should. */
static int read_sysfs(void *context)
{
	struct dead *dead = context;
	const struct sim_chan *host = dead->guest->host;
	char name[48];
	int i, err, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(attributes); i++) {
		err = read_attribute(&host->instance, attributes[i]);
		wrong += err && !(err == -EINVAL && i >= 10);
	}
	for (i = 0; i < ARRAY_SIZE(channel_attributes); i++) {
		snprintf(name, sizeof(name), "channels/%u/%s", host->relid, channel_attributes[i]);
		err = read_attribute(&host->instance, name);
		wrong += err && !(err == -EINVAL && i >= 5);
	}
	return wrong;
}

static void expect_others_alive(struct kunit *test, struct dead *dead, struct guest_chan *other,
				struct guest_chan *third)
{
	struct guest_call *sysfs;
	struct sim_chan *new;

	KUNIT_EXPECT_TRUE(test, guest_echoes(other));
	KUNIT_EXPECT_EQ(test, guest_try_open(third), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(third));
	vmbus_close(third->ch);
	sysfs = guest_call_begin(test, read_sysfs, dead);
	KUNIT_EXPECT_TRUE(test, sim_wait(guest_call_ended(sysfs)));
	KUNIT_EXPECT_EQ(test, guest_call_end(sysfs), 0);
	new = sim_add(test, NULL, &sim_echo);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, new));
	sim_rescind(new);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(new)));
}

static void others_go_on(struct kunit *test)
{
	const struct withheld *about = test->param_value;
	struct guest_chan *other = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct guest_chan *third = guest_new(test, sim_add(test, &sim_type_perf, &sim_echo));
	struct guest_call *call;
	struct dead *dead;
	unsigned int before;

	/* It is the rescind at the end that ends the wait. */
	vmbus_deadlines.request = 60 * MSEC_PER_SEC;
	start(test);
	guest_open(test, other, other->host);
	third->ch = sim_guest_channel(test, third->host);
	dead = new_dead(test, about);
	vmbus_chan_get(to_vmbus_chan(dead->guest->ch));
	before = sim_received_all(about->type);
	call = guest_call_begin(test, about->call, dead);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(about->type) > before));
	expect_others_alive(test, dead, other, third);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));

	sim_rescind(dead->guest->host);
	KUNIT_EXPECT_TRUE(test, sim_wait(guest_call_ended(call)));
	guest_call_end(call);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(dead->guest->host)));
	vmbus_chan_put(to_vmbus_chan(dead->guest->ch));
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + 2 * GUEST_RING / PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, dead->gpadl.decrypted);
	sim_release_held();
	sim_drain(test);
	KUNIT_EXPECT_TRUE(test, guest_echoes(other));
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

static void two_at_once(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_OPEN, .action = SIM_HOLD };
	struct guest_chan *guests[2];
	struct guest_call *calls[2];
	u64 mark = sim_log_mark();
	unsigned int i;

	for (i = 0; i < 2; i++)
		guests[i] = guest_new(test, sim_add(test, NULL, &sim_echo));
	start(test);
	for (i = 0; i < 2; i++)
		guests[i]->ch = sim_guest_channel(test, guests[i]->host);
	vmbus_deadlines.request = SIM_IN_VAIN_MS;
	sim_rule(&hold);
	for (i = 0; i < 2; i++)
		calls[i] = guest_call_begin(test, guest_try_open, guests[i]);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, guest_call_end(calls[i]), -ETIMEDOUT);
		KUNIT_EXPECT_GE(test, calls[i]->took_ms, SIM_IN_VAIN_MS);
		KUNIT_EXPECT_LT(test, calls[i]->took_ms, SIM_IN_VAIN_MS + SLACK_MS);
		KUNIT_EXPECT_EQ(test, overdue_lines(mark, guests[i]->host, "OPENCHANNEL_RESULT",
						    SIM_IN_VAIN_MS), 1);
	}
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 2);
	sim_drain(test);
	sim_clear_rules();
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, guest_try_open(guests[i]), 0);
		KUNIT_EXPECT_TRUE(test, guest_echoes(guests[i]));
	}
}

/* The host may interrupt either CPU: both stay, and the channel stays, until it is closed. */
static void move_in_doubt(struct kunit *test)
{
	struct dead *dead;

	start(test);
	dead = new_dead(test, &withheld[ARRAY_SIZE(withheld) - 1]);
	vmbus_deadlines.request = DEADLINE_MS;
	KUNIT_EXPECT_EQ(test, call_retarget(dead), -EIO);
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	KUNIT_EXPECT_EQ(test, dead->guest->ch->target_cpu, 0);
	KUNIT_EXPECT_EQ(test, remove_cpu(1), -EBUSY);
	KUNIT_EXPECT_TRUE(test, guest_echoes(dead->guest));
	KUNIT_EXPECT_EQ(test, call_retarget(dead), -EIO);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 1);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_clear_rules();
	vmbus_close(dead->guest->ch);
	KUNIT_EXPECT_EQ(test, remove_cpu(1), 0);
	KUNIT_EXPECT_EQ(test, add_cpu(1), 0);
	KUNIT_EXPECT_EQ(test, call_open(dead), 0);
	KUNIT_EXPECT_EQ(test, remove_cpu(1), 0);
	KUNIT_EXPECT_EQ(test, add_cpu(1), 0);
	KUNIT_EXPECT_EQ(test, call_retarget(dead), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(dead->guest));
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

/* As uio has it: a ring of the caller's, which is not the caller's any more. */
static void callers_ring_is_taken_away(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_GPADL_TEARDOWN, .times = 1, .action = SIM_HOLD };
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct vmbus_channel *ch;
	struct page *old;

	sim_needs_linear_rings(test);
	start(test);
	ch = sim_guest_channel(test, guest->host);
	guest->ch = ch;
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(ch, RING, RING), 0);
	old = ch->ringbuffer_page;
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), 0);
	sim_rule(&hold);
	vmbus_deadlines.request = DEADLINE_MS;
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), -ETIMEDOUT);
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	KUNIT_EXPECT_PTR_EQ(test, ch->ringbuffer_page, NULL);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), -EINVAL);
	vmbus_free_ring(ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + RING_PAGES);

	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(ch, RING, RING), 0);
	KUNIT_EXPECT_PTR_NE(test, ch->ringbuffer_page, old);
	KUNIT_EXPECT_EQ(test, vmbus_connect_ring(ch, guest_callback, guest), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + 2 * RING_PAGES);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + RING_PAGES);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, vmbus_disconnect_ring(ch), 0);
	vmbus_free_ring(ch);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

/* ---- the connection ---- */

static unsigned int connection_overdue(u64 mark, const char *message)
{
	char text[80];

	snprintf(text, sizeof(text), "no %s from the host in %u ms", message, DEADLINE_MS);
	return sim_log_lines(mark, text);
}

static void no_version_response(struct kunit *test)
{
	const struct sim_rule ignore = { .type = SIM_CONTACT, .action = SIM_IGNORE };
	u64 mark = sim_log_mark();
	unsigned long begin;
	unsigned int took;

	sim_rule(&ignore);
	vmbus_deadlines.version = DEADLINE_MS;
	begin = jiffies;
	KUNIT_EXPECT_EQ(test, sim_start(test, SIM_USUAL), -ETIMEDOUT);
	took = jiffies_to_msecs(jiffies - begin);
	KUNIT_EXPECT_GE(test, took, DEADLINE_MS);
	KUNIT_EXPECT_LT(test, took, DEADLINE_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, connection_overdue(mark, "VERSION_RESPONSE"), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, " from the host in "), 1);
	/* Silence says nothing about lower versions. */
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_CONTACT)));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CONTACT), 1);
	vmbus_deadlines.version = SIM_ANSWERED_MS;
	sim_clear_rules();
	sim_start_ok(test, SIM_USUAL);
}

static void no_all_offers_delivered(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_REQUEST_OFFERS, .action = SIM_HOLD };
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	u64 mark = sim_log_mark();
	unsigned long begin;
	unsigned int took;

	sim_rule(&hold);
	vmbus_deadlines.offers = DEADLINE_MS;
	begin = jiffies;
	sim_start_ok(test, SIM_USUAL);
	took = jiffies_to_msecs(jiffies - begin);
	KUNIT_EXPECT_GE(test, took, DEADLINE_MS);
	KUNIT_EXPECT_LT(test, took, DEADLINE_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, connection_overdue(mark, "ALLOFFERS_DELIVERED"), 1);
	guest->ch = sim_guest_channel(test, guest->host);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), 0);
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
}

/* Nothing that the host may still use is freed; all of it is said. */
static void no_unload_response(struct kunit *test)
{
	const struct sim_rule ignore = { .type = SIM_UNLOAD, .action = SIM_IGNORE };
	u64 mark = sim_log_mark();
	struct dead *dead;
	char said[40];

	snprintf(said, sizeof(said), "leaking %lu KiB of rings", 2 * RING / SZ_1K);
	start(test);
	/* The one that leaves a ring behind. */
	dead = new_dead(test, &withheld[1]);
	vmbus_deadlines.request = DEADLINE_MS;
	KUNIT_EXPECT_EQ(test, call_open(dead), -ETIMEDOUT);
	sim_rule(&ignore);
	sim_allow_no_unload();
	vmbus_deadlines.unload = DEADLINE_MS;
	expect_stop(test, DEADLINE_MS + SLACK_MS);
	KUNIT_EXPECT_EQ(test, connection_overdue(mark, "UNLOAD_RESPONSE"), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, said), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), 1);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + RING_PAGES);
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

/* Another task is in a call that hangs when the module is removed. */
static void stops_while_a_call_hangs(struct kunit *test)
{
	const struct withheld *about = test->param_value;
	struct guest_call *call;
	struct dead *dead;
	unsigned int before;

	start(test);
	dead = new_dead(test, about);
	vmbus_chan_get(to_vmbus_chan(dead->guest->ch));
	expect_silence(test, about, HANG_MS);
	before = sim_received_all(about->type);
	call = guest_call_begin(test, about->call, dead);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(about->type) > before));
	expect_stop(test, 4 * HANG_MS + SLACK_MS);
	KUNIT_EXPECT_NE(test, guest_call_end(call), -EINVAL);
	vmbus_chan_put(to_vmbus_chan(dead->guest->ch));
	sim_take_back(dead->buffer, BUFFER_PAGES);
	vfree(dead->buffer);
}

/* No answer is due to RELID_RELEASED, but the host may have no room for it. */
static void relid_released_finds_no_room(struct kunit *test)
{
	struct guest_chan *other = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct sim_chan *gone = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();

	start(test);
	guest_open(test, other, other->host);
	sim_guest_channel(test, gone);
	vmbus_deadlines.post = DEADLINE_MS;
	sim_fail_posts(SIM_RELID_RELEASED, -EAGAIN, 0);
	sim_rescind(gone);
	KUNIT_EXPECT_TRUE(test, guest_echoes(other));
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_log_lines(mark, "posting RELID_RELEASED failed")));
	KUNIT_EXPECT_EQ(test, gone->releases, 0);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	expect_stop(test, SLACK_MS);
}

static struct kunit_case withheld_cases[] = {
	KUNIT_CASE_PARAM(gives_up_in_time, withheld_gen_params),
	KUNIT_CASE_PARAM(rescind_frees_what_was_kept, withheld_gen_params),
	KUNIT_CASE_PARAM(others_go_on, withheld_gen_params),
	KUNIT_CASE_PARAM(stops_while_a_call_hangs, awaited_gen_params),
	KUNIT_CASE(two_at_once),
	KUNIT_CASE(move_in_doubt),
	KUNIT_CASE(callers_ring_is_taken_away),
	KUNIT_CASE(no_version_response),
	KUNIT_CASE(no_all_offers_delivered),
	KUNIT_CASE(no_unload_response),
	KUNIT_CASE(relid_released_finds_no_room),
	{}
};

struct kunit_suite withheld_suite = {
	.name = "hv_vmbus_withheld",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = withheld_cases,
};
