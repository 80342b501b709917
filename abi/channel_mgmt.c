// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports of the distribution's channel_mgmt.c, with its include list, which is frozen: the
 * CRC of an export depends on which structs are complete here.
 */
#include <linux/kernel.h>
#include <linux/interrupt.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/cpu.h>
#include <linux/hyperv.h>
#include <asm/mshyperv.h>
#include <linux/sched/isolation.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include VMBUS_TLFS_H
#include <linux/atomic.h>
#include <linux/tracepoint.h>

#include "../include/vmbus_connection.h"

EXPORT_SYMBOL_GPL(vmbus_devs);
EXPORT_SYMBOL_GPL(vmbus_hvsock_device_unregister);
EXPORT_SYMBOL_GPL(vmbus_prep_negotiate_resp);
EXPORT_SYMBOL_GPL(vmbus_set_chn_rescind_callback);
EXPORT_SYMBOL_GPL(vmbus_set_sc_create_callback);
#if VMBUS_NEWER_EXPORTS
EXPORT_SYMBOL_GPL(vmbus_initiate_unload);
#endif
