// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports of the distribution's ring_buffer.c, with its include list, which is frozen: the
 * CRC of an export depends on which structs are complete here.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/hyperv.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#include <linux/slab.h>
#include <linux/prefetch.h>
#include <linux/io.h>
#include <asm/mshyperv.h>
#include <linux/list.h>
#include <linux/bitops.h>
#include <asm/sync_bitops.h>
#include VMBUS_TLFS_H
#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/tracepoint.h>

EXPORT_SYMBOL_GPL(hv_pkt_iter_close);
EXPORT_SYMBOL_GPL(hv_pkt_iter_first);
EXPORT_SYMBOL_GPL(__hv_pkt_iter_next);
EXPORT_SYMBOL_GPL(hv_ringbuffer_get_debuginfo);
EXPORT_SYMBOL_GPL(hv_ringbuffer_spinlock_busy);
