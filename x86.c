// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hyper-V on x86: a vector of the kernel's own interrupts, and synthetic timers
 * that may send messages to the SINT of VMBus.
 *
 * Actions: start and stop; each CPU as it comes and goes; interrupts of timers;
 * the ways down.
 */
#include <clocksource/hyperv_timer.h>
#include <asm/hypervisor.h>
#include <asm/mshyperv.h>

#include "include/vmbus_arch.h"
#include "include/vmbus_wire.h"

bool vmbus_arch_found(void)
{
	return hypervisor_is_type(X86_HYPER_MS_HYPERV) && hv_is_hyperv_initialized();
}

int vmbus_arch_listen(int irq, void (*interrupt)(void))
{
	hv_setup_vmbus_handler(interrupt);
	return 0;
}

void vmbus_arch_deafen(void)
{
	hv_remove_vmbus_handler();
}

void vmbus_arch_sint_up(union hv_synic_sint *sint)
{
	sint->vector = HYPERVISOR_CALLBACK_VECTOR;
	/* The kernel's vector handler does the EOI where auto-EOI is dear. */
	sint->auto_eoi = !(ms_hyperv.hints & HV_DEPRECATING_AEOI_RECOMMENDED);
}

/* Synthetic timers interrupt by themselves and are no business of ours. */
static bool timers_are_direct(void)
{
	return ms_hyperv.misc_features & HV_STIMER_DIRECT_MODE_AVAILABLE;
}

/*
 * Otherwise they send messages to our SINT, and have to be given up before the
 * SynIC is: the tick moves back to the local APIC timer. It cannot if that one
 * runs in every idle state (ARAT), because then the kernel makes it the tick
 * broadcast device as soon as it is free, and nothing takes it away from there.
 * A CPU that then has no other timer would never tick again. So where the local
 * APIC timer needs no help it goes on.
 */
static bool timers_are_messages(void)
{
	return VMBUS_TIMER_MESSAGES && (ms_hyperv.features & HV_MSR_SYNTIMER_AVAILABLE) &&
	       !timers_are_direct() && !boot_cpu_has(X86_FEATURE_ARAT);
}

void vmbus_arch_timers_up(unsigned int cpu)
{
	if (timers_are_messages())
		hv_stimer_legacy_init(cpu, VMBUS_SINT);
}

void vmbus_arch_timers_down(unsigned int cpu)
{
	if (timers_are_messages())
		hv_stimer_legacy_cleanup(cpu);
}

void vmbus_arch_timers_kexec(void)
{
	/* Those that are messages went with their SynICs. */
	if (timers_are_direct())
		hv_stimer_global_cleanup();
}

bool vmbus_arch_timers_crash(void)
{
	/*
	 * The other CPUs' timers died with them: they are stopped in the NMI. To
	 * unbind a timer takes a mutex, so one with messages is just switched off.
	 */
	if (timers_are_direct())
		hv_stimer_cleanup(raw_smp_processor_id());
	return timers_are_messages();
}

void vmbus_arch_timer_isr(void)
{
	/* Such a message from a host without such a timer of ours: there is no handler. */
	if (timers_are_messages())
		hv_stimer0_isr();
}
