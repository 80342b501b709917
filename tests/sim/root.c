// SPDX-License-Identifier: GPL-2.0-only
/*
 * A root for the bus where ACPI has none.
 */
#include <linux/device.h>
#include <linux/err.h>

#include "../../include/vmbus_mmio.h"
#include "../../include/vmbus_private.h"

int vmbus_root_init(void)
{
	struct device *root = root_device_register("vmbus_sim");

	if (IS_ERR(root))
		return PTR_ERR(root);
	vmbus_bus.root = root;
	return 0;
}

void vmbus_root_exit(void)
{
	vmbus_mmio_exit();
	root_device_unregister(vmbus_bus.root);
	vmbus_bus.root = NULL;
}
