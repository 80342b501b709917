/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the simulated host share. sim_machine.c is the hypervisor:
 * processors, slots, posts. sim_host.c is the VMBus host. sim_ring.c is its side
 * of the rings and the devices.
 */
#ifndef _SIM_INTERNAL_H
#define _SIM_INTERNAL_H

#include <linux/list.h>
#include <linux/mutex.h>

#include "sim_host.h"

/* A message on its way to the guest, or an answer that waits. */
struct sim_message {
	struct list_head node;
	unsigned long due;	/* jiffies, of a delayed answer */
	u32 synic_type;
	u8 size;
	bool counted;
	u8 payload[SIM_PAYLOAD];
};

/* A message from the guest. */
struct sim_post {
	u32 connection_id;
	u32 len;
	u8 payload[SIM_PAYLOAD] __aligned(8);
};

struct vmbus_host_ops;

/* sim_machine.c */
const struct vmbus_host_ops *sim_ops(void);
void sim_machine_init(u64 seed);
void sim_machine_exit(void);
bool sim_next_post(struct sim_post *post);
bool sim_next_signal(u32 *relid);
void sim_signal_again(u32 relid);
void sim_wake(void);
void sim_transmit(unsigned int cpu, struct sim_message *msg);
void sim_transmit_vmbus(const void *payload, u32 len);
bool sim_vp_up(u32 vp, unsigned int *cpu);
void sim_count_sent(u32 type);
bool sim_is_visible(u64 pfn);

/* sim_host.c */
void sim_violation(const char *format, ...) __printf(1, 2);
u32 sim_expected_connection(u32 type);
void sim_handle_post(const struct sim_post *post);
void sim_handle_signal(u32 relid);
void sim_send_due(void);
bool sim_answers_wait(void);
extern struct mutex sim_model;

/* sim_ring.c */
int sim_ring_map(struct sim_ring *ring, const u64 *pfns, u32 nr_pages);
void sim_ring_unmap(struct sim_ring *ring);

#endif /* _SIM_INTERNAL_H */
