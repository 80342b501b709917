// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports of the distribution's hv.c, with its include list, which is frozen: the
 * CRC of an export depends on which structs are complete here.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/hyperv.h>
#include <linux/random.h>
#include <linux/clockchips.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/export.h>
#include <clocksource/hyperv_timer.h>
#include <asm/mshyperv.h>
#include <linux/set_memory.h>
#include <linux/list.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include <linux/atomic.h>
#include <linux/tracepoint.h>

#include "../include/vmbus_connection.h"

EXPORT_SYMBOL_FOR_MODULES(hv_context, "mshv_vtl");
EXPORT_SYMBOL_FOR_MODULES(hv_post_message, "mshv_vtl");
