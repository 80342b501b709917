// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_paravisor: two SynICs on each CPU, where a paravisor has a bus of its own:
 * events of both, messages of one, CPUs that go, and the ways down.
 *
 * The simulated host is the paravisor. What the host itself sends are messages and events
 * in its own pages.
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "call.h"
#include "sorts.h"
#include "suites.h"

#define NEWEST		SIM_V(6, 0)
#define GOING		1	/* the CPU that goes */
#define SYNIC_VMBUS	1
#define SYNIC_TIMER	0x80000010
#define SHORT_MS	200

static struct vmbus_synic *synic_of(unsigned int which, unsigned int cpu)
{
	return per_cpu_ptr(&vmbus_synic[which], cpu);
}

static struct guest_chan *counting(struct kunit *test, const struct sort *sort)
{
	struct guest_chan *guest = guest_new(test, new_chan(test, sort));

	guest->reads = false;
	sim_offer(guest->host);
	guest_open(test, guest, guest->host);
	return guest;
}

static bool called(const struct guest_chan *guest, int times)
{
	return atomic_read(&guest->callbacks) >= times;
}

/* One interrupt is for both pages, on any CPU; the channel's own does not matter. */
static void events_of_both_pages(struct kunit *test)
{
	struct guest_chan *private, *shown;
	unsigned int cpu;
	int calls = 0;

	sim_start_ok(test, NEWEST);
	private = counting(test, &sorts[0]);
	shown = counting(test, &sorts[2]);
	for_each_online_cpu(cpu) {
		sim_mute(true);
		sim_event_page(VMBUS_SYNIC_PARAVISOR, cpu, private->host->relid);
		sim_event_page(VMBUS_SYNIC_HOST, cpu, shown->host->relid);
		sim_mute(false);
		KUNIT_EXPECT_EQ(test, atomic_read(&private->callbacks), calls);
		KUNIT_EXPECT_EQ(test, atomic_read(&shown->callbacks), calls);
		calls++;
		/* Of a relid that is nobody's. */
		sim_event_page(cpu % VMBUS_NR_SYNICS, cpu, SIM_RELIDS - 1);
		KUNIT_EXPECT_TRUE_MSG(test, sim_wait(called(private, calls)), "CPU %u", cpu);
		KUNIT_EXPECT_TRUE_MSG(test, sim_wait(called(shown, calls)), "CPU %u", cpu);
		guest_tasklet_ends(private->ch);
		guest_tasklet_ends(shown->ch);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&private->callbacks), calls);
	KUNIT_EXPECT_EQ(test, atomic_read(&shown->callbacks), calls);
	vmbus_close(private->ch);
	vmbus_close(shown->ch);
}

/* The host's slot has the timer's messages, the paravisor's those of the bus, at once. */
static void messages_of_both_slots(struct kunit *test)
{
	const struct sim_header timer = { };
	struct sim_chan *chan;
	struct sim_msg_offer offer;
	unsigned int cpu, timers = 0;

	sim_start_ok(test, NEWEST);
	for_each_online_cpu(cpu) {
		chan = new_chan(test, &sorts[cpu % ARRAY_SIZE(sorts)]);
		chan->offered = true;
		sim_make_offer(chan, &offer);
		sim_mute(true);
		sim_send_slot(VMBUS_SYNIC_HOST, cpu, SYNIC_TIMER, sizeof(timer), &timer,
			      sizeof(timer));
		sim_send_slot(VMBUS_SYNIC_PARAVISOR, cpu, SYNIC_VMBUS, sizeof(offer), &offer,
			      sizeof(offer));
		sim_mute(false);
		KUNIT_EXPECT_EQ(test, sim_queued(), 2);
		sim_event_page(VMBUS_SYNIC_HOST, cpu, SIM_RELIDS - 1);
		KUNIT_EXPECT_TRUE_MSG(test, sim_wait(sim_all_fetched()), "CPU %u", cpu);
		KUNIT_EXPECT_EQ(test, sim_timers(), ++timers);
		KUNIT_EXPECT_TRUE_MSG(test, sim_wait(is_channel(chan->relid)), "CPU %u", cpu);
	}
}

/* The host cannot speak for the paravisor: what it says is taken out, and that is all. */
static void host_is_not_heard(struct kunit *test)
{
	struct sim_chan *chan;
	struct sim_msg_offer offer;
	unsigned int cpu, ignored = 0;
	u64 mark = sim_log_mark();

	sim_start_ok(test, NEWEST);
	for_each_online_cpu(cpu) {
		chan = new_chan(test, &sorts[2]);
		sim_make_offer(chan, &offer);
		sim_send_slot(VMBUS_SYNIC_HOST, cpu, SYNIC_VMBUS, sizeof(offer), &offer,
			      sizeof(offer));
		sim_drain(test);
		KUNIT_EXPECT_FALSE(test, is_channel(chan->relid));
		ignored++;
	}
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "OFFERCHANNEL (type 1, 196 bytes) from the host"),
			ignored);
}

/* A bad offer is given back to who made it, which the host may not be. */
static void bad_offer_of_the_host_is_not_given_back(struct kunit *test)
{
	struct sim_chan *chan;
	struct sim_msg_offer offer;

	sim_start_ok(test, NEWEST);
	chan = new_chan(test, &sorts[2]);
	sim_make_offer(chan, &offer);
	offer.monitor_allocated = 1;
	offer.monitor_id = 0xff;
	sim_send_slot(VMBUS_SYNIC_HOST, 0, SYNIC_VMBUS, sizeof(offer), &offer, sizeof(offer));
	sim_drain(test);
	flush_workqueue(vmbus_bus.chan_wq);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
}

static int start_newest(void *test)
{
	return sim_start(test, NEWEST);
}

/* Least of all what it would agree to. */
static void host_agrees_to_nothing(struct kunit *test)
{
	const struct sim_rule hold = { .type = SIM_CONTACT, .action = SIM_HOLD, .times = 1 };
	struct sim_msg_version_6 reply = { };
	struct guest_call *call;

	sim_rule(&hold);
	call = guest_call_begin(test, start_newest, test);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_held_message(&reply, sizeof(reply))));
	reply.old.supported = 0;
	sim_send_slot(VMBUS_SYNIC_HOST, 0, SYNIC_VMBUS, sizeof(reply.old), &reply, sizeof(reply));
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sim_release_held();
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, NEWEST);
	KUNIT_EXPECT_EQ(test, vmbus_conn.features, SIM_FEATURE_CONFIDENTIAL);
}

/* Its last events are looked for in both; then the host's pages go, the paravisor's stay. */
static void cpu_goes_with_events_in_both_pages(struct kunit *test)
{
	struct guest_chan *private, *shown;

	sim_start_ok(test, NEWEST);
	private = counting(test, &sorts[0]);
	shown = counting(test, &sorts[2]);
	/* As if the interrupt had not come yet. */
	set_bit(private->host->relid, synic_of(VMBUS_SYNIC_PARAVISOR, GOING)->events);
	set_bit(shown->host->relid, synic_of(VMBUS_SYNIC_HOST, GOING)->events);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(called(private, 1)));
	KUNIT_EXPECT_TRUE(test, sim_wait(called(shown, 1)));
	KUNIT_EXPECT_NULL(test, synic_of(VMBUS_SYNIC_HOST, GOING)->message);
	KUNIT_EXPECT_NOT_NULL(test, synic_of(VMBUS_SYNIC_PARAVISOR, GOING)->message);
	KUNIT_EXPECT_FALSE(test, test_bit(private->host->relid,
					  synic_of(VMBUS_SYNIC_PARAVISOR, GOING)->events));
	KUNIT_ASSERT_EQ(test, add_cpu(GOING), 0);
	KUNIT_EXPECT_NOT_NULL(test, synic_of(VMBUS_SYNIC_HOST, GOING)->message);
	sim_event_page(VMBUS_SYNIC_PARAVISOR, GOING, private->host->relid);
	sim_event_page(VMBUS_SYNIC_HOST, GOING, shown->host->relid);
	KUNIT_EXPECT_TRUE(test, sim_wait(called(private, 2)));
	KUNIT_EXPECT_TRUE(test, sim_wait(called(shown, 2)));
	vmbus_close(private->ch);
	vmbus_close(shown->ch);
}

/* ---- the ways down ---- */

/* The answer is in the paravisor's slot of any CPU, behind the host's timer or not. */
static void crash_finds_the_answer(struct kunit *test)
{
	const struct sim_header timer = { };
	unsigned int cpu;
	u64 mark;

	sim_start_ok(test, NEWEST);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	for_each_online_cpu(cpu) {
		mark = sim_log_mark();
		sim_message_cpu(cpu);
		sim_mute(true);
		sim_send_slot(VMBUS_SYNIC_HOST, cpu, SYNIC_TIMER, sizeof(timer), &timer,
			      sizeof(timer));
		vmbus_conn.state = VMBUS_CONNECTED;
		sim_upcall_crash();
		sim_mute(false);
		KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
		KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "Continuing even though"), 0);
		sim_undo_unload();
	}
	KUNIT_EXPECT_EQ(test, add_cpu(GOING), 0);
	sim_message_cpu(0);
}

/* What the host says of it is nothing. */
static void crash_does_not_hear_the_host(struct kunit *test)
{
	const struct sim_rule ignore = { .type = SIM_UNLOAD, .action = SIM_IGNORE, .times = 1 };
	const struct sim_header answer = { .type = SIM_UNLOAD_RESPONSE };
	u64 mark = sim_log_mark();

	sim_start_ok(test, NEWEST);
	sim_rule(&ignore);
	sim_mute(true);
	/* Before each try to post the UNLOAD one is taken out, whatever it says: no second try. */
	sim_busy(0);
	sim_send_slot(VMBUS_SYNIC_HOST, 2, SYNIC_VMBUS, sizeof(answer), &answer, sizeof(answer));
	sim_send_slot(VMBUS_SYNIC_HOST, 2, SYNIC_VMBUS, sizeof(answer), &answer, sizeof(answer));
	vmbus_deadlines.unload = SHORT_MS;
	sim_upcall_crash();
	vmbus_deadlines.unload = SIM_ANSWERED_MS;
	sim_mute(false);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "Continuing even though"), 1);
}

static void kexec_hides_what_is_visible(struct kunit *test)
{
	struct guest_chan *guests[ARRAY_SIZE(sorts)];
	struct vmbus_gpadl gpadls[ARRAY_SIZE(sorts)];
	void *buffers[ARRAY_SIZE(sorts)];
	unsigned int i;

	sim_start_ok(test, NEWEST);
	for (i = 0; i < ARRAY_SIZE(sorts); i++) {
		guests[i] = counting(test, &sorts[i]);
		buffers[i] = new_buffer(test);
		KUNIT_EXPECT_EQ(test, share(guests[i], buffers[i], &gpadls[i]), 0);
		memset(buffers[i], SECRET, BUFFER_BYTES);
	}
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES + RING_PAGES + 2 * BUFFER_PAGES);
	sim_upcall_kexec();
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), 0);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);
	/* What changes hands is noise. */
	for (i = 0; i < ARRAY_SIZE(sorts); i++)
		KUNIT_EXPECT_EQ_MSG(test, !memchr_inv(buffers[i], SECRET, BUFFER_BYTES),
				    sorts[i].external, "%s", sorts[i].name);
	sim_allow_violations();
	for (i = 0; i < ARRAY_SIZE(sorts); i++) {
		KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guests[i]->ch, &gpadls[i]), -ESHUTDOWN);
		vmbus_close(guests[i]->ch);
	}
	vmbus_deadlines.unload = SHORT_MS;
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), 0);
	for (i = 0; i < ARRAY_SIZE(sorts); i++)
		vfree(buffers[i]);
}

static struct kunit_case paravisor_cases[] = {
	KUNIT_CASE(events_of_both_pages),
	KUNIT_CASE(messages_of_both_slots),
	KUNIT_CASE(host_is_not_heard),
	KUNIT_CASE(bad_offer_of_the_host_is_not_given_back),
	KUNIT_CASE(host_agrees_to_nothing),
	KUNIT_CASE(cpu_goes_with_events_in_both_pages),
	KUNIT_CASE(crash_finds_the_answer),
	KUNIT_CASE(crash_does_not_hear_the_host),
	KUNIT_CASE(kexec_hides_what_is_visible),
	{}
};

struct kunit_suite paravisor_suite = {
	.name = "hv_vmbus_paravisor",
	.init = sorts_init,
	.exit = sim_exit,
	.test_cases = paravisor_cases,
};
