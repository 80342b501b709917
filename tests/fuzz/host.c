// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory and the host, see host.h. The data of a ring are mapped twice
 * in a row between pages that nobody may touch.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

#define FUZZ_PAGES	(1 + FUZZ_MAX_DATA_PAGES)
#define FUZZ_VMAP_PAGES	(1 + 2 * FUZZ_MAX_DATA_PAGES)

struct shared_ring shared;
struct observed observed;

static int memory_fd = -1;
static struct page all_pages[FUZZ_PAGES];
static struct page *page_list[FUZZ_PAGES];
static u8 *driver_start;
static size_t driver_len;

void fuzz_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* ---- input ---- */

static const u8 *front, *back;

void input_start(const u8 *data, size_t size)
{
	front = data;
	back = data + size;
}

bool input_more(void)
{
	return front < back;
}

u8 input_u8(void)
{
	return front < back ? *front++ : 0;
}

u16 input_u16(void)
{
	u16 low = input_u8();

	return low | input_u8() << 8;
}

u32 input_u32(void)
{
	u32 low = input_u16();

	return low | (u32)input_u16() << 16;
}

u64 input_u64(void)
{
	u64 low = input_u32();

	return low | (u64)input_u32() << 32;
}

static u64 input_back(unsigned int bytes)
{
	u64 value = 0;

	while (bytes-- && front < back)
		value = value << 8 | *--back;
	return value;
}

u8 pattern(u32 seed, u32 i)
{
	return (seed + 1) * 31 + i * 7 + (i >> 8);
}

/* ---- memory ---- */

static void memory_init(void)
{
	size_t len = FUZZ_PAGES * PAGE_SIZE;
	u32 i;

	memory_fd = memfd_create("ring", 0);
	check(memory_fd >= 0 && !ftruncate(memory_fd, len));
	shared.ring = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	shared.shadow = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	check(shared.ring != MAP_FAILED && shared.shadow != MAP_FAILED);
	for (i = 0; i < FUZZ_PAGES; i++) {
		all_pages[i].number = i;
		page_list[i] = &all_pages[i];
	}
}

static unsigned int allocations_left;

void fail_allocation(unsigned int nth)
{
	allocations_left = nth;
}

bool fuzz_no_memory(void)
{
	return allocations_left && !--allocations_left;
}

void *vmap(struct page **pages, unsigned int count, unsigned long flags, int prot)
{
	unsigned int i, n;
	void *at;

	check(count <= FUZZ_VMAP_PAGES && !driver_start);
	if (fuzz_no_memory())
		return NULL;
	driver_len = count * PAGE_SIZE;
	/* With a page before and one behind that stay forbidden. */
	driver_start = mmap(NULL, driver_len + 2 * PAGE_SIZE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(driver_start != MAP_FAILED);
	driver_start += PAGE_SIZE;
	for (i = 0; i < count; i += n) {
		for (n = 1; i + n < count && pages[i + n]->number == pages[i]->number + n; n++)
			;
		at = mmap(driver_start + i * PAGE_SIZE, n * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, memory_fd, pages[i]->number * PAGE_SIZE);
		check(at != MAP_FAILED);
	}
	return driver_start;
}

void *vmbus_shared_map(struct page **pages, u32 nr_pages, bool private)
{
	return vmap(pages, nr_pages, VM_MAP, 0);
}

void vunmap(const void *addr)
{
	if (!addr)
		return;
	check(addr == driver_start);
	check(!munmap(driver_start - PAGE_SIZE, driver_len + 2 * PAGE_SIZE));
	driver_start = NULL;
}

struct page **shared_pages(void)
{
	return page_list;
}

void shared_mapped(void)
{
	memcpy(shared.shadow, shared.ring, offsetof(struct hv_ring_buffer, reserved2));
}

void shared_verify(void)
{
	check(!memcmp(shared.shadow, shared.ring, PAGE_SIZE + shared.size));
}

/* ---- the host ---- */

static unsigned int turns_left, reads_to_wait;

static void next_turn(void)
{
	reads_to_wait = turns_left ? input_back(1) : 0;
}

void shared_start(struct hv_ring_buffer_info *info, u32 data_pages, unsigned int turns)
{
	if (memory_fd < 0)
		memory_init();
	check(data_pages <= FUZZ_MAX_DATA_PAGES);
	shared.size = data_pages * PAGE_SIZE;
	shared.info = info;
	shared.broke_rules = false;
	shared.acted = 0;
	shared.logged = 0;
	fail_allocation(0);
	memset(shared.ring, 0, PAGE_SIZE + shared.size);
	memset(shared.shadow, 0, PAGE_SIZE + shared.size);
	forget();
	turns_left = turns;
	next_turn();
}

void host_write(u32 offset, const void *from, u32 len)
{
	u32 first;

	offset %= shared.size;
	first = min(len, shared.size - offset);
	memcpy(shared.ring->buffer + offset, from, first);
	memcpy(shared.shadow->buffer + offset, from, first);
	memcpy(shared.ring->buffer, from + first, len - first);
	memcpy(shared.shadow->buffer, from + first, len - first);
}

void host_set(u32 *field, u32 value)
{
	*field = value;
	*(u32 *)((void *)shared.shadow + ((void *)field - (void *)shared.ring)) = value;
}

/* Offset in the ring's data of an address in the driver's mapping, else -1. */
static long data_offset(const void *p)
{
	long offset = (const u8 *)p - driver_start - (long)PAGE_SIZE;

	return offset < 0 || offset >= (long)(driver_len - PAGE_SIZE) ? -1 : offset % shared.size;
}

/* A descriptor with lengths that tempt, at the reader's index. */
static void write_descriptor(void)
{
	struct vmpacket_descriptor desc = {
		.type = input_back(1),
		.offset8 = input_back(1),
		.len8 = input_back(2),
	};

	host_write(shared.info->priv_read_index, &desc, sizeof(u64));
}

void host_act(const void *reading)
{
	struct hv_ring_buffer *ring = shared.ring;
	u8 what = input_back(1) % 13;
	u64 word;

	shared.acted++;
	shared.broke_rules = true;
	/* Data that the driver writes it never reads: nothing to be learned there. */
	if (driver_owns == offsetof(struct hv_ring_buffer, write_index) && what >= 10)
		what -= 10;
	switch (what) {
	case 0:
		return host_set(&ring->write_index, input_back(2) * 8 % shared.size);
	case 1:
		return host_set(&ring->write_index, input_back(4));
	case 2:
		return host_set(&ring->read_index, input_back(2) * 8 % shared.size);
	case 3:
		return host_set(&ring->read_index, input_back(4));
	case 4:
		return host_set(&ring->interrupt_mask, input_back(1));
	case 5:
		return host_set(&ring->pending_send_sz, input_back(1) % 2 ? input_back(4) :
				input_back(2) % (shared.size + 8));
	case 6:
		return host_set(&ring->feature_bits.value, input_back(1));
	case 7:
		/* A little more than the driver has read: room for a small packet, or not quite. */
		return host_set(&ring->write_index,
				(shared.info->priv_read_index + input_back(1) * 8) % shared.size);
	case 8:
		/* The size itself and what is next to it. */
		return host_set(&ring->write_index, shared.size - 8 + input_back(1) % 17);
	case 9:
		return host_set(&ring->read_index, shared.size - 8 + input_back(1) % 17);
	case 10:
		word = input_back(8);
		if (reading && data_offset(reading) >= 0)
			host_write(data_offset(reading) / 8 * 8, &word, sizeof(word));
		return;
	case 11:
		word = input_back(8);
		return host_write(input_back(2) * 8, &word, sizeof(word));
	case 12:
		return write_descriptor();
	}
}

/* ---- hooks ---- */

static bool is_shared(const void *p)
{
	return driver_start && (const u8 *)p >= driver_start &&
	       (const u8 *)p < driver_start + driver_len;
}

void fuzz_before(const void *p)
{
	if (!turns_left || !is_shared(p))
		return;
	while (turns_left && !reads_to_wait) {
		turns_left--;
		host_act(p);
		next_turn();
	}
	if (turns_left)
		reads_to_wait--;
}

static void note_load(struct loads *loads, const void *value)
{
	memcpy(&loads->last, value, sizeof(loads->last));
	if (!loads->count++)
		loads->first = loads->last;
}

void forget(void)
{
	memset(&observed, 0, sizeof(observed));
}

void fuzz_loaded(const void *p, const void *value, size_t size)
{
	if (!is_shared(p))
		return;
	if (data_offset(p) >= 0) {
		check(size == sizeof(u64));
		if (observed.words < 2)
			memcpy(&observed.data[observed.words], value, sizeof(u64));
		observed.words++;
		return;
	}
	check(size == sizeof(u32));
	switch ((const u8 *)p - driver_start) {
	case offsetof(struct hv_ring_buffer, write_index):
		return note_load(&observed.write_index, value);
	case offsetof(struct hv_ring_buffer, read_index):
		return note_load(&observed.read_index, value);
	case offsetof(struct hv_ring_buffer, interrupt_mask):
		return note_load(&observed.interrupt_mask, value);
	case offsetof(struct hv_ring_buffer, pending_send_sz):
		return note_load(&observed.pending_send_sz, value);
	case offsetof(struct hv_ring_buffer, feature_bits):
		return note_load(&observed.feature_bits, value);
	default:
		check(!"a field that the driver has no reason to read");
	}
}

void fuzz_stored(const void *p, const void *value, size_t size)
{
	if (!is_shared(p))
		return;
	check((const u8 *)p - driver_start == driver_owns && size == sizeof(u32));
	memcpy(&observed.stored, value, sizeof(u32));
	observed.stores++;
	check(index_valid(observed.stored));
	memcpy((u8 *)shared.shadow + driver_owns, value, sizeof(u32));
}

void *fuzz_copy(void *to, const void *from, size_t len)
{
	size_t i, n;

	if (!turns_left || !is_shared(from))
		return memcpy(to, from, len);
	for (i = 0; i < len; i += n) {
		n = min(len - i, sizeof(u64));
		fuzz_before(from + i);
		memcpy(to + i, from + i, n);
	}
	return to;
}

void fuzz_log(void)
{
	shared.logged++;
}
