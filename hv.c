// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hyper-V: with isolation.c the only file that touches hypercalls, MSRs and SynIC
 * pages. It implements the host seam (vmbus_host.h), with x86.c or arm64.c for what
 * differs there (vmbus_arch.h).
 *
 * Actions: attach and detach at module load and unload; synic_up and synic_down
 * on each CPU as it comes and goes; synic_suspend and synic_resume around the
 * image of a hibernation; the rest from anywhere.
 *
 * The SynIC pages of a CPU are allocated when it first comes up and stay until
 * detach, so that a crashed kernel can still look for the unload reply. Whose they
 * are, and how the host is reached, differs in isolation VMs (vmbus_kind.h).
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "include/vmbus_arch.h"
#include "include/vmbus_host.h"
#include "include/vmbus_kind.h"
#include "include/vmbus_slot.h"
#include "include/vmbus_wire.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

DEFINE_PER_CPU(struct vmbus_hv_cpu, vmbus_hv_cpu);

/* The kind of this VM, chosen by attach(). */
static const struct vmbus_kind *kind __ro_after_init;

static void (*interrupt_upcall)(void);
static void (*crash_upcall)(void);
static void (*kexec_upcall)(void);

/* In line, so that the ordinary way is not longer for what other kinds need of it. */
static __always_inline int post_result(u64 status)
{
	switch (hv_result(status)) {
	case HV_STATUS_SUCCESS:
		return 0;
	case HV_STATUS_INSUFFICIENT_MEMORY:
	case HV_STATUS_INSUFFICIENT_BUFFERS:
		return -EAGAIN;
	case HV_STATUS_INVALID_CONNECTION_ID:
		return -ENOTCONN;
	default:
		pr_err_ratelimited("hv_post_msg() failed; error code:%d\n",
				   hv_result(status));
		return -EIO;
	}
}

static __always_inline int post(u32 connection_id, u32 type, const void *payload, size_t len)
{
	struct vmbus_post_input *input;
	unsigned long flags;
	u64 status;

	if (len > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return -EIO;

	/* The input page belongs to whoever has interrupts off on this CPU. */
	local_irq_save(flags);
	input = *this_cpu_ptr(hyperv_pcpu_input_arg);
	vmbus_post_fill(input, connection_id, type, payload, len);
	status = hv_do_hypercall(HVCALL_POST_MESSAGE, input, NULL);
	local_irq_restore(flags);
	return post_result(status);
}

static int post_message(u32 connection_id, const void *payload, size_t len)
{
	return post(connection_id, VMBUS_SYNIC_MESSAGE_TYPE, payload, len);
}

/* 0 or an errno of vmbus_host_ops.post_message(). */
int vmbus_hv_post_result(u64 status)
{
	return post_result(status);
}

/* vmbus_kind.post() where a plain hypercall reaches the hypervisor. */
int vmbus_hv_post(u32 connection_id, u32 type, const void *payload, size_t len)
{
	return post(connection_id, type, payload, len);
}

static int post_by_kind(u32 connection_id, const void *payload, size_t len)
{
	return kind->post(connection_id, VMBUS_SYNIC_MESSAGE_TYPE, payload, len);
}

#if VMBUS_NEWER_EXPORTS

/**
 * hv_post_message() - post a SynIC message of any type, once
 * @connection_id: where to
 * @message_type: its type
 * @payload: its contents
 * @payload_size: bytes, at most HV_MESSAGE_PAYLOAD_BYTE_COUNT
 *
 * For mshv_vtl.
 *
 * Context: any.
 * Return: 0, or an errno as vmbus_host_ops.post_message().
 */
int hv_post_message(union hv_connection_id connection_id, enum hv_message_type message_type,
		    void *payload, size_t payload_size)
{
	return kind->post(connection_id.asu32, message_type, payload, payload_size);
}

#endif

/* vmbus_kind.signal() likewise. */
int vmbus_hv_signal(u64 connection_id)
{
	u64 status = hv_do_fast_hypercall8(HVCALL_SIGNAL_EVENT, connection_id);

	return likely(hv_result_success(status)) ? 0 : -EIO;
}

/* Pages for a SynIC, each unless it is there; 0 or -ENOMEM. */
int vmbus_hv_own_pages(struct hv_message_page **messages, union hv_synic_event_flags **events,
		       unsigned int cpu)
{
	int node = cpu_to_node(cpu);
	struct page *page;

	if (!*messages) {
		page = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		if (!page)
			return -ENOMEM;
		*messages = page_address(page);
	}
	if (!*events) {
		page = alloc_pages_node(node, GFP_KERNEL | __GFP_ZERO, 0);
		if (!page)
			return -ENOMEM;
		*events = page_address(page);
	}
	return 0;
}

static int own_pages_up(struct vmbus_hv_cpu *pages, unsigned int cpu)
{
	return vmbus_hv_own_pages(&pages->messages, &pages->events, cpu);
}

static void own_pages_free(struct vmbus_hv_cpu *pages)
{
	free_page((unsigned long)pages->events);
	free_page((unsigned long)pages->messages);
}

static const struct vmbus_kind ordinary = {
	.pages_up = own_pages_up,
	.pages_free = own_pages_free,
	.post = vmbus_hv_post,
	.signal = vmbus_hv_signal,
};

static u64 host_get(unsigned int reg)
{
	return hv_get_msr(reg);
}

static void host_set(unsigned int reg, u64 value)
{
	hv_set_msr(reg, value);
}

const struct vmbus_synic_regs vmbus_host_regs = {
	.get = host_get,
	.set = host_set,
};

/* NULL: they are where the registers say. */
static void enable_pages(const struct vmbus_synic_regs *regs, void *messages, void *events)
{
	union hv_synic_siefp siefp;
	union hv_synic_simp simp;

	simp.as_uint64 = regs->get(HV_MSR_SIMP);
	simp.simp_enabled = 1;
	if (messages)
		simp.base_simp_gpa = virt_to_phys(messages) >> HV_HYP_PAGE_SHIFT;
	regs->set(HV_MSR_SIMP, simp.as_uint64);

	siefp.as_uint64 = regs->get(HV_MSR_SIEFP);
	siefp.siefp_enabled = 1;
	if (events)
		siefp.base_siefp_gpa = virt_to_phys(events) >> HV_HYP_PAGE_SHIFT;
	regs->set(HV_MSR_SIEFP, siefp.as_uint64);
}

/* @keep: where they are they are for who comes after us, too. */
static void disable_pages(const struct vmbus_synic_regs *regs, bool keep)
{
	union hv_synic_siefp siefp;
	union hv_synic_simp simp;

	simp.as_uint64 = regs->get(HV_MSR_SIMP);
	simp.simp_enabled = 0;
	if (!keep)
		simp.base_simp_gpa = 0;
	regs->set(HV_MSR_SIMP, simp.as_uint64);

	siefp.as_uint64 = regs->get(HV_MSR_SIEFP);
	siefp.siefp_enabled = 0;
	if (!keep)
		siefp.base_siefp_gpa = 0;
	regs->set(HV_MSR_SIEFP, siefp.as_uint64);
}

static void set_control(const struct vmbus_synic_regs *regs, bool enable)
{
	union hv_synic_scontrol control;

	control.as_uint64 = regs->get(HV_MSR_SCONTROL);
	control.enable = enable;
	regs->set(HV_MSR_SCONTROL, control.as_uint64);
}

static void synic_enable(const struct vmbus_hv_cpu *pages)
{
	union hv_synic_sint sint;

	if (kind->para)
		enable_pages(kind->para, pages->para_messages, pages->para_events);
	if (kind->has_paravisor)
		enable_pages(&vmbus_host_regs, NULL, NULL);
	else
		enable_pages(&vmbus_host_regs, pages->messages, pages->events);

	sint.as_uint64 = hv_get_msr(HV_MSR_SINT0 + VMBUS_SINT);
	sint.masked = 0;
	vmbus_arch_sint_up(&sint);
	hv_set_msr(HV_MSR_SINT0 + VMBUS_SINT, sint.as_uint64);
	/*
	 * So that was written there as well, by kernels before 7.0 with the bit that
	 * makes the paravisor pass on the interrupts of the host's SynIC alone. Of
	 * what the host has in its register this one has nothing.
	 */
	if (kind->para) {
		union hv_synic_sint own = { .vector = sint.vector, .auto_eoi = sint.auto_eoi };

		kind->para->set(HV_MSR_SINT0 + VMBUS_SINT, own.as_uint64);
	}

	/* The host's is the paravisor's to enable, then. */
	set_control(kind->para ?: &vmbus_host_regs, true);
}

static int synic_up(unsigned int cpu, struct vmbus_synic *synics)
{
	struct vmbus_synic *synic = &synics[VMBUS_SYNIC_HOST];
	struct vmbus_hv_cpu *pages = per_cpu_ptr(&vmbus_hv_cpu, cpu);
	int err;

	err = kind->pages_up(pages, cpu);
	if (err)
		return err;
	synic->message = &pages->messages->sint_message[VMBUS_SINT];
	synic->events = pages->events[VMBUS_SINT].flags;
	if (kind->para) {
		synic = &synics[VMBUS_SYNIC_PARAVISOR];
		synic->message = &pages->para_messages->sint_message[VMBUS_SINT];
		synic->events = pages->para_events[VMBUS_SINT].flags;
	}
	synic_enable(pages);
	vmbus_arch_timers_up(cpu);
	return 0;
}

static void synic_disable(void)
{
	union hv_synic_sint sint;

	sint.as_uint64 = hv_get_msr(HV_MSR_SINT0 + VMBUS_SINT);
	sint.masked = 1;
	hv_set_msr(HV_MSR_SINT0 + VMBUS_SINT, sint.as_uint64);

	disable_pages(&vmbus_host_regs, kind->has_paravisor);
	if (kind->para)
		disable_pages(kind->para, false);
	set_control(kind->para ?: &vmbus_host_regs, false);
	vmbus_arch_sint_down();
}

static void synic_down(unsigned int cpu)
{
	vmbus_arch_timers_down(cpu);
	synic_disable();
}

/* The kernel suspends and resumes the clock of this CPU itself. */
static void synic_suspend(unsigned int cpu)
{
	synic_disable();
}

static void synic_resume(unsigned int cpu)
{
	synic_enable(per_cpu_ptr(&vmbus_hv_cpu, cpu));
}

static void message_done(struct hv_message *message, u32 type)
{
	if (vmbus_slot_free(message, type))
		hv_set_msr(HV_MSR_EOM, 0);
}

static void timer_expired(struct hv_message *message)
{
	vmbus_arch_timer_isr();
	message_done(message, HVMSG_TIMER_EXPIRED);
}

static u32 vp_index(unsigned int cpu)
{
	return hv_cpu_number_to_vp_number(cpu);
}

/* For isolation VMs alone. */
static int set_visible(void *addr, int nr_pages, bool visible)
{
	if (visible)
		return set_memory_decrypted((unsigned long)addr, nr_pages);
	return set_memory_encrypted((unsigned long)addr, nr_pages);
}

static void on_kexec(void)
{
	unsigned int cpu;

	/* A timer's message may come as long as there is a SynIC to take it. */
	kexec_upcall();
	vmbus_arch_timers_kexec();
	if (kind->pages_hide)
		for_each_possible_cpu(cpu)
			kind->pages_hide(per_cpu_ptr(&vmbus_hv_cpu, cpu));
}

static void on_crash(struct pt_regs *regs)
{
	crash_upcall();
	if (vmbus_arch_timers_crash()) {
		hv_set_msr(HV_MSR_STIMER0_COUNT, 0);
		hv_set_msr(HV_MSR_STIMER0_CONFIG, 0);
	}
	synic_disable();
}

/* Returns whether it is one that we know. */
static bool choose_kind(void)
{
	static struct vmbus_isolation isolation __ro_after_init;

	kind = &ordinary;
	if (!hv_is_isolation_supported())
		return true;
	kind = vmbus_isolation_kind();
	if (!kind)
		return false;
	isolation.boundary = ms_hyperv.shared_gpa_boundary;
	isolation.map = kind->map;
	isolation.synic_goes = kind->has_paravisor;
	isolation.confidential = kind->para;
	vmbus_hyperv_host.isolation = &isolation;
	vmbus_hyperv_host.post_message = post_by_kind;
	vmbus_hyperv_host.signal_event = kind->signal;
	vmbus_hyperv_host.set_visible = set_visible;
	return true;
}

static int attach(const struct vmbus_host_upcalls *upcalls)
{
	if (!vmbus_arch_found() || !(ms_hyperv.features & HV_MSR_SYNIC_AVAILABLE)) {
		/* No error: an image that has the module may be started anywhere. */
		pr_info("no Hyper-V with a synthetic interrupt controller here\n");
		return -ENODEV;
	}
	if (!choose_kind())
		return -ENODEV;
	/* A nested one is a guest of the host below it, and has its bus. */
	if (VMBUS_HV_ROOT && !VMBUS_HV_NESTED)
		return -EHOSTDOWN;

	interrupt_upcall = kind->para ? upcalls->interrupt_both : upcalls->interrupt;
	kexec_upcall = upcalls->kexec;
	crash_upcall = upcalls->crash;
	hv_setup_kexec_handler(on_kexec);
	hv_setup_crash_handler(on_crash);
	return 0;
}

static int listen(int irq)
{
	return vmbus_arch_listen(irq, interrupt_upcall);
}

static void detach(void)
{
	unsigned int cpu;

	hv_remove_crash_handler();
	hv_remove_kexec_handler();
	vmbus_arch_deafen();
	/* An interrupt that came just before its SynIC went down is over now. */
	synchronize_rcu();
	for_each_possible_cpu(cpu) {
		struct vmbus_hv_cpu *pages = per_cpu_ptr(&vmbus_hv_cpu, cpu);

		kind->pages_free(pages);
		memset(pages, 0, sizeof(*pages));
	}
}

struct vmbus_host_ops vmbus_hyperv_host __ro_after_init = {
	.name = "Hyper-V",
	.attach = attach,
	.listen = listen,
	.detach = detach,
	.synic_up = synic_up,
	.synic_down = synic_down,
	.synic_suspend = synic_suspend,
	.synic_resume = synic_resume,
	.post_message = post_message,
	.signal_event = vmbus_hv_signal,
	.message_done = message_done,
	.timer_expired = VMBUS_ARCH_TIMERS ? timer_expired : NULL,
	.vp_index = vp_index,
};
