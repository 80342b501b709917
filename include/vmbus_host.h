/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host seam: everything the driver asks of the machine below it.
 *
 * hv.c implements it with hypercalls, MSRs and SynIC pages; a test can install
 * a second implementation. Nothing above the seam touches any of those.
 */
#ifndef _VMBUS_HOST_H
#define _VMBUS_HOST_H

#include <linux/static_call_types.h>
#include <linux/types.h>

struct hv_message;
struct page;

/*
 * A CPU has the SynIC of its host, and where there is a paravisor that has a bus
 * of its own (struct vmbus_isolation.confidential) a second one, of that.
 */
enum {
	VMBUS_SYNIC_HOST,
	VMBUS_SYNIC_PARAVISOR,
	VMBUS_NR_SYNICS
};

/**
 * struct vmbus_synic - one CPU's window on the host, filled by synic_up()
 * @message: message slot of the VMBus SINT; the host fills it, message_done()
 *	frees it. Shared memory: read every field once.
 * @events: event flags of the VMBus SINT, HV_EVENT_FLAGS_COUNT bits indexed by
 *	relid; the host sets them, the guest clears them atomically.
 *
 * Both stay valid until detach(), also while the CPU is offline, because the
 * unload reply may have been delivered to any CPU by the time of a panic. Where
 * VMBUS_SYNIC_HOST's are a paravisor's (struct vmbus_isolation.synic_goes) the driver
 * sets @message to NULL when the CPU goes, and whoever looks at other CPUs' leaves that
 * one out. Of VMBUS_SYNIC_PARAVISOR both are NULL unless there is one.
 */
struct vmbus_synic {
	struct hv_message *message;
	unsigned long *events;
};

/**
 * struct vmbus_host_upcalls - what the host may call in the driver
 * @interrupt: channel events or a message are pending on this CPU; hard
 *	interrupt context.
 * @interrupt_both: the same, in either of its two SynICs.
 * @kexec: the machine is about to start another kernel; may sleep.
 * @crash: the machine has crashed and is about to start another kernel; other
 *	CPUs are stopped, must not sleep.
 */
struct vmbus_host_upcalls {
	void (*interrupt)(void);
	void (*interrupt_both)(void);
	void (*kexec)(void);
	void (*crash)(void);
};

/**
 * struct vmbus_isolation - a VM whose memory the host sees where it is allowed to
 * @boundary: bits that the host wants in the addresses of monitor pages, and of
 *	nothing else: not in the page numbers of GPADLs. 0 for none.
 * @map: map the @nr_pages at @pages, all visible to the host, one after the other,
 *	a page as often as it is there; undone by vunmap(). May sleep. The address,
 *	or NULL for want of memory. Optional: with it a visible page must not be
 *	touched in any other way, so neither in the direct map. Without it vmap()
 *	with pgprot_decrypted() maps visible pages, and they are in the direct map
 *	as ever.
 * @synic_goes: a CPU's struct vmbus_synic points to pages that are there only while
 *	the CPU is online: they are read for the last time before it has gone. Those of
 *	VMBUS_SYNIC_PARAVISOR are the driver's, and stay.
 * @confidential: there is a paravisor, which runs in the VM and is trusted as little
 *	and as much as the guest's firmware; it has a bus, and may offer channels whose
 *	rings, or whose other memory, stay private. Their events, and all messages of
 *	that bus, come to VMBUS_SYNIC_PARAVISOR. From protocol 6.0 on, if it agrees.
 *
 * In such a VM the driver accepts protocol 5.2 or higher, and offers of sockets and
 * of those types of device alone that vmbus_devs[] allows there; it does not
 * hibernate. Memory becomes visible, by set_visible(), before the host is told of
 * it, and is zeroed after that; it is taken back after the host has let go of it.
 */
struct vmbus_isolation {
	u64 boundary;
	void *(*map)(struct page **pages, unsigned int nr_pages);
	bool synic_goes;
	bool confidential;
};

/**
 * struct vmbus_host_ops - the host seam
 * @name: for log lines. Required.
 * @attach: prepare and start to deliver upcalls. May sleep. 0, -ENODEV if this
 *	is no such host, -ENOMEM; -EHOSTDOWN if this is the root partition, which
 *	has no host. Required.
 * @listen: begin to take the host's interrupts, before the first synic_up(); @irq
 *	is the one that firmware names for the bus, 0 if it names none. Undone by
 *	detach(). May sleep. 0; -ENODEV if it has to name one; errors of
 *	request_percpu_irq(). Optional.
 * @detach: undo attach(); no upcall is delivered any more. May sleep. Required.
 * @synic_up: enable messages and events on @cpu; runs on that CPU, may sleep. Fills
 *	@synics[], of which there are VMBUS_NR_SYNICS. 0 or -ENOMEM. Required.
 * @synic_down: undo synic_up(); runs on that CPU. Required.
 * @synic_suspend: disable messages and events on @cpu, which is up, and leave its
 *	timers alone; runs on that CPU with interrupts off. Required.
 * @synic_resume: undo synic_suspend(); likewise. Required.
 * @post_message: one attempt to post @len (at most 240) bytes to the host. Any
 *	context. 0; -EAGAIN if the host is out of buffers (try again);
 *	-ENOTCONN if it does not know @connection_id; -EIO. Required.
 * @signal_event: tell the host that the ring behind @connection_id needs a
 *	look. Any context. 0; -EIO if the host refused, then it does not look.
 *	Required; called through a static call.
 * @message_done: free the message slot that held a message of @type and let
 *	the host deliver the next one. Any context, on the slot's CPU; on others
 *	only after a crash, when a message that waits may be lost. Required.
 * @timer_expired: @message is a synthetic timer's; handle it and free the
 *	slot. Hard interrupt context. Optional.
 * @vp_index: the host's number for @cpu. Any context. Required.
 * @set_visible: share (@visible) the @nr_pages at @addr, of the direct map or
 *	vmalloc, with the host, or take them back. May sleep. Optional: without it all memory
 *	is visible. On error the state of the pages is unknown, so they must not
 *	be used for anything else.
 * @isolation: what is special about an isolation VM, where set_visible is required;
 *	NULL for any other.
 *
 * attach() may change the members of its own host, since only then it may know in
 * which kind of VM it is. After that they are constant.
 */
struct vmbus_host_ops {
	const char *name;
	int (*attach)(const struct vmbus_host_upcalls *upcalls);
	int (*listen)(int irq);
	void (*detach)(void);
	int (*synic_up)(unsigned int cpu, struct vmbus_synic *synics);
	void (*synic_down)(unsigned int cpu);
	void (*synic_suspend)(unsigned int cpu);
	void (*synic_resume)(unsigned int cpu);
	int (*post_message)(u32 connection_id, const void *payload, size_t len);
	int (*signal_event)(u64 connection_id);
	void (*message_done)(struct hv_message *message, u32 type);
	void (*timer_expired)(struct hv_message *message);
	u32 (*vp_index)(unsigned int cpu);
	int (*set_visible)(void *addr, int nr_pages, bool visible);
	const struct vmbus_isolation *isolation;
};

/* The implementation in hv.c; constant once it is attached. */
extern struct vmbus_host_ops vmbus_hyperv_host;

/* The host in use, set by vmbus_host_set() between its attach() and anything else. */
extern const struct vmbus_host_ops *vmbus_host;
void vmbus_host_set(const struct vmbus_host_ops *ops);

int vmbus_host_no_signal(u64 connection_id);
DECLARE_STATIC_CALL(vmbus_host_signal_event, vmbus_host_no_signal);

#endif /* _VMBUS_HOST_H */
