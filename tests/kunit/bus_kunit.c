// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_bus: devices and their drivers.
 */
#include <linux/kthread.h>

#include "files.h"
#include "guest.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define DRIVERS	"/sys/bus/vmbus/drivers/"

static const char *driver_of(struct vmbus_channel *channel)
{
	struct device_driver *driver = channel->device_obj->device.driver;

	return driver ? driver->name : "none";
}

static void guid_text(char *text, const guid_t *guid)
{
	snprintf(text, UUID_STRING_LEN + 1, "%pUl", guid);
}

/* ---- matching ---- */

static void drivers_get_their_types(struct kunit *test)
{
	struct sim_chan *first = sim_add(test, NULL, NULL), *second;
	struct sim_chan *perf = sim_add(test, &sim_type_perf, NULL);
	struct sim_chan *unknown = sim_add(test, &sim_type_unknown, NULL);
	struct vsc *plain, *storage;

	sim_start_ok(test, SIM_USUAL);
	plain = vsc_add(test, "plain", NULL);
	storage = vsc_new(test, "storage", NULL);
	storage->ids[0].guid = sim_type_perf;
	storage->ids[1].guid = sim_type_plain;
	KUNIT_ASSERT_EQ(test, vsc_register(storage), 0);
	second = sim_add(test, NULL, NULL);
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, first)), "plain");
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, second)), "plain");
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, perf)), "storage");
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, unknown)), "none");
	KUNIT_EXPECT_TRUE(test, guid_equal(&storage->last_id.guid, &sim_type_perf));
	KUNIT_EXPECT_EQ(test, atomic_read(&plain->probes), 2);
	/* What one leaves, the other does not get by itself. */
	vsc_unregister(plain);
	KUNIT_EXPECT_EQ(test, atomic_read(&plain->removes), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&storage->probes), 1);
	KUNIT_EXPECT_EQ(test, vsc_register(plain), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&plain->bound), 2);
}

static void no_bus_no_driver(struct kunit *test)
{
	struct vsc *vsc = vsc_new(test, "early", NULL);

	KUNIT_EXPECT_EQ(test, vsc_register(vsc), -ENODEV);
	sim_start_ok(test, SIM_USUAL);
	KUNIT_EXPECT_EQ(test, vsc_register(vsc), 0);
	vsc_unregister(vsc);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, vsc_register(vsc), -ENODEV);
}

static void driver_without_probe(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct vsc *vsc = vsc_new(test, "lazy", NULL), *other;

	sim_start_ok(test, SIM_USUAL);
	vsc->drv.probe = NULL;
	vsc->drv.remove = NULL;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, chan)), "none");
	other = vsc_add(test, "other", NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&other->bound), 1);
}

static void driver_without_remove(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct vsc *vsc = vsc_new(test, "careless", NULL);

	sim_start_ok(test, SIM_USUAL);
	vsc->drv.remove = NULL;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_TRUE(test, chan->open);
	vsc_unregister(vsc);
	/* The bus closes what its driver forgot. */
	KUNIT_EXPECT_TRUE(test, sim_wait(chan->closes == 1));
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_PTR_EQ(test, sim_guest_channel(test, chan)->sc_creation_callback, NULL);
}

static void failing_probe_is_cleaned_up(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	bool closes = *(const bool *)test->param_value;
	struct vmbus_channel *ch;
	struct vsc *bad, *good;

	sim_start_ok(test, SIM_USUAL);
	bad = vsc_new(test, "bad", NULL);
	bad->probe_error = -EIO;
	bad->leaves_open = !closes;
	KUNIT_ASSERT_EQ(test, vsc_register(bad), 0);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&bad->probes), 1);
	KUNIT_EXPECT_STREQ(test, driver_of(ch), "none");
	KUNIT_EXPECT_TRUE(test, sim_wait(chan->closes == 1));
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	KUNIT_EXPECT_PTR_EQ(test, ch->sc_creation_callback, NULL);
	/* A sub-channel that comes now is nobody's. */
	sim_guest_channel(test, sim_add_sub(test, chan, 1, NULL));
	KUNIT_EXPECT_EQ(test, atomic_read(&bad->subs), 0);
	good = vsc_add(test, "good", NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&good->bound), 1);
	KUNIT_EXPECT_EQ(test, chan->opens, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&bad->removes), 0);
}

static const bool closes_values[] = { true, false };

static void closes_name(const bool *closes, char *desc)
{
	strscpy(desc, *closes ? "probe closes it" : "probe leaves it open",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(closes, closes_values, closes_name);

static void unregister_with_devices(struct kunit *test)
{
	struct sim_chan *chans[10], *sub;
	struct vsc *vsc;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, NULL, NULL);
	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "many", NULL);
	vsc->open_subs = true;
	vsc->leaves_open = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->bound), ARRAY_SIZE(chans));
	sub = sim_add_sub(test, chans[3], 1, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->subs) == 1));
	KUNIT_EXPECT_TRUE(test, sub->open);
	vsc_unregister(vsc);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), ARRAY_SIZE(chans));
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		KUNIT_EXPECT_TRUE(test, sim_wait(chans[i]->closes == 1));
	KUNIT_EXPECT_EQ(test, sub->closes, 1);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
}

/* ---- ids that users add ---- */

static void new_id_and_remove_id(struct kunit *test)
{
	static const char * const bad[] = {
		"x", "12345678", "12345678-1234-5678-1234-56789abcdeg0",
	};
	struct sim_chan *chan = sim_add(test, &sim_type_unknown, NULL), *next;
	char guid[UUID_STRING_LEN + 1];
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_add(test, "plain", NULL);
	guid_text(guid, &sim_type_unknown);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/new_id", bad[i]), -EINVAL);
		KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/remove_id", bad[i]), -EINVAL);
	}
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/remove_id", guid), -ENODEV);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/new_id", guid), 0);
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, chan)), "plain");
	KUNIT_EXPECT_TRUE(test, guid_equal(&vsc->last_id.guid, &sim_type_unknown));
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/new_id", guid), -EEXIST);
	/* What is bound stays bound, what comes later is not. */
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/remove_id", guid), 0);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/remove_id", guid), -ENODEV);
	next = sim_add(test, &sim_type_unknown, NULL);
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, chan)), "plain");
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, next)), "none");
	/* Left behind: freed with the driver. */
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/new_id", guid), 0);
	KUNIT_EXPECT_STREQ(test, driver_of(sim_guest_channel(test, next)), "plain");
}

/* The driver gets and loses an id, until told to stop. */
static int change_ids(void *arg)
{
	char guid[UUID_STRING_LEN + 1];
	unsigned int *changes = arg;

	guid_text(guid, &sim_type_unknown);
	while (!kthread_should_stop()) {
		if (!file_write(DRIVERS "plain/new_id", guid))
			WRITE_ONCE(*changes, *changes + 1);
		if (sim_random(2))
			usleep_range(100, 2000);
		file_write(DRIVERS "plain/remove_id", guid);
		if (sim_random(2))
			usleep_range(100, 2000);
	}
	return 0;
}

static void ids_change_while_devices_come(struct kunit *test)
{
	unsigned int *changes = kunit_kzalloc(test, sizeof(*changes), GFP_KERNEL);
	struct sim_chan *chan = sim_add(test, &sim_type_unknown, NULL);
	struct task_struct *task;
	unsigned int i;
	struct vsc *vsc;
	bool gone;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_add(test, "plain", NULL);
	task = kthread_run(change_ids, changes, "sim_ids");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	gone = sim_wait(READ_ONCE(*changes));
	for (i = 0; gone && i < 30; i++) {
		sim_rescind(chan);
		gone = sim_wait(sim_gone(chan));
		if (gone)
			sim_reoffer(chan);
		usleep_range(100, 100 * (2 + sim_random(100)));
	}
	kthread_stop(task);
	KUNIT_EXPECT_TRUE(test, gone);
	KUNIT_EXPECT_GT(test, *changes, 0);
	vsc_unregister(vsc);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->bound), 0);
}

static void override_chooses_the_driver(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_unknown, NULL);
	struct sim_chan *plain = sim_add(test, NULL, NULL);
	char text[80], *large = kunit_kzalloc(test, PAGE_SIZE + 1, GFP_KERNEL);
	struct vmbus_channel *ch;
	struct vsc *one, *two;

	KUNIT_ASSERT_NOT_NULL(test, large);
	memset(large, 'x', PAGE_SIZE);
	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_GT(test, device_read(ch, "driver_override", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "(null)");
	KUNIT_EXPECT_EQ(test, device_write(ch, "driver_override", large), -EINVAL);
	KUNIT_EXPECT_EQ(test, device_write(ch, "driver_override", "two\n"), 0);
	KUNIT_EXPECT_EQ(test, device_write(sim_guest_channel(test, plain), "driver_override",
					   "two"), 0);
	KUNIT_EXPECT_GT(test, device_read(ch, "driver_override", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "two");
	/* The one has an id and must not, the other has none and may. */
	one = vsc_new(test, "one", NULL);
	one->ids[1].guid = sim_type_unknown;
	KUNIT_ASSERT_EQ(test, vsc_register(one), 0);
	two = vsc_add(test, "two", &sim_type_perf);
	KUNIT_EXPECT_EQ(test, atomic_read(&one->probes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&two->bound), 2);
	KUNIT_EXPECT_TRUE(test, guid_is_null(&two->last_id.guid));
	/* Unset, it is matched by ids again. */
	KUNIT_EXPECT_EQ(test, device_write(ch, "driver_override", "\n"), 0);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "two/unbind",
					 dev_name(&ch->device_obj->device)), 0);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "two/bind",
					 dev_name(&ch->device_obj->device)), -ENODEV);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "one/bind",
					 dev_name(&ch->device_obj->device)), 0);
	KUNIT_EXPECT_STREQ(test, driver_of(ch), "one");
}

static void unbinds_and_binds(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	const char *name;
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_add(test, "plain", NULL);
	name = dev_name(&sim_guest_channel(test, chan)->device_obj->device);
	for (i = 1; i <= 10; i++) {
		KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/unbind", name), 0);
		KUNIT_EXPECT_TRUE(test, sim_wait(chan->closes == i));
		KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
		KUNIT_EXPECT_EQ(test, file_write(DRIVERS "plain/bind", name), 0);
		KUNIT_EXPECT_EQ(test, chan->opens, i + 1);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 10);
}

static struct kunit_case bus_cases[] = {
	KUNIT_CASE(drivers_get_their_types),
	KUNIT_CASE(no_bus_no_driver),
	KUNIT_CASE(driver_without_probe),
	KUNIT_CASE(driver_without_remove),
	KUNIT_CASE_PARAM(failing_probe_is_cleaned_up, closes_gen_params),
	KUNIT_CASE(unregister_with_devices),
	KUNIT_CASE(new_id_and_remove_id),
	KUNIT_CASE(ids_change_while_devices_come),
	KUNIT_CASE(override_chooses_the_driver),
	KUNIT_CASE(unbinds_and_binds),
	{}
};

struct kunit_suite bus_suite = {
	.name = "hv_vmbus_bus",
	.init = vsc_init,
	.exit = vsc_exit,
	.test_cases = bus_cases,
};
