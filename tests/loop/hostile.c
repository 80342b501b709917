// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host: what VSPs write to the guest is damaged on its way. The VSPs
 * know nothing of it and go on as if all had arrived.
 *
 * What a VSC that is misled does wrong is no news: from the first damage until
 * "none" vsc_violation() only counts it. What the driver does wrong is a
 * violation as ever.
 *
 * Actions: all in the write of a packet, and in files, with the model locked.
 *
 * Files in debugfs:
 *   hostile	"WHICH percent=P [kinds=A,B] [times=N]": P percent of the packets to
 *		the device WHICH (loop_find_locked()) and its sub-channels, also
 *		after it was rescinded and offered again, are damaged, N in all;
 *		kinds as in the list below, else any. 0 percent: no more damage, but
 *		the VSC is still misled. "none": that is over, too.
 *		Read: percent, damage left, what misled VSCs did wrong, then a line
 *		for each kind: how often there was such damage
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "loop.h"
#include "sim_host.h"

#define SAVED_IDS	16
#define SAVED_BYTES	SZ_4K
#define UNASKED_BYTES	256
#define TRIES		4
#define NONE		U32_MAX

/* The packet that is being written, as it is in the ring. */
struct victim {
	struct sim_chan *chan;
	u32 at;
	struct sim_packet_header header;
	u32 told;		/* the index that the guest is told */
};

/* A place in a shared header that is wrong until the next packet. */
struct wrong_index {
	u32 relid, opens;
	bool to_host;		/* of the ring from the guest */
	u32 right, wrong;
};

static struct {
	guid_t instance;
	u32 percent;
	u32 times;		/* damage left */
	unsigned long kinds;	/* BIT(index in kinds[]) */
	u32 next;		/* index in kinds[], for the packet that is written; NONE */
	bool misleads;
	bool inside;		/* it writes packets itself */
	unsigned int misled;
	u64 ids[SAVED_IDS];	/* of the last packets */
	u32 nr_ids;
	struct wrong_index index;
	/* The last packet: where, and all of it if it is not too long. */
	u32 last_relid, last_opens, last_at, last_len;
	u8 last[SAVED_BYTES] __aligned(8);
} hostile;

static u64 random64(void)
{
	return (u64)sim_random(U32_MAX) << 32 | sim_random(U32_MAX);
}

static u32 pick(const u32 *values, u32 count)
{
	return values[sim_random(count)];
}

static void fill(u8 *bytes, u32 len)
{
	while (len--)
		*bytes++ = sim_random(256);
}

static void put_header(const struct victim *victim)
{
	sim_poke(victim->chan, victim->at, &victim->header, sizeof(victim->header));
}

static u32 payload_at(const struct victim *victim)
{
	return victim->at + victim->header.offset8 * 8;
}

static u32 payload_len(const struct victim *victim)
{
	return (victim->header.len8 - victim->header.offset8) * 8;
}

/* ---- kinds: each returns whether this packet can be damaged so ---- */

static bool damage_type(struct victim *victim)
{
	const u32 types[] = { 0, 1, SIM_PKT_INBAND, SIM_PKT_XFER_PAGES, SIM_PKT_GPA_DIRECT,
			      SIM_PKT_COMPLETION, 0xffff, sim_random(32) };

	victim->header.type = pick(types, ARRAY_SIZE(types));
	put_header(victim);
	return true;
}

static bool damage_len(struct victim *victim)
{
	const struct sim_ring *ring = &victim->chan->out;
	u16 len8 = victim->header.len8;
	const u32 lens[] = { 0, 1, victim->header.offset8 - 1, len8 - 1, len8 + 1, len8 + 2,
			     len8 + sim_random(256), ring->size / 8, 0xffff, sim_random(0x10000) };

	victim->header.len8 = pick(lens, ARRAY_SIZE(lens));
	put_header(victim);
	return true;
}

static bool damage_offset(struct victim *victim)
{
	u16 len8 = victim->header.len8;
	const u32 offsets[] = { 0, 1, len8, len8 + 1, 0xffff, sim_random(len8 + 1),
				sim_random(0x10000) };

	victim->header.offset8 = pick(offsets, ARRAY_SIZE(offsets));
	put_header(victim);
	return true;
}

/* Never used, of what was answered already, or near: of another request that waits. */
static bool damage_id(struct victim *victim)
{
	u64 id = victim->header.trans_id;

	switch (sim_random(5)) {
	case 0:
		id = random64();
		break;
	case 1:
		id = sim_random(2) ? 0 : U64_MAX;
		break;
	case 2:
		id = hostile.ids[sim_random(SAVED_IDS)];
		break;
	default:
		id += sim_random(2) ? 1 + sim_random(8) : -1 - (s64)sim_random(8);
	}
	/* What is answered one at a time may have the same id each time. */
	victim->header.trans_id = id == victim->header.trans_id ? ~id : id;
	put_header(victim);
	return true;
}

static bool damage_flags(struct victim *victim)
{
	victim->header.flags = sim_random(2) ? 1 : sim_random(0x10000);
	put_header(victim);
	return true;
}

/* A sound packet with less in it than its sender meant. */
static bool damage_short(struct victim *victim)
{
	u32 words = payload_len(victim) / 8;
	u64 trailer = (u64)victim->at << 32;
	struct sim_ring *ring = &victim->chan->out;

	if (!words)
		return false;
	victim->header.len8 = victim->header.offset8 + sim_random(words);
	put_header(victim);
	sim_poke(victim->chan, victim->at + victim->header.len8 * 8, &trailer, sizeof(trailer));
	ring->pos = (victim->at + victim->header.len8 * 8 + sizeof(trailer)) % ring->size;
	victim->told = ring->pos;
	return true;
}

static bool damage_bits(struct victim *victim)
{
	u32 len = payload_len(victim), flips = 1 + sim_random(8), at;
	struct sim_chan *chan = victim->chan;
	u8 byte;

	while (len && flips--) {
		at = (payload_at(victim) + sim_random(len)) % chan->out.size;
		sim_peek(&chan->out, at, &byte, 1);
		byte ^= 1 << sim_random(8);
		sim_poke(chan, at, &byte, 1);
	}
	return len;
}

/* Some of the payload is anything, down to all of it. */
static bool damage_noise(struct victim *victim)
{
	u32 len = payload_len(victim), from;
	u8 noise[64];

	if (!len)
		return false;
	from = sim_random(2) ? 0 : sim_random(len);
	len = min_t(u32, sim_random(2) ? len - from : 4, sizeof(noise));
	fill(noise, len);
	len = min(len, payload_len(victim) - from);
	sim_poke(victim->chan, payload_at(victim) + from, noise, len);
	return true;
}

/* What follows the descriptor of transfer pages: which buffer, how many ranges, where. */
static bool damage_ranges(struct victim *victim)
{
	const u32 wrong[] = { 0, 1, 0x7fffffff, 0xffffffff, SZ_16M, 0x10000 + sim_random(SZ_64K),
			      sim_random(U32_MAX) };
	u32 at = victim->at + sizeof(victim->header), value = pick(wrong, ARRAY_SIZE(wrong));
	u32 ext = payload_at(victim) - at;

	if (victim->header.type != SIM_PKT_XFER_PAGES || ext < 16)
		return false;
	switch (sim_random(4)) {
	case 0:		/* the buffer's id */
		sim_poke(victim->chan, at, &value, sizeof(u16));
		break;
	case 1:		/* how many */
		sim_poke(victim->chan, at + 4, &value, sizeof(value));
		break;
	default:	/* bytes, or offset, of one of them */
		sim_poke(victim->chan, at + 8 + sim_random((ext - 8) / 4) * 4, &value,
			 sizeof(value));
	}
	return true;
}

static u32 outside(u32 size)
{
	const u32 wrong[] = { size, size + 8, sim_random(size) | 1, 4, 0x80000000, U32_MAX };

	return pick(wrong, ARRAY_SIZE(wrong));
}

static bool damage_write_index(struct victim *victim)
{
	u32 size = victim->chan->out.size;

	victim->told = sim_random(2) ? outside(size) : sim_random(size / 8) * 8;
	return true;
}

static u32 *index_of(const struct sim_chan *chan, bool to_host)
{
	return to_host ? &chan->in.header->out : &chan->out.header->out;
}

/* Undone by the guest when it gives room back, by the host when it reads, or by us. */
static bool spoil_index(struct victim *victim, bool to_host, u32 wrong)
{
	struct sim_chan *chan = victim->chan;
	u32 *index = index_of(chan, to_host);

	if (hostile.index.relid)
		return false;
	hostile.index = (struct wrong_index){ chan->relid, chan->opens, to_host,
					      READ_ONCE(*index), wrong };
	cmpxchg(index, hostile.index.right, wrong);
	return true;
}

static void mend_index(void)
{
	const struct wrong_index *index = &hostile.index;
	struct sim_chan *chan = index->relid ? sim_chan_locked(index->relid) : NULL;

	if (chan && chan->open && chan->opens == index->opens)
		cmpxchg(index_of(chan, index->to_host), index->wrong, index->right);
	hostile.index.relid = 0;
}

/* The guest's own index of the ring to it. */
static bool damage_read_index(struct victim *victim)
{
	u32 size = victim->chan->out.size;

	return spoil_index(victim, false,
			   sim_random(2) ? outside(size) : sim_random(size / 8) * 8);
}

/* The host's own of the ring from the guest; were it possible, the host would misread. */
static bool damage_room(struct victim *victim)
{
	return spoil_index(victim, true, outside(victim->chan->in.size));
}

/* How much room the host waits for. */
static bool damage_pending(struct victim *victim)
{
	u32 size = victim->chan->out.size;
	const u32 sizes[] = { 1, 8, size - 8, size - 1, size, U32_MAX, sim_random(size) };

	WRITE_ONCE(victim->chan->out.header->pending_send, pick(sizes, ARRAY_SIZE(sizes)));
	return true;
}

/* Before the packet another that nobody has asked for. */
static bool damage_unasked(struct victim *victim)
{
	const u32 types[] = { SIM_PKT_INBAND, SIM_PKT_INBAND, SIM_PKT_COMPLETION,
			      SIM_PKT_XFER_PAGES, SIM_PKT_GPA_DIRECT, sim_random(32) };
	const u64 ids[] = { 0, random64(), hostile.ids[sim_random(SAVED_IDS)],
			    1 + sim_random(64) };
	u8 bytes[UNASKED_BYTES];
	u32 extra = sim_random(2) ? 0 : sim_random(8) * 8;

	fill(bytes, sizeof(bytes));
	/* A number that may be a type. */
	if (sim_random(4))
		*(u32 *)(bytes + extra) = sim_random(256);
	sim_write_ext(victim->chan, pick(types, ARRAY_SIZE(types)), sim_random(2),
		      ids[sim_random(ARRAY_SIZE(ids))], bytes, extra, bytes + extra,
		      sim_random(sizeof(bytes) - extra));
	return true;
}

/* Before it the last packet once more, which may be an answer. */
static bool damage_again(struct victim *victim)
{
	const struct sim_packet_header *header = (const void *)hostile.last;
	u32 offset = header->offset8 * 8;

	if (hostile.last_relid != victim->chan->relid || !hostile.last_len ||
	    hostile.last_len > SAVED_BYTES)
		return false;
	sim_write_ext(victim->chan, header->type, header->flags, header->trans_id, header + 1,
		      offset - sizeof(*header), hostile.last + offset,
		      hostile.last_len - offset);
	return true;
}

/* The last one, which the guest may be reading now, changes. */
static bool damage_late(struct victim *victim)
{
	u8 bytes[sizeof(struct sim_packet_header)];

	if (hostile.last_relid != victim->chan->relid ||
	    hostile.last_opens != victim->chan->opens || !hostile.last_len)
		return false;
	fill(bytes, sizeof(bytes));
	sim_poke(victim->chan, hostile.last_at + sim_random(hostile.last_len / 8) * 8, bytes, 8);
	return true;
}

static struct {
	const char *name;
	bool (*damage)(struct victim *victim);
	bool before;		/* done before the packet is written */
	unsigned int count;
} kinds[] = {
	{ "type", damage_type },
	{ "len", damage_len },
	{ "offset", damage_offset },
	{ "id", damage_id },
	{ "flags", damage_flags },
	{ "short", damage_short },
	{ "bits", damage_bits },
	{ "noise", damage_noise },
	{ "ranges", damage_ranges },
	{ "write_index", damage_write_index },
	{ "read_index", damage_read_index },
	{ "room", damage_room },
	{ "pending", damage_pending },
	{ "unasked", damage_unasked, true },
	{ "again", damage_again, true },
	{ "late", damage_late, true },
};

static_assert(ARRAY_SIZE(kinds) <= BITS_PER_LONG);

/* ---- the host's writes ---- */

static bool is_victim(const struct sim_chan *chan)
{
	return !hostile.inside && guid_equal(&chan->instance, &hostile.instance);
}

static bool inflict(struct victim *victim, u32 kind)
{
	if (!kinds[kind].damage(victim))
		return false;
	hostile.misleads = true;
	hostile.times--;
	kinds[kind].count++;
	return true;
}

/* One of those that are wished for; NONE if they are only of the other sort. */
static u32 choose(bool any, bool before)
{
	u32 found[ARRAY_SIZE(kinds)], count = 0, i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (hostile.kinds & BIT(i) && (any || kinds[i].before == before))
			found[count++] = i;
	return count ? found[sim_random(count)] : NONE;
}

static void before(struct sim_chan *chan)
{
	struct victim victim = { .chan = chan };

	if (!is_victim(chan))
		return;
	mend_index();
	hostile.next = NONE;
	if (!hostile.times || sim_random(100) >= hostile.percent)
		return;
	hostile.next = choose(true, false);
	if (hostile.next == NONE || !kinds[hostile.next].before)
		return;
	hostile.inside = true;
	if (inflict(&victim, hostile.next))
		hostile.next = NONE;
	hostile.inside = false;
}

static void remember(const struct victim *victim)
{
	hostile.ids[hostile.nr_ids++ % SAVED_IDS] = victim->header.trans_id;
	hostile.last_relid = victim->chan->relid;
	hostile.last_opens = victim->chan->opens;
	hostile.last_at = victim->at;
	hostile.last_len = victim->header.len8 * 8;
	sim_peek(&victim->chan->out, victim->at, hostile.last,
		 min_t(u32, hostile.last_len, SAVED_BYTES));
}

static u32 written(struct sim_chan *chan, u32 at, u32 len)
{
	struct victim victim = { .chan = chan, .at = at, .told = chan->out.pos };
	u32 tries;

	if (!is_victim(chan))
		return chan->out.pos;
	sim_peek(&chan->out, at, &victim.header, sizeof(victim.header));
	remember(&victim);
	if (hostile.next == NONE)
		return chan->out.pos;
	/* What cannot be done to this packet has others in its place. */
	for (tries = 0; tries < TRIES && hostile.next != NONE; tries++) {
		if (!kinds[hostile.next].before && inflict(&victim, hostile.next))
			break;
		hostile.next = choose(false, false);
	}
	hostile.next = NONE;
	return victim.told;
}

static const struct sim_meddler meddler = { .before = before, .written = written };

void vsc_violation(const char *format, ...)
{
	struct va_format vaf = { .fmt = format };
	va_list args;

	va_start(args, format);
	vaf.va = &args;
	if (!hostile.misleads) {
		sim_violation("%pV", &vaf);
	} else {
		hostile.misled++;
		pr_info_ratelimited("%s: a misled VSC is wrong: %pV\n", KBUILD_MODNAME, &vaf);
	}
	va_end(args);
}

/* ---- files ---- */

static int parse_kinds(char *list, unsigned long *mask)
{
	char *name;
	u32 i;

	*mask = 0;
	while ((name = strsep(&list, ","))) {
		for (i = 0; i < ARRAY_SIZE(kinds) && strcmp(kinds[i].name, name); i++)
			;
		if (i == ARRAY_SIZE(kinds))
			return -EINVAL;
		*mask |= BIT(i);
	}
	return 0;
}

static int parse_word(char *word, u32 *percent, u32 *times, unsigned long *mask)
{
	char *value = strchr(word, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(word, "kinds"))
		return parse_kinds(value, mask);
	if (!strcmp(word, "times"))
		return kstrtou32(value, 0, times);
	if (strcmp(word, "percent"))
		return -EINVAL;
	return kstrtou32(value, 0, percent) ?: *percent > 100 ? -ERANGE : 0;
}

static void set(const struct sim_chan *chan, u32 percent, u32 times, unsigned long mask)
{
	mend_index();
	hostile.last_relid = 0;
	hostile.next = NONE;
	if (chan)
		hostile.instance = chan->instance;
	else
		hostile.misleads = false;
	hostile.percent = percent;
	hostile.times = times;
	hostile.kinds = mask;
	sim_meddle_locked(percent ? &meddler : NULL);
}

/*
 * No more damage, though the VSC may be misled still: it may have been rescinded
 * meanwhile. A wrong index hides from the host that somebody has to be woken.
 */
static void end_damage(void)
{
	struct sim_chan *chan;
	u32 relid;

	mend_index();
	hostile.percent = 0;
	sim_meddle_locked(NULL);
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (!chan || !chan->open || !guid_equal(&chan->instance, &hostile.instance))
			continue;
		sim_interrupt_locked(chan);
		sim_signal_again(relid);
	}
}

static int hostile_line(char *line)
{
	u32 percent = U32_MAX, times = U32_MAX;
	char *which = strsep(&line, " "), *word;
	unsigned long mask = ~0UL;
	struct sim_chan *chan;
	int err = 0;

	while (!err && (word = strsep(&line, " ")))
		err = *word ? parse_word(word, &percent, &times, &mask) : 0;
	if (err)
		return err;
	sim_lock();
	if (!strcmp(which, "none")) {
		set(NULL, 0, 0, 0);
	} else if (percent == U32_MAX) {
		err = -EINVAL;
	} else if (!percent) {
		end_damage();
	} else {
		chan = loop_find_locked(which, &err);
		if (chan)
			set(chan, percent, times, mask);
	}
	sim_unlock();
	return err;
}

static ssize_t hostile_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	char line[256];
	int err = loop_line(line, sizeof(line), from, count) ?: hostile_line(line);

	return err ?: count;
}

static int hostile_show(struct seq_file *file, void *unused)
{
	u32 i;

	sim_lock();
	seq_printf(file, "percent %u\ntimes %u\nmisled %u\n", hostile.percent, hostile.times,
		   hostile.misled);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		seq_printf(file, "%s %u\n", kinds[i].name, kinds[i].count);
	sim_unlock();
	return 0;
}

static int hostile_open(struct inode *inode, struct file *file)
{
	return single_open(file, hostile_show, NULL);
}

static const struct file_operations hostile_fops = {
	.owner = THIS_MODULE,
	.open = hostile_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
	.write = hostile_write,
};

void loop_hostile_files(struct dentry *dir)
{
	debugfs_create_file("hostile", 0600, dir, NULL, &hostile_fops);
}

/* The host goes: what is written from now on is as the VSPs mean it. */
void loop_hostile_stop(void)
{
	sim_lock();
	set(NULL, 0, 0, 0);
	sim_unlock();
}
