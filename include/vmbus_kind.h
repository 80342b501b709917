/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of VMs, by how far they trust their host. Below the host seam: hv.c does
 * what is the same in all of them, and has the ordinary one; isolation.c has the
 * others, which x86 alone has.
 */
#ifndef _VMBUS_KIND_H
#define _VMBUS_KIND_H

#include <linux/build_bug.h>
#include <linux/percpu-defs.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/mshyperv.h>

/* Input of HVCALL_POST_MESSAGE (TLFS). */
struct vmbus_post_input {
	u32 connection_id;
	u32 reserved;
	u32 message_type;
	u32 payload_size;
	u64 payload[HV_MESSAGE_PAYLOAD_QWORD_COUNT];
};

static_assert(sizeof(struct vmbus_post_input) == 256);

/**
 * struct vmbus_hv_cpu - the pages of a CPU
 * @messages: slots for messages, of which the VMBus SINT's is used
 * @events: event flags, likewise
 * @messages_at: what the register says of @messages, if they are a paravisor's
 * @events_at: likewise
 * @post: for messages to the host, where they need a page of their own
 * @para_messages: as @messages, of a paravisor's bus
 * @para_events: likewise
 */
struct vmbus_hv_cpu {
	struct hv_message_page *messages;
	union hv_synic_event_flags *events;
	u64 messages_at;
	u64 events_at;
	struct vmbus_post_input *post;
	struct hv_message_page *para_messages;
	union hv_synic_event_flags *para_events;
};

/**
 * struct vmbus_synic_regs - the registers of a SynIC of this CPU
 * @get: read one of HV_MSR_*
 * @set: write it
 */
struct vmbus_synic_regs {
	u64 (*get)(unsigned int reg);
	void (*set)(unsigned int reg, u64 value);
};

/* The host's SynIC. */
extern const struct vmbus_synic_regs vmbus_host_regs;

/**
 * struct vmbus_kind - a kind of VM
 * @name: for the log; NULL for the ordinary one
 * @type: enum hv_isolation_type, which arm64 does not have
 * @has_paravisor: whose SynIC pages these are then: they are where the SynIC's
 *	registers say, which keep saying so
 * @para: the registers of its own SynIC, which has pages of ours, if it has a bus
 *	(confidential VMBus); else NULL
 * @pages_up: give a CPU its pages, unless it has them; on that CPU, sleeps. 0,
 *	-ENOMEM, errors of set_memory_decrypted(); then what it has is freed later.
 * @pages_hide: the host may not see a CPU's pages any more, where they are ours,
 *	because another kernel is started; sleeps. Optional.
 * @pages_free: give a CPU's pages up, of which some may be NULL; its SynIC is off.
 *	Sleeps.
 * @post: one attempt to post, as vmbus_host_ops.post_message()
 * @signal: as vmbus_host_ops.signal_event()
 * @map: as vmbus_isolation.map
 */
struct vmbus_kind {
	const char *name;
	int type;
	bool has_paravisor;
	const struct vmbus_synic_regs *para;
	int (*pages_up)(struct vmbus_hv_cpu *pages, unsigned int cpu);
	void (*pages_hide)(struct vmbus_hv_cpu *pages);
	void (*pages_free)(struct vmbus_hv_cpu *pages);
	int (*post)(u32 connection_id, u32 type, const void *payload, size_t len);
	int (*signal)(u64 connection_id);
	void *(*map)(struct page **pages, unsigned int nr_pages);
};

/* hv.c: what there is of both; each CPU's pages, and what a post's status means. */
DECLARE_PER_CPU(struct vmbus_hv_cpu, vmbus_hv_cpu);
int vmbus_hv_post(u32 connection_id, u32 type, const void *payload, size_t len);
int vmbus_hv_post_result(u64 status);
int vmbus_hv_signal(u64 connection_id);
int vmbus_hv_own_pages(struct hv_message_page **messages, union hv_synic_event_flags **events,
		       unsigned int cpu);

/**
 * vmbus_post_fill() - write a message into the input of its hypercall
 * @input: to be filled
 * @connection_id: where to
 * @type: of SynIC message
 * @payload: its contents
 * @len: bytes, at most HV_MESSAGE_PAYLOAD_BYTE_COUNT
 */
static __always_inline void vmbus_post_fill(struct vmbus_post_input *input, u32 connection_id,
					    u32 type, const void *payload, size_t len)
{
	input->connection_id = connection_id;
	input->reserved = 0;
	input->message_type = type;
	input->payload_size = len;
	memcpy(input->payload, payload, len);
}

#ifdef CONFIG_X86

/**
 * vmbus_isolation_kind() - the kind of this isolation VM
 *
 * Context: process, when the host is attached.
 * Return: the kind; NULL, with a line in the log, if it is none that this kernel
 * and this driver know.
 */
const struct vmbus_kind *vmbus_isolation_kind(void);

#else

static inline const struct vmbus_kind *vmbus_isolation_kind(void)
{
	return NULL;
}

#endif

#endif /* _VMBUS_KIND_H */
