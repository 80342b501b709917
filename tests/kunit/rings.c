// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "rings.h"

static u8 scratch[RING_BIGGEST + RING_DESC] __aligned(8);
static u8 pattern[RING_BIGGEST + RING_DESC] __aligned(8);

struct guest_chan *ring_open_with(struct kunit *test, const struct sim_vsp *vsp, u32 size,
				  void (*prepare)(struct vmbus_channel *ch))
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *host;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	if (!sim_running())
		sim_start_ok(test, SIM_USUAL);
	host = sim_add(test, NULL, vsp);
	guest->ch = sim_guest_channel(test, host);
	/* BATCHED would call back as long as anything is in the ring. */
	guest->ch->callback_mode = HV_CALL_DIRECT;
	/* So that the iterator copies each packet that goes into the smallest ring. */
	guest->ch->max_pkt_size = max_t(u32, guest->ch->max_pkt_size, PAGE_SIZE);
	if (prepare)
		prepare(guest->ch);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, size), 0);
	return guest;
}

struct guest_chan *ring_open(struct kunit *test, const struct sim_vsp *vsp, u32 size)
{
	return ring_open_with(test, vsp, size, NULL);
}

static void seek(struct sim_ring *ring, u32 offset)
{
	ring->header->in = offset;
	ring->header->out = offset;
	ring->pos = offset;
	memset(ring->data, RING_POISON, ring->size);
}

void ring_seek_out(struct guest_chan *guest, u32 offset)
{
	sim_lock();
	to_vmbus_chan(guest->ch)->tx.index = offset;
	seek(&guest->host->in, offset);
	sim_unlock();
}

void ring_seek_in(struct guest_chan *guest, u32 offset)
{
	struct vmbus_ring *rx = &to_vmbus_chan(guest->ch)->rx;

	sim_lock();
	rx->index = offset;
	rx->seen = offset;
	rx->handed_out = 0;
	rx->info->priv_read_index = offset;
	seek(&guest->host->out, offset);
	sim_unlock();
}

const u8 *ring_pattern(u32 len, u32 seed)
{
	u64 *word = (u64 *)pattern;
	u32 i;

	for (i = 0; i <= len / sizeof(u64); i++)
		word[i] = ((u64)seed << 32 | i) * 0x9e3779b97f4a7c15ull;
	return pattern;
}

u32 ring_len(const struct ring_packet *packet)
{
	return RING_DESC + packet->ext_len + ALIGN(packet->len, 8);
}

bool ring_failed(struct kunit *test)
{
	return READ_ONCE(test->status) == KUNIT_FAILURE;
}

int ring_host_read(struct guest_chan *guest, void *buffer, u32 size)
{
	int len;

	sim_lock();
	len = sim_read(guest->host, buffer, size);
	sim_unlock();
	return len;
}

int ring_host_write(struct guest_chan *guest, const struct ring_packet *packet)
{
	int err;

	sim_lock();
	err = sim_write_ext(guest->host, packet->type, packet->flags, packet->id, packet->ext,
			    packet->ext_len, packet->payload, packet->len);
	sim_unlock();
	return err;
}

/* @bytes are descriptor and payload. */
static void expect_packet(struct kunit *test, const struct ring_packet *packet, const u8 *bytes)
{
	const struct sim_packet_header *header = (const void *)bytes;
	u32 at = RING_DESC + packet->ext_len;

	KUNIT_EXPECT_EQ(test, header->type, packet->type);
	KUNIT_EXPECT_EQ(test, header->flags, packet->flags);
	KUNIT_EXPECT_EQ(test, header->trans_id, packet->id);
	KUNIT_EXPECT_EQ(test, header->offset8 * 8, at);
	KUNIT_EXPECT_EQ(test, header->len8 * 8, ring_len(packet));
	KUNIT_EXPECT_EQ(test, memcmp(bytes + RING_DESC, packet->ext, packet->ext_len), 0);
	KUNIT_EXPECT_EQ(test, memcmp(bytes + at, packet->payload, packet->len), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(bytes + at + packet->len, 0,
					   ALIGN(packet->len, 8) - packet->len));
}

bool ring_host_reads(struct kunit *test, struct guest_chan *guest,
		     const struct ring_packet *packet)
{
	int len = ring_host_read(guest, scratch, sizeof(scratch));

	KUNIT_EXPECT_EQ(test, len, ring_len(packet));
	if (!ring_failed(test))
		expect_packet(test, packet, scratch);
	KUNIT_EXPECT_EQ(test, ring_host_read(guest, scratch, sizeof(scratch)), 0);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);
	return !ring_failed(test);
}

static void receive(struct kunit *test, struct guest_chan *guest,
		    const struct ring_packet *packet, bool raw)
{
	u32 skip = raw ? 0 : RING_DESC + packet->ext_len, len = ring_len(packet) - skip, got;
	u64 id;

	memset(scratch, RING_POISON, len + 16);
	KUNIT_EXPECT_EQ(test, (raw ? vmbus_recvpacket_raw : vmbus_recvpacket)
			(guest->ch, scratch, len, &got, &id), 0);
	KUNIT_EXPECT_EQ(test, got, len);
	KUNIT_EXPECT_EQ(test, id, packet->id);
	if (raw) {
		expect_packet(test, packet, scratch);
	} else {
		KUNIT_EXPECT_EQ(test, memcmp(scratch, packet->payload, packet->len), 0);
		KUNIT_EXPECT_NULL(test, memchr_inv(scratch + packet->len, 0, len - packet->len));
	}
	KUNIT_EXPECT_NULL(test, memchr_inv(scratch + len, RING_POISON, 16));
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, scratch, sizeof(scratch), &got, &id), 0);
	KUNIT_EXPECT_EQ(test, got, 0);
	KUNIT_EXPECT_EQ(test, id, 0);
}

static void iterate(struct kunit *test, struct guest_chan *guest,
		    const struct ring_packet *packet)
{
	struct vmpacket_descriptor *desc = hv_pkt_iter_first(guest->ch);

	KUNIT_EXPECT_NOT_NULL(test, desc);
	if (!desc)
		return;
	expect_packet(test, packet, (const u8 *)desc);
	KUNIT_EXPECT_EQ(test, hv_pkt_datalen(desc), ALIGN(packet->len, 8));
	KUNIT_EXPECT_NULL(test, hv_pkt_iter_next(guest->ch, desc));
}

bool ring_guest_reads(struct kunit *test, struct guest_chan *guest,
		      const struct ring_packet *packet, enum ring_api api)
{
	struct sim_ring *ring = &guest->host->out;

	KUNIT_EXPECT_EQ(test, ring_host_write(guest, packet), 0);
	if (ring_failed(test))
		return false;
	if (api == RING_ITER)
		iterate(test, guest, packet);
	else
		receive(test, guest, packet, api == RING_RAW);
	/* All of the room was given back. */
	KUNIT_EXPECT_EQ(test, ring->header->out, ring->pos);
	return !ring_failed(test);
}
