// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_state: the states of a channel, each with each event.
 *
 * What has to hold is written down here from the life of a channel: a VSC opens
 * and closes it, the host confirms, and takes it back whenever it likes.
 */
#include <kunit/test.h>

#include "suites.h"
#include "../../include/vmbus_private.h"

#define NR_EVENTS	(VMBUS_EV_REOFFER + 1)

/* Names that fit into the table: R* are the states after a rescind. */
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
};

/* What each event makes of a state: the next state, or an errno. */
static const struct state_case {
	const char *name;
	int state;
	int visible;		/* what VSCs and sysfs see: 1 opening, 2 not open, 3 open */
	int open;
	int opened;
	int open_failed;
	int close;
	int closed;
	int rescind;
	int release;
	int suspend;
	int reoffer;
} states[] = {
	{
		"offered", OFFERED, 2, .open = OPENING, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = -EINVAL,
		.rescind = REVOKED, .release = -EBUSY,
		.suspend = SUSPENDED, .reoffer = -EINVAL,
	}, {
		"opening", OPENING, 1, .open = -EBUSY, .opened = OPEN,
		.open_failed = OFFERED, .close = -EINVAL, .closed = -EINVAL,
		.rescind = ROPENING, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		"open", OPEN, 3, .open = -EBUSY, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = CLOSING, .closed = -EINVAL,
		.rescind = ROPEN, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		"closing", CLOSING, 2, .open = -EBUSY, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = OFFERED,
		.rescind = RCLOSING, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		"revoked", REVOKED, 2, .open = -ENODEV, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = -EINVAL,
		.rescind = -EALREADY, .release = RELEASED,
		.suspend = SUSPENDED, .reoffer = -EINVAL,
	}, {
		/* The answer may have been on its way when the host changed its mind. */
		"revoked while opening", ROPENING, 1, .open = -ENODEV, .opened = -ENODEV,
		.open_failed = REVOKED, .close = -EINVAL, .closed = -EINVAL,
		.rescind = -EALREADY, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		/* The VSC has rings until it closes. */
		"revoked while open", ROPEN, 3, .open = -ENODEV, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = RCLOSING, .closed = -EINVAL,
		.rescind = -EALREADY, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		"revoked while closing", RCLOSING, 2, .open = -ENODEV, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = REVOKED,
		.rescind = -EALREADY, .release = -EBUSY,
		.suspend = -EBUSY, .reoffer = -EINVAL,
	}, {
		/* The host has forgotten it, so there is nothing to give back. */
		"suspended", SUSPENDED, 2, .open = -ENODEV, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = -EINVAL,
		.rescind = -EALREADY, .release = RELEASED,
		.suspend = -EALREADY, .reoffer = OFFERED,
	}, {
		/* The end: the relid may be another channel's. */
		"released", RELEASED, 2, .open = -ENODEV, .opened = -EINVAL,
		.open_failed = -EINVAL, .close = -EINVAL, .closed = -EINVAL,
		.rescind = -EALREADY, .release = -EALREADY,
		.suspend = -EALREADY, .reoffer = -EINVAL,
	},
};

static void describe(const struct state_case *state, char *desc)
{
	strscpy(desc, state->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(states, states, describe);

static int wanted(const struct state_case *state, enum vmbus_chan_event event)
{
	const int all[NR_EVENTS] = {
		[VMBUS_EV_OPEN] = state->open,
		[VMBUS_EV_OPENED] = state->opened,
		[VMBUS_EV_OPEN_FAILED] = state->open_failed,
		[VMBUS_EV_CLOSE] = state->close,
		[VMBUS_EV_CLOSED] = state->closed,
		[VMBUS_EV_RESCIND] = state->rescind,
		[VMBUS_EV_RELEASE] = state->release,
		[VMBUS_EV_SUSPEND] = state->suspend,
		[VMBUS_EV_REOFFER] = state->reoffer,
	};

	return all[event];
}

static struct vmbus_chan *chan_in(struct kunit *test, int state)
{
	struct vmbus_chan *chan = kunit_kzalloc(test, sizeof(*chan), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, chan);
	spin_lock_init(&chan->lock);
	chan->state = state;
	chan->ch.state = vmbus_chan_visible_state(state);
	chan->ch.rescind = state >= VMBUS_CHAN_REVOKED;
	return chan;
}

static void obeys(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	enum vmbus_chan_event event;

	KUNIT_EXPECT_EQ(test, vmbus_chan_visible_state(state->state), state->visible);
	for (event = 0; event < NR_EVENTS; event++) {
		int want = wanted(state, event), next = want < 0 ? state->state : want;
		struct vmbus_chan *chan = chan_in(test, state->state);

		KUNIT_EXPECT_EQ_MSG(test, vmbus_chan_event(chan, event), min(want, 0),
				    "event %d", event);
		KUNIT_EXPECT_EQ_MSG(test, chan->state, next, "event %d", event);
		KUNIT_EXPECT_EQ_MSG(test, chan->ch.state, states[next].visible, "event %d", event);
		KUNIT_EXPECT_EQ_MSG(test, chan->ch.rescind, next >= VMBUS_CHAN_REVOKED,
				    "event %d", event);
	}
}

static void unknown_events_change_nothing(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct vmbus_chan *chan = chan_in(test, state->state);

	KUNIT_EXPECT_EQ(test, vmbus_chan_event(chan, NR_EVENTS), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_chan_event(chan, U32_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, chan->state, state->state);
	KUNIT_EXPECT_EQ(test, chan->ch.state, state->visible);
}

/* From everywhere there is a way to the end, and RELEASE succeeds just once on it. */
static void ends(struct kunit *test)
{
	static const enum vmbus_chan_event way[] = {
		VMBUS_EV_OPENED, VMBUS_EV_RESCIND, VMBUS_EV_RELEASE, VMBUS_EV_OPEN_FAILED,
		VMBUS_EV_CLOSE, VMBUS_EV_RELEASE, VMBUS_EV_CLOSED, VMBUS_EV_RELEASE,
		VMBUS_EV_RELEASE, VMBUS_EV_RESCIND,
	};
	const struct state_case *state = test->param_value;
	struct vmbus_chan *chan = chan_in(test, state->state);
	unsigned int i, releases = 0;

	for (i = 0; i < ARRAY_SIZE(way); i++)
		releases += !vmbus_chan_event(chan, way[i]) && way[i] == VMBUS_EV_RELEASE;
	KUNIT_EXPECT_EQ(test, releases, state->state != RELEASED);
	KUNIT_EXPECT_EQ(test, chan->state, RELEASED);
}

/* The table is complete and each state stands at its place. */
static void table_is_complete(struct kunit *test)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, ARRAY_SIZE(states), VMBUS_CHAN_RELEASED + 1);
	for (i = 0; i < ARRAY_SIZE(states); i++)
		KUNIT_EXPECT_EQ(test, states[i].state, i);
}

static struct kunit_case state_cases[] = {
	KUNIT_CASE(table_is_complete),
	KUNIT_CASE_PARAM(obeys, states_gen_params),
	KUNIT_CASE_PARAM(unknown_events_change_nothing, states_gen_params),
	KUNIT_CASE_PARAM(ends, states_gen_params),
	{}
};

struct kunit_suite state_suite = {
	.name = "hv_vmbus_state",
	.test_cases = state_cases,
};
