/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of Hyper-V differs between architectures: how it interrupts, how it is
 * found, and whose its timers are. Below the host seam: hv.c asks, x86.c or
 * arm64.c answers.
 */
#ifndef _VMBUS_ARCH_H
#define _VMBUS_ARCH_H

#include <linux/types.h>
#include <asm/mshyperv.h>

/**
 * vmbus_arch_found() - is this kernel on Hyper-V?
 *
 * Context: any.
 */
bool vmbus_arch_found(void);

/**
 * vmbus_arch_listen() - begin to take the interrupt of the host, on any CPU
 * @irq: Linux' number of the one that firmware names, 0 if it names none; x86
 *	has a vector for it
 * @interrupt: called in it, in hard interrupt context
 *
 * Context: process, sleeps.
 * Return: 0; -ENODEV if firmware has to name one; errors of
 * request_percpu_irq().
 */
int vmbus_arch_listen(int irq, void (*interrupt)(void));

/**
 * vmbus_arch_deafen() - undo vmbus_arch_listen(), if it was called and succeeded
 *
 * Context: process, sleeps; no CPU's SINT is unmasked.
 */
void vmbus_arch_deafen(void);

/**
 * vmbus_arch_sint_up() - let this CPU take the interrupt
 * @sint: gets what its SINT has to say of it
 *
 * Context: on that CPU, not preemptible or bound to it.
 */
void vmbus_arch_sint_up(union hv_synic_sint *sint);

#ifdef CONFIG_X86

/* The number by which the kernel's pool of entropy knows the interrupt. */
#define VMBUS_ARCH_IRQ		HYPERVISOR_CALLBACK_VECTOR

static inline void vmbus_arch_sint_down(void) { }

/* There are synthetic timers, which may send messages. */
#define VMBUS_ARCH_TIMERS	1

/* Those that do: given up before a SynIC is, on its CPU. */
void vmbus_arch_timers_up(unsigned int cpu);
void vmbus_arch_timers_down(unsigned int cpu);
/* All timers, before another kernel starts. */
void vmbus_arch_timers_kexec(void);
/* This CPU's, after a crash. Return: whether it is on still, to be switched off by its MSRs. */
bool vmbus_arch_timers_crash(void);
/* One has sent a message. Hard interrupt. */
void vmbus_arch_timer_isr(void);

#else

#define VMBUS_ARCH_IRQ		vmbus_bus.irq

/* This CPU's SINT is masked: it takes no more interrupts. Undoes vmbus_arch_sint_up(). */
void vmbus_arch_sint_down(void);

/* The kernel's clock is the architecture's own. */
#define VMBUS_ARCH_TIMERS	0

static inline void vmbus_arch_timers_up(unsigned int cpu) { }
static inline void vmbus_arch_timers_down(unsigned int cpu) { }
static inline void vmbus_arch_timers_kexec(void) { }
static inline bool vmbus_arch_timers_crash(void) { return false; }
static inline void vmbus_arch_timer_isr(void) { }

#endif

#endif /* _VMBUS_ARCH_H */
