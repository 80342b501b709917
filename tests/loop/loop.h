/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of hv_vmbus_loop share: a VSP of its own in each, and files in
 * debugfs for what tests ask the host to do.
 */
#ifndef _LOOP_H
#define _LOOP_H

#include <linux/dcache.h>
#include <linux/types.h>

struct sim_chan;

/* main.c: sub-channels that a device lets the guest ask for */
extern uint loop_channels;

/* devices.c: devices that tests offer, with sub-channels, for any driver */
void loop_devices_files(struct dentry *dir);
/* The next monitor id, as long as there are any; before the channel is offered. */
void loop_monitor(struct sim_chan *chan);
/*
 * The VSP that offers devices of the type with this name. Without one they send
 * back what they get. Its errno; -EEXIST if there cannot be one more.
 */
void loop_set_vsp(const char *name, int (*offer)(void));
/*
 * A channel that the guest has, or can have, with the model locked: by its relid,
 * the GUID of an instance or of a type, or the name of a type; of the last three
 * the first device's primary channel. NULL with -EINVAL if there is no such name,
 * -ENODEV if there is no such channel.
 */
struct sim_chan *loop_find_locked(const char *which, int *err);

/* ic.c: integration services */
void loop_ic_start(void);
void loop_ic_stop(void);	/* before the host goes */
void loop_ic_files(struct dentry *dir);

/* balloon.c: dynamic memory */
void loop_balloon_start(void);
void loop_balloon_stop(void);	/* when the host has gone */
void loop_balloon_files(struct dentry *dir);

/* controls.c: a host that is not at its best */
void loop_controls_files(struct dentry *dir);

/* hostile.c: what VSPs write is damaged on its way */
void loop_hostile_stop(void);	/* before the host goes */
void loop_hostile_files(struct dentry *dir);
/* As sim_violation(), by a VSC: it counts apart as long as that VSC may have been misled. */
void vsc_violation(const char *format, ...) __printf(1, 2);

/* nic.c: two NICs are a wire */
void loop_nics_start(void);
void loop_nics_stop(void);	/* before the host goes */
void loop_nics_files(struct dentry *dir);

/* scsi.c, disk.c: a SCSI controller and its disks */
int loop_scsi_start(void);	/* 0 or an errno */
void loop_scsi_stop(void);	/* before the host goes */
void loop_scsi_files(struct dentry *dir);
int loop_disk_start(void);	/* these for scsi.c */
void loop_disk_stop(void);
void loop_disk_files(struct dentry *dir);
unsigned int loop_disk_count(void);

/* sockets.c: the host's end of AF_VSOCK */
void loop_sockets_start(void);
void loop_sockets_stop(void);	/* before the host goes */
void loop_sockets_files(struct dentry *dir);

/*
 * For a file that takes a line: copies it from user space and cuts its end off.
 * Return: 0, -EINVAL if it is too long, -EFAULT.
 */
int loop_line(char *line, size_t size, const char __user *from, size_t count);

/* A file that can only be written, and what it does with a line; 0 or an errno. */
#define LOOP_COMMAND(name)							\
static ssize_t name##_write(struct file *file, const char __user *from,	\
			    size_t count, loff_t *at)				\
{										\
	char line[80];								\
	int err = loop_line(line, sizeof(line), from, count) ?: name(line);	\
										\
	return err ?: count;							\
}										\
										\
static const struct file_operations name##_fops = {				\
	.owner = THIS_MODULE,							\
	.open = simple_open,							\
	.write = name##_write,							\
}

#endif /* _LOOP_H */
