/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State of the driver, shared between its files. Types that VSCs see come from
 * <linux/hyperv.h>; what is ours wraps them.
 *
 * Lock order, outermost first:
 *	CPU hotplug		for reading: cpus_read_lock(); for writing: while a
 *				CPU comes or goes
 *	chan->sc_mutex		the driver's sub-channel callback
 *	chan->open_mutex	open, close and retarget of a device's channels;
 *				held across waits for the host, so never taken on
 *				the message work
 *	vmbus_connection.channel_mutex		channel list, sub-channel lists, CPU assignment;
 *				never held across a wait for the host
 *	chan->lock		state machine of one channel (spinlock)
 *	relid lock		relid table writers (spinlock)
 *	request lock		pending requests (spinlock)
 * Handlers of host messages run under a mutex of their own, outside of
 * vmbus_connection.channel_mutex. A retarget waits for the host with CPU hotplug locked.
 * No sysfs file or kobject is removed under open_mutex or vmbus_connection.channel_mutex: removal
 * waits for the attribute's users, and the cpu attribute takes both.
 */
#ifndef _VMBUS_PRIVATE_H
#define _VMBUS_PRIVATE_H

#include <linux/hyperv.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/percpu-defs.h>
#include <linux/rcupdate.h>
#include <linux/sysfs.h>
#include <linux/tracepoint-defs.h>
#include <linux/workqueue.h>

#include "vmbus_connection.h"
#include "vmbus_debugfs.h"
#include "vmbus_host.h"
#include "vmbus_ring.h"
#include "vmbus_validate.h"
#include "vmbus_wire.h"

/*
 * The life of a channel. channel->state, which VSCs read, is derived from it.
 * The REVOKED states are those after the host's rescind.
 */
enum vmbus_chan_state {
	VMBUS_CHAN_OFFERED,		/* not open */
	VMBUS_CHAN_OPENING,
	VMBUS_CHAN_OPEN,
	VMBUS_CHAN_CLOSING,
	VMBUS_CHAN_REVOKED,		/* not open and never again */
	VMBUS_CHAN_REVOKED_OPENING,	/* the opener has not noticed yet */
	VMBUS_CHAN_REVOKED_OPEN,	/* the VSC has not closed it yet */
	VMBUS_CHAN_REVOKED_CLOSING,
	VMBUS_CHAN_SUSPENDED,		/* forgotten by the host, over a hibernation */
	VMBUS_CHAN_RELEASED,		/* relid given back to the host */
};

enum vmbus_chan_event {
	VMBUS_EV_OPEN,			/* VSC starts to open */
	VMBUS_EV_OPENED,		/* host confirmed */
	VMBUS_EV_OPEN_FAILED,
	VMBUS_EV_CLOSE,			/* VSC starts to close */
	VMBUS_EV_CLOSED,
	VMBUS_EV_RESCIND,		/* host took the offer back */
	VMBUS_EV_RELEASE,		/* RELID_RELEASED is about to be sent */
	VMBUS_EV_SUSPEND,		/* the host has confirmed the unload */
	VMBUS_EV_REOFFER,		/* the device is offered again after that */
};

/**
 * struct vmbus_ring_file - the file `ring` of a channel (files_mutex in uio.c)
 * @attr: what sysfs knows of it
 * @mmap: the driver's function, or NULL if no file is wanted
 * @has_dir: there is a directory for it
 * @shown: it is there
 */
struct vmbus_ring_file {
	struct bin_attribute attr;
	int (*mmap)(struct vmbus_channel *channel, struct VMBUS_MAPPING *vma);
	bool has_dir;
	bool shown;
};

/**
 * struct vmbus_chan - a channel
 * @ch: what VSCs see; first, so that the wrapper costs nothing
 *
 * Constant once published:
 * @perf: served by the CPU spreading, others by the connect CPU
 * @private_memory: a paravisor, and no host, uses what the channel is given
 *	beside its ring; of that tx.private and rx.private tell the same
 * @wq: where it is removed, and also added unless it is a device's primary
 *
 * @lock protects:
 * @state: the state machine, moved by vmbus_chan_event() alone
 * @told: primary: ch.chn_rescind_callback was called, or is: the device is the
 *	driver's until it unregisters it
 * @teller: the task that calls it now
 * @unregistered: the driver is done with the device; it goes with the rescind
 *
 * @open_mutex protects:
 * @tx: our side of ch.outbound (its data path: ch.outbound.ring_lock)
 * @rx: our side of ch.inbound (its data path: the one reader)
 * @ring_pages: the pages of both rings, outbound first, or NULL
 * @nr_ring_pages: number of @ring_pages
 * @tx_pages: how many of them are the outbound ring's
 * @linear_only: somebody maps ch.ringbuffer_page linearly (vmbus_alloc_ring())
 * @moved: it has interrupted another CPU since it was opened (read anywhere)
 *
 * ch.sched_lock protects:
 * @silenced: RCU's state when the callback was taken away last
 *
 * @sc_mutex: primary: held while ch.sc_creation_callback runs or is changed;
 *	outside @open_mutex
 *
 * vmbus_connection.channel_mutex protects:
 * @subs: primary: its sub-channels
 * @sub_node: sub-channel: in its primary's @subs
 * @ch.sc_list: primary: its open sub-channels, for uio_hv_generic; sub-channel: in
 *	that list
 * @subs_ready: primary: its device is there, so sub-channels can be added
 * @doubtful_cpu: the host may have moved the channel's interrupts there, or not
 *	(written under @open_mutex); nr_cpu_ids if that is not so
 * @drained: sub-channel: no longer shown, and not announced to the driver
 * @target_counted: counted in the CPU spreading
 * @add_held: primary: to be added when vmbus_bus.held ends
 * @asleep: primary: its driver could not resume, since the host had not offered
 *	it again: it is suspended still
 *
 * @ref: references. The offer holds one until the relid is released, the
 *	hv_device of a primary one until its release, each sub-channel one on
 *	its primary, the kobject one, each queued work one.
 * @rescind_work: removes the channel after a rescind
 * @remove_work: does that for a socket's, after @rescind_work
 * @wake_work: resumes the driver that is @asleep
 * @ring_file: for user space that maps the ring
 * @kobj_added: ch.kobj is in sysfs (vmbus_connection.channel_mutex)
 *
 * signal.c's lock protects:
 * @refused_node: on its list while the host refuses signals for the channel
 * @refusals: how often in a row
 *
 * @stats: what debugfs shows (debugfs.c)
 */
struct vmbus_chan {
	struct vmbus_channel ch;

	bool perf;
	bool private_memory;
	struct workqueue_struct *wq;

	spinlock_t lock;	/* state, and who has the device after a rescind */
	enum vmbus_chan_state state;
	bool told;
	bool unregistered;
	struct task_struct *teller;

	struct mutex open_mutex;	/* rings; of a primary channel: all of its device's */
	struct vmbus_ring tx;
	struct vmbus_ring rx;
	struct page **ring_pages;
	u32 nr_ring_pages;
	u32 tx_pages;
	bool linear_only;
	bool moved;

	unsigned long silenced;

	struct mutex sc_mutex;		/* ch.sc_creation_callback */

	struct list_head subs;
	struct list_head sub_node;
	bool subs_ready;
	unsigned int doubtful_cpu;
	bool drained;
	bool target_counted;
	bool add_held;
	bool asleep;

	struct kref ref;
	struct work_struct rescind_work;
	struct work_struct remove_work;
	struct work_struct wake_work;
	struct vmbus_ring_file ring_file;
	bool kobj_added;

	struct list_head refused_node;
	unsigned int refusals;

	struct vmbus_stats stats;
};

static inline struct vmbus_chan *to_vmbus_chan(const struct vmbus_channel *ch)
{
	return container_of(ch, struct vmbus_chan, ch);
}

/* Relid of a channel that the host has forgotten. */
#define VMBUS_NO_RELID	U32_MAX

static inline u32 vmbus_chan_relid(const struct vmbus_chan *chan)
{
	return chan->ch.offermsg.child_relid;
}

/* Its device may be suspended: sub-channels have none, sockets never are. */
static inline bool vmbus_chan_is_device(const struct vmbus_chan *chan)
{
	return !chan->ch.primary_channel && !is_hvsock_channel(&chan->ch);
}

/**
 * struct vmbus_request - one request to the host and its answer
 * @node: on the list of pending requests
 * @answer: message type that answers it
 * @relid: channel concerned, or 0
 * @id: gpadl handle or open id that the answer carries, or 0
 * @begun: ns, when it was put there
 * @done: completed by the answer, a rescind, an unload
 * @error: 0 if answered, -ENODEV if rescinded, -ESHUTDOWN if disconnected
 * @reply: the answer; valid if @error is 0
 */
struct vmbus_request {
	struct list_head node;
	enum vmbus_channel_message_type answer;
	u32 relid;
	u32 id;
	u64 begun;
	struct completion done;
	int error;
	struct vmbus_message reply;
};

/**
 * struct vmbus_deadlines - how long the driver waits for the host, in ms
 * @post: for the host to find buffers for a message
 * @version: for the VERSION_RESPONSE
 * @offers: for ALLOFFERS_DELIVERED
 * @request: for the answers about GPADLs and channels
 * @unload: for UNLOAD_RESPONSE; Azure flushes the disk cache before it answers,
 *	up to 50 s were seen
 * @late: for the last interrupts to a CPU that went; nobody waits for them, but
 *	they are looked after then
 */
struct vmbus_deadlines {
	unsigned int post;
	unsigned int version;
	unsigned int offers;
	unsigned int request;
	unsigned int unload;
	unsigned int late;
};

enum vmbus_conn_state {
	VMBUS_DISCONNECTED,
	VMBUS_CONNECTING,
	VMBUS_CONNECTED,
	VMBUS_DISCONNECTING,
};

/**
 * struct vmbus_conn - the connection to the host
 * @state: VMBUS_CONNECTED is written by the message work, the others by connect
 *	and disconnect; read by anyone
 * @message_connection_id: where to post; valid once connected
 * @int_page: interrupt page; its second half holds the send flags of channels that
 *	share the event connection, of hosts before 2.4
 * @monitor_pages: host to guest, guest to host; those of struct vmbus_connection,
 *	where the driver uses them
 * @pages_watched: the host may write to them
 * @features: VMBUS_FEATURE_* that both sides know; valid once connected
 * @skip_unload: a driver unloads the bus after a crash
 */
struct vmbus_conn {
	enum vmbus_conn_state state;
	u32 message_connection_id;
	void *int_page;
	struct hv_monitor_page *monitor_pages[2];
	bool pages_watched;
	u32 features;
	bool skip_unload;
};

/**
 * struct vmbus_bus - the channels on the bus
 * @channels: primary channels, in the order of their offers
 *	(vmbus_connection.channel_mutex)
 * @held: no device is added or removed, because the machine is about to sleep
 *	or wakes up (vmbus_connection.channel_mutex)
 * @nr_subs: sub-channels in the lists; wake_up_var() when there are none
 * @root: parent of all devices: the ACPI or platform device of VMBus
 * @irq: Linux' number of the interrupt that firmware names for it, or 0
 * @add_wq: adds primary channels to the device model, in the order of offers
 * @chan_wq: sub-channels and rescinds, which may not wait for each other
 * @sock_wq: sockets' channels come and are rescinded, in any order and number
 * @gone_wq: removes them, a few at a time
 */
struct vmbus_bus {
	struct list_head channels;
	bool held;
	atomic_t nr_subs;
	struct device *root;
	int irq;
	struct workqueue_struct *add_wq;
	struct workqueue_struct *chan_wq;
	struct workqueue_struct *sock_wq;
	struct workqueue_struct *gone_wq;
};

extern struct vmbus_deadlines vmbus_deadlines;
extern struct vmbus_conn vmbus_conn;
extern struct vmbus_bus vmbus_bus;
DECLARE_PER_CPU(struct vmbus_synic [VMBUS_NR_SYNICS], vmbus_synic);

/**
 * struct vmbus_glue_ops - what the channel code asks of the device model
 * @device_add: make the primary channel a device of the bus and let a driver
 *	probe it. May sleep. 0 or -errno, then nothing is left behind.
 * @device_del: undo device_add(); waits for the driver's remove(). May sleep.
 * @device_settle: wait for a probe or remove of the device that runs now.
 * @device_wake: resume its driver, which is asleep since a hibernation in which
 *	the host did not offer the device again. May sleep.
 * @channel_add: show the sub-channel below its device. May sleep.
 * @channel_del: undo channel_add(). May sleep.
 */
struct vmbus_glue_ops {
	int (*device_add)(struct vmbus_chan *chan);
	void (*device_del)(struct vmbus_chan *chan);
	void (*device_settle)(struct vmbus_chan *chan);
	void (*device_wake)(struct vmbus_chan *chan);
	int (*channel_add)(struct vmbus_chan *chan);
	void (*channel_del)(struct vmbus_chan *chan);
};

/* The bus is a paravisor's: the host has no say in what happens on it. */
static inline bool vmbus_is_paravisors(void)
{
	return vmbus_host->isolation && vmbus_host->isolation->confidential;
}

/* connection.c */
int vmbus_connect(u32 max_version);
bool vmbus_unload(void);
int vmbus_connection_suspend(void);
int vmbus_connection_resume(void);
void vmbus_disconnect(bool confirmed);
void vmbus_stop_offers(void);
void vmbus_unload_crashed(void);
int vmbus_post(const void *msg, size_t len);
void vmbus_request_init(struct vmbus_request *req,
			enum vmbus_channel_message_type answer, u32 relid, u32 id);
int vmbus_request_call(struct vmbus_request *req, const struct vmbus_channel *channel,
		       const void *msg, size_t len, unsigned int timeout_ms);
int vmbus_request_begin(struct vmbus_request *req);
int vmbus_request_wait(struct vmbus_request *req, unsigned int timeout_ms);
void vmbus_request_abort(struct vmbus_request *req);
bool vmbus_request_answer(const struct vmbus_message *msg, u32 relid, u32 id);
bool vmbus_version_answer(const struct vmbus_message *msg);
void vmbus_request_cancel(u32 relid, int error);
void vmbus_request_walk(void (*each)(const struct vmbus_request *req, void *arg), void *arg);
bool vmbus_message_known(u32 type);
const char *vmbus_message_name(u32 type);

/* refused.c */
void vmbus_signal_refused(struct vmbus_chan *chan);
void vmbus_signal_init(struct vmbus_chan *chan);
void vmbus_signal_forget(struct vmbus_chan *chan);
void vmbus_signals_stop(void);

/* relid.c */
extern struct vmbus_chan __rcu *vmbus_relids[VMBUS_MAX_RELIDS];

int vmbus_relid_map(struct vmbus_chan *chan);
void vmbus_relid_unmap(struct vmbus_chan *chan);
unsigned int vmbus_relid_words(void);

/**
 * vmbus_relid_lookup() - the channel of a relid
 * @relid: below VMBUS_MAX_RELIDS
 *
 * Here, since each interrupt asks.
 *
 * Context: any, in an RCU read-side section, which is how long it stays valid.
 * Return: the channel or NULL.
 */
static inline struct vmbus_chan *vmbus_relid_lookup(u32 relid)
{
	return rcu_dereference(vmbus_relids[relid]);
}

/* state.c */
int vmbus_chan_event(struct vmbus_chan *chan, enum vmbus_chan_event event);
enum vmbus_channel_state vmbus_chan_visible_state(enum vmbus_chan_state state);

/* shared.c */
#define VMBUS_PAGES_LINEAR	BIT(0)
#define VMBUS_PAGES_PRIVATE	BIT(1)

struct page **vmbus_pages_alloc(u32 nr_pages, int node, unsigned int flags);
void vmbus_pages_free(struct page **pages);
void vmbus_pages_leak(struct page **pages);
bool vmbus_shared_aliased(void);
int vmbus_buffer_show(void *buffer, u32 nr_pages);
int vmbus_buffer_hide(void *buffer, u32 nr_pages);
void *vmbus_buffer_alloc(u32 nr_pages, bool private);
void vmbus_buffer_free(void *buffer);
void vmbus_buffer_keep(const void *buffer);
void vmbus_shared_hide_all(void);
void vmbus_shared_forget(void);
unsigned long vmbus_leaked_kib(void);

/* monitor.c */
int vmbus_monitor_alloc(void);
void vmbus_monitor_free(void);
void vmbus_monitor_leak(void);
u64 vmbus_monitor_address(unsigned int dir);
u64 vmbus_monitor_int_address(void);
void vmbus_monitor_fill(int value);
bool vmbus_monitor_quiet(void);

/* gpadl.c */
void vmbus_gpadl_start(void);
int vmbus_gpadl_create_ring(struct vmbus_chan *chan, struct page **pages, u32 tx_pages,
			    u32 rx_pages, u32 *handle);
int vmbus_gpadl_teardown_ring(struct vmbus_chan *chan, u32 handle);
void vmbus_pages_park(struct vmbus_chan *chan, u32 handle, struct page **pages,
		      u32 nr_pages);
void vmbus_parked_release(u32 relid);
bool vmbus_parked_torndown(u32 handle);
unsigned long vmbus_parked_leak(void);
unsigned long vmbus_parked_kib(u32 relid);
void vmbus_parked_keep(void);

/* channel.c */
void vmbus_openid_start(void);
void vmbus_chan_init(struct vmbus_chan *chan);
struct vmbus_chan *vmbus_chan_get(struct vmbus_chan *chan);
void vmbus_chan_put(struct vmbus_chan *chan);
void vmbus_chan_queue(struct vmbus_chan *chan, struct workqueue_struct *wq,
		      struct work_struct *work);
void vmbus_chan_interrupt(struct vmbus_chan *chan);
int vmbus_channel_withdraw(struct vmbus_chan *chan);
void vmbus_channels_cut(void);
struct mutex *vmbus_chan_open_mutex(struct vmbus_chan *chan);

/* request_id.c */
int vmbus_requestor_alloc(struct vmbus_requestor *rqstor, u32 size);
void vmbus_requestor_free(struct vmbus_requestor *rqstor);

/* signal.c */
int vmbus_signal_host(struct vmbus_channel *channel);
void vmbus_rx_report(struct vmbus_chan *chan);
void vmbus_rx_signal(struct vmbus_chan *chan);

/**
 * vmbus_rx_publish() - give the room of consumed packets back to the host
 * @chan: open channel
 *
 * Context: any; one caller at a time.
 */
static inline void vmbus_rx_publish(struct vmbus_chan *chan)
{
	if (vmbus_ring_publish(&chan->rx))
		vmbus_rx_signal(chan);
}

/* cpus.c */
void vmbus_cpus_choose(struct vmbus_chan *chan);
void vmbus_cpus_forget(struct vmbus_chan *chan);
int vmbus_channel_retarget(struct vmbus_chan *chan, unsigned int cpu);
int vmbus_cpu_leave(unsigned int cpu);
void vmbus_cpu_gone(void);
void vmbus_cpus_exit(void);

/* channel_mgmt.c */
int vmbus_channels_init(const struct vmbus_glue_ops *glue);
void vmbus_channels_exit(void);
int vmbus_channels_request(void);
void vmbus_channels_remove(void);
void vmbus_channels_forget(void);
bool vmbus_message_poll(unsigned int cpu);
void vmbus_channel_subs_ready(struct vmbus_chan *primary);
int vmbus_channel_rescind(struct vmbus_chan *chan);

/* device_type.c */
const struct vmbus_device *vmbus_device_info(const struct vmbus_channel_offer *offer);
int vmbus_offer_allowed(const struct vmbus_channel_offer_channel *offer);

/* rescind.c */
bool vmbus_rescind_told(struct vmbus_chan *chan);
void vmbus_rescind_wait_told(struct vmbus_chan *chan);
void vmbus_rescind_unregister(struct vmbus_chan *chan);
void vmbus_rescind_forget_driver(struct vmbus_chan *chan);

/* uio.c */
void vmbus_ring_hold(const void *owner, struct page *first, u32 nr_pages);
void vmbus_ring_release(const void *owner);
void vmbus_ring_file_dir(struct vmbus_chan *chan, bool there);
void vmbus_ring_files_forget(struct vmbus_chan *primary);

/* sysfs.c */
extern const struct attribute_group *vmbus_dev_groups[];
extern const struct attribute_group *vmbus_bus_groups[];
int vmbus_sysfs_add_channel(struct vmbus_chan *chan);
void vmbus_sysfs_del_channel(struct vmbus_chan *chan);

/* driver.c */
extern const struct attribute_group *vmbus_drv_groups[];
bool vmbus_driver_find_id(struct hv_driver *drv, struct hv_device *dev,
			  struct hv_vmbus_device_id *id);

/* power.c */
extern const struct dev_pm_ops vmbus_bus_pm;
extern const struct dev_pm_ops vmbus_root_pm;
void vmbus_channels_flush(void);
bool vmbus_power_supported(void);
void vmbus_power_wake(struct vmbus_chan *chan);
void vmbus_power_init(void);
void vmbus_power_exit(void);
int vmbus_power_syscore_suspend(void);
void vmbus_power_syscore_resume(void);

/* root.c */
int vmbus_root_init(void);
void vmbus_root_exit(void);

/* trace.c */
DECLARE_TRACEPOINT(vmbus_chan_sched);
DECLARE_TRACEPOINT(vmbus_setevent);
DECLARE_TRACEPOINT(vmbus_on_event);
void vmbus_trace_fetched(const struct vmbus_message *msg);
void vmbus_trace_received(const struct vmbus_message *msg, int err);
void vmbus_trace_posted(const void *msg, int ret);
void vmbus_trace_setevent(const struct vmbus_channel *channel);
void vmbus_trace_chan_sched(const struct vmbus_channel *channel);
void vmbus_trace_on_event(const struct vmbus_channel *channel);

/* vmbus_drv.c */
extern struct bus_type vmbus_bus_type;
int vmbus_start(const struct vmbus_host_ops *host, u32 max_version);
void vmbus_stop(void);

/* newer.c */
#if VMBUS_NEWER_EXPORTS
void vmbus_synic_show(unsigned int cpu);
#else
static inline void vmbus_synic_show(unsigned int cpu)
{
}
#endif

/* interrupt.c */
void vmbus_isr(void);
void vmbus_isr_both(void);
void vmbus_events_handle(unsigned int cpu);
int vmbus_events_drain(unsigned int cpu);
void vmbus_messages_flush(void);
void vmbus_messages_take_late(void);
int vmbus_interrupts_init(void);
void vmbus_interrupts_drain(void);
void vmbus_interrupts_exit(void);

/* Until the restore this CPU handles no events in its interrupt; on PREEMPT_RT it never does. */
static inline unsigned long vmbus_irq_save(void)
{
	unsigned long flags = 0;

	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_save(flags);
	return flags;
}

static inline void vmbus_irq_restore(unsigned long flags)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_restore(flags);
}

/* thread.c, of PREEMPT_RT alone */
void vmbus_thread_wake(void);
#ifdef CONFIG_PREEMPT_RT
int vmbus_threads_start(void);
void vmbus_threads_stop(void);
#else
static inline int vmbus_threads_start(void)
{
	return 0;
}

static inline void vmbus_threads_stop(void)
{
}
#endif

#endif /* _VMBUS_PRIVATE_H */
