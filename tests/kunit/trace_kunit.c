// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_trace: each trace event fires when it should, once, with the values that
 * the other side has, as users read it in tracefs. That their formats are those of the
 * distribution's module is for the real host to show.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "files.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define TRACEFS		"/sys/kernel/tracing/"
#define COPY		"/tmp/kunit_trace"
#define TRACE_SIZE	SZ_1M
/* Of 33 pages of the host's, of whatever size the kernel's are. */
#define RING		(PAGE_SIZE + SZ_128K)
#define LINE		256

static char *trace;

static int switch_events(bool on)
{
	return file_shell(on ? "echo 1 >" TRACEFS "events/hyperv/enable" :
			       "echo 0 >" TRACEFS "events/hyperv/enable");
}

/* What has been traced until now. */
static void read_trace(struct kunit *test)
{
	struct file *file;
	ssize_t len, sum = 0;
	loff_t pos = 0;

	KUNIT_ASSERT_EQ(test, file_shell("cat " TRACEFS "trace >" COPY), 0);
	file = file_open(COPY, O_RDONLY);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	do {
		len = kernel_read(file, trace + sum, TRACE_SIZE - 1 - sum, &pos);
		sum += max_t(ssize_t, len, 0);
	} while (len > 0);
	filp_close(file, NULL);
	trace[sum] = 0;
	KUNIT_ASSERT_EQ(test, len, 0);
	KUNIT_ASSERT_LT(test, sum, TRACE_SIZE - 1);
}

static void forget_trace(void)
{
	file_shell("echo >" TRACEFS "trace");
}

/* Lines that end so. */
static __printf(1, 2) unsigned int traced(const char *format, ...)
{
	unsigned int found = 0;
	char line[LINE];
	const char *at;
	va_list args;

	va_start(args, format);
	line[0] = ' ';
	vsnprintf(line + 1, sizeof(line) - 2, format, args);
	va_end(args);
	strlcat(line, "\n", sizeof(line));
	for (at = trace; (at = strstr(at, line)); at += strlen(line))
		found++;
	return found;
}

/* Lines of an event, whatever its values. */
static unsigned int events(const char *name)
{
	unsigned int found = 0;
	char text[64];
	const char *at;

	snprintf(text, sizeof(text), " %s: ", name);
	for (at = trace; (at = strstr(at, text)); at++)
		found++;
	return found;
}

#define EXPECT_TRACED(times, ...)						\
	KUNIT_EXPECT_EQ_MSG(test, traced(__VA_ARGS__), (times), __VA_ARGS__)

static void connection(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 77, &sim_type_perf, NULL);

	chan->co_ring = false;
	chan->flags = 0x10;
	chan->monitored = true;
	chan->monitor_id = 37;
	sim_offer(chan);
	sim_start_ok(test, SIM_V(6, 0));
	sim_guest_channel(test, chan);
	read_trace(test);

	EXPECT_TRACED(1, "vmbus_negotiate_version: sending vmbus_version_requested %d, target_vcpu 0x%x, pages %llx:%llx:%llx, ret 0",
		      SIM_V(6, 0), vmbus_host->vp_index(0),
		      (u64)sim_asked_features() << 32 | SIM_SINT,
		      virt_to_phys(vmbus_connection.monitor_pages[0]) | sim_boundary(),
		      virt_to_phys(vmbus_connection.monitor_pages[1]) | sim_boundary());
	EXPECT_TRACED(1, "vmbus_on_msg_dpc: msgtype=%d", SIM_VERSION_RESPONSE);
	EXPECT_TRACED(1, "vmbus_onversion_response: version_supported 1");
	EXPECT_TRACED(1, "vmbus_request_offers: sending ret 0");
	EXPECT_TRACED(1, "vmbus_on_msg_dpc: msgtype=%d", SIM_OFFER);
	EXPECT_TRACED(1, "vmbus_on_message: msgtype=%d", SIM_OFFER);
	EXPECT_TRACED(1, "vmbus_onoffer: child_relid 0x4d, monitorid 0x25, is_dedicated 1, connection_id 0x%x, if_type %pUl, if_instance %pUl, chn_flags 0x10, mmio_megabytes 0, sub_channel_index 0",
		      77 | SIM_SINT << 12, &chan->type, &chan->instance);
	EXPECT_TRACED(1, "vmbus_on_msg_dpc: msgtype=%d", SIM_ALL_OFFERS);
	/* Not queued by the original. */
	EXPECT_TRACED(0, "vmbus_on_message: msgtype=%d", SIM_ALL_OFFERS);
	EXPECT_TRACED(0, "vmbus_on_message: msgtype=%d", SIM_VERSION_RESPONSE);
}

/* A host that is older than what it is asked for first. */
static void refused_version(struct kunit *test)
{
	sim_start_ok(test, SIM_V(5, 1));
	read_trace(test);
	KUNIT_EXPECT_EQ(test, events("vmbus_negotiate_version"), 4);
	EXPECT_TRACED(3, "vmbus_onversion_response: version_supported 0");
	EXPECT_TRACED(1, "vmbus_onversion_response: version_supported 1");
}

static void life_of_a_channel(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 300, &sim_type_perf, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	u32 gpadl, vp, open_id;

	sim_start_ok(test, SIM_USUAL);
	/* Of so many pages that one message does not name them all. */
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, chan, RING), 0);
	gpadl = guest->ch->ringbuffer_gpadlhandle.gpadl_handle;
	vp = chan->target_vp;
	open_id = chan->open_id;
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	read_trace(test);
	EXPECT_TRACED(1, "vmbus_establish_gpadl_header: sending child_relid 0x12c, gpadl 0x%x, range_buflen %d rangecount 1, ret 0",
		      gpadl, 8 + 8 * 2 * 33);
	/* 26 page numbers in the first message, 28 in each other one. */
	EXPECT_TRACED(1, "vmbus_establish_gpadl_body: sending msgnumber 0, gpadl 0x%x, ret 0",
		      gpadl);
	EXPECT_TRACED(1, "vmbus_establish_gpadl_body: sending msgnumber 1, gpadl 0x%x, ret 0",
		      gpadl);
	KUNIT_EXPECT_EQ(test, events("vmbus_establish_gpadl_body"), 2);
	EXPECT_TRACED(1, "vmbus_ongpadl_created: child_relid 0x12c, gpadl 0x%x, creation_status 0",
		      gpadl);
	EXPECT_TRACED(1, "vmbus_open: sending child_relid 0x12c, openid %d, gpadlhandle 0x%x, target_vp 0x%x, offset 0x21, ret 0",
		      open_id, gpadl, vp);
	EXPECT_TRACED(1, "vmbus_onopen_result: child_relid 0x12c, openid %d, status 0", open_id);
	EXPECT_TRACED(1, "vmbus_setevent: relid 0x12c");
	KUNIT_EXPECT_GE(test, traced("vmbus_chan_sched: relid 0x12c"), 1);
	KUNIT_EXPECT_GE(test, traced("vmbus_on_event: relid 0x12c"), 1);

	KUNIT_ASSERT_EQ(test, vmbus_channel_retarget(to_vmbus_chan(guest->ch),
						     !guest->ch->target_cpu), 0);
	vp = chan->target_vp;
	vmbus_close(guest->ch);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
	/* A post is traced when it is over: the host may be faster. */
	flush_workqueue(vmbus_bus.chan_wq);
	read_trace(test);
	EXPECT_TRACED(1, "vmbus_send_modifychannel: binding child_relid 0x12c to target_vp 0x%x, ret 0",
		      vp);
	EXPECT_TRACED(1, "vmbus_onmodifychannel_response: child_relid 0x12c, status 0");
	EXPECT_TRACED(1, "vmbus_close_internal: sending child_relid 0x12c, ret 0");
	EXPECT_TRACED(1, "vmbus_teardown_gpadl: sending child_relid 0x12c, gpadl 0x%x, ret 0",
		      gpadl);
	EXPECT_TRACED(1, "vmbus_ongpadl_torndown: gpadl 0x%x", gpadl);
	EXPECT_TRACED(1, "vmbus_on_message: msgtype=%d", SIM_RESCIND);
	EXPECT_TRACED(1, "vmbus_onoffer_rescind: child_relid 0x12c");
	EXPECT_TRACED(1, "vmbus_release_relid: sending child_relid 0x12c, ret 0");
}

static void sockets(struct kunit *test)
{
	static const guid_t guest_id = GUID_INIT(0x11223344, 0x5566, 0x7788, 1, 2, 3, 4, 5, 6, 7,
						8);
	static const guid_t host_id = GUID_INIT(0x99aabbcc, 0xddee, 0xff00, 8, 7, 6, 5, 4, 3, 2, 1);

	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vmbus_send_tl_connect_request(&guest_id, &host_id), 0);
	read_trace(test);
	EXPECT_TRACED(1, "vmbus_send_tl_connect_request: sending guest_endpoint_id %pUl, host_service_id %pUl, ret 0",
		      &guest_id, &host_id);
}

/* Every post that fails, with the errno; nothing is answered then. */
static void failed_posts(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 9, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	u32 gpadl;

	sim_start_ok(test, SIM_USUAL);
	sim_fail_posts(SIM_OPEN, -EIO, 1);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, chan, GUEST_RING), -EIO);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, chan, GUEST_RING), 0);
	gpadl = guest->ch->ringbuffer_gpadlhandle.gpadl_handle;
	sim_fail_posts(SIM_CLOSE, -EIO, 1);
	vmbus_close(guest->ch);
	read_trace(test);
	KUNIT_EXPECT_EQ(test, events("vmbus_open"), 2);
	EXPECT_TRACED(1, "vmbus_open: sending child_relid 0x9, openid %d, gpadlhandle 0x%x, target_vp 0x%x, offset 0x%x, ret %d",
		      chan->open_id - 1, gpadl - 1, chan->target_vp,
		      vmbus_ring_hv_pages(GUEST_RING / PAGE_SIZE), -EIO);
	KUNIT_EXPECT_EQ(test, events("vmbus_onopen_result"), 1);
	EXPECT_TRACED(1, "vmbus_close_internal: sending child_relid 0x9, ret %d", -EIO);
}

/* Whatever becomes of them; what lacks fields has none to show. */
static void unwelcome_messages(struct kunit *test)
{
	const u32 strange[2] = { 0x4711 };
	const u32 cut_short[3] = { SIM_OPEN_RESULT };

	sim_start_ok(test, SIM_USUAL);
	sim_send(strange, sizeof(strange));
	sim_send(cut_short, sizeof(cut_short));
	sim_send_result(SIM_OPEN_RESULT, 0x123, 0x456, 7);
	sim_send_relid(SIM_RESCIND, 0x321);
	sim_drain(test);
	read_trace(test);
	EXPECT_TRACED(1, "vmbus_on_msg_dpc: msgtype=%d", 0x4711);
	EXPECT_TRACED(0, "vmbus_on_message: msgtype=%d", 0x4711);
	EXPECT_TRACED(2, "vmbus_on_msg_dpc: msgtype=%d", SIM_OPEN_RESULT);
	KUNIT_EXPECT_EQ(test, events("vmbus_onopen_result"), 1);
	EXPECT_TRACED(1, "vmbus_onopen_result: child_relid 0x123, openid %d, status 7", 0x456);
	EXPECT_TRACED(1, "vmbus_on_message: msgtype=%d", SIM_RESCIND);
	EXPECT_TRACED(1, "vmbus_onoffer_rescind: child_relid 0x321");
}

/* A channel in each mode; nothing is traced of an interrupt that nobody handles. */
static void interrupts(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 5, NULL, &sim_manual);
	struct guest_chan *guest = guest_new(test, chan);

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, chan);
	guest->reads = false;
	sim_event(0, 5);
	set_channel_read_mode(guest->ch, HV_CALL_ISR);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	sim_event(0, 5);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) == 1));
	read_trace(test);
	EXPECT_TRACED(1, "vmbus_chan_sched: relid 0x5");
	EXPECT_TRACED(0, "vmbus_on_event: relid 0x5");
	vmbus_close(guest->ch);

	set_channel_read_mode(guest->ch, HV_CALL_DIRECT);
	KUNIT_ASSERT_EQ(test, guest_try_open(guest), 0);
	sim_event(0, 5);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) == 2));
	read_trace(test);
	EXPECT_TRACED(2, "vmbus_chan_sched: relid 0x5");
	EXPECT_TRACED(1, "vmbus_on_event: relid 0x5");
	vmbus_close(guest->ch);
}

static void nothing_when_off(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, switch_events(false), 0);
	forget_trace();
	sim_start_ok(test, SIM_USUAL);
	read_trace(test);
	KUNIT_EXPECT_NULL(test, strstr(trace, "vmbus_"));
}

static int trace_init(struct kunit *test)
{
	int err;

	trace = vzalloc(TRACE_SIZE);
	if (!trace)
		return -ENOMEM;
	err = sim_init(test);
	if (err)
		return err;
	forget_trace();
	return switch_events(true);
}

static void trace_exit(struct kunit *test)
{
	switch_events(false);
	forget_trace();
	sim_exit(test);
	vfree(trace);
	trace = NULL;
}

static struct kunit_case trace_cases[] = {
	KUNIT_CASE(connection),
	KUNIT_CASE(refused_version),
	KUNIT_CASE(life_of_a_channel),
	KUNIT_CASE(sockets),
	KUNIT_CASE(failed_posts),
	KUNIT_CASE(unwelcome_messages),
	KUNIT_CASE(interrupts),
	KUNIT_CASE(nothing_when_off),
	{ }
};

struct kunit_suite trace_suite = {
	.name = "hv_vmbus_trace",
	.init = trace_init,
	.exit = trace_exit,
	.test_cases = trace_cases,
};
