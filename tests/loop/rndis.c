// SPDX-License-Identifier: GPL-2.0-only
/*
 * What travels in a NIC's messages: RNDIS, from <linux/rndis.h>, hyperv_net.h
 * and [MS-RNDIS]. The guest's requests to its NIC, and frames, which go to the
 * NIC at the other end of the wire.
 *
 * All in the host's thread or a file, with the model locked, which protects
 * everything here. Replies that find no room belong to a list of the NIC until
 * they are sent or its channel is closed.
 */
#include <linux/etherdevice.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include VMBUS_HEX_H

#include "loop.h"
#include "nic.h"

/* ---- wire ---- */

#define COMPLETION	0x80000000

enum {
	PACKET = 1, INITIALIZE, HALT, QUERY, SET, RESET, INDICATE_STATUS, KEEPALIVE,
};

#define SUCCESS		0x00000000
#define MEDIA_CONNECT	0x4001000b
#define MEDIA_DISCONNECT 0x4001000c
#define NOT_SUPPORTED	0xc00000bb
#define INVALID_DATA	0xc0010015

/* The layouts of requests and replies; offsets count from the request id on. */
struct rndis_message {
	u32 type, len;
	union {
		struct { u32 id, major, minor, max_transfer; } init;
		struct { u32 id, oid, len, offset, handle; } request;
		struct {
			u32 id, status, major, minor, flags, medium, max_packets, max_transfer;
			u32 alignment, af_offset, af_size;
		} init_done;
		struct { u32 id, status, len, offset; } query_done;
		struct { u32 id, status; } done;
		struct { u32 status, addressing; } reset_done;
		struct { u32 status, len, offset; } indicate;
	};
};

#define BODY		8	/* of a message: from here offsets count */

static_assert(offsetof(struct rndis_message, init) == BODY);
static_assert(sizeof(struct rndis_message) == BODY + 44);

struct rndis_packet {
	u32 type, len;
	u32 data_offset, data_len;
	u32 oob_offset, oob_len, oob_count;
	u32 info_offset, info_len;
	u32 handle, reserved;
};

static_assert(sizeof(struct rndis_packet) == 44);

struct packet_info {
	u32 size;
	u32 type;
	u32 offset;
	u32 value;		/* what all types that are known here have */
};

static_assert(sizeof(struct packet_info) == 16);

enum { INFO_CHECKSUM = 0, INFO_LARGE_SEND = 2, INFO_VLAN = 6, INFO_HASH = 8 };

/* Of INFO_CHECKSUM, on the way from the guest and to it */
#define TX_TCP		BIT(2)
#define TX_UDP		BIT(3)
#define TX_IP		BIT(4)
#define RX_TCP_GOOD	BIT(3)
#define RX_UDP_GOOD	BIT(4)
#define RX_IP_GOOD	BIT(5)

#define FILTER_DIRECTED		0x01
#define FILTER_MULTICAST	0x02
#define FILTER_ALL_MULTICAST	0x04
#define FILTER_BROADCAST	0x08
#define FILTER_PROMISCUOUS	0x20

enum {
	OID_SUPPORTED_LIST = 0x00010101, OID_HARDWARE_STATUS, OID_MEDIA_SUPPORTED,
	OID_MEDIA_IN_USE, OID_MAX_LOOKAHEAD, OID_MAX_FRAME_SIZE, OID_LINK_SPEED,
	OID_VENDOR_ID = 0x0001010c, OID_VENDOR_DESCRIPTION, OID_PACKET_FILTER,
	OID_MAX_TOTAL_SIZE = 0x00010111, OID_MEDIA_CONNECT_STATUS = 0x00010114,
	OID_RSS_CAPABILITIES = 0x00010203, OID_RSS_PARAMETERS,
	OID_CONFIG_PARAMETER = 0x0001021b,
	OID_XMIT_OK = 0x00020101, OID_RCV_OK,
	OID_PERMANENT_ADDRESS = 0x01010101, OID_CURRENT_ADDRESS, OID_MULTICAST_LIST,
	OID_MAX_LIST_SIZE, OID_ENCAPSULATION = 0x0101010a,
};

#define OID_OFFLOAD_PARAMETERS		0xfc01020c
#define OID_OFFLOAD_CAPABILITIES	0xfc01020d

/* struct ndis_object_header: what kind of structure, its revision and size */
struct object {
	u8 type, revision;
	u16 size;
};

#define OBJECT_DEFAULT		0x80
#define OBJECT_RSS_CAPABILITIES	0x88
#define OBJECT_RSS_PARAMETERS	0x89
#define OBJECT_OFFLOAD		0xa7

struct rss_capabilities {
	struct object header;
	u32 flags, messages, queues;
	u16 table_entries;
} __packed;

static_assert(sizeof(struct rss_capabilities) == 18);

struct rss_parameters {
	struct object header;
	u16 flags, base_cpu;
	u32 hash;
	u16 table_bytes;
	u32 table_offset;
	u16 key_bytes;
	u32 key_offset;
	u32 masks_offset, masks, mask_size;
};

static_assert(sizeof(struct rss_parameters) == 40);

#define RSS_TABLE_UNCHANGED	BIT(2)
#define RSS_KEY_UNCHANGED	BIT(3)
#define RSS_DISABLE		BIT(4)
#define RSS_TOEPLITZ		BIT(0)

/* struct ndis_offload of NDIS 6.30; large sends, IPsec, coalescing: none, zeroes */
struct offload {
	struct object header;
	u32 ip4_tx_encap, ip4_tx, ip4_rx_encap, ip4_rx;
	u32 ip6_tx_encap, ip6_tx, ip6_rx_encap, ip6_rx;
	u8 rest[120];
};

static_assert(sizeof(struct offload) == 156);

#define OFFLOAD_SIZE_6_0	112
#define OFFLOAD_SIZE_6_1	144
#define ENCAP_8023		2
#define IP4_CHECKSUMS		(0x001 | 0x004 | 0x010 | 0x040 | 0x100)
#define IP6_CHECKSUMS		(0x004 | 0x010 | 0x040)

/* struct ndis_offload_params: 1 is off, 2 transmit, 3 receive, 4 both */
struct offload_parameters {
	struct object header;
	u8 ip4, tcp4, udp4, tcp6, udp6;
	u8 rest[];
};

#define OFFLOAD_RX	3
#define OFFLOAD_BOTH	4

struct config_parameter {
	u32 name_offset, name_len, type, value_offset, value_len;
};

#define LINK_SPEED	(10ULL * 1000 * 1000 * 1000 / 100)	/* in 100 bit/s */
#define ALIGNMENT_SHIFT	3
#define STRING		2

/* ---- replies ---- */

struct reply {
	struct list_head node;
	u32 len;
	u8 bytes[];
};

/* The type, length and body of a message, then @data. */
static void reply(struct nic *nic, struct rndis_message *msg, u32 type, u32 body, const void *data,
		  u32 len)
{
	struct reply *reply = kmalloc(struct_size(reply, bytes, BODY + body + len),
				      GFP_KERNEL | __GFP_NOFAIL);

	msg->type = type;
	msg->len = BODY + body + len;
	reply->len = msg->len;
	memcpy(reply->bytes, msg, BODY + body);
	memcpy(reply->bytes + BODY + body, data, len);
	list_add_tail(&reply->node, &nic->replies);
}

void rndis_flush(struct nic *nic)
{
	struct reply *reply, *next;
	struct nic_piece piece = {};

	if (!nic->channels[0].chan)
		return;
	list_for_each_entry_safe(reply, next, &nic->replies, node) {
		piece.data = reply->bytes;
		piece.len = reply->len;
		if (nic_send(&nic->channels[0], RNDIS_CONTROL, &piece, 1) == -EAGAIN)
			return;
		list_del(&reply->node);
		kfree(reply);
	}
}

static void reply_done(struct nic *nic, u32 type, u32 id, u32 status)
{
	struct rndis_message msg = { .done = { .id = id, .status = status } };

	reply(nic, &msg, type | COMPLETION, sizeof(msg.done), NULL, 0);
}

void rndis_reset(struct nic *nic)
{
	struct reply *reply, *next;

	list_for_each_entry_safe(reply, next, &nic->replies, node)
		kfree(reply);
	INIT_LIST_HEAD(&nic->replies);
	memset(&nic->rndis, 0, sizeof(nic->rndis));
}

void rndis_set_link(struct nic *nic, bool up)
{
	struct rndis_message msg = {
		.indicate.status = up ? MEDIA_CONNECT : MEDIA_DISCONNECT,
	};

	if (nic->link == up)
		return;
	nic->link = up;
	if (nic->rndis.up)
		reply(nic, &msg, INDICATE_STATUS, sizeof(msg.indicate), NULL, 0);
	rndis_flush(nic);
	nic_kick_peer(nic);
}

/* ---- queries ---- */

static const u32 oids[] = {
	OID_SUPPORTED_LIST, OID_HARDWARE_STATUS, OID_MEDIA_SUPPORTED, OID_MEDIA_IN_USE,
	OID_MAX_LOOKAHEAD, OID_MAX_FRAME_SIZE, OID_LINK_SPEED, OID_VENDOR_ID,
	OID_VENDOR_DESCRIPTION, OID_PACKET_FILTER, OID_MAX_TOTAL_SIZE, OID_MEDIA_CONNECT_STATUS,
	OID_RSS_CAPABILITIES, OID_RSS_PARAMETERS, OID_CONFIG_PARAMETER, OID_XMIT_OK, OID_RCV_OK,
	OID_PERMANENT_ADDRESS, OID_CURRENT_ADDRESS, OID_MULTICAST_LIST, OID_MAX_LIST_SIZE,
	OID_ENCAPSULATION, OID_OFFLOAD_PARAMETERS, OID_OFFLOAD_CAPABILITIES,
};

/* As much of it as the guest says it knows. */
static u32 offload_capabilities(struct offload *offload, const void *asked, u32 len)
{
	const struct object *header = asked;
	u32 size = sizeof(*offload);

	memset(offload, 0, sizeof(*offload));
	if (len >= sizeof(*header) && header->size < size)
		size = header->size >= OFFLOAD_SIZE_6_1 ? OFFLOAD_SIZE_6_1 : OFFLOAD_SIZE_6_0;
	offload->header.type = OBJECT_OFFLOAD;
	offload->header.revision = size == OFFLOAD_SIZE_6_0 ? 1 : size == OFFLOAD_SIZE_6_1 ? 2 : 3;
	offload->header.size = size;
	offload->ip4_tx_encap = ENCAP_8023;
	offload->ip4_rx_encap = ENCAP_8023;
	offload->ip6_tx_encap = ENCAP_8023;
	offload->ip6_rx_encap = ENCAP_8023;
	offload->ip4_tx = IP4_CHECKSUMS;
	offload->ip4_rx = IP4_CHECKSUMS;
	offload->ip6_tx = IP6_CHECKSUMS;
	offload->ip6_rx = IP6_CHECKSUMS;
	return size;
}

static u32 rss_capabilities(struct rss_capabilities *rss)
{
	memset(rss, 0, sizeof(*rss));
	rss->header.type = OBJECT_RSS_CAPABILITIES;
	rss->header.revision = 2;
	rss->header.size = sizeof(*rss);
	rss->flags = 0x700 | RSS_TOEPLITZ;
	rss->messages = nic_max_channels();
	rss->queues = nic_max_channels();
	rss->table_entries = ARRAY_SIZE(((struct rndis *)NULL)->table);
	return sizeof(*rss);
}

union value {
	u32 number;
	u32 oids[ARRAY_SIZE(oids)];
	u8 mac[ETH_ALEN];
	char text[32];
	struct offload offload;
	struct rss_capabilities rss;
};

static u32 number(union value *value, u32 is)
{
	value->number = is;
	return sizeof(value->number);
}

/* What the guest asks for in many bytes. Return: how many the answer has; 0: unknown. */
static u32 large_value(struct nic *nic, u32 oid, union value *value, const void *asked, u32 len)
{
	switch (oid) {
	case OID_SUPPORTED_LIST:
		memcpy(value->oids, oids, sizeof(oids));
		return sizeof(oids);
	case OID_VENDOR_DESCRIPTION:
		return strscpy(value->text, "simulated", sizeof(value->text)) + 1;
	case OID_PERMANENT_ADDRESS:
	case OID_CURRENT_ADDRESS:
		ether_addr_copy(value->mac, nic->mac);
		return ETH_ALEN;
	case OID_RSS_CAPABILITIES:
		return nic_max_channels() > 1 ? rss_capabilities(&value->rss) : 0;
	case OID_OFFLOAD_CAPABILITIES:
		return offload_capabilities(&value->offload, asked, len);
	default:
		return 0;
	}
}

static u32 get_value(struct nic *nic, u32 oid, union value *value, const void *asked, u32 len)
{
	switch (oid) {
	case OID_HARDWARE_STATUS:
	case OID_MEDIA_SUPPORTED:
	case OID_MEDIA_IN_USE:
		return number(value, 0);	/* ready, Ethernet */
	case OID_MAX_LOOKAHEAD:
	case OID_MAX_FRAME_SIZE:
		return number(value, nic->mtu - ETH_HLEN);
	case OID_MAX_TOTAL_SIZE:
		return number(value, nic->mtu);
	case OID_LINK_SPEED:
		return number(value, LINK_SPEED);
	case OID_VENDOR_ID:
		return number(value, 0x00155d);
	case OID_PACKET_FILTER:
		return number(value, nic->rndis.filter);
	case OID_MEDIA_CONNECT_STATUS:
		return number(value, !nic->link);
	case OID_XMIT_OK:
		return number(value, nic->count.packets);
	case OID_RCV_OK:
		return number(value, nic->count.received);
	case OID_MAX_LIST_SIZE:
		return number(value, 32);
	default:
		return large_value(nic, oid, value, asked, len);
	}
}

static void query(struct nic *nic, const struct rndis_message *msg, const void *asked, u32 len)
{
	struct rndis_message answer = { .query_done = { .id = msg->request.id } };
	static union value value;
	u32 size = get_value(nic, msg->request.oid, &value, asked, len);

	answer.query_done.status = size ? SUCCESS : NOT_SUPPORTED;
	answer.query_done.len = size;
	answer.query_done.offset = size ? sizeof(answer.query_done) : 0;
	if (!size)
		nic->unknown_oid = msg->request.oid;
	reply(nic, &answer, QUERY | COMPLETION, sizeof(answer.query_done), &value, size);
}

/* ---- sets ---- */

static bool within(u32 offset, u32 bytes, u32 len)
{
	return offset <= len && bytes <= len - offset;
}

static bool set_rss(struct nic *nic, const u8 *data, u32 len)
{
	const struct rss_parameters *rss = (const void *)data;
	struct rndis *rndis = &nic->rndis;
	u32 i;

	if (len < sizeof(*rss) || rss->header.type != OBJECT_RSS_PARAMETERS)
		return false;
	if (rss->flags & RSS_DISABLE) {
		rndis->hash_types = 0;
		return true;
	}
	if (!(rss->hash & RSS_TOEPLITZ))
		return false;
	if (!(rss->flags & RSS_TABLE_UNCHANGED)) {
		if (!rss->table_bytes || rss->table_bytes > sizeof(rndis->table) ||
		    rss->table_bytes % sizeof(u32) ||
		    !is_power_of_2(rss->table_bytes / sizeof(u32)) ||
		    !within(rss->table_offset, rss->table_bytes, len))
			return false;
		memcpy(rndis->table, data + rss->table_offset, rss->table_bytes);
		rndis->table_size = rss->table_bytes / sizeof(u32);
		for (i = 0; i < rndis->table_size; i++)
			if (rndis->table[i] >= nic_max_channels())
				return false;
	}
	if (!(rss->flags & RSS_KEY_UNCHANGED)) {
		if (rss->key_bytes != sizeof(rndis->key) ||
		    !within(rss->key_offset, rss->key_bytes, len))
			return false;
		memcpy(rndis->key, data + rss->key_offset, sizeof(rndis->key));
	}
	rndis->hash_types = rss->hash & ~RSS_TOEPLITZ;
	return true;
}

static bool set_offload(struct nic *nic, const u8 *data, u32 len)
{
	const struct offload_parameters *offload = (const void *)data;

	if (len < sizeof(*offload) || offload->header.type != OBJECT_DEFAULT)
		return false;
	if (offload->tcp4)
		nic->rndis.rx_checksums = offload->tcp4 == OFFLOAD_RX ||
					  offload->tcp4 == OFFLOAD_BOTH;
	return true;
}

/* "NetworkAddress", in UTF-16, is the one that guests change: so many hex digits. */
static bool set_config(struct nic *nic, const u8 *data, u32 len)
{
	static const char wanted[] = "NetworkAddress";
	const struct config_parameter *config = (const void *)data;
	char digits[2 * ETH_ALEN + 1] = "";
	u8 mac[ETH_ALEN];
	u32 i;

	if (len < sizeof(*config) || config->type != STRING ||
	    !within(config->name_offset, config->name_len, len) ||
	    !within(config->value_offset, config->value_len, len) ||
	    config->name_len < 2 * (sizeof(wanted) - 1) || config->value_len < 4 * ETH_ALEN)
		return false;
	for (i = 0; i < sizeof(wanted) - 1; i++)
		if (data[config->name_offset + 2 * i] != wanted[i])
			return false;
	for (i = 0; i < 2 * ETH_ALEN; i++)
		digits[i] = data[config->value_offset + 2 * i];
	if (hex2bin(mac, digits, ETH_ALEN) || !is_valid_ether_addr(mac))
		return false;
	ether_addr_copy(nic->mac, mac);
	return true;
}

static bool set_value(struct nic *nic, u32 oid, const u8 *data, u32 len)
{
	switch (oid) {
	case OID_PACKET_FILTER:
		if (len < sizeof(u32))
			return false;
		memcpy(&nic->rndis.filter, data, sizeof(u32));
		/* If there is none now, what waits for this NIC is lost. */
		nic_kick_peer(nic);
		return true;
	case OID_RSS_PARAMETERS:
		return set_rss(nic, data, len);
	case OID_OFFLOAD_PARAMETERS:
		return set_offload(nic, data, len);
	case OID_CONFIG_PARAMETER:
		return set_config(nic, data, len);
	case OID_MULTICAST_LIST:
		return len % ETH_ALEN == 0;
	case OID_ENCAPSULATION:
		return true;
	default:
		return false;
	}
}

static void change(struct nic *nic, const struct rndis_message *msg, const u8 *data, u32 len)
{
	bool good = set_value(nic, msg->request.oid, data, len);

	if (!good)
		vsc_violation("NIC %u: OID 0x%x set to %u bytes: %*ph", nic->index,
			      msg->request.oid, len, min_t(u32, len, 40), data);
	reply_done(nic, SET, msg->request.id, good ? SUCCESS : INVALID_DATA);
}

/* ---- other requests ---- */

static void initialize(struct nic *nic, const struct rndis_message *msg)
{
	struct rndis_message answer = {
		.init_done = {
			.id = msg->init.id,
			.major = 1,
			.flags = 1,		/* connectionless */
			.max_packets = NIC_BATCH,
			.max_transfer = NIC_MESSAGE,
			.alignment = ALIGNMENT_SHIFT,
		},
	};

	if (msg->init.major != 1)
		vsc_violation("NIC %u: RNDIS %u.%u", nic->index, msg->init.major, msg->init.minor);
	nic->rndis.up = true;
	nic->rndis.halted = false;
	reply(nic, &answer, INITIALIZE | COMPLETION, sizeof(answer.init_done), NULL, 0);
}

static void reset(struct nic *nic)
{
	struct rndis_message answer = { .reset_done = { .addressing = 1 } };

	nic->rndis.filter = 0;
	reply(nic, &answer, RESET | COMPLETION, sizeof(answer.reset_done), NULL, 0);
}

static void halted(struct nic *nic)
{
	nic->rndis.up = false;
	nic->rndis.halted = true;
	nic->rndis.filter = 0;
	nic_kick_peer(nic);
}

static u32 shortest(u32 type)
{
	switch (type) {
	case INITIALIZE:
		return BODY + sizeof(((struct rndis_message *)NULL)->init);
	case QUERY:
	case SET:
		/* A device without connections does not look at the handle. */
		return BODY + offsetof(struct rndis_message, request.handle) - BODY;
	default:
		return BODY + sizeof(u32);
	}
}

void rndis_control(struct nic_channel *channel)
{
	const struct rndis_message *msg = (const void *)channel->message;
	struct nic *nic = channel->nic;
	const u8 *data = NULL;
	u32 len = 0;

	if (channel->len < shortest(0) || msg->len > channel->len ||
	    msg->len < shortest(msg->type) ||
	    (!nic->rndis.up && msg->type != INITIALIZE && msg->type != HALT)) {
		vsc_violation("NIC %u: RNDIS message %u of %u bytes in %u%s", nic->index, msg->type,
			      msg->len, channel->len, nic->rndis.up ? "" : ", not initialized");
		return;
	}
	nic->count.requests++;
	if (msg->type == QUERY || msg->type == SET) {
		data = channel->message + BODY + msg->request.offset;
		len = msg->request.len;
		if (len && !within(msg->request.offset, len, msg->len - BODY)) {
			vsc_violation("NIC %u: OID 0x%x: %u bytes at %u in %u", nic->index,
				      msg->request.oid, len, msg->request.offset, msg->len);
			return;
		}
	}
	switch (msg->type) {
	case INITIALIZE:
		initialize(nic, msg);
		break;
	case HALT:
		halted(nic);
		break;
	case QUERY:
		query(nic, msg, data, len);
		break;
	case SET:
		change(nic, msg, data, len);
		break;
	case RESET:
		reset(nic);
		break;
	case KEEPALIVE:
		reply_done(nic, KEEPALIVE, msg->init.id, SUCCESS);
		break;
	default:
		vsc_violation("NIC %u: RNDIS message %u", nic->index, msg->type);
	}
	rndis_flush(nic);
}

/* ---- the wire ---- */

/* A frame as the guest sent it, and what came with it. */
struct frame {
	u8 *data;
	u32 len;
	u32 total;		/* of the RNDIS message */
	struct frame_layout layout;
	bool has_checksum, has_vlan;
	u32 checksum, vlan;
};

static bool parse_info(const u8 *info, u32 len, struct frame *frame)
{
	const struct packet_info *item;

	for (; len; info += item->size, len -= item->size) {
		item = (const void *)info;
		if (len < sizeof(*item) || item->size > len || item->size < sizeof(*item) ||
		    item->offset != offsetof(struct packet_info, value))
			return false;
		if (item->type == INFO_CHECKSUM) {
			frame->has_checksum = true;
			frame->checksum = item->value;
		} else if (item->type == INFO_VLAN) {
			frame->has_vlan = true;
			frame->vlan = item->value;
		} else if (item->type == INFO_LARGE_SEND) {
			/* Was not offered. */
			return false;
		}
	}
	return true;
}

static bool parse(struct nic_channel *channel, u32 at, struct frame *frame)
{
	const struct rndis_packet *msg = (const void *)(channel->message + at);
	u32 len = channel->len - at, body;

	memset(frame, 0, sizeof(*frame));
	if (len < sizeof(*msg) || msg->type != PACKET || msg->len > len || msg->len < sizeof(*msg))
		return false;
	body = msg->len - BODY;
	if (!within(msg->data_offset, msg->data_len, body) || msg->data_len < ETH_HLEN ||
	    !within(msg->info_offset, msg->info_len, body) || msg->oob_len ||
	    !parse_info((const u8 *)msg + BODY + msg->info_offset, msg->info_len, frame))
		return false;
	frame->data = channel->message + at + BODY + msg->data_offset;
	frame->len = msg->data_len;
	frame->total = msg->len;
	return frame_parse(frame->data, frame->len, &frame->layout);
}

static bool passes(const struct nic *nic, const u8 *to)
{
	if (nic->rndis.filter & FILTER_PROMISCUOUS)
		return true;
	if (is_broadcast_ether_addr(to))
		return nic->rndis.filter & FILTER_BROADCAST;
	if (is_multicast_ether_addr(to))
		return nic->rndis.filter & (FILTER_MULTICAST | FILTER_ALL_MULTICAST);
	return nic->rndis.filter & FILTER_DIRECTED && ether_addr_equal(to, nic->mac);
}

/* The NIC that gets it; NULL if none does, and what counts such ones. */
static struct nic *receiver(struct nic *nic, const struct frame *frame, u64 **counter)
{
	struct nic *peer = nic_peer(nic);

	if (!nic->link || !peer->link || !peer->rndis.up || !peer->rndis.filter ||
	    !peer->channels[0].chan || peer->channels[0].broken)
		*counter = &nic->count.unreachable;
	else if (!passes(peer, frame->data))
		*counter = &nic->count.filtered;
	/* Its own may have shrunk with frames of the size before on their way. */
	else if (frame->len > min(nic->mtu, peer->mtu))
		*counter = &nic->count.too_long;
	else
		return peer;
	return NULL;
}

/* The checksums that the guest left to its NIC. Return: what the other guest may trust. */
static u32 fill_checksums(struct nic *nic, struct frame *frame)
{
	u32 good = 0;

	if (!frame->has_checksum || !frame->layout.ip)
		return 0;
	if (frame->checksum & TX_IP && !frame->layout.ipv6) {
		frame_ip_checksum(frame->data, &frame->layout);
		good |= RX_IP_GOOD;
	}
	if (frame->checksum & (TX_TCP | TX_UDP) && frame_checksum(frame->data, &frame->layout)) {
		good |= frame->checksum & TX_TCP ? RX_TCP_GOOD : RX_UDP_GOOD;
		nic->count.checksums++;
	}
	return good;
}

static void add_info(struct nic_piece *piece, u32 type, u32 value)
{
	struct packet_info info = {
		.size = sizeof(info), .type = type,
		.offset = offsetof(struct packet_info, value), .value = value,
	};

	memcpy(piece->head + piece->head_len, &info, sizeof(info));
	piece->head_len += sizeof(info);
}

/*
 * The RNDIS message to the other guest. Return: the channel that its hash and
 * that guest's table choose, if it is open.
 */
static struct nic_channel *describe(struct nic_piece *piece, struct nic *from, struct nic *to,
				    struct frame *frame)
{
	struct rndis_packet *msg = (void *)piece->head;
	u32 good = fill_checksums(from, frame), hash, index = 0;

	static_assert(sizeof(*msg) + 3 * sizeof(struct packet_info) <= NIC_HEAD);
	memset(msg, 0, sizeof(*msg));
	piece->head_len = sizeof(*msg);
	piece->data = frame->data;
	piece->len = frame->len;
	if (good && to->rndis.rx_checksums)
		add_info(piece, INFO_CHECKSUM, good);
	if (frame->has_vlan)
		add_info(piece, INFO_VLAN, frame->vlan);
	if (to->rndis.hash_types && to->rndis.table_size &&
	    frame_hash(frame->data, &frame->layout, to->rndis.hash_types, to->rndis.key, &hash)) {
		add_info(piece, INFO_HASH, hash);
		index = to->rndis.table[hash & (to->rndis.table_size - 1)];
		if (!to->channels[index].chan || to->channels[index].broken)
			index = 0;
	}
	msg->type = PACKET;
	msg->len = piece->head_len + piece->len;
	msg->data_offset = piece->head_len - BODY;
	msg->data_len = piece->len;
	msg->info_len = piece->head_len - sizeof(*msg);
	if (msg->info_len)
		msg->info_offset = sizeof(*msg) - BODY;
	return &to->channels[index];
}

static void count_sent(struct nic_channel *from, struct nic_channel *to, u32 count,
		       const struct nic_piece *pieces)
{
	u32 i;

	from->nic->count.packets += count;
	to->nic->count.received += count;
	from->frames_in += count;
	to->frames_out += count;
	for (i = 0; i < count; i++)
		from->nic->count.bytes += pieces[i].len;
}

/*
 * Frames from @at on that go together: to one channel, in one packet. Those that
 * go nowhere are left out. Return: where the next ones start.
 */
static u32 collect(struct nic_channel *channel, struct nic_piece *pieces, u32 *count,
		   struct nic_channel **to)
{
	u32 at = channel->at;
	struct nic_channel *chosen;
	struct frame frame;
	struct nic *peer;
	u64 *counter;

	for (*count = 0; at < channel->len && *count < NIC_BATCH; at += frame.total) {
		if (!parse(channel, at, &frame)) {
			if (*count)
				break;
			vsc_violation("NIC %u: no frame, %u bytes from %u on: %*ph",
				      channel->nic->index, channel->len - at, at, 44,
				      channel->message + at);
			channel->answer.rndis_done.status = NVSP_BAD_RNDIS;
			return channel->len;
		}
		peer = receiver(channel->nic, &frame, &counter);
		if (!peer && *count)
			break;
		if (!peer) {
			++*counter;
			channel->at = at + frame.total;
			continue;
		}
		chosen = describe(&pieces[*count], channel->nic, peer, &frame);
		if (*count && (chosen != *to || *count >= peer->nr_sections / 2))
			break;
		*to = chosen;
		++*count;
	}
	return at;
}

bool rndis_data(struct nic_channel *channel)
{
	static struct nic_piece pieces[NIC_BATCH];
	struct nic_channel *to = NULL;
	u32 next, count;
	int err;

	if (!channel->nic->rndis.up && channel->nic->rndis.halted) {
		/* The HALT has overtaken what came by other channels. */
		channel->at = channel->len;
	} else if (!channel->nic->rndis.up) {
		vsc_violation("NIC %u: data before INITIALIZE", channel->nic->index);
		channel->answer.rndis_done.status = NVSP_FAIL;
		channel->at = channel->len;
	}
	while (channel->at < channel->len) {
		next = collect(channel, pieces, &count, &to);
		if (count) {
			err = nic_send(to, RNDIS_DATA, pieces, count);
			if (err == -EAGAIN)
				return false;
			if (err)
				channel->nic->count.too_long += count;
			else
				count_sent(channel, to, count, pieces);
		}
		channel->at = next;
	}
	return true;
}
