// SPDX-License-Identifier: GPL-2.0-only
/*
 * VSC drivers: registration, their device ids, which device is whose.
 *
 * Actions: registration by modules, matching and probing by the driver core,
 * new_id and remove_id by user space, all at any time. A driver's dynamic ids
 * are protected by its dynids.lock and copied out under it, so that removing an
 * id does not pull it from under a probe.
 */
#include <linux/device.h>
#include <linux/hyperv.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

struct dynid {
	struct list_head node;
	struct hv_vmbus_device_id id;
};

static struct dynid *find_dynid(struct hv_driver *drv, const guid_t *guid)
{
	struct dynid *dynid;

	lockdep_assert_held(&drv->dynids.lock);
	list_for_each_entry(dynid, &drv->dynids.list, node)
		if (guid_equal(&dynid->id.guid, guid))
			return dynid;
	return NULL;
}

static const struct hv_vmbus_device_id *find_static_id(const struct hv_driver *drv,
						       const guid_t *guid)
{
	const struct hv_vmbus_device_id *id;

	for (id = drv->id_table; id && !guid_is_null(&id->guid); id++)
		if (guid_equal(&id->guid, guid))
			return id;
	return NULL;
}

/* Whether the user wants the device for this driver; -1 if for none. */
static int override_match(struct hv_driver *drv, struct hv_device *dev)
{
#if VMBUS_CORE_OVERRIDE
	return device_match_driver_override(&dev->device, &drv->driver);
#else
	return dev->driver_override ? !strcmp(dev->driver_override, drv->name) : -1;
#endif
}

/**
 * vmbus_driver_find_id() - does a driver serve a device, and under which id?
 * @drv: the driver
 * @dev: the device
 * @id: filled with a copy of the id; all zero for a socket's channel, and if the
 *	user bound the device to the driver by driver_override although it has no
 *	id for it
 *
 * Dynamic ids go before the driver's own. A socket's channel is for the driver of
 * sockets whatever its GUIDs are, and that driver has no ids.
 *
 * Context: process.
 * Return: whether it does.
 */
bool vmbus_driver_find_id(struct hv_driver *drv, struct hv_device *dev,
			  struct hv_vmbus_device_id *id)
{
	const struct hv_vmbus_device_id *fixed;
	int override = override_match(drv, dev);
	struct dynid *dynid;

	if (is_hvsock_channel(dev->channel) != drv->hvsock)
		return false;
	if (!override)
		return false;
	if (drv->hvsock) {
		memset(id, 0, sizeof(*id));
		return true;
	}

	spin_lock(&drv->dynids.lock);
	dynid = find_dynid(drv, &dev->dev_type);
	if (dynid)
		*id = dynid->id;
	spin_unlock(&drv->dynids.lock);
	if (dynid)
		return true;

	fixed = find_static_id(drv, &dev->dev_type);
	if (fixed) {
		*id = *fixed;
		return true;
	}
	memset(id, 0, sizeof(*id));
	return override > 0;
}

static ssize_t new_id_store(struct device_driver *driver, const char *buf, size_t count)
{
	struct hv_driver *drv = drv_to_hv_drv(driver);
	struct dynid *dynid;
	guid_t guid;
	int err;

	err = guid_parse(buf, &guid);
	if (err)
		return err;
	dynid = kzalloc(sizeof(*dynid), GFP_KERNEL);
	if (!dynid)
		return -ENOMEM;
	dynid->id.guid = guid;

	spin_lock(&drv->dynids.lock);
	if (find_dynid(drv, &guid))
		err = -EEXIST;
	else
		list_add_tail(&dynid->node, &drv->dynids.list);
	spin_unlock(&drv->dynids.lock);
	if (err) {
		kfree(dynid);
		return err;
	}
	err = driver_attach(driver);
	return err ?: count;
}
static DRIVER_ATTR_WO(new_id);

static ssize_t remove_id_store(struct device_driver *driver, const char *buf, size_t count)
{
	struct hv_driver *drv = drv_to_hv_drv(driver);
	struct dynid *dynid;
	guid_t guid;
	int err;

	err = guid_parse(buf, &guid);
	if (err)
		return err;
	spin_lock(&drv->dynids.lock);
	dynid = find_dynid(drv, &guid);
	if (dynid)
		list_del(&dynid->node);
	spin_unlock(&drv->dynids.lock);
	if (!dynid)
		return -ENODEV;
	kfree(dynid);
	return count;
}
static DRIVER_ATTR_WO(remove_id);

static struct attribute *vmbus_drv_attrs[] = {
	&driver_attr_new_id.attr,
	&driver_attr_remove_id.attr,
	NULL,
};

static const struct attribute_group vmbus_drv_group = {
	.attrs = vmbus_drv_attrs,
};

const struct attribute_group *vmbus_drv_groups[] = {
	&vmbus_drv_group,
	NULL,
};

/**
 * __vmbus_driver_register() - register a VSC driver
 * @hv_driver: the driver; name, id_table, probe and remove are set
 * @owner: its module
 * @mod_name: the module's name
 *
 * Use vmbus_driver_register(), which fills in the module.
 *
 * Context: process, sleeps; probes devices.
 * Return: 0; -ENODEV without VMBus; errors of driver_register().
 */
int __vmbus_driver_register(struct hv_driver *hv_driver, struct module *owner,
			    const char *mod_name)
{
	if (!vmbus_bus.root)
		return -ENODEV;

	pr_info("registering driver %s\n", hv_driver->name);
	hv_driver->driver.name = hv_driver->name;
	hv_driver->driver.owner = owner;
	hv_driver->driver.mod_name = mod_name;
	hv_driver->driver.bus = &vmbus_bus_type;
	spin_lock_init(&hv_driver->dynids.lock);
	INIT_LIST_HEAD(&hv_driver->dynids.list);
	return driver_register(&hv_driver->driver);
}

/**
 * vmbus_driver_unregister() - undo vmbus_driver_register()
 * @hv_driver: the driver
 *
 * Context: process, sleeps; removes the driver's devices from it.
 */
void vmbus_driver_unregister(struct hv_driver *hv_driver)
{
	struct dynid *dynid, *next;

	pr_info("unregistering driver %s\n", hv_driver->name);
	driver_unregister(&hv_driver->driver);
	/* Who had a device of its open has closed it, or the module would be in use. */
	vmbus_ring_release(&hv_driver->driver);
	list_for_each_entry_safe(dynid, next, &hv_driver->dynids.list, node)
		kfree(dynid);
	INIT_LIST_HEAD(&hv_driver->dynids.list);
}
