// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its parameters, and that it runs on Hyper-V. Tests run the rest
 * on a host of theirs.
 */
#include <linux/hyperv.h>
#include <linux/module.h>

#include "include/vmbus_private.h"

static uint max_version = VMBUS_DEFAULT_VERSION;
module_param(max_version, uint, 0444);
MODULE_PARM_DESC(max_version,
		 "Highest VMBus protocol version to negotiate, (major << 16) | minor");

static int __init vmbus_init(void)
{
	return vmbus_start(&vmbus_hyperv_host, max_version);
}

static void __exit vmbus_exit(void)
{
	vmbus_stop();
}

module_init(vmbus_init);
module_exit(vmbus_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VMBus bus driver for Linux guests on Hyper-V");
MODULE_VERSION("0.1.0");
