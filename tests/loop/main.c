// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver with the simulated host below it, as one module that takes
 * hv_vmbus's place: what it exports is there for the distribution's VSCs, which
 * find the devices of this host. Nothing is asserted here: the host counts what
 * the guest does wrong.
 *
 *   insmod hv_vmbus_loop.ko [version=5.3] [seed=N] [channels=N] and those of the VSPs
 *
 * Files in debugfs, hv_vmbus_loop/:
 *   violations	what the guest did wrong so far; the log has a line for each
 *   gpadls	that the guest has told the host of, and not taken back
 *   messages	type and number of what the guest has sent
 * and those of devices.c, controls.c and each VSP.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../../include/vmbus_private.h"
#include "loop.h"
#include "sim_host.h"

static char *version = "5.3";
module_param(version, charp, 0444);
MODULE_PARM_DESC(version, "Highest protocol version of the host, 2.4 to 6.0, or (major << 16) | minor");

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of everything random; 0 takes one and prints it");

uint loop_channels = 3;
module_param_named(channels, loop_channels, uint, 0444);
MODULE_PARM_DESC(channels, "Sub-channels that disks and NICs let the guest ask for (default 3)");

static struct dentry *files;

int loop_line(char *line, size_t size, const char __user *from, size_t count)
{
	if (count >= size)
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	line[count] = '\0';
	strim(line);
	return 0;
}

static int violations_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "%u\n", sim_violations());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(violations);

static int gpadls_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "%u\n", sim_gpadls());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(gpadls);

static int messages_show(struct seq_file *file, void *unused)
{
	u32 type;

	for (type = 0; type < SIM_NR_TYPES; type++)
		if (sim_received(type))
			seq_printf(file, "%u %u\n", type, sim_received(type));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(messages);

/* A version that there is, as "5.3" or 0x50003. Return: 0 if it is none. */
static u32 parse_version(const char *text)
{
	unsigned int i;
	u32 number = 0;

	if (kstrtou32(text, 0, &number))
		number = 0;
	for (i = 0; i < sim_nr_versions; i++)
		if (number == sim_versions[i].version || !strcmp(text, sim_versions[i].name))
			return sim_versions[i].version;
	return 0;
}

static void add_files(void)
{
	files = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("violations", 0400, files, NULL, &violations_fops);
	debugfs_create_file("gpadls", 0400, files, NULL, &gpadls_fops);
	debugfs_create_file("messages", 0400, files, NULL, &messages_fops);
	loop_devices_files(files);
	loop_sockets_files(files);
	loop_nics_files(files);
	loop_controls_files(files);
	loop_ic_files(files);
	loop_balloon_files(files);
	loop_scsi_files(files);
	loop_hostile_files(files);
}

static void stop(void)
{
	loop_sockets_stop();
	loop_ic_stop();
	loop_nics_stop();
	loop_scsi_stop();
	sim_end();
	loop_balloon_stop();
}

static int __init loop_init(void)
{
	u32 highest = parse_version(version);
	int err;

	if (!highest) {
		pr_err("%s: version=%s: there is no such version; there are 2.4, 3.0, 4.0, 4.1, 5.0 to 5.3, 6.0\n",
		       KBUILD_MODNAME, version);
		return -EINVAL;
	}
	seed = seed ?: get_random_u32();
	pr_info("%s: seed=%lu\n", KBUILD_MODNAME, seed);
	err = sim_begin(seed);
	if (err)
		return err;
	err = loop_scsi_start();
	if (err) {
		sim_end();
		return err;
	}
	loop_sockets_start();
	loop_nics_start();
	loop_ic_start();
	loop_balloon_start();
	err = sim_connect(highest, VMBUS_DEFAULT_VERSION);
	if (err) {
		stop();
		return err;
	}
	add_files();
	return 0;
}

static void __exit loop_exit(void)
{
	debugfs_remove(files);
	loop_hostile_stop();
	if (!sim_disconnect())
		sim_violation("it went without UNLOAD");
	stop();
	pr_info("%s: %u violations in the end\n", KBUILD_MODNAME, sim_violations());
}

module_init(loop_init);
module_exit(loop_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VMBus bus driver on a simulated host");
