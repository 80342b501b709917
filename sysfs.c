// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users see and set: attributes of devices, channels and the bus.
 * Documentation/ABI describes each.
 *
 * A channel's directory is removed before its last reference goes, and removal
 * waits for the attributes' users, so they can use the channel freely.
 */
#include <linux/device.h>
#include <linux/hyperv.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/topology.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

enum monitor_direction { MONITOR_SERVER, MONITOR_CLIENT };

static u32 monitor_pending(const struct vmbus_channel *ch, enum monitor_direction dir)
{
	const struct hv_monitor_page *page = vmbus_conn.monitor_pages[dir];

	return READ_ONCE(page->trigger_group[ch->monitor_grp].pending);
}

static u32 monitor_latency(const struct vmbus_channel *ch, enum monitor_direction dir)
{
	return READ_ONCE(vmbus_conn.monitor_pages[dir]->latency[ch->monitor_grp]
			 [ch->monitor_bit]);
}

static u32 monitor_conn_id(const struct vmbus_channel *ch, enum monitor_direction dir)
{
	return READ_ONCE(vmbus_conn.monitor_pages[dir]->parameter[ch->monitor_grp]
			 [ch->monitor_bit].connectionid.asu32);
}

/* ---- devices ---- */

/* Read-only attribute of a device; the expression may use hv_dev and channel. */
#define DEV_ATTR(_name, _format, _value)					\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	const struct hv_device *hv_dev = device_to_hv_device(dev);		\
	const struct vmbus_channel *channel __maybe_unused = hv_dev->channel;	\
										\
	return sysfs_emit(buf, _format "\n", _value);				\
}										\
static DEVICE_ATTR_RO(_name)

DEV_ATTR(id, "%u", channel->offermsg.child_relid);
DEV_ATTR(state, "%d", READ_ONCE(channel->state));
DEV_ATTR(monitor_id, "%d", channel->offermsg.monitorid);
DEV_ATTR(class_id, "{%pUl}", &channel->offermsg.offer.if_type);
DEV_ATTR(device_id, "{%pUl}", &channel->offermsg.offer.if_instance);
DEV_ATTR(vendor, "0x%x", hv_dev->vendor_id);
DEV_ATTR(device, "0x%x", hv_dev->device_id);
DEV_ATTR(server_monitor_pending, "%u", monitor_pending(channel, MONITOR_SERVER));
DEV_ATTR(client_monitor_pending, "%u", monitor_pending(channel, MONITOR_CLIENT));
DEV_ATTR(server_monitor_latency, "%u", monitor_latency(channel, MONITOR_SERVER));
DEV_ATTR(client_monitor_latency, "%u", monitor_latency(channel, MONITOR_CLIENT));
DEV_ATTR(server_monitor_conn_id, "%u", monitor_conn_id(channel, MONITOR_SERVER));
DEV_ATTR(client_monitor_conn_id, "%u", monitor_conn_id(channel, MONITOR_CLIENT));

static ssize_t modalias_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct hv_device *hv_dev = device_to_hv_device(dev);

	return sysfs_emit(buf, "vmbus:%*phN\n", UUID_SIZE, &hv_dev->dev_type);
}
static DEVICE_ATTR_RO(modalias);

#ifdef CONFIG_NUMA
DEV_ATTR(numa_node, "%d", cpu_to_node(READ_ONCE(channel->target_cpu)));
#endif

/* Read-only attribute of a ring of channel; -EINVAL if that is not open. */
#define DEV_RING_ATTR(_name, _ring, _format, _field)				\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct hv_ring_buffer_debug_info info;					\
	struct vmbus_channel *channel = device_to_hv_device(dev)->channel;	\
	int err;								\
										\
	if (READ_ONCE(channel->state) != CHANNEL_OPENED_STATE)			\
		return -EINVAL;							\
	err = hv_ringbuffer_get_debuginfo(_ring, &info);		\
	return err ?: sysfs_emit(buf, _format "\n", info._field);		\
}										\
static DEVICE_ATTR_RO(_name)

DEV_RING_ATTR(out_intr_mask, &channel->outbound, "%u", current_interrupt_mask);
DEV_RING_ATTR(out_read_index, &channel->outbound, "%u", current_read_index);
DEV_RING_ATTR(out_write_index, &channel->outbound, "%u", current_write_index);
DEV_RING_ATTR(out_read_bytes_avail, &channel->outbound, "%u", bytes_avail_toread);
DEV_RING_ATTR(out_write_bytes_avail, &channel->outbound, "%u", bytes_avail_towrite);
DEV_RING_ATTR(in_intr_mask, &channel->inbound, "%u", current_interrupt_mask);
DEV_RING_ATTR(in_read_index, &channel->inbound, "%u", current_read_index);
DEV_RING_ATTR(in_write_index, &channel->inbound, "%u", current_write_index);
DEV_RING_ATTR(in_read_bytes_avail, &channel->inbound, "%u", bytes_avail_toread);
DEV_RING_ATTR(in_write_bytes_avail, &channel->inbound, "%u", bytes_avail_towrite);

static ssize_t channel_vp_mapping_show(struct device *dev, struct device_attribute *attr,
				       char *buf)
{
	const struct vmbus_channel *channel = device_to_hv_device(dev)->channel;
	const struct vmbus_chan *sub;
	int len;

	mutex_lock(&vmbus_connection.channel_mutex);
	len = sysfs_emit(buf, "%u:%u\n", channel->offermsg.child_relid, channel->target_cpu);
	list_for_each_entry(sub, &to_vmbus_chan(channel)->subs, sub_node)
		len += sysfs_emit_at(buf, len, "%u:%u\n", vmbus_chan_relid(sub),
				     sub->ch.target_cpu);
	mutex_unlock(&vmbus_connection.channel_mutex);
	return len;
}
static DEVICE_ATTR_RO(channel_vp_mapping);

#if !VMBUS_CORE_OVERRIDE
static ssize_t driver_override_show(struct device *dev, struct device_attribute *attr,
				    char *buf)
{
	struct hv_device *hv_dev = device_to_hv_device(dev);
	ssize_t len;

	device_lock(dev);
	len = sysfs_emit(buf, "%s\n", hv_dev->driver_override);
	device_unlock(dev);
	return len;
}

static ssize_t driver_override_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	struct hv_device *hv_dev = device_to_hv_device(dev);
	int err = driver_set_override(dev, &hv_dev->driver_override, buf, count);

	return err ?: count;
}
static DEVICE_ATTR_RW(driver_override);
#endif

static struct attribute *vmbus_dev_attrs[] = {
	&dev_attr_id.attr,
	&dev_attr_state.attr,
	&dev_attr_monitor_id.attr,
	&dev_attr_class_id.attr,
	&dev_attr_device_id.attr,
	&dev_attr_modalias.attr,
#ifdef CONFIG_NUMA
	&dev_attr_numa_node.attr,
#endif
	&dev_attr_server_monitor_pending.attr,
	&dev_attr_client_monitor_pending.attr,
	&dev_attr_server_monitor_latency.attr,
	&dev_attr_client_monitor_latency.attr,
	&dev_attr_server_monitor_conn_id.attr,
	&dev_attr_client_monitor_conn_id.attr,
	&dev_attr_out_intr_mask.attr,
	&dev_attr_out_read_index.attr,
	&dev_attr_out_write_index.attr,
	&dev_attr_out_read_bytes_avail.attr,
	&dev_attr_out_write_bytes_avail.attr,
	&dev_attr_in_intr_mask.attr,
	&dev_attr_in_read_index.attr,
	&dev_attr_in_write_index.attr,
	&dev_attr_in_read_bytes_avail.attr,
	&dev_attr_in_write_bytes_avail.attr,
	&dev_attr_channel_vp_mapping.attr,
	&dev_attr_vendor.attr,
	&dev_attr_device.attr,
#if !VMBUS_CORE_OVERRIDE
	&dev_attr_driver_override.attr,
#endif
	NULL,
};

static umode_t dev_attr_visible(struct kobject *kobj, struct attribute *attr, int idx)
{
	const struct hv_device *hv_dev = device_to_hv_device(kobj_to_dev(kobj));

	if (hv_dev->channel->offermsg.monitor_allocated)
		return attr->mode;
	if (attr == &dev_attr_monitor_id.attr ||
	    attr == &dev_attr_server_monitor_pending.attr ||
	    attr == &dev_attr_client_monitor_pending.attr ||
	    attr == &dev_attr_server_monitor_latency.attr ||
	    attr == &dev_attr_client_monitor_latency.attr ||
	    attr == &dev_attr_server_monitor_conn_id.attr ||
	    attr == &dev_attr_client_monitor_conn_id.attr)
		return 0;
	return attr->mode;
}

static const struct attribute_group vmbus_dev_group = {
	.attrs = vmbus_dev_attrs,
	.is_visible = dev_attr_visible,
};

const struct attribute_group *vmbus_dev_groups[] = {
	&vmbus_dev_group,
	NULL,
};

/* ---- bus ---- */

static ssize_t hibernation_show(VMBUS_BUS_CONST struct bus_type *bus, char *buf)
{
	return sysfs_emit(buf, "%d\n", vmbus_power_supported());
}
static BUS_ATTR_RO(hibernation);

static struct attribute *vmbus_bus_attrs[] = {
	&bus_attr_hibernation.attr,
	NULL,
};

static const struct attribute_group vmbus_bus_group = {
	.attrs = vmbus_bus_attrs,
};

const struct attribute_group *vmbus_bus_groups[] = {
	&vmbus_bus_group,
	NULL,
};

/* ---- channels ---- */

struct chan_attribute {
	struct attribute attr;
	ssize_t (*show)(struct vmbus_channel *channel, char *buf);
	ssize_t (*store)(struct vmbus_channel *channel, const char *buf, size_t count);
};

/* Read-only attribute of a channel; the expression may use channel. */
#define CHAN_ATTR(_name, _format, _value)					\
static ssize_t chan_##_name##_show(struct vmbus_channel *channel, char *buf)	\
{										\
	return sysfs_emit(buf, _format "\n", _value);				\
}										\
static struct chan_attribute chan_attr_##_name = {				\
	.attr = { .name = __stringify(_name), .mode = 0444 },			\
	.show = chan_##_name##_show,						\
}

CHAN_ATTR(pending, "%u", monitor_pending(channel, MONITOR_CLIENT));
CHAN_ATTR(latency, "%u", monitor_latency(channel, MONITOR_CLIENT));
CHAN_ATTR(monitor_id, "%u", channel->offermsg.monitorid);
CHAN_ATTR(interrupts, "%llu", READ_ONCE(channel->interrupts));
CHAN_ATTR(events, "%llu", READ_ONCE(channel->sig_events));
CHAN_ATTR(intr_in_full, "%llu", READ_ONCE(channel->intr_in_full));
CHAN_ATTR(intr_out_empty, "%llu", READ_ONCE(channel->intr_out_empty));
CHAN_ATTR(out_full_first, "%llu", READ_ONCE(channel->out_full_first));
CHAN_ATTR(out_full_total, "%llu", READ_ONCE(channel->out_full_total));
CHAN_ATTR(subchannel_id, "%u", channel->offermsg.offer.sub_channel_index);

/* Read-only attribute of a ring of channel; -EINVAL if that is not open. */
#define CHAN_RING_ATTR(_name, _ring, _field)					\
static ssize_t chan_##_name##_show(struct vmbus_channel *channel, char *buf)	\
{										\
	struct hv_ring_buffer_debug_info info;					\
	int err = hv_ringbuffer_get_debuginfo(_ring, &info);		\
										\
	return err ?: sysfs_emit(buf, "%u\n", info._field);			\
}										\
static struct chan_attribute chan_attr_##_name = {				\
	.attr = { .name = __stringify(_name), .mode = 0444 },			\
	.show = chan_##_name##_show,						\
}

CHAN_RING_ATTR(out_mask, &channel->outbound, current_interrupt_mask);
CHAN_RING_ATTR(in_mask, &channel->inbound, current_interrupt_mask);
CHAN_RING_ATTR(read_avail, &channel->inbound, bytes_avail_toread);
CHAN_RING_ATTR(write_avail, &channel->outbound, bytes_avail_towrite);

static ssize_t chan_cpu_show(struct vmbus_channel *channel, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(channel->target_cpu));
}

static ssize_t chan_cpu_store(struct vmbus_channel *channel, const char *buf, size_t count)
{
	unsigned int cpu;
	int err;

	err = kstrtouint(buf, 10, &cpu);
	if (!err)
		err = vmbus_channel_retarget(to_vmbus_chan(channel), cpu);
	return err ?: count;
}

static struct chan_attribute chan_attr_cpu = {
	.attr = { .name = "cpu", .mode = 0644 },
	.show = chan_cpu_show,
	.store = chan_cpu_store,
};

static struct attribute *chan_attrs[] = {
	&chan_attr_out_mask.attr,
	&chan_attr_in_mask.attr,
	&chan_attr_read_avail.attr,
	&chan_attr_write_avail.attr,
	&chan_attr_cpu.attr,
	&chan_attr_pending.attr,
	&chan_attr_latency.attr,
	&chan_attr_interrupts.attr,
	&chan_attr_events.attr,
	&chan_attr_intr_in_full.attr,
	&chan_attr_intr_out_empty.attr,
	&chan_attr_out_full_first.attr,
	&chan_attr_out_full_total.attr,
	&chan_attr_monitor_id.attr,
	&chan_attr_subchannel_id.attr,
	NULL,
};

static struct vmbus_channel *kobj_to_channel(struct kobject *kobj)
{
	return container_of(kobj, struct vmbus_channel, kobj);
}

static umode_t chan_attr_visible(struct kobject *kobj, struct attribute *attr, int idx)
{
	if (kobj_to_channel(kobj)->offermsg.monitor_allocated)
		return attr->mode;
	if (attr == &chan_attr_pending.attr || attr == &chan_attr_latency.attr ||
	    attr == &chan_attr_monitor_id.attr)
		return 0;
	return attr->mode;
}

static const struct attribute_group chan_group = {
	.attrs = chan_attrs,
	.is_visible = chan_attr_visible,
};

static const struct attribute_group *chan_groups[] = {
	&chan_group,
	NULL,
};

static ssize_t chan_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct chan_attribute *chan_attr = container_of(attr, struct chan_attribute, attr);

	return chan_attr->show(kobj_to_channel(kobj), buf);
}

static ssize_t chan_attr_store(struct kobject *kobj, struct attribute *attr,
			       const char *buf, size_t count)
{
	struct chan_attribute *chan_attr = container_of(attr, struct chan_attribute, attr);

	if (!chan_attr->store)
		return -EIO;
	return chan_attr->store(kobj_to_channel(kobj), buf, count);
}

static const struct sysfs_ops chan_sysfs_ops = {
	.show = chan_attr_show,
	.store = chan_attr_store,
};

static void chan_kobj_release(struct kobject *kobj)
{
	vmbus_chan_put(to_vmbus_chan(kobj_to_channel(kobj)));
}

static const struct kobj_type chan_ktype = {
	.sysfs_ops = &chan_sysfs_ops,
	.release = chan_kobj_release,
	.default_groups = chan_groups,
};

/**
 * vmbus_sysfs_add_channel() - show a channel below its device
 * @chan: channel whose primary has a device with a channels directory
 *
 * Context: process, sleeps.
 * Return: 0; -errno, then nothing is left behind.
 */
int vmbus_sysfs_add_channel(struct vmbus_chan *chan)
{
	struct vmbus_channel *primary = chan->ch.primary_channel ?: &chan->ch;
	struct kobject *kobj = &chan->ch.kobj;
	int err;

	kobj->kset = primary->device_obj->channels_kset;
	vmbus_chan_get(chan);
	err = kobject_init_and_add(kobj, &chan_ktype, NULL, "%u", vmbus_chan_relid(chan));
	if (err) {
		kobject_put(kobj);
		return err;
	}
	mutex_lock(&vmbus_connection.channel_mutex);
	chan->kobj_added = true;
	mutex_unlock(&vmbus_connection.channel_mutex);
	vmbus_ring_file_dir(chan, true);
	kobject_uevent(kobj, KOBJ_ADD);
	return 0;
}

/**
 * vmbus_sysfs_del_channel() - undo vmbus_sysfs_add_channel()
 * @chan: the channel; may not be shown
 *
 * Context: process, sleeps until the attributes' users are done.
 */
void vmbus_sysfs_del_channel(struct vmbus_chan *chan)
{
	bool added;

	/* A sub-channel's rescind and its primary's may come here together. */
	mutex_lock(&vmbus_connection.channel_mutex);
	added = chan->kobj_added;
	chan->kobj_added = false;
	mutex_unlock(&vmbus_connection.channel_mutex);
	if (!added)
		return;
	vmbus_ring_file_dir(chan, false);
	kobject_del(&chan->ch.kobj);
	vmbus_ring_release(chan);
	kobject_put(&chan->ch.kobj);
}
