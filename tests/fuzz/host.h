/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other side of a ring: memory shared with the driver, and a host that
 * acts on it whenever the driver is about to read.
 *
 * The input of a run is read from both ends: what the target does from the
 * front, what the host does meanwhile from the back. So one input is one
 * deterministic interleaving of two threads.
 */
#ifndef _FUZZ_HOST_H
#define _FUZZ_HOST_H

#include "include/vmbus_private.h"

/* Of the harness, whose own copies are nobody's turn. */
#undef memcpy

#define FUZZ_MAX_DATA_PAGES	131

/* Unlike assert(), in no build left out. */
#define check(condition) do {						\
	if (!(condition))						\
		fuzz_failed(#condition, __FILE__, __LINE__);		\
} while (0)

void __noreturn fuzz_failed(const char *what, const char *file, int line);

/* ---- input ---- */

void input_start(const u8 *data, size_t size);
bool input_more(void);
u8 input_u8(void);
u16 input_u16(void);
u32 input_u32(void);
u64 input_u64(void);

/* ---- shared memory ---- */

/**
 * struct shared_ring - a ring as the host sees it
 * @ring: the host's own mapping of it
 * @shadow: what must be in it: each side's writes, as far as they are allowed
 * @size: bytes of data
 * @info: the driver's view
 * @broke_rules: the host has done what no correct host does
 * @acted: what it did so far, while the driver was looking or between
 * @logged: lines the driver logged
 */
struct shared_ring {
	struct hv_ring_buffer *ring;
	struct hv_ring_buffer *shadow;
	u32 size;
	struct hv_ring_buffer_info *info;
	bool broke_rules;
	unsigned int acted;
	unsigned int logged;
};

extern struct shared_ring shared;

/* Zeroes @data_pages and a header for a new ring; the host will act @turns times. */
void shared_start(struct hv_ring_buffer_info *info, u32 data_pages, unsigned int turns);
struct page **shared_pages(void);

/* Of the allocations to come, the @nth fails; 0: none does. */
void fail_allocation(unsigned int nth);

/* The driver has mapped the ring anew: takes what it put into the header. */
void shared_mapped(void);

/* Aborts if the driver wrote anything that it may not write. */
void shared_verify(void);

/* What the host writes: @offset in the ring's data, wrapping around. */
void host_write(u32 offset, const void *from, u32 len);
void host_set(u32 *field, u32 value);

/* The next of the host's misdeeds, now. @reading: what the driver is reading. */
void host_act(const void *reading);

/* Bytes that a test can tell from others; the same for the same @seed. */
u8 pattern(u32 seed, u32 i);

/* ---- what the driver read, since the last forget() ---- */

/**
 * struct loads - values of one field that the driver read
 * @count: how often
 * @first: the first of them
 * @last: the last
 */
struct loads {
	unsigned int count;
	u32 first;
	u32 last;
};

/**
 * struct observed - what the driver read and wrote of the shared memory
 * @data: the first two words of the data that it read with READ_ONCE()
 * @words: how many words there were
 * @stores: how often it wrote the index it owns
 * @stored: the last value it wrote there
 */
struct observed {
	struct loads write_index, read_index, interrupt_mask, pending_send_sz, feature_bits;
	u64 data[2];
	unsigned int words;
	unsigned int stores;
	u32 stored;
};

extern struct observed observed;
void forget(void);

/* In the target: one input. */
int fuzz_one(const u8 *data, size_t size);

/* In the target: the one field that the driver may write while running. */
extern const u32 driver_owns;

static inline bool index_valid(u32 index)
{
	return index % 8 == 0 && index < shared.size;
}

static inline u32 distance(u32 from, u32 to)
{
	return (to + shared.size - from) % shared.size;
}

#endif /* _FUZZ_HOST_H */
