// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_offer: offers become channels and devices, or are refused.
 */
#include "guest.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

static struct vmbus_channel *channel_of(struct sim_chan *chan)
{
	struct vmbus_chan *found;

	rcu_read_lock();
	found = vmbus_relid_lookup(chan->relid);
	rcu_read_unlock();
	return found ? &found->ch : NULL;
}

/* ---- order ---- */

struct seen {
	guid_t instance[8];
	unsigned int nr;
};

static int see(struct device *dev, void *data)
{
	struct seen *seen = data;

	if (seen->nr < ARRAY_SIZE(seen->instance))
		seen->instance[seen->nr] = device_to_hv_device(dev)->dev_instance;
	seen->nr++;
	return 0;
}

static void devices_in_order_of_offers(struct kunit *test)
{
	static const u32 relids[] = { 9, 3, 77, 4, 1, 2000 };
	struct sim_chan *chans[ARRAY_SIZE(relids)];
	struct seen seen = {};
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(relids); i++)
		chans[i] = sim_add_relid(test, relids[i], i % 2 ? &sim_type_perf : NULL, NULL);
	for (i = 0; i < ARRAY_SIZE(relids); i++)
		sim_guest_channel(test, chans[i]);
	bus_for_each_dev(&vmbus_bus_type, NULL, &seen, see);
	KUNIT_ASSERT_EQ(test, seen.nr, ARRAY_SIZE(relids));
	for (i = 0; i < ARRAY_SIZE(relids); i++)
		KUNIT_EXPECT_TRUE_MSG(test, guid_equal(&seen.instance[i], &chans[i]->instance),
				      "device %u", i);
}

static void start_waits_for_devices(struct kunit *test)
{
	struct sim_chan *chans[20];
	struct vmbus_channel *ch;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, NULL, NULL);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(chans); i++) {
		ch = channel_of(chans[i]);
		KUNIT_ASSERT_NOT_NULL(test, ch);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(ch->probe_done));
		KUNIT_EXPECT_NOT_NULL(test, ch->device_obj);
	}
}

static void hot_add_is_probed(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan;
	struct vsc *vsc;

	sim_start_ok(test, version->version);
	vsc = vsc_add(test, "late", NULL);
	chan = sim_add(test, NULL, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	KUNIT_EXPECT_TRUE(test, chan->open);
	vsc_unregister(vsc);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	KUNIT_EXPECT_EQ(test, chan->opens, 1);
	KUNIT_EXPECT_TRUE(test, sim_wait(chan->closes == 1));
}

/* ---- what is refused ---- */

static void refuses_second_of_an_instance(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *again = sim_new(test, 0, NULL, &sim_echo);

	KUNIT_ASSERT_NOT_NULL(test, guest);
	again->instance = chan->instance;
	again->unwelcome = true;
	sim_start_ok(test, SIM_USUAL);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(again)));
	KUNIT_EXPECT_EQ(test, again->releases, 1);

	/* The first is none the worse, and makes room when it goes. */
	guest_open(test, guest, chan);
	vmbus_close(guest->ch);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan) && sim_gone(again)));
	again->unwelcome = false;
	sim_reoffer(again);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, again)->device_obj);
	KUNIT_EXPECT_EQ(test, again->releases, 1);
	KUNIT_EXPECT_EQ(test, chan->releases, 1);
}

static void relid_in_use_is_not_given_back(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_msg_offer offer;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	sim_start_ok(test, SIM_USUAL);
	guest_open(test, guest, chan);
	/* The same offer, another device, a sub-channel of the same, a bad monitor id. */
	sim_send_offer(chan);
	sim_make_offer(chan, &offer);
	offer.instance[3] ^= 1;
	sim_send(&offer, sizeof(offer));
	sim_make_offer(chan, &offer);
	offer.sub_channel = 1;
	sim_send(&offer, sizeof(offer));
	sim_make_offer(chan, &offer);
	offer.monitor_allocated = 1;
	offer.monitor_id = 128;
	sim_send(&offer, sizeof(offer));
	sim_drain(test);
	flush_workqueue(vmbus_bus.chan_wq);
	KUNIT_EXPECT_EQ(test, vmbus_relid_map(to_vmbus_chan(guest->ch)), -EEXIST);
	KUNIT_EXPECT_PTR_EQ(test, channel_of(chan), guest->ch);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	guest->reads = true;
	KUNIT_EXPECT_EQ(test, guest_send(guest, "12345678", 8, 1), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received)));
}

static void refuses_bad_relids(struct kunit *test)
{
	static const u32 relids[] = { 0, 2048, 2049, 4096, 16384, 0x10001, U32_MAX };
	struct sim_chan *chan = sim_new(test, 2047, NULL, &sim_echo);
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_msg_offer offer;
	struct seen seen = {};
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	sim_start_ok(test, SIM_USUAL);
	vmbus_close(sim_guest_channel(test, chan));
	for (i = 0; i < ARRAY_SIZE(relids); i++) {
		sim_make_offer(chan, &offer);
		offer.instance[1] ^= i + 1;
		offer.relid = relids[i];
		sim_send(&offer, sizeof(offer));
		sim_send_relid(SIM_RESCIND, relids[i]);
	}
	sim_drain(test);
	flush_workqueue(vmbus_bus.add_wq);
	flush_workqueue(vmbus_bus.chan_wq);
	bus_for_each_dev(&vmbus_bus_type, NULL, &seen, see);
	KUNIT_EXPECT_EQ(test, seen.nr, 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);

	/* The highest relid works, interrupts too. */
	guest->reads = true;
	guest_open(test, guest, chan);
	KUNIT_EXPECT_EQ(test, guest_send(guest, "12345678", 8, 1), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received)));
}

static void gives_back_what_has_a_bad_monitor_id(struct kunit *test)
{
	static const u8 ids[] = { 128, 200, 255 };
	struct sim_chan *chan;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		chan = sim_new(test, 0, NULL, NULL);
		chan->monitored = true;
		chan->monitor_id = ids[i];
		chan->unwelcome = true;
		sim_offer(chan);
		KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
		KUNIT_EXPECT_PTR_EQ(test, channel_of(chan), NULL);
		/* Nothing of it is in the way of a good one. */
		chan->monitor_id = 127;
		chan->unwelcome = false;
		sim_reoffer(chan);
		sim_guest_channel(test, chan);
		KUNIT_EXPECT_EQ(test, chan->releases, 1);
	}
}

static void refuses_subs_without_a_primary(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL), *sub[3];
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->hold_remove = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	sim_lock();
	for (i = 0; i < ARRAY_SIZE(sub); i++) {
		sub[i] = sim_new_sub_locked(chan, 1, NULL);
		sub[i]->unwelcome = true;
	}
	sim_unlock();
	/* Of no device; of one that has another type; of one that is going. */
	sub[0]->instance.b[3] ^= 1;
	sub[1]->type = sim_type_perf;
	sim_offer(sub[0]);
	sim_offer(sub[1]);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub[0]) && sim_gone(sub[1])));
	sim_lock();
	sim_rescind_alone_locked(chan);
	sim_offer_locked(sub[2]);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub[2])));
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	vsc_let_go(vsc);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 4);
}

/* ---- kinds ---- */

static void unknown_types_are_devices(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_unknown, NULL);
	struct vmbus_channel *ch;
	struct vsc *vsc;

	sim_needs_ordinary(test, "an isolation VM takes no unknown types");
	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_ASSERT_NOT_NULL(test, ch->device_obj);
	KUNIT_EXPECT_EQ(test, ch->device_id, HV_UNKNOWN);
	KUNIT_EXPECT_EQ(test, ch->device_obj->device_id, HV_UNKNOWN);
	KUNIT_EXPECT_EQ(test, ch->target_cpu, 0);
	vsc = vsc_add(test, "exotic", &sim_type_unknown);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->bound), 1);
}

static void sockets_are_for_their_driver(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 0, NULL, NULL);
	struct vsc *plain, *socket;
	struct vmbus_channel *ch;

	chan->flags = SIM_OFFER_HVSOCK;
	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_EQ(test, ch->device_id, HV_UNKNOWN);
	plain = vsc_add(test, "plain", NULL);
	/* hv_sock has no ids. */
	socket = vsc_new(test, "socket", NULL);
	memset(socket->ids, 0, sizeof(socket->ids));
	socket->drv.hvsock = true;
	KUNIT_ASSERT_EQ(test, vsc_register(socket), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&plain->probes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&socket->bound), 1);
	/* And no device is for it. */
	sim_add(test, NULL, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&plain->bound) == 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&socket->probes), 1);
}

/* ---- CPUs ---- */

static void perf_devices_spread(struct kunit *test)
{
	unsigned int per_cpu[4] = {}, i, cpu;
	struct sim_chan *chans[8], *plain;

	KUNIT_ASSERT_EQ(test, num_online_cpus(), ARRAY_SIZE(per_cpu));
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, &sim_type_perf, NULL);
	plain = sim_add(test, NULL, NULL);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		per_cpu[sim_guest_channel(test, chans[i])->target_cpu]++;
	for (cpu = 0; cpu < ARRAY_SIZE(per_cpu); cpu++)
		KUNIT_EXPECT_EQ_MSG(test, per_cpu[cpu], ARRAY_SIZE(chans) / 4, "CPU %u", cpu);
	KUNIT_EXPECT_EQ(test, sim_guest_channel(test, plain)->target_cpu, 0);

	/* What goes makes room: the next goes where there is least. */
	cpu = sim_guest_channel(test, chans[5])->target_cpu;
	sim_rescind(chans[5]);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chans[5])));
	sim_reoffer(chans[5]);
	KUNIT_EXPECT_EQ(test, sim_guest_channel(test, chans[5])->target_cpu, cpu);
}

static void channels_of_a_device_spread(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, NULL);
	unsigned long used = 0;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	__set_bit(sim_guest_channel(test, chan)->target_cpu, &used);
	for (i = 1; i < 4; i++)
		__set_bit(sim_guest_channel(test, sim_add_sub(test, chan, i, NULL))->target_cpu,
			  &used);
	KUNIT_EXPECT_EQ(test, used, 0xf);
}

/* ---- many ---- */

#define MANY		(SIM_RELIDS - 1)
#define PER_DEVICE	8

/* A channel for each relid there is; then all are removed. */
static void all_relids_at_once(struct kunit *test)
{
	const guid_t *types[] = { NULL, &sim_type_perf, &sim_type_unknown };
	struct sim_chan *primary = NULL;
	unsigned int i, added = 0;
	struct vmbus_channel *ch;
	struct seen seen = {};

	for (i = 0; i < MANY; i++) {
		if (i % PER_DEVICE)
			sim_add_sub(test, primary, i % PER_DEVICE, NULL);
		else
			primary = sim_add(test, types[i / PER_DEVICE % ARRAY_SIZE(types)], NULL);
	}
	vmbus_deadlines.offers = 60 * MSEC_PER_SEC;
	sim_start_ok(test, SIM_USUAL);
	bus_for_each_dev(&vmbus_bus_type, NULL, &seen, see);
	KUNIT_EXPECT_EQ(test, seen.nr, DIV_ROUND_UP(MANY, PER_DEVICE));
	flush_workqueue(vmbus_bus.chan_wq);
	sim_lock();
	for (i = 1; i <= MANY; i++) {
		ch = channel_of(sim_chan_locked(i));
		added += ch && ch->probe_done && to_vmbus_chan(ch)->kobj_added;
	}
	sim_unlock();
	KUNIT_EXPECT_EQ(test, added, MANY);
	sim_stop(test);
}

static struct kunit_case offer_cases[] = {
	KUNIT_CASE(devices_in_order_of_offers),
	KUNIT_CASE(start_waits_for_devices),
	KUNIT_CASE_PARAM(hot_add_is_probed, sim_versions_gen_params),
	KUNIT_CASE(refuses_second_of_an_instance),
	KUNIT_CASE(relid_in_use_is_not_given_back),
	KUNIT_CASE(refuses_bad_relids),
	KUNIT_CASE(gives_back_what_has_a_bad_monitor_id),
	KUNIT_CASE(refuses_subs_without_a_primary),
	KUNIT_CASE(unknown_types_are_devices),
	KUNIT_CASE(sockets_are_for_their_driver),
	KUNIT_CASE(perf_devices_spread),
	KUNIT_CASE(channels_of_a_device_spread),
	KUNIT_CASE(all_relids_at_once),
	{}
};

struct kunit_suite offer_suite = {
	.name = "hv_vmbus_offer",
	.init = vsc_init,
	.exit = vsc_exit,
	.test_cases = offer_cases,
};
