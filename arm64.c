// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hyper-V on Arm: a per-CPU interrupt that firmware names. Timers are those of
 * the architecture, and hypercalls stand for MSRs.
 *
 * Actions: start and stop; each CPU as it comes and goes; interrupts.
 *
 * The interrupt is requested before the first CPU enables it, and freed after
 * the last one has disabled it.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/percpu.h>
#include <asm/mshyperv.h>

#include "include/vmbus_arch.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* The interrupt, 0 while it is not ours, and who wants to know of it. */
static int vmbus_irq_taken;
static void (*interrupt_upcall)(void);

/* A per-CPU interrupt has to have a cookie on each CPU. */
static DEFINE_PER_CPU(long, cookie);

bool vmbus_arch_found(void)
{
	return hv_is_hyperv_initialized();
}

static irqreturn_t on_interrupt(int irq, void *dev)
{
	interrupt_upcall();
	return IRQ_HANDLED;
}

int vmbus_arch_listen(int irq, void (*interrupt)(void))
{
	int err;

	if (!irq) {
		pr_err("firmware names no interrupt for VMBus\n");
		return -ENODEV;
	}
	interrupt_upcall = interrupt;
	err = request_percpu_irq(irq, on_interrupt, "Hyper-V VMbus", &cookie);
	if (err) {
		pr_err("Can't request Hyper-V VMbus IRQ %d, Err %d\n", irq, err);
		return err;
	}
	vmbus_irq_taken = irq;
	return 0;
}

void vmbus_arch_deafen(void)
{
	if (vmbus_irq_taken)
		free_percpu_irq(vmbus_irq_taken, &cookie);
	vmbus_irq_taken = 0;
}

void vmbus_arch_sint_up(union hv_synic_sint *sint)
{
	enable_percpu_irq(vmbus_irq_taken, IRQ_TYPE_NONE);
	/* The GIC's number, INTID. Linux ends the interrupt there. */
	sint->vector = irqd_to_hwirq(irq_get_irq_data(vmbus_irq_taken));
	sint->auto_eoi = false;
}

void vmbus_arch_sint_down(void)
{
	disable_percpu_irq(vmbus_irq_taken);
}
