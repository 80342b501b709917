/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files of sysfs, debugfs and tracefs, as user space reads and writes them.
 */
#ifndef _KUNIT_FILES_H
#define _KUNIT_FILES_H

#include <linux/types.h>

struct file;
struct vmbus_channel;

#define FILE_PATH_MAX	160

/* As init sees it: from 7.0 on a thread of the kernel has no files below its root. */
struct file *file_open(const char *path, int flags);
/* Return: bytes, with a zero behind them; -errno. */
ssize_t file_read(const char *path, char *buffer, size_t size);
/* Return: 0; -errno. */
int file_write(const char *path, const char *text);
/* The two last have no reads and writes for the kernel itself, but for a shell; its status. */
int file_shell(const char *command);
/* Whether a number in @text, of which the first character is none, can be an address. */
bool file_has_address(const char *text);
/* Calls @each for each name in a directory, 64 at most; their number or -errno. */
int file_list(const char *path, void (*each)(const char *name, void *arg), void *arg);

/* Of a primary channel's device; of any channel's directory. */
void device_path(char *path, const struct vmbus_channel *channel, const char *name);
void channel_path(char *path, const struct vmbus_channel *channel, const char *name);
/* Both in one; reading cuts the newline off. */
ssize_t channel_read(const struct vmbus_channel *channel, const char *name, char *buffer,
		     size_t size);
int channel_write(const struct vmbus_channel *channel, const char *name, const char *text);
ssize_t device_read(const struct vmbus_channel *channel, const char *name, char *buffer,
		    size_t size);
int device_write(const struct vmbus_channel *channel, const char *name, const char *text);

#endif /* _KUNIT_FILES_H */
