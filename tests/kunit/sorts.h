/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sorts of channel that a paravisor's bus has, by what stays private of them, and
 * what else suites of such a bus share.
 */
#ifndef _KUNIT_SORTS_H
#define _KUNIT_SORTS_H

#include <kunit/test.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "guest.h"
#include "sim_internal.h"
#include "../../include/vmbus_private.h"

#define SHARED_PAGES	3	/* of the connection itself */
#define RING_PAGES	(2 * GUEST_RING / PAGE_SIZE)
#define BUFFER_PAGES	5
#define BUFFER_BYTES	(BUFFER_PAGES * PAGE_SIZE)
#define SECRET		0x3c	/* in buffers */

static const struct sort {
	const char *name;
	bool ring;
	bool external;
} sorts[] = {
	{ "all private", true, true },
	{ "ring private", true, false },
	{ "nothing private", false, false },
};

static inline struct sim_chan *new_chan(struct kunit *test, const struct sort *sort)
{
	struct sim_chan *chan = sim_new(test, 0, &sim_type_perf, &sim_echo);

	chan->co_ring = sort->ring;
	chan->co_external = sort->external;
	return chan;
}

/* For the init of a suite: a host that is a paravisor, whatever kind this run is. */
static inline int sorts_init(struct kunit *test)
{
	int err = sim_init(test);

	if (!err)
		sim_set_kind(SIM_CONFIDENTIAL);
	return err;
}

static inline bool is_channel(u32 relid)
{
	bool found;

	rcu_read_lock();
	found = vmbus_relid_lookup(relid);
	rcu_read_unlock();
	return found;
}

static inline void *new_buffer(struct kunit *test)
{
	void *buffer = vzalloc(BUFFER_BYTES);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	return buffer;
}

static inline int share(struct guest_chan *guest, void *buffer, struct vmbus_gpadl *gpadl)
{
	memset(gpadl, 0, sizeof(*gpadl));
	return vmbus_establish_gpadl(guest->ch, buffer, BUFFER_BYTES, gpadl);
}

#endif /* _KUNIT_SORTS_H */
