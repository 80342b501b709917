/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The wire: what <linux/hyperv.h> does not define of the protocol, and the
 * sizes of what it does. Documentation/protocol.rst has the rules.
 */
#ifndef _VMBUS_WIRE_H
#define _VMBUS_WIRE_H

#include <linux/hyperv.h>
#include <linux/build_bug.h>

#include "vmbus_connection.h"	/* monitor pages */

/* SynIC message type of every VMBus control message. */
#define VMBUS_SYNIC_MESSAGE_TYPE	1

/* Synthetic interrupt source used for messages and channel events. */
#define VMBUS_SINT			2

/* Connection ids: where messages go and what an event signals by default. */
#define VMBUS_CONN_ID_MESSAGE		1	/* before 5.0 */
#define VMBUS_CONN_ID_EVENT		2
#define VMBUS_CONN_ID_CONTACT		4	/* INITIATE_CONTACT from 5.0 on */

/* All control messages arrive at the virtual processor of this CPU. */
#define VMBUS_CONNECT_CPU		0

/* Relids are 1 .. VMBUS_MAX_RELIDS - 1; event flag 0 is reserved. */
#define VMBUS_MAX_RELIDS		HV_EVENT_FLAGS_COUNT

/* Monitor ids: 4 groups of 32 triggers. */
#define VMBUS_MONITOR_GROUPS		4
#define VMBUS_MONITOR_BITS		32

/*
 * A GPADL's range data, one u64 for the range header and one per page, is
 * counted in bytes in a u16.
 */
#define VMBUS_GPADL_MAX_PAGES		8190
#define VMBUS_GPADL_HEADER_PFNS		26
#define VMBUS_GPADL_BODY_PFNS		28

/* ring feature bit 0: this side reads and honours pending_send_sz */
#define VMBUS_RING_FEAT_PENDING_SEND_SZ	BIT(0)

/* Version 6.0, which <linux/hyperv.h> of 6.12 does not know yet. */
#define VMBUS_VERSION_6_0		((6 << 16) | 0)

/*
 * Feature flags of 6.0: bits 32 to 63 of the field that was the interrupt page in
 * INITIATE_CONTACT; what the host agrees to stands behind VERSION_RESPONSE.
 */
#define VMBUS_CONTACT_FEATURES_SHIFT	32
#define VMBUS_RESPONSE_FEATURES		sizeof(struct vmbus_channel_version_response)

/* Offers may have the next two flags; only a paravisor agrees. */
#define VMBUS_FEATURE_CONFIDENTIAL	BIT(4)

/* The ring stays private; all other memory that the channel is given, too. */
#define VMBUS_OFFER_PRIVATE_RING	BIT(1)
#define VMBUS_OFFER_PRIVATE_MEMORY	BIT(2)

#define VMBUS_VERSION_MAJOR(v)		((v) >> 16)
#define VMBUS_VERSION_MINOR(v)		((v) & 0xffff)

/*
 * GPADL_HEADER with one range; <linux/hyperv.h> has it as an array of ranges of
 * unknown size.
 */
struct vmbus_gpadl_header {
	struct vmbus_channel_message_header header;
	u32 child_relid;
	u32 gpadl;
	u16 range_buflen;
	u16 rangecount;
	u32 byte_count;
	u32 byte_offset;
	u64 pfn[];
} __packed;

/* Of range_buflen, what is not page numbers. */
#define VMBUS_GPADL_RANGE_HEADER	(2 * sizeof(u32))

/* TL_CONNECT_RESULT, from 4.1 on: a socket's connection was refused. */
struct vmbus_tl_connect_result {
	struct vmbus_channel_message_header header;
	guid_t endpoint_id;		/* as the request had them */
	guid_t service_id;
	s32 status;
} __packed;

/* VERSION_RESPONSE.connection_state (OpenVMM's names; Linux ignored it). */
enum vmbus_connection_result {
	VMBUS_CONNECTION_OK,
	VMBUS_CONNECTION_LOW_RESOURCES,
	VMBUS_CONNECTION_FAILED,
};

#define VMBUS_WIRE_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size))

VMBUS_WIRE_SIZE(hv_monitor_page, 4096);
VMBUS_WIRE_SIZE(vmbus_channel_message_header, 8);
VMBUS_WIRE_SIZE(vmbus_channel_offer_channel, 196);
VMBUS_WIRE_SIZE(vmbus_channel_rescind_offer, 12);
VMBUS_WIRE_SIZE(vmbus_channel_open_channel, 148);
VMBUS_WIRE_SIZE(vmbus_channel_open_result, 20);
VMBUS_WIRE_SIZE(vmbus_channel_close_channel, 12);
VMBUS_WIRE_SIZE(vmbus_gpadl_header, 28);
VMBUS_WIRE_SIZE(vmbus_channel_gpadl_body, 16);
VMBUS_WIRE_SIZE(vmbus_channel_gpadl_created, 20);
VMBUS_WIRE_SIZE(vmbus_channel_gpadl_teardown, 16);
VMBUS_WIRE_SIZE(vmbus_channel_gpadl_torndown, 12);
VMBUS_WIRE_SIZE(vmbus_channel_relid_released, 12);
VMBUS_WIRE_SIZE(vmbus_channel_initiate_contact, 40);
VMBUS_WIRE_SIZE(vmbus_channel_version_response, 16);
VMBUS_WIRE_SIZE(vmbus_channel_tl_connect_request, 40);
VMBUS_WIRE_SIZE(vmbus_channel_modifychannel, 16);
VMBUS_WIRE_SIZE(vmbus_tl_connect_result, 44);
VMBUS_WIRE_SIZE(vmbus_channel_modifychannel_response, 16);
VMBUS_WIRE_SIZE(vmpacket_descriptor, 16);
static_assert(offsetof(struct hv_ring_buffer, pending_send_sz) == 12);
static_assert(offsetof(struct hv_ring_buffer, feature_bits) == 64);
static_assert(offsetof(struct hv_ring_buffer, buffer) == PAGE_SIZE);
static_assert(sizeof(struct vmbus_gpadl_header) +
	      VMBUS_GPADL_HEADER_PFNS * sizeof(u64) <= HV_MESSAGE_PAYLOAD_BYTE_COUNT);
static_assert(sizeof(struct vmbus_channel_gpadl_body) +
	      VMBUS_GPADL_BODY_PFNS * sizeof(u64) <= HV_MESSAGE_PAYLOAD_BYTE_COUNT);

#endif /* _VMBUS_WIRE_H */
