/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All knowledge of kernel versions, force-included before every file.
 *
 * Floor: Linux 6.1 (Debian 12). Ceiling: Linux 6.12 (Debian 13).
 *
 * This header may include linux/version.h and nothing else: the CRC of an
 * exported symbol depends on which structs are complete where it is exported,
 * so a header pulled in here would change the module's ABI.
 */
#ifndef _VMBUS_COMPAT_H
#define _VMBUS_COMPAT_H

#include <linux/version.h>

/* 6.10: MSR accessors and names lost their "register" spelling. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define hv_get_msr		hv_get_register
#define hv_set_msr		hv_set_register
#define HV_MSR_EOM		HV_REGISTER_EOM
#define HV_MSR_SCONTROL		HV_REGISTER_SCONTROL
#define HV_MSR_SIEFP		HV_REGISTER_SIEFP
#define HV_MSR_SIMP		HV_REGISTER_SIMP
#define HV_MSR_SINT0		HV_REGISTER_SINT0
#define HV_MSR_STIMER0_CONFIG	HV_REGISTER_STIMER0_CONFIG
#define HV_MSR_STIMER0_COUNT	HV_REGISTER_STIMER0_COUNT
#endif

/* 6.12: the header of get_unaligned() and its like moved; to be included by this name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define VMBUS_UNALIGNED_H	"asm/unaligned.h"
#else
#define VMBUS_UNALIGNED_H	"linux/unaligned.h"
#endif

/* 6.3: a root partition may itself be a guest. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define VMBUS_HV_NESTED		false
#else
#define VMBUS_HV_NESTED		hv_nested
#endif

/* 6.4: the in-tree module binds a platform device; before, an ACPI device. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define VMBUS_ROOT_IS_ACPI	1
#else
#define VMBUS_ROOT_IS_ACPI	0
#endif

/* 6.4: bus attributes take a const bus. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define VMBUS_BUS_CONST
#else
#define VMBUS_BUS_CONST		const
#endif

/* 6.3: bus_type.uevent() takes a const device. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define VMBUS_UEVENT_CONST
#else
#define VMBUS_UEVENT_CONST	const
#endif

/* 6.11: bus_type.match() takes a const driver. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define VMBUS_MATCH_CONST
#else
#define VMBUS_MATCH_CONST	const
#endif

/* 6.19, also in 6.12.115: callbacks of syscore operations have an argument. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 115) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))
#define VMBUS_SYSCORE_HAS_DATA	1
#else
#define VMBUS_SYSCORE_HAS_DATA	0
#endif

/* 7.2, also in 6.12.100: driver_override moved from hv_device to the core. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 100) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))
#define VMBUS_CORE_OVERRIDE	1
#else
#define VMBUS_CORE_OVERRIDE	0
#endif

/* 6.12: the bus has the ring files, which uio_hv_generic asks for; before, uio made them. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define VMBUS_RING_FILE_EXPORTS	0
#else
#define VMBUS_RING_FILE_EXPORTS	1
#endif

/* 7.0: the boot's display has a struct of its own in sysfb. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_SCREEN_INFO	sysfb_primary_display.screen
#else
#define VMBUS_SCREEN_INFO	screen_info
#endif

#endif /* _VMBUS_COMPAT_H */
