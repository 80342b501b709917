// SPDX-License-Identifier: GPL-2.0-only
/*
 * The root: the device in ACPI that says that there is a VMBus, parent of all
 * devices on it.
 *
 * It is bound the way the distribution's module of the same kernel does, since
 * device paths, and names that udev makes of them, depend on it.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

static const struct acpi_device_id root_ids[] = {
	{ "VMBUS", 0 },
	{ "VMBus", 0 },
	{ }
};
MODULE_DEVICE_TABLE(acpi, root_ids);

static void root_found(struct device *root)
{
	if (device_get_dma_attr(root) == DEV_DMA_NOT_SUPPORTED)
		pr_info("No ACPI _CCA found; assuming coherent device I/O\n");
	vmbus_bus.root = root;
}

#if VMBUS_ROOT_IS_ACPI

static int root_add(struct acpi_device *device)
{
	root_found(&device->dev);
	return 0;
}

static struct acpi_driver root_driver = {
	.name = "vmbus",
	.ids = root_ids,
	.ops = {
		.add = root_add,
	},
	/* Channels cannot lose their bus while the module is there. */
	.drv.suppress_bind_attrs = true,
};

static int register_root_driver(void)
{
	return acpi_bus_register_driver(&root_driver);
}

static void unregister_root_driver(void)
{
	acpi_bus_unregister_driver(&root_driver);
}

#else

static int root_probe(struct platform_device *pdev)
{
	struct acpi_device *companion = ACPI_COMPANION(&pdev->dev);

	/* Devices stay where they were when the ACPI device was bound. */
	root_found(companion ? &companion->dev : &pdev->dev);
	return 0;
}

static struct platform_driver root_driver = {
	.probe = root_probe,
	.driver = {
		.name = "vmbus",
		.acpi_match_table = root_ids,
		/* Channels cannot lose their bus while the module is there. */
		.suppress_bind_attrs = true,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static int register_root_driver(void)
{
	return platform_driver_register(&root_driver);
}

static void unregister_root_driver(void)
{
	platform_driver_unregister(&root_driver);
}

#endif

/**
 * vmbus_root_init() - find the root device
 *
 * Context: process, sleeps.
 * Return: 0; -ENODEV if ACPI has none; errors of registering a driver.
 */
int vmbus_root_init(void)
{
	int err = register_root_driver();

	if (err)
		return err;
	if (!vmbus_bus.root) {
		pr_err("no VMBus device in ACPI\n");
		unregister_root_driver();
		return -ENODEV;
	}
	return 0;
}

/**
 * vmbus_root_exit() - undo vmbus_root_init()
 */
void vmbus_root_exit(void)
{
	unregister_root_driver();
	vmbus_bus.root = NULL;
}
