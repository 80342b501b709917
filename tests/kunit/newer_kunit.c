// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_newer: what the stock modules of kernels after 6.12 ask of the bus.
 */
#include <linux/ktime.h>
#include <linux/vmalloc.h>

#include "fault.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define FAILED		0x8000ffff
#define NEWEST		SIM_V(6, 0)
#define SHARED_PAGES	3	/* of the connection itself */
#define PAGES		4
#define SIZE		(PAGES * PAGE_SIZE)
#define SHORT_MS	300
#define LONG_MS		40000
#define SLACK_MS	15000

/* ---- a buffer that its driver has made visible ---- */

struct shown {
	struct guest_chan *guest;
	void *buffer;
	struct vmbus_gpadl gpadl;
};

static int establish(struct shown *shown)
{
	return vmbus_establish_gpadl_caller_decrypted(shown->guest->ch, shown->buffer, SIZE,
						      &shown->gpadl);
}

static void expect_visible(struct kunit *test, unsigned long pages)
{
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES + pages);
}

/* Starts on a host that sees only what is shared with it, the buffer among it. */
static struct shown *show(struct kunit *test)
{
	struct shown *shown = kunit_kzalloc(test, sizeof(*shown), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, shown);
	sim_share_all();
	shown->guest = guest_new(test, sim_add(test, NULL, &sim_echo));
	shown->buffer = vzalloc(SIZE);
	KUNIT_ASSERT_NOT_NULL(test, shown->buffer);
	/* A failure leaves it so, unless it says that the host may have the buffer. */
	shown->gpadl.decrypted = true;
	sim_use_visibility(true);
	sim_start_ok(test, NEWEST);
	shown->guest->ch = sim_guest_channel(test, shown->guest->host);
	KUNIT_ASSERT_EQ(test, vmbus_host->set_visible(shown->buffer, PAGES, true), 0);
	expect_visible(test, PAGES);
	return shown;
}

static void hide(struct kunit *test, struct shown *shown)
{
	expect_visible(test, PAGES);
	KUNIT_EXPECT_EQ(test, vmbus_host->set_visible(shown->buffer, PAGES, false), 0);
	expect_visible(test, 0);
	vfree(shown->buffer);
}

/* An error after which the host has nothing of the buffer. */
static void expect_error(struct kunit *test, struct shown *shown, int error)
{
	KUNIT_EXPECT_EQ(test, establish(shown), error);
	KUNIT_EXPECT_EQ(test, shown->gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_FALSE(test, shown->gpadl.decrypted);
	expect_visible(test, PAGES);
}

static void shown_buffer_stays_shown(struct kunit *test)
{
	struct shown *shown = show(test);
	u32 i;

	KUNIT_EXPECT_EQ(test, establish(shown), 0);
	KUNIT_EXPECT_NE(test, shown->gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_PTR_EQ(test, shown->gpadl.buffer, shown->buffer);
	KUNIT_EXPECT_EQ(test, shown->gpadl.size, SIZE);
	KUNIT_EXPECT_EQ(test, sim_gpadl_pages(shown->gpadl.gpadl_handle), PAGES);
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, sim_gpadl_pfn(shown->gpadl.gpadl_handle, i),
				vmalloc_to_pfn(shown->buffer + i * PAGE_SIZE));
	expect_visible(test, PAGES);

	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(shown->guest->ch, &shown->gpadl), 0);
	KUNIT_EXPECT_EQ(test, shown->gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_FALSE(test, shown->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	hide(test, shown);
}

static void shown_buffer_that_is_bad(struct kunit *test)
{
	struct shown *shown = show(test);
	struct vmbus_channel *ch = shown->guest->ch;
	struct vmbus_gpadl *gpadl = &shown->gpadl;

	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(ch, shown->buffer, 0, gpadl),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(ch, shown->buffer, SIZE - 8,
								     gpadl), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(ch, shown->buffer + 8,
								     PAGE_SIZE, gpadl), -EINVAL);
	KUNIT_EXPECT_FALSE(test, gpadl->decrypted);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_HEADER), 0);
	hide(test, shown);
}

static void shown_buffer_that_is_refused(struct kunit *test)
{
	const struct sim_rule refuse = { .type = SIM_GPADL_HEADER, .times = 1,
					 .action = SIM_REFUSE, .status = FAILED };
	struct shown *shown = show(test);

	sim_rule(&refuse);
	expect_error(test, shown, -EDQUOT);
	KUNIT_EXPECT_EQ(test, establish(shown), 0);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(shown->guest->ch, &shown->gpadl), 0);
	hide(test, shown);
}

static void shown_buffer_that_is_not_posted(struct kunit *test)
{
	struct shown *shown = show(test);

	sim_fail_posts(SIM_GPADL_HEADER, -EIO, 1);
	expect_error(test, shown, -EIO);
	vmbus_deadlines.post = SHORT_MS;
	sim_fail_posts(SIM_GPADL_HEADER, -EAGAIN, 0);
	expect_error(test, shown, -ENOBUFS);
	sim_fail_posts(0, 0, 1);
	vmbus_deadlines.post = LONG_MS;
	hide(test, shown);
}

/* The host answers neither the request nor its end, and so may use the buffer. */
static void shown_buffer_that_is_kept(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_GPADL_HEADER, .action = SIM_DROP };
	const struct sim_rule ignore = { .type = SIM_GPADL_TEARDOWN, .action = SIM_IGNORE };
	struct shown *shown = show(test);

	sim_rule(&ignore);
	KUNIT_EXPECT_EQ(test, establish(shown), 0);
	KUNIT_EXPECT_FALSE(test, shown->gpadl.decrypted);
	vmbus_deadlines.request = SHORT_MS;
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(shown->guest->ch, &shown->gpadl), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, shown->gpadl.decrypted);

	sim_rule(&drop);
	KUNIT_EXPECT_EQ(test, establish(shown), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, shown->gpadl.gpadl_handle, 0);
	KUNIT_EXPECT_TRUE(test, shown->gpadl.decrypted);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN) == 2));
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 2);
	expect_visible(test, PAGES);
	sim_clear_rules();
	/* A driver would leak it. */
	sim_take_back(shown->buffer, PAGES);
	sim_stop(test);
	vfree(shown->buffer);
}

static void shown_buffer_of_no_channel(struct kunit *test)
{
	struct shown *shown = show(test);
	struct sim_chan *sub = sim_add_sub(test, shown->guest->host, 1, &sim_echo);

	KUNIT_ASSERT_EQ(test, guest_try_open(shown->guest), 0);
	shown->guest = guest_new(test, sub);
	shown->guest->ch = sim_guest_channel(test, sub);
	KUNIT_ASSERT_EQ(test, guest_try_open(shown->guest), 0);
	sim_rescind(sub);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(shown->guest->ch->rescind)));
	KUNIT_EXPECT_EQ(test, establish(shown), -ENODEV);
	KUNIT_EXPECT_FALSE(test, shown->gpadl.decrypted);
	vmbus_close(shown->guest->ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub)));

	KUNIT_EXPECT_EQ(test, vmbus_host->set_visible(shown->buffer, PAGES, false), 0);
	vfree(shown->buffer);
}

static void shown_buffer_without_connection(struct kunit *test)
{
	struct shown *shown = show(test);

	KUNIT_EXPECT_TRUE(test, vmbus_unload());
	expect_error(test, shown, -ESHUTDOWN);
	sim_undo_unload();
	hide(test, shown);
}

/* ---- memory for buffers ---- */

static const u32 sizes[] = { 1, PAGE_SIZE - 1, PAGE_SIZE, SZ_64K + 8, SZ_16M };

static void size_name(const u32 *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bytes", *size);
}

KUNIT_ARRAY_PARAM(sizes, sizes, size_name);

static struct guest_chan *start(struct kunit *test, bool shown)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, NULL, &sim_echo));

	sim_use_visibility(shown);
	sim_start_ok(test, NEWEST);
	guest->ch = sim_guest_channel(test, guest->host);
	return guest;
}

/* It is zero, and the host sees it already. */
static void buffer_of_any_size(struct kunit *test)
{
	u32 size = *(const u32 *)test->param_value, whole = PAGE_ALIGN(size);
	struct guest_chan *guest = start(test, true);
	struct page *page, **chunks = &page;
	struct vmbus_gpadl gpadl;
	u32 nr_chunks = 1;
	void *buffer;

	buffer = vmbus_alloc_buffer(guest->ch, size, &chunks, &nr_chunks);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_EXPECT_NULL(test, chunks);
	KUNIT_EXPECT_EQ(test, nr_chunks, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(buffer, 0, size));
	expect_visible(test, whole / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(guest->ch, buffer, whole,
								     &gpadl), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadl_pages(gpadl.gpadl_handle), whole / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), 0);
	expect_visible(test, whole / PAGE_SIZE);
	vmbus_free_buffer(buffer, chunks, nr_chunks);
	expect_visible(test, 0);
	/* Drivers free what they did not get. */
	vmbus_free_buffer(NULL, NULL, 0);
}

static void *buffer_alloc(const struct guest_chan *guest)
{
	struct page **chunks;
	u32 nr_chunks;

	return vmbus_alloc_buffer(guest->ch, SIZE, &chunks, &nr_chunks);
}

/* If a paravisor is to use it, no host sees it. */
static void buffer_for_a_paravisor(struct kunit *test)
{
	struct guest_chan *guest = start(test, true);
	void *buffer;

	to_vmbus_chan(guest->ch)->private_memory = true;
	buffer = buffer_alloc(guest);
	KUNIT_EXPECT_NOT_NULL(test, buffer);
	expect_visible(test, 0);
	vmbus_free_buffer(buffer, NULL, 0);
	expect_visible(test, 0);
}

/* The driver frees it all the same. Ordinary VMs, and those that share memory page by page. */
static void buffer_that_the_host_keeps(struct kunit *test)
{
	const struct sim_rule drop = { .type = SIM_GPADL_HEADER, .action = SIM_DROP };
	const struct sim_rule ignore = { .type = SIM_GPADL_TEARDOWN, .action = SIM_IGNORE };
	struct guest_chan *guest = start(test, *(const bool *)test->param_value);
	unsigned long before = vmbus_leaked_kib();
	struct vmbus_gpadl gpadl;
	void *buffers[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		buffers[i] = buffer_alloc(guest);
		KUNIT_ASSERT_NOT_NULL(test, buffers[i]);
	}
	sim_rule(&ignore);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(guest->ch, buffers[0], SIZE,
								     &gpadl), 0);
	vmbus_deadlines.request = SHORT_MS;
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), -ETIMEDOUT);
	sim_rule(&drop);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl_caller_decrypted(guest->ch, buffers[1], SIZE,
								     &gpadl), -ETIMEDOUT);
	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		vmbus_free_buffer(buffers[i], NULL, 0);
		KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, (i + 1) * SIZE / SZ_1K);
	}
	sim_clear_rules();
	sim_stop(test);
	/* They are ours still. */
	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		memset(buffers[i], 0, SIZE);
		sim_take_back(buffers[i], PAGES);
		vfree(buffers[i]);
	}
}

static const bool shown_or_not[] = { false, true };

static void shown_name(const bool *shown, char *desc)
{
	strscpy(desc, *shown ? "shown" : "ordinary", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(shown_or_not, shown_or_not, shown_name);

static void buffer_that_cannot_be_shown_or_hidden(struct kunit *test)
{
	struct guest_chan *guest = start(test, true);
	unsigned long before = vmbus_leaked_kib();
	void *buffer;

	sim_fail_visible(1, true);
	KUNIT_EXPECT_NULL(test, buffer_alloc(guest));
	KUNIT_EXPECT_EQ(test, sim_failed_visible(), PAGES);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, SIZE / SZ_1K);
	vfree(sim_failed_buffer());

	buffer = buffer_alloc(guest);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	sim_fail_visible(1, false);
	vmbus_free_buffer(buffer, NULL, 0);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, 2 * SIZE / SZ_1K);
	sim_take_back(buffer, PAGES);
	vfree(buffer);
}

/* Another kernel is about to start; a driver still frees what could not be hidden from the host. */
static void buffer_that_stays_visible_to_the_end(struct kunit *test)
{
	struct guest_chan *guest = start(test, true);
	unsigned long before = vmbus_leaked_kib();
	void *buffer = buffer_alloc(guest);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	/* It was shown last, and is hidden first. */
	sim_fail_visible(1, false);
	sim_upcall_kexec();
	KUNIT_EXPECT_EQ(test, sim_failed_visible(), PAGES);
	vmbus_free_buffer(buffer, NULL, 0);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, SIZE / SZ_1K);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);
	sim_take_back(buffer, PAGES);
	sim_allow_violations();
	vmbus_deadlines.unload = SHORT_MS;
	sim_stop(test);
	vfree(buffer);
}

static void no_memory_for_a_buffer(struct kunit *test)
{
	struct guest_chan *guest = start(test, false);
	struct page **chunks;
	u32 nr_chunks;
	unsigned int n;
	void *buffer;

	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	/* Each allocation in turn. */
	for (n = 1; n < 100; n++) {
		fault_arm(n);
		buffer = vmbus_alloc_buffer(guest->ch, SZ_64K, &chunks, &nr_chunks);
		if (!fault_disarm())
			break;
		KUNIT_EXPECT_NULL(test, buffer);
		KUNIT_EXPECT_NULL(test, chunks);
		KUNIT_EXPECT_EQ(test, nr_chunks, 0);
		vmbus_free_buffer(buffer, chunks, nr_chunks);
	}
	fault_exit();
	KUNIT_EXPECT_GT(test, n, 2);
	KUNIT_EXPECT_NOT_NULL(test, buffer);
	vmbus_free_buffer(buffer, chunks, nr_chunks);
}

/* ---- the root ---- */

static void root_is_there_with_the_bus(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct vmbus_channel *ch;

	KUNIT_EXPECT_FALSE(test, hv_vmbus_exists());
	KUNIT_EXPECT_NULL(test, hv_get_vmbus_root_device());
	sim_start_ok(test, NEWEST);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_TRUE(test, hv_vmbus_exists());
	KUNIT_EXPECT_PTR_EQ(test, ch->device_obj->device.parent, hv_get_vmbus_root_device());
	KUNIT_EXPECT_FALSE(test, vmbus_is_confidential());
	sim_stop(test);
	KUNIT_EXPECT_FALSE(test, hv_vmbus_exists());
	KUNIT_EXPECT_NULL(test, hv_get_vmbus_root_device());
}

/* ---- the unload, by a driver ---- */

/* Undoes what a crash left, so that the driver can be stopped. */
static void survive(struct kunit *test)
{
	vmbus_set_skip_unload(false);
	sim_mute(false);
	sim_undo_unload();
	vmbus_deadlines.unload = LONG_MS;
	sim_stop(test);
}

/* A display driver writes once more before it lets the host go. */
static void driver_unloads_after_a_crash(struct kunit *test)
{
	sim_start_ok(test, NEWEST);
	vmbus_set_skip_unload(true);
	sim_mute(true);
	vmbus_deadlines.unload = LONG_MS;
	sim_upcall_crash();
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
	vmbus_initiate_unload(true);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	/* Once is enough. */
	vmbus_initiate_unload(true);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	survive(test);
}

static void bus_unloads_after_a_crash_again(struct kunit *test)
{
	sim_start_ok(test, NEWEST);
	vmbus_set_skip_unload(true);
	vmbus_set_skip_unload(false);
	sim_mute(true);
	vmbus_deadlines.unload = LONG_MS;
	sim_upcall_crash();
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	survive(test);
}

static void driver_unloads_in_order(struct kunit *test)
{
	ktime_t begun;

	sim_start_ok(test, NEWEST);
	vmbus_deadlines.unload = LONG_MS;
	begun = ktime_get();
	vmbus_initiate_unload(false);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	/* Who comes next finds no connection, and does not wait. */
	vmbus_initiate_unload(false);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), begun), SLACK_MS);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	sim_undo_unload();
	sim_stop(test);
}

static struct kunit_case newer_cases[] = {
	KUNIT_CASE(shown_buffer_stays_shown),
	KUNIT_CASE(shown_buffer_that_is_bad),
	KUNIT_CASE(shown_buffer_that_is_refused),
	KUNIT_CASE(shown_buffer_that_is_not_posted),
	KUNIT_CASE(shown_buffer_that_is_kept),
	KUNIT_CASE(shown_buffer_of_no_channel),
	KUNIT_CASE(shown_buffer_without_connection),
	KUNIT_CASE_PARAM(buffer_of_any_size, sizes_gen_params),
	KUNIT_CASE(buffer_for_a_paravisor),
	KUNIT_CASE_PARAM(buffer_that_the_host_keeps, shown_or_not_gen_params),
	KUNIT_CASE(buffer_that_cannot_be_shown_or_hidden),
	KUNIT_CASE(buffer_that_stays_visible_to_the_end),
	KUNIT_CASE(no_memory_for_a_buffer),
	KUNIT_CASE(root_is_there_with_the_bus),
	KUNIT_CASE(driver_unloads_after_a_crash),
	KUNIT_CASE(bus_unloads_after_a_crash_again),
	KUNIT_CASE(driver_unloads_in_order),
	{}
};

struct kunit_suite newer_suite = {
	.name = "hv_vmbus_newer",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = newer_cases,
};
