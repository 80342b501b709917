/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a message slot is freed: what of it needs no MSR, so that it can be
 * tested without Hyper-V.
 */
#ifndef _VMBUS_SLOT_H
#define _VMBUS_SLOT_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <asm/mshyperv.h>

/* The first word of a slot: its state, which changes at once or not at all. */
union vmbus_slot_state {
	u64 as_uint64;
	struct {
		u32 message_type;
		u8 payload_size;
		union hv_message_flags flags;
		u8 reserved[2];
	};
};

static_assert(offsetof(struct hv_message, header.sender) == sizeof(union vmbus_slot_state));

/**
 * vmbus_slot_free() - let the host put another message into a slot
 * @message: the slot
 * @type: of the message it holds
 *
 * A host that has another message for a slot in use sets MessagePending there
 * and waits for EOM. The bit is looked at again after the slot is free (TLFS),
 * and it is taken in the same moment in which the slot becomes free: under KVM
 * a slot has two sources, KVM with its timers and user space with VMBus, and
 * what one of them puts into the free slot overwrites the bit of the other,
 * which would wait for ever.
 *
 * Context: any; on another CPU than the slot's only after a crash, when that
 * CPU may have freed it first.
 * Return: whether a message waits, so EOM has to be signalled.
 */
static inline bool vmbus_slot_free(struct hv_message *message, u32 type)
{
	u64 *word = (u64 *)&message->header;
	union vmbus_slot_state old = { .as_uint64 = READ_ONCE(*word) };
	union vmbus_slot_state new;

	do {
		if (old.message_type != type)
			return false;
		new = old;
		new.message_type = HVMSG_NONE;
	} while (!try_cmpxchg64(word, &old.as_uint64, new.as_uint64));

	new.as_uint64 = READ_ONCE(*word);
	return old.flags.msg_pending || new.flags.msg_pending;
}

#endif /* _VMBUS_SLOT_H */
