/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VSC driver under test: what it does is set before it is registered, what
 * happened to it is counted.
 */
#ifndef _KUNIT_VSC_H
#define _KUNIT_VSC_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/list.h>

#include "sim_host.h"

#define VSC_RING	(2 * PAGE_SIZE)

/**
 * struct vsc - a driver
 * @drv: registered by vsc_register()
 * @ids: types that it serves
 * @opens: probe opens the channel, which is an error if it fails
 * @open_subs: sub-channels are opened when they are announced
 * @leaves_open: neither remove, suspend nor a failing probe closes it
 * @deaf: no callback for sub-channels is set
 * @probe_error: what probe returns in the end, after it opened
 * @in_probe: called before probe returns, and before resume does; its result is
 *	theirs
 * @in_remove: called when remove has closed the channel; may be NULL
 * @suspend_error: what suspend returns, having done nothing; set any time
 * @hold_probe: probe waits for vsc_let_go() before it opens
 * @hold_remove: remove does
 * @hold_sub: the sub-channel callback does, before it opens
 * @held: how many wait
 * @gate: what they wait for
 * @probes: calls of probe
 * @bound: probes that succeeded, less removes
 * @removes: calls of remove
 * @suspends: calls of suspend that succeeded
 * @resumes: calls of resume that succeeded
 * @subs: sub-channels announced
 * @interrupts: of all its channels
 * @last_error: of the last open
 * @last_sub: announced last
 * @last_id: id that the last probe was called with
 */
struct vsc {
	struct hv_driver drv;
	struct hv_vmbus_device_id ids[4];
	bool opens;
	bool open_subs;
	bool leaves_open;
	bool deaf;
	int probe_error;
	int (*in_probe)(struct vsc *vsc, struct hv_device *dev);
	void (*in_remove)(struct vsc *vsc);
	int suspend_error;
	bool hold_probe;
	bool hold_remove;
	bool hold_sub;
	atomic_t held;
	struct completion gate;
	atomic_t probes;
	atomic_t bound;
	atomic_t removes;
	atomic_t suspends;
	atomic_t resumes;
	atomic_t subs;
	atomic_t interrupts;
	int last_error;
	struct vmbus_channel *last_sub;
	struct hv_vmbus_device_id last_id;
	struct list_head node;
};

/* A driver of @type (NULL: plain) that opens its channels; freed after the case. */
struct vsc *vsc_new(struct kunit *test, const char *name, const guid_t *type);
int vsc_register(struct vsc *vsc);
void vsc_unregister(struct vsc *vsc);
/* Both, and it must work. */
struct vsc *vsc_add(struct kunit *test, const char *name, const guid_t *type);
/* Nobody is held from now on. */
void vsc_let_go(struct vsc *vsc);

/* init and exit of suites with drivers: those that are left are unregistered. */
int vsc_init(struct kunit *test);
void vsc_exit(struct kunit *test);

#endif /* _KUNIT_VSC_H */
