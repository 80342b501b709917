/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host messages: their private copy and its validators, pure functions. Each
 * defect has its errno; nothing is changed and nothing is logged here.
 */
#ifndef _VMBUS_VALIDATE_H
#define _VMBUS_VALIDATE_H

#include "vmbus_wire.h"

/**
 * struct vmbus_message - a private, length-checked copy of a host message
 * @len: bytes the host sent, at most 240; the rest of the union is zero
 *
 * A host may send more than the struct of a type (later versions append
 * fields); the tail is ignored.
 */
struct vmbus_message {
	u32 len;
	union {
		struct vmbus_channel_message_header header;
		struct vmbus_channel_offer_channel offer;
		struct vmbus_channel_rescind_offer rescind;
		struct vmbus_channel_open_result open_result;
		struct vmbus_channel_gpadl_created gpadl_created;
		struct vmbus_channel_gpadl_torndown gpadl_torndown;
		struct vmbus_channel_version_response version_response;
		struct vmbus_channel_modifychannel_response modify_response;
		struct vmbus_tl_connect_result tl_connect_result;
		u8 bytes[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
	};
};

/* message.c */
void vmbus_message_copy(struct vmbus_message *msg, const void *payload, u32 len);
int vmbus_message_check(const struct vmbus_message *msg, u32 version, bool connected);

static inline bool vmbus_relid_valid(u32 relid)
{
	return relid > 0 && relid < VMBUS_MAX_RELIDS;
}

/* -ERANGE: relid or monitor id outside of what event flags and pages hold. */
static inline int vmbus_validate_offer(const struct vmbus_message *msg)
{
	const struct vmbus_channel_offer_channel *offer = &msg->offer;

	if (!vmbus_relid_valid(offer->child_relid))
		return -ERANGE;
	if (offer->monitor_allocated &&
	    offer->monitorid >= VMBUS_MONITOR_GROUPS * VMBUS_MONITOR_BITS)
		return -ERANGE;
	return 0;
}

static inline int vmbus_validate_rescind(const struct vmbus_message *msg)
{
	return vmbus_relid_valid(msg->rescind.child_relid) ? 0 : -ERANGE;
}

static inline int vmbus_validate_open_result(const struct vmbus_message *msg)
{
	return vmbus_relid_valid(msg->open_result.child_relid) ? 0 : -ERANGE;
}

static inline int vmbus_validate_gpadl_created(const struct vmbus_message *msg)
{
	return vmbus_relid_valid(msg->gpadl_created.child_relid) ? 0 : -ERANGE;
}

static inline int vmbus_validate_modify_response(const struct vmbus_message *msg)
{
	return vmbus_relid_valid(msg->modify_response.child_relid) ? 0 : -ERANGE;
}

#endif /* _VMBUS_VALIDATE_H */
