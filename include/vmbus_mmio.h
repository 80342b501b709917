/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between who knows what firmware says of address space (root.c, tests)
 * and who hands it out (mmio.c).
 */
#ifndef _VMBUS_MMIO_H
#define _VMBUS_MMIO_H

#include <linux/types.h>

/**
 * struct vmbus_range - a range of physical addresses
 * @start: its first byte
 * @end: its last byte
 */
struct vmbus_range {
	u64 start;
	u64 end;
};

/**
 * struct vmbus_fb_report - what firmware says of the frame buffer
 * @gen2: by screen_info of a generation 2 VM, which tells where it was when the
 *	machine was booted; else by a BAR of a generation 1 VM, which is exact
 * @base: its physical address; 0 if not known
 * @size: its bytes
 */
struct vmbus_fb_report {
	bool gen2;
	u64 base;
	u64 size;
};

int vmbus_mmio_add(u64 start, u64 end);
bool vmbus_mmio_empty(void);
bool vmbus_mmio_fb_rule(const struct vmbus_fb_report *said, const struct vmbus_range *window,
			struct vmbus_range *fb);
void vmbus_mmio_set_fb(const struct vmbus_fb_report *said);
void vmbus_mmio_log(void);
void vmbus_mmio_exit(void);

#endif /* _VMBUS_MMIO_H */
