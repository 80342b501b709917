/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is exported to uio_hv_generic, but declared in no header of the kernel's.
 * Names and layout are part of the distribution's ABI, since a symbol's CRC is
 * that of its declaration's text; they are those of its modules' type
 * information (BTF). Included by abi/, so it may include nothing.
 *
 * Few fields have a meaning for this driver, which keeps its state in struct
 * vmbus_conn and struct vmbus_bus; the others stay zero.
 */
#ifndef _VMBUS_CONNECTION_H
#define _VMBUS_CONNECTION_H

/* One page each way: a guest sets a trigger bit instead of a hypercall. */
union hv_monitor_trigger_group {
	u64 as_uint64;
	struct {
		u32 pending;
		u32 armed;
	};
};

struct hv_monitor_parameter {
	union hv_connection_id connectionid;
	u16 flagnumber;
	u16 rsvdz;
};

union hv_monitor_trigger_state {
	u32 asu32;
	struct {
		u32 group_enable:4;
		u32 rsvdz:28;
	};
};

struct hv_monitor_page {
	union hv_monitor_trigger_state trigger_state;
	u32 rsvdz1;
	union hv_monitor_trigger_group trigger_group[4];
	u64 rsvdz2[3];
	s32 next_checktime[4][32];
	u16 latency[4][32];
	u64 rsvdz3[32];
	struct hv_monitor_parameter parameter[4][32];
	u8 rsvdz4[1984];
};

enum vmbus_connect_state {
	DISCONNECTED,
	CONNECTING,
	CONNECTED,
	DISCONNECTING
};

/**
 * struct vmbus_connection - what is shared with uio_hv_generic
 * @int_page: interrupt page; its second half holds the send flags of channels
 *	that share the event connection (legacy)
 * @monitor_pages: host to guest, guest to host
 * @channel_mutex: protects all lists of channels and the CPU spreading
 */
struct vmbus_connection {
	u32 msg_conn_id;
	atomic_t offer_in_progress;
	enum vmbus_connect_state conn_state;
	atomic_t next_gpadl_handle;
	struct completion unload_event;
	void *int_page;
	void *send_int_page;
	void *recv_int_page;
	struct hv_monitor_page *monitor_pages[2];
	struct list_head chn_msg_list;
	spinlock_t channelmsg_lock;	/* unused */
	struct list_head chn_list;
	struct mutex channel_mutex;	/* lists of channels, CPU spreading */
	struct vmbus_channel **channels;
#if VMBUS_NEWER_EXPORTS
	u32 relid_hiwater;
#endif
	struct workqueue_struct *work_queue;
	struct workqueue_struct *handle_primary_chan_wq;
	struct workqueue_struct *handle_sub_chan_wq;
	struct workqueue_struct *rescind_work_queue;
	bool ignore_any_offer_msg;
	atomic_t nr_chan_close_on_suspend;
	struct completion ready_for_suspend_event;
#if VMBUS_NEWER_EXPORTS
	struct completion all_offers_delivered_event;
#else
	atomic_t nr_chan_fixup_on_resume;
	struct completion ready_for_resume_event;
#endif
};

extern struct vmbus_connection vmbus_connection;
extern const struct vmbus_device vmbus_devs[];

void vmbus_device_unregister(struct hv_device *device_obj);
int hv_create_ring_sysfs(struct vmbus_channel *channel,
			 int (*hv_mmap_ring_buffer)(struct vmbus_channel *channel,
						    struct VMBUS_MAPPING *vma));
int hv_remove_ring_sysfs(struct vmbus_channel *channel);

#if VMBUS_NEWER_EXPORTS
bool vmbus_is_confidential(void);
void vmbus_isr(void);

/**
 * struct hv_per_cpu_context - what is shared with mshv_vtl of each CPU
 * @hyp_synic_message_page: the CPU's slots for messages
 * @hyp_synic_event_page: its event flags
 */
struct hv_per_cpu_context {
	void *hyp_synic_message_page;
	void *hyp_synic_event_page;
	void *para_synic_message_page;
	void *para_synic_event_page;
	void *post_msg_page;
	struct tasklet_struct msg_dpc;
};

struct hv_context {
	u64 guestid;
	struct hv_per_cpu_context __percpu *cpu_context;
	struct cpumask *hv_numa_map;
};

extern struct hv_context hv_context;

int hv_post_message(union hv_connection_id connection_id, enum hv_message_type message_type,
		    void *payload, size_t payload_size);
#endif

#endif /* _VMBUS_CONNECTION_H */
