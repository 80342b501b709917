// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's end of AF_VSOCK. A guest that connects to a port of ours gets a
 * channel; so does a guest that listens, if a test asks for it.
 *
 *   port  name     what this end does
 *   1     echo     sends back what it gets; after the guest's FIN its own
 *   2     sink     checks the pattern of what it gets; after the guest's FIN
 *                  two u64: bytes, wrong bytes; then its own FIN
 *   3     source   gets a u64, sends so many bytes of the pattern, its FIN, and
 *                  goes on as a sink that says nothing
 *   4     abrupt   gets a u64, sends so many bytes of the pattern, and takes the
 *                  channel away without a FIN
 *   5     (refused with TL_CONNECT_RESULT, as any other port)
 *   6     (no answer at all)
 *
 * Byte N of a pattern is (N * 7 + N / 251) % 256.
 *
 * Actions: requests and signals in the host's thread; the reaper, a work item;
 * files. All with the model locked, which protects everything here.
 * References: a socket belongs to its channel from the offer to the rescind,
 * which only the reaper does; the channel outlives it.
 *
 * Files in debugfs:
 *   connect	write "PORT SERVICE": to a guest that listens, SERVICE by name
 *   drop	write anything: all channels are taken away at once
 *   sockets	counters, see sockets_show()
 *   patience	ms until a channel that the guest does not open is taken back
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "loop.h"
#include "sim_host.h"

/* Of one packet to the guest; hv_sock takes 16 KiB at most. */
#define CHUNK		SZ_16K
/* Of one packet from the guest, with all headers. */
#define MAX_PACKET	SZ_64K
/* How often the reaper looks, and how long it waits for a guest that does nothing. */
#define REAP_MS		10
#define LINGER_MS	2000
#define BLOCKED_MS	10000

#define PIPE_DATA	1

enum service { ECHO = 1, SINK, SOURCE, ABRUPT, REFUSED, SILENT };

static const char * const names[] = {
	[0] = "", [ECHO] = "echo", [SINK] = "sink", [SOURCE] = "source", [ABRUPT] = "abrupt",
};

struct pipe_header {
	u32 type;
	u32 size;
};

struct socket {
	struct list_head node;
	struct sim_chan *chan;
	enum service service;
	bool fin_in, fin_out;
	bool abort;		/* the reaper takes it away at once */
	unsigned long deadline;	/* jiffies; of what it waits for */
	u64 received, wrong;
	u64 asked;		/* source: bytes to send in all */
	u64 sent;
	bool told;		/* sink: the counts are in the buffer */
	u32 at, waiting;	/* of the buffer: not sent yet */
	u8 buffer[MAX_PACKET];
};

static LIST_HEAD(sockets);
/* As real hosts. A guest on a busy machine has taken more than 5 s to open one. */
static u32 patience_ms = 30000;
static struct {
	u32 requests, refused, unanswered, from_host;
	u32 opened, unopened, rescinded, wrong_bytes;
} count;

static void reap(struct work_struct *work);
static DECLARE_DELAYED_WORK(reaper, reap);

static u8 pattern(u64 n)
{
	return n * 7 + n / 251;
}

static bool in_time(const struct socket *socket)
{
	return time_before(jiffies, socket->deadline);
}

static void set_deadline(struct socket *socket, unsigned int ms)
{
	socket->deadline = jiffies + msecs_to_jiffies(ms);
}

/* ---- to the guest ---- */

static struct {
	struct pipe_header header;
	u8 data[CHUNK];
} __aligned(8) out;

/* Return: sent; else the guest signals when there is room. */
static bool send(struct socket *socket, u32 len)
{
	out.header.type = PIPE_DATA;
	out.header.size = len;
	if (sim_write(socket->chan, SIM_PKT_INBAND, 0, 0, &out, sizeof(out.header) + len)) {
		set_deadline(socket, BLOCKED_MS);
		return false;
	}
	socket->sent += len;
	return true;
}

static bool send_buffer(struct socket *socket)
{
	u32 len;

	while (socket->waiting) {
		len = min_t(u32, socket->waiting, 1 + sim_random(CHUNK));
		memcpy(out.data, socket->buffer + socket->at, len);
		if (!send(socket, len))
			return false;
		socket->at += len;
		socket->waiting -= len;
	}
	return true;
}

static bool send_pattern(struct socket *socket)
{
	u32 len, i;

	while (socket->sent < socket->asked) {
		len = min_t(u64, socket->asked - socket->sent, 1 + sim_random(CHUNK));
		for (i = 0; i < len; i++)
			out.data[i] = pattern(socket->sent + i);
		if (!send(socket, len))
			return false;
	}
	return true;
}

static void tell_counts(struct socket *socket)
{
	u64 counts[2] = { socket->received, socket->wrong };

	memcpy(socket->buffer, counts, sizeof(counts));
	socket->at = 0;
	socket->waiting = sizeof(counts);
	socket->told = true;
}

static bool has_said_all(const struct socket *socket)
{
	switch (socket->service) {
	case SOURCE:
		return socket->asked;
	case SINK:
		return socket->told;
	case ECHO:
		return socket->fin_in;
	default:
		return false;
	}
}

/* What this end owes. Return: nothing any more. */
static bool send_all(struct socket *socket)
{
	if (socket->service == SINK && socket->fin_in && !socket->told)
		tell_counts(socket);
	if (!send_buffer(socket) || !send_pattern(socket))
		return false;
	if (socket->service == ABRUPT && socket->asked)
		socket->abort = true;
	if (has_said_all(socket) && !socket->fin_out) {
		if (!send(socket, 0))
			return false;
		socket->fin_out = true;
	}
	return true;
}

/* ---- from the guest ---- */

static u8 in[MAX_PACKET] __aligned(8);

static void check_pattern(struct socket *socket, const u8 *data, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		socket->wrong += data[i] != pattern(socket->received + i);
}

static void take(struct socket *socket, const u8 *data, u32 len)
{
	switch (socket->service) {
	case ECHO:
		memcpy(socket->buffer, data, len);
		socket->at = 0;
		socket->waiting = len;
		break;
	case SOURCE:
	case ABRUPT:
		if (!socket->asked && len >= sizeof(u64)) {
			memcpy(&socket->asked, data, sizeof(u64));
			return;
		}
		fallthrough;
	default:
		check_pattern(socket, data, len);
	}
	socket->received += len;
}

/* Return: there was a packet. */
static bool receive(struct socket *socket)
{
	const struct sim_packet_header *packet = (const void *)in;
	const struct pipe_header *pipe;
	int len = sim_read(socket->chan, in, sizeof(in));

	if (len <= 0) {
		socket->abort |= len < 0;
		return false;
	}
	pipe = (const void *)(in + packet->offset8 * 8);
	len -= packet->offset8 * 8 + sizeof(*pipe);
	if (packet->type != SIM_PKT_INBAND || packet->flags || len < 0 ||
	    pipe->type != PIPE_DATA || pipe->size > len || pipe->size + 8 <= len ||
	    socket->fin_in) {
		vsc_violation("relid %u: type %u flags %u, %d bytes, pipe type %u size %u%s",
			      socket->chan->relid, packet->type, packet->flags, len, pipe->type,
			      pipe->size, socket->fin_in ? ", after FIN" : "");
		socket->abort = true;
		return false;
	}
	if (pipe->size)
		take(socket, (const u8 *)(pipe + 1), pipe->size);
	else
		socket->fin_in = true;
	return true;
}

/* ---- the VSP ---- */

static void opened(struct sim_chan *chan)
{
	count.opened++;
}

static void signalled(struct sim_chan *chan)
{
	struct socket *socket = chan->user;
	bool said;

	if (!socket || socket->abort)
		return;
	do {
		WRITE_ONCE(chan->in.header->interrupt_mask, 1);
		while ((said = send_all(socket)) && receive(socket))
			;
		WRITE_ONCE(chan->in.header->interrupt_mask, 0);
		/* Pairs with the guest's barrier between its index and the mask. */
		smp_mb();
	} while (said && !socket->abort && sim_readable(chan));
	if (socket->fin_in && socket->fin_out)
		set_deadline(socket, LINGER_MS);
	mod_delayed_work(system_wq, &reaper, 0);
}

/* The guest closed it before the host took it away, or the host did. */
static void closed(struct sim_chan *chan)
{
	struct socket *socket = chan->user;

	if (socket)
		socket->abort = true;
}

static const struct sim_vsp vsp = { .opened = opened, .signalled = signalled, .closed = closed };

/* ---- ends ---- */

static bool guest_has_read_all(const struct socket *socket)
{
	return READ_ONCE(socket->chan->out.header->out) == socket->chan->out.pos;
}

static bool is_over(const struct socket *socket)
{
	if (socket->abort)
		return true;
	if (!socket->chan->open)
		return !in_time(socket);
	/* As long as the guest has something to read the channel stays, but not for ever. */
	if (socket->fin_in && socket->fin_out)
		return guest_has_read_all(socket) || !in_time(socket);
	return !guest_has_read_all(socket) && !in_time(socket) &&
	       (socket->waiting || socket->sent < socket->asked);
}

static void end(struct socket *socket)
{
	struct sim_chan *chan = socket->chan;

	count.rescinded++;
	count.unopened += !chan->opens;
	count.wrong_bytes += socket->wrong;
	chan->user = NULL;
	list_del(&socket->node);
	kvfree(socket);
	sim_rescind_locked(chan);
}

static void reap(struct work_struct *work)
{
	struct socket *socket, *next;

	sim_lock();
	list_for_each_entry_safe(socket, next, &sockets, node)
		if (is_over(socket))
			end(socket);
	if (!list_empty(&sockets))
		schedule_delayed_work(&reaper, msecs_to_jiffies(REAP_MS));
	sim_unlock();
}

/* ---- beginnings ---- */

/* GUIDs of ports: the port, and what all have in common. */
static const guid_t port_template = GUID_INIT(0, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a,
					      0x79, 0x86, 0xd3);

static guid_t port_guid(u32 port)
{
	guid_t guid = port_template;

	memcpy(&guid, &port, sizeof(port));
	return guid;
}

static bool guid_port(const guid_t *guid, u32 *port)
{
	guid_t same;

	memcpy(port, guid, sizeof(*port));
	same = port_guid(*port);
	return guid_equal(guid, &same);
}

static void begin(const guid_t *type, const guid_t *instance, bool from_host,
		  enum service service)
{
	struct socket *socket = kvzalloc(sizeof(*socket), GFP_KERNEL | __GFP_NOFAIL);

	socket->service = service;
	socket->chan = sim_new_socket_locked(type, instance, &vsp);
	socket->chan->from_host = from_host;
	socket->chan->user = socket;
	set_deadline(socket, patience_ms);
	list_add_tail(&socket->node, &sockets);
	sim_offer_locked(socket->chan);
	schedule_delayed_work(&reaper, msecs_to_jiffies(REAP_MS));
}

static bool connect_request(const guid_t *endpoint, const guid_t *service)
{
	u32 from, to = REFUSED;

	count.requests++;
	if (!guid_port(endpoint, &from) || !guid_port(service, &to))
		vsc_violation("connect of %pUl to %pUl: no ports", endpoint, service);
	if (to >= ECHO && to <= ABRUPT) {
		begin(service, endpoint, false, to);
		return true;
	}
	count.unanswered += to == SILENT;
	count.refused += to != SILENT;
	return to == SILENT;
}

static int connect(const char *line)
{
	guid_t type, instance;
	char name[16];
	int service;
	u32 port;

	if (sscanf(line, "%u %15s", &port, name) != 2)
		return -EINVAL;
	service = match_string(names, ARRAY_SIZE(names), name);
	if (service < ECHO)
		return -EINVAL;
	type = port_guid(port);
	guid_gen(&instance);
	sim_lock();
	count.from_host++;
	begin(&type, &instance, true, service);
	sim_unlock();
	return 0;
}

LOOP_COMMAND(connect);

static int drop(const char *line)
{
	struct socket *socket;

	sim_lock();
	list_for_each_entry(socket, &sockets, node)
		socket->abort = true;
	sim_unlock();
	mod_delayed_work(system_wq, &reaper, 0);
	return 0;
}

LOOP_COMMAND(drop);

/* ---- life, files ---- */

void loop_sockets_start(void)
{
	sim_on_connect(connect_request);
}

void loop_sockets_stop(void)
{
	struct socket *socket, *next;

	sim_on_connect(NULL);
	cancel_delayed_work_sync(&reaper);
	sim_lock();
	list_for_each_entry_safe(socket, next, &sockets, node)
		end(socket);
	sim_unlock();
}

static int sockets_show(struct seq_file *file, void *unused)
{
	const struct socket *socket;
	u32 now = 0;

	sim_lock();
	list_for_each_entry(socket, &sockets, node)
		now++;
	seq_printf(file, "requests %u\nrefused %u\nunanswered %u\nfrom_host %u\n", count.requests,
		   count.refused, count.unanswered, count.from_host);
	seq_printf(file, "opened %u\nunopened %u\nrescinded %u\nwrong_bytes %u\nnow %u\n",
		   count.opened, count.unopened, count.rescinded, count.wrong_bytes, now);
	sim_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sockets);

void loop_sockets_files(struct dentry *dir)
{
	debugfs_create_file("connect", 0200, dir, NULL, &connect_fops);
	debugfs_create_file("drop", 0200, dir, NULL, &drop_fops);
	debugfs_create_file("sockets", 0400, dir, NULL, &sockets_fops);
	debugfs_create_u32("patience", 0600, dir, &patience_ms);
}
