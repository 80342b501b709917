/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's side of a channel under test: what a small VSC does.
 */
#ifndef _KUNIT_GUEST_H
#define _KUNIT_GUEST_H

#include <linux/atomic.h>
#include <linux/hyperv.h>

#include "sim_host.h"

#define GUEST_RING	SZ_16K

/**
 * struct guest_chan - a channel that the test has open
 * @ch: the driver's channel
 * @host: the simulated host's
 * @reads: the callback reads all packets; else it only counts; set before opening
 * @callbacks: how often it was called
 * @received: packets read by the callback
 * @last: payload of the last one
 * @last_len: its bytes
 * @last_id: its transaction id
 * @error: of the last read that failed, or 0
 */
struct guest_chan {
	struct vmbus_channel *ch;
	struct sim_chan *host;
	bool reads;
	atomic_t callbacks;
	atomic_t received;
	u8 last[4096];
	u32 last_len;
	u64 last_id;
	int error;
};

void guest_callback(void *context);
/* vmbus_open() with rings of @size each and guest_callback(); the errno. */
int guest_open_size(struct kunit *test, struct guest_chan *guest, struct sim_chan *host, u32 size);
/* The same with GUEST_RING, and it must work. */
void guest_open(struct kunit *test, struct guest_chan *guest, struct sim_chan *host);
/* One inband packet; the errno. */
int guest_send(struct guest_chan *guest, const void *payload, u32 len, u64 id);

#endif /* _KUNIT_GUEST_H */
