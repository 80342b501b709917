// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that tests offer: each channel sends back what it gets. With a monitor
 * id, as a NIC has, so that user space can signal them.
 *
 * Files in debugfs:
 *   offer	write the name (types[]) or GUID of a type: one more such device; or
 *		the GUID of an instance that was rescinded: it is there again
 *   sub	write a relid: one more sub-channel of that device
 *   rescind	write a relid, the GUID of an instance, or the name or GUID of a
 *		type: the device and its sub-channels are taken back
 *   poke	write a relid and a number: so many packets from the host, the
 *		payload a u32 that counts them
 *   channels	a line for each: relid, type, instance, sub-channel index, state,
 *		packets from the guest and to it, interrupts; "frozen" or "full", if
 *		it is
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "loop.h"
#include "sim_host.h"

/* Each channel its own, as long as there are any; sockets have none. */
static u32 next_monitor_id;

void loop_monitor(struct sim_chan *chan)
{
	chan->monitored = next_monitor_id < SIM_MONITOR_IDS;
	chan->monitor_id = next_monitor_id++;
}

static struct {
	const char *name;
	const struct hv_vmbus_device_id id;
	int (*offer)(void);
} types[] = {
	{ "nic", { HV_NIC_GUID } },
	{ "ide", { HV_IDE_GUID } },
	{ "scsi", { HV_SCSI_GUID } },
	{ "fc", { HV_SYNTHFC_GUID } },
	{ "shutdown", { HV_SHUTDOWN_GUID } },
	{ "timesync", { HV_TS_GUID } },
	{ "heartbeat", { HV_HEART_BEAT_GUID } },
	{ "kvp", { HV_KVP_GUID } },
	{ "vss", { HV_VSS_GUID } },
	{ "balloon", { HV_DM_GUID } },
	{ "keyboard", { HV_KBD_GUID } },
	{ "mouse", { HV_MOUSE_GUID } },
	{ "video", { HV_SYNTHVID_GUID } },
	{ "pci", { HV_PCIE_GUID } },
};

static int type_index(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return i;
	return -EINVAL;
}

void loop_set_vsp(const char *name, int (*offer)(void))
{
	int i = type_index(name);

	if (!WARN_ON(i < 0))
		types[i].offer = offer;
}

static int offer_type(const guid_t *type)
{
	struct sim_chan *chan = sim_new(NULL, 0, type, &sim_echo);

	sim_lock();
	loop_monitor(chan);
	sim_offer_locked(chan);
	sim_unlock();
	return 0;
}

/* Return: it is an instance, and @err says what became of it. */
static bool offer_again(const guid_t *instance, int *err)
{
	struct sim_chan *chan = NULL;
	u32 relid;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (chan && !chan->sub && guid_equal(&chan->instance, instance))
			break;
	}
	if (relid == SIM_RELIDS)
		chan = NULL;
	else if (chan->released)
		sim_reoffer_locked(chan);
	else
		*err = chan->rescinded ? -EBUSY : -EEXIST;
	sim_unlock();
	return chan;
}

static int offer(const char *line)
{
	int i = type_index(line), err = 0;
	guid_t guid;

	if (i >= 0)
		return types[i].offer ? types[i].offer() : offer_type(&types[i].id.guid);
	if (guid_parse(line, &guid))
		return -EINVAL;
	return offer_again(&guid, &err) ? err : offer_type(&guid);
}

LOOP_COMMAND(offer);

/* With the model locked; a channel that the guest has, or can have. */
static struct sim_chan *find_any(u32 relid)
{
	struct sim_chan *chan = sim_chan_locked(relid);

	return chan && chan->offered && !chan->rescinded ? chan : NULL;
}

/* The same of a device: no socket's. */
static struct sim_chan *find(u32 relid)
{
	struct sim_chan *chan = find_any(relid);

	return chan && !(chan->flags & SIM_OFFER_HVSOCK) ? chan : NULL;
}

struct sim_chan *loop_find_locked(const char *which, int *err)
{
	int i = type_index(which);
	struct sim_chan *chan;
	guid_t guid;
	u32 relid;

	*err = 0;
	if (!kstrtou32(which, 0, &relid)) {
		chan = find_any(relid);
		goto found;
	}
	if (i >= 0)
		guid = types[i].id.guid;
	else if (guid_parse(which, &guid))
		goto invalid;
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = find(relid);
		if (chan && !chan->sub && (guid_equal(&chan->type, &guid) ||
					   guid_equal(&chan->instance, &guid)))
			goto found;
	}
	chan = NULL;
found:
	if (!chan)
		*err = -ENODEV;
	return chan;
invalid:
	*err = -EINVAL;
	return NULL;
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
	int err;

	sim_lock();
	chan = loop_find_locked(line, &err);
	/* Those of sockets go when their VSP says so. */
	if (chan && chan->flags & SIM_OFFER_HVSOCK)
		err = -ENODEV;
	else if (chan)
		sim_rescind_locked(chan);
	sim_unlock();
	return err;
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
		seq_printf(file, "%u %pUl %pUl %u %s %llu %llu %u%s\n", relid, &chan->type,
			   &chan->instance, chan->sub,
			   chan->released ? "released" : chan->rescinded ? "rescinded" :
			   chan->open ? "open" : chan->offered ? "offered" : "waiting",
			   chan->packets_in, chan->packets_out, chan->interrupts,
			   chan->full ? " full" : chan->frozen ? " frozen" : "");
	}
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(channels);

static int rings_show(struct seq_file *file, void *unused)
{
	const struct sim_chan *chan;
	u32 relid, pages, runs;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (!chan || !chan->open)
			continue;
		runs = sim_gpadl_runs_locked(chan->ring_gpadl, &pages);
		seq_printf(file, "%u %u %u\n", relid, pages, runs);
	}
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rings);

void loop_devices_files(struct dentry *dir)
{
	debugfs_create_file("offer", 0200, dir, NULL, &offer_fops);
	debugfs_create_file("sub", 0200, dir, NULL, &sub_fops);
	debugfs_create_file("rescind", 0200, dir, NULL, &rescind_fops);
	debugfs_create_file("poke", 0200, dir, NULL, &poke_fops);
	debugfs_create_file("channels", 0400, dir, NULL, &channels_fops);
	debugfs_create_file("rings", 0400, dir, NULL, &rings_fops);
}
