/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the host's NICs share. nic.c is the channel protocol (NVSP):
 * versions, buffers, sub-channels, transport. rndis.c is what travels in it: the
 * guest's requests to its NIC, and the wire. frames.c knows Ethernet frames.
 *
 * NICs 2k and 2k + 1 are the ends of a wire. A frame that finds the other end's
 * receive buffer or ring full stays with its channel, which is not read any more
 * until there is room: so nothing is lost, and the sender waits.
 *
 * Everything runs with the model locked, which protects everything here.
 */
#ifndef _LOOP_NIC_H
#define _LOOP_NIC_H

#include <linux/if_ether.h>
#include <linux/list.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "sim_host.h"

#define NIC_MAX		8
#define NIC_CHANNELS	16	/* of one NIC */
#define NIC_MESSAGE	SZ_128K	/* the longest from the guest */
#define NIC_BATCH	8	/* RNDIS messages in one of ours, and in one of the guest's */
#define NIC_HEAD	96	/* of what stands before a frame */
#define NIC_NO_SECTION	U32_MAX

/* hyperv_net.h: NVSP_STAT_* */
enum nvsp_status { NVSP_SUCCESS = 1, NVSP_FAIL, NVSP_TOO_NEW, NVSP_TOO_OLD, NVSP_BAD_RNDIS };

/* hyperv_net.h: struct nvsp_message; always sent in full */
struct nvsp_message {
	u32 type;
	union {
		struct { u32 min, max; } init;
		struct { u32 version, max_mdl, status; } init_done;
		struct { u32 major, minor; } ndis_version;
		struct { u32 gpadl; u16 id; } __packed buffer;
		struct { u32 status, sections, offset, size, count, end; } recv_done;
		struct { u32 status, section_size; } send_done;
		struct { u16 id; } revoke;
		struct { u32 channel, section, bytes; } rndis;
		struct { u32 status; } rndis_done;
		struct { u32 mtu, reserved; u64 capability; } __packed config;
		struct { u32 op, count; } subs;
		struct { u32 status, count; } subs_done;
		struct { u32 count, offset; } table;
		u8 bytes[36];
	};
} __packed;

static_assert(sizeof(struct nvsp_message) == 40);
static_assert(offsetof(struct nvsp_message, config.capability) == 12);

enum rndis_channel { RNDIS_DATA, RNDIS_CONTROL };

/* Memory of the guest that it has told us of. */
struct nic_buffer {
	u8 *at;			/* NULL: there is none */
	u32 gpadl;
	u32 bytes;
	u16 id;
};

/**
 * struct nic_channel - a channel of a NIC, the first being the primary
 * @chan: NULL as long as the guest has not opened it
 * @wanted: bytes that found no room in the ring to the guest, which signals when
 *	there is; nothing is written before, else it would not
 * @broken: the guest wrote nonsense, nothing is read any more
 * @busy: a packet from the guest is not done with: what follows belongs to it
 * @answers: it wants a completion
 * @section: of the send buffer, which has (part of) its data
 * @at: of @message: before it everything has been delivered
 */
struct nic_channel {
	struct nic *nic;
	struct sim_chan *chan;
	u32 wanted;
	bool broken;
	bool busy, answers;
	u64 trans_id;
	struct nvsp_message answer;
	u32 section;
	u8 *message;
	u32 at, len;
	u64 frames_in, frames_out;	/* from the guest, to it; never reset */
};

/* What the guest has asked its NIC for; gone when the channel is closed. */
struct rndis {
	bool up;		/* between INITIALIZE and HALT */
	bool halted;
	u32 filter;
	bool rx_checksums;
	u32 hash_types;		/* 0: no RSS */
	u8 key[40];
	u32 table[128];
	u32 table_size;
};

struct nic {
	unsigned int index;
	u32 relid;		/* of what was offered last; 0: nothing */
	bool link;
	u8 mac[ETH_ALEN];
	struct nic_channel channels[NIC_CHANNELS];
	/* Of one opening: */
	u32 version;		/* NVSP; 0: not agreed yet */
	u32 mtu;		/* with the Ethernet header */
	u32 subs;		/* granted, and not offered yet */
	bool table_due;		/* a send indirection table has to go to the guest */
	struct nic_buffer recv, send;
	u32 section_size;	/* one message has to fit */
	u32 nr_sections, next_section;
	unsigned long *sections;	/* of the receive buffer, used by us or the guest */
	u32 *runs;		/* how many of them, from this one on, one packet has */
	u32 *serials;		/* of that packet */
	u32 nr_send_sections;
	unsigned long *send_sections;	/* with the host */
	bool freed;		/* sections, since the last look */
	struct rndis rndis;
	struct list_head replies;	/* that wait for room */
	/* Never reset: */
	struct {
		u64 packets, bytes, messages, received, xfer_packets;
		u64 unreachable, filtered, too_long, waited;
		u64 completions, refused, checksums, requests;
	} count;
	u32 unknown_oid;	/* the last that was asked for */
};

/* One RNDIS message to the guest: @head, then @data. */
struct nic_piece {
	u8 head[NIC_HEAD];
	u32 head_len;
	const void *data;
	u32 len;
};

/* nic.c */
/*
 * Puts the pieces into the receive buffer and tells the guest. Return: 0;
 * -EAGAIN if there is no room now; -EMSGSIZE if there never is.
 */
int nic_send(struct nic_channel *channel, enum rndis_channel type,
	     const struct nic_piece *pieces, u32 count);
struct nic *nic_peer(struct nic *nic);
/* What waits for this NIC to have room, or to go, has another try. */
void nic_kick_peer(struct nic *nic);
u32 nic_max_channels(void);

/* rndis.c */
/* Return: all frames of the channel's message have gone; else some wait for room. */
bool rndis_data(struct nic_channel *channel);
void rndis_control(struct nic_channel *channel);
void rndis_set_link(struct nic *nic, bool up);
void rndis_flush(struct nic *nic);	/* replies, as far as there is room */
void rndis_reset(struct nic *nic);

/* frames.c */
struct frame_layout {
	u32 ip;			/* offset of its header; 0: neither IPv4 nor IPv6 */
	bool ipv6;
	u32 transport;		/* likewise; 0: neither TCP nor UDP, or a fragment */
	u8 protocol;
	u32 transport_len;
};

/* Return: what there is fits into the frame. */
bool frame_parse(const u8 *frame, u32 len, struct frame_layout *layout);
/* Fills in the checksum of TCP or UDP; false if the frame has none. */
bool frame_checksum(u8 *frame, const struct frame_layout *layout);
void frame_ip_checksum(u8 *frame, const struct frame_layout *layout);
/* hyperv_net.h: NDIS_HASH_*; false if no asked type fits. */
bool frame_hash(const u8 *frame, const struct frame_layout *layout, u32 types, const u8 *key,
		u32 *hash);

#endif /* _LOOP_NIC_H */
