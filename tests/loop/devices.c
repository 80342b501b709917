// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that tests offer: each channel sends back what it gets. With a monitor
 * id, as a NIC has, so that user space can signal them.
 *
 * Files in debugfs:
 *   offer	write the GUID of a type: one more such device
 *   sub	write a relid: one more sub-channel of that device
 *   rescind	write a relid: the device and its sub-channels are taken back
 *   poke	write a relid and a number: so many packets from the host, the
 *		payload a u32 that counts them
 *   channels	a line for each: relid, type, instance, sub-channel index, state,
 *		packets from the guest and to it, interrupts
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "loop.h"
#include "sim_host.h"

/* Each channel its own, as long as there are any; sockets have none. */
static u32 next_monitor_id;

void loop_monitor(struct sim_chan *chan)
{
	chan->monitored = next_monitor_id < SIM_MONITOR_IDS;
	chan->monitor_id = next_monitor_id++;
}

static int offer(const char *line)
{
	struct sim_chan *chan;
	guid_t type;

	if (guid_parse(line, &type))
		return -EINVAL;
	chan = sim_new(NULL, 0, &type, &sim_echo);
	sim_lock();
	loop_monitor(chan);
	sim_offer_locked(chan);
	sim_unlock();
	return 0;
}

LOOP_COMMAND(offer);

/* With the model locked; a device that the guest has, or can have. */
static struct sim_chan *find(u32 relid)
{
	struct sim_chan *chan = sim_chan_locked(relid);

	return chan && chan->offered && !chan->rescinded && !(chan->flags & SIM_OFFER_HVSOCK) ?
	       chan : NULL;
}

static u16 subs_of(const struct sim_chan *primary)
{
	const struct sim_chan *chan;
	u16 count = 0;
	u32 relid;

	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = find(relid);
		count += chan && chan->sub && guid_equal(&chan->instance, &primary->instance);
	}
	return count;
}

static int sub(const char *line)
{
	struct sim_chan *primary, *chan;
	u32 relid;
	int err;

	err = kstrtou32(line, 0, &relid);
	if (err)
		return err;
	sim_lock();
	primary = find(relid);
	if (primary) {
		chan = sim_new_sub_locked(primary, subs_of(primary) + 1, &sim_echo);
		loop_monitor(chan);
		sim_offer_locked(chan);
	}
	sim_unlock();
	return primary ? 0 : -ENODEV;
}

LOOP_COMMAND(sub);

static int rescind(const char *line)
{
	struct sim_chan *chan;
	u32 relid;
	int err;

	err = kstrtou32(line, 0, &relid);
	if (err)
		return err;
	sim_lock();
	chan = find(relid);
	if (chan)
		sim_rescind_locked(chan);
	sim_unlock();
	return chan ? 0 : -ENODEV;
}

LOOP_COMMAND(rescind);

static int poke(const char *line)
{
	struct sim_chan *chan;
	u32 relid, count, i;
	int err = -ENODEV;

	if (sscanf(line, "%u %u", &relid, &count) != 2)
		return -EINVAL;
	sim_lock();
	chan = find(relid);
	if (chan && chan->open)
		for (i = 0, err = 0; i < count && !err; i++)
			err = sim_write(chan, SIM_PKT_INBAND, 0, i, &i, sizeof(i));
	sim_unlock();
	return err;
}

LOOP_COMMAND(poke);

static int channels_show(struct seq_file *file, void *unused)
{
	const struct sim_chan *chan;
	u32 relid;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (!chan)
			continue;
		seq_printf(file, "%u %pUl %pUl %u %s %llu %llu %u\n", relid, &chan->type,
			   &chan->instance, chan->sub,
			   chan->released ? "released" : chan->rescinded ? "rescinded" :
			   chan->open ? "open" : chan->offered ? "offered" : "waiting",
			   chan->packets_in, chan->packets_out, chan->interrupts);
	}
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(channels);

void loop_devices_files(struct dentry *dir)
{
	debugfs_create_file("offer", 0200, dir, NULL, &offer_fops);
	debugfs_create_file("sub", 0200, dir, NULL, &sub_fops);
	debugfs_create_file("rescind", 0200, dir, NULL, &rescind_fops);
	debugfs_create_file("poke", 0200, dir, NULL, &poke_fops);
	debugfs_create_file("channels", 0400, dir, NULL, &channels_fops);
}
