// SPDX-License-Identifier: GPL-2.0-only
/*
 * A user of uio_hv_generic, as DPDK's VMBus bus is one: maps the rings of a
 * device whose channels send back what they get (devices.c).
 *
 *   uio info N			what /sys/class/uio/uioN and the channels say
 *   uio exchange N ROUNDS	packets by the rings of /dev/uioN, with interrupts
 *   uio irq N			no interrupt while they are off, one when they are on
 *   uio subs N COUNT ROUNDS	so many sub-channels, packets on all
 *   uio rescind N COUNT	the device is taken away, a sub-channel before it, while
 *				all is mapped and so many sub-channels are open
 *
 * Prints a line of what it found; status 0 if all was as it should be.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#define PAGE		4096
#define MAX_PAYLOAD	16384
#define MAX_SUBS	8
#define LOOP		"/sys/kernel/debug/hv_vmbus_loop/"

struct ring {
	volatile uint32_t *header;	/* write index, read index, interrupt mask */
	uint8_t *data;
	uint32_t size;
};

struct channel {
	unsigned int relid;
	unsigned int monitor;
	void *map;
	size_t map_size;
	struct ring tx, rx;
	uint32_t sent, received;
};

struct packet {
	uint16_t type, offset8, len8, flags;
	uint64_t id;
	uint8_t payload[MAX_PAYLOAD];
};

static unsigned int number;	/* N of uioN */
static int fd;
static volatile uint32_t *monitor_page;
static struct packet out, in;

/* ---- sysfs ---- */

/* Valid until the next call. */
static __attribute__((format(printf, 1, 2))) const char *device_path(const char *format, ...)
{
	static char path[512];
	va_list args;
	int len;

	len = snprintf(path, sizeof(path), "/sys/class/uio/uio%u/", number);
	va_start(args, format);
	vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	return path;
}

static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, size, file))
		fail("read %s", path);
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

static unsigned long read_number(const char *path)
{
	char line[64];

	read_line(path, line, sizeof(line));
	return strtoul(line, NULL, 0);
}

/* Asks the host for something. */
static void host(const char *file, const char *format, ...)
{
	char path[128];
	va_list args;
	FILE *to;

	snprintf(path, sizeof(path), LOOP "%s", file);
	to = fopen(path, "w");
	if (!to)
		fail("open %s", path);
	va_start(args, format);
	vfprintf(to, format, args);
	va_end(args);
	if (fclose(to))
		fail("write %s", path);
}

/* ---- maps ---- */

/* As DPDK: the index of a map is its offset in pages. */
static void *map_region(const char *name, size_t *size)
{
	unsigned int i;
	char line[64];
	void *at;

	for (i = 0; i < 5; i++) {
		read_line(device_path("maps/map%u/name", i), line, sizeof(line));
		if (strncmp(line, name, strlen(name)))
			continue;
		*size = read_number(device_path("maps/map%u/size", i));
		at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)i * PAGE);
		if (at == MAP_FAILED)
			fail("mmap %s, %zu bytes", name, *size);
		return at;
	}
	fail("no map %s", name);
}

static void set_rings(struct channel *chan, void *map, size_t size)
{
	chan->map = map;
	chan->map_size = size;
	chan->tx.header = map;
	chan->tx.data = (uint8_t *)map + PAGE;
	chan->tx.size = size / 2 - PAGE;
	chan->rx.header = (void *)((uint8_t *)map + size / 2);
	chan->rx.data = (uint8_t *)map + size / 2 + PAGE;
	chan->rx.size = size / 2 - PAGE;
}

/* The `ring` file of a channel's directory. */
static void *map_ring_file(unsigned int relid, size_t *size)
{
	const char *path = device_path("device/channels/%u/ring", relid);
	int ring = open(path, O_RDWR);
	struct stat st;
	void *at;

	if (ring < 0 || fstat(ring, &st))
		fail("open %s", path);
	*size = st.st_size;
	at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
	if (at == MAP_FAILED)
		fail("mmap %s, %zu bytes", path, *size);
	close(ring);
	return at;
}

static unsigned int monitor_of(unsigned int relid)
{
	return read_number(device_path("device/channels/%u/monitor_id", relid));
}

static void open_device(struct channel *primary)
{
	char path[64];
	size_t size;
	void *map;

	snprintf(path, sizeof(path), "/dev/uio%u", number);
	fd = open(path, O_RDWR);
	if (fd < 0)
		fail("open %s", path);
	map = map_region("txrx_rings", &size);
	set_rings(primary, map, size);
	primary->relid = read_number(device_path("device/id"));
	primary->monitor = read_number(device_path("device/monitor_id"));
	monitor_page = map_region("monitor_page", &size);
	map_region("int_page", &size);
}

/* ---- rings ---- */

static void put(struct ring *ring, uint32_t at, const void *from, uint32_t len)
{
	uint32_t first;

	at %= ring->size;
	first = len < ring->size - at ? len : ring->size - at;
	memcpy(ring->data + at, from, first);
	memcpy(ring->data, (const uint8_t *)from + first, len - first);
}

static void get(struct ring *ring, uint32_t at, void *to, uint32_t len)
{
	uint32_t first;

	at %= ring->size;
	first = len < ring->size - at ? len : ring->size - at;
	memcpy(to, ring->data + at, first);
	memcpy((uint8_t *)to + first, ring->data, len - first);
}

static uint32_t used(const struct ring *ring)
{
	uint32_t write = ring->header[0], read = ring->header[1];

	return write >= read ? write - read : ring->size - read + write;
}

static void signal_host(const struct channel *chan)
{
	/* The page: 8 bytes, then 4 groups of pending and armed bits. */
	__atomic_fetch_or((uint32_t *)monitor_page + 2 + chan->monitor / 32 * 2,
			  1U << chan->monitor % 32, __ATOMIC_SEQ_CST);
}

static void make_payload(const struct channel *chan, uint32_t n, uint8_t *payload, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		payload[i] = n * 13 + chan->relid + i;
}

/* Return: whether there was room. */
static int send_packet(struct channel *chan, uint32_t payload)
{
	uint32_t len = 16 + (payload + 7) / 8 * 8, at = chan->tx.header[0];
	uint64_t trailer = (uint64_t)at << 32;

	if (used(&chan->tx) + len + 8 >= chan->tx.size)
		return 0;
	out.type = 6;
	out.offset8 = 2;
	out.len8 = len / 8;
	out.flags = 0;
	out.id = chan->sent;
	memset(out.payload, 0, len - 16);
	make_payload(chan, chan->sent, out.payload, payload);
	put(&chan->tx, at, &out, len);
	put(&chan->tx, at + len, &trailer, sizeof(trailer));
	__atomic_store_n((uint32_t *)chan->tx.header, (at + len + 8) % chan->tx.size,
			 __ATOMIC_SEQ_CST);
	chan->sent++;
	if (!chan->tx.header[2])
		signal_host(chan);
	return 1;
}

/* Return: payload bytes; -1 if there is no packet. */
static int receive_packet(struct channel *chan)
{
	uint32_t at = chan->rx.header[1], len;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!used(&chan->rx))
		return -1;
	get(&chan->rx, at, &in, 16);
	len = in.len8 * 8;
	if (in.type != 6 || in.offset8 != 2 || len < 16 || len > sizeof(in))
		fail("relid %u: packet type %u of %u bytes, payload at %u", chan->relid, in.type,
		     len, in.offset8 * 8);
	get(&chan->rx, at, &in, len);
	__atomic_store_n((uint32_t *)chan->rx.header + 1, (at + len + 8) % chan->rx.size,
			 __ATOMIC_SEQ_CST);
	return len - 16;
}

/* The answer to the oldest packet that has none yet. */
static int receive_echo(struct channel *chan)
{
	static uint8_t expected[MAX_PAYLOAD];
	int len = receive_packet(chan);

	if (len < 0)
		return 0;
	if (in.id != chan->received)
		fail("relid %u: answer %llu instead of %u", chan->relid, (unsigned long long)in.id,
		     chan->received);
	/* Lengths are multiples of 8 here, so that there is no padding. */
	make_payload(chan, chan->received, expected, len);
	if (memcmp(in.payload, expected, len))
		fail("relid %u: answer %u differs", chan->relid, chan->received);
	chan->received++;
	return 1;
}

/* ---- interrupts ---- */

static void set_interrupts(uint32_t on)
{
	if (write(fd, &on, sizeof(on)) != sizeof(on))
		fail("write %u", on);
}

/* Return: interrupts so far, or -1 if none comes in time. */
static int wait_interrupt(int ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint32_t count;

	if (poll(&ready, 1, ms) != 1)
		return -1;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		fail("read");
	return count;
}

static void drain_interrupts(void)
{
	while (wait_interrupt(100) >= 0)
		;
}

/* ---- what it can do ---- */

static int receive_some(struct channel *chans, unsigned int count)
{
	unsigned int i;
	int got = 0;

	for (i = 0; i < count; i++)
		while (receive_echo(&chans[i]))
			got = 1;
	return got;
}

static uint32_t waiting(const struct channel *chans, unsigned int count)
{
	uint32_t all = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		all += chans[i].sent - chans[i].received;
	return all;
}

/* Packets of all sizes; sleeps until an interrupt whenever there is nothing to read. */
static void exchange(struct channel *chans, unsigned int count, unsigned int rounds)
{
	unsigned int i, interrupts = 0;

	for (; rounds; rounds--) {
		for (i = 0; i < count; i++)
			while (rand() % 4 && send_packet(&chans[i], rand() % (MAX_PAYLOAD / 8) * 8))
				;
		while (waiting(chans, count) > (rounds > 1 ? 4 : 0)) {
			set_interrupts(0);
			if (receive_some(chans, count))
				continue;
			set_interrupts(1);
			/* What came before they were on gives none. */
			if (receive_some(chans, count))
				continue;
			if (wait_interrupt(60000) < 0)
				fail("no interrupt, %u packets have no answer",
				     waiting(chans, count));
			interrupts++;
		}
	}
	for (i = 0; i < count; i++)
		printf("relid %u: %u packets sent, %u back\n", chans[i].relid, chans[i].sent,
		       chans[i].received);
	printf("slept for %u interrupts\n", interrupts);
	if (!interrupts)
		fail("no interrupt at all");
}

static void info(void)
{
	unsigned int i;
	char line[128];

	for (i = 0; i < 5; i++) {
		read_line(device_path("maps/map%u/name", i), line, sizeof(line));
		printf("map%u %s %#lx\n", i, line,
		       read_number(device_path("maps/map%u/size", i)));
	}
}

/* The file and the device show the same memory. */
static void compare_maps(struct channel *primary)
{
	uint32_t *header;
	size_t size;
	void *map = map_ring_file(primary->relid, &size);

	if (size != primary->map_size)
		fail("the ring file has %zu bytes, the map %zu", size, primary->map_size);
	header = map;
	if (header[0] != primary->tx.header[0] || header[0] == 0)
		fail("write index %u in the ring file, %u in the map", header[0],
		     primary->tx.header[0]);
	if (memcmp((uint8_t *)map + PAGE, primary->tx.data, primary->tx.size))
		fail("the ring file is not the ring");
	munmap(map, size);
}

static void irq(struct channel *primary)
{
	int before, after;
	uint32_t i;

	set_interrupts(0);
	/* One from before may be on its way to a processor that stands still. */
	drain_interrupts();
	if (!primary->rx.header[2])
		fail("interrupts off, but the mask is not set");
	host("poke", "%u 3", primary->relid);
	if (wait_interrupt(500) >= 0)
		fail("an interrupt while they are off");
	for (i = 0; i < 3; i++)
		if (receive_packet(primary) < 4 || memcmp(in.payload, &i, sizeof(i)))
			fail("packet %u from the host", i);
	set_interrupts(1);
	if (primary->rx.header[2])
		fail("interrupts on, but the mask is set");
	host("poke", "%u 1", primary->relid);
	before = wait_interrupt(60000);
	if (before < 0 || receive_packet(primary) < 4)
		fail("no interrupt although they are on");
	host("poke", "%u 1", primary->relid);
	after = wait_interrupt(60000);
	if (after != before + 1)
		fail("interrupt %d after number %d", after, before);
	if (receive_packet(primary) < 4 || receive_packet(primary) != -1)
		fail("packets after the last interrupt");
	printf("no interrupt while off, one for each packet while on\n");
}

/* Relids of the sub-channels whose ring file can be seen; waits for all of them. */
static void find_subs(struct channel *subs, unsigned int count, unsigned int primary)
{
	unsigned int found = 0, tries;
	struct dirent *entry;
	DIR *dir;

	for (tries = 0; found < count && tries < 600; tries++, usleep(100000)) {
		dir = opendir(device_path("device/channels"));
		for (found = 0; dir && found < count && (entry = readdir(dir)); ) {
			subs[found].relid = strtoul(entry->d_name, NULL, 10);
			if (!subs[found].relid || subs[found].relid == primary)
				continue;
			found += !access(device_path("device/channels/%u/ring",
						     subs[found].relid), R_OK | W_OK);
		}
		closedir(dir);
	}
	if (found < count)
		fail("%u of %u sub-channels have a ring file", found, count);
}

static void open_subs(struct channel *chans, unsigned int count)
{
	unsigned int i;
	size_t size;
	void *map;

	if (count > MAX_SUBS)
		fail("%u sub-channels are more than %u", count, MAX_SUBS);
	for (i = 0; i < count; i++)
		host("sub", "%u", chans[0].relid);
	find_subs(chans + 1, count, chans[0].relid);
	for (i = 1; i <= count; i++) {
		map = map_ring_file(chans[i].relid, &size);
		set_rings(&chans[i], map, size);
		chans[i].monitor = monitor_of(chans[i].relid);
		if (!read_number(device_path("device/channels/%u/subchannel_id", chans[i].relid)))
			fail("relid %u is no sub-channel", chans[i].relid);
	}
}

/* Whoever has it mapped may go on with it, and sees no page fault. */
static void use_memory(struct channel *chan)
{
	if (chan->tx.header[0] >= chan->tx.size)
		fail("relid %u: the write index is %u", chan->relid, chan->tx.header[0]);
	memset(chan->tx.data, 0x5a, chan->tx.size);
	memset(chan->rx.data, 0xa5, chan->rx.size);
}

/* The mapping of a file in sysfs ends with the file, which is the kernel's rule. */
static void expect_no_memory(struct channel *chan)
{
	int status, tries;

	fflush(stdout);
	for (tries = 0; tries < 600; tries++, usleep(100000)) {
		if (!fork())
			_exit(chan->tx.header[0] & 0);
		if (wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
			return;
	}
	fail("relid %u: its ring is still mapped", chan->relid);
}

/* The host takes a sub-channel away alone; the others go on. */
static void rescind_sub(struct channel *chans, unsigned int count)
{
	host("rescind", "%u", chans[count].relid);
	usleep(500000);
	/* Its file is there as long as it is open. */
	use_memory(&chans[count]);
	exchange(chans, count, 20);
	printf("relid %u is gone, the others go on\n", chans[count].relid);
}

static void rescind(struct channel *chans, unsigned int subs)
{
	uint32_t count;
	unsigned int i;
	ssize_t len;

	if (subs)
		rescind_sub(chans, subs);
	drain_interrupts();
	set_interrupts(1);
	if (!fork()) {
		usleep(500000);
		host("rescind", "%u", chans[0].relid);
		_exit(0);
	}
	len = read(fd, &count, sizeof(count));
	if (len >= 0)
		fail("read gave %zd", len);
	if (errno != EIO)
		fail("read of a device that is gone");
	wait(NULL);
	printf("read: %s\n", strerror(errno));
	len = write(fd, &(uint32_t){ 1 }, 4);
	if (len >= 0)
		fail("write gave %zd", len);
	printf("write: %s\n", strerror(errno));
	for (i = 1; i <= subs; i++)
		expect_no_memory(&chans[i]);
	use_memory(&chans[0]);
	for (i = 0; i <= subs; i++)
		if (munmap(chans[i].map, chans[i].map_size))
			fail("munmap");
	if (close(fd))
		fail("close");
	printf("the device's ring was there to the end\n");
}

int main(int argc, char **argv)
{
	static struct channel chans[1 + MAX_SUBS];
	unsigned int subs = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;

	if (argc < 3)
		return 2;
	/* No test hangs because the kernel does. */
	alarm(240);
	number = strtoul(argv[2], NULL, 0);
	if (!strcmp(argv[1], "info")) {
		info();
		return 0;
	}
	open_device(&chans[0]);
	if (!strcmp(argv[1], "irq")) {
		irq(&chans[0]);
	} else if (!strcmp(argv[1], "exchange") && argc == 4) {
		exchange(chans, 1, strtoul(argv[3], NULL, 0));
		compare_maps(&chans[0]);
	} else if (!strcmp(argv[1], "subs") && argc == 5) {
		open_subs(chans, subs);
		exchange(chans, subs + 1, strtoul(argv[4], NULL, 0));
	} else if (!strcmp(argv[1], "rescind") && argc == 4) {
		open_subs(chans, subs);
		exchange(chans, subs + 1, 20);
		rescind(chans, subs);
	} else {
		return 2;
	}
	return 0;
}
