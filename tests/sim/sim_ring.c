// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated host's side of the rings, and its devices (VSPs).
 *
 * As a good host it reads the guest's indices and descriptors once and checks
 * them, masks the guest's signals while it reads, unmasks and looks again, and
 * signals only as the protocol says.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "sim_internal.h"

#define TRAILER		8
#define FEATURE_PENDING	1
#define MAX_PACKET	(64 * 1024)

/* The header may be cut out of a larger page of the guest, so it is mapped by itself. */
int sim_ring_map(struct sim_ring *ring, const u64 *pfns, u32 nr_pages)
{
	ring->header = sim_map_pages(pfns, 1);
	if (!ring->header)
		return -ENOMEM;
	ring->data = sim_map_pages(pfns + 1, nr_pages - 1);
	if (!ring->data) {
		sim_unmap_pages(ring->header);
		ring->header = NULL;
		return -ENOMEM;
	}
	ring->pfns = kvmalloc_array(nr_pages, sizeof(*pfns), GFP_KERNEL | __GFP_NOFAIL);
	memcpy(ring->pfns, pfns, nr_pages * sizeof(*pfns));
	ring->size = (nr_pages - 1) * SIM_PAGE;
	ring->pos = 0;
	return 0;
}

void sim_ring_unmap(struct sim_ring *ring)
{
	sim_unmap_pages(ring->data);
	sim_unmap_pages(ring->header);
	ring->header = NULL;
	kvfree(ring->pfns);
	ring->pfns = NULL;
}

/* ---- raw bytes ---- */

/* The host is about to use the header, and so much of the data. */
static void reach(const struct sim_ring *ring, u32 at, u32 len)
{
	void (*reach_page)(u64 pfn) = ring->private ? sim_reach_private : sim_reach;
	u32 page;

	reach_page(ring->pfns[0]);
	for (page = at / SIM_PAGE; len && page <= (at + len - 1) / SIM_PAGE; page++)
		reach_page(ring->pfns[1 + page % (ring->size / SIM_PAGE)]);
}

void sim_peek(const struct sim_ring *ring, u32 at, void *bytes, u32 len)
{
	u32 first = min(len, ring->size - at);

	reach(ring, at, len);
	memcpy(bytes, ring->data + at, first);
	memcpy(bytes + first, ring->data, len - first);
}

static void put(struct sim_ring *ring, u32 at, const void *bytes, u32 len)
{
	u32 first;

	at %= ring->size;
	first = min(len, ring->size - at);
	reach(ring, at, len);
	memcpy(ring->data + at, bytes, first);
	memcpy(ring->data, bytes + first, len - first);
}

void sim_poke(struct sim_chan *chan, u32 at, const void *bytes, u32 len)
{
	put(&chan->out, at, bytes, len);
}

static u32 used(const struct sim_ring *ring, u32 in, u32 out)
{
	return in >= out ? in - out : ring->size - out + in;
}

static bool valid(const struct sim_ring *ring, u32 index)
{
	return index < ring->size && index % 8 == 0;
}

/* ---- reading what the guest sends ---- */

u32 sim_readable(const struct sim_chan *chan)
{
	u32 in = READ_ONCE(chan->in.header->in);

	if (chan->frozen)
		return 0;
	return valid(&chan->in, in) ? used(&chan->in, in, chan->in.pos) : 0;
}

/* Gives room back, from @old on; the guest waits for it if it said so. */
static void publish_read(struct sim_chan *chan, u32 old, u32 new)
{
	struct sim_ring *ring = &chan->in;
	u32 in, wanted, before, after;

	ring->pos = new;
	/* Pairs with the guest's look at the room: what it overwrites was read. */
	smp_store_release(&ring->header->out, new);
	/* Pairs with the guest's barrier between pending_send and its second look. */
	smp_mb();
	wanted = READ_ONCE(ring->header->pending_send);
	in = READ_ONCE(ring->header->in);
	if (!wanted || !(ring->header->features & FEATURE_PENDING) || !valid(ring, in))
		return;
	before = ring->size - used(ring, in, old);
	after = ring->size - used(ring, in, new);
	if (before <= wanted && after > wanted)
		sim_interrupt_locked(chan);
}

int sim_read(struct sim_chan *chan, void *buffer, u32 size)
{
	struct sim_ring *ring = &chan->in;
	struct sim_packet_header header;
	u32 len, waiting;
	u64 trailer;

	lockdep_assert_held(&sim_model);
	if (chan->frozen)
		return 0;
	reach(ring, 0, 0);
	waiting = READ_ONCE(ring->header->in);
	if (!valid(ring, waiting)) {
		sim_violation("relid %u: write index %u", chan->relid, waiting);
		return -EPROTO;
	}
	waiting = used(ring, waiting, ring->pos);
	if (!waiting)
		return 0;
	/* Pairs with the guest's barrier: the packet was written before the index. */
	smp_rmb();
	sim_peek(ring, ring->pos, &header, sizeof(header));
	len = header.len8 * 8;
	if (len < sizeof(header) || len + TRAILER > waiting || header.offset8 < 2 ||
	    header.offset8 > header.len8 || header.flags > 1) {
		sim_violation("relid %u: packet of %u bytes, payload at %u, flags %u, %u wait",
			      chan->relid, len, header.offset8 * 8, header.flags, waiting);
		return -EPROTO;
	}
	sim_peek(ring, (ring->pos + len) % ring->size, &trailer, sizeof(trailer));
	if (trailer != (u64)ring->pos << 32)
		sim_violation("relid %u: trailer 0x%llx at %u", chan->relid, trailer, ring->pos);
	if (len > size)
		return -EMSGSIZE;
	sim_peek(ring, ring->pos, buffer, len);
	chan->packets_in++;
	chan->bytes_in += len;
	publish_read(chan, ring->pos, (ring->pos + len + TRAILER) % ring->size);
	return len;
}

/* ---- rings that stand still ---- */

void sim_freeze_locked(struct sim_chan *chan)
{
	lockdep_assert_held(&sim_model);
	chan->frozen = true;
}

/* On one CPU while the others stand: nobody is between a look at the room and a write. */
static int fill_now(void *data)
{
	struct sim_chan *chan;
	int err = -ENODEV;
	u32 in;

	if (!mutex_trylock(&sim_model))
		return -EBUSY;
	chan = sim_chan_locked(*(const u32 *)data);
	if (!chan || !chan->open)
		goto unlock;
	in = READ_ONCE(chan->in.header->in);
	if (valid(&chan->in, in)) {
		chan->frozen = true;
		chan->full = true;
		chan->full_at = (in + TRAILER) % chan->in.size;
		WRITE_ONCE(chan->in.header->out, chan->full_at);
		err = 0;
	}
unlock:
	mutex_unlock(&sim_model);
	return err;
}

int sim_fill(u32 relid)
{
	unsigned int tries = 1000;
	int err;

	do {
		err = stop_machine(fill_now, &relid, NULL);
		if (err == -EBUSY)
			usleep_range(500, 1000);
	} while (err == -EBUSY && --tries);
	return err;
}

void sim_thaw_locked(struct sim_chan *chan)
{
	lockdep_assert_held(&sim_model);
	chan->frozen = false;
	if (chan->open && chan->full)
		publish_read(chan, chan->full_at, chan->in.pos);
	chan->full = false;
	/* What came meanwhile, and what the VSP had no room for. */
	sim_signal_again(chan->relid);
}

/* ---- writing to the guest ---- */

u32 sim_room(const struct sim_chan *chan)
{
	u32 out = READ_ONCE(chan->out.header->out);

	return valid(&chan->out, out) ? chan->out.size - used(&chan->out, chan->out.pos, out) : 0;
}

static const struct sim_meddler *meddler;

void sim_meddle_locked(const struct sim_meddler *new)
{
	lockdep_assert_held(&sim_model);
	meddler = new;
}

static int write_packet(struct sim_chan *chan, const struct sim_packet_header *header,
			const void *ext, u32 ext_len, const void *payload, u32 len)
{
	u32 total = header->len8 * 8 + TRAILER, at, old, out, in;
	struct sim_ring *ring = &chan->out;
	u64 trailer, zero = 0;

	lockdep_assert_held(&sim_model);
	if (chan->frozen)
		return -EAGAIN;
	if (meddler)
		meddler->before(chan);
	at = ring->pos;
	old = at;
	trailer = (u64)at << 32;
	out = READ_ONCE(ring->header->out);
	if (!valid(ring, out)) {
		sim_violation("relid %u: read index %u", chan->relid, out);
		return -EPROTO;
	}
	if (used(ring, at, out) + total >= ring->size) {
		chan->asks++;
		WRITE_ONCE(ring->header->pending_send, total);
		/* Pairs with the guest's barrier after it publishes its read index. */
		smp_mb();
		out = READ_ONCE(ring->header->out);
		if (!valid(ring, out) || used(ring, at, out) + total >= ring->size)
			return -EAGAIN;
	}
	WRITE_ONCE(ring->header->pending_send, 0);
	put(ring, at + header->len8 * 8 - 8, &zero, sizeof(zero));
	put(ring, at, header, sizeof(*header));
	put(ring, at + sizeof(*header), ext, ext_len);
	put(ring, at + sizeof(*header) + ext_len, payload, len);
	put(ring, at + header->len8 * 8, &trailer, sizeof(trailer));
	ring->pos = (at + total) % ring->size;
	in = meddler ? meddler->written(chan, at, header->len8 * 8) : ring->pos;
	/* Pairs with the guest's acquire: the packet comes before the index. */
	smp_store_release(&ring->header->in, in);
	chan->packets_out++;
	/* Pairs with the guest's barrier between unmasking and its second look. */
	smp_mb();
	return !READ_ONCE(ring->header->interrupt_mask) && READ_ONCE(ring->header->out) == old;
}

static void fill_header(struct sim_packet_header *header, u16 type, u16 flags, u64 trans_id,
			u32 ext_len, u32 len)
{
	header->type = type;
	header->flags = flags;
	header->trans_id = trans_id;
	header->offset8 = (sizeof(*header) + ext_len) / 8;
	header->len8 = header->offset8 + DIV_ROUND_UP(len, 8);
}

int sim_write_quiet(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id,
		    const void *payload, u32 len)
{
	struct sim_packet_header header;

	fill_header(&header, type, flags, trans_id, 0, len);
	return write_packet(chan, &header, NULL, 0, payload, len);
}

int sim_write_ext(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id, const void *ext,
		  u32 ext_len, const void *payload, u32 len)
{
	struct sim_packet_header header;
	int result;

	fill_header(&header, type, flags, trans_id, ext_len, len);
	result = write_packet(chan, &header, ext, ext_len, payload, len);
	if (result > 0)
		sim_interrupt_locked(chan);
	return min(result, 0);
}

int sim_write(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id, const void *payload,
	      u32 len)
{
	return sim_write_ext(chan, type, flags, trans_id, NULL, 0, payload, len);
}

/* ---- devices ---- */

static u8 packet[MAX_PACKET] __aligned(8);

/*
 * Reads all packets while the guest's signals are masked, unmasks, looks again.
 * @handle says whether the packet is done; false stops until the next signal.
 */
static void read_all(struct sim_chan *chan,
		     bool (*handle)(struct sim_chan *chan, const struct sim_packet_header *header,
				    const void *payload, u32 len))
{
	const struct sim_packet_header *header = (const void *)packet;
	int len;

	do {
		WRITE_ONCE(chan->in.header->interrupt_mask, 1);
		while ((len = sim_read(chan, packet, sizeof(packet))) > 0)
			if (!handle(chan, header, packet + header->offset8 * 8,
				    len - header->offset8 * 8))
				return;
		WRITE_ONCE(chan->in.header->interrupt_mask, 0);
		/* Pairs with the guest's barrier between its index and the mask. */
		smp_mb();
	} while (len >= 0 && sim_readable(chan));
}

static void none(struct sim_chan *chan)
{
}

const struct sim_vsp sim_manual = { .signalled = none };

/* A full ring: the packet was read, so the answer has to be kept. */
struct pending_answer {
	u16 type;
	u64 trans_id;
	u32 len;
	u8 payload[];
};

static bool reply(struct sim_chan *chan, u16 type, u64 trans_id, const void *payload, u32 len)
{
	struct pending_answer *pending;

	if (sim_write(chan, type, 0, trans_id, payload, len) != -EAGAIN)
		return true;
	/* Until the guest makes room nothing more is read. */
	pending = kmalloc(struct_size(pending, payload, len), GFP_KERNEL | __GFP_NOFAIL);
	pending->type = type;
	pending->trans_id = trans_id;
	pending->len = len;
	memcpy(pending->payload, payload, len);
	chan->pending = pending;
	return false;
}

static bool send_pending(struct sim_chan *chan)
{
	struct pending_answer *pending = chan->pending;

	if (!pending)
		return true;
	if (sim_write(chan, pending->type, 0, pending->trans_id, pending->payload,
		      pending->len) == -EAGAIN)
		return false;
	kfree(pending);
	chan->pending = NULL;
	return true;
}

static void drop_pending(struct sim_chan *chan)
{
	kfree(chan->pending);
	chan->pending = NULL;
}

static bool echo_one(struct sim_chan *chan, const struct sim_packet_header *header,
		     const void *payload, u32 len)
{
	if (header->flags)
		return reply(chan, SIM_PKT_COMPLETION, header->trans_id, payload, len);
	if (header->type == SIM_PKT_INBAND)
		return reply(chan, SIM_PKT_INBAND, header->trans_id, payload, len);
	return true;
}

static void echo(struct sim_chan *chan)
{
	if (send_pending(chan))
		read_all(chan, echo_one);
}

const struct sim_vsp sim_echo = { .signalled = echo, .closed = drop_pending };

static bool complete_one(struct sim_chan *chan, const struct sim_packet_header *header,
			 const void *payload, u32 len)
{
	return !header->flags ||
	       reply(chan, SIM_PKT_COMPLETION, header->trans_id, NULL, 0);
}

static void complete_each(struct sim_chan *chan)
{
	if (send_pending(chan))
		read_all(chan, complete_one);
}

const struct sim_vsp sim_complete = { .signalled = complete_each, .closed = drop_pending };

static bool swallow(struct sim_chan *chan, const struct sim_packet_header *header,
		    const void *payload, u32 len)
{
	return true;
}

static void sink(struct sim_chan *chan)
{
	read_all(chan, swallow);
}

const struct sim_vsp sim_sink = { .signalled = sink };

/* Each packet starts with its number, counted down to 1. */
static void source(struct sim_chan *chan)
{
	while (chan->source_left) {
		memset(packet, 0, chan->source_size);
		memcpy(packet, &chan->source_left, sizeof(chan->source_left));
		if (sim_write(chan, SIM_PKT_INBAND, 0, 0, packet, chan->source_size))
			return;
		chan->source_left--;
	}
}

const struct sim_vsp sim_source = { .opened = source, .signalled = source };

static bool open_subs(struct sim_chan *chan, const struct sim_packet_header *header,
		      const void *payload, u32 len)
{
	u32 count = *(const u32 *)payload, i;

	for (i = 1; i <= count; i++)
		sim_offer_locked(sim_new_sub_locked(chan, i, &sim_echo));
	return reply(chan, header->flags ? SIM_PKT_COMPLETION : SIM_PKT_INBAND,
		     header->trans_id, payload, sizeof(count));
}

static void opener(struct sim_chan *chan)
{
	if (send_pending(chan))
		read_all(chan, open_subs);
}

const struct sim_vsp sim_opener = { .signalled = opener, .closed = drop_pending };

/* As disks and networks: a sub-channel is there for as long as its primary is open. */
static void take_subs_back(struct sim_chan *chan)
{
	u32 relid;

	drop_pending(chan);
	for (relid = 1; !chan->keeps_subs && relid < SIM_RELIDS; relid++) {
		struct sim_chan *sub = sim_chan_locked(relid);

		if (sub && sub->sub && guid_equal(&sub->instance, &chan->instance))
			sim_rescind_alone_locked(sub);
	}
}

const struct sim_vsp sim_storage = { .signalled = opener, .closed = take_subs_back };
