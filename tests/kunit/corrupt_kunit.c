// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_corrupt: a host that writes anything to the rings, at any time.
 * A ring found corrupt fails for good until it is opened anew, and nothing else
 * suffers from it.
 */
#include <linux/kmsg_dump.h>
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "rings.h"
#include "suites.h"

#define DATA	(RING_SMALLEST - PAGE_SIZE)
#define STEP	64
#define PAYLOAD	(STEP - RING_DESC - RING_TRAILER)

static const struct ring_packet plain = {
	.type = VM_PKT_DATA_INBAND,
	.id = 77,
	.payload = (u8 [PAYLOAD]) { 1, 2, 3 },
	.len = PAYLOAD,
};

/* No index of a ring of DATA bytes. */
static const u32 bad_indices[] = { 1, 4, 7, 12, DATA - 4, DATA - 1, DATA, DATA + 1, DATA + 8,
				   2 * DATA, 0x7ffffff8, 0x80000000, U32_MAX - 7, U32_MAX };

static void write_some(struct kunit *test, struct guest_chan *guest, u32 count)
{
	while (count--)
		KUNIT_EXPECT_EQ(test, ring_host_write(guest, &plain), 0);
}

static int receive_one(struct guest_chan *guest, u32 *got)
{
	u64 id;

	return vmbus_recvpacket(guest->ch, guest->last, sizeof(guest->last), got, &id);
}

/* As if the channel had been opened anew, but without the time that takes. */
static void mend_in(struct guest_chan *guest, u32 offset)
{
	struct vmbus_ring *rx = &to_vmbus_chan(guest->ch)->rx;

	rx->broken = false;
	rx->reported = false;
	ring_seek_in(guest, offset);
	guest->host->out.header->pending_send = 0;
	guest->host->out.header->features = 1;
}

static void mend_out(struct guest_chan *guest, u32 offset)
{
	struct vmbus_ring *tx = &to_vmbus_chan(guest->ch)->tx;

	tx->broken = false;
	tx->reported = false;
	ring_seek_out(guest, offset);
}

/* Whatever the receiver tries, now and later. */
static void expect_broken_in(struct kunit *test, struct guest_chan *guest)
{
	struct sim_ring *ring = &guest->host->out;
	u32 got, out = ring->header->out, round;
	u64 id;

	for (round = 0; round < 2; round++) {
		got = 1;
		id = 1;
		KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, guest->last,
						       sizeof(guest->last), &got, &id), -EIO);
		KUNIT_EXPECT_EQ(test, got, 0);
		KUNIT_EXPECT_EQ(test, id, 0);
		KUNIT_EXPECT_EQ(test, vmbus_recvpacket_raw(guest->ch, guest->last,
							   sizeof(guest->last), &got, &id), -EIO);
		KUNIT_EXPECT_EQ(test, got, 0);
		KUNIT_EXPECT_NULL(test, hv_pkt_iter_first(guest->ch));
		KUNIT_EXPECT_NULL(test, __hv_pkt_iter_next(guest->ch, NULL));
		hv_pkt_iter_close(guest->ch);
		KUNIT_EXPECT_EQ(test, ring->header->out, out);
		KUNIT_EXPECT_TRUE(test, to_vmbus_chan(guest->ch)->rx.reported);
		/* Too late to make it good. */
		WRITE_ONCE(ring->header->in, ring->pos);
	}
}

static void expect_broken_out(struct kunit *test, struct guest_chan *guest)
{
	struct sim_ring *ring = &guest->host->in;
	static u64 memory[8];
	struct vmbus_packet_mpb_array *desc = (void *)memory;
	u32 in = ring->header->in, round;
	u64 id;

	for (round = 0; round < 2; round++) {
		KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -EIO);
		KUNIT_EXPECT_EQ(test, vmbus_sendpacket_getid(guest->ch, "", 1, 1, &id,
							     VM_PKT_COMP, 0), -EIO);
		KUNIT_EXPECT_EQ(test, vmbus_sendpacket_mpb_desc(guest->ch, desc, 40, memory, 8, 1),
				-EIO);
		KUNIT_EXPECT_EQ(test, ring->header->in, in);
		KUNIT_EXPECT_TRUE(test, to_vmbus_chan(guest->ch)->tx.reported);
		WRITE_ONCE(ring->header->out, ring->pos);
	}
}

/* ---- descriptors ---- */

/* The descriptor of the packet at @at, but for its transaction id. */
static void poke_desc(struct guest_chan *guest, u32 at, u16 type, u16 offset8, u16 len8, u16 flags)
{
	const u16 desc[4] = { type, offset8, len8, flags };

	sim_lock();
	sim_poke(guest->host, at, desc, sizeof(desc));
	sim_unlock();
}

/* Receives by one of the ways; its length, or -EIO. @offset8: as returned by RAW and ITER. */
static int receive_by(struct guest_chan *guest, enum ring_api api, u32 *offset8)
{
	struct vmpacket_descriptor *desc = (void *)guest->last;
	u32 got;
	u64 id;
	int err;

	*offset8 = 0;
	switch (api) {
	case RING_RECV:
		err = vmbus_recvpacket(guest->ch, guest->last, sizeof(guest->last), &got, &id);
		return err ?: got;
	case RING_RAW:
		err = vmbus_recvpacket_raw(guest->ch, guest->last, sizeof(guest->last), &got, &id);
		if (!err && got)
			*offset8 = desc->offset8;
		return err ?: got;
	default:
		desc = hv_pkt_iter_first(guest->ch);
		if (!desc)
			return -EIO;
		*offset8 = desc->offset8;
		got = hv_pkt_len(desc);
		hv_pkt_iter_next(guest->ch, desc);
		return got;
	}
}

/* A descriptor with @waiting bytes in the ring. */
static void check_desc(struct kunit *test, struct guest_chan *guest, u32 at, u32 waiting,
		       u16 offset8, u16 len8)
{
	bool sound = offset8 >= 2 && offset8 <= len8 && len8 * 8U + RING_TRAILER <= waiting;
	u32 i, got8;
	int len;

	for (i = 0; i < RING_APIS; i++) {
		mend_in(guest, at);
		write_some(test, guest, waiting / STEP);
		poke_desc(guest, at, offset8, offset8, len8, len8);
		len = receive_by(guest, i, &got8);
		KUNIT_EXPECT_EQ_MSG(test, len, !sound ? -EIO :
				    i == RING_RECV ? (len8 - offset8) * 8 : len8 * 8,
				    "offset8 %u, len8 %u at %u", offset8, len8, at);
		if (sound && i != RING_RECV)
			KUNIT_EXPECT_EQ(test, got8, offset8);
		if (!sound)
			expect_broken_in(test, guest);
	}
}

static void any_descriptor(struct kunit *test)
{
	static const u16 offsets[] = { 0, 1, 2, 3, 7, 8, 9, 22, 23, 24, 0x2000, 0xfffe, 0xffff };
	static const u16 lens[] = { 0, 1, 2, 3, 7, 8, 9, 16, 22, 23, 24, 25, 511, 513, 0x2000,
				    0xffff };
	static const u32 starts[] = { 0, 8, DATA - 8, DATA - 16, DATA - 24, DATA - 96 };
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 i, len, offset;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (len = 0; len < ARRAY_SIZE(lens); len++) {
			for (offset = 0; offset < ARRAY_SIZE(offsets); offset++) {
				check_desc(test, guest, starts[i], 3 * STEP, offsets[offset],
					   lens[len]);
				if (ring_failed(test))
					return;
			}
		}
	}
}

/* The packets before it are good and are delivered. */
static void second_packet(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct vmpacket_descriptor *desc;
	u32 got, count = 0;

	write_some(test, guest, 3);
	poke_desc(guest, 2 * STEP, 6, 2, 1, 0);
	foreach_vmbus_pkt(desc, guest->ch)
		count++;
	KUNIT_EXPECT_EQ(test, count, 2);
	KUNIT_EXPECT_EQ(test, guest->host->out.header->out, 2 * STEP);
	expect_broken_in(test, guest);

	mend_in(guest, 0);
	write_some(test, guest, 3);
	poke_desc(guest, 2 * STEP, 6, 2, 1, 0);
	for (count = 0; count < 2; count++) {
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
	}
	expect_broken_in(test, guest);
}

static void trailer_is_ignored(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u64 garbage;
	u32 i, got;

	for (i = 0; i < 3 * DATA / STEP; i++) {
		garbage = 0x0123456789abcdefull * i;
		sim_lock();
		KUNIT_EXPECT_GE(test, sim_write_quiet(guest->host, SIM_PKT_INBAND, 0, 1,
						      plain.payload, PAYLOAD), 0);
		sim_poke(guest->host, guest->host->out.pos + DATA - RING_TRAILER, &garbage,
			 sizeof(garbage));
		sim_unlock();
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
	}
}

/* ---- indices ---- */

static void bad_write_index(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 i, api, offset8;

	for (i = 0; i < ARRAY_SIZE(bad_indices); i++) {
		for (api = 0; api < RING_APIS; api++) {
			mend_in(guest, 0);
			WRITE_ONCE(guest->host->out.header->in, bad_indices[i]);
			KUNIT_EXPECT_EQ(test, receive_by(guest, api, &offset8), -EIO);
			expect_broken_in(test, guest);

			/* What was seen before is not taken back by it. */
			mend_in(guest, DATA - STEP);
			write_some(test, guest, 3);
			KUNIT_EXPECT_GT(test, receive_by(guest, api, &offset8), 0);
			WRITE_ONCE(guest->host->out.header->in, bad_indices[i]);
			KUNIT_EXPECT_GT(test, receive_by(guest, api, &offset8), 0);
			KUNIT_EXPECT_GT(test, receive_by(guest, api, &offset8), 0);
			KUNIT_EXPECT_EQ(test, receive_by(guest, api, &offset8), -EIO);
			expect_broken_in(test, guest);
		}
		if (ring_failed(test))
			return;
	}
}

/* Any multiple of 8, forwards or backwards: there is no packet where it says. */
static void wrong_write_index(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static const u8 fills[] = { 0, RING_POISON, 0xff };
	u32 i, api, offset8, in;

	for (i = 0; i < ARRAY_SIZE(fills); i++) {
		for (in = 0; in < DATA; in = ring_next(in, 8, DATA)) {
			api = in / 8 % RING_APIS;
			mend_in(guest, DATA / 2);
			write_some(test, guest, 1);
			KUNIT_EXPECT_GT(test, receive_by(guest, api, &offset8), 0);
			memset(guest->host->out.data, fills[i], DATA);
			if (in == DATA / 2 + STEP)
				continue;
			WRITE_ONCE(guest->host->out.header->in, in);
			KUNIT_EXPECT_EQ_MSG(test, receive_by(guest, api, &offset8), -EIO,
					    "write index %u", in);
			expect_broken_in(test, guest);
			if (ring_failed(test))
				return;
		}
	}
}

static void bad_read_index(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 i, got;

	for (i = 0; i < ARRAY_SIZE(bad_indices); i++) {
		mend_out(guest, 8 * i);
		WRITE_ONCE(guest->host->in.header->out, bad_indices[i]);
		KUNIT_EXPECT_EQ_MSG(test, guest_send(guest, "", 1, 1), -EIO, "%u", bad_indices[i]);
		KUNIT_EXPECT_NULL(test, memchr_inv(guest->host->in.data, RING_POISON, DATA));
		expect_broken_out(test, guest);
		/* The other direction still works. */
		write_some(test, guest, 1);
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
	}
	KUNIT_EXPECT_EQ(test, guest->ch->out_full_total, 0);
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), 0);
}

/* Any multiple of 8: the ring seems fuller or emptier than it is; nobody else is harmed. */
static void wrong_read_index(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	u32 out, used, i;
	int err;

	for (out = 0; out < DATA; out = ring_next(out, 8, DATA)) {
		mend_out(guest, DATA / 2);
		for (i = 0; i < 3; i++) {
			used = (DATA / 2 + i * STEP + DATA - out) % DATA;
			WRITE_ONCE(guest->host->in.header->out, out);
			err = guest_send(guest, plain.payload, PAYLOAD, 0);
			KUNIT_EXPECT_EQ(test, err, used + STEP < DATA ? 0 : -EAGAIN);
			if (err)
				break;
		}
		KUNIT_EXPECT_EQ(test, guest->host->in.header->in, DATA / 2 + i * STEP);
	}
}

/* The indices that are the guest's are never read back. */
static void guests_own_indices(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct sim_ring *in = &guest->host->in, *out = &guest->host->out;
	u32 i, got;

	for (i = 0; i < ARRAY_SIZE(bad_indices); i++) {
		write_some(test, guest, 2);
		WRITE_ONCE(out->header->out, bad_indices[i]);
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, out->header->out, (2 * i + 1) * STEP % DATA);
		WRITE_ONCE(out->header->out, bad_indices[i]);
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
		KUNIT_EXPECT_EQ(test, out->header->out, (2 * i + 2) * STEP % DATA);

		WRITE_ONCE(in->header->in, bad_indices[i]);
		KUNIT_EXPECT_EQ(test, guest_send(guest, plain.payload, PAYLOAD, plain.id), 0);
		KUNIT_EXPECT_EQ(test, in->header->in, (i + 1) * STEP % DATA);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &plain));
	}
}

static void any_header_words(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct sim_ring *rings[] = { &guest->host->in, &guest->host->out };
	u32 i, round, word, got;
	u32 *words;

	for (round = 0; round < 500; round++) {
		sim_lock();
		for (i = 0; i < ARRAY_SIZE(rings); i++) {
			words = (u32 *)rings[i]->header;
			for (word = 2; word < 20; word++)
				words[word] = sim_random(U32_MAX) << sim_random(32);
			memset(&words[20], sim_random(256), SIM_PAGE - 20 * sizeof(u32));
		}
		sim_unlock();
		KUNIT_EXPECT_EQ(test, guest_send(guest, plain.payload, PAYLOAD, plain.id), 0);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &plain));
		write_some(test, guest, 1);
		guest->host->out.header->pending_send = sim_random(U32_MAX) << sim_random(32);
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
		if (ring_failed(test))
			return;
	}
}

/* What the host waits for is asked after the packet was read. */
static void found_when_giving_room_back(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct vmpacket_descriptor *desc;
	u32 i, got;

	for (i = 0; i < ARRAY_SIZE(bad_indices); i++) {
		mend_in(guest, 0);
		write_some(test, guest, 3);
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		guest->host->out.header->pending_send = STEP;
		WRITE_ONCE(guest->host->out.header->in, bad_indices[i]);
		/* This one is good, and its room is given back. */
		KUNIT_EXPECT_EQ(test, receive_one(guest, &got), 0);
		KUNIT_EXPECT_EQ(test, got, PAYLOAD);
		KUNIT_EXPECT_EQ(test, guest->host->out.header->out, 2 * STEP);
		expect_broken_in(test, guest);

		/* With a packet in hand. */
		mend_in(guest, 0);
		write_some(test, guest, 5);
		desc = hv_pkt_iter_first(guest->ch);
		desc = hv_pkt_iter_next(guest->ch, desc);
		KUNIT_EXPECT_NOT_NULL(test, desc);
		guest->host->out.header->pending_send = STEP;
		WRITE_ONCE(guest->host->out.header->in, bad_indices[i]);
		hv_pkt_iter_close(guest->ch);
		KUNIT_EXPECT_NULL(test, __hv_pkt_iter_next(guest->ch, desc));
		expect_broken_in(test, guest);
	}
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), 0);
}

/* ---- the rest goes on ---- */

static u32 lines_since(struct kmsg_dump_iter *log, const char *text)
{
	static char line[512];
	u32 count = 0;
	size_t len;

	while (kmsg_dump_get_line(log, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		count += !!strstr(line, text);
	}
	return count;
}

/* One line for each ring that broke, however often it is used after that. */
static void one_line(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct kmsg_dump_iter log;
	char inbound[64], outbound[64];
	u32 i, round, got;

	scnprintf(inbound, sizeof(inbound), "(relid %u): the host corrupted the inbound ring",
		  guest->host->relid);
	scnprintf(outbound, sizeof(outbound), "(relid %u): the host corrupted the outbound ring",
		  guest->host->relid);
	/* Longer than the rate limit looks back. */
	ssleep(6);
	for (round = 0; round < 2; round++) {
		kmsg_dump_rewind(&log);
		lines_since(&log, inbound);
		WRITE_ONCE(guest->host->out.header->in, 4);
		for (i = 0; i < 50; i++)
			KUNIT_EXPECT_EQ(test, receive_one(guest, &got), -EIO);
		expect_broken_in(test, guest);
		KUNIT_EXPECT_EQ(test, lines_since(&log, inbound), 1);
		WRITE_ONCE(guest->host->in.header->out, 4);
		for (i = 0; i < 50; i++)
			KUNIT_EXPECT_EQ(test, guest_send(guest, "", 1, 1), -EIO);
		KUNIT_EXPECT_EQ(test, lines_since(&log, outbound), 1);
		/* Opened anew, it works, and may break anew. */
		vmbus_close(guest->ch);
		KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, guest->host, RING_SMALLEST), 0);
		KUNIT_EXPECT_EQ(test, guest_send(guest, plain.payload, PAYLOAD, plain.id), 0);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &plain));
		KUNIT_EXPECT_TRUE(test, ring_guest_reads(test, guest, &plain, round));
	}
}

static void other_channels(struct kunit *test)
{
	struct guest_chan *broken = ring_open(test, NULL, RING_SMALLEST);
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	struct guest_chan *later;
	u32 i;

	WRITE_ONCE(broken->host->out.header->in, U32_MAX);
	WRITE_ONCE(broken->host->in.header->out, U32_MAX);
	expect_broken_in(test, broken);
	expect_broken_out(test, broken);
	later = ring_open(test, NULL, RING_SMALLEST);
	for (i = 0; i < 100; i++) {
		KUNIT_EXPECT_EQ(test, guest_send(guest, plain.payload, PAYLOAD, plain.id), 0);
		KUNIT_EXPECT_TRUE(test, ring_host_reads(test, guest, &plain));
		KUNIT_EXPECT_TRUE(test, ring_guest_reads(test, guest, &plain, i % RING_APIS));
		KUNIT_EXPECT_TRUE(test, ring_guest_reads(test, later, &plain, i % RING_APIS));
		KUNIT_EXPECT_EQ(test, guest_send(broken, "", 1, 1), -EIO);
	}
}

/* ---- callbacks ---- */

struct upset {
	const char *name;
	void (*apply)(struct sim_chan *host);
};

static void bad_in(struct sim_chan *host)
{
	WRITE_ONCE(host->out.header->in, DATA);
}

static void odd_in(struct sim_chan *host)
{
	WRITE_ONCE(host->out.header->in, host->out.header->in + 4);
}

static void empty_packet(struct sim_chan *host)
{
	WRITE_ONCE(host->out.header->in, (host->out.pos + 512) % DATA);
}

/* It belongs to the guest; hv_end_read() of <linux/hyperv.h> compares with it. */
static void moved_out(struct sim_chan *host)
{
	WRITE_ONCE(host->out.header->out, (host->out.pos + 512) % DATA);
}

static void bad_out(struct sim_chan *host)
{
	WRITE_ONCE(host->out.header->out, U32_MAX);
}

static const struct upset upsets[] = {
	{ "write index out of the ring", bad_in },
	{ "odd write index", odd_in },
	{ "empty packet", empty_packet },
	{ "read index moved", moved_out },
	{ "read index out of the ring", bad_out },
};

static void upset_name(const struct upset *upset, char *desc)
{
	strscpy(desc, upset->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(upset, upsets, upset_name);

/* It runs a few times for each interrupt, not as long as the ring looks full. */
static void callback_ends(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	const struct upset *upset = test->param_value;
	struct sim_chan *host;
	int calls, i;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->reads = true;
	sim_start_ok(test, SIM_USUAL);
	host = sim_add(test, NULL, NULL);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, RING_SMALLEST), 0);
	KUNIT_ASSERT_EQ(test, guest->ch->callback_mode, HV_CALL_BATCHED);
	write_some(test, guest, 3);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == 3));
	for (i = 0; i < 5; i++) {
		calls = atomic_read(&guest->callbacks);
		sim_lock();
		upset->apply(host);
		sim_interrupt_locked(host);
		sim_unlock();
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) != calls));
		/* Time for many more. */
		msleep(100);
		calls = atomic_read(&guest->callbacks) - calls;
		KUNIT_EXPECT_LE_MSG(test, calls, 3, "the callback does not end");
	}
}

/* ---- sysfs ---- */

/* The value of a file of the device or, with @channel, of its channel. */
static ssize_t show(struct vmbus_channel *ch, const struct attribute_group *group, int i,
		    bool channel, char *buffer)
{
	struct attribute *attr = group->attrs[i];
	struct device *dev = &ch->device_obj->device;
	struct device_attribute *dev_attr = container_of(attr, struct device_attribute, attr);

	if (channel)
		return get_ktype(&ch->kobj)->sysfs_ops->show(&ch->kobj, attr, buffer);
	if (group->is_visible && !group->is_visible(&dev->kobj, attr, i))
		return 1;
	return dev_attr->show(dev, dev_attr, buffer);
}

static void show_all(struct kunit *test, struct vmbus_channel *ch, bool indices_bad)
{
	const struct attribute_group *groups[] = { vmbus_dev_groups[0],
						   get_ktype(&ch->kobj)->default_groups[0] };
	char *buffer = (char *)get_zeroed_page(GFP_KERNEL);
	const char *name;
	ssize_t len;
	u32 i, j;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (j = 0; groups[i]->attrs[j]; j++) {
			name = groups[i]->attrs[j]->name;
			/* Hidden: there is no monitor. */
			if (i && groups[i]->is_visible &&
			    !groups[i]->is_visible(&ch->kobj, groups[i]->attrs[j], j))
				continue;
			buffer[0] = '\0';
			len = show(ch, groups[i], j, i, buffer);
			KUNIT_EXPECT_GT_MSG(test, len, 0, "%s", name);
			KUNIT_EXPECT_LT_MSG(test, len, PAGE_SIZE, "%s", name);
			if (indices_bad && (strstr(name, "bytes_avail") ||
					    !strcmp(name, "read_avail") ||
					    !strcmp(name, "write_avail")))
				KUNIT_EXPECT_STREQ_MSG(test, buffer, "0\n", "%s", name);
		}
	}
	free_page((unsigned long)buffer);
}

static void sysfs(struct kunit *test)
{
	struct guest_chan *guest = ring_open(test, NULL, RING_SMALLEST);
	static const u32 outside[] = { DATA, DATA + 8, 0x80000000, U32_MAX };
	struct sim_ring *rings[] = { &guest->host->in, &guest->host->out };
	u32 i, j;

	show_all(test, guest->ch, false);
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		for (j = 0; j < ARRAY_SIZE(rings); j++) {
			memset(rings[j]->header, 0xff, SIM_PAGE);
			rings[j]->header->in = outside[i];
			rings[j]->header->out = 8;
		}
		show_all(test, guest->ch, true);
		for (j = 0; j < ARRAY_SIZE(rings); j++) {
			rings[j]->header->in = 16;
			rings[j]->header->out = outside[i];
		}
		show_all(test, guest->ch, true);
	}
	/* Found broken, too. */
	expect_broken_out(test, guest);
	rings[1]->header->in = U32_MAX;
	expect_broken_in(test, guest);
	show_all(test, guest->ch, false);
}

static struct kunit_case corrupt_cases[] = {
	KUNIT_CASE(one_line),
	KUNIT_CASE(any_descriptor),
	KUNIT_CASE(second_packet),
	KUNIT_CASE(trailer_is_ignored),
	KUNIT_CASE(bad_write_index),
	KUNIT_CASE(wrong_write_index),
	KUNIT_CASE(bad_read_index),
	KUNIT_CASE(wrong_read_index),
	KUNIT_CASE(guests_own_indices),
	KUNIT_CASE(any_header_words),
	KUNIT_CASE(found_when_giving_room_back),
	KUNIT_CASE(other_channels),
	KUNIT_CASE_PARAM(callback_ends, upset_gen_params),
	KUNIT_CASE(sysfs),
	{}
};

struct kunit_suite corrupt_suite = {
	.name = "hv_vmbus_corrupt",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = corrupt_cases,
};
