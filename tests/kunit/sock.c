// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of sockets under test.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "sock.h"

struct sockets sockets;

static DEFINE_SPINLOCK(list_lock);

/* ---- the driver ---- */

static void hold(enum sock_place place)
{
	if (!READ_ONCE(sockets.hold[place]))
		return;
	atomic_inc(&sockets.held[place]);
	wait_for_completion_timeout(&sockets.gate, msecs_to_jiffies(2 * SIM_PATIENCE_MS));
	atomic_dec(&sockets.held[place]);
}

void sock_let_go(void)
{
	memset(sockets.hold, 0, sizeof(sockets.hold));
	complete_all(&sockets.gate);
}

void sock_put(struct sock *sock)
{
	if (!refcount_dec_and_test(&sock->refs))
		return;
	vmbus_hvsock_device_unregister(sock->ch);
	kfree(sock);
	atomic_inc(&sockets.freed);
}

/* The channel's reference, once. */
static void put_channels(struct sock *sock)
{
	if (!xchg(&sock->channel_gone, true))
		sock_put(sock);
}

static void on_interrupt(void *context)
{
	struct sock *sock = context;

	atomic_inc(&sock->interrupts);
}

static void on_rescind(struct vmbus_channel *ch)
{
	struct sock *sock = get_per_channel_state(ch);

	if (!ch->rescind || !ch->probe_done || ch->onchannel_callback || sock->told || !in_task())
		atomic_inc(&sockets.wrong);
	hold(IN_CALLBACK);
	WRITE_ONCE(sock->told, true);
	atomic_inc(&sockets.told);
	put_channels(sock);
}

static int open_sock(struct vmbus_channel *ch)
{
	struct sock *sock = kzalloc(sizeof(*sock), GFP_KERNEL);
	int err;

	if (!sock)
		return -ENOMEM;
	sock->ch = ch;
	sock->relid = ch->offermsg.child_relid;
	refcount_set(&sock->refs, 2);
	ch->callback_mode = HV_CALL_DIRECT;
	ch->max_pkt_size = SZ_16K + 32;
	err = vmbus_open(ch, SOCK_RING, SOCK_RING, NULL, 0, on_interrupt, sock);
	if (err) {
		kfree(sock);
		return err;
	}
	set_per_channel_state(ch, sock);
	hold(AFTER_OPEN);
	spin_lock(&list_lock);
	list_add_tail(&sock->node, &sockets.list);
	spin_unlock(&list_lock);
	vmbus_set_chn_rescind_callback(ch, on_rescind);
	return 0;
}

/* It succeeds whatever happens: the host rescinds what was not opened. */
static int socket_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	if (!guid_is_null(&id->guid) || !is_hvsock_channel(dev->channel))
		atomic_inc(&sockets.wrong);
	atomic_inc(&sockets.probes);
	hold(IN_PROBE);
	if (!sockets.deaf)
		atomic_inc(open_sock(dev->channel) ? &sockets.failed : &sockets.bound);
	return 0;
}

static typeof(((struct hv_driver *)NULL)->remove(NULL)) socket_remove(struct hv_device *dev)
{
	hold(IN_REMOVE);
	vmbus_close(dev->channel);
	atomic_inc(&sockets.removes);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

static const struct hv_vmbus_device_id no_ids[] = { { } };

/* ---- the users ---- */

struct sock *sock_take(u32 relid)
{
	struct sock *sock, *found = NULL;

	spin_lock(&list_lock);
	list_for_each_entry(sock, &sockets.list, node) {
		if (relid && sock->relid != relid)
			continue;
		list_del(&sock->node);
		found = sock;
		break;
	}
	spin_unlock(&list_lock);
	return found;
}

void sock_abandon(struct sock *sock)
{
	put_channels(sock);
	sock_put(sock);
}

/* ---- its life ---- */

void sock_init(void)
{
	memset(&sockets, 0, sizeof(sockets));
	init_completion(&sockets.gate);
	INIT_LIST_HEAD(&sockets.list);
}

int sock_register(enum probe_type type)
{
	int err;

	sockets.drv.name = "kunit_sock";
	sockets.drv.hvsock = true;
	sockets.drv.id_table = no_ids;
	sockets.drv.probe = socket_probe;
	sockets.drv.remove = socket_remove;
	sockets.drv.driver.probe_type = type;
	err = vmbus_driver_register(&sockets.drv);
	sockets.registered = !err;
	return err;
}

void sock_unregister(void)
{
	sockets.registered = false;
	vmbus_driver_unregister(&sockets.drv);
}
