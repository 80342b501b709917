/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The wire as the simulated host sees it, written from the protocol and not
 * from <linux/hyperv.h> or the driver's headers: a struct that is wrong on one
 * side does not fit the other. Little endian, as everything on x86 and Arm.
 */
#ifndef _SIM_WIRE_H
#define _SIM_WIRE_H

#include <linux/build_bug.h>
#include <linux/types.h>

/* Message types. */
enum {
	SIM_OFFER = 1,
	SIM_RESCIND = 2,
	SIM_REQUEST_OFFERS = 3,
	SIM_ALL_OFFERS = 4,
	SIM_OPEN = 5,
	SIM_OPEN_RESULT = 6,
	SIM_CLOSE = 7,
	SIM_GPADL_HEADER = 8,
	SIM_GPADL_BODY = 9,
	SIM_GPADL_CREATED = 10,
	SIM_GPADL_TEARDOWN = 11,
	SIM_GPADL_TORNDOWN = 12,
	SIM_RELID_RELEASED = 13,
	SIM_CONTACT = 14,
	SIM_VERSION_RESPONSE = 15,
	SIM_UNLOAD = 16,
	SIM_UNLOAD_RESPONSE = 17,
	SIM_TL_CONNECT = 21,
	SIM_MODIFY = 22,
	SIM_TL_RESULT = 23,
	SIM_MODIFY_RESPONSE = 24,
	SIM_NR_TYPES = 32,
};

#define SIM_V(major, minor)	(((major) << 16) | (minor))

#define SIM_PAYLOAD		240	/* bytes of a message at most */
#define SIM_PAGE		4096	/* the host's, whatever the guest's are */
#define SIM_PAGES_IN_PAGE	(PAGE_SIZE / SIM_PAGE)
#define SIM_RELIDS		2048	/* event flags; 0 is no relid */
#define SIM_SINT		2
#define SIM_NO_VP		0xffffffff

/* A SynIC message slot. */
struct sim_slot {
	u32 type;		/* 0: free; 1: VMBus; 0x80000010: timer */
	u8 size;
	u8 flags;		/* bit 0: more wait for this slot */
	u8 reserved[2];
	u64 origin;
	u8 payload[SIM_PAYLOAD];
};

struct sim_header {
	u32 type;
	u32 reserved;
};

struct sim_msg_offer {
	struct sim_header header;
	u8 type[16];
	u8 instance[16];
	u64 reserved1[2];
	u16 flags;
	u16 mmio_megabytes;
	u8 user_defined[120];
	u16 sub_channel;
	u16 reserved2;
	u32 relid;
	u8 monitor_id;
	u8 monitor_allocated;
	u16 dedicated_interrupt;
	u32 connection_id;
} __packed;

#define SIM_OFFER_CO_RING	0x2	/* flags: its ring stays private */
#define SIM_OFFER_CO_EXTERNAL	0x4	/* and all other memory */
#define SIM_OFFER_HVSOCK	0x2000	/* a socket's connection */
#define SIM_OFFER_FROM_HOST	4	/* user_defined: the host has made it */

/* RESCIND, CLOSE, RELID_RELEASED */
struct sim_msg_relid {
	struct sim_header header;
	u32 relid;
} __packed;

struct sim_msg_open {
	struct sim_header header;
	u32 relid;
	u32 open_id;
	u32 gpadl;
	u32 target_vp;
	u32 downstream_page;
	u8 user_data[120];
} __packed;

/* OPEN_RESULT; GPADL_CREATED: id is the handle */
struct sim_msg_result {
	struct sim_header header;
	u32 relid;
	u32 id;
	u32 status;
} __packed;

struct sim_msg_gpadl {
	struct sim_header header;
	u32 relid;
	u32 gpadl;
	u16 range_bytes;
	u16 ranges;
	u32 byte_count;
	u32 byte_offset;
	u64 pfn[];
} __packed;

struct sim_msg_gpadl_body {
	struct sim_header header;
	u32 number;
	u32 gpadl;
	u64 pfn[];
} __packed;

struct sim_msg_teardown {
	struct sim_header header;
	u32 relid;
	u32 gpadl;
} __packed;

struct sim_msg_torndown {
	struct sim_header header;
	u32 gpadl;
} __packed;

struct sim_msg_contact {
	struct sim_header header;
	u32 version;
	u32 target_vp;
	u64 target;		/* before 5.0 an interrupt page; then sint, vtl, features @4 */
	u64 monitor_page[2];
} __packed;

struct sim_msg_version {
	struct sim_header header;
	u8 supported;
	u8 state;		/* 0: connected; 1: low on resources; 2: failed */
	u16 reserved;
	u32 connection_id;	/* from 5.0 on; may be left out before */
} __packed;

/* The same from 6.0 on; the host may leave out the last of it, or all that is new. */
struct sim_msg_version_6 {
	struct sim_msg_version old;
	u32 features;		/* of those that were asked for */
	u32 reserved;
	u64 monitor_page[2];	/* the host's own, for guests that want them */
} __packed;

/* Rings and other memory of channels may stay private. */
#define SIM_FEATURE_CONFIDENTIAL	0x10

struct sim_msg_modify {
	struct sim_header header;
	u32 relid;
	u32 target_vp;
} __packed;

struct sim_msg_modify_result {
	struct sim_header header;
	u32 relid;
	u32 status;
} __packed;

struct sim_msg_tl_connect {
	struct sim_header header;
	u8 endpoint[16];	/* in the guest */
	u8 service[16];		/* of the host */
} __packed;

struct sim_msg_tl_result {
	struct sim_header header;
	u8 endpoint[16];
	u8 service[16];
	u32 status;
} __packed;

static_assert(sizeof(struct sim_slot) == 256);
static_assert(sizeof(struct sim_msg_offer) == 196);
static_assert(sizeof(struct sim_msg_open) == 148);
static_assert(sizeof(struct sim_msg_contact) == 40);
static_assert(sizeof(struct sim_msg_version) == 16);
static_assert(sizeof(struct sim_msg_version_6) == 40);
static_assert(sizeof(struct sim_msg_tl_connect) == 40);
static_assert(sizeof(struct sim_msg_tl_result) == 44);

/* The header page of a ring. */
struct sim_ring_header {
	u32 in;			/* write index, bytes */
	u32 out;		/* read index */
	u32 interrupt_mask;	/* set by the reader: do not signal me */
	u32 pending_send;	/* set by the writer: signal me when so much is free */
	u32 reserved[12];
	u32 features;		/* bit 0: pending_send is honoured */
};

struct sim_packet_header {
	u16 type;
	u16 offset8;		/* of the payload, in 8 bytes */
	u16 len8;		/* with this header, without the trailer */
	u16 flags;		/* bit 0: a completion is asked for */
	u64 trans_id;
};

/* A monitor page; monitor id: group * 32 + bit. */
struct sim_monitor_page {
	u32 trigger_state;
	u32 reserved1;
	struct {
		u32 pending;
		u32 armed;
	} group[4];
	u64 reserved2[3];
	u32 next_check[4][32];
	u16 latency[4][32];
	u64 reserved3[32];
	struct {
		u32 connection_id;
		u16 flag;
		u16 reserved;
	} parameter[4][32];
	u8 reserved4[1984];
};

static_assert(sizeof(struct sim_monitor_page) == 4096);

#define SIM_MONITOR_IDS		128

#define SIM_PKT_INBAND		6
#define SIM_PKT_XFER_PAGES	7
#define SIM_PKT_GPA_DIRECT	9
#define SIM_PKT_COMPLETION	11

#endif /* _SIM_WIRE_H */
