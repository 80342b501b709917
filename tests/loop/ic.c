// SPDX-License-Identifier: GPL-2.0-only
/*
 * The integration services (ICs) as far as the stock hv_utils goes: heartbeat,
 * shutdown, time synchronisation, key-value pairs (KVP).
 *
 * All have one frame, and the host begins: when its channel is open it sends the
 * versions of the frame and of the service that it speaks; the guest picks one of
 * each, or says that there is none for it. Then come requests, one at a time,
 * each with a transaction id, which the guest sends back with a status.
 * Sources: icmsg_hdr and what follows it in <linux/hyperv.h>, hv_kvp_msg in
 * <uapi/linux/hyperv.h>, the published names of the services' messages.
 *
 * Actions: the guest's answers in the host's thread; the beat, a work item;
 * files. All with the model locked, which protects everything here.
 * References: each service has one channel, which is kept by the host from the
 * first offer on, rescinded or not.
 *
 * Files in debugfs:
 *   ics	a line for each that was offered: name, state, versions of frame and
 *		service, requests, answers, beats left out since no answer had come,
 *		status of the last answer
 *   beat	ms between heartbeats (1000); 0: none
 *   shutdown	"shutdown", "restart" or "hibernate", and " force" or not
 *   timesync	"sync" or "sample": this machine's own time
 *   kvp	a number: the guest's daemon is asked for its value of that index
 */
#include <linux/build_bug.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "loop.h"
#include "sim_host.h"

static bool ics;
module_param(ics, bool, 0444);
MODULE_PARM_DESC(ics, "Offer heartbeat, shutdown, timesync and kvp");

#define MAX_PACKET	SZ_4K
#define V(major, minor)	((major) | (minor) << 16)
#define MAX_VERSIONS	4

/* Of a message. */
enum { NEGOTIATE = 0, HEARTBEAT = 1, KVP = 2, SHUTDOWN = 3, TIMESYNC = 4 };
#define TRANSACTION	BIT(0)
#define REQUEST		BIT(1)
#define RESPONSE	BIT(2)

struct frame {
	u32 pipe_flags;
	u32 pipe_size;		/* of what follows it */
	u32 frame_version;	/* major in the lower half */
	u16 type;
	u32 version;
	u16 size;		/* of what follows the frame */
	u32 status;
	u8 transaction;
	u8 flags;
	u8 reserved[2];
} __packed;

#define PIPE_SIZE	8

static_assert(sizeof(struct frame) == PIPE_SIZE + 20);
static_assert(offsetof(struct frame, status) == PIPE_SIZE + 12);

struct negotiation {
	u16 frames;
	u16 services;
	u32 reserved;
	u32 versions[1 + MAX_VERSIONS + 2];
} __packed;

static_assert(offsetof(struct negotiation, versions) == 8);

struct beat {
	u64 number;
	u32 reserved[8];
} __packed;

struct shutdown {
	u32 reason;
	u32 timeout_seconds;
	u32 flags;		/* bit 0: force; 0 off, 2 restart, 4 hibernate */
	u8 message[2048];
} __packed;

static_assert(sizeof(struct shutdown) == 2060);

/* Up to version 3 of the service, and from 4 on; times in 100 ns, the first since 1601. */
struct time_v3 {
	u64 host;
	u64 guest;
	u64 round_trip;
	u8 flags;
} __packed;

struct time_v4 {
	u64 host;
	u64 reference;
	u8 flags;
	u8 leap;
	u8 stratum;
	u8 reserved[3];
} __packed;

static_assert(sizeof(struct time_v3) == 25);
static_assert(sizeof(struct time_v4) == 22);

#define TIME_SYNC	1
#define TIME_SAMPLE	2
#define SINCE_1601	116444736000000000ULL

struct kvp {
	u8 operation;		/* 3: of an index */
	u8 pool;		/* 3: the guest's own values */
	u16 padding;
	u32 index;
	u32 value_type;
	u32 key_size;
	u32 value_size;
	u8 key[512];
	u8 value[2048];
} __packed;

static_assert(sizeof(struct kvp) == 2580);

#define KVP_ENUMERATE	3
#define KVP_POOL_AUTO	3

enum state { CLOSED, NEGOTIATING, READY, REFUSED };

static const char * const state_names[] = {
	[CLOSED] = "closed", [NEGOTIATING] = "negotiating", [READY] = "ready",
	[REFUSED] = "refused",
};

struct service {
	const char *name;
	const struct hv_vmbus_device_id id;
	u16 type;
	u32 versions[MAX_VERSIONS];
	int (*offer)(void);
	struct sim_chan *chan;
	enum state state;
	bool waits;		/* for the answer to the last request */
	u16 asked;		/* its type */
	u8 transaction;
	u32 frame_version, version;
	u32 requests, answers, late;
	u32 status;
};

enum { HEART, OFF, CLOCK, VALUES, NR_SERVICES };

static struct service services[NR_SERVICES];

static const u32 frame_versions[] = { V(1, 0), V(3, 0) };

static struct {
	struct frame frame;
	union {
		struct negotiation negotiation;
		struct beat beat;
		struct shutdown shutdown;
		struct time_v3 time_v3;
		struct time_v4 time_v4;
		struct kvp kvp;
		u8 bytes[MAX_PACKET - sizeof(struct frame)];
	};
} in __aligned(8), out __aligned(8);

static u64 beat_number;
static u32 beat_ms = 1000;

static void beat(struct work_struct *work);
static DECLARE_DELAYED_WORK(heart, beat);

/* ---- requests ---- */

static void begin(void)
{
	memset(&out, 0, sizeof(out));
}

/* What stands in out, @size bytes behind the frame. Return: 0, -ENOTCONN, -EBUSY. */
static int ask(struct service *service, u16 type, u16 size)
{
	int err;

	if (type == NEGOTIATE ? service->state != NEGOTIATING : service->state != READY)
		return -ENOTCONN;
	if (service->waits)
		return -EBUSY;
	out.frame.pipe_flags = 1;
	out.frame.pipe_size = sizeof(struct frame) - PIPE_SIZE + size;
	out.frame.frame_version = service->frame_version;
	out.frame.type = type;
	out.frame.version = service->version;
	out.frame.size = size;
	out.frame.transaction = service->transaction + 1;
	out.frame.flags = TRANSACTION | REQUEST;
	err = sim_write(service->chan, SIM_PKT_INBAND, 0, service->requests + 1, &out,
			sizeof(struct frame) + size);
	if (err)
		return -EBUSY;
	service->transaction++;
	service->requests++;
	service->waits = true;
	service->asked = type;
	return 0;
}

static void negotiate(struct service *service)
{
	struct negotiation *text = &out.negotiation;
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(frame_versions); i++)
		text->versions[text->frames++] = frame_versions[i];
	for (i = 0; i < MAX_VERSIONS && service->versions[i]; i++)
		text->versions[text->frames + text->services++] = service->versions[i];
	ask(service, NEGOTIATE, offsetof(struct negotiation, versions) +
				(text->frames + text->services) * sizeof(u32));
}

/* ---- answers ---- */

static bool among(u32 version, const u32 *versions, unsigned int count)
{
	while (count--)
		if (version && versions[count] == version)
			return true;
	return false;
}

static void take_negotiation(struct service *service, u32 size)
{
	const struct negotiation *text = &in.negotiation;

	if (size < offsetof(struct negotiation, versions) + 2 * sizeof(u32)) {
		vsc_violation("%s: negotiation of %u bytes", service->name, size);
		return;
	}
	if (!text->frames || !text->services) {
		service->state = REFUSED;
		return;
	}
	if (text->frames != 1 || text->services != 1 ||
	    !among(text->versions[0], frame_versions, ARRAY_SIZE(frame_versions)) ||
	    !among(text->versions[1], service->versions, MAX_VERSIONS)) {
		vsc_violation("%s: %u and %u versions, 0x%x, 0x%x", service->name, text->frames,
			      text->services, text->versions[0], text->versions[1]);
		return;
	}
	service->frame_version = text->versions[0];
	service->version = text->versions[1];
	service->state = READY;
}

static void take_beat(u32 size)
{
	if (size < sizeof(struct beat) || in.beat.number != beat_number + 1)
		vsc_violation("heartbeat %llu of %u bytes is answered by %llu", beat_number, size,
			      in.beat.number);
}

static void take(struct service *service, const struct sim_packet_header *packet, u32 len)
{
	const struct frame *frame = &in.frame;

	if (packet->type != SIM_PKT_INBAND || packet->flags || len < sizeof(*frame) ||
	    frame->pipe_size < sizeof(*frame) - PIPE_SIZE || frame->pipe_size > len - PIPE_SIZE ||
	    frame->size > len - sizeof(*frame)) {
		vsc_violation("%s: packet type %u flags %u, %u bytes, %u in the pipe, %u in frame",
			      service->name, packet->type, packet->flags, len, frame->pipe_size,
			      frame->size);
		return;
	}
	if (!service->waits || frame->type != service->asked ||
	    packet->trans_id != service->requests ||
	    frame->transaction != service->transaction ||
	    frame->flags != (TRANSACTION | RESPONSE)) {
		vsc_violation("%s: answer %u, transaction %u, flags %u, to %u, transaction %u%s",
			      service->name, frame->type, frame->transaction, frame->flags,
			      service->asked, service->transaction,
			      service->waits ? "" : ", which had its answer");
		return;
	}
	service->waits = false;
	service->answers++;
	service->status = frame->status;
	if (frame->type == NEGOTIATE)
		take_negotiation(service, len - sizeof(*frame));
	else if (frame->type == HEARTBEAT)
		take_beat(len - sizeof(*frame));
}

/* ---- the VSP ---- */

static void opened(struct sim_chan *chan)
{
	struct service *service = chan->user;

	service->state = NEGOTIATING;
	service->waits = false;
	service->frame_version = 0;
	service->version = 0;
	negotiate(service);
}

static void signalled(struct sim_chan *chan)
{
	static u8 packet[MAX_PACKET + sizeof(struct sim_packet_header)] __aligned(8);
	const struct sim_packet_header *header = (const void *)packet;
	struct service *service = chan->user;
	int len;

	while ((len = sim_read(chan, packet, sizeof(packet))) > 0) {
		len -= header->offset8 * 8;
		memset(&in, 0, sizeof(in));
		memcpy(&in, packet + header->offset8 * 8, min_t(u32, len, sizeof(in)));
		take(service, header, len);
	}
	if (len == -EMSGSIZE)
		vsc_violation("%s: a packet of more than %zu bytes", service->name, sizeof(packet));
	if (service->state == NEGOTIATING && !service->waits)
		negotiate(service);	/* its ring stood still when it was opened */
}

static void closed(struct sim_chan *chan)
{
	struct service *service = chan->user;

	service->state = CLOSED;
	service->waits = false;
}

static const struct sim_vsp vsp = { .opened = opened, .signalled = signalled, .closed = closed };

/* ---- services ---- */

static int offer(struct service *service)
{
	int err = 0;

	if (!service->chan) {
		service->chan = sim_new(NULL, 0, &service->id.guid, &vsp);
		service->chan->user = service;
		service->chan->kept = true;
		sim_offer(service->chan);
		return 0;
	}
	sim_lock();
	if (service->chan->released)
		sim_reoffer_locked(service->chan);
	else
		err = service->chan->rescinded ? -EBUSY : -EEXIST;
	sim_unlock();
	return err;
}

static int offer_heartbeat(void)
{
	return offer(&services[HEART]);
}

static int offer_shutdown(void)
{
	return offer(&services[OFF]);
}

static int offer_timesync(void)
{
	return offer(&services[CLOCK]);
}

static int offer_kvp(void)
{
	return offer(&services[VALUES]);
}

static struct service services[NR_SERVICES] = {
	{ "heartbeat", { HV_HEART_BEAT_GUID }, HEARTBEAT, { V(1, 0), V(3, 0) }, offer_heartbeat },
	{ "shutdown", { HV_SHUTDOWN_GUID }, SHUTDOWN, { V(1, 0), V(3, 0), V(3, 1), V(3, 2) },
	  offer_shutdown },
	{ "timesync", { HV_TS_GUID }, TIMESYNC, { V(1, 0), V(3, 0), V(4, 0) }, offer_timesync },
	{ "kvp", { HV_KVP_GUID }, KVP, { V(3, 0), V(4, 0) }, offer_kvp },
};

static void beat(struct work_struct *work)
{
	struct service *service = &services[HEART];
	u32 ms = READ_ONCE(beat_ms);

	sim_lock();
	if (ms && service->state == READY && !sim_is_silent()) {
		if (service->waits) {
			service->late++;
		} else {
			begin();
			out.beat.number = beat_number + 1;
			if (!ask(service, HEARTBEAT, sizeof(struct beat)))
				beat_number++;
		}
	}
	sim_unlock();
	schedule_delayed_work(&heart, msecs_to_jiffies(ms ?: 1000));
}

static int go_off(const char *line)
{
	static const char * const what[] = { "shutdown", "restart", "hibernate" };
	static const char * const forced[] = {
		"shutdown force", "restart force", "hibernate force",
	};
	int flags = match_string(what, ARRAY_SIZE(what), line), err;

	if (flags >= 0)
		flags *= 2;
	else
		flags = match_string(forced, ARRAY_SIZE(forced), line) * 2 + 1;
	if (flags < 0)
		return -EINVAL;
	sim_lock();
	begin();
	out.shutdown.flags = flags;
	err = ask(&services[OFF], SHUTDOWN, sizeof(struct shutdown));
	sim_unlock();
	return err;
}

LOOP_COMMAND(go_off);

static int timesync(const char *line)
{
	struct service *service = &services[CLOCK];
	u64 now = div_u64(ktime_get_real_ns(), 100) + SINCE_1601;
	u8 flags;
	int err;

	if (!strcmp(line, "sync"))
		flags = TIME_SYNC;
	else if (!strcmp(line, "sample"))
		flags = TIME_SAMPLE;
	else
		return -EINVAL;
	sim_lock();
	begin();
	if (service->version == V(4, 0)) {
		out.time_v4.host = now;
		out.time_v4.flags = flags;
		err = ask(service, TIMESYNC, sizeof(out.time_v4));
	} else {
		out.time_v3.host = now;
		out.time_v3.flags = flags;
		err = ask(service, TIMESYNC, sizeof(out.time_v3));
	}
	sim_unlock();
	return err;
}

LOOP_COMMAND(timesync);

static int kvp(const char *line)
{
	u32 index;
	int err;

	err = kstrtou32(line, 0, &index);
	if (err)
		return err;
	sim_lock();
	begin();
	out.kvp.operation = KVP_ENUMERATE;
	out.kvp.pool = KVP_POOL_AUTO;
	out.kvp.index = index;
	err = ask(&services[VALUES], KVP, sizeof(struct kvp));
	sim_unlock();
	return err;
}

LOOP_COMMAND(kvp);

/* ---- life, files ---- */

void loop_ic_start(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(services); i++) {
		loop_set_vsp(services[i].name, services[i].offer);
		if (ics)
			services[i].offer();
	}
	schedule_delayed_work(&heart, 0);
}

void loop_ic_stop(void)
{
	cancel_delayed_work_sync(&heart);
}

static int ics_show(struct seq_file *file, void *unused)
{
	const struct service *service;
	unsigned int i;

	sim_lock();
	for (i = 0; i < ARRAY_SIZE(services); i++) {
		service = &services[i];
		if (service->chan)
			seq_printf(file, "%s %s %u.%u %u.%u %u %u %u 0x%x\n", service->name,
				   state_names[service->state], service->frame_version & 0xffff,
				   service->frame_version >> 16, service->version & 0xffff,
				   service->version >> 16, service->requests, service->answers,
				   service->late, service->status);
	}
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ics);

void loop_ic_files(struct dentry *dir)
{
	debugfs_create_file("ics", 0400, dir, NULL, &ics_fops);
	debugfs_create_u32("beat", 0600, dir, &beat_ms);
	debugfs_create_file("shutdown", 0200, dir, NULL, &go_off_fops);
	debugfs_create_file("timesync", 0200, dir, NULL, &timesync_fops);
	debugfs_create_file("kvp", 0200, dir, NULL, &kvp_fops);
}
