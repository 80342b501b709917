// SPDX-License-Identifier: GPL-2.0-only
/*
 * Isolation VMs: kinds of VMs whose memory and processors the hypervisor cannot look
 * into. x86 alone has them. Each kind is a row of kinds[], of small functions; the
 * facts that they follow, and what nobody has seen run, are in
 * Documentation/isolation.rst.
 *
 * With a paravisor, which runs in the VM at a higher privilege, calls and registers of
 * the SynIC go past it to the hypervisor: by the GHCB (SEV-SNP) or TDVMCALL (TDX);
 * for registers vmbus_host_regs does that. Its SynIC pages are used. If
 * it has a bus of its own (confidential VMBus), that has a second SynIC, whose
 * registers are the processor's, and plain hypercalls post to it.
 * Without one the kernel's own functions do what an ordinary VM does, on pages that
 * the hypervisor may see.
 *
 * Actions: attach chooses the kind; pages come with their CPU, on that CPU; posts and
 * signals in any context.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>
#include VMBUS_CPUID_H

#include "include/vmbus_kind.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* In EAX of CPUID leaf HYPERV_CPUID_VIRT_STACK_PROPERTIES; 7.3's headers have it. */
#define VS_CONFIDENTIAL_VMBUS	BIT(3)

/* ---- calls past a paravisor ---- */

/*
 * The GHCB's code copies the input, all of it, from a page that is private and that
 * others have written to: nobody is to see what they left behind the message.
 */
static int __maybe_unused post_by_ghcb(u32 connection_id, u32 type, const void *payload,
				       size_t len)
{
	struct vmbus_post_input *input;
	unsigned long flags;
	u64 status;

	if (len > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return -EIO;
	local_irq_save(flags);
	input = *this_cpu_ptr(hyperv_pcpu_input_arg);
	memset(input->payload, 0, sizeof(input->payload));
	vmbus_post_fill(input, connection_id, type, payload, len);
	status = hv_ghcb_hypercall(HVCALL_POST_MESSAGE, input, NULL, sizeof(*input));
	local_irq_restore(flags);
	return vmbus_hv_post_result(status);
}

/* There is no fast call by the GHCB. */
static int __maybe_unused signal_by_ghcb(u64 connection_id)
{
	u64 status = hv_ghcb_hypercall(HVCALL_SIGNAL_EVENT, &connection_id, NULL,
				       sizeof(connection_id));

	return likely(hv_result_success(status)) ? 0 : -EIO;
}

#if VMBUS_ISOLATION_MAPPED

/* The hypervisor reads the input itself: the page is one that it may see. */
static int post_by_tdcall(u32 connection_id, u32 type, const void *payload, size_t len)
{
	u64 status = HV_STATUS_INSUFFICIENT_BUFFERS;
	struct vmbus_post_input *input;
	unsigned long flags;

	if (len > HV_MESSAGE_PAYLOAD_BYTE_COUNT)
		return -EIO;
	local_irq_save(flags);
	/* A CPU that is coming may not have it yet. */
	input = this_cpu_ptr(&vmbus_hv_cpu)->post;
	if (input) {
		vmbus_post_fill(input, connection_id, type, payload, len);
		status = hv_tdx_hypercall(HVCALL_POST_MESSAGE, virt_to_phys(input), 0);
	}
	local_irq_restore(flags);
	return vmbus_hv_post_result(status);
}

static int signal_by_tdcall(u64 connection_id)
{
	u64 status = hv_tdx_hypercall(HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST_BIT,
				      connection_id, 0);

	return likely(hv_result_success(status)) ? 0 : -EIO;
}

#endif

/* ---- pages of the paravisor ---- */

#if VMBUS_ISOLATION_ALIAS

/*
 * The address has the bit of the boundary, and is to be used with it. It comes from the
 * host: without the bit it would be that of any private page.
 */
static void *map_theirs(u64 address)
{
	return memremap(address | ms_hyperv.shared_gpa_boundary, HV_HYP_PAGE_SIZE, MEMREMAP_WB);
}

static void unmap_theirs(void *at)
{
	if (at)
		memunmap(at);
}

#else

/* The kernel's mappings have the bit of the boundary of their own. */
static void *map_theirs(u64 address)
{
	return (__force void *)ioremap_cache(address & ~ms_hyperv.shared_gpa_boundary,
					     HV_HYP_PAGE_SIZE);
}

static void unmap_theirs(void *at)
{
	if (at)
		iounmap((__force void __iomem *)at);
}

#endif

/*
 * It is mapped already if the CPU was online before. A handler that has its message may
 * still have to free the slot, so that mapping stays, also if the page is another one now,
 * which none has been seen to be: then it is not undone any more.
 */
static int their_page(void **page, u64 *address, unsigned int reg)
{
	u64 now = vmbus_host_regs.get(reg) & HV_HYP_PAGE_MASK;

	if (*page && *address == now)
		return 0;
	*page = map_theirs(now);
	*address = now;
	if (*page)
		return 0;
	pr_err("cannot map the paravisor's SynIC page (register 0x%x)\n", reg);
	return -ENOMEM;
}

static int their_pages_up(struct vmbus_hv_cpu *pages, unsigned int cpu)
{
	int err;

	hv_enable_coco_interrupt(cpu, HYPERVISOR_CALLBACK_VECTOR, true);
	err = their_page((void **)&pages->messages, &pages->messages_at, HV_MSR_SIMP);
	return err ?: their_page((void **)&pages->events, &pages->events_at, HV_MSR_SIEFP);
}

static void __maybe_unused their_pages_free(struct vmbus_hv_cpu *pages)
{
	unmap_theirs(pages->messages);
	unmap_theirs(pages->events);
}

/* ---- the SynIC of its bus, with pages that nobody but the two of us sees ---- */

static int __maybe_unused both_pages_up(struct vmbus_hv_cpu *pages, unsigned int cpu)
{
	int err = vmbus_hv_own_pages(&pages->para_messages, &pages->para_events, cpu);

	return err ?: their_pages_up(pages, cpu);
}

static void __maybe_unused both_pages_free(struct vmbus_hv_cpu *pages)
{
	their_pages_free(pages);
	free_page((unsigned long)pages->para_events);
	free_page((unsigned long)pages->para_messages);
}

static u64 para_get(unsigned int reg)
{
	return hv_para_get_synic_register(reg);
}

static void para_set(unsigned int reg, u64 value)
{
	hv_para_set_synic_register(reg, value);
}

static const struct vmbus_synic_regs __maybe_unused para = {
	.get = para_get,
	.set = para_set,
};

/* ---- pages of ours that the hypervisor may see ---- */

#if VMBUS_ISOLATION_MAPPED

/* On an error of set_memory_decrypted() the state of the page is unknown: it is leaked. */
static int show_page(void **page, unsigned int cpu, const char *what)
{
	struct page *new;
	int err;

	if (*page)
		return 0;
	new = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
	if (!new)
		return -ENOMEM;
	err = set_memory_decrypted((unsigned long)page_address(new), 1);
	if (err) {
		pr_err("Failed to decrypt %s page: %d\n", what, err);
		return err;
	}
	/* What was in it is something else in the eyes of either side. */
	memset(page_address(new), 0, PAGE_SIZE);
	*page = page_address(new);
	return 0;
}

static int hide_page(void *page, const char *what)
{
	int err;

	if (!page)
		return 0;
	err = set_memory_encrypted((unsigned long)page, 1);
	if (err)
		pr_err("Failed to encrypt %s page: %d\n", what, err);
	return err;
}

static void free_page_shown(void *page, const char *what)
{
	if (!hide_page(page, what))
		free_page((unsigned long)page);
}

static int shown_pages_up(struct vmbus_hv_cpu *pages, unsigned int cpu)
{
	int err;

	hv_enable_coco_interrupt(cpu, HYPERVISOR_CALLBACK_VECTOR, true);
	err = show_page((void **)&pages->messages, cpu, "SYNIC msg");
	return err ?: show_page((void **)&pages->events, cpu, "SYNIC event");
}

static void shown_pages_hide(struct vmbus_hv_cpu *pages)
{
	hide_page(pages->messages, "SYNIC msg");
	hide_page(pages->events, "SYNIC event");
}

static void shown_pages_free(struct vmbus_hv_cpu *pages)
{
	free_page_shown(pages->messages, "SYNIC msg");
	free_page_shown(pages->events, "SYNIC event");
}

static int tdx_pages_up(struct vmbus_hv_cpu *pages, unsigned int cpu)
{
	int err = show_page((void **)&pages->post, cpu, "post msg");

	return err ?: their_pages_up(pages, cpu);
}

static void tdx_pages_hide(struct vmbus_hv_cpu *pages)
{
	hide_page(pages->post, "post msg");
}

static void tdx_pages_free(struct vmbus_hv_cpu *pages)
{
	their_pages_free(pages);
	free_page_shown(pages->post, "post msg");
}

#endif

/* ---- kinds ---- */

#if VMBUS_ISOLATION_ALIAS

/* The kernel's mappings are of what is private; shared memory is above the boundary. */
static void *map_above(struct page **pages, unsigned int nr_pages)
{
	unsigned long *pfns = kvmalloc_array(nr_pages, sizeof(*pfns), GFP_KERNEL);
	unsigned long above = PHYS_PFN(ms_hyperv.shared_gpa_boundary);
	unsigned int i;
	void *at;

	if (!pfns)
		return NULL;
	for (i = 0; i < nr_pages; i++)
		pfns[i] = page_to_pfn(pages[i]) + above;
	at = vmap_pfn(pfns, nr_pages, PAGE_KERNEL);
	kvfree(pfns);
	return at;
}

/* Who has a boundary there has a paravisor. */
static bool has_paravisor(void)
{
	return ms_hyperv.shared_gpa_boundary_active;
}

#elif VMBUS_ISOLATION_MAPPED

static bool has_paravisor(void)
{
	return ms_hyperv.paravisor_present;
}

#else

/* No kind is known. */
static bool has_paravisor(void)
{
	return false;
}

#endif

static const struct vmbus_kind kinds[] = {
#if VMBUS_ISOLATION_ALIAS
	{
		.name = "SEV-SNP below a virtual top of memory",
		.type = HV_ISOLATION_TYPE_SNP,
		.has_paravisor = true,
		.pages_up = their_pages_up,
		.pages_free = their_pages_free,
		.post = post_by_ghcb,
		.signal = signal_by_ghcb,
		.map = map_above,
	},
	{
		.name = "SEV-SNP below a virtual top of memory, confidential VMBus",
		.type = HV_ISOLATION_TYPE_SNP,
		.has_paravisor = true,
		.para = &para,
		.pages_up = both_pages_up,
		.pages_free = both_pages_free,
		.post = vmbus_hv_post,
		.signal = signal_by_ghcb,
		.map = map_above,
	},
#endif
#if VMBUS_ISOLATION_MAPPED
	{
		.name = "SEV-SNP with a paravisor",
		.type = HV_ISOLATION_TYPE_SNP,
		.has_paravisor = true,
		.pages_up = their_pages_up,
		.pages_free = their_pages_free,
		.post = post_by_ghcb,
		.signal = signal_by_ghcb,
	},
	{
		.name = "TDX with a paravisor",
		.type = HV_ISOLATION_TYPE_TDX,
		.has_paravisor = true,
		.pages_up = tdx_pages_up,
		.pages_hide = tdx_pages_hide,
		.pages_free = tdx_pages_free,
		.post = post_by_tdcall,
		.signal = signal_by_tdcall,
	},
	{
		.name = "SEV-SNP with a paravisor, confidential VMBus",
		.type = HV_ISOLATION_TYPE_SNP,
		.has_paravisor = true,
		.para = &para,
		.pages_up = both_pages_up,
		.pages_free = both_pages_free,
		.post = vmbus_hv_post,
		.signal = signal_by_ghcb,
	},
	{
		.name = "TDX with a paravisor, confidential VMBus",
		.type = HV_ISOLATION_TYPE_TDX,
		.has_paravisor = true,
		.para = &para,
		.pages_up = both_pages_up,
		.pages_free = both_pages_free,
		.post = vmbus_hv_post,
		.signal = signal_by_tdcall,
	},
	{
		.name = "SEV-SNP",
		.type = HV_ISOLATION_TYPE_SNP,
		.pages_up = shown_pages_up,
		.pages_hide = shown_pages_hide,
		.pages_free = shown_pages_free,
		.post = vmbus_hv_post,
		.signal = vmbus_hv_signal,
	},
	{
		.name = "TDX",
		.type = HV_ISOLATION_TYPE_TDX,
		.pages_up = shown_pages_up,
		.pages_hide = shown_pages_hide,
		.pages_free = shown_pages_free,
		.post = vmbus_hv_post,
		.signal = vmbus_hv_signal,
	},
#endif
};

/* The leaf is the paravisor's own; the hypervisor does not know it. */
static bool is_confidential(void)
{
	return has_paravisor() &&
	       cpuid_eax(HYPERV_CPUID_VIRT_STACK_PROPERTIES) & VS_CONFIDENTIAL_VMBUS;
}

const struct vmbus_kind *vmbus_isolation_kind(void)
{
	int type = hv_get_isolation_type();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].type != type || kinds[i].has_paravisor != has_paravisor() ||
		    !kinds[i].para == is_confidential())
			continue;
		if (kinds[i].has_paravisor)
			hv_para_set_sint_proxy(!kinds[i].para);
		pr_info("isolation VM: %s\n", kinds[i].name);
		return &kinds[i];
	}
	pr_err("isolation VM of type %d: not supported on this kernel, use the in-tree module\n",
	       type);
	return NULL;
}
