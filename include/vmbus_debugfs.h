/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What debugfs.c keeps of each channel, and where the other files tell it what
 * happened. Without CONFIG_DEBUG_FS there is nothing of it.
 */
#ifndef _VMBUS_DEBUGFS_H
#define _VMBUS_DEBUGFS_H

#include <linux/types.h>

struct vmbus_channel;
struct vmbus_message;

/* The first is for less than 1 us, each other one for up to twice as much, the last for more. */
#define VMBUS_LATENCY_BUCKETS	20

#ifdef CONFIG_DEBUG_FS

/**
 * struct vmbus_stats - what is shown of a channel and kept for nothing else
 * @answer: the last answer to a request with a status: message type << 32 | status; 0 if
 *	there was none. In one word, so that readers need no lock.
 * @since: ns, when the measurement was switched on to which what follows belongs
 * @interrupted: ns, when the interrupt came that no callback has followed; 0 if none
 * @called: ns, when the callback was called last
 * @tx_high: most bytes found in the outbound ring when the callback was called or
 *	had returned
 * @rx_high: likewise in the inbound ring
 * @latency: how often it took how long from the interrupt to the callback
 * @duration: how often the callback took how long
 *
 * From @since on written by the callback's caller, of whom there is one at a
 * time; @interrupted also by interrupts, which may lose one to each other.
 */
struct vmbus_stats {
	u64 answer;
	u64 since;
	u64 interrupted;
	u64 called;
	u32 tx_high;
	u32 rx_high;
	u32 latency[VMBUS_LATENCY_BUCKETS];
	u32 duration[VMBUS_LATENCY_BUCKETS];
};

void vmbus_debugfs_init(void);
void vmbus_debugfs_exit(void);
void vmbus_note_received(const struct vmbus_message *msg, int err);
void vmbus_note_refused(const struct vmbus_message *msg, int err);
void vmbus_note_answered(const struct vmbus_message *msg);
void vmbus_note_posted(const void *msg, unsigned int retries, int err);
void vmbus_latency_begin(struct vmbus_channel *channel);
void vmbus_latency_end(struct vmbus_channel *channel);

#else

struct vmbus_stats {
};

static inline void vmbus_debugfs_init(void)
{
}

static inline void vmbus_debugfs_exit(void)
{
}

static inline void vmbus_note_received(const struct vmbus_message *msg, int err)
{
}

static inline void vmbus_note_refused(const struct vmbus_message *msg, int err)
{
}

static inline void vmbus_note_answered(const struct vmbus_message *msg)
{
}

static inline void vmbus_note_posted(const void *msg, unsigned int retries, int err)
{
}

static inline void vmbus_latency_begin(struct vmbus_channel *channel)
{
}

static inline void vmbus_latency_end(struct vmbus_channel *channel)
{
}

#endif /* CONFIG_DEBUG_FS */

#endif /* _VMBUS_DEBUGFS_H */
