/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes one allocation of the driver fail.
 */
#ifndef _KUNIT_FAULT_H
#define _KUNIT_FAULT_H

#include <linux/types.h>

int fault_init(void);
/* sim_exit() does it, too, where a case has ended before. */
void fault_exit(void);

/*
 * From now on the @nth (from 1) allocation fails that anybody makes on behalf of
 * this module, but for the host's thread and allocations that may not fail or
 * whose callers do without (__GFP_NOFAIL, __GFP_NOWARN).
 */
void fault_arm(unsigned int nth);
/* Ends it. Return: whether it came to that allocation. */
bool fault_disarm(void);
/* Where the module was when it failed, for %pS. */
void *fault_where(void);

#endif /* _KUNIT_FAULT_H */
