// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands to a SCSI disk, by SG_IO, each with the answer that it must have:
 * those that the target knows with good status and what their data must say,
 * those that it must refuse with the sense that says why.
 *
 *   sg commands DEVICE MEGABYTES
 *   sg stop DEVICE	stop the unit; reads are refused; start it again
 *   sg attention DEVICE	the next command tells that the LUNs have changed
 *   sg reset DEVICE	bus reset while commands run
 *   sg shapes DEVICE	transfers whose memory begins and ends anywhere
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <scsi/scsi.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "program.h"

#define BLOCK		512
#define __aligned(n)	__attribute__((aligned(n)))

static int fd;
static unsigned char data[1 << 20] __aligned(4096);
static unsigned char sense[32];
static struct sg_io_hdr io;

enum way { NONE = SG_DXFER_NONE, OUT = SG_DXFER_TO_DEV, IN = SG_DXFER_FROM_DEV };

struct cdb {
	unsigned char len;
	unsigned char bytes[16];
};

#define CDB(...)	\
	((struct cdb){ sizeof((unsigned char []){ __VA_ARGS__ }), { __VA_ARGS__ } })

static void command(enum way way, unsigned int len, struct cdb cdb)
{
	memset(&io, 0, sizeof(io));
	memset(sense, 0, sizeof(sense));
	io.interface_id = 'S';
	io.dxfer_direction = way;
	io.cmdp = cdb.bytes;
	io.cmd_len = cdb.len;
	io.dxferp = data;
	io.dxfer_len = len;
	io.sbp = sense;
	io.mx_sb_len = sizeof(sense);
	io.timeout = 30000;
	if (ioctl(fd, SG_IO, &io))
		fail("SG_IO %02x", cdb.bytes[0]);
}

/* Good status, @moved bytes. */
static void good(const char *name, enum way way, unsigned int len, int moved, struct cdb cdb)
{
	command(way, len, cdb);
	if (io.status || io.host_status || io.driver_status ||
	    (int)io.dxfer_len - io.resid != moved)
		fail("%s: status %x host %x driver %x sense %x/%02x%02x, %d bytes", name, io.status,
		     io.host_status, io.driver_status, sense[2], sense[12], sense[13],
		     (int)io.dxfer_len - io.resid);
	printf("%s: answered, %d bytes\n", name, moved);
}

/*
 * Refused by the target; but of these commands hv_storvsc says that all is well,
 * since some hosts fail them for no reason. The test looks at the host's counters.
 */
static void veiled(const char *name, unsigned int len, struct cdb cdb)
{
	command(IN, len, cdb);
	if (io.status)
		fail("%s: status %x", name, io.status);
	printf("%s: hidden\n", name);
}

/* Refused with this sense. */
static void bad(const char *name, int key, int code, enum way way, unsigned int len,
		struct cdb cdb)
{
	command(way, len, cdb);
	if (io.status != 2 || (sense[2] & 0xf) != key || sense[12] << 8 != (code & 0xff00) ||
	    sense[13] != (code & 0xff))
		fail("%s: status %x host %x sense %x/%02x%02x", name, io.status, io.host_status,
		     sense[2], sense[12], sense[13]);
	printf("%s: refused, %x/%04x\n", name, key, code);
}

static unsigned int be32(unsigned int at)
{
	unsigned int value;

	memcpy(&value, data + at, sizeof(value));
	return be32toh(value);
}

static void must(int ok, const char *what)
{
	if (!ok)
		fail("%s", what);
}

static void says(unsigned int last)
{
	good("INQUIRY", IN, 255, 36, CDB(0x12, 0, 0, 0, 255, 0));
	must(!memcmp(data + 8, "Msft    Virtual Disk    ", 24), "vendor and product");
	good("INQUIRY, cut", IN, 8, 8, CDB(0x12, 0, 0, 0, 8, 0));
	good("INQUIRY 00", IN, 255, 10, CDB(0x12, 1, 0, 0, 255, 0));
	must(data[4] == 0 && data[9] == 0xb2, "list of pages");
	good("INQUIRY 80", IN, 255, 16, CDB(0x12, 1, 0x80, 0, 255, 0));
	must(!memcmp(data + 4, "LOOP", 4), "serial number");
	good("INQUIRY 83", IN, 255, 24, CDB(0x12, 1, 0x83, 0, 255, 0));
	must(data[8] >> 4 == 6, "NAA name");
	good("INQUIRY b0", IN, 255, 64, CDB(0x12, 1, 0xb0, 0, 255, 0));
	must(be32(8) == 1024, "maximum transfer length");
	good("INQUIRY b1", IN, 255, 64, CDB(0x12, 1, 0xb1, 0, 255, 0));
	good("INQUIRY b2", IN, 255, 8, CDB(0x12, 1, 0xb2, 0, 255, 0));
	must(data[5] == 0x84, "UNMAP is said to work");
	good("REPORT LUNS", IN, 64, 16, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0));
	must(be32(0) == 8, "one LUN");
	good("REQUEST SENSE", IN, 18, 18, CDB(0x03, 0, 0, 0, 18, 0));
	must(data[0] == 0x70 && !data[2], "no sense");
	good("READ CAPACITY 10", IN, 8, 8, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	must(be32(0) == last && be32(4) == BLOCK, "capacity, 10");
	good("READ CAPACITY 16", IN, 32, 32,
	     CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0));
	must(be32(4) == last && be32(8) == BLOCK && data[14] == 0xc0, "capacity, 16");
	good("MODE SENSE 6", IN, 64, 24, CDB(0x1a, 0, 0x08, 0, 64, 0));
	must(data[0] == 23 && data[4] == 8 && data[6] == 4, "caching page, 6");
	good("MODE SENSE 10", IN, 64, 28, CDB(0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 64, 0));
	must(data[1] == 26 && data[8] == 8 && data[10] == 4, "caching page, 10");
}

/* Written by each of the commands, read by another. */
static void moves(void)
{
	good("TEST UNIT READY", NONE, 0, 0, CDB(0, 0, 0, 0, 0, 0));
	memset(data, 0xa6, BLOCK);
	good("WRITE 6", OUT, BLOCK, BLOCK, CDB(0x0a, 0, 0, 8, 1, 0));
	memset(data, 0xb0, 2 * BLOCK);
	good("WRITE 10", OUT, 2 * BLOCK, 2 * BLOCK, CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 2, 0));
	memset(data, 0xc6, BLOCK);
	good("WRITE 16", OUT, BLOCK, BLOCK,
	     CDB(0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 1, 0, 0));
	memset(data, 0, sizeof(data));
	good("READ 16", IN, 4 * BLOCK, 4 * BLOCK,
	     CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0));
	must(data[0] == 0xa6 && data[BLOCK] == 0xb0 && data[3 * BLOCK - 1] == 0xb0 &&
	     data[3 * BLOCK] == 0xc6, "what was written, by READ 16");
	good("READ 6", IN, BLOCK, BLOCK, CDB(0x08, 0, 0, 11, 1, 0));
	must(data[0] == 0xc6, "what was written, by READ 6");
	good("READ 6 of 256", IN, 256 * BLOCK, 256 * BLOCK,
	     CDB(0x08, 0, 0, 0, 0, 0));
	good("READ 10", IN, BLOCK, BLOCK, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0));
	must(data[0] == 0xa6, "what was written, by READ 10");
	good("READ 10 of none", NONE, 0, 0, CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 0, 0));
	good("SYNCHRONIZE CACHE 10", NONE, 0, 0, CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	good("SYNCHRONIZE CACHE 16", NONE, 0, 0,
	     CDB(0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	memset(data, 0, 24);
	data[1] = 22;
	data[3] = 16;
	data[15] = 9;		/* from here */
	data[19] = 2;		/* so many */
	good("UNMAP", OUT, 24, 24, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0));
	good("READ 10 behind UNMAP", IN, 4 * BLOCK, 4 * BLOCK,
	     CDB(0x28, 0, 0, 0, 0, 8, 0, 0, 4, 0));
	must(data[0] == 0xa6 && !data[BLOCK] && !data[3 * BLOCK - 1] && data[3 * BLOCK] == 0xc6,
	     "zeros where it was unmapped, and nowhere else");
}

static void refuses(unsigned int last)
{
	unsigned char l[4] = { last >> 24, last >> 16, last >> 8, last };

	bad("opcode 16", 5, 0x2000, NONE, 0, CDB(0x16, 0, 0, 0, 0, 0));
	bad("WRITE SAME 10", 5, 0x2000, OUT, BLOCK, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	bad("opcode a3", 5, 0x2000, IN, 64, CDB(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0));
	bad("READ 10 across the end", 5, 0x2100, IN, 2 * BLOCK,
	    CDB(0x28, 0, l[0], l[1], l[2], l[3], 0, 0, 2, 0));
	good("READ 10 of the last", IN, BLOCK, BLOCK,
	     CDB(0x28, 0, l[0], l[1], l[2], l[3], 0, 0, 1, 0));
	bad("WRITE 16 far behind the end", 5, 0x2100, OUT, BLOCK,
	    CDB(0x8a, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0));
	bad("SYNCHRONIZE CACHE 16 behind the end", 5, 0x2100, NONE, 0,
	    CDB(0x91, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	bad("READ 10, too little room", 5, 0x2400, IN, BLOCK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0));
	bad("READ 10, protection", 5, 0x2400, IN, BLOCK, CDB(0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0));
	veiled("INQUIRY of a page that is not", 255, CDB(0x12, 1, 0xc0, 0, 255, 0));
	veiled("INQUIRY, page without EVPD", 255, CDB(0x12, 0, 0x80, 0, 255, 0));
	bad("REPORT LUNS, no room", 5, 0x2400, IN, 8, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0));
	veiled("MODE SENSE of page 0a", 64, CDB(0x1a, 0, 0x0a, 0, 64, 0));
	veiled("MODE SENSE, saved", 64, CDB(0x1a, 0, 0xc8, 0, 64, 0));
	bad("START STOP UNIT, power", 5, 0x2400, NONE, 0, CDB(0x1b, 0, 0, 0, 0x20, 0));
	memset(data, 0, 24);
	data[3] = 32;
	bad("UNMAP, list too long", 5, 0x1a00, OUT, 24, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0));
	data[3] = 16;
	memset(data + 8, 255, 8);
	data[19] = 1;
	bad("UNMAP behind the end", 5, 0x2100, OUT, 24, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0));
}

static void stops(void)
{
	good("STOP", NONE, 0, 0, CDB(0x1b, 0, 0, 0, 0, 0));
	bad("READ 10, stopped", 2, 0x0402, IN, BLOCK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	bad("TEST UNIT READY, stopped", 2, 0x0402, NONE, 0, CDB(0, 0, 0, 0, 0, 0));
	good("START", NONE, 0, 0, CDB(0x1b, 0, 0, 0, 1, 0));
	good("READ 10, started", IN, BLOCK, BLOCK, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
}

/* Direct I/O to and from memory of many shapes: parts begin and end anywhere in a page. */
static void shapes(void)
{
	static unsigned char memory[1 << 20] __aligned(4096);
	struct iovec parts[16];
	unsigned int round, i, at, total, seed = 1;

	for (round = 0; round < 60; round++) {
		for (i = at = total = 0; i < 1 + round % 16; i++) {
			unsigned int skip = rand_r(&seed) % 9 * BLOCK;
			unsigned int len = (1 + rand_r(&seed) % 40) * BLOCK;

			parts[i] = (struct iovec) { memory + at + skip, len };
			at += skip + len;
			total += len;
		}
		for (at = 0; at < sizeof(memory); at++)
			memory[at] = rand_r(&seed);
		if (pwritev(fd, parts, i, 1 << 20) != (ssize_t)total)
			fail("pwritev of %u bytes in %u parts", total, i);
		if (pread(fd, data, total, 1 << 20) != (ssize_t)total)
			fail("pread of %u bytes", total);
		for (i = at = 0; at < total; at += parts[i++].iov_len)
			if (memcmp(data + at, parts[i].iov_base, parts[i].iov_len))
				fail("round %u: part %u was not written as it was", round, i);
		memset(memory, 0, sizeof(memory));
		if (preadv(fd, parts, i, 1 << 20) != (ssize_t)total)
			fail("preadv of %u bytes in %u parts", total, i);
		for (i = at = 0; at < total; at += parts[i++].iov_len)
			if (memcmp(data + at, parts[i].iov_base, parts[i].iov_len))
				fail("round %u: part %u was not read as it is", round, i);
		/* Between the parts nothing was touched. */
		for (at = i = 0; at < sizeof(memory); at++) {
			if (i < 1 + round % 16 && memory + at == parts[i].iov_base) {
				at += parts[i++].iov_len - 1;
				continue;
			}
			if (memory[at])
				fail("round %u: byte %u between the parts", round, at);
		}
	}
	printf("%u rounds\n", round);
}

static void reset(void)
{
	int what = SG_SCSI_RESET_BUS;

	if (ioctl(fd, SG_SCSI_RESET, &what))
		fail("SG_SCSI_RESET");
}

int main(int argc, char **argv)
{
	unsigned int last;

	if (argc < 3)
		fail("usage: sg commands|stop|attention|reset|shapes DEVICE [MEGABYTES]");
	/* Without BLK_DEV_WRITE_MOUNTED a mounted disk cannot be opened for writing. */
	if (!strcmp(argv[1], "reset"))
		fd = open(argv[2], O_RDONLY | O_NONBLOCK);
	else
		fd = open(argv[2], O_RDWR | (strcmp(argv[1], "shapes") ? O_NONBLOCK : O_DIRECT));
	if (fd < 0)
		fail("%s", argv[2]);
	last = argc > 3 ? atoi(argv[3]) * 2048 - 1 : 0;
	if (!strcmp(argv[1], "commands")) {
		says(last);
		moves();
		refuses(last);
	} else if (!strcmp(argv[1], "stop")) {
		stops();
	} else if (!strcmp(argv[1], "attention")) {
		bad("TEST UNIT READY", 6, 0x3f0e, NONE, 0, CDB(0, 0, 0, 0, 0, 0));
		good("TEST UNIT READY", NONE, 0, 0, CDB(0, 0, 0, 0, 0, 0));
	} else if (!strcmp(argv[1], "shapes")) {
		shapes();
	} else {
		reset();
	}
	return 0;
}
