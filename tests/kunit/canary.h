/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that nobody has set may have anything in it, secrets too. In the test module
 * all of it is 0xfe, as variables on the stack are by -ftrivial-auto-var-init=pattern,
 * so that sim_visible.c finds it where the host can see it. Included before all else.
 */
#ifndef _KUNIT_CANARY_H
#define _KUNIT_CANARY_H

#ifndef __ASSEMBLY__

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#define CANARY_BYTE	0xfe

static inline void *canary_kmalloc(size_t size, gfp_t gfp)
{
	void *memory = kmalloc(size, gfp);

	if (memory && !(gfp & __GFP_ZERO))
		memset(memory, CANARY_BYTE, size);
	return memory;
}

static inline void *canary_kvmalloc_array(size_t count, size_t size, gfp_t gfp)
{
	void *memory = kvmalloc_array(count, size, gfp);

	if (memory && !(gfp & __GFP_ZERO))
		memset(memory, CANARY_BYTE, count * size);
	return memory;
}

#undef kmalloc
#define kmalloc(size, gfp)	canary_kmalloc(size, gfp)
#undef kvmalloc_array
#define kvmalloc_array(count, size, gfp)	canary_kvmalloc_array(count, size, gfp)

#endif /* __ASSEMBLY__ */

#endif /* _KUNIT_CANARY_H */
