// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_storm: many lives of 64 channels at once, while CPUs come and go.
 *
 * A round begins with an opening and ends when the VSC closes the channel or the
 * host rescinds it. Many channels live only once for it: offered, added, opened,
 * used, rescinded at any moment, relid released, offered again. Actions:
 *
 * - the storm's host offers and rescinds, from a thread and from hooks in the
 *   middle of what the guest asks for;
 * - a driver opens its devices in probe(), sub-channels as they come, and closes
 *   them in remove(); channels of devices without a driver are opened directly;
 * - workers send and await echoes, close and reopen, retarget, share buffers;
 * - one thread takes CPUs off line and on line, whose channels the driver moves,
 *   one reads and writes sysfs, one reads debugfs, and measures callbacks or not.
 *
 * Locks: storm_chan.lock covers all use of a channel by the VSC's side. It nests
 * in the driver's sc_mutex, and whatever vmbus_open() takes nests in it.
 */
#include <linux/cpu.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "files.h"
#include "sim_host.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define CHANNELS	64
#define BARE		16	/* of them without a driver */
#define WORKERS		4
#define PATIENCE_S	240	/* for the rounds of a case */

static unsigned int storm_rounds = 4000;
module_param(storm_rounds, uint, 0444);
MODULE_PARM_DESC(storm_rounds, "Rounds of the storm, in all");

/* What was done, so that a storm that does nothing is found out. */
enum count {
	OPENS,
	BARE_OPENS,
	SUB_OPENS,
	ECHOES,
	PUSHED,
	GPADLS,
	RETARGETS,
	CPUS,
	READS,
	WRITES,
	DEBUGFS,
	RESCINDS_OFFERED,
	RESCINDS_OPENING,
	RESCINDS_OPEN,
	RESCINDS_CLOSING,
	NR_COUNTS,
};

static const char * const count_names[NR_COUNTS] = {
	[OPENS] = "opens", [BARE_OPENS] = "opens without a driver",
	[SUB_OPENS] = "sub-channels", [ECHOES] = "echoes", [PUSHED] = "pushed",
	[GPADLS] = "gpadls", [RETARGETS] = "retargets", [CPUS] = "cpus",
	[READS] = "sysfs reads", [WRITES] = "sysfs writes",
	[DEBUGFS] = "debugfs reads",
	[RESCINDS_OFFERED] = "rescinds offered", [RESCINDS_OPENING] = "opening",
	[RESCINDS_OPEN] = "open", [RESCINDS_CLOSING] = "closing",
};

/**
 * struct storm_case - a storm
 * @name: of the case
 * @version: protocol
 * @type: of the devices with a driver
 * @subs: sub-channels of each of them
 */
struct storm_case {
	const char *name;
	u32 version;
	const guid_t *type;
	unsigned int subs;
};

/**
 * struct storm_chan - one of the channels, from both sides
 * @host: the host's; its relid is the index of this + 1
 * @primary: of a sub-channel, else NULL
 * @bare: its device has no driver
 * @lock: all below and what is done to @ch
 * @ch: referenced; NULL if the VSC has none
 * @open: vmbus_open() worked
 * @sent: packets since it was opened
 * @reading: the callback: in interrupts, the CPU that a channel leaves may still
 *	be at it when the new one begins, and a ring has one reader
 * @received: echoes of them; written by the callback alone
 * @buffer: of the callback
 */
struct storm_chan {
	struct sim_chan *host;
	struct storm_chan *primary;
	bool bare;
	struct mutex lock;	/* what the VSC's side does */
	struct vmbus_channel *ch;
	bool open;
	u64 sent;
	spinlock_t reading;	/* the inbound ring */
	u64 received;
	u64 buffer[64];
};

static struct storm_chan chans[CHANNELS];
static const struct storm_case *storm;
static atomic_t counts[NR_COUNTS];
static atomic_t bad;

static void expected(bool fine, const char *what, int err)
{
	if (fine)
		return;
	if (atomic_inc_return(&bad) < 20)
		pr_err("storm: %s: %d\n", what, err);
}

static struct storm_chan *of_channel(const struct vmbus_channel *ch)
{
	return &chans[ch->offermsg.child_relid - 1];
}

/* ---- the VSC ---- */

static void callback(void *context)
{
	struct storm_chan *sc = context;
	unsigned long flags;
	u64 id;
	u32 len;
	int err;

	spin_lock_irqsave(&sc->reading, flags);
	for (;;) {
		err = vmbus_recvpacket(sc->ch, sc->buffer, sizeof(sc->buffer), &len, &id);
		expected(!err, "receive", err);
		if (err || !len)
			break;
		if (sc->bare) {
			atomic_inc(&counts[PUSHED]);
			continue;
		}
		expected(sc->buffer[0] == sc->received && id == sc->received, "echo", len);
		WRITE_ONCE(sc->received, sc->received + 1);
		atomic_inc(&counts[ECHOES]);
	}
	spin_unlock_irqrestore(&sc->reading, flags);
}

/* Errors of talking to a host that may rescind at any moment. */
static bool may_fail(int err)
{
	return err == -ENODEV || err == -EDQUOT;
}

static int open_chan(struct storm_chan *sc, enum count count)
{
	static const enum hv_callback_mode modes[] = {
		HV_CALL_BATCHED, HV_CALL_DIRECT, HV_CALL_ISR,
	};
	u32 send = (2 + sim_random(6)) * PAGE_SIZE, receive = (2 + sim_random(6)) * PAGE_SIZE;
	int err;

	lockdep_assert_held(&sc->lock);
	/* Open, which only a channel without a driver can be, it keeps what it has. */
	if (READ_ONCE(sc->ch->state) == CHANNEL_OPEN_STATE) {
		sc->ch->callback_mode = modes[sim_random(ARRAY_SIZE(modes))];
		sc->sent = 0;
		sc->received = 0;
	}
	err = vmbus_open(sc->ch, send, receive, NULL, 0, callback, sc);
	expected(!err || may_fail(err), "open", err);
	sc->open = !err;
	if (!err)
		atomic_inc(&counts[count]);
	return err;
}

static void close_chan(struct storm_chan *sc)
{
	int err;

	lockdep_assert_held(&sc->lock);
	if (sim_random(2)) {
		vmbus_close(sc->ch);
	} else {
		err = vmbus_disconnect_ring(sc->ch);
		/* Closed already: a sub-channel with its primary. */
		expected(!err || err == -EINVAL, "close", err);
		vmbus_free_ring(sc->ch);
	}
	sc->open = false;
}

/* The VSC has a channel, which stays while it does. */
static void attach(struct storm_chan *sc, struct vmbus_channel *ch)
{
	lockdep_assert_held(&sc->lock);
	vmbus_chan_get(to_vmbus_chan(ch));
	sc->ch = ch;
}

static void detach(struct storm_chan *sc)
{
	lockdep_assert_held(&sc->lock);
	if (!sc->ch)
		return;
	close_chan(sc);
	vmbus_chan_put(to_vmbus_chan(sc->ch));
	sc->ch = NULL;
}

static void new_sub(struct vmbus_channel *ch)
{
	struct storm_chan *sc = of_channel(ch);

	mutex_lock(&sc->lock);
	/* Of its last life; the host has its relid back. */
	detach(sc);
	attach(sc, ch);
	if (open_chan(sc, SUB_OPENS))
		detach(sc);
	mutex_unlock(&sc->lock);
}

static int storm_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct storm_chan *sc = of_channel(dev->channel);
	int err;

	vmbus_set_sc_create_callback(dev->channel, new_sub);
	mutex_lock(&sc->lock);
	attach(sc, dev->channel);
	err = open_chan(sc, OPENS);
	if (err)
		detach(sc);
	mutex_unlock(&sc->lock);
	return err;
}

/* Returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL)) remove_now(struct hv_device *dev)
{
	struct storm_chan *sc = of_channel(dev->channel), *sub;

	vmbus_set_sc_create_callback(dev->channel, NULL);
	for (sub = chans; sub < chans + CHANNELS; sub++) {
		if (sub->primary != sc)
			continue;
		mutex_lock(&sub->lock);
		detach(sub);
		mutex_unlock(&sub->lock);
	}
	mutex_lock(&sc->lock);
	detach(sc);
	mutex_unlock(&sc->lock);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

static const struct hv_vmbus_device_id storm_ids[] = {
	{ HV_SCSI_GUID },
	{ HV_KBD_GUID },
	{ HV_HEART_BEAT_GUID },	/* sim_type_plain in an isolation VM */
	{ },
};

/* Known, so nobody wonders about it, also in isolation VMs, but without a driver. */
static const struct hv_vmbus_device_id bare_type = { HV_SHUTDOWN_GUID };

static struct hv_driver storm_driver = {
	.name = "vmbus_storm",
	.id_table = storm_ids,
	.probe = storm_probe,
	.remove = remove_now,
};

/* ---- its workers ---- */

static void talk(struct storm_chan *sc)
{
	unsigned int n = 1 + sim_random(8);
	u64 payload[32] = { };
	int err = 0;

	while (n-- && !err) {
		payload[0] = sc->sent;
		err = vmbus_sendpacket(sc->ch, payload, 8 + sim_random(sizeof(payload) - 8),
				       sc->sent, VM_PKT_DATA_INBAND, 0);
		if (!err)
			sc->sent++;
	}
	expected(!err || err == -EAGAIN || err == -ENODEV, "send", err);
	/* Who closes a primary closes its sub-channels, whoever talks there. */
	if (sim_wait(READ_ONCE(sc->received) == sc->sent || READ_ONCE(sc->ch->rescind) ||
		     READ_ONCE(sc->ch->state) != CHANNEL_OPENED_STATE))
		return;
	expected(false, "echoes missing", sc->sent - sc->received);
	pr_err("storm: relid %u, mode %d, CPU %u, %llu interrupts of %u, host read %llu, wrote %llu\n",
	       sc->host->relid, sc->ch->callback_mode, sc->ch->target_cpu, sc->ch->interrupts,
	       sc->host->interrupts, sc->host->packets_in, sc->host->packets_out);
}

static void retarget(struct storm_chan *sc, unsigned int cpu)
{
	int err = vmbus_channel_retarget(to_vmbus_chan(sc->ch), cpu);

	/* -EINVAL: off line; -EIO: old host, rescinded. */
	expected(!err || err == -EINVAL || err == -EIO, "retarget", err);
	expected(storm->version < SIM_V(4, 1) || err != -EIO || READ_ONCE(sc->ch->rescind) ||
		 READ_ONCE(sc->ch->state) != CHANNEL_OPENED_STATE, "retarget", err);
	if (!err)
		atomic_inc(&counts[RETARGETS]);
}

static void share(struct storm_chan *sc)
{
	u32 size = (1 + sim_random(60)) * PAGE_SIZE;
	void *buffer = vzalloc(size);
	struct vmbus_gpadl gpadl;
	int err;

	if (!buffer)
		return;
	err = vmbus_establish_gpadl(sc->ch, buffer, size, &gpadl);
	expected(!err || may_fail(err), "establish", err);
	if (!err) {
		atomic_inc(&counts[GPADLS]);
		err = vmbus_teardown_gpadl(sc->ch, &gpadl);
		expected(!err, "teardown", err);
	}
	expected(!gpadl.decrypted, "buffer", err);
	vfree(buffer);
}

static void use(struct storm_chan *sc)
{
	lockdep_assert_held(&sc->lock);
	switch (sim_random(8)) {
	case 0:
		retarget(sc, sim_random(nr_cpu_ids));
		return;
	case 1:
		share(sc);
		return;
	case 2:
	case 3:
	case 4:
		close_chan(sc);
		open_chan(sc, sc->primary ? SUB_OPENS : OPENS);
		return;
	default:
		talk(sc);
	}
}

/* A channel that belongs to nobody: its device's removal closes it, too. */
static void use_bare(struct storm_chan *sc)
{
	struct vmbus_chan *chan;

	lockdep_assert_held(&sc->lock);
	rcu_read_lock();
	chan = vmbus_relid_lookup(sc->host->relid);
	if (chan && !kref_get_unless_zero(&chan->ref))
		chan = NULL;
	rcu_read_unlock();
	if (!chan)
		return;
	sc->ch = &chan->ch;
	if (!open_chan(sc, BARE_OPENS)) {
		usleep_range(100, 2000);
		close_chan(sc);
	}
	sc->ch = NULL;
	vmbus_chan_put(chan);
}

static int worker(void *unused)
{
	struct storm_chan *sc;

	while (!kthread_should_stop()) {
		sc = &chans[sim_random(CHANNELS)];
		mutex_lock(&sc->lock);
		if (sc->bare)
			use_bare(sc);
		else if (sc->ch && sc->primary && READ_ONCE(sc->ch->rescind))
			detach(sc);
		else if (sc->ch && sc->open)
			use(sc);
		mutex_unlock(&sc->lock);
		usleep_range(500, 3000);
	}
	return 0;
}

/* ---- CPUs and sysfs ---- */

static int cpu_thread(void *unused)
{
	unsigned int cpu;
	int err;

	while (!kthread_should_stop()) {
		cpu = 1 + sim_random(nr_cpu_ids - 1);
		err = remove_cpu(cpu);
		/* Older hosts cannot move a channel, so that spread ones keep their CPUs. */
		expected(!err || (err == -EBUSY && storm->version < SIM_V(4, 1)), "remove_cpu",
			 err);
		if (!err) {
			msleep(sim_random(100));
			err = add_cpu(cpu);
			expected(!err, "add_cpu", err);
			atomic_inc(&counts[CPUS]);
		}
		msleep(300 + sim_random(300));
	}
	return 0;
}

/* One read or write of an attribute; the channel may be gone, closed, moving. */
static void touch(struct storm_chan *sc, const char *attribute, bool write)
{
	const struct storm_chan *primary = sc->primary ?: sc;
	char path[160], text[256];
	struct file *file;
	loff_t pos = 0;
	ssize_t len;

	if (strncmp(attribute, "channels/", 9))
		snprintf(path, sizeof(path), "/sys/bus/vmbus/devices/%pUl/%s",
			 &primary->host->instance, attribute);
	else
		snprintf(path, sizeof(path), "/sys/bus/vmbus/devices/%pUl/channels/%u/%s",
			 &primary->host->instance, sc->host->relid, attribute + 9);
	file = file_open(path, write ? O_WRONLY : O_RDONLY);
	if (IS_ERR(file)) {
		expected(PTR_ERR(file) == -ENOENT || PTR_ERR(file) == -ENODEV, path,
			 PTR_ERR(file));
		return;
	}
	if (write) {
		len = snprintf(text, sizeof(text), "%u", sim_random(nr_cpu_ids));
		len = kernel_write(file, text, len, &pos);
	} else {
		len = kernel_read(file, text, sizeof(text), &pos);
	}
	expected(len >= 0 || len == -EINVAL || len == -ENODEV || len == -EIO, attribute, len);
	if (len > 0)
		atomic_inc(&counts[write ? WRITES : READS]);
	filp_close(file, NULL);
}

static int sysfs_thread(void *unused)
{
	static const char * const attributes[] = {
		"state", "out_read_index", "in_write_bytes_avail", "channel_vp_mapping",
		"uevent", "channels/cpu", "channels/in_mask", "channels/read_avail",
		"channels/write_avail", "channels/interrupts", "channels/subchannel_id",
	};

	while (!kthread_should_stop()) {
		touch(&chans[sim_random(CHANNELS)],
		      attributes[sim_random(ARRAY_SIZE(attributes))], false);
		if (!sim_random(8))
			touch(&chans[sim_random(CHANNELS - BARE)], "channels/cpu", true);
		usleep_range(2000, 10000);
	}
	return 0;
}

#define DEBUGFS_DIR	"/sys/kernel/debug/vmbus/"
#define DEBUGFS_COPY	"/tmp/kunit_storm"
#define DEBUGFS_SIZE	SZ_128K

static int debugfs_thread(void *unused)
{
	char *text = vzalloc(DEBUGFS_SIZE);
	ssize_t len;
	int err;

	while (text && !kthread_should_stop()) {
		err = file_shell("for i in 1 2 3 4 5; do cat " DEBUGFS_DIR "* >" DEBUGFS_COPY
				 "; done");
		expected(!err, "cat", err);
		text[0] = '\n';
		len = file_read(DEBUGFS_COPY, text + 1, DEBUGFS_SIZE - 1);
		expected(len > 0 && strstr(text, "\nstate connected\n") &&
			 !file_has_address(text + 1), "debugfs", len);
		if (len > 0)
			atomic_add(5, &counts[DEBUGFS]);
		if (!sim_random(4)) {
			err = file_shell(sim_random(2) ? "echo 1 >" DEBUGFS_DIR "latency" :
							 "echo 0 >" DEBUGFS_DIR "latency");
			expected(!err, "latency", err);
		}
		usleep_range(2000, 20000);
	}
	vfree(text);
	return 0;
}

/* ---- the host ---- */

static void push(struct sim_chan *chan)
{
	chan->source_left = 1 + sim_random(20);
	chan->source_size = 8 + sim_random(200);
	sim_source.opened(chan);
}

static void push_more(struct sim_chan *chan)
{
	sim_source.signalled(chan);
}

/* Opened without a driver: nobody may send, but there is something to receive. */
static const struct sim_vsp storm_source = { .opened = push, .signalled = push_more };

/* What a rescind interrupts in the guest; the model is locked. */
static void rescind(struct sim_chan *chan)
{
	enum vmbus_chan_state state = VMBUS_CHAN_OFFERED;
	struct vmbus_chan *guest;

	if (!chan->offered || chan->rescinded)
		return;
	rcu_read_lock();
	guest = vmbus_relid_lookup(chan->relid);
	if (guest)
		state = READ_ONCE(guest->state);
	rcu_read_unlock();
	if (state <= VMBUS_CHAN_CLOSING)
		atomic_inc(&counts[RESCINDS_OFFERED + state]);
	sim_rescind_locked(chan);
}

/* In the middle of what the guest is about to do. */
static void maybe_rescind(struct sim_chan *chan, void *arg)
{
	if (!sim_random((unsigned long)arg))
		rescind(chan);
}

static void host_step(struct storm_chan *sc)
{
	struct sim_chan *chan = sc->host;
	bool ready, again = false;

	sim_lock();
	/* A device offers sub-channels when it is open. */
	ready = !sc->primary || sc->primary->host->open;
	if (chan->released)
		again = ready;
	else if (!chan->offered && ready)
		sim_offer_locked(chan);
	else if (!sim_random(chan->open ? 8 : 64))
		rescind(chan);
	sim_unlock();
	/* Nobody else changes a released one. */
	if (again)
		sim_reoffer(chan);
}

static int host_thread(void *unused)
{
	while (!kthread_should_stop()) {
		host_step(&chans[sim_random(CHANNELS)]);
		usleep_range(500, 3000);
	}
	return 0;
}

static unsigned int rounds(void)
{
	return atomic_read(&counts[OPENS]) + atomic_read(&counts[BARE_OPENS]) +
	       atomic_read(&counts[SUB_OPENS]);
}

/* ---- a storm ---- */

static void make_channel(struct kunit *test, unsigned int index)
{
	struct storm_chan *sc = &chans[index];
	unsigned int group = storm->subs + 1;

	memset(sc, 0, sizeof(*sc));
	mutex_init(&sc->lock);
	spin_lock_init(&sc->reading);
	sc->bare = index >= CHANNELS - BARE;
	if (sc->bare) {
		sc->host = sim_add(test, &bare_type.guid, &storm_source);
	} else if (index % group) {
		sc->primary = &chans[index - index % group];
		sim_lock();
		sc->host = sim_new_sub_locked(sc->primary->host, index % group, &sim_echo);
		sim_unlock();
	} else {
		sc->host = sim_add(test, storm->type, &sim_echo);
	}
}

static void begin(struct kunit *test)
{
	static const struct {
		u32 type;
		unsigned long one_in;
	} hooks[] = {
		{ SIM_GPADL_HEADER, 40 },
		{ SIM_OPEN, 40 },
		{ SIM_MODIFY, 40 },
		{ SIM_GPADL_TEARDOWN, 40 },
	};
	unsigned int i;

	storm = test->param_value;
	memset(counts, 0, sizeof(counts));
	atomic_set(&bad, 0);
	vmbus_deadlines.request = 30 * MSEC_PER_SEC;
	sim_start_ok(test, storm->version);
	for (i = 0; i < CHANNELS; i++)
		make_channel(test, i);
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		sim_rule(&(struct sim_rule){
			.type = hooks[i].type,
			.hook = maybe_rescind,
			.arg = (void *)hooks[i].one_in,
		});
}

/* How often it must have happened in 1000 rounds, or the storm was none. */
static unsigned int least(enum count count)
{
	bool spread = storm->type == &sim_type_perf;

	switch (count) {
	case SUB_OPENS:
		return storm->subs ? 50 : 0;
	case RETARGETS:
		return storm->version >= SIM_V(4, 1) ? 20 : 0;
	case WRITES:
		return storm->version >= SIM_V(4, 1) ? 2 : 0;
	case CPUS:
		return spread && storm->version < SIM_V(4, 1) ? 0 : 2;
	case ECHOES:
	case PUSHED:
		return 200;
	case OPENS:
	case BARE_OPENS:
	case RESCINDS_OPEN:
		return 50;
	case GPADLS:
	case READS:
	case DEBUGFS:
		return 10;
	case RESCINDS_OFFERED:
	case RESCINDS_OPENING:
	case RESCINDS_CLOSING:
		return 4;
	case NR_COUNTS:
		break;
	}
	return 0;
}

static bool enough(enum count count, unsigned int wanted)
{
	return atomic_read(&counts[count]) >= DIV_ROUND_UP(least(count) * wanted, 1000);
}

static bool raged(unsigned int wanted)
{
	enum count count;

	for (count = 0; count < NR_COUNTS; count++)
		if (!enough(count, wanted))
			return false;
	return rounds() >= wanted;
}

static void rage(unsigned int wanted)
{
	static int (* const functions[])(void *unused) = {
		host_thread, cpu_thread, sysfs_thread, debugfs_thread, worker, worker, worker,
		worker,
	};
	struct task_struct *threads[ARRAY_SIZE(functions)];
	unsigned long end = jiffies + PATIENCE_S * HZ;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(functions); i++)
		threads[i] = kthread_run(functions[i], NULL, "storm/%u", i);
	while (!raged(wanted) && time_before(jiffies, end))
		msleep(100);
	/* The host first: what it offers makes rounds, while others may take long to end. */
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
		else
			expected(false, "no thread", PTR_ERR(threads[i]));
}

static bool all_released(void)
{
	bool released = true;
	unsigned int i;

	sim_lock();
	for (i = 0; i < CHANNELS; i++)
		released &= chans[i].host->released || !chans[i].host->rescinded;
	sim_unlock();
	return released;
}

/* Some channels are rescinded, the rest is there when the driver stops. */
static void calm(struct kunit *test)
{
	unsigned int i;

	sim_clear_rules();
	for (i = 0; i < CHANNELS; i += 5)
		sim_rescind(chans[i].host);
	for (i = 0; i < CHANNELS; i++) {
		struct storm_chan *sc = &chans[i];

		mutex_lock(&sc->lock);
		if (sc->primary)
			detach(sc);
		mutex_unlock(&sc->lock);
	}
	/* Not one of them takes long, but there can be many, and many that wait. */
	KUNIT_EXPECT_TRUE(test, sim_wait(all_released()));
}

/* Each version with its channels on CPU 0, and spread over all CPUs or in groups. */
static const struct storm_case storm_cases[] = {
	{ "5.3", SIM_V(5, 3), &sim_type_plain, 0 },
	{ "5.3, sub-channels", SIM_V(5, 3), &sim_type_plain, 3 },
	{ "5.3, spread", SIM_V(5, 3), &sim_type_perf, 0 },
	{ "5.3, spread, sub-channels", SIM_V(5, 3), &sim_type_perf, 3 },
	{ "5.2", SIM_V(5, 2), &sim_type_plain, 0 },
	{ "5.2, spread, sub-channels", SIM_V(5, 2), &sim_type_perf, 3 },
	{ "5.1, sub-channels", SIM_V(5, 1), &sim_type_plain, 5 },
	{ "5.0, spread, sub-channels", SIM_V(5, 0), &sim_type_perf, 7 },
	{ "4.1", SIM_V(4, 1), &sim_type_plain, 0 },
	{ "4.1, spread, sub-channels", SIM_V(4, 1), &sim_type_perf, 3 },
	{ "4.0, sub-channels", SIM_V(4, 0), &sim_type_plain, 3 },
	{ "4.0, spread", SIM_V(4, 0), &sim_type_perf, 0 },
	{ "3.0", SIM_V(3, 0), &sim_type_plain, 0 },
	{ "3.0, spread, sub-channels", SIM_V(3, 0), &sim_type_perf, 7 },
	{ "2.4, sub-channels", SIM_V(2, 4), &sim_type_plain, 3 },
	{ "2.4, spread", SIM_V(2, 4), &sim_type_perf, 0 },
};

static void storms(struct kunit *test)
{
	unsigned int i, done, began, wanted = storm_rounds / ARRAY_SIZE(storm_cases);

	begin(test);
	KUNIT_ASSERT_EQ(test, vmbus_driver_register(&storm_driver), 0);
	began = jiffies_to_msecs(jiffies);
	rage(wanted);
	done = rounds();
	kunit_info(test, "%u rounds in %u ms\n", done, jiffies_to_msecs(jiffies) - began);
	calm(test);
	vmbus_driver_unregister(&storm_driver);
	sim_stop(test);

	KUNIT_EXPECT_GE(test, done, wanted);
	KUNIT_EXPECT_EQ(test, atomic_read(&bad), 0);
	KUNIT_EXPECT_EQ(test, sim_gpadls(), 0);
	for (i = 0; i < CHANNELS; i++)
		KUNIT_EXPECT_EQ_MSG(test, chans[i].host->releases, chans[i].host->rescinds,
				    "relid %u", i + 1);
	for (i = 0; i < NR_COUNTS; i++) {
		kunit_info(test, "%s: %d\n", count_names[i], atomic_read(&counts[i]));
		KUNIT_EXPECT_TRUE_MSG(test, enough(i, wanted), "%s", count_names[i]);
	}
}

static void describe(const struct storm_case *param, char *description)
{
	strscpy(description, param->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(storm, storm_cases, describe);

static struct kunit_case storm_kunit_cases[] = {
	KUNIT_CASE_PARAM(storms, storm_gen_params),
	{}
};

struct kunit_suite storm_suite = {
	.name = "hv_vmbus_storm",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = storm_kunit_cases,
};
