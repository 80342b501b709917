// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a NIC has to know of the frames that it carries: where the headers are,
 * checksums, and the hash that chooses a queue (Toeplitz, as [MS-RNDIS] and the
 * NDIS documentation have it).
 */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip6_checksum.h>

#include "nic.h"

#define HASH_IPV4	0x0100
#define HASH_TCP_IPV4	0x0200
#define HASH_IPV6	0x0400
#define HASH_TCP_IPV6	0x1000

#define FRAGMENT	0x3fff	/* more of them, or not the first */

static u32 header_size(u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return sizeof(struct tcphdr);
	case IPPROTO_UDP:
		return sizeof(struct udphdr);
	default:
		return 0;
	}
}

static bool parse_ipv4(const u8 *frame, u32 len, struct frame_layout *layout)
{
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	u32 header, total;

	if (len < ETH_HLEN + sizeof(*ip))
		return false;
	header = ip->ihl * 4;
	total = ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header || ETH_HLEN + total > len)
		return false;
	layout->ip = ETH_HLEN;
	layout->protocol = ip->protocol;
	if (ntohs(ip->frag_off) & FRAGMENT || !header_size(ip->protocol))
		return true;
	layout->transport = ETH_HLEN + header;
	layout->transport_len = total - header;
	return layout->transport_len >= header_size(ip->protocol);
}

static bool parse_ipv6(const u8 *frame, u32 len, struct frame_layout *layout)
{
	const struct ipv6hdr *ip = (const void *)(frame + ETH_HLEN);

	if (len < ETH_HLEN + sizeof(*ip))
		return false;
	if (ip->version != 6 || ETH_HLEN + sizeof(*ip) + ntohs(ip->payload_len) > len)
		return false;
	layout->ip = ETH_HLEN;
	layout->ipv6 = true;
	layout->protocol = ip->nexthdr;
	/* With extension headers in between nothing is offloaded. */
	if (!header_size(ip->nexthdr))
		return true;
	layout->transport = ETH_HLEN + sizeof(*ip);
	layout->transport_len = ntohs(ip->payload_len);
	return layout->transport_len >= header_size(ip->nexthdr);
}

bool frame_parse(const u8 *frame, u32 len, struct frame_layout *layout)
{
	const struct ethhdr *eth = (const void *)frame;

	memset(layout, 0, sizeof(*layout));
	switch (ntohs(eth->h_proto)) {
	case ETH_P_IP:
		return parse_ipv4(frame, len, layout);
	case ETH_P_IPV6:
		return parse_ipv6(frame, len, layout);
	default:
		return true;
	}
}

static __sum16 sum(u8 *frame, const struct frame_layout *layout)
{
	const struct ipv6hdr *ip6 = (const void *)(frame + layout->ip);
	const struct iphdr *ip = (const void *)(frame + layout->ip);
	__wsum part = csum_partial(frame + layout->transport, layout->transport_len, 0);

	if (layout->ipv6)
		return csum_ipv6_magic(&ip6->saddr, &ip6->daddr, layout->transport_len,
				       layout->protocol, part);
	return csum_tcpudp_magic(ip->saddr, ip->daddr, layout->transport_len, layout->protocol,
				 part);
}

bool frame_checksum(u8 *frame, const struct frame_layout *layout)
{
	struct tcphdr *tcp = (void *)(frame + layout->transport);
	struct udphdr *udp = (void *)(frame + layout->transport);

	if (!layout->transport)
		return false;
	if (layout->protocol == IPPROTO_TCP) {
		tcp->check = 0;
		tcp->check = sum(frame, layout);
	} else {
		udp->check = 0;
		udp->check = sum(frame, layout) ?: CSUM_MANGLED_0;
	}
	return true;
}

void frame_ip_checksum(u8 *frame, const struct frame_layout *layout)
{
	struct iphdr *ip = (void *)(frame + layout->ip);

	ip->check = 0;
	ip->check = ip_fast_csum(ip, ip->ihl);
}

static u32 toeplitz(const u8 *key, const u8 *bytes, u32 len)
{
	u32 window = (u32)key[0] << 24 | key[1] << 16 | key[2] << 8 | key[3], hash = 0, i;
	int bit;

	for (i = 0; i < len; i++) {
		for (bit = 7; bit >= 0; bit--) {
			if (bytes[i] & BIT(bit))
				hash ^= window;
			window = window << 1 | (key[i + 4] >> bit & 1);
		}
	}
	return hash;
}

bool frame_hash(const u8 *frame, const struct frame_layout *layout, u32 types, const u8 *key,
		u32 *hash)
{
	u32 address = layout->ipv6 ? 16 : 4, len = 2 * address;
	u8 bytes[2 * 16 + 4];

	if (!layout->ip)
		return false;
	/* Source and destination follow each other, in the IP header as in the input. */
	memcpy(bytes, frame + layout->ip + (layout->ipv6 ? 8 : 12), len);
	if (types & (layout->ipv6 ? HASH_TCP_IPV6 : HASH_TCP_IPV4) && layout->transport &&
	    layout->protocol == IPPROTO_TCP) {
		memcpy(bytes + len, frame + layout->transport, 4);
		len += 4;
	} else if (!(types & (layout->ipv6 ? HASH_IPV6 : HASH_IPV4))) {
		return false;
	}
	*hash = toeplitz(key, bytes, len);
	return true;
}
