// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a channel: every pair of state and event is listed, and
 * switches have no default, so that the compiler finds a forgotten state.
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

static int after_open(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OFFERED:
		return VMBUS_CHAN_OPENING;
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
		return -EBUSY;
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -ENODEV;
	}
	return -EINVAL;
}

static int after_opened(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OPENING:
		return VMBUS_CHAN_OPEN;
	case VMBUS_CHAN_REVOKED_OPENING:
		return -ENODEV;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EINVAL;
	}
	return -EINVAL;
}

static int after_open_failed(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OPENING:
		return VMBUS_CHAN_OFFERED;
	case VMBUS_CHAN_REVOKED_OPENING:
		return VMBUS_CHAN_REVOKED;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EINVAL;
	}
	return -EINVAL;
}

static int after_close(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OPEN:
		return VMBUS_CHAN_CLOSING;
	case VMBUS_CHAN_REVOKED_OPEN:
		return VMBUS_CHAN_REVOKED_CLOSING;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EINVAL;
	}
	return -EINVAL;
}

static int after_closed(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_CLOSING:
		return VMBUS_CHAN_OFFERED;
	case VMBUS_CHAN_REVOKED_CLOSING:
		return VMBUS_CHAN_REVOKED;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EINVAL;
	}
	return -EINVAL;
}

static int after_rescind(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OFFERED:
		return VMBUS_CHAN_REVOKED;
	case VMBUS_CHAN_OPENING:
		return VMBUS_CHAN_REVOKED_OPENING;
	case VMBUS_CHAN_OPEN:
		return VMBUS_CHAN_REVOKED_OPEN;
	case VMBUS_CHAN_CLOSING:
		return VMBUS_CHAN_REVOKED_CLOSING;
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EALREADY;
	}
	return -EINVAL;
}

static int after_release(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_SUSPENDED:
		return VMBUS_CHAN_RELEASED;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
		return -EBUSY;
	case VMBUS_CHAN_RELEASED:
		return -EALREADY;
	}
	return -EINVAL;
}

static int after_suspend(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_REVOKED:
		return VMBUS_CHAN_SUSPENDED;
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
		return -EBUSY;
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return -EALREADY;
	}
	return -EINVAL;
}

static int after_reoffer(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_SUSPENDED:
		return VMBUS_CHAN_OFFERED;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_RELEASED:
		return -EINVAL;
	}
	return -EINVAL;
}

static int after_event(enum vmbus_chan_state state, enum vmbus_chan_event event)
{
	switch (event) {
	case VMBUS_EV_OPEN:
		return after_open(state);
	case VMBUS_EV_OPENED:
		return after_opened(state);
	case VMBUS_EV_OPEN_FAILED:
		return after_open_failed(state);
	case VMBUS_EV_CLOSE:
		return after_close(state);
	case VMBUS_EV_CLOSED:
		return after_closed(state);
	case VMBUS_EV_RESCIND:
		return after_rescind(state);
	case VMBUS_EV_RELEASE:
		return after_release(state);
	case VMBUS_EV_SUSPEND:
		return after_suspend(state);
	case VMBUS_EV_REOFFER:
		return after_reoffer(state);
	}
	return -EINVAL;
}

/**
 * vmbus_chan_visible_state() - what VSCs and sysfs see of a state
 * @state: the state
 */
enum vmbus_channel_state vmbus_chan_visible_state(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_REVOKED_OPENING:
		return CHANNEL_OPENING_STATE;
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_REVOKED_OPEN:
		return CHANNEL_OPENED_STATE;
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_CLOSING:
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return CHANNEL_OPEN_STATE;
	}
	return CHANNEL_OFFER_STATE;
}

/* The host has taken it back or forgotten it: no message may be about it. */
static bool is_gone(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OFFERED:
	case VMBUS_CHAN_OPENING:
	case VMBUS_CHAN_OPEN:
	case VMBUS_CHAN_CLOSING:
		return false;
	case VMBUS_CHAN_REVOKED:
	case VMBUS_CHAN_REVOKED_OPENING:
	case VMBUS_CHAN_REVOKED_OPEN:
	case VMBUS_CHAN_REVOKED_CLOSING:
	case VMBUS_CHAN_SUSPENDED:
	case VMBUS_CHAN_RELEASED:
		return true;
	}
	return true;
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

	spin_lock(&chan->lock);
	next = after_event(chan->state, event);
	if (next >= 0) {
		WRITE_ONCE(chan->state, next);
		WRITE_ONCE(chan->ch.state, vmbus_chan_visible_state(next));
		WRITE_ONCE(chan->ch.rescind, is_gone(next));
	}
	spin_unlock(&chan->lock);
	return min(next, 0);
}
