/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver of sockets under test. It does what hv_sock does: it opens the channel
 * in probe and sets its rescind callback afterwards; the channel holds a
 * reference to the socket until the callback, its user another one; the last one
 * to go unregisters the device, in whatever task that is, and the socket is freed
 * as soon as that returns: whatever of it is used later is seen by KASAN.
 */
#ifndef _KUNIT_SOCK_H
#define _KUNIT_SOCK_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/list.h>
#include <linux/refcount.h>

#include "guest.h"
#include "sim_host.h"

#define SOCK_RING	GUEST_RING

struct sock {
	struct list_head node;		/* of those that no user has taken */
	struct vmbus_channel *ch;
	u32 relid;
	refcount_t refs;
	bool told;
	bool channel_gone;
	atomic_t interrupts;
};

/* Where the driver can be held. */
enum sock_place { IN_PROBE, AFTER_OPEN, IN_CALLBACK, IN_REMOVE, SOCK_PLACES };

/**
 * struct sockets - the driver, one at a time
 * @drv: registered by sock_register()
 * @registered: it is
 * @deaf: nobody listens: nothing is opened
 * @keeps: for the suite's exit: the host goes before the sockets
 * @hold: waits there for sock_let_go()
 * @held: how many wait
 * @gate: what they wait for
 * @list: sockets for users to take
 * @probes: calls of probe
 * @bound: those that made a socket
 * @failed: those that could not open the channel
 * @told: rescind callbacks that are over
 * @removes: calls of remove
 * @freed: sockets
 * @wrong: calls of the driver that should not have come, or not so
 */
struct sockets {
	struct hv_driver drv;
	bool registered;
	bool deaf;
	bool keeps;
	bool hold[SOCK_PLACES];
	atomic_t held[SOCK_PLACES];
	struct completion gate;
	struct list_head list;
	atomic_t probes, bound, failed, told, removes, freed, wrong;
};

extern struct sockets sockets;

/* All of it anew. */
void sock_init(void);
int sock_register(enum probe_type type);
void sock_unregister(void);
void sock_let_go(void);
/* A user's: the socket of @relid or, if that is 0, the first; NULL if there is none. */
struct sock *sock_take(u32 relid);
void sock_put(struct sock *sock);
/* The channel's reference as well, if it has one, so nobody waits for the rescind. */
void sock_abandon(struct sock *sock);

#endif /* _KUNIT_SOCK_H */
