/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets on an open channel, in both directions and byte by byte: what the
 * suites about rings have in common.
 */
#ifndef _KUNIT_RINGS_H
#define _KUNIT_RINGS_H

#include "guest.h"

#define RING_SMALLEST	(2 * PAGE_SIZE)	/* a header and one page of data */
#define RING_DESC	16
#define RING_TRAILER	8
#define RING_BIGGEST	(U16_MAX * 8)	/* descriptor and payload */
#define RING_POISON	0xa5

/* struct ring_packet - a packet; @ext lies between descriptor and payload */
struct ring_packet {
	u16 type;
	u16 flags;
	u64 id;
	const void *ext;
	u32 ext_len;
	const void *payload;
	u32 len;
};

/* The ways to receive. */
enum ring_api {
	RING_RECV,
	RING_RAW,
	RING_ITER,
	RING_APIS,
};

/*
 * What comes after @at in a walk through @size bytes by steps of @step. In a ring
 * of one page of 4 KiB each step is taken; of larger pages those in the first and
 * the last 2 KiB, and some between.
 */
static inline u32 ring_next(u32 at, u32 step, u32 size)
{
	if (at < SZ_2K || at + SZ_2K >= size)
		return at + step;
	return min_t(u32, at + 33 * step, size - SZ_2K);
}

/* Starts the driver if it does not run, adds a channel and opens it in mode DIRECT. */
struct guest_chan *ring_open(struct kunit *test, const struct sim_vsp *vsp, u32 size);
/* The same with settings of the channel made by @prepare. */
struct guest_chan *ring_open_with(struct kunit *test, const struct sim_vsp *vsp, u32 size,
				  void (*prepare)(struct vmbus_channel *ch));

/* Both rings are empty; both sides go on at @offset, as if so much had gone through. */
void ring_seek_out(struct guest_chan *guest, u32 offset);
void ring_seek_in(struct guest_chan *guest, u32 offset);

/* @len bytes that depend on @seed; valid until the next call. */
const u8 *ring_pattern(u32 len, u32 seed);
/* Bytes of descriptor and payload. */
u32 ring_len(const struct ring_packet *packet);
bool ring_failed(struct kunit *test);

int ring_host_read(struct guest_chan *guest, void *buffer, u32 size);
int ring_host_write(struct guest_chan *guest, const struct ring_packet *packet);
/* The host finds this packet next, and nothing else in what the guest sent. */
bool ring_host_reads(struct kunit *test, struct guest_chan *guest,
		     const struct ring_packet *packet);
/* The host writes it, the guest finds it next. */
bool ring_guest_reads(struct kunit *test, struct guest_chan *guest,
		      const struct ring_packet *packet, enum ring_api api);

#endif /* _KUNIT_RINGS_H */
