// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation failures by number, in whatever task they happen: KUnit's tests
 * are single functions, but the driver works in work items.
 *
 * Kprobes sit on the two functions that the kernel asks whether an allocation
 * may go on, and that it lets fail for this purpose (ALLOW_ERROR_INJECTION).
 * Whose allocation it is, the stack tells: it passes through this module.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#include "fault.h"

#define DEPTH	64

static atomic_t left;		/* allocations until the one that fails; 0: none does */
static void *where;

struct stack {
	unsigned long entries[DEPTH];
	unsigned int nr;
};

/* The innermost return address in this module; NULL: not ours. */
static void *module_caller(const struct kprobe *kp, struct pt_regs *regs, struct stack *stack)
{
	unsigned long ip = instruction_pointer(regs);
	unsigned int i;

	/* Behind the breakpoint the unwinder would take the first instruction as done. */
	instruction_pointer_set(regs, (unsigned long)kp->addr);
	stack->nr = stack_trace_save(stack->entries, DEPTH, 0);
	instruction_pointer_set(regs, ip);
	/* It begins with the probe's own functions, which are here, too. */
	for (i = 0; i < stack->nr && within_module(stack->entries[i], THIS_MODULE); i++)
		;
	for (; i < stack->nr; i++)
		if (within_module(stack->entries[i], THIS_MODULE))
			return (void *)stack->entries[i];
	return NULL;
}

static bool passes(const struct stack *stack, const char *function)
{
	char symbol[KSYM_SYMBOL_LEN];
	unsigned int i;

	for (i = 0; i < stack->nr; i++) {
		sprint_symbol(symbol, stack->entries[i]);
		if (strstarts(symbol, function))
			return true;
	}
	return false;
}

/*
 * Faults of the kernel, to be spared: before 6.2 it leaks the name of a set that
 * it cannot add; in 6.12 a bus whose files and sets it cannot make takes back a
 * lock's key that it has not registered yet.
 */
static bool kernel_fails(const struct stack *stack)
{
	return passes(stack, "kset_register+") ||
	       (passes(stack, "bus_register+") &&
		(passes(stack, "kset_create_and_add+") || passes(stack, "sysfs_")));
}

/* Of the function that has just been entered. */
static void return_to_caller(struct pt_regs *regs)
{
#ifdef CONFIG_X86
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
#else
	instruction_pointer_set(regs, procedure_link_pointer(regs));
#endif
}

static int maybe_fail(const struct kprobe *kp, struct pt_regs *regs, gfp_t gfp,
		      unsigned long failure)
{
	struct stack stack;
	void *caller;

	if (!atomic_read(&left) || gfp & (__GFP_NOFAIL | __GFP_NOWARN) ||
	    !strcmp(current->comm, "sim_host"))
		return 0;
	caller = module_caller(kp, regs, &stack);
	if (!caller || atomic_dec_if_positive(&left))
		return 0;
	WRITE_ONCE(where, caller);
	if (kernel_fails(&stack))
		return 0;
	/* Back to the caller, as if the function had returned this. */
	regs_set_return_value(regs, failure);
	return_to_caller(regs);
	return 1;
}

/* int should_failslab(struct kmem_cache *, gfp_t) */
static int on_slab(struct kprobe *kp, struct pt_regs *regs)
{
	gfp_t gfp = (__force gfp_t)regs_get_kernel_argument(regs, 1);

	return maybe_fail(kp, regs, gfp, -ENOMEM);
}

/* bool should_fail_alloc_page(gfp_t, unsigned int) */
static int on_pages(struct kprobe *kp, struct pt_regs *regs)
{
	gfp_t gfp = (__force gfp_t)regs_get_kernel_argument(regs, 0);

	return maybe_fail(kp, regs, gfp, true);
}

/* A probe that has this is not optimised, so that it may change where to go on. */
static void after(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe slab_probe, page_probe;
static bool on;

int fault_init(void)
{
	int err;

	slab_probe = (struct kprobe){
		.symbol_name = "should_failslab",
		.pre_handler = on_slab,
		.post_handler = after,
	};
	page_probe = (struct kprobe){
		.symbol_name = "should_fail_alloc_page",
		.pre_handler = on_pages,
		.post_handler = after,
	};
	atomic_set(&left, 0);
	err = register_kprobe(&slab_probe);
	if (err)
		return err;
	err = register_kprobe(&page_probe);
	if (err)
		unregister_kprobe(&slab_probe);
	on = !err;
	return err;
}

void fault_exit(void)
{
	if (!on)
		return;
	on = false;
	unregister_kprobe(&page_probe);
	unregister_kprobe(&slab_probe);
}

void fault_arm(unsigned int nth)
{
	WRITE_ONCE(where, NULL);
	atomic_set(&left, nth);
}

bool fault_disarm(void)
{
	atomic_set(&left, 0);
	return READ_ONCE(where);
}

void *fault_where(void)
{
	return where;
}
