// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports of the distribution's connection.c, with its include list, which is frozen: the
 * CRC of an export depends on which structs are complete here.
 */
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/hyperv.h>
#include <linux/export.h>
#include <asm/mshyperv.h>
#include <linux/list.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include VMBUS_TLFS_H
#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/tracepoint.h>

#include "../include/vmbus_connection.h"

EXPORT_SYMBOL_GPL(vmbus_connection);
EXPORT_SYMBOL_GPL(vmbus_proto_version);
EXPORT_SYMBOL_GPL(vmbus_set_event);
