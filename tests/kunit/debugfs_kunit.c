// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_debugfs: what root reads in <debugfs>/vmbus is what happened, it has no
 * addresses, and nobody waits for those who read.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/ktime.h>
#include <linux/vmalloc.h>

#include "call.h"
#include "files.h"
#include "guest.h"
#include "modes.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define DIR		"/sys/kernel/debug/vmbus/"
#define TRACE_ENABLE	"/sys/kernel/tracing/events/hyperv/enable"
#define COPY		"/tmp/kunit_debugfs"
#define TEXT_SIZE	SZ_256K
#define LINE		256
#define RELID		77

/* A newline, then what was read last. */
static char *text;

static const char * const files[] = { "connection", "channels", "events", "latency" };

static void read_file(struct kunit *test, const char *name)
{
	char command[LINE];
	ssize_t len;

	snprintf(command, sizeof(command), "cat " DIR "%s >" COPY, name);
	KUNIT_ASSERT_EQ(test, file_shell(command), 0);
	text[0] = '\n';
	len = file_read(COPY, text + 1, TEXT_SIZE - 1);
	KUNIT_ASSERT_GE(test, len, 0);
	KUNIT_ASSERT_LT(test, len, TEXT_SIZE - 2);
	KUNIT_EXPECT_FALSE_MSG(test, file_has_address(text + 1), "%s", name);
}

static unsigned int times(const char *what)
{
	unsigned int found = 0;
	const char *at;

	for (at = text; (at = strstr(at, what)); at++)
		found++;
	return found;
}

/* Lines that end so. */
static __printf(1, 2) unsigned int lines(const char *format, ...)
{
	char line[LINE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	strlcat(line, "\n", sizeof(line));
	return times(line);
}

/* Whole lines, of events but for their times. */
#define EXPECT_LINE(count, ...)							\
	KUNIT_EXPECT_EQ_MSG(test, lines("\n" __VA_ARGS__), (count), __VA_ARGS__)

#define EXPECT_EVENT(count, ...)						\
	KUNIT_EXPECT_EQ_MSG(test, lines("] " __VA_ARGS__), (count), __VA_ARGS__)

/* What stands behind @name, or -1. */
static long long value(const char *name)
{
	const char *at = strstr(text, name);
	long long number = -1;

	if (!at || sscanf(at + strlen(name), " %lld", &number) != 1)
		return -1;
	return number;
}

static void latency(struct kunit *test, bool on)
{
	KUNIT_ASSERT_EQ(test, file_shell(on ? "echo 1 >" DIR "latency" :
					      "echo 0 >" DIR "latency"), 0);
}

static const char *line_of(u32 relid)
{
	char what[32];
	const char *at;

	snprintf(what, sizeof(what), "\nrelid %u ", relid);
	at = strstr(text, what);
	return at ? at + 1 : NULL;
}

/* The sum of the histogram of the one channel; -1 if there is none. */
static int sum(const char *name)
{
	const char *at = strstr(text, name), *end;
	int all = 0, one;

	if (!at)
		return -1;
	end = strchr(at + 1, '\n');
	while ((at = strchr(at, ':')) && at < end) {
		if (sscanf(++at, "%d", &one) != 1)
			return -1;
		all += one;
	}
	return all;
}

/* ---- connection ---- */

static void counts_each_message(struct kunit *test)
{
	static const struct {
		u32 type;
		const char *name;
	} types[] = {
		{ SIM_OFFER, "OFFERCHANNEL" }, { SIM_RESCIND, "RESCIND_CHANNELOFFER" },
		{ SIM_REQUEST_OFFERS, "REQUESTOFFERS" }, { SIM_OPEN, "OPENCHANNEL" },
		{ SIM_OPEN_RESULT, "OPENCHANNEL_RESULT" }, { SIM_CLOSE, "CLOSECHANNEL" },
		{ SIM_GPADL_HEADER, "GPADL_HEADER" }, { SIM_GPADL_BODY, "GPADL_BODY" },
		{ SIM_GPADL_CREATED, "GPADL_CREATED" }, { SIM_GPADL_TEARDOWN, "GPADL_TEARDOWN" },
		{ SIM_GPADL_TORNDOWN, "GPADL_TORNDOWN" },
		{ SIM_RELID_RELEASED, "RELID_RELEASED" }, { SIM_CONTACT, "INITIATE_CONTACT" },
		{ SIM_VERSION_RESPONSE, "VERSION_RESPONSE" }, { SIM_MODIFY, "MODIFYCHANNEL" },
		{ SIM_MODIFY_RESPONSE, "MODIFYCHANNEL_RESPONSE" },
	};
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct sim_chan *gone = sim_add(test, NULL, &sim_echo);
	unsigned int i, seen = 0;

	sim_start_ok(test, SIM_USUAL);
	/* Of so many pages that one message does not name them all. */
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, guest->host, PAGE_SIZE + SZ_128K), 0);
	KUNIT_ASSERT_EQ(test, vmbus_channel_retarget(to_vmbus_chan(guest->ch), 1), 0);
	vmbus_close(guest->ch);
	guest_open(test, guest, guest->host);
	sim_guest_channel(test, gone);
	sim_rescind(gone);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(gone)));
	sim_drain(test);
	/* A post is counted when it is over: the host may be faster. */
	flush_workqueue(vmbus_bus.chan_wq);
	read_file(test, "connection");
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (sim_sent(types[i].type))
			EXPECT_LINE(1, "received %s %u", types[i].name, sim_sent(types[i].type));
		if (sim_received_all(types[i].type))
			EXPECT_LINE(1, "sent %s %u", types[i].name, sim_received(types[i].type));
		seen += !!sim_sent(types[i].type) + !!sim_received(types[i].type);
	}
	KUNIT_EXPECT_EQ(test, seen, ARRAY_SIZE(types));
	/* ALLOFFERS_DELIVERED, too, which tests send besides. */
	KUNIT_EXPECT_EQ(test, times("\nreceived ") + times("\nsent "), seen + 1);
	KUNIT_EXPECT_EQ(test, times("\nrefused ") + times("\nunsent "), 0);
	EXPECT_LINE(1, "state connected");
	EXPECT_LINE(1, "parked_kib 0");
	EXPECT_LINE(1, "waiting_requests 0");
}

static const struct feature_case {
	u32 version;
	const char *name;
	const char *features;
} feature_cases[] = {
	{ SIM_V(2, 4), "2.4", "features" },
	{ SIM_V(3, 0), "3.0", "features unload" },
	{ SIM_V(4, 0), "4.0", "features unload sockets" },
	{ SIM_V(4, 1), "4.1", "features unload sockets move connect-result" },
	{ SIM_V(5, 3), "5.3",
	  "features unload sockets move connect-result message-connection move-answered" },
};

static void feature_name(const struct feature_case *feature, char *desc)
{
	strscpy(desc, feature->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(feature_cases, feature_cases, feature_name);

static void names_version_and_features(struct kunit *test)
{
	const struct feature_case *feature = test->param_value;

	sim_start_ok(test, feature->version);
	read_file(test, "connection");
	EXPECT_LINE(1, "version %s", feature->name);
	EXPECT_LINE(1, "%s", feature->features);
}

static void counts_what_it_ignores(struct kunit *test)
{
	const u32 strange[2] = { 0x4711 }, cut_short[3] = { SIM_OPEN_RESULT };
	const u32 too_new[4] = { SIM_MODIFY_RESPONSE, 0, RELID };
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	struct sim_chan *orphan;
	struct sim_msg_offer offer;

	sim_start_ok(test, SIM_V(5, 2));
	sim_guest_channel(test, chan);
	sim_send(strange, sizeof(strange));
	sim_send(cut_short, sizeof(cut_short));
	sim_send(cut_short, 0);
	sim_send(too_new, sizeof(too_new));
	sim_send_result(SIM_OPEN_RESULT, RELID, 0x456, 7);
	sim_send_relid(SIM_RESCIND, 0x321);
	sim_send_offer(chan);
	sim_make_offer(chan, &offer);
	offer.relid = SIM_RELIDS;
	sim_send(&offer, sizeof(offer));
	orphan = sim_new(test, 500, NULL, &sim_echo);
	orphan->sub = 1;
	orphan->unwelcome = true;
	sim_offer(orphan);
	sim_drain(test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_RELID_RELEASED) == 1));

	read_file(test, "connection");
	EXPECT_LINE(1, "received unknown 2");
	EXPECT_LINE(1, "refused EMSGSIZE 2");
	EXPECT_LINE(1, "refused EOPNOTSUPP 1");
	EXPECT_LINE(1, "refused EPROTO 1");
	EXPECT_LINE(1, "refused ESRCH 1");
	EXPECT_LINE(1, "refused ENOENT 1");
	EXPECT_LINE(1, "refused EEXIST 1");
	EXPECT_LINE(1, "refused ERANGE 1");
	EXPECT_LINE(1, "refused ENODEV 1");
	KUNIT_EXPECT_EQ(test, times("\nrefused "), 8);

	read_file(test, "events");
	EXPECT_EVENT(1, "<- type-18193 error %d", -EOPNOTSUPP);
	EXPECT_EVENT(1, "<- OPENCHANNEL_RESULT error %d", -EMSGSIZE);
	EXPECT_EVENT(1, "<- type-0 error %d", -EMSGSIZE);
	EXPECT_EVENT(1, "<- MODIFYCHANNEL_RESPONSE relid 77 status 0x0 error %d", -EPROTO);
	EXPECT_EVENT(1, "<- OPENCHANNEL_RESULT relid 77 id 0x456 status 0x7 error %d", -ESRCH);
	EXPECT_EVENT(1, "<- RESCIND_CHANNELOFFER relid 801 error %d", -ENOENT);
	EXPECT_EVENT(1, "<- OFFERCHANNEL relid 77 error %d", -EEXIST);
	EXPECT_EVENT(1, "<- OFFERCHANNEL relid 2048 error %d", -ERANGE);
	EXPECT_EVENT(1, "<- OFFERCHANNEL relid 500 error %d", -ENODEV);
	EXPECT_EVENT(1, "<- OFFERCHANNEL relid 77");

	/* What was ignored is no answer. */
	read_file(test, "channels");
	KUNIT_ASSERT_NOT_NULL(test, line_of(RELID));
	KUNIT_EXPECT_EQ(test, times(" answer none "), times("\nrelid "));
}

static void counts_posts_that_fail(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);

	sim_busy(0);
	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, chan);
	read_file(test, "connection");
	EXPECT_LINE(1, "retries 0");
	sim_fail_posts(SIM_OPEN, -EAGAIN, 7);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	vmbus_close(guest->ch);
	read_file(test, "connection");
	EXPECT_LINE(1, "retries 7");
	KUNIT_EXPECT_EQ(test, times("\nunsent "), 0);
	EXPECT_LINE(1, "sent OPENCHANNEL 1");

	sim_fail_posts(SIM_OPEN, -EIO, 1);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), -EIO);
	read_file(test, "connection");
	EXPECT_LINE(1, "unsent EIO 1");
	EXPECT_LINE(1, "sent OPENCHANNEL 1");
	EXPECT_LINE(1, "retries 7");
	read_file(test, "events");
	KUNIT_EXPECT_EQ(test, times(" -> OPENCHANNEL relid 77 id 0x"), 2);
	KUNIT_EXPECT_EQ(test, times(" error -5\n"), 1);
}

static void requests_have_an_age(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_OPEN, .action = SIM_HOLD, .times = 1 };
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	struct guest_call *call;
	long long age, older;
	ktime_t begun;

	vmbus_deadlines.request = 60 * MSEC_PER_SEC;
	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, chan);
	sim_rule(&rule);
	call = guest_call_begin(test, guest_try_open, guest);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_OPEN)));
	begun = ktime_get();
	KUNIT_EXPECT_TRUE(test, sim_wait(ktime_ms_delta(ktime_get(), begun) >= 300));
	read_file(test, "connection");
	EXPECT_LINE(1, "waiting_requests 1");
	KUNIT_EXPECT_EQ(test, times("\nwaiting OPENCHANNEL_RESULT relid 77 id 0x"), 1);
	age = value(" ms");
	KUNIT_EXPECT_GE(test, age, 300);
	begun = ktime_get();
	KUNIT_EXPECT_TRUE(test, sim_wait(ktime_ms_delta(ktime_get(), begun) >= 200));
	read_file(test, "connection");
	older = value(" ms");
	KUNIT_EXPECT_GE(test, older, age + 200);
	KUNIT_EXPECT_LT(test, older, 60 * MSEC_PER_SEC);
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, times(" state opening "), 1);
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	read_file(test, "connection");
	EXPECT_LINE(1, "waiting_requests 0");
	KUNIT_EXPECT_EQ(test, times("\nwaiting "), 0);
}

static int start(void *test)
{
	return sim_start(test, SIM_USUAL);
}

/* Loading that takes long waits for the end of the offers. */
static void offers_are_waited_for(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_HOLD, .times = 1 };
	struct guest_call *call;

	vmbus_deadlines.offers = 60 * MSEC_PER_SEC;
	sim_rule(&rule);
	call = guest_call_begin(test, start, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_REQUEST_OFFERS)));
	msleep(300);
	read_file(test, "connection");
	EXPECT_LINE(1, "waiting_requests 1");
	KUNIT_EXPECT_EQ(test, times("\nwaiting ALLOFFERS_DELIVERED relid 0 id 0x0 ms "), 1);
	KUNIT_EXPECT_GE(test, value(" ms"), 300);
	KUNIT_EXPECT_LT(test, value(" ms"), 60 * MSEC_PER_SEC);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	read_file(test, "connection");
	EXPECT_LINE(1, "waiting_requests 0");
}

/* ---- channels ---- */

static void expect_channel(struct kunit *test, const struct sim_chan *chan, const char *driver,
			   const char *state, unsigned int cpu, const char *answer)
{
	char rest[LINE];

	read_file(test, "channels");
	snprintf(rest, sizeof(rest), "cpu %u answer %s parked_kib 0", cpu, answer);
	EXPECT_LINE(1, "relid %u instance %pUl sub %u driver %s state %s %s", chan->relid,
		    &chan->instance, chan->sub, driver, state, rest);
}

static void channels_have_states_and_answers(struct kunit *test)
{
	struct sim_rule refuse = {
		.type = SIM_OPEN, .action = SIM_REFUSE, .status = 0xc0000001, .times = 1,
	};
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo), *sub;
	struct guest_chan *guest = guest_new(test, chan);
	struct vmbus_channel *second;

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, chan);
	expect_channel(test, chan, "none", "offered", guest->ch->target_cpu, "none");
	sim_rule(&refuse);
	KUNIT_EXPECT_EQ(test, guest_try_open(guest), -EAGAIN);
	expect_channel(test, chan, "none", "offered", guest->ch->target_cpu,
		       "OPENCHANNEL_RESULT status 0xc0000001");
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	sub = sim_add_sub(test, chan, 1, &sim_echo);
	second = sim_guest_channel(test, sub);
	expect_channel(test, chan, "none", "open", guest->ch->target_cpu,
		       "OPENCHANNEL_RESULT status 0x0");
	expect_channel(test, sub, "none", "offered", second->target_cpu, "none");
	KUNIT_ASSERT_EQ(test, vmbus_channel_retarget(to_vmbus_chan(guest->ch), 1), 0);
	expect_channel(test, chan, "none", "open", guest->ch->target_cpu,
		       "MODIFYCHANNEL_RESPONSE status 0x0");
	KUNIT_EXPECT_EQ(test, times(" cpu 1 "), 1);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	read_file(test, "channels");
	KUNIT_EXPECT_NULL(test, line_of(RELID));
}

static void memory_that_is_kept_shows(struct kunit *test)
{
	struct sim_rule drop = { .type = SIM_GPADL_TEARDOWN, .action = SIM_DROP };
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	unsigned int kib = 2 * GUEST_RING / SZ_1K;

	sim_start_ok(test, SIM_USUAL);
	guest_open(test, guest, chan);
	sim_rule(&drop);
	vmbus_deadlines.request = 500;
	vmbus_close(guest->ch);
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, value(" parked_kib"), kib);
	read_file(test, "connection");
	EXPECT_LINE(1, "parked_kib %u", kib);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	read_file(test, "connection");
	EXPECT_LINE(1, "parked_kib 0");
}

static void drivers_are_named(struct kunit *test)
{
	struct vsc *vsc = vsc_new(test, "debugfs_vsc", NULL);
	struct vmbus_channel *ch;
	struct sim_chan *chan;

	vsc->opens = true;
	vsc->hold_probe = true;
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	/* Who reads does not wait for a probe that waits for the host. */
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, times(" driver busy state offered "), 1);
	vsc_let_go(vsc);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound)));
	device_lock(&ch->device_obj->device);
	device_unlock(&ch->device_obj->device);
	expect_channel(test, chan, "debugfs_vsc", "open", ch->target_cpu,
		       "OPENCHANNEL_RESULT status 0x0");
	vsc_unregister(vsc);
	expect_channel(test, chan, "none", "offered", ch->target_cpu,
		       "OPENCHANNEL_RESULT status 0x0");
}

/* ---- events ---- */

/*
 * In this order, each once, whatever is between them. A post is noted when it is
 * over, and the host may be faster: a line of one with an answer and the answer's
 * behind it, both with @answered set, may stand the other way round.
 */
static void expect_order(struct kunit *test, char (*expected)[LINE], unsigned int nr,
			 unsigned long answered)
{
	const char *at, *last = text, *before = text;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		at = strstr(text, expected[i]);
		KUNIT_ASSERT_NOT_NULL_MSG(test, at, "%s in:%s", expected[i], text);
		KUNIT_EXPECT_EQ_MSG(test, times(expected[i]), 1, "%s in:%s", expected[i], text);
		KUNIT_EXPECT_TRUE_MSG(test, at > (answered & BIT(i) ? before : last), "%s in:%s",
				      expected[i], text);
		before = last;
		last = max(at, last);
	}
}

static void events_tell_a_life(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	char (*e)[LINE] = kunit_kzalloc(test, 12 * LINE, GFP_KERNEL);
	u32 gpadl;

	KUNIT_ASSERT_NOT_NULL(test, e);
	sim_start_ok(test, SIM_V(5, 3));
	guest_open(test, guest, chan);
	gpadl = guest->ch->ringbuffer_gpadlhandle.gpadl_handle;
	vmbus_close(guest->ch);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
	flush_workqueue(vmbus_bus.chan_wq);
	read_file(test, "events");
	snprintf(e[0], LINE, "] -> INITIATE_CONTACT id 0x50003\n");
	snprintf(e[1], LINE, "] <- VERSION_RESPONSE status 0x1\n");
	snprintf(e[2], LINE, "] -> REQUESTOFFERS\n");
	snprintf(e[3], LINE, "] <- OFFERCHANNEL relid 77\n");
	snprintf(e[4], LINE, "] -> GPADL_HEADER relid 77 id 0x%x\n", gpadl);
	snprintf(e[5], LINE, "] <- GPADL_CREATED relid 77 id 0x%x status 0x0\n", gpadl);
	snprintf(e[6], LINE, "] -> OPENCHANNEL relid 77 id 0x%x\n", chan->open_id);
	snprintf(e[7], LINE, "] <- OPENCHANNEL_RESULT relid 77 id 0x%x status 0x0\n",
		 chan->open_id);
	snprintf(e[8], LINE, "] -> CLOSECHANNEL relid 77\n");
	snprintf(e[9], LINE, "] -> GPADL_TEARDOWN relid 77 id 0x%x\n", gpadl);
	snprintf(e[10], LINE, "] <- GPADL_TORNDOWN id 0x%x\n", gpadl);
	snprintf(e[11], LINE, "] <- RESCIND_CHANNELOFFER relid 77\n");
	expect_order(test, e, 12, BIT(1) | BIT(3) | BIT(5) | BIT(7) | BIT(10));
	EXPECT_EVENT(1, "-> RELID_RELEASED relid 77");
	/* INITIATE_CONTACT of 6.0 was refused before. */
	EXPECT_EVENT(1, "<- VERSION_RESPONSE status 0x0");
}

static void events_have_the_time(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_echo);
	time64_t before = ktime_get_real_seconds(), now;
	int year, month, day, hour, min, sec, found;

	sim_start_ok(test, SIM_USUAL);
	sim_guest_channel(test, chan);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
	read_file(test, "events");
	found = sscanf(text, "\n%d-%d-%dT%d:%d:%d.", &year, &month, &day, &hour, &min, &sec);
	KUNIT_ASSERT_EQ(test, found, 6);
	now = mktime64(year, month, day, hour, min, sec);
	KUNIT_EXPECT_GE(test, now, before);
	KUNIT_EXPECT_LE(test, now, ktime_get_real_seconds());
}

#define KEPT	256

static void events_are_the_last_256(struct kunit *test)
{
	u32 strange[2] = { };
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	sim_drain(test);
	for (i = 0; i < KEPT + 44; i++) {
		strange[0] = 1000 + i;
		sim_send(strange, sizeof(strange));
	}
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_all_fetched()));
	KUNIT_ASSERT_TRUE(test, sim_wait(({
		read_file(test, "events");
		lines("<- type-%u error %d", 1000 + KEPT + 43, -EOPNOTSUPP);
	})));
	KUNIT_EXPECT_EQ(test, times("\n"), KEPT + 1);
	for (i = 0; i < 44; i++)
		EXPECT_EVENT(0, "<- type-%u error %d", 1000 + i, -EOPNOTSUPP);
	for (; i < KEPT + 44; i++)
		EXPECT_EVENT(1, "<- type-%u error %d", 1000 + i, -EOPNOTSUPP);
	read_file(test, "connection");
	EXPECT_LINE(1, "received unknown %u", KEPT + 44);
}

/* ---- latency ---- */

/* @nr packets, one after the other, each with an interrupt. */
static void interrupt_guest(struct kunit *test, struct guest_chan *guest, unsigned int nr)
{
	int want = atomic_read(&guest->received), calls = atomic_read(&guest->callbacks);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		sim_lock();
		KUNIT_EXPECT_EQ(test, sim_write(guest->host, SIM_PKT_INBAND, 0, i, &i, sizeof(i)),
				0);
		sim_unlock();
		want++;
		KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&guest->received) == want));
		KUNIT_ASSERT_TRUE(test, sim_wait(guest_unmasked(guest->ch)));
		/* A call may read what the next one is for, which comes nevertheless. */
		calls++;
		KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) >= calls));
	}
	/* The last call has returned: as the driver waits for it. */
	synchronize_rcu();
	guest_tasklet_ends(guest->ch);
}

static struct guest_chan *start_manual(struct kunit *test, enum hv_callback_mode mode)
{
	struct sim_chan *chan = sim_add_relid(test, RELID, NULL, &sim_manual);
	struct guest_chan *guest = guest_new(test, chan);

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, chan);
	set_channel_read_mode(guest->ch, mode);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	return guest;
}

/* The last callback may not have returned yet. */
static void wait_measured(struct kunit *test, struct guest_chan *guest, int before)
{
	KUNIT_EXPECT_TRUE(test, sim_wait(({
		read_file(test, "channels");
		sum("\n  duration") == atomic_read(&guest->callbacks) - before;
	})));
}

static void callbacks_are_measured(struct kunit *test)
{
	const struct mode *mode = test->param_value;
	struct guest_chan *guest = start_manual(test, mode->mode);
	int callbacks;
	u64 interrupts;

	latency(test, true);
	callbacks = atomic_read(&guest->callbacks);
	interrupts = guest->ch->interrupts;
	interrupt_guest(test, guest, 40);
	wait_measured(test, guest, callbacks);
	KUNIT_EXPECT_GE(test, sum("\n  duration"), 40);
	KUNIT_EXPECT_GE(test, sum("\n  latency"), 40);
	KUNIT_EXPECT_LE(test, sum("\n  latency"), guest->ch->interrupts - interrupts);

	/* What was measured can be read when it is over, and no more comes. */
	latency(test, false);
	read_file(test, "channels");
	callbacks = sum("\n  duration");
	interrupt_guest(test, guest, 10);
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, sum("\n  duration"), callbacks);
	KUNIT_EXPECT_GE(test, sum("\n  latency"), 40);

	/* The next time it begins with nothing. */
	latency(test, true);
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, sum("\n  duration"), -1);
	callbacks = atomic_read(&guest->callbacks);
	interrupt_guest(test, guest, 5);
	wait_measured(test, guest, callbacks);
	KUNIT_EXPECT_GE(test, sum("\n  duration"), 5);
	KUNIT_EXPECT_LT(test, sum("\n  duration"), 40);
}

/* Whoever traces is not measured. */
static void nothing_is_measured_when_off(struct kunit *test)
{
	struct guest_chan *guest = start_manual(test, HV_CALL_BATCHED);
	int callbacks;

	read_file(test, "latency");
	KUNIT_EXPECT_STREQ(test, text, "\n0\n");
	KUNIT_EXPECT_EQ(test, file_shell("echo 1 >" TRACE_ENABLE), 0);
	interrupt_guest(test, guest, 5);
	KUNIT_EXPECT_EQ(test, file_shell("echo 0 >" TRACE_ENABLE), 0);
	interrupt_guest(test, guest, 5);
	read_file(test, "channels");
	KUNIT_EXPECT_NOT_NULL(test, line_of(RELID));
	KUNIT_EXPECT_EQ(test, times("\n  "), 0);
	KUNIT_EXPECT_EQ(test, times("latency"), 0);

	KUNIT_EXPECT_NE(test, file_shell("echo 2 >" DIR "latency"), 0);
	read_file(test, "latency");
	KUNIT_EXPECT_STREQ(test, text, "\n0\n");
	latency(test, true);
	read_file(test, "latency");
	KUNIT_EXPECT_STREQ(test, text, "\n1\n");
	callbacks = atomic_read(&guest->callbacks);
	interrupt_guest(test, guest, 5);
	wait_measured(test, guest, callbacks);
	latency(test, false);
	callbacks = sum("\n  duration");
	/* Nor is it added to what was measured before. */
	KUNIT_EXPECT_EQ(test, file_shell("echo 1 >" TRACE_ENABLE), 0);
	interrupt_guest(test, guest, 5);
	KUNIT_EXPECT_EQ(test, file_shell("echo 0 >" TRACE_ENABLE), 0);
	read_file(test, "channels");
	KUNIT_EXPECT_EQ(test, sum("\n  duration"), callbacks);
	latency(test, true);
	/* It ends with the driver. */
	sim_stop(test);
	sim_start_ok(test, SIM_USUAL);
	read_file(test, "latency");
	KUNIT_EXPECT_STREQ(test, text, "\n0\n");
}

/* A descriptor, 8 bytes of payload, the trailer. */
#define PACKET	32

static void rings_have_high_water_marks(struct kunit *test)
{
	struct guest_chan *guest = start_manual(test, HV_CALL_DIRECT);
	u64 payload = 1;
	unsigned int i;

	latency(test, true);
	KUNIT_ASSERT_EQ(test, guest_send(guest, &payload, sizeof(payload), 0), 0);
	KUNIT_ASSERT_EQ(test, guest_send(guest, &payload, sizeof(payload), 0), 0);
	sim_lock();
	for (i = 0; i < 3; i++)
		sim_write_quiet(guest->host, SIM_PKT_INBAND, 0, i, &payload, sizeof(payload));
	sim_unlock();
	sim_event(guest->ch->target_cpu, RELID);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == 3));
	interrupt_guest(test, guest, 1);
	read_file(test, "channels");
	EXPECT_LINE(1, "  high out %u in %u", 2 * PACKET, 3 * PACKET);
}

/* ---- come and go ---- */

static int modes_of(const char *name)
{
	char path[LINE];
	struct file *file;
	int mode;

	snprintf(path, sizeof(path), DIR "%s", name);
	file = file_open(path, O_RDONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	mode = file_inode(file)->i_mode & 0777;
	filp_close(file, NULL);
	return mode;
}

static void files_are_for_root_while_it_runs(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		KUNIT_EXPECT_EQ(test, modes_of(files[i]), -ENOENT);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		KUNIT_EXPECT_EQ_MSG(test, modes_of(files[i]), i == 3 ? 0600 : 0400, "%s",
				    files[i]);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, modes_of(""), -ENOENT);
	/* A start that fails leaves nothing either. */
	vmbus_deadlines.version = 100;
	sim_rule(&(struct sim_rule){ .type = SIM_CONTACT, .action = SIM_DROP });
	KUNIT_EXPECT_EQ(test, sim_start(test, SIM_USUAL), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, modes_of(""), -ENOENT);
	sim_clear_rules();
	sim_allow_no_unload();
}

/* Who has them open does not keep the driver from going. */
static void open_files_hold_up_nobody(struct kunit *test)
{
	struct file *opened[ARRAY_SIZE(files)];
	char path[LINE];
	unsigned int i;

	sim_add(test, NULL, &sim_echo);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), DIR "%s", files[i]);
		opened[i] = file_open(path, O_RDONLY);
		KUNIT_EXPECT_FALSE(test, IS_ERR(opened[i]));
	}
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, modes_of(""), -ENOENT);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (!IS_ERR(opened[i]))
			filp_close(opened[i], NULL);
}

#define READ_WHILE		"/tmp/kunit_reading"
#define HAS_READ		"/tmp/kunit_read"

static int read_on(void *unused)
{
	return file_shell("while [ -e " READ_WHILE " ]; do cat " DIR
			  "* >/dev/null 2>&1 && echo >>" HAS_READ "; done; true");
}

/* How often all files have been read. */
static ssize_t reads(void)
{
	char read[16];

	return file_read(HAS_READ, read, sizeof(read));
}

/* Each line is one that there can be. */
static void expect_sound(struct kunit *test)
{
	unsigned int nr = times("\n") - 1;

	KUNIT_EXPECT_EQ_MSG(test, times("\nrelid ") + times("\n  high ") +
			    times("\n  latency") + times("\n  duration"), nr, "%s", text);
	KUNIT_EXPECT_EQ(test, times(" parked_kib "), times("\nrelid "));
}

static void reads_while_all_come_and_go(struct kunit *test)
{
	struct sim_chan *chans[12];
	struct guest_call *reader;
	unsigned long begun, end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	unsigned int i, round;

	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, file_shell("rm -f " HAS_READ "; echo >" READ_WHILE), 0);
	reader = guest_call_begin(test, read_on, NULL);
	latency(test, true);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, i % 2 ? &sim_type_perf : NULL, &sim_echo);
	for (round = 0; round < 10 || (reads() < 10 && time_before(jiffies, end)); round++) {
		for (i = 0; i < ARRAY_SIZE(chans); i++) {
			sim_rescind(chans[i]);
			if (i % 3)
				continue;
			read_file(test, "channels");
			expect_sound(test);
		}
		for (i = 0; i < ARRAY_SIZE(chans); i++) {
			KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chans[i])));
			sim_reoffer(chans[i]);
		}
	}
	begun = jiffies;
	sim_stop(test);
	/* If it waited for those who read, that would be for ever. */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - begun), SIM_PATIENCE_MS);
	KUNIT_EXPECT_EQ(test, modes_of(""), -ENOENT);
	KUNIT_EXPECT_EQ(test, file_shell("rm " READ_WHILE), 0);
	KUNIT_EXPECT_EQ(test, guest_call_end(reader), 0);
	KUNIT_EXPECT_GE(test, reads(), 10);
}

/* The name is taken, say; the driver does without. */
static void does_without_debugfs(struct kunit *test)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	struct dentry *other = debugfs_create_dir("vmbus", NULL);
	bool fine = false;
	int err;

	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	err = sim_start(test, SIM_USUAL);
	KUNIT_EXPECT_EQ(test, err, 0);
	if (!err && !guest_open_size(test, guest, guest->host, GUEST_RING))
		fine = guest_echoes(guest);
	KUNIT_EXPECT_TRUE(test, fine);
	KUNIT_EXPECT_EQ(test, modes_of("connection"), -ENOENT);
	sim_stop(test);
	KUNIT_EXPECT_GE(test, modes_of(""), 0);
	debugfs_remove(other);
	KUNIT_EXPECT_EQ(test, modes_of(""), -ENOENT);
}

static int debugfs_init(struct kunit *test)
{
	text = vzalloc(TEXT_SIZE);
	return text ? vsc_init(test) : -ENOMEM;
}

static void debugfs_exit(struct kunit *test)
{
	vsc_exit(test);
	vfree(text);
	text = NULL;
}

static struct kunit_case debugfs_cases[] = {
	KUNIT_CASE(counts_each_message),
	KUNIT_CASE_PARAM(names_version_and_features, feature_cases_gen_params),
	KUNIT_CASE(counts_what_it_ignores),
	KUNIT_CASE(counts_posts_that_fail),
	KUNIT_CASE(requests_have_an_age),
	KUNIT_CASE(offers_are_waited_for),
	KUNIT_CASE(channels_have_states_and_answers),
	KUNIT_CASE(memory_that_is_kept_shows),
	KUNIT_CASE(drivers_are_named),
	KUNIT_CASE(events_tell_a_life),
	KUNIT_CASE(events_have_the_time),
	KUNIT_CASE(events_are_the_last_256),
	KUNIT_CASE_PARAM(callbacks_are_measured, modes_gen_params),
	KUNIT_CASE(nothing_is_measured_when_off),
	KUNIT_CASE(rings_have_high_water_marks),
	KUNIT_CASE(files_are_for_root_while_it_runs),
	KUNIT_CASE(open_files_hold_up_nobody),
	KUNIT_CASE(reads_while_all_come_and_go),
	KUNIT_CASE(does_without_debugfs),
	{ }
};

struct kunit_suite debugfs_suite = {
	.name = "hv_vmbus_debugfs",
	.init = debugfs_init,
	.exit = debugfs_exit,
	.test_cases = debugfs_cases,
};
