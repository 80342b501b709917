// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a channel: one table has every pair of state and event.
 * The suite hv_vmbus_state has another, by state, and compares each entry.
 *
 *	OFFERED -> OPENING -> OPEN -> CLOSING -> OFFERED
 *
 * A rescind leads from each of them to its REVOKED twin, and those all end in
 * REVOKED, from where the relid is released once.
 *
 * Over a hibernation a channel that is not open is SUSPENDED: the host has
 * forgotten it. An offer of the same device makes it OFFERED again.
 */
#include <linux/hyperv.h>

#include "include/vmbus_private.h"

#define NR_STATES	(VMBUS_CHAN_RELEASED + 1)

/* Names that fit into the tables: R* are the states after a rescind. */
enum {
	OFFERED = VMBUS_CHAN_OFFERED,
	OPENING = VMBUS_CHAN_OPENING,
	OPEN = VMBUS_CHAN_OPEN,
	CLOSING = VMBUS_CHAN_CLOSING,
	REVOKED = VMBUS_CHAN_REVOKED,
	ROPENING = VMBUS_CHAN_REVOKED_OPENING,
	ROPEN = VMBUS_CHAN_REVOKED_OPEN,
	RCLOSING = VMBUS_CHAN_REVOKED_CLOSING,
	SUSPENDED = VMBUS_CHAN_SUSPENDED,
	RELEASED = VMBUS_CHAN_RELEASED,
	/* What leaves the state as it is; see vmbus_chan_event(). */
	INVAL = -EINVAL,
	BUSY = -EBUSY,
	NODEV = -ENODEV,
	ALREADY = -EALREADY,
};

/* What an event makes of OFFERED to CLOSING, REVOKED to RCLOSING, SUSPENDED and RELEASED. */
static const s16 transitions[][NR_STATES] = {
	[VMBUS_EV_OPEN] = {
		OPENING, BUSY, BUSY, BUSY,
		NODEV, NODEV, NODEV, NODEV,
		NODEV, NODEV,
	},
	[VMBUS_EV_OPENED] = {
		INVAL, OPEN, INVAL, INVAL,
		INVAL, NODEV, INVAL, INVAL,
		INVAL, INVAL,
	},
	[VMBUS_EV_OPEN_FAILED] = {
		INVAL, OFFERED, INVAL, INVAL,
		INVAL, REVOKED, INVAL, INVAL,
		INVAL, INVAL,
	},
	[VMBUS_EV_CLOSE] = {
		INVAL, INVAL, CLOSING, INVAL,
		INVAL, INVAL, RCLOSING, INVAL,
		INVAL, INVAL,
	},
	[VMBUS_EV_CLOSED] = {
		INVAL, INVAL, INVAL, OFFERED,
		INVAL, INVAL, INVAL, REVOKED,
		INVAL, INVAL,
	},
	[VMBUS_EV_RESCIND] = {
		REVOKED, ROPENING, ROPEN, RCLOSING,
		ALREADY, ALREADY, ALREADY, ALREADY,
		ALREADY, ALREADY,
	},
	[VMBUS_EV_RELEASE] = {
		BUSY, BUSY, BUSY, BUSY,
		RELEASED, BUSY, BUSY, BUSY,
		RELEASED, ALREADY,
	},
	[VMBUS_EV_SUSPEND] = {
		SUSPENDED, BUSY, BUSY, BUSY,
		SUSPENDED, BUSY, BUSY, BUSY,
		ALREADY, ALREADY,
	},
	[VMBUS_EV_REOFFER] = {
		INVAL, INVAL, INVAL, INVAL,
		INVAL, INVAL, INVAL, INVAL,
		OFFERED, INVAL,
	},
};

/* What VSCs see; gone: taken back or forgotten by the host, no message may be about it. */
static const struct {
	enum vmbus_channel_state visible;
	bool gone;
} views[NR_STATES] = {
	[OFFERED] = { CHANNEL_OPEN_STATE, false },
	[OPENING] = { CHANNEL_OPENING_STATE, false },
	[OPEN] = { CHANNEL_OPENED_STATE, false },
	[CLOSING] = { CHANNEL_OPEN_STATE, false },
	[REVOKED] = { CHANNEL_OPEN_STATE, true },
	[ROPENING] = { CHANNEL_OPENING_STATE, true },
	[ROPEN] = { CHANNEL_OPENED_STATE, true },
	[RCLOSING] = { CHANNEL_OPEN_STATE, true },
	[SUSPENDED] = { CHANNEL_OPEN_STATE, true },
	[RELEASED] = { CHANNEL_OPEN_STATE, true },
};

/**
 * vmbus_chan_visible_state() - what VSCs and sysfs see of a state
 * @state: the state
 */
enum vmbus_channel_state vmbus_chan_visible_state(enum vmbus_chan_state state)
{
	return views[state].visible;
}

/**
 * vmbus_chan_event() - move a channel's state machine
 * @chan: the channel
 * @event: what happened
 *
 * Context: process.
 * Return: 0; otherwise the state is unchanged: -EBUSY if the channel is open or
 * about to be (OPEN), or not ready for it (RELEASE, SUSPEND); -ENODEV if it is
 * rescinded or suspended; -EALREADY for a second rescind, release or suspend;
 * -EINVAL if the event makes no sense now.
 */
int vmbus_chan_event(struct vmbus_chan *chan, enum vmbus_chan_event event)
{
	int next;

	if (event >= ARRAY_SIZE(transitions))
		return -EINVAL;
	spin_lock(&chan->lock);
	next = transitions[event][chan->state];
	if (next >= 0) {
		WRITE_ONCE(chan->state, next);
		WRITE_ONCE(chan->ch.state, views[next].visible);
		WRITE_ONCE(chan->ch.rescind, views[next].gone);
	}
	spin_unlock(&chan->lock);
	return min(next, 0);
}
