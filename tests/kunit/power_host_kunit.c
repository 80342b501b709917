// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_power_host: hibernation with a host that fails in any of its steps;
 * sub-channels and sockets, which the host has to let go.
 */
#include <linux/hyperv.h>

#include "call.h"
#include "guest.h"
#include "in_vain.h"
#include "sleep.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define NEWEST		SIM_USUAL
#define SHORT_MS	300

/* ---- the host is told ---- */

static const struct unload_case {
	const char *name;
	enum sim_action action;
} unloads[] = {
	{ "does not hear it", SIM_IGNORE },
	{ "never answers", SIM_DROP },
	{ "answers too late", SIM_HOLD },
};

static void unload_name(const struct unload_case *unload, char *desc)
{
	strscpy(desc, unload->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(unloads, unloads, unload_name);

static void host_does_not_confirm(struct kunit *test)
{
	const struct unload_case *unload = test->param_value;
	struct sim_rule rule = { .type = SIM_UNLOAD, .action = unload->action, .times = 1 };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *idle = sim_add(test, &sim_type_perf, NULL);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	/* INITIATE_CONTACT comes to a host that did not hear of the end. */
	sim_allow_no_unload();
	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	vmbus_deadlines.unload = SHORT_MS;
	sim_guest_channel(test, idle);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "the host did not confirm: no hibernation"), 1);
	/* The machine goes on, on a new connection. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_expect_works(test, chan);
	/* Late, this is the answer to nothing. */
	sim_release_held();
	sleep_settle(test);
	sleep_expect_works(test, chan);
	vmbus_deadlines.unload = SIM_ANSWERED_MS;
	sleep_expect_again(test, chan);
}

/*
 * A ring that the host did not let go, and then it did not confirm the end: the
 * relid may be another channel's on the next connection, whose release says nothing
 * of the ring.
 */
static void kept_ring_outlives_its_connection(struct kunit *test)
{
	const struct sim_rule teardown = {
		.type = SIM_GPADL_TEARDOWN, .action = SIM_DROP, .times = 1,
	};
	const struct sim_rule unload = { .type = SIM_UNLOAD, .action = SIM_IGNORE, .times = 1 };
	const unsigned long ring = 2 * VSC_RING / PAGE_SIZE;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	unsigned long visible;
	struct sleep sleep;

	sim_allow_no_unload();
	sim_use_visibility(true);
	sim_rule(&teardown);
	sim_rule(&unload);
	sim_start_ok(test, NEWEST);
	visible = sim_visible_pages();
	vsc_add(test, "sleeper", NULL);
	in_vain(test, CHANNELMSG_GPADL_TORNDOWN, 0, IN_VAIN_MS);
	vmbus_deadlines.unload = SHORT_MS;
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	in_vain_end();
	vmbus_deadlines.unload = SIM_ANSWERED_MS;
	sleep_expect_works(test, chan);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), visible + 2 * ring);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), visible + ring);
	/* The host says that it is through with all of it. */
	chan->withheld = true;
	sleep_expect_again(test, NULL);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), visible);
}

static const int post_errors[] = { -EIO, -EAGAIN };

static void post_error_name(const int *err, char *desc)
{
	strscpy(desc, *err == -EIO ? "refused" : "no buffers", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(post_error, post_errors, post_error_name);

static void host_cannot_be_told(struct kunit *test)
{
	int err = *(const int *)test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct sim_chan *other = sim_add(test, &sim_type_perf, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	vsc_add(test, "other", &sim_type_perf);
	/* Other posts than that must not have to be tried again then. */
	sim_busy(0);
	vmbus_deadlines.post = SHORT_MS;
	sim_fail_posts(SIM_UNLOAD, err, 0);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), err == -EIO ? -EIO : -ENOBUFS);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "the host cannot be told: no hibernation"), 1);
	sim_fail_posts(0, 0, 1);
	sim_busy(25);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	/* The connection is the old one. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 1);
	sleep_expect_turned_round(test, vsc, chan, other);
	sleep_expect_again(test, chan);
}

/* ---- the host is found again ---- */

static void refuse_contact(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_REFUSE };

	sim_rule(&rule);
}

static void fail_to_connect(void)
{
	static const struct sim_rule rule = {
		.type = SIM_CONTACT, .action = SIM_REFUSE, .status = 2,
	};

	sim_rule(&rule);
}

static void ignore_contact(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_IGNORE };

	sim_rule(&rule);
	vmbus_deadlines.version = SHORT_MS;
}

static void drop_version_response(void)
{
	static const struct sim_rule rule = { .type = SIM_CONTACT, .action = SIM_DROP };

	sim_rule(&rule);
	vmbus_deadlines.version = SHORT_MS;
}

static void speak_older_version(void)
{
	sim_set_version(SIM_V(5, 2));
}

static void answer_briefly(void)
{
	sim_short_version_response(12);
}

static void fail_contact(void)
{
	sim_fail_posts(SIM_CONTACT, -EIO, 0);
}

static void fail_contact_for_want_of_buffers(void)
{
	sim_fail_posts(SIM_CONTACT, -EAGAIN, 0);
	vmbus_deadlines.post = SHORT_MS;
}

static void miss_contact_port(void)
{
	sim_no_contact_port(true);
}

static void fail_request(void)
{
	sim_fail_posts(SIM_REQUEST_OFFERS, -EIO, 0);
}

/* @may_use: the host may have our pages, so there is no hibernation without it. */
static const struct contact_case {
	const char *name;
	void (*fault)(void);
	int error;
	bool may_use;
	bool connected;
} contacts[] = {
	{ "refuses the version", refuse_contact, -ECONNREFUSED },
	{ "speaks an older version", speak_older_version, -ECONNREFUSED },
	{ "fails to connect", fail_to_connect, -ECONNABORTED },
	{ "does not hear it", ignore_contact, -ETIMEDOUT, .may_use = true },
	{ "never answers", drop_version_response, -ETIMEDOUT, .may_use = true },
	{ "answers too briefly", answer_briefly, -EPROTO, .may_use = true },
	{ "takes no message", fail_contact, -EIO },
	{ "has no buffers", fail_contact_for_want_of_buffers, -ENOBUFS },
	{ "has no such port", miss_contact_port, -ECONNREFUSED },
	{ "takes no REQUESTOFFERS", fail_request, -EIO, .connected = true },
};

static void contact_name(const struct contact_case *contact, char *desc)
{
	strscpy(desc, contact->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(contacts, contacts, contact_name);

static void heal(void)
{
	sim_clear_rules();
	sim_set_version(NEWEST);
	sim_short_version_response(0);
	sim_fail_posts(0, 0, 1);
	sim_no_contact_port(false);
	vmbus_deadlines.version = SIM_ANSWERED_MS;
	vmbus_deadlines.post = SIM_ANSWERED_MS;
}

/* A driver is at work on a device, all goes to sleep, and the host is not found after it. */
static struct vsc *loses_its_host(struct kunit *test, struct sleep *sleep,
				  const struct contact_case *contact)
{
	unsigned int contacts;
	struct vsc *vsc;

	/* What a host made of a contact that it did not answer well is its affair. */
	sim_allow_no_unload();
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "lost", NULL);
	KUNIT_ASSERT_EQ(test, freeze(sleep), 0);
	contacts = sim_received_all(SIM_CONTACT);
	contact->fault();
	KUNIT_EXPECT_EQ(test, thaw(sleep), contact->error);
	/* It has come to nothing before the host changes its mind. */
	if (contact->error == -ETIMEDOUT)
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_CONTACT) > contacts));
	return vsc;
}

static void host_is_not_found(struct kunit *test)
{
	const struct contact_case *contact = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	vsc = loses_its_host(test, &sleep, contact);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no connection to the host after resume"), 1);
	sleep_expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state,
			contact->connected ? VMBUS_CONNECTED : VMBUS_DISCONNECTED);

	/* Nothing to leave; the next time the host may be found, and has the device. */
	heal();
	KUNIT_EXPECT_EQ(test, freeze(&sleep), contact->may_use ? -ESHUTDOWN : 0);
	if (contact->may_use)
		return;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	sleep_expect_works(test, chan);
}

/* The module goes while there is no connection, and comes again. */
static void stops_without_connection(struct kunit *test)
{
	const struct contact_case *contact = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	vsc = loses_its_host(test, &sleep, contact);
	vsc_unregister(vsc);
	heal();
	sim_stop(test);
	/* Of the last connection only what a host may have taken up is lost. */
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), contact->may_use);
	sim_forget_guest();
	sim_start_ok(test, NEWEST);
	vsc_add(test, "found", NULL);
	sleep_expect_works(test, chan);
}

/* The module goes when it is asleep: nothing of the kind happens, but nothing is lost. */
static void stops_asleep(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	sim_guest_channel(test, chan);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sleep.nr_down = 0;
	sleep.held = false;
	sleep_complete(&sleep);
	vsc_unregister(vsc);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking"), 0);
}

static void host_neither_confirms_nor_comes_back(struct kunit *test)
{
	struct sim_rule unload = { .type = SIM_UNLOAD, .action = SIM_DROP };
	struct sim_rule contact = { .type = SIM_CONTACT, .action = SIM_IGNORE };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_allow_no_unload();
	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "lost", NULL);
	sim_rule(&unload);
	sim_rule(&contact);
	vmbus_deadlines.unload = SHORT_MS;
	vmbus_deadlines.version = SHORT_MS;
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ETIMEDOUT);
	sleep_expect_missing(test, vsc, chan, mark);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 1);
	/* Nobody knows what that host does with our memory. */
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -ESHUTDOWN);
	vsc_unregister(vsc);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), 1);
}

/* Before 5.0 there is one connection id for all. */
static void old_host_knows_no_port(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, SIM_V(4, 1));
	vsc = vsc_add(test, "lost", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_fail_posts(SIM_CONTACT, -ENOTCONN, 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), -ENOTCONN);
	sleep_expect_missing(test, vsc, chan, mark);
	sim_fail_posts(0, 0, 1);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	sleep_expect_works(test, chan);
}

static void offers_never_end(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_REQUEST_OFFERS, .action = SIM_DROP };
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "sleeper", NULL);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	sim_rule(&rule);
	/* The offers themselves are there. */
	vmbus_deadlines.offers = SIM_IN_VAIN_MS;
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no ALLOFFERS_DELIVERED from the host"), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	sleep_expect_works(test, chan);
}

/* ---- sub-channels ---- */

#define SUBS	3

static int ask_for_subs(struct vsc *vsc, struct hv_device *dev)
{
	int before = atomic_read(&vsc->subs), err;
	u32 count = SUBS, len = 0;
	u64 got[2], id;

	err = vmbus_sendpacket(dev->channel, &count, sizeof(count), 1, VM_PKT_DATA_INBAND, 0);
	if (!err && !sim_wait(atomic_read(&vsc->subs) == before + SUBS))
		err = -ETIMEDOUT;
	/* The host's answer. */
	if (!err && !sim_wait(!vmbus_recvpacket(dev->channel, got, sizeof(got), &len, &id) && len))
		err = -ETIMEDOUT;
	return err;
}

static struct vsc *vsc_with_subs(struct kunit *test)
{
	struct vsc *vsc = vsc_new(test, "wide", &sim_type_perf);

	vsc->open_subs = true;
	vsc->in_probe = ask_for_subs;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	return vsc;
}

static void subs_come_anew(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	struct sleep sleep;
	struct vsc *vsc;
	unsigned int i;

	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	for (i = 1; i <= 5; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), i * SUBS);
		KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), SUBS);
		KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
		/* All were given back to the host that took them back. */
		KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), i * SUBS);
		KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
		KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
		KUNIT_EXPECT_EQ(test, vsc->last_error, 0);
		KUNIT_EXPECT_EQ(test, vsc->last_sub->state, CHANNEL_OPENED_STATE);
	}
	KUNIT_EXPECT_TRUE(test, chan->open);
}

static void rescind_subs(struct sim_chan *chan)
{
	u32 relid;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		struct sim_chan *sub = sim_chan_locked(relid);

		if (sub && sub->sub && guid_equal(&sub->instance, &chan->instance))
			sim_rescind_alone_locked(sub);
	}
	sim_unlock();
}

static int sleep_root_call(void *unused)
{
	return sleep_root();
}

static void subs_go_late(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	struct guest_call *call;
	struct sleep sleep;
	struct vsc *vsc;

	chan->keeps_subs = true;
	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	sleep_prepare(&sleep);
	KUNIT_EXPECT_EQ(test, sleep_devices(&sleep), 0);
	call = guest_call_begin(test, sleep_root_call, NULL);
	msleep(SHORT_MS);
	/* The host is not left before it has taken them back. */
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	rescind_subs(chan);
	KUNIT_EXPECT_EQ(test, guest_call_end(call), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), SUBS);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sleep.errors[0], 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->subs), 2 * SUBS);
}

static void subs_never_go(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_storage);
	u64 mark = sim_log_mark();
	struct sleep sleep;
	struct vsc *vsc;
	char line[80];

	chan->keeps_subs = true;
	sim_start_ok(test, NEWEST);
	vsc = vsc_with_subs(test);
	vsc->in_probe = NULL;
	sleep_prepare(&sleep);
	KUNIT_EXPECT_EQ(test, sleep_devices(&sleep), 0);
	vmbus_deadlines.request = SHORT_MS;
	KUNIT_EXPECT_EQ(test, sleep_root(), -ETIMEDOUT);
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	wake_devices(&sleep);
	sleep_complete(&sleep);
	snprintf(line, sizeof(line), "%pUl (relid %u) has sub-channels", &chan->instance,
		 chan->relid);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->resumes), 1);
	KUNIT_EXPECT_TRUE(test, chan->open);
	rescind_subs(chan);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
}

static void offer_sub(struct sim_chan *chan, void *arg)
{
	sim_offer_locked(sim_new_sub_locked(arg, 9, NULL));
}

/* Offered while the host is being left: it is gone with the connection. */
static void sub_at_the_last_moment(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct sim_rule rule = { .type = SIM_UNLOAD, .hook = offer_sub, .arg = chan };
	struct sleep sleep;
	u32 relid;

	sim_rule(&rule);
	sim_start_ok(test, NEWEST);
	vsc_add(test, "sleeper", &sim_type_perf);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vmbus_bus.nr_subs), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	sim_clear_rules();
	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (sim_chan_locked(relid) && sim_chan_locked(relid)->sub)
			sim_chan_locked(relid)->withheld = true;
	sim_unlock();
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_expect_works(test, chan);
}

/* ---- sockets ---- */

static int socket_sleeps(struct hv_device *dev)
{
	return 0;
}

static struct sim_chan *new_socket(struct kunit *test, const struct sim_vsp *vsp)
{
	struct sim_chan *socket = sim_new(test, 0, &sim_type_unknown, vsp);

	socket->flags = SIM_OFFER_HVSOCK;
	/* The guest ends it, and the host has not rescinded it then. */
	socket->unwelcome = true;
	socket->withheld = true;
	return socket;
}

/* A driver of sockets, which stay open when it is suspended, and an open one. */
static struct vsc *vsc_with_socket(struct kunit *test, struct sim_chan *socket)
{
	struct vsc *vsc = vsc_new(test, "socket", &sim_type_unknown);

	vsc->drv.hvsock = true;
	vsc->drv.suspend = socket_sleeps;
	vsc->drv.resume = socket_sleeps;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	socket->withheld = false;
	sim_offer(socket);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	return vsc;
}

static void sockets_go_first(struct kunit *test)
{
	struct sim_chan *device = sim_add(test, NULL, &sim_echo);
	struct sim_chan *socket = new_socket(test, &sim_echo);
	struct vsc *vsc, *socket_vsc;
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc = vsc_add(test, "device", NULL);
	socket_vsc = vsc_with_socket(test, socket);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	/* The host let go of its rings before anybody freed them. */
	KUNIT_EXPECT_EQ(test, socket->closes, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&socket_vsc->removes), 1);
	sim_lock();
	KUNIT_EXPECT_TRUE(test, socket->released);
	sim_unlock();
	sim_withhold(socket);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, sleep_nr_devices(), 1);
	sleep_expect_works(test, device);
}

/* The host connects while the guest wakes up: its user would sleep until the end. */
static void new_socket_waits_for_the_end(struct kunit *test)
{
	struct sim_chan *device = sim_add(test, NULL, &sim_echo);
	struct sim_chan *socket = new_socket(test, &sim_echo);
	struct vsc *vsc = vsc_new(test, "socket", &sim_type_unknown);
	struct sleep sleep;

	sim_start_ok(test, NEWEST);
	vsc_add(test, "device", NULL);
	vsc->drv.hvsock = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, wake_root(), 0);
	socket->withheld = false;
	sim_offer(socket);
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->probes), 0);
	wake_devices(&sleep);
	sleep_complete(&sleep);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	sleep_expect_works(test, socket);
	sleep_expect_works(test, device);
}

static void keep_socket(struct vmbus_channel *channel)
{
}

/* Its user has not read everything, and goes on with it in the next life. */
static void socket_is_read_to_the_end(struct kunit *test)
{
	struct sim_chan *device = sim_add(test, NULL, &sim_echo);
	struct sim_chan *socket = new_socket(test, NULL);
	u64 text = 0x1122334455667788, got[2], id;
	struct vmbus_channel *ch;
	struct sleep sleep;
	struct vsc *vsc;
	u32 len, relid;

	sim_start_ok(test, NEWEST);
	vsc_add(test, "device", NULL);
	vsc = vsc_with_socket(test, socket);
	ch = sim_guest_channel(test, socket);
	vmbus_set_chn_rescind_callback(ch, keep_socket);
	sim_lock();
	KUNIT_EXPECT_EQ(test, sim_write(socket, VM_PKT_DATA_INBAND, 0, 0, &text, sizeof(text)), 0);
	relid = socket->relid;
	sim_unlock();
	KUNIT_ASSERT_EQ(test, freeze(&sleep), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	/* Another device has its relid now. */
	sim_withhold(socket);
	sim_move(socket, relid + 1);
	sim_move(device, relid);
	KUNIT_EXPECT_EQ(test, thaw(&sleep), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->removes), 0);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(ch, got, sizeof(got), &len, &id), 0);
	KUNIT_EXPECT_EQ(test, len, sizeof(text));
	KUNIT_EXPECT_EQ(test, got[0], text);
	vmbus_hvsock_device_unregister(ch);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->removes) == 1));
	sleep_settle(test);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	sleep_expect_works(test, device);
	sleep_expect_again(test, device);
}

static const struct ending_case {
	const char *name;
	u32 type;
	int post_error;		/* or 0: the host does not answer */
	int error;
} endings[] = {
	{ "no answer", SIM_GPADL_TEARDOWN, 0, -ETIMEDOUT },
	{ "no buffers", SIM_GPADL_TEARDOWN, -EAGAIN, -ENOBUFS },
	{ "refused", SIM_CLOSE, -EIO, -EIO },
};

static void ending_name(const struct ending_case *ending, char *desc)
{
	strscpy(desc, ending->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(endings, endings, ending_name);

static void socket_does_not_end(struct kunit *test)
{
	const struct ending_case *ending = test->param_value;
	struct sim_chan *socket = new_socket(test, &sim_echo);
	struct sim_rule rule = {
		.type = ending->type, .action = SIM_DROP, .relid = socket->relid,
	};
	struct sim_chan *idle = sim_add(test, NULL, NULL);
	u64 mark = sim_log_mark();
	struct sleep sleep;

	/* Its driver closes it once more in the end. */
	sim_allow_violations();
	sim_start_ok(test, NEWEST);
	vsc_with_socket(test, socket);
	sim_guest_channel(test, idle);
	/* Other posts than those must not have to be tried again then. */
	sim_busy(0);
	vmbus_deadlines.post = SHORT_MS;
	vmbus_deadlines.request = SHORT_MS;
	if (ending->post_error)
		sim_fail_posts(ending->type, ending->post_error, 0);
	else
		sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, freeze(&sleep), ending->error);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "a socket, does not end: no hibernation"), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	sim_fail_posts(0, 0, 1);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	sim_clear_rules();
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_CONNECTED);
}

static struct kunit_case power_host_cases[] = {
	KUNIT_CASE_PARAM(host_does_not_confirm, unloads_gen_params),
	KUNIT_CASE(kept_ring_outlives_its_connection),
	KUNIT_CASE_PARAM(host_cannot_be_told, post_error_gen_params),
	KUNIT_CASE_PARAM(host_is_not_found, contacts_gen_params),
	KUNIT_CASE_PARAM(stops_without_connection, contacts_gen_params),
	KUNIT_CASE(stops_asleep),
	KUNIT_CASE(host_neither_confirms_nor_comes_back),
	KUNIT_CASE(old_host_knows_no_port),
	KUNIT_CASE(offers_never_end),
	KUNIT_CASE(subs_come_anew),
	KUNIT_CASE(subs_go_late),
	KUNIT_CASE(subs_never_go),
	KUNIT_CASE(sub_at_the_last_moment),
	KUNIT_CASE(sockets_go_first),
	KUNIT_CASE(new_socket_waits_for_the_end),
	KUNIT_CASE(socket_is_read_to_the_end),
	KUNIT_CASE_PARAM(socket_does_not_end, endings_gen_params),
	{}
};

static int power_host_init(struct kunit *test)
{
	sim_needs_ordinary(test, "an isolation VM does not hibernate");
	return vsc_init(test);
}

struct kunit_suite power_host_suite = {
	.name = "hv_vmbus_power_host",
	.init = power_host_init,
	.exit = vsc_exit,
	.test_cases = power_host_cases,
};
