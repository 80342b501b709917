/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disks behind the SCSI controller: disk.c is the target, which knows
 * commands, sense data and media; scsi.c brings it commands over VMBus.
 *
 * A command has three steps, for media may be a file, whose I/O sleeps:
 * disk_begin() and disk_end() with the model locked, disk_media() in between
 * without. One command at a time is between its steps.
 */
#ifndef _DISK_H
#define _DISK_H

#include <linux/sizes.h>
#include <linux/types.h>

#define DISK_LUNS		8
#define DISK_MAX_TRANSFER	SZ_512K
#define DISK_SENSE		18

/* SAM: status */
#define DISK_GOOD		0x00
#define DISK_CHECK_CONDITION	0x02

struct disk;

enum disk_action { DISK_NOTHING, DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_UNMAP };

/**
 * struct disk_command - a command for one of the disks
 * @lun: which
 * @cdb: the command, @cdb_len bytes of it are given
 * @from_disk: the way of the data
 * @to_disk: likewise; neither if there is none
 * @buffer: the data: of DISK_MAX_TRANSFER bytes; filled before disk_begin()
 * @len: of the data that the initiator sends, or has room for
 * @status: the answer
 * @no_lun: there is no such disk
 * @sense: why it was refused, if @status is DISK_CHECK_CONDITION
 * @done: bytes of data that went either way
 *
 * The rest is the target's.
 */
struct disk_command {
	u8 lun;
	u8 cdb[16];
	u8 cdb_len;
	bool from_disk, to_disk;
	u8 *buffer;
	u32 len;

	u8 status;
	bool no_lun;
	u8 sense[DISK_SENSE];
	u32 done;

	struct disk *disk;
	enum disk_action action;
	u64 block;
	u32 blocks;
};

/* With the model locked. */
void disk_begin(struct disk_command *cmd);
void disk_end(struct disk_command *cmd);
/* What there is to do with media; may sleep. */
void disk_media(struct disk_command *cmd);

/* With the model locked: after a reset each disk, or that one, says so once. */
void disk_reset(void);
void disk_reset_lun(u8 lun);

/* scsi.c: the guest is told to look which disks there are; with the model locked. */
void loop_scsi_rescan(void);

#endif /* _DISK_H */
