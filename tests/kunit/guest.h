/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's side of a channel under test: what a small VSC does.
 */
#ifndef _KUNIT_GUEST_H
#define _KUNIT_GUEST_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/hyperv.h>

#include "sim_host.h"

/* Of four pages where these are the smallest there are, else of two, which a ring needs. */
#define GUEST_RING	(PAGE_SIZE > 8192 ? 2 * PAGE_SIZE : SZ_16K)

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

/* One on the test's heap, whose callback reads. */
struct guest_chan *guest_new(struct kunit *test, struct sim_chan *host);
void guest_callback(void *context);
/* vmbus_open() with rings of @size each and guest_callback(); the errno. */
int guest_open_size(struct kunit *test, struct guest_chan *guest, struct sim_chan *host, u32 size);
/* The same with GUEST_RING, and it must work. */
void guest_open(struct kunit *test, struct guest_chan *guest, struct sim_chan *host);
/* guest_open_size() with GUEST_RING for guest_call_begin(), on a channel that is there. */
int guest_try_open(void *guest);
/* For guest_call_begin(), too. */
int guest_close(void *guest);
/* Sends a packet to an echo and waits until it comes back. */
bool guest_echoes(struct guest_chan *guest);
/* The guest wants interrupts: what reads in batches does not, as long as it does. */
bool guest_unmasked(const struct vmbus_channel *ch);
/*
 * Waits for the end of the callback's tasklet. Until then it may read what comes next
 * when it looks again, and runs once more, for nothing and unmasked.
 */
void guest_tasklet_ends(struct vmbus_channel *ch);
/* Where interrupts of channels are handled: in the interrupt, or in their thread on PREEMPT_RT. */
bool guest_in_interrupt(void);
/* One inband packet; the errno. */
int guest_send(struct guest_chan *guest, const void *payload, u32 len, u64 id);

/* The last move that a VSC was told of, and how many: the callback has no context. */
extern struct guest_moved {
	struct vmbus_channel *ch;
	u32 old, new;
	unsigned int calls;
} guest_moved;

/* For channel->change_target_cpu_callback. */
void guest_on_move(struct vmbus_channel *ch, u32 old, u32 new);

#endif /* _KUNIT_GUEST_H */
