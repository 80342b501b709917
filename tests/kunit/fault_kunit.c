// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_fault: each allocation fails once, each change of visibility too.
 * Whatever was going on succeeds without it or fails with an errno, and works
 * when it is tried again; leaks and double frees are seen by KASAN and kmemleak.
 */
#include <linux/mm.h>

#include "fault.h"
#include "files.h"
#include "guest.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define MOST_FAULTS	1000
#define BUFFER_PAGES	4
#define CONN_PAGES	3	/* that the connection shares with the host */

static int fault_suite_init(struct kunit *test)
{
	int err = fault_init();

	if (err)
		return err;
	err = vsc_init(test);
	if (err)
		fault_exit();
	return err;
}

static void fault_suite_exit(struct kunit *test)
{
	fault_disarm();
	vsc_exit(test);
	fault_exit();
}

/* What the operations work on. */
struct scene {
	struct kunit *test;
	struct sim_chan *chan, *sub;
	struct vmbus_channel *ch;
	struct vsc *vsc;
	struct guest_chan guest;
	struct vmbus_gpadl gpadl;
	void *buffer;
};

/**
 * struct operation - what allocations fail in
 * @name: of it
 * @prepare: once, undisturbed
 * @before: each time before @run, undisturbed; optional
 * @run: with a failure; 0 or -errno
 * @undo: what @run did, undisturbed; its result is passed
 * @certain: it has to succeed even so
 */
struct operation {
	const char *name;
	void (*prepare)(struct scene *scene);
	void (*before)(struct scene *scene);
	int (*run)(struct scene *scene);
	void (*undo)(struct scene *scene, int err);
	bool certain;
};

static void settle(struct scene *scene)
{
	sim_drain(scene->test);
	flush_workqueue(vmbus_bus.add_wq);
	flush_workqueue(vmbus_bus.chan_wq);
}

static void offer(struct sim_chan *chan)
{
	if (chan->released)
		sim_reoffer(chan);
	else
		sim_offer(chan);
}

static void take_back(struct scene *scene, struct sim_chan *chan)
{
	/* One that was refused has been given back already. */
	if (!sim_gone(chan))
		sim_rescind(chan);
	KUNIT_ASSERT_TRUE(scene->test, sim_wait(sim_gone(chan)));
}

/* ---- start and stop ---- */

static void no_preparation(struct scene *scene)
{
}

static int start(struct scene *scene)
{
	return sim_start(scene->test, SIM_USUAL);
}

static void undo_start(struct scene *scene, int err)
{
	sim_stop(scene->test);
}

static void start_and_open(struct scene *scene)
{
	if (!scene->chan)
		scene->chan = sim_add(scene->test, NULL, &sim_echo);
	sim_start_ok(scene->test, SIM_USUAL);
	guest_open(scene->test, &scene->guest, scene->chan);
}

static int stop(struct scene *scene)
{
	sim_stop(scene->test);
	return 0;
}

/* ---- devices ---- */

static void prepare_device(struct scene *scene)
{
	scene->chan = sim_add(scene->test, NULL, &sim_echo);
	sim_start_ok(scene->test, SIM_USUAL);
	scene->ch = sim_guest_channel(scene->test, scene->chan);
	scene->vsc = vsc_new(scene->test, "fault", NULL);
}

static int register_driver(struct scene *scene)
{
	return vsc_register(scene->vsc);
}

static void unregister_driver(struct scene *scene, int err)
{
	if (!err)
		vsc_unregister(scene->vsc);
	KUNIT_EXPECT_EQ(scene->test, atomic_read(&scene->vsc->bound), 0);
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 0);
}

static void prepare_offers(struct scene *scene)
{
	sim_start_ok(scene->test, SIM_USUAL);
	scene->vsc = vsc_add(scene->test, "fault", NULL);
	scene->chan = sim_new(scene->test, 0, NULL, &sim_echo);
	scene->chan->unwelcome = true;
}

static int take_offer(struct scene *scene)
{
	offer(scene->chan);
	settle(scene);
	return atomic_read(&scene->vsc->bound) ? 0 : -ENOMEM;
}

static void undo_offer(struct scene *scene, int err)
{
	take_back(scene, scene->chan);
	KUNIT_EXPECT_EQ(scene->test, atomic_read(&scene->vsc->bound), 0);
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 0);
}

static void offer_undisturbed(struct scene *scene)
{
	KUNIT_ASSERT_EQ(scene->test, take_offer(scene), 0);
}

static int take_rescind(struct scene *scene)
{
	take_back(scene, scene->chan);
	return 0;
}

static void prepare_subs(struct scene *scene)
{
	prepare_device(scene);
	KUNIT_ASSERT_EQ(scene->test, vsc_register(scene->vsc), 0);
	sim_lock();
	scene->sub = sim_new_sub_locked(scene->chan, 1, &sim_echo);
	sim_unlock();
	scene->sub->unwelcome = true;
}

static int take_sub(struct scene *scene)
{
	int subs = atomic_read(&scene->vsc->subs);

	offer(scene->sub);
	settle(scene);
	return atomic_read(&scene->vsc->subs) > subs ? 0 : -ENOMEM;
}

static void undo_sub(struct scene *scene, int err)
{
	take_back(scene, scene->sub);
}

#define DRIVER	"/sys/bus/vmbus/drivers/fault/"

static const char *unknown(void)
{
	static char text[UUID_STRING_LEN + 1];

	snprintf(text, sizeof(text), "%pUl", &sim_type_unknown);
	return text;
}

static void prepare_new_id(struct scene *scene)
{
	scene->chan = sim_add(scene->test, &sim_type_unknown, &sim_echo);
	sim_start_ok(scene->test, SIM_USUAL);
	scene->ch = sim_guest_channel(scene->test, scene->chan);
	scene->vsc = vsc_add(scene->test, "fault", NULL);
}

static int write_new_id(struct scene *scene)
{
	return file_write(DRIVER "new_id", unknown());
}

static void undo_new_id(struct scene *scene, int err)
{
	if (atomic_read(&scene->vsc->bound))
		KUNIT_EXPECT_EQ(scene->test,
				file_write(DRIVER "unbind",
					   dev_name(&scene->ch->device_obj->device)), 0);
	/* The id may be there although the probe failed. */
	file_write(DRIVER "remove_id", unknown());
	KUNIT_EXPECT_EQ(scene->test, atomic_read(&scene->vsc->bound), 0);
}

/* ---- channels ---- */

static void prepare_channel(struct scene *scene)
{
	prepare_device(scene);
	scene->ch->rqstor_size = 64;
	scene->buffer = kunit_kzalloc(scene->test, (BUFFER_PAGES + 1) * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(scene->test, scene->buffer);
	scene->buffer = PTR_ALIGN(scene->buffer, PAGE_SIZE);
}

static int open_it(struct scene *scene)
{
	return guest_open_size(scene->test, &scene->guest, scene->chan, GUEST_RING);
}

static void undo_open(struct scene *scene, int err)
{
	if (!err)
		vmbus_close(scene->ch);
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 0);
}

static void open_undisturbed(struct scene *scene)
{
	KUNIT_ASSERT_EQ(scene->test, open_it(scene), 0);
}

static int close_it(struct scene *scene)
{
	vmbus_close(scene->ch);
	return sim_gpadls() ? -EIO : 0;
}

static void prepare_steps(struct scene *scene)
{
	sim_needs_linear_rings(scene->test);
	prepare_channel(scene);
}

static int open_in_steps(struct scene *scene)
{
	int err = vmbus_alloc_ring(scene->ch, GUEST_RING, GUEST_RING);

	if (err)
		return err;
	err = vmbus_connect_ring(scene->ch, guest_callback, &scene->guest);
	if (err)
		vmbus_free_ring(scene->ch);
	return err;
}

static void undo_steps(struct scene *scene, int err)
{
	if (!err) {
		KUNIT_EXPECT_EQ(scene->test, vmbus_disconnect_ring(scene->ch), 0);
		vmbus_free_ring(scene->ch);
	}
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 0);
}

static int share_buffer(struct scene *scene)
{
	return vmbus_establish_gpadl(scene->ch, scene->buffer, BUFFER_PAGES * PAGE_SIZE,
				     &scene->gpadl);
}

static void undo_share(struct scene *scene, int err)
{
	if (!err)
		KUNIT_EXPECT_EQ(scene->test, vmbus_teardown_gpadl(scene->ch, &scene->gpadl), 0);
	KUNIT_EXPECT_FALSE(scene->test, scene->gpadl.decrypted);
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 0);
}

/* Before 5.3, where it takes a page. */
static void prepare_move(struct scene *scene)
{
	scene->chan = sim_add(scene->test, NULL, &sim_echo);
	scene->guest.reads = true;
	sim_start_ok(scene->test, SIM_V(5, 2));
	guest_open(scene->test, &scene->guest, scene->chan);
	scene->ch = scene->guest.ch;
}

static int move_it(struct scene *scene)
{
	return vmbus_channel_retarget(to_vmbus_chan(scene->ch), 1);
}

static void undo_move(struct scene *scene, int err)
{
	KUNIT_EXPECT_EQ(scene->test, scene->ch->target_cpu, err ? 0 : 1);
	if (err)
		return;
	KUNIT_EXPECT_EQ(scene->test, vmbus_channel_retarget(to_vmbus_chan(scene->ch), 0), 0);
	/* The ring's alone. */
	KUNIT_EXPECT_EQ(scene->test, sim_gpadls(), 1);
}

static void nothing_to_undo(struct scene *scene, int err)
{
}

static const struct operation operations[] = {
	{ "start", no_preparation, NULL, start, undo_start },
	{ "stop", no_preparation, start_and_open, stop, nothing_to_undo, true },
	{ "driver", prepare_device, NULL, register_driver, unregister_driver },
	{ "new_id", prepare_new_id, NULL, write_new_id, undo_new_id },
	{ "offer", prepare_offers, NULL, take_offer, undo_offer },
	{ "sub-channel", prepare_subs, NULL, take_sub, undo_sub },
	{ "rescind", prepare_offers, offer_undisturbed, take_rescind, nothing_to_undo, true },
	{ "open", prepare_channel, NULL, open_it, undo_open },
	{ "open in steps", prepare_steps, NULL, open_in_steps, undo_steps },
	{ "close", prepare_channel, open_undisturbed, close_it, nothing_to_undo, true },
	{ "gpadl", prepare_channel, NULL, share_buffer, undo_share },
	{ "move", prepare_move, NULL, move_it, undo_move },
};

static void operation_name(const struct operation *operation, char *desc)
{
	strscpy(desc, operation->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(operation, operations, operation_name);

static struct scene *new_scene(struct kunit *test)
{
	struct scene *scene = kunit_kzalloc(test, sizeof(*scene), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, scene);
	scene->test = test;
	return scene;
}

static void any_allocation_may_fail(struct kunit *test)
{
	const struct operation *operation = test->param_value;
	struct scene *scene = new_scene(test);
	unsigned int n, failed = 0;
	bool fired = true;
	int err;

	operation->prepare(scene);
	for (n = 1; fired && n < MOST_FAULTS; n++) {
		if (operation->before)
			operation->before(scene);
		fault_arm(n);
		err = operation->run(scene);
		fired = fault_disarm();
		failed += !!err;
		KUNIT_EXPECT_TRUE_MSG(test, err <= 0 && err >= -MAX_ERRNO, "%d", err);
		if (!fired || operation->certain)
			KUNIT_EXPECT_EQ_MSG(test, err, 0, "allocation %u in %pS", n, fault_where());
		operation->undo(scene, err);
		/* One of four: the next round shows it too, until its own failure. */
		if (!err || sim_random(4))
			continue;
		if (operation->before)
			operation->before(scene);
		err = operation->run(scene);
		KUNIT_EXPECT_EQ_MSG(test, err, 0, "after allocation %u in %pS", n, fault_where());
		operation->undo(scene, err);
	}
	KUNIT_EXPECT_LT(test, n, MOST_FAULTS);
	kunit_info(test, "%u of %u failures were noticed", failed, n - 2);
}

/* The memory to keep what the host still uses in mind: it is leaked, not freed. */
static void parking_without_memory(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_GPADL_TEARDOWN, .action = SIM_HOLD };
	struct scene *scene = new_scene(test);
	bool fired;

	prepare_channel(scene);
	open_undisturbed(scene);
	sim_rule(&rule);
	vmbus_deadlines.request = 200;
	fault_arm(1);
	vmbus_close(scene->ch);
	fired = fault_disarm();
	KUNIT_EXPECT_TRUE(test, fired);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_GPADL_TEARDOWN)));
	sim_clear_rules();
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	/* Fails if the pages were freed. */
	KUNIT_EXPECT_EQ(test, sim_release_held(), 1);
	sim_drain(test);
	open_undisturbed(scene);
}

/* What the callers of these are told, whose own callers may make another errno of it. */
static void setup_without_memory(struct kunit *test)
{
	struct hv_ring_buffer_info info = { };
	struct vmbus_ring ring = { };
	struct page *pages[2] = { };
	int err;

	fault_arm(1);
	err = vmbus_channels_init(NULL);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);

	vmbus_ring_setup(&ring, &info);
	KUNIT_EXPECT_EQ(test, vmbus_ring_map(&ring, pages, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_ring_map(&ring, pages, 1, 0), -EINVAL);
	fault_arm(1);
	err = vmbus_ring_map(&ring, pages, ARRAY_SIZE(pages), 0);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
}

/* By their functions: the way through a file allocates, too. */
static void stores_without_memory(struct kunit *test)
{
	struct attribute **attrs = vmbus_dev_groups[0]->attrs;
	struct scene *scene = new_scene(test);
	struct device_attribute *override;
	struct driver_attribute *new_id;
	int err;

	prepare_new_id(scene);
	new_id = container_of(vmbus_drv_groups[0]->attrs[0], struct driver_attribute, attr);
	KUNIT_ASSERT_STREQ(test, new_id->attr.name, "new_id");
	fault_arm(1);
	err = new_id->store(&scene->vsc->drv.driver, unknown(), UUID_STRING_LEN);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, atomic_read(&scene->vsc->bound), 0);
	KUNIT_EXPECT_EQ(test, write_new_id(scene), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&scene->vsc->bound), 1);

	while (*attrs && strcmp((*attrs)->name, "driver_override"))
		attrs++;
	/* The device core's, since 6.12.100. */
	if (!*attrs)
		return;
	override = container_of(*attrs, struct device_attribute, attr);
	fault_arm(1);
	err = override->store(&scene->ch->device_obj->device, override, "fault", 5);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
}

/* ---- visibility ---- */

/* Pages whose making private failed stay visible and are never used again. */
static void visibility_fails_at_start(struct kunit *test)
{
	unsigned int n;

	sim_use_visibility(true);
	sim_share_all();
	for (n = 1; n <= CONN_PAGES; n++) {
		sim_fail_visible(n, true);
		KUNIT_EXPECT_EQ(test, sim_start(test, SIM_USUAL), -ENOMEM);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), 0);
	}
	for (n = 1; n <= CONN_PAGES; n++) {
		sim_start_ok(test, SIM_USUAL);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + n - 1);
		sim_fail_visible(n, false);
		sim_stop(test);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), n);
	}
}

static void visibility_fails_at_open(struct kunit *test)
{
	const unsigned int pages = 2 * GUEST_RING / PAGE_SIZE;
	struct scene *scene = new_scene(test);
	unsigned int n;

	sim_use_visibility(true);
	sim_share_all();
	prepare_channel(scene);
	for (n = 1; n <= pages; n++) {
		sim_fail_visible(n, true);
		KUNIT_EXPECT_EQ(test, open_it(scene), -ENOMEM);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES);
		KUNIT_EXPECT_EQ(test, open_it(scene), 0);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + pages);
		vmbus_close(scene->ch);
	}
	for (n = 1; n <= pages; n++) {
		KUNIT_EXPECT_EQ(test, open_it(scene), 0);
		sim_fail_visible(n, false);
		vmbus_close(scene->ch);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + n);
	}
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), pages);
}

static void visibility_fails_at_sharing(struct kunit *test)
{
	struct scene *scene = new_scene(test);

	sim_use_visibility(true);
	sim_share_all();
	prepare_channel(scene);
	/* Whether it is visible is not known, so it must not be freed. */
	sim_fail_visible(1, true);
	KUNIT_EXPECT_EQ(test, share_buffer(scene), -EIO);
	KUNIT_EXPECT_TRUE(test, scene->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_EQ(test, share_buffer(scene), 0);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + BUFFER_PAGES);
	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(scene->ch, &scene->gpadl), -EIO);
	KUNIT_EXPECT_TRUE(test, scene->gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), BUFFER_PAGES);
}

static void visibility_fails_at_a_move(struct kunit *test)
{
	const unsigned int ring = 2 * GUEST_RING / PAGE_SIZE;
	struct scene *scene = new_scene(test);

	sim_use_visibility(true);
	sim_share_all();
	prepare_move(scene);
	sim_fail_visible(1, true);
	KUNIT_EXPECT_EQ(test, move_it(scene), -EIO);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	KUNIT_EXPECT_EQ(test, move_it(scene), 0);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + ring);
	/* It has moved; the page is lost. */
	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_channel_retarget(to_vmbus_chan(scene->ch), 2), 0);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), CONN_PAGES + ring + 1);
	KUNIT_EXPECT_TRUE(test, guest_echoes(&scene->guest));
}

static struct kunit_case fault_cases[] = {
	KUNIT_CASE_PARAM(any_allocation_may_fail, operation_gen_params),
	KUNIT_CASE(parking_without_memory),
	KUNIT_CASE(setup_without_memory),
	KUNIT_CASE(stores_without_memory),
	KUNIT_CASE(visibility_fails_at_start),
	KUNIT_CASE(visibility_fails_at_open),
	KUNIT_CASE(visibility_fails_at_sharing),
	KUNIT_CASE(visibility_fails_at_a_move),
	{}
};

struct kunit_suite fault_suite = {
	.name = "hv_vmbus_fault",
	.init = fault_suite_init,
	.exit = fault_suite_exit,
	.test_cases = fault_cases,
};
