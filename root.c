// SPDX-License-Identifier: GPL-2.0-only
/*
 * The root: the device in ACPI, or in the device tree where there is no ACPI,
 * that says that there is a VMBus; parent of all devices on it. What firmware
 * says of address space for them is read here and given to mmio.c, and of the
 * host's interrupt, where there is no vector for it, for the host seam.
 *
 * It is bound the way the distribution's module of the same kernel does, since
 * device paths, and names that udev makes of them, depend on it.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/efi.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_irq.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/screen_info.h>
#include <linux/sysfb.h>

#include "include/vmbus_mmio.h"
#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

static const struct acpi_device_id root_ids[] = {
	{ "VMBUS", 0 },
	{ "VMBus", 0 },
	{ }
};
MODULE_DEVICE_TABLE(acpi, root_ids);

/* ---- address space ---- */

static void add_window(u64 start, u64 end)
{
	int err = vmbus_mmio_add(start, end);

	/* Without it some devices do not work; the others do. */
	if (err)
		pr_warn("MMIO window %#llx to %#llx is not used: %d\n", start, end, err);
}

/* The kind of window counts, lengths and flags do not: hosts leave them out. */
static acpi_status crs_entry(struct acpi_resource *res, void *context)
{
	const struct acpi_resource_address32 *a32 = &res->data.address32;
	const struct acpi_resource_address64 *a64 = &res->data.address64;

	if (res->type == ACPI_RESOURCE_TYPE_ADDRESS32 && a32->resource_type == ACPI_MEMORY_RANGE)
		add_window(a32->address.minimum, a32->address.maximum);
	if (res->type == ACPI_RESOURCE_TYPE_ADDRESS64 && a64->resource_type == ACPI_MEMORY_RANGE)
		add_window(a64->address.minimum, a64->address.maximum);
	return AE_OK;
}

static bool read_crs(acpi_handle handle)
{
	return ACPI_SUCCESS(acpi_walk_resources(handle, METHOD_NAME__CRS, crs_entry, NULL));
}

/*
 * The device's own windows, and those of the nearest ancestor that has any: a
 * generation 1 VM has them at the PCI root, a generation 2 VM at a module device.
 */
static void acpi_windows(acpi_handle handle)
{
	read_crs(handle);
	while (ACPI_SUCCESS(acpi_get_parent(handle, &handle)))
		if (read_crs(handle) && !vmbus_mmio_empty())
			break;
}

/* Where the frame buffer is on a generation 2 VM. */
static bool efi_frame_buffer(struct vmbus_fb_report *said)
{
#if IS_ENABLED(CONFIG_SYSFB)
	const struct screen_info *screen = &VMBUS_SCREEN_INFO;

	said->gen2 = true;
	said->base = screen->lfb_base;
	if (screen->capabilities & VIDEO_CAPABILITY_64BIT_BASE)
		said->base |= (u64)screen->ext_lfb_base << 32;
	said->size = screen->lfb_size;
	return true;
#else
	return false;
#endif
}

/* The same on a generation 1 VM: Hyper-V's emulated display adapter. */
static bool pci_frame_buffer(struct vmbus_fb_report *said)
{
	struct pci_dev *pdev = pci_get_device(PCI_VENDOR_ID_MICROSOFT, PCI_DEVICE_ID_HYPERV_VIDEO,
					      NULL);

	if (!pdev)
		return false;
	said->gen2 = false;
	if (pci_resource_flags(pdev, 0) & IORESOURCE_MEM) {
		said->base = pci_resource_start(pdev, 0);
		said->size = pci_resource_len(pdev, 0);
	}
	pci_dev_put(pdev);
	return true;
}

static void find_frame_buffer(void)
{
	struct vmbus_fb_report said = {};

	if (efi_enabled(EFI_BOOT) ? efi_frame_buffer(&said) : pci_frame_buffer(&said))
		vmbus_mmio_set_fb(&said);
}

/* ---- the interrupt ---- */

static acpi_status crs_interrupt(struct acpi_resource *res, void *context)
{
	struct resource irq;

	if (res->type != ACPI_RESOURCE_TYPE_EXTENDED_IRQ)
		return AE_OK;
	if (acpi_dev_resource_interrupt(res, 0, &irq))
		vmbus_bus.irq = irq.start;
	else
		pr_err("Unable to parse Hyper-V ACPI interrupt\n");
	return AE_CTRL_TERMINATE;
}

/* The device's own; on x86 it is for another use, if it is there. */
static void acpi_interrupt(acpi_handle handle)
{
	if (IS_ENABLED(CONFIG_ARM64))
		acpi_walk_resources(handle, METHOD_NAME__CRS, crs_interrupt, NULL);
}

/* ---- the device ---- */

/* All windows have been added. */
static void root_found(struct device *root)
{
	/* Where _CCA is not required, as on x86, a device without it is coherent. */
	if (IS_ENABLED(CONFIG_ACPI_CCA_REQUIRED) &&
	    device_get_dma_attr(root) == DEV_DMA_NOT_SUPPORTED)
		pr_info("No ACPI _CCA found; assuming coherent device I/O\n");
	find_frame_buffer();
	vmbus_mmio_log();
	vmbus_bus.root = root;
}

#if VMBUS_ROOT_IS_ACPI

static int root_add(struct acpi_device *device)
{
	acpi_windows(device->handle);
	acpi_interrupt(device->handle);
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
	.drv.pm = &vmbus_root_pm,
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

static const struct of_device_id root_of_ids[] = {
	{ .compatible = "microsoft,vmbus" },
	{ }
};
MODULE_DEVICE_TABLE(of, root_of_ids);

/* The windows of a node in the device tree are its ranges. */
static void of_windows(struct device_node *node)
{
	struct of_range_parser parser;
	struct of_range range;
	int err = of_range_parser_init(&parser, node);

	if (err) {
		pr_warn("no ranges in the device tree: %d\n", err);
		return;
	}
	/* An empty range, or one that wraps, ends before it starts. */
	for_each_of_range(&parser, &range)
		if (!(range.flags & IORESOURCE_IO))
			add_window(range.cpu_addr, range.cpu_addr + range.size - 1);
}

static int root_probe(struct platform_device *pdev)
{
	struct acpi_device *companion = ACPI_COMPANION(&pdev->dev);

	if (companion) {
		acpi_windows(companion->handle);
		acpi_interrupt(companion->handle);
	} else if (acpi_disabled) {
		of_windows(pdev->dev.of_node);
		vmbus_bus.irq = max(of_irq_get(pdev->dev.of_node, 0), 0);
	}
	/* Devices stay where they were when the ACPI device was bound. */
	root_found(companion ? &companion->dev : &pdev->dev);
	return 0;
}

static struct platform_driver root_driver = {
	.probe = root_probe,
	.driver = {
		.name = "vmbus",
		.acpi_match_table = root_ids,
		.of_match_table = root_of_ids,
		/* Channels cannot lose their bus while the module is there. */
		.suppress_bind_attrs = true,
		.pm = &vmbus_root_pm,
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
 * Return: 0; -ENODEV if firmware has none; errors of registering a driver.
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
	vmbus_bus.irq = 0;
	vmbus_mmio_exit();
}
