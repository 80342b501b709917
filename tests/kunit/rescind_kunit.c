// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_rescind: the host takes channels back, at every moment, and gets each
 * relid back once. Sub-channels as drivers see them. Drivers with a rescind
 * callback; those of sockets are in hv_vmbus_hvsock.
 */
#include <linux/ioport.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#include "guest.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_mmio.h"
#include "../../include/vmbus_private.h"

static void settle(struct kunit *test)
{
	sim_drain(test);
	flush_workqueue(vmbus_bus.add_wq);
	flush_workqueue(vmbus_bus.chan_wq);
}

static void expect_gone(struct kunit *test, struct sim_chan *chan)
{
	KUNIT_ASSERT_TRUE_MSG(test, sim_wait(sim_gone(chan)), "relid %u", chan->relid);
	KUNIT_EXPECT_EQ_MSG(test, chan->releases, 1, "relid %u", chan->relid);
}

/* ---- primary channels ---- */

static void unknown_relids_change_nothing(struct kunit *test)
{
	static const u32 relids[] = { 0, 5, 2047, 2048, 0x10001, U32_MAX };
	struct sim_chan *chan = sim_add_relid(test, 1, NULL, NULL);
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(relids); i++)
		sim_send_relid(SIM_RESCIND, relids[i]);
	settle(test);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, chan)->device_obj);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
}

static void second_rescind_changes_nothing(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->hold_remove = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	/* Again at once, while it is being removed, and when it is gone. */
	sim_rescind(chan);
	sim_send_relid(SIM_RESCIND, chan->relid);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	sim_send_relid(SIM_RESCIND, chan->relid);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	vsc_let_go(vsc);
	expect_gone(test, chan);
	sim_send_relid(SIM_RESCIND, chan->relid);
	settle(test);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
}

static void rescinded_and_offered_again_and_again(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, version->version);
	vsc = vsc_add(test, "bound", NULL);
	for (i = 1; i <= 5; i++) {
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
		sim_rescind(chan);
		KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
		KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), i);
		KUNIT_EXPECT_EQ(test, chan->releases, i);
		sim_reoffer(chan);
	}
}

/* Rescinds follow offers without a pause: the device may or may not have been there. */
static void rescind_overtakes_the_device(struct kunit *test)
{
	struct sim_chan *chans[30];
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	vsc_add(test, "bound", NULL);
	for (i = 0; i < ARRAY_SIZE(chans); i++) {
		/* Relids of their own: one that is free again would be another channel. */
		chans[i] = sim_add_relid(test, i + 1, i % 3 ? NULL : &sim_type_perf, NULL);
		if (sim_random(2))
			sim_rescind(chans[i]);
	}
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		sim_rescind(chans[i]);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		expect_gone(test, chans[i]);
}

static int open_fails(struct vsc *vsc, struct hv_device *dev)
{
	int err = vmbus_open(dev->channel, VSC_RING, VSC_RING, NULL, 0, guest_callback, vsc);

	return err == -ENODEV ? 0 : err ?: -EBADE;
}

static void rescind_during_probe(struct kunit *test)
{
	struct sim_chan *chan, *other;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->opens = false;
	vsc->hold_probe = true;
	vsc->in_probe = open_fails;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	other = sim_add(test, &sim_type_perf, NULL);
	sim_guest_channel(test, other);
	chan = sim_add(test, NULL, NULL);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	sim_rescind(chan);
	/* Others are not kept waiting. */
	sim_rescind(other);
	expect_gone(test, other);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	vsc_let_go(vsc);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
}

static void expect_removed(struct sim_chan *chan, void *arg)
{
	struct vsc *vsc = arg;

	if (atomic_read(&vsc->removes) != 1)
		vsc->last_error = -EBADE;
}

static void open_channel_is_removed_then_released(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_rule rule = { .type = SIM_RELID_RELEASED, .hook = expect_removed };
	bool closes = *(const bool *)test->param_value;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "bound", NULL);
	vsc->leaves_open = !closes;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	rule.arg = vsc;
	sim_rule(&rule);
	KUNIT_EXPECT_TRUE(test, chan->open);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, vsc->last_error, 0);
	sim_clear_rules();
	/* Nobody asks a host that has taken a channel back. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	sim_reoffer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1 && chan->open));
}

static const bool closes_values[] = { true, false };

static void closes_name(const bool *closes, char *desc)
{
	strscpy(desc, *closes ? "remove closes it" : "remove leaves it open",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(closes, closes_values, closes_name);

/* Hosts wait for RELID_RELEASED; this one does not. */
static void device_offered_before_it_is_released(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct sim_chan *next = sim_new(test, 0, NULL, NULL);
	struct vsc *vsc;

	next->instance = chan->instance;
	next->unwelcome = true;
	sim_lock();
	next->offered = true;		/* not yet */
	sim_unlock();
	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->hold_remove = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	sim_send_offer(next);
	expect_gone(test, next);
	/* Under the same relid, too. */
	sim_send_offer(chan);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	vsc_let_go(vsc);
	expect_gone(test, chan);
	next->unwelcome = false;
	sim_reoffer(next);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
}

/* ---- sub-channels ---- */

static void subs_before_the_callback_are_silent(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct sim_chan *early = sim_add_sub(test, chan, 1, NULL), *late;
	struct vmbus_channel *ch;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, early);
	KUNIT_EXPECT_PTR_EQ(test, ch->primary_channel, sim_guest_channel(test, chan));
	KUNIT_EXPECT_TRUE(test, to_vmbus_chan(ch)->kobj_added);
	vsc = vsc_add(test, "bound", NULL);
	late = sim_add_sub(test, chan, 2, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->subs)));
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 1);
	KUNIT_EXPECT_PTR_EQ(test, vsc->last_sub, sim_guest_channel(test, late));
	/* After remove nobody is told any more. */
	vsc_unregister(vsc);
	sim_add_sub(test, chan, 3, NULL);
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 1);
}

static int ask_for_subs(struct vsc *vsc, struct hv_device *dev)
{
	u32 count = 3;
	int err;

	err = vmbus_sendpacket(dev->channel, &count, sizeof(count), 1, VM_PKT_DATA_INBAND, 0);
	if (!err && !sim_wait(atomic_read(&vsc->subs) == count))
		err = -ETIMEDOUT;
	return err;
}

/* What netvsc does: it waits in probe for those it asked for. */
static void probe_can_wait_for_subs(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_opener);
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "net", &sim_type_perf);
	vsc->in_probe = ask_for_subs;
	vsc->open_subs = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->bound), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 3);
	KUNIT_EXPECT_EQ(test, vsc->last_error, 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 4);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 4);
}

static void rescinded_sub_that_is_not_open(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL), *sub;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_add(test, "bound", NULL);
	sub = sim_add_sub(test, chan, 1, NULL);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->subs)));
	sim_rescind(sub);
	expect_gone(test, sub);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	sim_reoffer(sub);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->subs) == 2));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
}

static void rescinded_sub_that_is_open(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo), *sub;
	struct vmbus_channel *ch;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "bound", NULL);
	vsc->open_subs = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	sub = sim_add_sub(test, chan, 1, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->subs)));
	KUNIT_ASSERT_EQ(test, vsc->last_error, 0);
	ch = vsc->last_sub;
	sim_rescind(sub);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(ch->rescind)));
	KUNIT_EXPECT_EQ(test, vmbus_sendpacket(ch, "12345678", 8, 0, VM_PKT_DATA_INBAND, 0),
			-ENODEV);
	settle(test);
	/* The driver has it until it closes it. */
	KUNIT_EXPECT_FALSE(test, sim_gone(sub));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	vmbus_close(ch);
	expect_gone(test, sub);
	KUNIT_EXPECT_EQ(test, sub->closes, 0);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
}

static void rescinded_sub_in_its_callback(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo), *sub, *other;
	struct vsc *vsc;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->hold_sub = true;
	vsc->open_subs = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	other = sim_add(test, &sim_type_perf, NULL);
	sub = sim_add_sub(test, chan, 1, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	sim_rescind(sub);
	sim_rescind(other);
	expect_gone(test, other);
	KUNIT_EXPECT_FALSE(test, sim_gone(sub));
	vsc_let_go(vsc);
	expect_gone(test, sub);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 1);
	KUNIT_EXPECT_EQ(test, vsc->last_error, -ENODEV);
}

struct order {
	bool primary_first;
	bool open_subs;
};

static const struct order orders[] = {
	{ false, false }, { false, true }, { true, false }, { true, true },
};

static void order_name(const struct order *order, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s first, subs %s",
		 order->primary_first ? "primary" : "subs", order->open_subs ? "open" : "not open");
}

KUNIT_ARRAY_PARAM(order, orders, order_name);

static void device_rescinded_with_its_subs(struct kunit *test)
{
	const struct order *order = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo), *subs[4];
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "bound", NULL);
	vsc->open_subs = order->open_subs;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	for (i = 0; i < ARRAY_SIZE(subs); i++)
		subs[i] = sim_add_sub(test, chan, i + 1, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->subs) == ARRAY_SIZE(subs)));
	sim_lock();
	if (order->primary_first)
		sim_rescind_alone_locked(chan);
	for (i = 0; i < ARRAY_SIZE(subs); i++)
		sim_rescind_alone_locked(subs[i]);
	sim_rescind_alone_locked(chan);
	sim_unlock();
	expect_gone(test, chan);
	for (i = 0; i < ARRAY_SIZE(subs); i++)
		expect_gone(test, subs[i]);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
}

/* ---- drivers that are told ---- */

static atomic_t told, told_wrong;
static bool told_unregisters;

/* What uio_hv_generic does; its remove comes later. */
static void on_rescind(struct vmbus_channel *ch)
{
	struct vsc *vsc = ch->channel_callback_context;

	if (!ch->rescind || ch->onchannel_callback || atomic_read(&vsc->removes))
		atomic_inc(&told_wrong);
	/* It must not wait for itself. */
	vmbus_set_chn_rescind_callback(ch, NULL);
	if (told_unregisters)
		vmbus_device_unregister(ch->device_obj);
	if (atomic_read(&vsc->removes))
		atomic_inc(&told_wrong);
	atomic_inc(&told);
}

static int wants_to_be_told(struct vsc *vsc, struct hv_device *dev)
{
	vmbus_set_chn_rescind_callback(dev->channel, on_rescind);
	return 0;
}

static struct vsc *add_told(struct kunit *test, bool unregisters)
{
	struct vsc *vsc = vsc_new(test, "told", NULL);

	atomic_set(&told, 0);
	atomic_set(&told_wrong, 0);
	told_unregisters = unregisters;
	vsc->in_probe = wants_to_be_told;
	vsc->open_subs = true;
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	return vsc;
}

static void told_driver_unregisters(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo), *sub;
	struct vsc *vsc = add_told(test, true);

	sub = sim_add_sub(test, chan, 1, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->subs)));
	sim_rescind(chan);
	expect_gone(test, chan);
	expect_gone(test, sub);
	KUNIT_EXPECT_EQ(test, atomic_read(&told), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&told_wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
	sim_reoffer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
}

/* Until it unregisters it, or leaves it. */
static void told_driver_keeps_the_device(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	bool leaves = *(const bool *)test->param_value;
	struct vsc *vsc = add_told(test, false);
	struct vmbus_channel *ch;

	ch = sim_guest_channel(test, chan);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&told) == 1));
	sim_send_relid(SIM_RESCIND, chan->relid);
	settle(test);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, ch->state, CHANNEL_OPENED_STATE);
	if (leaves)
		vsc_unregister(vsc);
	else
		vmbus_device_unregister(ch->device_obj);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&told), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&told_wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
}

static const bool leaves_values[] = { true, false };

static void leaves_name(const bool *leaves, char *desc)
{
	strscpy(desc, *leaves ? "until it leaves" : "until it unregisters it",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(leaves, leaves_values, leaves_name);

/* uio_hv_generic asks for it while somebody has its file open. */
static void callback_taken_back_tells_nobody(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct vsc *vsc = add_told(test, true);

	vmbus_set_chn_rescind_callback(sim_guest_channel(test, chan), NULL);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&told), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
}

static void failed_probe_is_not_told(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct vsc *vsc;

	vsc = vsc_new(test, "failing", NULL);
	vsc->in_probe = wants_to_be_told;
	vsc->probe_error = -EBADE;
	atomic_set(&told, 0);
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 1);
	KUNIT_EXPECT_NULL(test, sim_guest_channel(test, chan)->chn_rescind_callback);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&told), 0);
}

/* The host has it until the rescind, and the guest has not given it back. */
static void unregistered_device_waits_for_the_rescind(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct vsc *vsc = add_told(test, true);

	vmbus_device_unregister(sim_guest_channel(test, chan)->device_obj);
	settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&told), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 1);
}

/* ---- a device that flaps ---- */

#define FLAPS		100
#define FLAP_WINDOW	0xd0000000ULL	/* where the machine has nothing */

/* What the driver has of the device; the window has room for one piece. */
static struct guest_chan *through;
static struct resource *piece;

static void give_piece(struct vsc *vsc)
{
	vmbus_free_mmio(piece->start, resource_size(piece));
	piece = NULL;
}

/* A question that the host has to answer, unless it takes the channel back. */
static int ask_host(void)
{
	int answers = atomic_read(&through->received);
	u64 question = 0;
	int err;

	err = guest_try_open(through) ?: guest_send(through, &question, sizeof(question), 1);
	if (err)
		return err;
	if (!sim_wait(atomic_read(&through->received) != answers || through->ch->rescind))
		return -ETIMEDOUT;
	return through->ch->rescind ? -ENODEV : 0;
}

/* As pci-hyperv: addresses for registers; a probe that fails gives them back. */
static int pass_through(struct vsc *vsc, struct hv_device *dev)
{
	int err;

	err = vmbus_allocate_mmio(&piece, dev, 0, U64_MAX, SZ_1M, SZ_4K, false);
	if (!err) {
		through->ch = dev->channel;
		err = ask_host();
		if (err || vsc->probe_error)
			give_piece(vsc);
	}
	if (err && err != -ENODEV)
		vsc->last_error = err;
	return err;
}

/* How a round goes on after the offer. */
enum flap { FLAP_BINDS, FLAP_FAILS, FLAP_FAILS_OPEN, FLAP_OVERTAKES, NR_FLAPS };

static void flap(struct kunit *test, struct vsc *vsc, struct sim_chan *chan, enum flap kind)
{
	vsc->probe_error = kind == FLAP_FAILS || kind == FLAP_FAILS_OPEN ? -EBADE : 0;
	vsc->leaves_open = kind == FLAP_FAILS_OPEN;
	if (chan->released)
		sim_reoffer(chan);
	else
		sim_offer(chan);
	if (kind == FLAP_BINDS)
		KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	else if (kind == FLAP_OVERTAKES)
		usleep_range(10, 20 + sim_random(10000));
	else
		sim_guest_channel(test, chan);
	sim_rescind(chan);
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_ASSERT_EQ(test, atomic_read(&vsc->bound), 0);
	KUNIT_ASSERT_PTR_EQ(test, piece, NULL);
}

/*
 * A passed-through device that comes and goes every four seconds does so for days:
 * nothing may be lost each time, neither its relid, memory that the host has, nor
 * addresses. kmemleak sees the rest.
 */
static void flaps(struct kunit *test)
{
	struct vsc *vsc = vsc_new(test, "passed_through", NULL);
	struct sim_chan *chan;
	unsigned long visible;
	unsigned int i;
	u32 relid;

	piece = NULL;
	vsc->opens = false;
	vsc->in_probe = pass_through;
	vsc->in_remove = give_piece;
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(FLAP_WINDOW, FLAP_WINDOW + SZ_1M - 1), 0);
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	visible = sim_host_pages();
	chan = sim_new(test, 7, NULL, &sim_echo);
	through = guest_new(test, chan);
	for (i = 1; i <= FLAPS; i++) {
		flap(test, vsc, chan, i % NR_FLAPS);
		KUNIT_ASSERT_EQ(test, chan->releases, i);
		KUNIT_ASSERT_EQ_MSG(test, sim_gpadls(), 0, "round %u", i);
		KUNIT_ASSERT_EQ_MSG(test, sim_host_pages(), visible, "round %u", i);
		KUNIT_ASSERT_EQ_MSG(test, vsc->last_error, 0, "round %u", i);
	}
	rcu_read_lock();
	for (relid = 1; relid < VMBUS_MAX_RELIDS; relid++)
		KUNIT_EXPECT_NULL(test, vmbus_relid_lookup(relid));
	rcu_read_unlock();
	KUNIT_EXPECT_TRUE(test, list_empty(&vmbus_bus.channels));
	/* It works as on the first day. */
	sim_reoffer(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
}

/* ---- while the driver stops ---- */

static int rescind_all(void *unused)
{
	struct sim_chan *chan;
	u32 relid;

	for (relid = 1; relid <= 40; relid++) {
		usleep_range(100, 100 + 100 * (1 + sim_random(20)));
		sim_lock();
		chan = sim_chan_locked(relid);
		if (chan)
			sim_rescind_locked(chan);
		sim_unlock();
	}
	return 0;
}

static void rescind_some(struct sim_chan *chan, void *arg)
{
	struct sim_chan **chans = arg;
	unsigned int i;

	for (i = 0; i < 4; i++)
		sim_rescind_locked(chans[sim_random(24)]);
}

static void storm_while_it_stops(struct kunit *test)
{
	struct sim_rule rules[] = {
		{ .type = SIM_CLOSE, .hook = rescind_some },
		{ .type = SIM_GPADL_TEARDOWN, .hook = rescind_some },
		{ .type = SIM_RELID_RELEASED, .hook = rescind_some },
		{ .type = SIM_UNLOAD, .hook = rescind_some },
	};
	struct guest_chan *guest = kunit_kcalloc(test, 24, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *chans[24];
	struct task_struct *task;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = i % 4 == 3 ? sim_add_sub(test, chans[i - 1], 1, &sim_echo) :
					sim_add(test, i % 2 ? NULL : &sim_type_perf, &sim_echo);
	sim_start_ok(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		if (i % 4 > 1)
			guest_open(test, &guest[i], chans[i]);
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		rules[i].arg = chans;
		sim_rule(&rules[i]);
	}
	task = kthread_run(rescind_all, NULL, "sim_storm");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	usleep_range(100, 100 + 100 * (1 + sim_random(50)));
	sim_stop(test);
	kthread_stop(task);
	put_task_struct(task);
	sim_clear_rules();
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		KUNIT_EXPECT_LE(test, chans[i]->releases, 1);
}

static struct kunit_case rescind_cases[] = {
	KUNIT_CASE(unknown_relids_change_nothing),
	KUNIT_CASE(second_rescind_changes_nothing),
	KUNIT_CASE_PARAM(rescinded_and_offered_again_and_again, sim_versions_gen_params),
	KUNIT_CASE(rescind_overtakes_the_device),
	KUNIT_CASE(rescind_during_probe),
	KUNIT_CASE_PARAM(open_channel_is_removed_then_released, closes_gen_params),
	KUNIT_CASE(device_offered_before_it_is_released),
	KUNIT_CASE(subs_before_the_callback_are_silent),
	KUNIT_CASE(probe_can_wait_for_subs),
	KUNIT_CASE(rescinded_sub_that_is_not_open),
	KUNIT_CASE(rescinded_sub_that_is_open),
	KUNIT_CASE(rescinded_sub_in_its_callback),
	KUNIT_CASE_PARAM(device_rescinded_with_its_subs, order_gen_params),
	KUNIT_CASE(told_driver_unregisters),
	KUNIT_CASE_PARAM(told_driver_keeps_the_device, leaves_gen_params),
	KUNIT_CASE(callback_taken_back_tells_nobody),
	KUNIT_CASE(failed_probe_is_not_told),
	KUNIT_CASE(unregistered_device_waits_for_the_rescind),
	KUNIT_CASE(flaps),
	KUNIT_CASE(storm_while_it_stops),
	{}
};

struct kunit_suite rescind_suite = {
	.name = "hv_vmbus_rescind",
	.init = vsc_init,
	.exit = vsc_exit,
	.test_cases = rescind_cases,
};
