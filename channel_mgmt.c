// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host says: offers become channels, channels become devices, a
 * rescind undoes it.
 *
 * Actions: host messages are handled one at a time, on the message work, and
 * their handlers never wait for the host or for a VSC. Primary channels are
 * added one after the other in the order of their offers, because device names
 * depend on it. While the machine goes to sleep or wakes up their devices are
 * neither added nor removed. Each sub-channel, each socket and each rescind has
 * a work of its own, so that none waits for another. A rescind first stops or
 * awaits the addition of its channel.
 *
 * A device is removed by the rescind work of its channel, or with the module. A
 * driver with a rescind callback is told by a first run of that work, and has
 * another one queued when it is done with the device (rescind.c). A socket's work
 * leaves the removal to another work, of which few run at a time.
 *
 * References: each queued work holds one on its channel. The offer's own is
 * dropped in release(), which the state machine lets happen once.
 *
 * Locks: vmbus_connection.channel_mutex for the lists, never while a work is awaited.
 */
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/interrupt.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* Messages handled before the work lets others run. */
#define MESSAGE_BATCH	64
/*
 * Sockets that are removed at a time: enough to wait for RCU side by side. More
 * would only spin for sysfs, which lets one in, and a socket that connects has
 * to pass them all for each of its files.
 */
#define SOCKETS_GOING	4

/* One message at a time is handled. */
static DEFINE_MUTEX(handlers_mutex);

static const struct vmbus_glue_ops *glue;

/* ---- channels come and go ---- */

static void post_relid_released(u32 relid)
{
	struct vmbus_channel_relid_released msg = {
		.header.msgtype = CHANNELMSG_RELID_RELEASED,
		.child_relid = relid,
	};

	/* A host that has forgotten us knows no relids. */
	if (READ_ONCE(vmbus_conn.state) != VMBUS_DISCONNECTED)
		vmbus_post(&msg, sizeof(msg));
}

/* Relids of offers that could not be taken; giving them back takes no memory. */
static DECLARE_BITMAP(unwanted, VMBUS_MAX_RELIDS);

static void give_back(struct work_struct *work)
{
	u32 relid;

	for_each_set_bit(relid, unwanted, VMBUS_MAX_RELIDS)
		if (test_and_clear_bit(relid, unwanted))
			post_relid_released(relid);
}

static DECLARE_WORK(give_back_work, give_back);

static void unlist(struct vmbus_chan *chan)
{
	lockdep_assert_held(&vmbus_connection.channel_mutex);
	if (!list_empty(&chan->sub_node) && atomic_dec_and_test(&vmbus_bus.nr_subs))
		wake_up_var(&vmbus_bus.nr_subs);
	list_del_init(chan->ch.primary_channel ? &chan->sub_node : &chan->ch.listentry);
	vmbus_cpus_forget(chan);
}

/* Ends the use of a relid; it may be another channel's from now on. */
static void give_up_relid(struct vmbus_chan *chan)
{
	u32 relid = vmbus_chan_relid(chan);

	vmbus_relid_unmap(chan);
	vmbus_parked_release(relid);
	post_relid_released(relid);
}

/*
 * Gives a rescinded channel back to the host, once, when nobody has it open.
 * From then on the host may offer another one under the same relid. A host that
 * has forgotten the channel is not told.
 */
static int release(struct vmbus_chan *chan)
{
	int err = vmbus_chan_event(chan, VMBUS_EV_RELEASE);

	if (err)
		return err;
	/* If show_sub() is at it, it finds the state changed, and does this. */
	if (chan->ch.primary_channel)
		glue->channel_del(chan);

	mutex_lock(&vmbus_connection.channel_mutex);
	unlist(chan);
	mutex_unlock(&vmbus_connection.channel_mutex);
	if (vmbus_chan_relid(chan) != VMBUS_NO_RELID)
		give_up_relid(chan);
	vmbus_chan_put(chan);
	return 0;
}

/* A referenced sub-channel that is not drained yet; it counts as drained now. */
static struct vmbus_chan *get_undrained_sub(struct vmbus_chan *primary)
{
	struct vmbus_chan *sub, *found = NULL;

	mutex_lock(&vmbus_connection.channel_mutex);
	primary->subs_ready = false;
	list_for_each_entry(sub, &primary->subs, sub_node) {
		if (sub->drained)
			continue;
		found = vmbus_chan_get(sub);
		found->drained = true;
		break;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

/* Removes a primary channel's device and closes what is still open. */
static void remove_device(struct vmbus_chan *chan)
{
	struct vmbus_chan *sub;

	/* Their directories are in the device's, their callbacks in its driver. */
	while ((sub = get_undrained_sub(chan))) {
		flush_work(&sub->ch.add_channel_work);
		glue->channel_del(sub);
		vmbus_chan_put(sub);
	}
	if (chan->ch.device_obj)
		glue->device_del(chan);
	vmbus_close(&chan->ch);		/* in case the driver did not */
}

static void on_offer(const struct vmbus_message *msg);

/*
 * The device was removed because it did not come back after a hibernation in
 * time, but it is there now: a channel like any new one, and a device anew.
 */
static void offered_too_late(struct vmbus_chan *chan)
{
	struct vmbus_message msg = {
		.len = sizeof(msg.offer),
		.offer = chan->ch.offermsg,
	};

	mutex_lock(&handlers_mutex);
	/* Unless the host rescinds it meanwhile; then its removal follows. */
	if (READ_ONCE(chan->state) == VMBUS_CHAN_OFFERED &&
	    !vmbus_chan_event(chan, VMBUS_EV_RESCIND) &&
	    !vmbus_chan_event(chan, VMBUS_EV_RELEASE)) {
		mutex_lock(&vmbus_connection.channel_mutex);
		unlist(chan);
		mutex_unlock(&vmbus_connection.channel_mutex);
		vmbus_relid_unmap(chan);
		vmbus_chan_put(chan);
		on_offer(&msg);
	}
	mutex_unlock(&handlers_mutex);
}

static void remove_chan(struct vmbus_chan *chan)
{
	if (!chan->ch.primary_channel)
		remove_device(chan);
	if (release(chan) == -EBUSY)
		offered_too_late(chan);
}

static void remove_socket(struct work_struct *work)
{
	struct vmbus_chan *chan = container_of(work, struct vmbus_chan, remove_work);

	remove_chan(chan);
	vmbus_chan_put(chan);
}

static void rescind_chan(struct work_struct *work)
{
	struct vmbus_chan *chan = container_of(work, struct vmbus_chan, rescind_work);
	struct vmbus_channel *ch = &chan->ch;

	if (ch->primary_channel) {
		flush_work(&ch->add_channel_work);
	} else {
		if (cancel_work_sync(&ch->add_channel_work))
			vmbus_chan_put(chan);
		/* Who was done with the socket during the rescind has it queued twice. */
		flush_work(&chan->remove_work);
		if (cancel_work_sync(&chan->wake_work))
			vmbus_chan_put(chan);
		/*
		 * A probe that has the channel open may be about to set a rescind
		 * callback. One that comes later cannot open it.
		 */
		if (ch->device_obj)
			glue->device_settle(chan);
		if (vmbus_rescind_told(chan))
			goto out;
	}
	if (chan->wq == vmbus_bus.sock_wq)
		vmbus_chan_queue(chan, vmbus_bus.gone_wq, &chan->remove_work);
	else
		remove_chan(chan);
out:
	vmbus_chan_put(chan);
}

static void wake_chan(struct work_struct *work)
{
	struct vmbus_chan *chan = container_of(work, struct vmbus_chan, wake_work);

	glue->device_wake(chan);
	vmbus_chan_put(chan);
}

static void add_primary(struct vmbus_chan *chan)
{
	int err = glue->device_add(chan);

	if (err)
		pr_err_ratelimited("unable to add child device object (relid %d): %d\n",
				   vmbus_chan_relid(chan), err);
}

static bool released(struct vmbus_chan *chan)
{
	return READ_ONCE(chan->state) == VMBUS_CHAN_RELEASED;
}

/*
 * Shows a sub-channel unless it is released: -ENODEV. No lock may be held: what
 * is undone after a failure waits for users of the files, who take open_mutex.
 */
static int show_sub(struct vmbus_chan *chan)
{
	int err;

	if (released(chan))
		return -ENODEV;
	err = glue->channel_add(chan);
	if (!err && released(chan)) {
		glue->channel_del(chan);
		err = -ENODEV;
	}
	return err;
}

/*
 * The driver is told of a sub-channel even if it is rescinded already, and finds
 * that it cannot be opened: netvsc counts them all before it goes on.
 */
static void add_sub(struct vmbus_chan *chan)
{
	struct vmbus_chan *primary = to_vmbus_chan(chan->ch.primary_channel);
	int err = show_sub(chan);

	if (err == -ENODEV)
		return;
	if (err) {
		pr_err_ratelimited("unable to add sub-channel (relid %d): %d\n",
				   vmbus_chan_relid(chan), err);
		return;
	}
	mutex_lock(&primary->sc_mutex);
	if (primary->ch.sc_creation_callback)
		primary->ch.sc_creation_callback(&chan->ch);
	mutex_unlock(&primary->sc_mutex);
}

static void add_chan(struct work_struct *work)
{
	struct vmbus_channel *ch = container_of(work, struct vmbus_channel,
						add_channel_work);
	struct vmbus_chan *chan = to_vmbus_chan(ch);

	vmbus_cpus_choose(chan);
	if (ch->primary_channel)
		add_sub(chan);
	else if (!READ_ONCE(ch->rescind))
		add_primary(chan);
	WRITE_ONCE(ch->probe_done, true);
	vmbus_chan_put(chan);
}

/**
 * vmbus_channel_subs_ready() - a primary channel's device is there
 * @primary: the channel
 *
 * Called before a driver probes the device, since sub-channels that the driver
 * asks for may be offered while it does.
 */
void vmbus_channel_subs_ready(struct vmbus_chan *primary)
{
	struct vmbus_chan *sub;

	mutex_lock(&vmbus_connection.channel_mutex);
	primary->subs_ready = true;
	list_for_each_entry(sub, &primary->subs, sub_node)
		vmbus_chan_queue(sub, vmbus_bus.chan_wq, &sub->ch.add_channel_work);
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/**
 * vmbus_set_sc_create_callback() - who to tell of new sub-channels
 * @primary_channel: the channel
 * @sc_cr_cb: called in process context; may open the sub-channel; NULL for none
 *
 * Context: process, sleeps until the one that was set before does not run.
 */
void vmbus_set_sc_create_callback(struct vmbus_channel *primary_channel,
				  void (*sc_cr_cb)(struct vmbus_channel *new_sc))
{
	struct vmbus_chan *primary = to_vmbus_chan(primary_channel);

	mutex_lock(&primary->sc_mutex);
	primary_channel->sc_creation_callback = sc_cr_cb;
	mutex_unlock(&primary->sc_mutex);
}

/* ---- message handlers ---- */

static struct vmbus_chan *find_primary(const guid_t *instance)
{
	struct vmbus_channel *ch;

	lockdep_assert_held(&vmbus_connection.channel_mutex);
	list_for_each_entry(ch, &vmbus_bus.channels, listentry)
		if (guid_equal(&ch->offermsg.offer.if_instance, instance))
			return to_vmbus_chan(ch);
	return NULL;
}

static void take_offer(struct vmbus_channel *ch,
		       const struct vmbus_channel_offer_channel *offer)
{
	ch->offermsg = *offer;
	ch->is_dedicated_interrupt = offer->is_dedicated_interrupt;
	ch->sig_event = ch->is_dedicated_interrupt ? offer->connection_id :
						     VMBUS_CONN_ID_EVENT;
	ch->monitor_grp = offer->monitorid / VMBUS_MONITOR_BITS;
	ch->monitor_bit = offer->monitorid % VMBUS_MONITOR_BITS;
}

static struct vmbus_chan *alloc_chan(const struct vmbus_channel_offer_channel *offer)
{
	struct vmbus_chan *chan = kzalloc(sizeof(*chan), GFP_KERNEL);
	const struct vmbus_device *info;
	struct vmbus_channel *ch;

	if (!chan)
		return NULL;
	ch = &chan->ch;
	take_offer(ch, offer);
	vmbus_chan_init(chan);
	INIT_LIST_HEAD(&ch->listentry);
	INIT_LIST_HEAD(&ch->sc_list);
	INIT_LIST_HEAD(&chan->subs);
	INIT_LIST_HEAD(&chan->sub_node);
	INIT_WORK(&ch->add_channel_work, add_chan);
	INIT_WORK(&chan->rescind_work, rescind_chan);
	INIT_WORK(&chan->remove_work, remove_socket);
	INIT_WORK(&chan->wake_work, wake_chan);
	init_completion(&ch->rescind_event);

	info = vmbus_device_info(&offer->offer);
	ch->device_id = info->dev_type;
	chan->perf = info->perf_device;
	if (vmbus_conn.features & VMBUS_FEATURE_CONFIDENTIAL) {
		chan->tx.private = offer->offer.chn_flags & VMBUS_OFFER_PRIVATE_RING;
		chan->rx.private = chan->tx.private;
		chan->private_memory = offer->offer.chn_flags & VMBUS_OFFER_PRIVATE_MEMORY;
	}
#if VMBUS_NEWER_EXPORTS
	ch->co_ring_buffer = chan->tx.private;
	ch->co_external_memory = chan->private_memory;
#endif
	ch->target_cpu = VMBUS_CONNECT_CPU;
	chan->wq = is_hvsock_channel(ch) && !offer->offer.sub_channel_index ?
		   vmbus_bus.sock_wq : vmbus_bus.chan_wq;
	return chan;
}

/* Puts the channel into its list. -ENODEV, -EEXIST: the host is wrong. */
static int list_chan(struct vmbus_chan *chan)
{
	const struct vmbus_channel_offer *offer = &chan->ch.offermsg.offer;
	struct vmbus_chan *primary = find_primary(&offer->if_instance);

	if (!offer->sub_channel_index) {
		/* Devices are named by the instance alone. */
		if (primary)
			return -EEXIST;
		list_add_tail(&chan->ch.listentry, &vmbus_bus.channels);
		return 0;
	}
	if (!primary || READ_ONCE(primary->ch.rescind) ||
	    !guid_equal(&primary->ch.offermsg.offer.if_type, &offer->if_type))
		return -ENODEV;
	chan->ch.primary_channel = &vmbus_chan_get(primary)->ch;
	list_add_tail(&chan->sub_node, &primary->subs);
	atomic_inc(&vmbus_bus.nr_subs);
	return 0;
}

/*
 * An offer that is not taken. The host counts on a channel there, and offers the
 * device again only when it has the relid back. One that is in use is not ours
 * to give: the host is wrong, and the channel stays.
 */
static void refuse_offer(const struct vmbus_message *msg)
{
	u32 relid = msg->offer.child_relid;

	rcu_read_lock();
	if (vmbus_relid_valid(relid) && !vmbus_relid_lookup(relid)) {
		set_bit(relid, unwanted);
		queue_work(vmbus_bus.chan_wq, &give_back_work);
	}
	rcu_read_unlock();
}

/* The channel that waits for its device to be offered again, or NULL. */
static struct vmbus_chan *find_suspended(const struct vmbus_channel_offer *offer)
{
	struct vmbus_chan *chan = find_primary(&offer->if_instance);
	const struct vmbus_channel_offer *old;

	if (offer->sub_channel_index || !chan ||
	    READ_ONCE(chan->state) != VMBUS_CHAN_SUSPENDED)
		return NULL;
	/* Another kind of device is not the one that the driver had. */
	old = &chan->ch.offermsg.offer;
	if (!guid_equal(&old->if_type, &offer->if_type) ||
	    (old->chn_flags ^ offer->chn_flags) & VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER)
		return NULL;
	return chan;
}

/*
 * The offer of a device that was there before a hibernation: its channel goes on
 * with what is new in it. Return: whether it is that.
 */
static bool on_reoffer(const struct vmbus_channel_offer_channel *offer)
{
	struct vmbus_chan *chan;
	bool taken = false;

	mutex_lock(&vmbus_connection.channel_mutex);
	chan = find_suspended(&offer->offer);
	if (chan) {
		take_offer(&chan->ch, offer);
		taken = !vmbus_relid_map(chan);
		/* Its removal may have got to the end. */
		if (taken && vmbus_chan_event(chan, VMBUS_EV_REOFFER)) {
			vmbus_relid_unmap(chan);
			taken = false;
		}
		if (!taken)
			chan->ch.offermsg.child_relid = VMBUS_NO_RELID;
		else if (chan->asleep && !vmbus_bus.held)
			vmbus_chan_queue(chan, chan->wq, &chan->wake_work);
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	if (taken)
		clear_bit(offer->child_relid, unwanted);
	return taken;
}

static void on_offer(const struct vmbus_message *msg)
{
	const struct vmbus_channel_offer_channel *offer = &msg->offer;
	struct vmbus_channel *primary;
	struct vmbus_chan *chan;
	int err;

	/*
	 * The host knows what it may offer here, so it is not asked to take the offer
	 * back: it would offer the same again.
	 */
	err = vmbus_offer_allowed(offer);
	if (err) {
		vmbus_note_refused(msg, err);
		return;
	}
	if (offer->monitor_allocated || !offer->is_dedicated_interrupt)
		WRITE_ONCE(vmbus_conn.pages_watched, true);
	if (on_reoffer(offer))
		return;
	chan = alloc_chan(offer);
	if (!chan) {
		pr_err_ratelimited("no memory for the offer of relid %u\n", offer->child_relid);
		vmbus_note_refused(msg, -ENOMEM);
		refuse_offer(msg);
		return;
	}
	err = vmbus_relid_map(chan);
	if (err) {
		pr_err_ratelimited("relid %u offered while it is in use\n", offer->child_relid);
		vmbus_note_refused(msg, err);
		vmbus_chan_put(chan);
		return;
	}
	clear_bit(offer->child_relid, unwanted);

	mutex_lock(&vmbus_connection.channel_mutex);
	err = list_chan(chan);
	primary = chan->ch.primary_channel;
	if (err) {
		pr_err_ratelimited("offer of %pUl (relid %u, sub-channel %u) refused: %d\n",
				   &offer->offer.if_instance, offer->child_relid,
				   offer->offer.sub_channel_index, err);
		vmbus_note_refused(msg, err);
		/* On no list; otherwise like a channel that was rescinded. */
		vmbus_chan_event(chan, VMBUS_EV_RESCIND);
		vmbus_chan_queue(chan, chan->wq, &chan->rescind_work);
	} else if (!primary && vmbus_bus.held) {
		chan->add_held = true;
	} else if (!primary && !is_hvsock_channel(&chan->ch)) {
		vmbus_chan_queue(chan, vmbus_bus.add_wq, &chan->ch.add_channel_work);
	} else if (!primary || to_vmbus_chan(primary)->subs_ready) {
		vmbus_chan_queue(chan, chan->wq, &chan->ch.add_channel_work);
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
}

/**
 * vmbus_channel_rescind() - a channel is not the guest's any more
 * @chan: referenced channel
 *
 * Ends its requests and begins its removal, of which the relid's release is the
 * last part.
 *
 * Context: process; waits for nothing.
 * Return: 0; -EALREADY if it was rescinded before.
 */
int vmbus_channel_rescind(struct vmbus_chan *chan)
{
	int err = vmbus_chan_event(chan, VMBUS_EV_RESCIND);

	if (err)
		return err;
	vmbus_request_cancel(vmbus_chan_relid(chan), -ENODEV);
	mutex_lock(&vmbus_connection.channel_mutex);
	/* At removal of the module everything goes anyway. */
	if (vmbus_conn.state == VMBUS_CONNECTED && !(vmbus_bus.held && vmbus_chan_is_device(chan)))
		vmbus_chan_queue(chan, chan->wq, &chan->rescind_work);
	mutex_unlock(&vmbus_connection.channel_mutex);
	return 0;
}

static void on_rescind(const struct vmbus_message *msg)
{
	u32 relid = msg->rescind.child_relid;
	struct vmbus_chan *chan;
	int err = -ENOENT;

	rcu_read_lock();
	chan = vmbus_relid_lookup(relid);
	if (chan && !kref_get_unless_zero(&chan->ref))
		chan = NULL;
	rcu_read_unlock();
	if (chan) {
		err = vmbus_channel_rescind(chan);
		vmbus_chan_put(chan);
	}
	if (err) {
		vmbus_note_refused(msg, err);
		pr_warn_ratelimited("rescind of relid %u ignored: %d\n", relid, err);
	}
}

static void on_all_offers(const struct vmbus_message *msg)
{
	/* One that comes unasked says nothing about the offers that are to come. */
	vmbus_request_answer(msg, 0, 0);
}

static void unsolicited(const struct vmbus_message *msg)
{
	vmbus_note_refused(msg, -ESRCH);
	pr_warn_ratelimited("%s that nobody asked for ignored\n",
			    vmbus_message_name(msg->header.msgtype));
}

static void on_open_result(const struct vmbus_message *msg)
{
	if (!vmbus_request_answer(msg, msg->open_result.child_relid, msg->open_result.openid))
		unsolicited(msg);
}

static void on_gpadl_created(const struct vmbus_message *msg)
{
	if (!vmbus_request_answer(msg, msg->gpadl_created.child_relid, msg->gpadl_created.gpadl))
		unsolicited(msg);
}

static void on_gpadl_torndown(const struct vmbus_message *msg)
{
	u32 handle = msg->gpadl_torndown.gpadl;

	if (!vmbus_request_answer(msg, 0, handle) && !vmbus_parked_torndown(handle))
		unsolicited(msg);
}

static void on_modify_response(const struct vmbus_message *msg)
{
	if (!vmbus_request_answer(msg, msg->modify_response.child_relid, 0))
		unsolicited(msg);
}

/* Nobody waits for it, and it comes as often as users are refused: no line of log. */
static void on_tl_connect_result(const struct vmbus_message *msg)
{
	const struct vmbus_tl_connect_result *result = &msg->tl_connect_result;

	pr_debug("host refused a connection to %pUl: status 0x%x\n", &result->service_id,
		 result->status);
}

static void on_version_response(const struct vmbus_message *msg)
{
	if (!vmbus_version_answer(msg))
		unsolicited(msg);
}

static void on_unload_response(const struct vmbus_message *msg)
{
	if (!vmbus_request_answer(msg, 0, 0))
		unsolicited(msg);
}

/* What is done with each message that message.c finds fit to be handled. */
static void (* const handlers[CHANNELMSG_COUNT])(const struct vmbus_message *msg) = {
	[CHANNELMSG_OFFERCHANNEL] = on_offer,
	[CHANNELMSG_RESCIND_CHANNELOFFER] = on_rescind,
	[CHANNELMSG_ALLOFFERS_DELIVERED] = on_all_offers,
	[CHANNELMSG_OPENCHANNEL_RESULT] = on_open_result,
	[CHANNELMSG_GPADL_CREATED] = on_gpadl_created,
	[CHANNELMSG_GPADL_TORNDOWN] = on_gpadl_torndown,
	[CHANNELMSG_VERSION_RESPONSE] = on_version_response,
	[CHANNELMSG_UNLOAD_RESPONSE] = on_unload_response,
	[CHANNELMSG_TL_CONNECT_RESULT] = on_tl_connect_result,
	[CHANNELMSG_MODIFYCHANNEL_RESPONSE] = on_modify_response,
};

/*
 * Handles a private copy of a message; -errno if it is not fit to be handled.
 * @trusted: as much as the bus is, which may be a paravisor's: a host that speaks for
 * that one could talk the guest into a lower version, with channels that it can read.
 */
static int handle_message(const struct vmbus_message *msg, bool trusted)
{
	int err = -EPERM;

	/* Before what it says is looked at: a bad offer would be given back. */
	if (trusted || !vmbus_is_paravisors())
		err = vmbus_message_check(msg, vmbus_proto_version,
					  vmbus_conn.state == VMBUS_CONNECTED);
	vmbus_trace_received(msg, err);
	vmbus_note_received(msg, err);
	/* Only a whole offer has a field that can be out of range. */
	if (err == -ERANGE && msg->header.msgtype == CHANNELMSG_OFFERCHANNEL)
		refuse_offer(msg);
	if (err)
		return err;
	if (!handlers[msg->header.msgtype])
		return -EOPNOTSUPP;
	handlers[msg->header.msgtype](msg);
	return 0;
}

/* Copies the slot's message and frees the slot; false if there is none. */
static bool fetch_message(struct hv_message *slot, struct vmbus_message *msg)
{
	u32 type = READ_ONCE(slot->header.message_type);
	u32 len;

	/* The message of a timer is for the interrupt that comes with it. */
	if (type == HVMSG_NONE ||
	    (type == HVMSG_TIMER_EXPIRED && vmbus_host->timer_expired))
		return false;
	/* Pairs with the host's barrier: it writes the type last. */
	virt_rmb();
	len = READ_ONCE(slot->header.payload_size);
	vmbus_message_copy(msg, slot->u.payload, type == VMBUS_SYNIC_MESSAGE_TYPE ? len : 0);
	vmbus_host->message_done(slot, type);
	return true;
}

static bool poll_slot(struct hv_message *slot, bool trusted)
{
	struct vmbus_message msg;
	unsigned int i;
	int err;

	for (i = 0; slot && i < MESSAGE_BATCH; i++) {
		if (!fetch_message(slot, &msg))
			return false;
		vmbus_trace_fetched(&msg);
		mutex_lock(&handlers_mutex);
		err = handle_message(&msg, trusted);
		mutex_unlock(&handlers_mutex);
		if (err)
			pr_warn_ratelimited("%s (type %u, %u bytes) from the host ignored: %d\n",
					    vmbus_message_name(msg.header.msgtype),
					    msg.header.msgtype, msg.len, err);
	}
	return slot;
}

/**
 * vmbus_message_poll() - handle the messages in a CPU's slots
 * @cpu: the CPU
 *
 * Context: the message work of @cpu, on @cpu.
 * Return: whether there may be more.
 */
bool vmbus_message_poll(unsigned int cpu)
{
	const struct vmbus_synic *synics = per_cpu(vmbus_synic, cpu);
	bool more = poll_slot(synics[VMBUS_SYNIC_HOST].message, false);

	return poll_slot(synics[VMBUS_SYNIC_PARAVISOR].message, true) || more;
}

/* ---- start and stop ---- */

/**
 * vmbus_channels_init() - prepare for offers
 * @ops: the device model's side
 *
 * Return: 0; -ENOMEM.
 */
int vmbus_channels_init(const struct vmbus_glue_ops *ops)
{
	glue = ops;
	mutex_init(&vmbus_connection.channel_mutex);
	INIT_LIST_HEAD(&vmbus_bus.channels);
	vmbus_bus.held = false;
	atomic_set(&vmbus_bus.nr_subs, 0);
	vmbus_bus.add_wq = alloc_ordered_workqueue("hv_pri_chan", 0);
	vmbus_bus.chan_wq = alloc_workqueue("hv_chan", WQ_UNBOUND, 0);
	vmbus_bus.sock_wq = alloc_workqueue("hv_sock_chan", WQ_UNBOUND, WQ_MAX_ACTIVE);
	vmbus_bus.gone_wq = alloc_workqueue("hv_sock_gone", WQ_UNBOUND, SOCKETS_GOING);
	if (vmbus_bus.add_wq && vmbus_bus.chan_wq && vmbus_bus.sock_wq && vmbus_bus.gone_wq)
		return 0;
	vmbus_channels_exit();
	return -ENOMEM;
}

/**
 * vmbus_channels_exit() - undo vmbus_channels_init()
 */
void vmbus_channels_exit(void)
{
	struct workqueue_struct **queues[] = {
		&vmbus_bus.sock_wq, &vmbus_bus.gone_wq, &vmbus_bus.chan_wq, &vmbus_bus.add_wq,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		if (*queues[i])
			destroy_workqueue(*queues[i]);
		*queues[i] = NULL;
	}
}

/**
 * vmbus_channels_request() - ask for offers, wait for those there are at boot
 *
 * A host that does not say that it is done only costs time: later offers are
 * taken whenever they come. Nor does the wait fail if a kexec ends it.
 *
 * Context: process, sleeps up to vmbus_deadlines.offers.
 * Return: 0; -ENOBUFS, -EIO if the host could not be asked.
 */
int vmbus_channels_request(void)
{
	struct vmbus_channel_message_header msg = {
		.msgtype = CHANNELMSG_REQUESTOFFERS,
	};
	struct vmbus_request req;
	int err;

	vmbus_request_init(&req, CHANNELMSG_ALLOFFERS_DELIVERED, 0, 0);
	err = vmbus_request_call(&req, NULL, &msg, sizeof(msg), vmbus_deadlines.offers);
	if (err == -ENOBUFS || err == -EIO)
		return err;
	flush_workqueue(vmbus_bus.add_wq);
	return 0;
}

/**
 * vmbus_channels_remove() - remove all devices, no further offer is taken
 *
 * Context: process, sleeps; the connection is in state VMBUS_DISCONNECTING.
 */
void vmbus_channels_remove(void)
{
	struct vmbus_channel *ch;

	drain_workqueue(vmbus_bus.add_wq);
	drain_workqueue(vmbus_bus.sock_wq);
	drain_workqueue(vmbus_bus.gone_wq);
	drain_workqueue(vmbus_bus.chan_wq);
	/* Nobody else changes the list any more. */
	list_for_each_entry(ch, &vmbus_bus.channels, listentry)
		remove_device(to_vmbus_chan(ch));
}

/**
 * vmbus_channels_forget() - drop all channels, the host has been told
 *
 * Context: process; nothing else of the driver runs.
 */
void vmbus_channels_forget(void)
{
	struct vmbus_channel *ch, *next;
	struct vmbus_chan *chan;
	u32 relid;

	for (relid = 1; relid < VMBUS_MAX_RELIDS; relid++) {
		rcu_read_lock();
		chan = vmbus_relid_lookup(relid);
		rcu_read_unlock();
		if (!chan)
			continue;
		mutex_lock(&vmbus_connection.channel_mutex);
		unlist(chan);
		mutex_unlock(&vmbus_connection.channel_mutex);
		vmbus_relid_unmap(chan);
		vmbus_chan_put(chan);
	}
	/* Those that the host has forgotten have no relid. */
	list_for_each_entry_safe(ch, next, &vmbus_bus.channels, listentry) {
		mutex_lock(&vmbus_connection.channel_mutex);
		unlist(to_vmbus_chan(ch));
		mutex_unlock(&vmbus_connection.channel_mutex);
		vmbus_chan_put(to_vmbus_chan(ch));
	}
}
