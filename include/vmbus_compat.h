/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All knowledge of kernel versions, force-included before every file.
 *
 * Floor: Linux 6.1 (Debian 12), to 6.12 (Debian 13). Ceiling: Linux 7.3, of which
 * Debian 13 has the source as a backport; nothing is known of what is in between.
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

/* 7.0: cpuid() and its like have a header of their own; to be included by this name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define VMBUS_CPUID_H		"asm/processor.h"
#else
#define VMBUS_CPUID_H		"asm/cpuid/api.h"
#endif

/* 7.0: bin2hex() is not to be had by <linux/kernel.h> any more; to be included by this name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define VMBUS_HEX_H		"linux/kernel.h"
#else
#define VMBUS_HEX_H		"linux/hex.h"
#endif

/* 7.0: the pages of kmalloc(), which are in use, have no references. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define VMBUS_KMALLOC_COUNTED	1
#else
#define VMBUS_KMALLOC_COUNTED	0
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

/*
 * Isolation VMs. 6.1: SEV-SNP below a virtual top of memory (vTOM), where the kernel
 * leaves mappings alone and what the host sees is used by an alias above that. 6.12
 * and later: also TDX, either of them with a paravisor or without; the kernel changes
 * mappings as it changes visibility. Of what is in between nothing is known.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define VMBUS_ISOLATION_ALIAS	1
#define VMBUS_ISOLATION_MAPPED	0
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define VMBUS_ISOLATION_ALIAS	0
#define VMBUS_ISOLATION_MAPPED	0
#else
#define VMBUS_ISOLATION_ALIAS	0
#define VMBUS_ISOLATION_MAPPED	1
#endif

/*
 * 7.0: a kernel with a second SynIC, the paravisor's, has to be told that SINTs of the
 * first go through it as ever, and the interrupt has to be allowed on each CPU.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define hv_para_set_sint_proxy(enable)			do { } while (0)
#define hv_enable_coco_interrupt(cpu, vector, set)	do { } while (0)
#define hv_para_get_synic_register(reg)			native_read_msr(reg)
#define hv_para_set_synic_register(reg, value)		wrmsrl(reg, value)
#endif

/* 6.12: PCI is among the devices that an isolation VM takes. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define VMBUS_PCIE_IN_ISOLATED	false
#else
#define VMBUS_PCIE_IN_ISOLATED	true
#endif

/* 7.0: the boot's display has a struct of its own in sysfb. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_SCREEN_INFO	sysfb_primary_display.screen
#else
#define VMBUS_SCREEN_INFO	screen_info
#endif

/* 7.3: the interface of the hypervisor has other headers; to be included by this name. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_TLFS_H		"hyperv/hvhdk.h"
#else
#define VMBUS_TLFS_H		"asm/hyperv-tlfs.h"
#endif

/* 7.3: what kind of partition this is says a function. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_HV_ROOT		hv_root_partition()
#else
#define VMBUS_HV_ROOT		hv_root_partition
#endif

/* 7.3: timers interrupt by themselves or are not used: no messages, no functions for them. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_TIMER_MESSAGES	0
#define hv_stimer_legacy_init(cpu, sint)	do { } while (0)
#define hv_stimer_legacy_cleanup(cpu)		do { } while (0)
#define hv_stimer0_isr()			do { } while (0)
#else
#define VMBUS_TIMER_MESSAGES	1
#endif

/* 7.3: the handler of the vector gives the interrupt's randomness; before, the bus did. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_GIVES_RANDOMNESS	0
#else
#define VMBUS_GIVES_RANDOMNESS	1
#endif

/* 7.3: drivers describe a mapping, which the core then makes; files of sysfs are const. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_MMAP_PREPARED	1
#define VMBUS_MAPPING		vm_area_desc
#define VMBUS_BIN_ATTR_CONST	const
#else
#define VMBUS_MMAP_PREPARED	0
#define VMBUS_MAPPING		vm_area_struct
#define VMBUS_BIN_ATTR_CONST
#endif

/* 7.3: the stock module has exports that 6.12's has not (newer.c), and offers 6.0 by default. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_NEWER_EXPORTS	1
#define VMBUS_DEFAULT_VERSION	VMBUS_VERSION_6_0
#else
#define VMBUS_NEWER_EXPORTS	0
#define VMBUS_DEFAULT_VERSION	VERSION_WIN10_V5_3
#endif

/* 7.3: a workqueue with a worker for each CPU says so. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_WQ_PERCPU		WQ_PERCPU
#else
#define VMBUS_WQ_PERCPU		0
#endif

/* 7.3: KUnit says for which test parameters are, and asks whether to run suites or to list them. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define VMBUS_PARAM_TEST	struct kunit *test,
#define VMBUS_PARAM_NEXT(generator, prev, desc)	generator(test, prev, desc)
#define VMBUS_RUN_SUITES(suites, count)	__kunit_test_suites_init(suites, count, true)
#else
#define VMBUS_PARAM_TEST
#define VMBUS_PARAM_NEXT(generator, prev, desc)	generator(prev, desc)
#define VMBUS_RUN_SUITES(suites, count)	__kunit_test_suites_init(suites, count)
#endif

#endif /* _VMBUS_COMPAT_H */
