// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports of the distribution's vmbus_drv.c, with its include list, which is frozen: the
 * CRC of an export depends on which structs are complete here.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/device.h>
#include <linux/platform_device.h>
#include <linux/interrupt.h>
#include <linux/sysctl.h>
#include <linux/slab.h>
#include <linux/acpi.h>
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/kernel_stat.h>
#include <linux/of_address.h>
#include <linux/clockchips.h>
#include <linux/cpu.h>
#include <linux/sched/isolation.h>
#include <linux/sched/task_stack.h>
#include <linux/delay.h>
#include <linux/panic_notifier.h>
#include <linux/ptrace.h>
#include <linux/efi.h>
#include <linux/random.h>
#include <linux/kernel.h>
#include <linux/syscore_ops.h>
#include <linux/dma-map-ops.h>
#include <linux/pci.h>
#include <clocksource/hyperv_timer.h>
#include <asm/mshyperv.h>
#include <linux/list.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include VMBUS_TLFS_H
#include <linux/atomic.h>
#if VMBUS_NEWER_EXPORTS
#include <linux/smpboot.h>
#include <linux/suspend.h>
#include <linux/sysfb.h>
#endif
#include <linux/tracepoint.h>

#include "../include/vmbus_connection.h"

#if VMBUS_RING_FILE_EXPORTS
EXPORT_SYMBOL_GPL(hv_create_ring_sysfs);
EXPORT_SYMBOL_GPL(hv_remove_ring_sysfs);
#endif
EXPORT_SYMBOL_GPL(__vmbus_driver_register);
EXPORT_SYMBOL_GPL(vmbus_device_unregister);
EXPORT_SYMBOL_GPL(vmbus_driver_unregister);
EXPORT_SYMBOL_GPL(vmbus_allocate_mmio);
EXPORT_SYMBOL_GPL(vmbus_free_mmio);
#if VMBUS_NEWER_EXPORTS
EXPORT_SYMBOL_GPL(hv_get_vmbus_root_device);
EXPORT_SYMBOL_GPL(hv_vmbus_exists);
EXPORT_SYMBOL_GPL(vmbus_is_confidential);
EXPORT_SYMBOL_FOR_MODULES(vmbus_isr, "mshv_vtl");
EXPORT_SYMBOL_GPL(vmbus_set_skip_unload);
#endif
