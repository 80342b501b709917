// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks as a SCSI target has them: commands, sense data, media.
 *
 * Facts from SAM-4, SPC-3 (INQUIRY, REPORT LUNS, MODE SENSE, sense data) and
 * SBC-3 (everything with blocks, UNMAP, block limits); vendor and product are
 * those of Hyper-V's disks.
 *
 * The media are memory, all of it taken when the disk is made, so that a guest
 * that swaps to it finds none missing; or a file, for LUN 0.
 *
 * Actions: disk_begin(), disk_end() by the controller's worker, with the model
 * locked; disk_media() by the same, without; files, which lock it. The model's
 * mutex protects the table of disks and all of a disk but its media, which are
 * the worker's.
 * References: the table has one, and so has the command between its two steps.
 *
 * Files in debugfs:
 *   lun	write "add LUN MEGABYTES" or "remove LUN"; the guest is told to look
 *   lun_quiet	the same, but it is not told
 *   disks	LUN, blocks, serial number, kind of media
 *   commands	opcode, how many so far, how many of them were refused
 *   media	bytes read, written, unmapped; flushes; errors of the file
 */
#include <linux/debugfs.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include VMBUS_UNALIGNED_H

#include "disk.h"
#include "loop.h"
#include "sim_host.h"

#define BLOCK		512
#define MAX_MB		SZ_1M	/* 1 TiB */
#define UNMAP_RANGES	64

static uint disks;
module_param(disks, uint, 0444);
MODULE_PARM_DESC(disks, "LUNs that the SCSI controller begins with; 0: there is no controller");

static uint disk_mb = 64;
module_param(disk_mb, uint, 0444);
MODULE_PARM_DESC(disk_mb, "Their size in megabytes");

static char *disk_file;
module_param(disk_file, charp, 0444);
MODULE_PARM_DESC(disk_file, "A file or a block device that is LUN 0 instead, as long as it is");

struct disk {
	unsigned int users;
	u64 blocks;
	u32 serial;
	u16 attention;		/* ASC and ASCQ to be told with the next command; 0: none */
	bool stopped;
	u8 *memory;
	struct file *file;	/* or this */
};

static struct disk *table[DISK_LUNS];

static struct {
	u32 all[256], refused[256];
	u64 read, written, unmapped;
	u32 flushes, errors;
} count;

/* ---- sense ---- */

enum {
	NO_SENSE = 0,
	NOT_READY = 2,
	MEDIUM_ERROR = 3,
	ILLEGAL_REQUEST = 5,
	UNIT_ATTENTION = 6,
};

/* ASC and ASCQ */
#define STOPPED			0x0402
#define WRITE_ERROR		0x0c00
#define READ_ERROR		0x1100
#define PARAMETER_LIST_LENGTH	0x1a00
#define INVALID_OPCODE		0x2000
#define OUT_OF_RANGE		0x2100
#define INVALID_FIELD		0x2400
#define NO_SUCH_LUN		0x2500
#define INVALID_PARAMETER	0x2600
#define HAS_BEEN_RESET		0x2900
#define NO_SAVED_PARAMETERS	0x3900
#define LUNS_HAVE_CHANGED	0x3f0e

static void fill_sense(u8 *sense, u8 key, u16 code)
{
	memset(sense, 0, DISK_SENSE);
	sense[0] = 0x70;
	sense[2] = key;
	sense[7] = DISK_SENSE - 8;
	put_unaligned_be16(code, &sense[12]);
}

static void refuse(struct disk_command *cmd, u8 key, u16 code)
{
	cmd->status = DISK_CHECK_CONDITION;
	cmd->action = DISK_NOTHING;
	cmd->done = 0;
	fill_sense(cmd->sense, key, code);
}

static void invalid(struct disk_command *cmd)
{
	refuse(cmd, ILLEGAL_REQUEST, INVALID_FIELD);
}

/* Data for the initiator, as far as it wants them. */
static void give(struct disk_command *cmd, const void *data, u32 len, u32 wanted)
{
	len = min3(len, wanted, cmd->len);
	if (len && !cmd->from_disk) {
		invalid(cmd);
		return;
	}
	memcpy(cmd->buffer, data, len);
	cmd->done = len;
}

/* ---- what a disk is ---- */

static u32 page_list(const struct disk *disk, u8 *page)
{
	static const u8 pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };

	memcpy(page, pages, sizeof(pages));
	return sizeof(pages);
}

static u32 serial_page(const struct disk *disk, u8 *page)
{
	return sprintf(page, "LOOP%08x", disk->serial);
}

/* An NAA name of the registered kind, of Microsoft's number, and the serial in it. */
static u32 name_page(const struct disk *disk, u8 *page)
{
	page[0] = 0x01;
	page[1] = 0x03;
	page[3] = 16;
	put_unaligned_be32(0x60022480, &page[4]);
	put_unaligned_be32(disk->serial, &page[8]);
	put_unaligned_be32(~disk->serial, &page[16]);
	return 20;
}

static u32 limits_page(const struct disk *disk, u8 *page)
{
	put_unaligned_be32(DISK_MAX_TRANSFER / BLOCK, &page[4]);
	put_unaligned_be32(min_t(u64, disk->blocks, U32_MAX), &page[16]);
	put_unaligned_be32(UNMAP_RANGES, &page[20]);
	put_unaligned_be32(SZ_4K / BLOCK, &page[24]);
	return 60;
}

static u32 medium_page(const struct disk *disk, u8 *page)
{
	put_unaligned_be16(1, &page[0]);	/* does not rotate */
	return 60;
}

/* UNMAP works, and zeros are read then; thin. */
static u32 provisioning_page(const struct disk *disk, u8 *page)
{
	page[1] = 0x84;
	page[2] = 0x02;
	return 4;
}

static const struct {
	u8 code;
	u32 (*fill)(const struct disk *disk, u8 *page);
} vital_pages[] = {
	{ 0x00, page_list },
	{ 0x80, serial_page },
	{ 0x83, name_page },
	{ 0xb0, limits_page },
	{ 0xb1, medium_page },
	{ 0xb2, provisioning_page },
};

static void vital_page(struct disk_command *cmd, u32 wanted)
{
	u8 page[80] = { 0 };
	unsigned int i;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(vital_pages); i++) {
		if (vital_pages[i].code != cmd->cdb[2])
			continue;
		page[1] = cmd->cdb[2];
		len = vital_pages[i].fill(cmd->disk, page + 4);
		put_unaligned_be16(len, &page[2]);
		give(cmd, page, len + 4, wanted);
		return;
	}
	invalid(cmd);
}

static void inquiry(struct disk_command *cmd)
{
	u8 data[36] = { 0, 0, 5, 0x12, sizeof(data) - 5, 0, 0, 2 };
	u32 wanted = get_unaligned_be16(&cmd->cdb[3]);

	if ((cmd->cdb[1] & ~1) || (!cmd->cdb[1] && cmd->cdb[2])) {
		invalid(cmd);
	} else if (cmd->cdb[1] && cmd->disk) {
		vital_page(cmd, wanted);
	} else if (cmd->cdb[1]) {
		invalid(cmd);
	} else {
		/* No device can be there. */
		if (!cmd->disk)
			data[0] = 0x7f;
		memcpy(&data[8], "Msft    Virtual Disk    1.0 ", 28);
		give(cmd, data, sizeof(data), wanted);
	}
}

static void report_luns(struct disk_command *cmd)
{
	u8 data[8 + 8 * DISK_LUNS] = { 0 };
	u32 wanted = get_unaligned_be32(&cmd->cdb[6]), len = 8, lun;

	if (cmd->cdb[2] > 2 || wanted < 16) {
		invalid(cmd);
		return;
	}
	/* 1: well known units only, of which there is none. */
	for (lun = 0; lun < DISK_LUNS && cmd->cdb[2] != 1; lun++) {
		if (!table[lun])
			continue;
		data[len + 1] = lun;
		len += 8;
	}
	put_unaligned_be32(len - 8, data);
	if (cmd->disk && cmd->disk->attention == LUNS_HAVE_CHANGED)
		cmd->disk->attention = 0;
	give(cmd, data, len, wanted);
}

static void request_sense(struct disk_command *cmd)
{
	u8 sense[DISK_SENSE];

	if (cmd->cdb[1]) {
		invalid(cmd);
		return;
	}
	if (!cmd->disk)
		fill_sense(sense, ILLEGAL_REQUEST, NO_SUCH_LUN);
	else if (cmd->disk->attention)
		fill_sense(sense, UNIT_ATTENTION, cmd->disk->attention);
	else
		fill_sense(sense, NO_SENSE, 0);
	if (cmd->disk)
		cmd->disk->attention = 0;
	give(cmd, sense, sizeof(sense), cmd->cdb[4]);
}

static void test_unit_ready(struct disk_command *cmd)
{
}

static void start_stop(struct disk_command *cmd)
{
	if (cmd->cdb[4] & ~1)
		invalid(cmd);
	else
		cmd->disk->stopped = !(cmd->cdb[4] & 1);
}

static void read_capacity_10(struct disk_command *cmd)
{
	u8 data[8];

	put_unaligned_be32(min_t(u64, cmd->disk->blocks - 1, U32_MAX), &data[0]);
	put_unaligned_be32(BLOCK, &data[4]);
	give(cmd, data, sizeof(data), sizeof(data));
}

static void read_capacity_16(struct disk_command *cmd)
{
	u8 data[32] = { 0 };

	/* The opcode has other services. */
	if ((cmd->cdb[1] & 0x1f) != 0x10) {
		invalid(cmd);
		return;
	}
	put_unaligned_be64(cmd->disk->blocks - 1, &data[0]);
	put_unaligned_be32(BLOCK, &data[8]);
	data[14] = 0xc0;	/* UNMAP works, and zeros are read then */
	give(cmd, data, sizeof(data), get_unaligned_be32(&cmd->cdb[10]));
}

/* The caching page: there is a cache that writes back. @which: current, changeable, default. */
static void mode_sense(struct disk_command *cmd, u32 header, u32 wanted)
{
	u8 data[8 + 20] = { 0 }, *page = data + header;
	u8 which = cmd->cdb[2] >> 6, code = cmd->cdb[2] & 0x3f;
	u32 len = header + 20;

	if (which == 3) {
		refuse(cmd, ILLEGAL_REQUEST, NO_SAVED_PARAMETERS);
		return;
	}
	if (cmd->cdb[3] || (code != 0x08 && code != 0x3f)) {
		invalid(cmd);
		return;
	}
	if (header == 4)
		data[0] = len - 1;
	else
		put_unaligned_be16(len - 2, data);
	page[0] = 0x08;
	page[1] = 18;
	page[2] = which == 1 ? 0 : 0x04;
	give(cmd, data, len, wanted);
}

static void mode_sense_6(struct disk_command *cmd)
{
	mode_sense(cmd, 4, cmd->cdb[4]);
}

static void mode_sense_10(struct disk_command *cmd)
{
	mode_sense(cmd, 8, get_unaligned_be16(&cmd->cdb[7]));
}

/* ---- blocks ---- */

static bool within(const struct disk_command *cmd, u64 block, u64 blocks)
{
	return block <= cmd->disk->blocks && blocks <= cmd->disk->blocks - block;
}

/* Takes the range out of the command. Return: it is one. */
static bool get_range(struct disk_command *cmd)
{
	const u8 *cdb = cmd->cdb;

	switch (cdb[0] >> 5) {
	case 0:
		cmd->block = get_unaligned_be24(&cdb[1]) & 0x1fffff;
		cmd->blocks = cdb[4] ?: 256;
		break;
	case 1:
		cmd->block = get_unaligned_be32(&cdb[2]);
		cmd->blocks = get_unaligned_be16(&cdb[7]);
		break;
	default:
		cmd->block = get_unaligned_be64(&cdb[2]);
		cmd->blocks = get_unaligned_be32(&cdb[10]);
	}
	if (within(cmd, cmd->block, cmd->blocks))
		return true;
	refuse(cmd, ILLEGAL_REQUEST, OUT_OF_RANGE);
	return false;
}

static void move(struct disk_command *cmd, enum disk_action action, bool right_way)
{
	u64 bytes;

	/* Protection information, which the disk has none of. */
	if (cmd->cdb[0] >> 5 && cmd->cdb[1] & 0xe0) {
		invalid(cmd);
		return;
	}
	if (!get_range(cmd) || !cmd->blocks)
		return;
	bytes = (u64)cmd->blocks * BLOCK;
	if (bytes > cmd->len || !right_way) {
		invalid(cmd);
		return;
	}
	cmd->action = action;
	cmd->done = bytes;
}

static void read_blocks(struct disk_command *cmd)
{
	move(cmd, DISK_READ, cmd->from_disk);
}

static void write_blocks(struct disk_command *cmd)
{
	move(cmd, DISK_WRITE, cmd->to_disk);
}

static void synchronize_cache(struct disk_command *cmd)
{
	if (get_range(cmd))
		cmd->action = DISK_FLUSH;
}

/* The ranges of an UNMAP, whose list is in the buffer. */
static u32 unmap_ranges(const struct disk_command *cmd)
{
	return get_unaligned_be16(&cmd->buffer[2]) / 16;
}

static void unmap_range(const struct disk_command *cmd, u32 i, u64 *block, u32 *blocks)
{
	const u8 *range = cmd->buffer + 8 + 16 * i;

	*block = get_unaligned_be64(range);
	*blocks = get_unaligned_be32(range + 8);
}

static void unmap(struct disk_command *cmd)
{
	u32 len = get_unaligned_be16(&cmd->cdb[7]), i, blocks;
	u64 block;

	if (cmd->cdb[1] || len > cmd->len || (len && !cmd->to_disk)) {
		invalid(cmd);
		return;
	}
	if (!len)
		return;
	if (len < 8 || 8 + 16 * unmap_ranges(cmd) > len) {
		refuse(cmd, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH);
		return;
	}
	if (unmap_ranges(cmd) > UNMAP_RANGES) {
		refuse(cmd, ILLEGAL_REQUEST, INVALID_PARAMETER);
		return;
	}
	for (i = 0; i < unmap_ranges(cmd); i++) {
		unmap_range(cmd, i, &block, &blocks);
		if (!within(cmd, block, blocks)) {
			refuse(cmd, ILLEGAL_REQUEST, OUT_OF_RANGE);
			return;
		}
	}
	cmd->done = len;
	cmd->action = DISK_UNMAP;
}

/* ---- commands ---- */

#define ANY_LUN		1	/* also where there is no disk */
#define ATTENTIVE	2	/* what the disk has to tell waits for another command */
#define WHEN_STOPPED	4

static const struct operation {
	u8 code;
	u8 flags;
	void (*begin)(struct disk_command *cmd);
} operations[] = {
	{ 0x00, 0, test_unit_ready },
	{ 0x03, ANY_LUN | ATTENTIVE | WHEN_STOPPED, request_sense },
	{ 0x08, 0, read_blocks },
	{ 0x0a, 0, write_blocks },
	{ 0x12, ANY_LUN | ATTENTIVE | WHEN_STOPPED, inquiry },
	{ 0x1a, WHEN_STOPPED, mode_sense_6 },
	{ 0x1b, WHEN_STOPPED, start_stop },
	{ 0x25, 0, read_capacity_10 },
	{ 0x28, 0, read_blocks },
	{ 0x2a, 0, write_blocks },
	{ 0x35, 0, synchronize_cache },
	{ 0x42, 0, unmap },
	{ 0x5a, WHEN_STOPPED, mode_sense_10 },
	{ 0x88, 0, read_blocks },
	{ 0x8a, 0, write_blocks },
	{ 0x91, 0, synchronize_cache },
	{ 0x9e, 0, read_capacity_16 },
	{ 0xa0, ANY_LUN | ATTENTIVE | WHEN_STOPPED, report_luns },
};

static const struct operation *find_operation(u8 code)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (operations[i].code == code)
			return &operations[i];
	return NULL;
}

/* By the first three bits of the opcode. */
static bool has_all(const struct disk_command *cmd)
{
	static const u8 lengths[8] = { 6, 10, 10, 10, 16, 12, 10, 10 };

	return cmd->cdb_len >= lengths[cmd->cdb[0] >> 5];
}

static void begin(struct disk_command *cmd)
{
	const struct operation *operation = find_operation(cmd->cdb[0]);
	struct disk *disk = cmd->disk;

	if (!disk && (!operation || !(operation->flags & ANY_LUN))) {
		cmd->no_lun = true;
		refuse(cmd, ILLEGAL_REQUEST, NO_SUCH_LUN);
	} else if (disk && disk->attention && (!operation || !(operation->flags & ATTENTIVE))) {
		refuse(cmd, UNIT_ATTENTION, disk->attention);
		disk->attention = 0;
	} else if (!operation) {
		refuse(cmd, ILLEGAL_REQUEST, INVALID_OPCODE);
	} else if (!has_all(cmd)) {
		invalid(cmd);
	} else if (disk && disk->stopped && !(operation->flags & WHEN_STOPPED)) {
		refuse(cmd, NOT_READY, STOPPED);
	} else {
		operation->begin(cmd);
	}
}

void disk_begin(struct disk_command *cmd)
{
	cmd->status = DISK_GOOD;
	cmd->no_lun = false;
	cmd->action = DISK_NOTHING;
	cmd->done = 0;
	cmd->disk = cmd->lun < DISK_LUNS ? table[cmd->lun] : NULL;
	if (cmd->disk)
		cmd->disk->users++;
	begin(cmd);
	count.all[cmd->cdb[0]]++;
}

static void put_disk(struct disk *disk)
{
	if (--disk->users)
		return;
	if (disk->file)
		fput(disk->file);
	vfree(disk->memory);
	kfree(disk);
}

void disk_end(struct disk_command *cmd)
{
	count.refused[cmd->cdb[0]] += cmd->status != DISK_GOOD;
	if (cmd->disk)
		put_disk(cmd->disk);
	cmd->disk = NULL;
}

/* ---- media ---- */

static bool fill_zeros(struct disk *disk, loff_t at, u64 len)
{
	static const u8 zeros[SZ_4K];

	while (len) {
		ssize_t done = kernel_write(disk->file, zeros, min_t(u64, len, sizeof(zeros)), &at);

		if (done <= 0)
			return false;
		len -= done;
	}
	return true;
}

static bool discard(struct disk *disk, u64 block, u32 blocks)
{
	u64 at = block * BLOCK, len = (u64)blocks * BLOCK;

	count.unmapped += len;
	if (disk->memory) {
		memset(disk->memory + at, 0, len);
		return true;
	}
	return !len || !vfs_fallocate(disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				      len) || fill_zeros(disk, at, len);
}

static bool discard_all(struct disk_command *cmd)
{
	u32 i, blocks;
	u64 block;

	for (i = 0; i < unmap_ranges(cmd); i++) {
		unmap_range(cmd, i, &block, &blocks);
		if (!discard(cmd->disk, block, blocks))
			return false;
	}
	return true;
}

static bool transfer(struct disk_command *cmd)
{
	struct disk *disk = cmd->disk;
	loff_t at = cmd->block * BLOCK;

	if (cmd->action == DISK_READ) {
		count.read += cmd->done;
		if (disk->file)
			return kernel_read(disk->file, cmd->buffer, cmd->done, &at) == cmd->done;
		memcpy(cmd->buffer, disk->memory + at, cmd->done);
	} else {
		count.written += cmd->done;
		if (disk->file)
			return kernel_write(disk->file, cmd->buffer, cmd->done, &at) == cmd->done;
		memcpy(disk->memory + at, cmd->buffer, cmd->done);
	}
	return true;
}

void disk_media(struct disk_command *cmd)
{
	bool ok = true;

	switch (cmd->action) {
	case DISK_READ:
	case DISK_WRITE:
		ok = transfer(cmd);
		break;
	case DISK_FLUSH:
		count.flushes++;
		ok = !cmd->disk->file || !vfs_fsync(cmd->disk->file, 1);
		break;
	case DISK_UNMAP:
		ok = discard_all(cmd);
		break;
	case DISK_NOTHING:
		break;
	}
	if (ok)
		return;
	count.errors++;
	refuse(cmd, MEDIUM_ERROR, cmd->action == DISK_READ ? READ_ERROR : WRITE_ERROR);
}

/* ---- which disks there are ---- */

static void tell_all(u16 attention)
{
	u32 lun;

	for (lun = 0; lun < DISK_LUNS; lun++)
		if (table[lun])
			table[lun]->attention = attention;
}

void disk_reset(void)
{
	tell_all(HAS_BEEN_RESET);
}

void disk_reset_lun(u8 lun)
{
	if (lun < DISK_LUNS && table[lun])
		table[lun]->attention = HAS_BEEN_RESET;
}

static int take_memory(struct disk *disk, u32 megabytes)
{
	if (!megabytes || megabytes > MAX_MB)
		return -EINVAL;
	disk->blocks = (u64)megabytes * SZ_1M / BLOCK;
	disk->memory = vzalloc((u64)megabytes * SZ_1M);
	return disk->memory ? 0 : -ENOMEM;
}

static int take_file(struct disk *disk, const char *path)
{
	struct file *file = filp_open(path, O_RDWR | O_LARGEFILE, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	disk->blocks = i_size_read(file->f_mapping->host) / BLOCK;
	disk->file = file;
	return disk->blocks ? 0 : -EINVAL;
}

/* Of memory, or of the file at @path. */
static int add(u32 lun, u32 megabytes, const char *path)
{
	struct disk *disk;
	int err;

	if (lun >= DISK_LUNS)
		return -EINVAL;
	disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	if (!disk)
		return -ENOMEM;
	disk->users = 1;
	disk->serial = sim_random(U32_MAX);
	err = path ? take_file(disk, path) : take_memory(disk, megabytes);
	sim_lock();
	if (!err && table[lun])
		err = -EEXIST;
	if (err) {
		put_disk(disk);
	} else {
		tell_all(LUNS_HAVE_CHANGED);
		table[lun] = disk;
	}
	sim_unlock();
	return err;
}

static int remove_disk(u32 lun)
{
	struct disk *disk = NULL;

	sim_lock();
	if (lun < DISK_LUNS)
		swap(disk, table[lun]);
	if (disk) {
		put_disk(disk);
		tell_all(LUNS_HAVE_CHANGED);
	}
	sim_unlock();
	return disk ? 0 : -ENODEV;
}

static int lun_quiet(const char *line)
{
	u32 lun, megabytes;

	if (sscanf(line, "add %u %u", &lun, &megabytes) == 2)
		return add(lun, megabytes, NULL);
	if (sscanf(line, "remove %u", &lun) == 1)
		return remove_disk(lun);
	return -EINVAL;
}

LOOP_COMMAND(lun_quiet);

static int lun(const char *line)
{
	int err = lun_quiet(line);

	if (err)
		return err;
	sim_lock();
	loop_scsi_rescan();
	sim_unlock();
	return 0;
}

LOOP_COMMAND(lun);

int loop_disk_start(void)
{
	u32 lun;
	int err;

	memset(&count, 0, sizeof(count));
	for (lun = 0; lun < disks; lun++) {
		err = add(lun, disk_mb, lun ? NULL : disk_file);
		if (err) {
			loop_disk_stop();
			return err;
		}
	}
	return 0;
}

void loop_disk_stop(void)
{
	u32 lun;

	for (lun = 0; lun < DISK_LUNS; lun++)
		remove_disk(lun);
}

unsigned int loop_disk_count(void)
{
	return disks;
}

/* ---- files ---- */

static int disks_show(struct seq_file *file, void *unused)
{
	u32 lun;

	sim_lock();
	for (lun = 0; lun < DISK_LUNS; lun++)
		if (table[lun])
			seq_printf(file, "%u %llu LOOP%08x %s\n", lun, table[lun]->blocks,
				   table[lun]->serial, table[lun]->file ? "file" : "memory");
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(disks);

static int commands_show(struct seq_file *file, void *unused)
{
	unsigned int code;

	sim_lock();
	for (code = 0; code < 256; code++)
		if (count.all[code])
			seq_printf(file, "%02x %u %u\n", code, count.all[code],
				   count.refused[code]);
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(commands);

static int media_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "read %llu\nwritten %llu\nunmapped %llu\nflushes %u\nerrors %u\n",
		   READ_ONCE(count.read), READ_ONCE(count.written), READ_ONCE(count.unmapped),
		   READ_ONCE(count.flushes), READ_ONCE(count.errors));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(media);

void loop_disk_files(struct dentry *dir)
{
	debugfs_create_file("lun", 0200, dir, NULL, &lun_fops);
	debugfs_create_file("lun_quiet", 0200, dir, NULL, &lun_quiet_fops);
	debugfs_create_file("disks", 0400, dir, NULL, &disks_fops);
	debugfs_create_file("commands", 0400, dir, NULL, &commands_fops);
	debugfs_create_file("media", 0400, dir, NULL, &media_fops);
}
