// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of sysfs, debugfs and tracefs.
 */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/hyperv.h>
#include <linux/kernel.h>
#include <linux/kmod.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "files.h"

struct file *file_open(const char *path, int flags)
{
	struct pid *pid = find_get_pid(1);
	struct task_struct *init = get_pid_task(pid, PIDTYPE_PID);
	struct path root = { };
	struct file *file;

	put_pid(pid);
	if (!init)
		return ERR_PTR(-ESRCH);
	task_lock(init);
	if (init->fs)
		get_fs_root(init->fs, &root);
	task_unlock(init);
	put_task_struct(init);
	if (!root.mnt)
		return ERR_PTR(-ESRCH);
	file = file_open_root(&root, path, flags, 0);
	path_put(&root);
	return file;
}

ssize_t file_read(const char *path, char *buffer, size_t size)
{
	struct file *file = file_open(path, O_RDONLY);
	loff_t pos = 0;
	ssize_t len;

	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_read(file, buffer, size - 1, &pos);
	filp_close(file, NULL);
	if (len >= 0)
		buffer[len] = 0;
	return len;
}

int file_write(const char *path, const char *text)
{
	struct file *file = file_open(path, O_WRONLY);
	loff_t pos = 0;
	ssize_t len;

	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_write(file, text, strlen(text), &pos);
	filp_close(file, NULL);
	return min_t(ssize_t, len, 0);
}

int file_shell(const char *command)
{
	char *argv[4] = { "/bin/sh", "-c", (char *)command };
	char *envp[2] = { "PATH=/bin" };

	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

/* Of hexadecimal digits; no number of the driver's is so long, but the end of a GUID is. */
#define ADDRESS_DIGITS	12

bool file_has_address(const char *text)
{
	const char *begin;

	for (; *text; text++) {
		for (begin = text; isxdigit(*text); text++)
			;
		if (text - begin >= ADDRESS_DIGITS && begin[-1] != '-')
			return true;
		if (!*text)
			break;
	}
	return false;
}

#define NAMES	64
#define NAME	32

struct listing {
	struct dir_context ctx;
	char (*names)[NAME];
	unsigned int nr;
};

static bool on_entry(struct dir_context *ctx, const char *name, int len, loff_t offset, u64 ino,
		     unsigned int type)
{
	struct listing *listing = container_of(ctx, struct listing, ctx);

	if (name[0] != '.' && len < NAME && listing->nr < NAMES)
		memcpy(listing->names[listing->nr++], name, len);
	return true;
}

int file_list(const char *path, void (*each)(const char *name, void *arg), void *arg)
{
	struct listing listing = { .ctx.actor = on_entry };
	struct file *file;
	unsigned int i;
	int err;

	file = file_open(path, O_RDONLY | O_DIRECTORY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	listing.names = kcalloc(NAMES, NAME, GFP_KERNEL);
	err = listing.names ? iterate_dir(file, &listing.ctx) : -ENOMEM;
	filp_close(file, NULL);
	/* Now that the directory is not locked any more. */
	for (i = 0; !err && i < listing.nr; i++)
		each(listing.names[i], arg);
	kfree(listing.names);
	return err ?: listing.nr;
}

void device_path(char *path, const struct vmbus_channel *channel, const char *name)
{
	snprintf(path, FILE_PATH_MAX, "/sys/bus/vmbus/devices/%pUl/%s",
		 &channel->offermsg.offer.if_instance, name);
}

void channel_path(char *path, const struct vmbus_channel *channel, const char *name)
{
	snprintf(path, FILE_PATH_MAX, "/sys/bus/vmbus/devices/%pUl/channels/%u/%s",
		 &channel->offermsg.offer.if_instance, channel->offermsg.child_relid, name);
}

static ssize_t read_line(const char *path, char *buffer, size_t size)
{
	ssize_t len = file_read(path, buffer, size);

	if (len > 0 && buffer[len - 1] == '\n')
		buffer[len - 1] = 0;
	return len;
}

ssize_t channel_read(const struct vmbus_channel *channel, const char *name, char *buffer,
		     size_t size)
{
	char path[FILE_PATH_MAX];

	channel_path(path, channel, name);
	return read_line(path, buffer, size);
}

int channel_write(const struct vmbus_channel *channel, const char *name, const char *text)
{
	char path[FILE_PATH_MAX];

	channel_path(path, channel, name);
	return file_write(path, text);
}

ssize_t device_read(const struct vmbus_channel *channel, const char *name, char *buffer,
		    size_t size)
{
	char path[FILE_PATH_MAX];

	device_path(path, channel, name);
	return read_line(path, buffer, size);
}

int device_write(const struct vmbus_channel *channel, const char *name, const char *text)
{
	char path[FILE_PATH_MAX];

	device_path(path, channel, name);
	return file_write(path, text);
}
