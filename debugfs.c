// SPDX-License-Identifier: GPL-2.0-only
/*
 * What root reads in <debugfs>/vmbus: the connection, the channels, the last
 * control messages. Documentation/debugging.rst has the formats. Addresses are
 * not shown, and nothing that a host says is shown but as a number.
 *
 * Actions: readers in any task; messages are noted where they are posted and
 * handled; who calls a channel's callback measures it, if that is switched on.
 * The files are there from before the connection is made until the driver begins
 * to end it. Their removal waits for readers, who wait neither for the host nor
 * for a driver: a device that is being probed or removed is shown as busy.
 *
 * References: a reader holds one on the channel that it shows, within one read(),
 * and one on its device. Who opens `events` has a copy of them.
 *
 * What is measured costs nothing while it is off: the trace events that are where
 * callbacks are called lead to it, and are on while it is. A key of its own keeps
 * those who trace from being measured.
 *
 * Locks: log_lock for all that is counted of messages, innermost. latency_mutex
 * for the switch; nothing of the driver is held there, and CPU hotplug is taken
 * inside.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/hyperv.h>
#include <linux/jump_label.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "include/vmbus_private.h"
#include "include/vmbus_trace.h"

/* So many control messages are kept, a power of two. */
#define EVENTS		256

/* Where messages are counted whose type has no name; no type is 0. */
#define NAMELESS	0

/* So many of the requests that wait are shown. */
#define REQUESTS_SHOWN	64

/**
 * struct event - a control message that went or came
 * @real: ns of wall clock
 * @stamp: ns of the clock that the kernel's log shows
 * @type: of message, whatever it was
 * @relid: channel that it names
 * @id: GPADL, open id, version or virtual processor that it names
 * @status: of an answer
 * @err: why it could not be posted, or was ignored
 * @received: it came from the host
 * @malformed: nothing of it but the type can be relied on
 */
struct event {
	u64 real;
	u64 stamp;
	u32 type;
	u32 relid;
	u32 id;
	u32 status;
	s16 err;
	bool received;
	bool malformed;
};

/* Where messages have what; 0 if they have not. */
static const struct layout {
	u8 relid;
	u8 id;
	u8 status;
} layouts[CHANNELMSG_COUNT] = {
#define AT(_struct, _field) offsetof(struct _struct, _field)
	[CHANNELMSG_OFFERCHANNEL] = {
		.relid = AT(vmbus_channel_offer_channel, child_relid),
	},
	[CHANNELMSG_RESCIND_CHANNELOFFER] = {
		.relid = AT(vmbus_channel_rescind_offer, child_relid),
	},
	[CHANNELMSG_OPENCHANNEL] = {
		.relid = AT(vmbus_channel_open_channel, child_relid),
		.id = AT(vmbus_channel_open_channel, openid),
	},
	[CHANNELMSG_OPENCHANNEL_RESULT] = {
		.relid = AT(vmbus_channel_open_result, child_relid),
		.id = AT(vmbus_channel_open_result, openid),
		.status = AT(vmbus_channel_open_result, status),
	},
	[CHANNELMSG_CLOSECHANNEL] = {
		.relid = AT(vmbus_channel_close_channel, child_relid),
	},
	[CHANNELMSG_GPADL_HEADER] = {
		.relid = AT(vmbus_gpadl_header, child_relid),
		.id = AT(vmbus_gpadl_header, gpadl),
	},
	[CHANNELMSG_GPADL_BODY] = {
		.id = AT(vmbus_channel_gpadl_body, gpadl),
	},
	[CHANNELMSG_GPADL_CREATED] = {
		.relid = AT(vmbus_channel_gpadl_created, child_relid),
		.id = AT(vmbus_channel_gpadl_created, gpadl),
		.status = AT(vmbus_channel_gpadl_created, creation_status),
	},
	[CHANNELMSG_GPADL_TEARDOWN] = {
		.relid = AT(vmbus_channel_gpadl_teardown, child_relid),
		.id = AT(vmbus_channel_gpadl_teardown, gpadl),
	},
	[CHANNELMSG_GPADL_TORNDOWN] = {
		.id = AT(vmbus_channel_gpadl_torndown, gpadl),
	},
	[CHANNELMSG_RELID_RELEASED] = {
		.relid = AT(vmbus_channel_relid_released, child_relid),
	},
	[CHANNELMSG_INITIATE_CONTACT] = {
		.id = AT(vmbus_channel_initiate_contact, vmbus_version_requested),
	},
	[CHANNELMSG_VERSION_RESPONSE] = {
		/* Two bytes: supported, and the state of the connection. */
		.status = AT(vmbus_channel_version_response, version_supported),
	},
	[CHANNELMSG_MODIFYCHANNEL] = {
		.relid = AT(vmbus_channel_modifychannel, child_relid),
		.id = AT(vmbus_channel_modifychannel, target_vp),
	},
	[CHANNELMSG_TL_CONNECT_RESULT] = {
		.status = AT(vmbus_tl_connect_result, status),
	},
	[CHANNELMSG_MODIFYCHANNEL_RESPONSE] = {
		.relid = AT(vmbus_channel_modifychannel_response, child_relid),
		.status = AT(vmbus_channel_modifychannel_response, status),
	},
#undef AT
};

/* What can be wrong with a message or a post; the last counts all others. */
static const struct {
	int err;
	const char *name;
} errors[] = {
	{ -EMSGSIZE, "EMSGSIZE" },
	{ -EOPNOTSUPP, "EOPNOTSUPP" },
	{ -EPROTO, "EPROTO" },
	{ -ENOTCONN, "ENOTCONN" },
	{ -ERANGE, "ERANGE" },
	{ -EEXIST, "EEXIST" },
	{ -ENODEV, "ENODEV" },
	{ -ENOMEM, "ENOMEM" },
	{ -ENOENT, "ENOENT" },
	{ -EALREADY, "EALREADY" },
	{ -EPERM, "EPERM" },
	{ -ESRCH, "ESRCH" },
	{ -ENOBUFS, "ENOBUFS" },
	{ -EIO, "EIO" },
	{ 0, "other" },
};

static DEFINE_SPINLOCK(log_lock);

/**
 * struct counts - what has gone one way; log_lock protects it
 * @types: messages of each type, and of those without a name
 * @failed: by errno, as in @errors
 */
struct counts {
	u64 types[CHANNELMSG_COUNT];
	u64 failed[ARRAY_SIZE(errors)];
};

/* All since the driver was started; log_lock protects it. */
static struct {
	struct counts received;
	struct counts sent;
	u64 retries;
	u64 nr_events;
	u64 last_received;	/* number of its event, from 1 */
	struct event events[EVENTS];
} message_log;

/* Whether callbacks are measured, and since when, in ns: what is older does not count. */
static DEFINE_STATIC_KEY_FALSE(latency_key);
static DEFINE_MUTEX(latency_mutex);	/* these, and the probes */
static bool latency_on;
static u64 latency_since;

static struct dentry *dir;

/* ---- messages ---- */

/* Where a message is counted. */
static u32 slot_of(u32 type)
{
	return vmbus_message_known(type) ? type : NAMELESS;
}

static const struct layout *layout_of(u32 type)
{
	return &layouts[slot_of(type)];
}

static u32 field(const void *msg, u8 at)
{
	u32 value = 0;

	if (at)
		memcpy(&value, msg + at, sizeof(value));
	return value;
}

static unsigned int error_index(int err)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors) - 1; i++)
		if (errors[i].err == err)
			break;
	return i;
}

static void count_failure(struct counts *counts, int err)
{
	lockdep_assert_held(&log_lock);
	if (err)
		counts->failed[error_index(err)]++;
}

static void add_event(const void *msg, bool received, bool malformed, int err)
{
	const struct vmbus_channel_message_header *header = msg;
	struct event *event = &message_log.events[message_log.nr_events++ % EVENTS];
	const struct layout *layout = layout_of(header->msgtype);

	lockdep_assert_held(&log_lock);
	*event = (struct event){
		.real = ktime_get_real_ns(),
		.stamp = local_clock(),
		.type = header->msgtype,
		.err = err,
		.received = received,
		.malformed = malformed,
	};
	if (malformed)
		return;
	event->relid = field(msg, layout->relid);
	event->id = field(msg, layout->id);
	event->status = field(msg, layout->status);
	if (event->type == CHANNELMSG_VERSION_RESPONSE)
		event->status &= U16_MAX;
}

/**
 * vmbus_note_answered() - a request ends with the host's answer
 * @msg: the answer
 *
 * If it names a channel, its status is shown there until the next one.
 *
 * Context: any.
 */
void vmbus_note_answered(const struct vmbus_message *msg)
{
	const struct layout *layout = layout_of(msg->header.msgtype);
	struct vmbus_chan *chan;

	if (!layout->relid || !layout->status)
		return;
	rcu_read_lock();
	chan = vmbus_relid_lookup(field(msg->bytes, layout->relid));
	if (chan)
		WRITE_ONCE(chan->stats.answer, (u64)msg->header.msgtype << 32 |
						       field(msg->bytes, layout->status));
	rcu_read_unlock();
}

/**
 * vmbus_note_received() - a message was received, and is handled next or ignored
 * @msg: its private copy
 * @err: what vmbus_message_check() says of it
 *
 * Context: process; one at a time.
 */
void vmbus_note_received(const struct vmbus_message *msg, int err)
{
	bool malformed = err == -EMSGSIZE || err == -EOPNOTSUPP;

	spin_lock(&log_lock);
	message_log.received.types[slot_of(msg->header.msgtype)]++;
	count_failure(&message_log.received, err);
	add_event(msg->bytes, true, malformed, err);
	message_log.last_received = message_log.nr_events;
	spin_unlock(&log_lock);
}

/**
 * vmbus_note_refused() - the message that is being handled cannot be what it says
 * @msg: the message
 * @err: why
 *
 * Context: process; after its vmbus_note_received().
 */
void vmbus_note_refused(const struct vmbus_message *msg, int err)
{
	struct event *event;

	spin_lock(&log_lock);
	count_failure(&message_log.received, err);
	event = &message_log.events[(message_log.last_received - 1) % EVENTS];
	/* Posts may have overwritten it; an offer may be handled again much later. */
	if (message_log.last_received && event->received &&
	    event->type == msg->header.msgtype &&
	    event->relid == field(msg->bytes, layout_of(event->type)->relid))
		event->err = err;
	spin_unlock(&log_lock);
}

/**
 * vmbus_note_posted() - a message was posted, or could not be
 * @msg: the message, with its header
 * @retries: how often the host had to be asked again
 * @err: what came of it
 *
 * Context: process.
 */
void vmbus_note_posted(const void *msg, unsigned int retries, int err)
{
	const struct vmbus_channel_message_header *header = msg;

	spin_lock(&log_lock);
	message_log.retries += retries;
	if (err)
		count_failure(&message_log.sent, err);
	else
		message_log.sent.types[slot_of(header->msgtype)]++;
	add_event(msg, false, false, err);
	spin_unlock(&log_lock);
}

static void show_event(struct seq_file *seq, const struct event *event)
{
	const struct layout *layout = layout_of(event->type);
	u64 real = event->real, stamp = event->stamp;
	u32 real_us = do_div(real, NSEC_PER_SEC) / NSEC_PER_USEC;
	u32 stamp_us = do_div(stamp, NSEC_PER_SEC) / NSEC_PER_USEC;
	struct tm tm;

	time64_to_tm(real, 0, &tm);
	seq_printf(seq, "%04ld-%02d-%02dT%02d:%02d:%02d.%06uZ [%5llu.%06u] %s ",
		   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		   tm.tm_sec, real_us, stamp, stamp_us, event->received ? "<-" : "->");
	if (vmbus_message_known(event->type))
		seq_puts(seq, vmbus_message_name(event->type));
	else
		seq_printf(seq, "type-%u", event->type);
	if (!event->malformed && layout->relid)
		seq_printf(seq, " relid %u", event->relid);
	if (!event->malformed && layout->id)
		seq_printf(seq, " id 0x%x", event->id);
	if (!event->malformed && layout->status)
		seq_printf(seq, " status 0x%x", event->status);
	if (event->err)
		seq_printf(seq, " error %d", event->err);
	seq_putc(seq, '\n');
}

/* ---- events ---- */

/**
 * struct snapshot - the events when the file was opened
 * @first: index of the oldest
 * @nr: how many there are
 * @events: a copy of the ring
 */
struct snapshot {
	unsigned int first;
	unsigned int nr;
	struct event events[EVENTS];
};

static int events_show(struct seq_file *seq, void *unused)
{
	const struct snapshot *snapshot = seq->private;
	unsigned int i;

	for (i = 0; i < snapshot->nr; i++)
		show_event(seq, &snapshot->events[(snapshot->first + i) % EVENTS]);
	return 0;
}

static int events_open(struct inode *inode, struct file *file)
{
	struct snapshot *snapshot = kmalloc(sizeof(*snapshot), GFP_KERNEL);
	int err;

	if (!snapshot)
		return -ENOMEM;
	spin_lock(&log_lock);
	snapshot->nr = min_t(u64, message_log.nr_events, EVENTS);
	snapshot->first = message_log.nr_events - snapshot->nr;
	memcpy(snapshot->events, message_log.events, sizeof(snapshot->events));
	spin_unlock(&log_lock);
	err = single_open(file, events_show, snapshot);
	if (err)
		kfree(snapshot);
	return err;
}

static int events_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;

	kfree(seq->private);
	return single_release(inode, file);
}

static const struct file_operations events_fops = {
	.owner = THIS_MODULE,
	.open = events_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = events_release,
};

/* ---- connection ---- */

static const char *conn_state_name(enum vmbus_conn_state state)
{
	switch (state) {
	case VMBUS_DISCONNECTED:
		return "disconnected";
	case VMBUS_CONNECTING:
		return "connecting";
	case VMBUS_CONNECTED:
		return "connected";
	case VMBUS_DISCONNECTING:
		return "disconnecting";
	}
	return "unknown";
}

/* What the version brings, with the first one that does. */
static const struct {
	u32 version;
	const char *name;
} features[] = {
	{ VERSION_WIN8_1, "unload" },
	{ VERSION_WIN10, "sockets" },
	{ VERSION_WIN10_V4_1, "move" },
	{ VERSION_WIN10_V4_1, "connect-result" },
	{ VERSION_WIN10_V5, "message-connection" },
	{ VERSION_WIN10_V5_3, "move-answered" },
};

static void show_features(struct seq_file *seq, u32 version)
{
	unsigned int i;

	seq_puts(seq, "features");
	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (version >= features[i].version)
			seq_printf(seq, " %s", features[i].name);
	if (vmbus_conn.features & VMBUS_FEATURE_CONFIDENTIAL)
		seq_puts(seq, " confidential");
	seq_putc(seq, '\n');
}

static void show_counts(struct seq_file *seq, const struct counts *counts, const char *what,
			const char *failed)
{
	unsigned int i;

	lockdep_assert_held(&log_lock);
	for (i = 0; i < ARRAY_SIZE(counts->types); i++)
		if (counts->types[i])
			seq_printf(seq, "%s %s %llu\n", what,
				   i ? vmbus_message_name(i) : "unknown", counts->types[i]);
	for (i = 0; i < ARRAY_SIZE(errors); i++)
		if (counts->failed[i])
			seq_printf(seq, "%s %s %llu\n", failed, errors[i].name,
				   counts->failed[i]);
}

/* Who shows the requests, and how many there were. */
struct request_view {
	struct seq_file *seq;
	unsigned int nr;
};

static void show_request(const struct vmbus_request *req, void *arg)
{
	struct request_view *view = arg;

	if (view->nr++ < REQUESTS_SHOWN)
		seq_printf(view->seq, "waiting %s relid %u id 0x%x ms %llu\n",
			   vmbus_message_name(req->answer), req->relid, req->id,
			   div_u64(ktime_get_ns() - req->begun, NSEC_PER_MSEC));
}

static int connection_show(struct seq_file *seq, void *unused)
{
	u32 version = READ_ONCE(vmbus_proto_version);
	struct request_view view = { .seq = seq };

	seq_printf(seq, "version %u.%u\n", VMBUS_VERSION_MAJOR(version),
		   VMBUS_VERSION_MINOR(version));
	show_features(seq, version);
	seq_printf(seq, "state %s\n", conn_state_name(READ_ONCE(vmbus_conn.state)));
	seq_printf(seq, "parked_kib %lu\n", vmbus_parked_kib(0));
	seq_printf(seq, "leaked_kib %lu\n", vmbus_leaked_kib());
	spin_lock(&log_lock);
	show_counts(seq, &message_log.received, "received", "refused");
	show_counts(seq, &message_log.sent, "sent", "unsent");
	seq_printf(seq, "retries %llu\n", message_log.retries);
	spin_unlock(&log_lock);
	vmbus_request_walk(show_request, &view);
	seq_printf(seq, "waiting_requests %u\n", view.nr);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(connection);

/* ---- channels ---- */

static const char *state_name(enum vmbus_chan_state state)
{
	switch (state) {
	case VMBUS_CHAN_OFFERED:
		return "offered";
	case VMBUS_CHAN_OPENING:
		return "opening";
	case VMBUS_CHAN_OPEN:
		return "open";
	case VMBUS_CHAN_CLOSING:
		return "closing";
	case VMBUS_CHAN_REVOKED:
		return "revoked";
	case VMBUS_CHAN_REVOKED_OPENING:
		return "revoked-opening";
	case VMBUS_CHAN_REVOKED_OPEN:
		return "revoked-open";
	case VMBUS_CHAN_REVOKED_CLOSING:
		return "revoked-closing";
	case VMBUS_CHAN_SUSPENDED:
		return "suspended";
	case VMBUS_CHAN_RELEASED:
		return "released";
	}
	return "unknown";
}

/* The first channel with such a relid or a higher one, referenced, and its relid. */
static struct vmbus_chan *get_mapped(loff_t *relid)
{
	struct vmbus_chan *chan;

	for (; *relid < VMBUS_MAX_RELIDS; ++*relid) {
		rcu_read_lock();
		chan = vmbus_relid_lookup(*relid);
		if (chan && !kref_get_unless_zero(&chan->ref))
			chan = NULL;
		rcu_read_unlock();
		if (chan)
			return chan;
	}
	return NULL;
}

/* The nth of those that the host has forgotten, referenced. */
static struct vmbus_chan *get_forgotten(loff_t nth)
{
	struct vmbus_chan *chan = NULL;
	struct vmbus_channel *ch;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(ch, &vmbus_bus.channels, listentry) {
		if (ch->offermsg.child_relid != VMBUS_NO_RELID || nth--)
			continue;
		chan = vmbus_chan_get(to_vmbus_chan(ch));
		break;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	return chan;
}

/* Positions are relids, and behind them channels without one. */
static struct vmbus_chan *get_at(loff_t *pos)
{
	struct vmbus_chan *chan = get_mapped(pos);

	return chan ?: get_forgotten(*pos - VMBUS_MAX_RELIDS);
}

static void *channels_start(struct seq_file *seq, loff_t *pos)
{
	return get_at(pos);
}

static void *channels_next(struct seq_file *seq, void *shown, loff_t *pos)
{
	vmbus_chan_put(shown);
	++*pos;
	return get_at(pos);
}

static void channels_stop(struct seq_file *seq, void *shown)
{
	if (shown)
		vmbus_chan_put(shown);
}

static int has_channel(struct device *dev, const void *channel)
{
	return device_to_hv_device(dev)->channel == channel;
}

/* Nobody may wait for the lock of a device, which its driver has while it probes. */
static void show_driver(struct seq_file *seq, const struct vmbus_channel *primary)
{
	struct device *dev = NULL;

	if (READ_ONCE(primary->device_obj))
		dev = bus_find_device(&vmbus_bus_type, NULL, primary, has_channel);
	if (!dev) {
		seq_puts(seq, " driver none");
		return;
	}
	if (device_trylock(dev)) {
		seq_printf(seq, " driver %s", dev->driver ? dev->driver->name : "none");
		device_unlock(dev);
	} else {
		seq_puts(seq, " driver busy");
	}
	put_device(dev);
}

static void show_histogram(struct seq_file *seq, const char *name, const u32 *buckets)
{
	unsigned int i;

	seq_printf(seq, "  %s", name);
	for (i = 0; i < VMBUS_LATENCY_BUCKETS - 1; i++)
		if (READ_ONCE(buckets[i]))
			seq_printf(seq, " <%uus:%u", 1U << i, READ_ONCE(buckets[i]));
	if (READ_ONCE(buckets[i]))
		seq_printf(seq, " more:%u", READ_ONCE(buckets[i]));
	seq_putc(seq, '\n');
}

static void show_measured(struct seq_file *seq, const struct vmbus_stats *stats)
{
	u64 since = READ_ONCE(latency_since);

	if (!since || READ_ONCE(stats->since) != since)
		return;
	seq_printf(seq, "  high out %u in %u\n", READ_ONCE(stats->tx_high),
		   READ_ONCE(stats->rx_high));
	show_histogram(seq, "latency", stats->latency);
	show_histogram(seq, "duration", stats->duration);
}

static int channels_show(struct seq_file *seq, void *shown)
{
	const struct vmbus_chan *chan = shown;
	const struct vmbus_channel *ch = &chan->ch;
	u64 answer = READ_ONCE(chan->stats.answer);
	u32 relid = READ_ONCE(ch->offermsg.child_relid);

	if (relid == VMBUS_NO_RELID)
		seq_puts(seq, "relid none");
	else
		seq_printf(seq, "relid %u", relid);
	seq_printf(seq, " instance %pUl sub %u", &ch->offermsg.offer.if_instance,
		   ch->offermsg.offer.sub_channel_index);
	show_driver(seq, ch->primary_channel ?: ch);
	seq_printf(seq, " state %s cpu %u", state_name(READ_ONCE(chan->state)),
		   READ_ONCE(ch->target_cpu));
	if (answer)
		seq_printf(seq, " answer %s status 0x%x", vmbus_message_name(answer >> 32),
			   (u32)answer);
	else
		seq_puts(seq, " answer none");
	seq_printf(seq, " parked_kib %lu\n",
		   relid == VMBUS_NO_RELID ? 0 : vmbus_parked_kib(relid));
	show_measured(seq, &chan->stats);
	return 0;
}

static const struct seq_operations channels_sops = {
	.start = channels_start,
	.next = channels_next,
	.stop = channels_stop,
	.show = channels_show,
};
DEFINE_SEQ_ATTRIBUTE(channels);

/* ---- latency ---- */

static void count_time(u32 *buckets, u64 begun)
{
	u64 passed = ktime_get_mono_fast_ns() - begun;
	unsigned int bucket = fls64(div_u64(passed, NSEC_PER_USEC));

	bucket = min_t(unsigned int, bucket, VMBUS_LATENCY_BUCKETS - 1);
	WRITE_ONCE(buckets[bucket], buckets[bucket] + 1);
}

/* The rings are mapped: who closes the channel waits for its callback. */
static void look_at_ring(const struct hv_ring_buffer_info *info, u32 from, u32 to, u32 *high)
{
	/* One of them is the host's. */
	if (!vmbus_ring_index_valid(info, from) || !vmbus_ring_index_valid(info, to))
		return;
	if (vmbus_ring_distance(info, from, to) > *high)
		WRITE_ONCE(*high, vmbus_ring_distance(info, from, to));
}

static void look_at_rings(struct vmbus_chan *chan)
{
	const struct hv_ring_buffer_info *tx = chan->tx.info, *rx = chan->rx.info;

	look_at_ring(tx, READ_ONCE(tx->ring_buffer->read_index), READ_ONCE(chan->tx.index),
		     &chan->stats.tx_high);
	look_at_ring(rx, rx->priv_read_index, READ_ONCE(rx->ring_buffer->write_index),
		     &chan->stats.rx_high);
}

/**
 * vmbus_latency_begin() - a channel's callback is called next
 * @channel: open channel
 *
 * Context: as the callback; followed by vmbus_latency_end().
 */
void vmbus_latency_begin(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	struct vmbus_stats *stats = &chan->stats;
	u64 since = READ_ONCE(latency_since), interrupted;

	if (!static_branch_unlikely(&latency_key))
		return;
	interrupted = xchg(&stats->interrupted, 0);
	if (stats->since != since) {
		memset(stats->latency, 0, sizeof(stats->latency));
		memset(stats->duration, 0, sizeof(stats->duration));
		stats->tx_high = 0;
		stats->rx_high = 0;
		WRITE_ONCE(stats->since, since);
	}
	if (interrupted >= since)
		count_time(stats->latency, interrupted);
	look_at_rings(chan);
	stats->called = ktime_get_mono_fast_ns();
}

/**
 * vmbus_latency_end() - a channel's callback has returned
 * @channel: the channel
 *
 * Context: as vmbus_latency_begin().
 */
void vmbus_latency_end(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = to_vmbus_chan(channel);
	struct vmbus_stats *stats = &chan->stats;

	if (!static_branch_unlikely(&latency_key))
		return;
	/* Unless it was switched on meanwhile. */
	if (stats->called >= READ_ONCE(latency_since))
		count_time(stats->duration, stats->called);
	look_at_rings(chan);
}

static void on_interrupt(void *unused, const struct vmbus_channel *channel)
{
	struct vmbus_stats *stats = &to_vmbus_chan(channel)->stats;

	/* Others may come before the callback: the first one waits longest. */
	if (READ_ONCE(stats->interrupted) < READ_ONCE(latency_since))
		WRITE_ONCE(stats->interrupted, ktime_get_mono_fast_ns());
}

/* That the event is on is enough: it leads run_callback() to what is above. */
static void on_tasklet(void *unused, const struct vmbus_channel *channel)
{
}

static int latency_begin(void)
{
	int err;

	lockdep_assert_held(&latency_mutex);
	if (latency_on)
		return 0;
	WRITE_ONCE(latency_since, ktime_get_mono_fast_ns());
	static_branch_enable(&latency_key);
	err = register_trace_vmbus_chan_sched(on_interrupt, NULL);
	if (err)
		goto disable;
	err = register_trace_vmbus_on_event(on_tasklet, NULL);
	if (err)
		goto unregister;
	latency_on = true;
	return 0;

unregister:
	unregister_trace_vmbus_chan_sched(on_interrupt, NULL);
	tracepoint_synchronize_unregister();
disable:
	static_branch_disable(&latency_key);
	return err;
}

static void latency_end(void)
{
	lockdep_assert_held(&latency_mutex);
	if (!latency_on)
		return;
	unregister_trace_vmbus_on_event(on_tasklet, NULL);
	unregister_trace_vmbus_chan_sched(on_interrupt, NULL);
	tracepoint_synchronize_unregister();
	static_branch_disable(&latency_key);
	latency_on = false;
}

static int latency_get(void *unused, u64 *value)
{
	*value = READ_ONCE(latency_on);
	return 0;
}

static int latency_set(void *unused, u64 value)
{
	int err = 0;

	if (value > 1)
		return -EINVAL;
	mutex_lock(&latency_mutex);
	if (value)
		err = latency_begin();
	else
		latency_end();
	mutex_unlock(&latency_mutex);
	return err;
}

DEFINE_DEBUGFS_ATTRIBUTE(latency_fops, latency_get, latency_set, "%llu\n");

/* ---- start and stop ---- */

/**
 * vmbus_debugfs_init() - count anew, and show it
 *
 * Where there is no debugfs, or it fails, nothing is shown, and that is all.
 *
 * Context: process, sleeps; the bus is registered, no channel is there.
 */
void vmbus_debugfs_init(void)
{
	spin_lock(&log_lock);
	memset(&message_log, 0, sizeof(message_log));
	spin_unlock(&log_lock);
	latency_since = 0;
	/* There is one bus of that name, so there is one directory. */
	dir = debugfs_create_dir(vmbus_bus_type.name, NULL);
	debugfs_create_file("connection", 0400, dir, NULL, &connection_fops);
	debugfs_create_file("channels", 0400, dir, NULL, &channels_fops);
	debugfs_create_file("events", 0400, dir, NULL, &events_fops);
	debugfs_create_file("latency", 0600, dir, NULL, &latency_fops);
}

/**
 * vmbus_debugfs_exit() - nothing is shown or measured any more
 *
 * Context: process, sleeps until those who read at this moment have what they read.
 */
void vmbus_debugfs_exit(void)
{
	debugfs_remove(dir);
	dir = NULL;
	mutex_lock(&latency_mutex);
	latency_end();
	mutex_unlock(&latency_mutex);
}
