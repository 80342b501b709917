/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated host: an implementation of struct vmbus_host_ops with a model
 * of the protocol behind it, and what tests do with it.
 *
 * The host is one thread. Guest messages are queued to it by post_message(),
 * signals wake it; it answers as a good host of the asked version does, unless
 * a rule says otherwise. Messages and events reach the driver through its
 * interrupt entry, in hard interrupt context on the CPU they are for.
 *
 * What the guest does wrong is recorded; sim_exit() fails the test for it.
 *
 * Functions that take a struct kunit are for KUnit cases. Those of them that
 * assert are in tests/kunit/sim_test.c; the others take NULL as well.
 *
 * Locks: sim_lock() is the model's mutex: tests take it to look at or change
 * channels and rings; hooks and VSPs run with it held. Functions named *_locked
 * expect it, the others take it.
 */
#ifndef _SIM_HOST_H
#define _SIM_HOST_H

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/types.h>
#include <linux/uuid.h>

#include "../../include/vmbus_host.h"
#include "sim_wire.h"

struct kunit;
struct page;
struct sim_chan;

/* One direction of an open channel, as the host maps it. */
struct sim_ring {
	struct sim_ring_header *header;	/* shared with the guest */
	u8 *data;
	u64 *pfns;		/* of both, the header's first */
	u32 size;		/* of data, bytes */
	u32 pos;		/* the host's own index */
	bool private;		/* the paravisor's, in memory that no host sees */
};

/**
 * struct sim_vsp - what the host's device does with its channel
 * @opened: the guest opened it, the result has not been sent; may be NULL
 * @signalled: the guest signalled it, or there may be something to do
 * @closed: the guest closed it; may be NULL
 *
 * All run in the host's thread, with the model locked.
 */
struct sim_vsp {
	void (*opened)(struct sim_chan *chan);
	void (*signalled)(struct sim_chan *chan);
	void (*closed)(struct sim_chan *chan);
};

extern const struct sim_vsp sim_manual;		/* does nothing; the test reads and writes */
extern const struct sim_vsp sim_echo;		/* sent back, or completed if asked for */
extern const struct sim_vsp sim_complete;	/* a completion for each packet that asks for one */
extern const struct sim_vsp sim_sink;		/* reads everything, answers nothing */
extern const struct sim_vsp sim_source;		/* writes source_left packets as room comes */
extern const struct sim_vsp sim_opener;		/* a packet with a u32: so many sub-channels */
extern const struct sim_vsp sim_storage;	/* the same; closed, it rescinds them */

/**
 * struct sim_chan - the host's idea of a channel
 *
 * Set by tests before it is offered: @type .. @source_size. @type decides the
 * device (sim_type_*); @user is the test's.
 * @unwelcome: no guest can take it, so it is right to give its relid back
 *	although it is not rescinded
 * @withheld: it is not offered, whatever happens
 * @keeps_subs: sim_storage: the sub-channels stay when it is closed
 * @kept: its relid is for nothing else, so that it can be offered again
 * @co_ring: the offer says that its ring stays private, where the guest has agreed to
 *	confidential channels; set in a confidential VM for two relids of three
 * @co_external: the same of all other memory; set for one of these two
 */
struct sim_chan {
	u32 relid;
	guid_t type;
	guid_t instance;
	u16 sub;
	u16 flags;
	bool from_host;		/* a socket's connection that the host has made */
	bool monitored;
	u8 monitor_id;
	bool legacy;		/* no interrupt of its own: signalled by connection 2 */
	bool unwelcome;
	bool withheld;
	bool keeps_subs;
	bool kept;
	bool co_ring;
	bool co_external;
	const struct sim_vsp *vsp;
	u32 source_left;	/* sim_source: packets to write */
	u32 source_size;	/* sim_source: payload bytes of each, at least 8 */
	void *user;

	bool offered;
	bool rescinded;
	bool released;		/* RELID_RELEASED was received */
	bool open;
	bool modifying;		/* a MODIFYCHANNEL has no answer yet */
	bool frozen;		/* its rings stand still: sim_freeze_locked() */
	bool full;		/* the guest finds its ring full: sim_fill() */
	u32 full_at;		/* the index that says so */
	u32 open_id;
	u32 ring_gpadl;
	u32 target_vp;
	u8 user_data[120];	/* of the last OPENCHANNEL */
	u32 opens, closes, rescinds, releases;
	u32 interrupts;		/* to the guest */
	u64 packets_in, bytes_in;	/* read by the VSP */
	u64 packets_out;
	u32 asks;		/* for room, when there was none */
	void *pending;		/* of the VSP: an answer that found no room */
	struct sim_ring in;	/* guest to host */
	struct sim_ring out;	/* host to guest */
};

enum sim_action {
	SIM_ANSWER,		/* as a good host */
	SIM_DROP,		/* do it, never answer */
	SIM_IGNORE,		/* the message was never seen */
	SIM_HOLD,		/* do it, answer at sim_release_held() */
	SIM_REFUSE,		/* do not do it, answer with the rule's status */
	SIM_TWICE,		/* do it, answer twice */
	SIM_WRONG_ID,		/* do it, answer for another open id, handle, relid */
};

/**
 * struct sim_rule - an exception to good behaviour
 * @type: of the guest's message (SIM_OPEN ...)
 * @relid: channel it must concern, or 0 for any
 * @skip: so many matching messages are answered normally first
 * @times: so many are treated by this rule; 0 means all
 * @action: how
 * @status: for SIM_REFUSE; of CONTACT: 0 "not supported", else connection_state
 *	with "supported"
 * @delay_ms: the answer leaves so much later
 * @hook: called in the host's thread before the message is handled, with the
 *	model locked; @chan may be NULL
 * @arg: for @hook
 *
 * The first rule that matches decides. GPADL rules with @type SIM_GPADL_HEADER
 * are about the whole description, however many messages it has.
 */
struct sim_rule {
	u32 type;
	u32 relid;
	u32 skip;
	u32 times;
	enum sim_action action;
	u32 status;
	u32 delay_ms;
	void (*hook)(struct sim_chan *chan, void *arg);
	void *arg;
};

/*
 * Device types: interrupts stay on CPU 0; spread over the CPUs; unknown to the driver.
 * In isolation VMs the first and the last would be refused, so they are others there.
 */
extern guid_t sim_type_plain;		/* keyboard; heartbeat */
extern const guid_t sim_type_perf;	/* SCSI */
extern guid_t sim_type_unknown;		/* none; shutdown, which no test has a driver for */

/**
 * enum sim_kind - what the guest has to hide from the host
 * @SIM_ORDINARY: nothing, unless a test asks for it: sim_use_visibility()
 * @SIM_VTOM: all that is not shared, which it finds above the boundary alone; as 6.1
 *	has it
 * @SIM_PARAVISOR: the same, and it finds what is shared where it was; as 6.12
 * @SIM_ENLIGHTENED: likewise, and there is no boundary
 * @SIM_CONFIDENTIAL: as SIM_PARAVISOR, and the paravisor has a bus of its own: it is
 *	the simulated host, which uses private memory of the channels that say so
 */
enum sim_kind {
	SIM_ORDINARY,
	SIM_VTOM,
	SIM_PARAVISOR,
	SIM_ENLIGHTENED,
	SIM_CONFIDENTIAL,
};

/*
 * What cases speak that are about no version: the newest of LTS kernels, and on a
 * confidential bus the first that knows of it.
 */
#define SIM_USUAL	U32_MAX

u32 sim_which_version(u32 version);	/* that number, or what SIM_USUAL is now */

/* All versions that the driver speaks, worst first, for KUNIT_ARRAY_PARAM. */
struct sim_version {
	u32 version;
	const char *name;
};

extern const struct sim_version sim_versions[];
extern const unsigned int sim_nr_versions;
const void *sim_versions_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc);
/* Those before 5.0: messages on connection 1, an interrupt page. */
const void *sim_old_versions_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc);

/* ---- its life, without KUnit ---- */

/*
 * A fresh host that offers nothing yet and refuses a quarter of posts. Return: 0
 * or -ENOMEM.
 */
int sim_begin(u64 seed);
/* Before sim_connect(); ordinary at first. */
void sim_set_kind(enum sim_kind kind);
bool sim_isolated(void);
bool sim_confidential(void);	/* there is the paravisor's bus */
bool sim_has_alias(void);	/* what is visible is found above the boundary alone */
/* Bits that addresses of visible pages have, where the protocol wants them; 0: none. */
u64 sim_boundary(void);
/* What the host sees of a visible page of the direct map. */
void *sim_seen(void *page);
/* After sim_disconnect(): what sim_begin() made is gone, its counts can be read. */
void sim_end(void);
/* vmbus_start() with a host that speaks up to @version, a guest up to @max; the errno. */
int sim_connect(u32 version, u32 max);
/* vmbus_stop(), if it runs. Return: the host was told in the way of its version. */
bool sim_disconnect(void);

/* ---- the life of a test ---- */

/*
 * For the init of a suite: a fresh host of @version that offers nothing yet, a
 * quarter of posts refused, deadlines of SIM_ANSWERED_MS. The exit of the suite calls
 * sim_stop(), which ends what runs and checks what has to hold after each test.
 */
int sim_init(struct kunit *test);
void sim_exit(struct kunit *test);

/* The case is skipped, for a reason that the log has on any kernel. */
void sim_skip(struct kunit *test, const char *why);
/* The case has nothing to say of an isolation VM: it is skipped there, for the reason given. */
void sim_needs_version(struct kunit *test, u32 version);
void sim_needs_ordinary(struct kunit *test, const char *why);
/* Rings of one block, for a program to map: not where the guest has them above a boundary. */
void sim_needs_linear_rings(struct kunit *test);

/* vmbus_start() with the host speaking up to @version; the errno. */
int sim_start(struct kunit *test, u32 version);
/* The same with the highest version that the guest may ask for. */
int sim_start_max(struct kunit *test, u32 version, u32 max);
/* The same, and it must work. */
void sim_start_ok(struct kunit *test, u32 version);
/* vmbus_stop(), if it runs; then checks. */
void sim_stop(struct kunit *test);
/* The driver runs now. */
bool sim_running(void);
/* The versions that the host speaks from now on. */
void sim_set_version(u32 version);
/* While it does not: the host knows of no guest, however the last one went. */
void sim_forget_guest(void);

/* Tell sim_stop() what is intended: each call allows one kind for this test. */
void sim_allow_violations(void);	/* the guest is provoked to break the protocol */
void sim_allow_no_unload(void);		/* the UNLOAD is not expected */

u32 sim_random(u32 below);		/* from the seed, any context */
/* The guest broke the protocol: counted, and a line in the log. Any context. */
void sim_violation(const char *format, ...) __printf(1, 2);
unsigned int sim_violations(void);
/* One of the first of them says @text. */
bool sim_found(const char *text);

/* ---- channels ---- */

/*
 * A channel with a free relid, or the given one; offered with the others after
 * REQUESTOFFERS, or at once if the guest is past that. @type: NULL for plain.
 */
struct sim_chan *sim_add(struct kunit *test, const guid_t *type, const struct sim_vsp *vsp);
struct sim_chan *sim_add_relid(struct kunit *test, u32 relid, const guid_t *type,
			       const struct sim_vsp *vsp);
struct sim_chan *sim_add_sub(struct kunit *test, const struct sim_chan *primary, u16 index,
			     const struct sim_vsp *vsp);
/* The host takes sockets' connections with such channels; NULL, as at first: refuses them. */
void sim_listen(const struct sim_vsp *vsp);
/*
 * The same by a function, in the host's thread with the model locked: @endpoint
 * of the guest asks for @service. It returns whether it has dealt with it, be it
 * by silence; else the request is refused.
 */
void sim_on_connect(bool (*connect)(const guid_t *endpoint, const guid_t *service));
/* A connection that the host makes to a @service of the guest. */
struct sim_chan *sim_add_socket(struct kunit *test, u32 relid, const guid_t *service,
				const struct sim_vsp *vsp);
/* Prepare without offering; sim_offer() when it is ready. */
struct sim_chan *sim_new(struct kunit *test, u32 relid, const guid_t *type,
			 const struct sim_vsp *vsp);
struct sim_chan *sim_new_locked(u32 relid, const guid_t *type, const struct sim_vsp *vsp);
struct sim_chan *sim_new_sub_locked(const struct sim_chan *primary, u16 index,
				    const struct sim_vsp *vsp);
/* Of a connection that the guest has asked for. */
struct sim_chan *sim_new_socket_locked(const guid_t *service, const guid_t *endpoint,
				       const struct sim_vsp *vsp);
void sim_offer(struct sim_chan *chan);
void sim_offer_locked(struct sim_chan *chan);
void sim_rescind(struct sim_chan *chan);
void sim_rescind_locked(struct sim_chan *chan);
/* Not its sub-channels. */
void sim_rescind_alone_locked(struct sim_chan *chan);
/* Offers a released channel's device again, under the same relid. */
void sim_reoffer(struct sim_chan *chan);
void sim_reoffer_locked(struct sim_chan *chan);
struct sim_chan *sim_chan_locked(u32 relid);
/* For cases about what the host can see: channels from now on keep nothing private. */
void sim_share_all(void);
/* What co_ring and co_external come to: the guest has to have agreed to such channels. */
bool sim_ring_is_private(const struct sim_chan *chan);
bool sim_external_is_private(const struct sim_chan *chan);
/* While no guest is connected: offered to the next, whatever was before, or not. */
void sim_return(struct sim_chan *chan);
void sim_withhold(struct sim_chan *chan);
/* The same, under another relid, which is free or that of a channel that is gone. */
void sim_move(struct sim_chan *chan, u32 relid);

/* The driver's channel, waited for; the test fails if it never comes. */
struct vmbus_channel *sim_guest_channel(struct kunit *test, struct sim_chan *chan);
/* Its directory and device are gone and the relid is released. */
bool sim_gone(struct sim_chan *chan);

/* ---- scripting ---- */

void sim_rule(const struct sim_rule *rule);
/* Return: 0; -ENOSPC if there are too many whose times are not over. */
int sim_try_rule(const struct sim_rule *rule);
/* The rule at @index, what is left of it. Return: there is one. */
bool sim_get_rule(unsigned int index, struct sim_rule *rule);
void sim_clear_rules(void);
unsigned int sim_release_held(void);	/* how many answers left */
void sim_busy(unsigned int percent);	/* of posts refused with -EAGAIN; 25 at first */
unsigned int sim_get_busy(void);
/* The next @times (0: all) posts of @type (0: any) fail: -EAGAIN, -ENOTCONN, -EIO. */
void sim_fail_posts(u32 type, int err, unsigned int times);
/*
 * As one that was saved and restored: all channels are offered right behind
 * VERSION_RESPONSE, and @again when the guest asks for them.
 */
void sim_offer_unasked(bool again);
/* Another REQUESTOFFERS of this connection is as good as the first. */
void sim_take_request(void);
void sim_deaf(bool deaf);	/* what the guest posts and signals is lost */
bool sim_is_deaf(void);
/*
 * For @ms the host takes nothing and sends nothing, as one that is busy with other
 * things; then it goes on where it was. 0: it goes on now. Work items of VSPs ask
 * sim_is_silent().
 */
void sim_silent(u32 ms);
bool sim_is_silent(void);
/* At a new contact the host goes on knowing handles whose description was not complete. */
void sim_keep_handles(bool keep);
/*
 * The host goes on for @ms after it has confirmed the UNLOAD: it clears bits in
 * the pages of the connection, and finds out if they are not the guest's any more.
 * It does so when the guest's thread calls sim_write_late(), in any context: a
 * thread of its own would let time pass in which the guest is right to think that
 * it is through.
 */
void sim_linger(u32 ms);
bool sim_lingers(void);
void sim_write_late(void);
/* The next @times signals for @relid (0: any) fail; so many have since the test began. */
void sim_refuse_signals(u32 relid, unsigned int times);
unsigned int sim_refused_signals(void);
void sim_no_contact_port(bool missing);	/* connection 4 is unknown, as before 5.0 */
void sim_short_version_response(u32 len);	/* bytes of VERSION_RESPONSE; 0: as usual */
/* It says that it agrees to these features, whatever was asked; the guest has to mask them. */
void sim_claim_features(u32 features);
u32 sim_asked_features(void);		/* by the last INITIATE_CONTACT */
u32 sim_agreed_features(void);		/* what both know of now */
void sim_message_cpu(unsigned int cpu);	/* where messages are delivered; 0 at first */
void sim_mute(bool mute);		/* deliver, but interrupt nobody */
/* Of this channel; its event flags as well; relid 0: of none from now on. */
void sim_lose_interrupts(u32 relid, bool flags_too);
void sim_fail_synic_up(unsigned int cpu, int err);
void sim_fail_attach(int err);
void sim_use_visibility(bool use);	/* the host has set_visible(); before sim_start() */
void sim_fail_visible(unsigned int after, bool visible);	/* the nth call */
void sim_fail_visible_by(int err);	/* behind that; else it is -EIO */
unsigned int sim_failed_visible(void);	/* its pages; 0: it has not come */
void *sim_failed_buffer(void);
void sim_end_visibility(void);	/* from now on each call is refused, as once a kexec has begun */
unsigned long sim_visible_pages(void);
/* Those, and private ones that a paravisor's GPADLs have. */
unsigned long sim_host_pages(void);
/* References that the host has to a page of the guest's. */
unsigned int sim_holds(const struct page *page);
/* From now on map() is there, which finds what the guest maps as visible and is not. */
void sim_watch_maps(void);
/* A buffer that the driver left visible is private now, for the test to free it. */
void sim_take_back(void *buffer, u32 nr_pages);
/* At all that is visible, as the host does anyway when a page is taken back, and in the end. */
void sim_look_at_visible(void);

/* ---- messages and events ---- */

/* A VMBus message to the guest, any bytes, up to 240; goes behind what waits. */
void sim_send(const void *payload, u32 len);
/* All VMBus messages from now on are so many bytes longer, as a later version's. */
void sim_pad_messages(u32 bytes);
/* Any SynIC message in the host's slot of a CPU; @size may lie. */
void sim_send_raw(unsigned int cpu, u32 type, u8 size, const void *payload, u32 len);
/* Who has the bus sends its messages: VMBUS_SYNIC_... */
unsigned int sim_bus_synic(void);
/* As sim_send_raw(), in the one or the other slot. */
void sim_send_slot(unsigned int which, unsigned int cpu, u32 type, u8 size, const void *payload,
		   u32 len);
/* Builds and sends one. */
void sim_send_relid(u32 type, u32 relid);
void sim_send_result(u32 type, u32 relid, u32 id, u32 status);
void sim_send_offer(const struct sim_chan *chan);
void sim_make_offer(const struct sim_chan *chan, struct sim_msg_offer *msg);
/* The first answer that SIM_HOLD keeps back; its bytes, 0 if there is none. */
u32 sim_held_message(void *payload, u32 size);
/* As if the UNLOAD had not come, so that a crash's can be followed by another. */
void sim_undo_unload(void);
/* All that was sent has been fetched and handled by the driver. */
void sim_drain(struct kunit *test);
/* All that was sent has been fetched, apart from CPUs that are off. */
bool sim_all_fetched(void);
/* Messages that the driver has not fetched, also for CPUs that are off. */
unsigned int sim_queued(void);
/* Sets the event flag and interrupts the CPU, whatever the state. */
void sim_event(unsigned int cpu, u32 relid);
/* The same in the one or the other page: VMBUS_SYNIC_... */
void sim_event_page(unsigned int which, unsigned int cpu, u32 relid);
/* Interrupts the channel's target if it is open; counted. */
void sim_interrupt_locked(struct sim_chan *chan);

/* The channel's VSP runs once more, after those of others that were signalled. */
void sim_signal_again(u32 relid);

/* Signals from the guest about a channel so far: by hypercall, by monitor page. */
unsigned int sim_signals(const struct sim_chan *chan);
unsigned int sim_triggers(const struct sim_chan *chan);

/*
 * From now on @listen hears each message that the guest has posted, and each that
 * goes to it (then @connection_id is 0), in the host's thread with the model
 * locked, in this order; NULL, as at first: nobody.
 */
void sim_overhear(void (*listen)(bool to_guest, u32 connection_id, const void *payload, u32 len));

/* Messages of a type so far in this test, from the guest and to it. */
unsigned int sim_received(u32 type);
unsigned int sim_sent(u32 type);
/* The first, counting the message whose answer has just come; not with the model locked. */
unsigned int sim_received_all(u32 type);
/* All that the guest has posted is handled. */
bool sim_heard_all(void);
/* The @nth (from 0) message of a type from the guest; bytes, 0 if there is none. */
u32 sim_received_message(u32 type, unsigned int nth, void *payload, u32 size);
unsigned int sim_gpadls(void);		/* that exist now */
u32 sim_gpadl_pages(u32 handle);	/* 0 if it does not exist */
u64 sim_gpadl_pfn(u32 handle, u32 index);	/* likewise */
/* Its pages, and of how many pieces of contiguous memory they are. */
u32 sim_gpadl_runs_locked(u32 handle, u32 *pages);
/*
 * The pages of a complete GPADL of this channel, for its VSP; NULL if the guest
 * has no such one. As long as they are mapped it may not take them back. After
 * that, or anything that ends all GPADLs, only unmapping is left to do.
 */
void *sim_map_gpadl_locked(const struct sim_chan *chan, u32 handle, u32 *bytes);
bool sim_gpadl_mapped_locked(u32 handle);
void sim_unmap_gpadl_locked(u32 handle, void *at);
u32 sim_connection_id(void);
unsigned int sim_timers(void);		/* timer messages given to timer_expired() */
bool sim_synics_down(void);		/* on every CPU */
void sim_upcall_crash(void);
void sim_upcall_kexec(void);

/* ---- rings, all with the model locked ---- */

void sim_lock(void);
void sim_unlock(void);

/*
 * Reads one packet, header and payload, into @buffer. Return: its bytes; 0 if
 * there is none; -EMSGSIZE if @size is too small; -EPROTO, recorded, if the
 * guest wrote nonsense. The room is given back, the guest signalled as due.
 */
int sim_read(struct sim_chan *chan, void *buffer, u32 size);
/* Bytes that wait to be read. */
u32 sim_readable(const struct sim_chan *chan);
/* Bytes free in the ring to the guest: a packet needs less than that, with its trailer. */
u32 sim_room(const struct sim_chan *chan);

/*
 * Writes one packet and signals as due. Return: 0; -EAGAIN if the ring is full,
 * then pending_send asks for room.
 */
int sim_write(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id, const void *payload,
	      u32 len);
/* With a header of @extra bytes after the descriptor (xfer pages, GPA ranges). */
int sim_write_ext(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id, const void *header,
		  u32 extra, const void *payload, u32 len);
/* The same without signalling; returns 1 if a signal would be due. */
int sim_write_quiet(struct sim_chan *chan, u16 type, u16 flags, u64 trans_id,
		    const void *payload, u32 len);
/**
 * struct sim_meddler - who damages on purpose what the host's devices write
 * @before: a packet is about to be written to the ring; it may write others first
 * @written: a packet of @len bytes, without its trailer, is at @at of chan->out, and
 *	chan->out.pos is behind it; the guest has not been told. Return: the index that
 *	it is told, of which chan->out.pos is the right one
 *
 * Both with the model locked. What they write themselves comes to them, too.
 */
struct sim_meddler {
	void (*before)(struct sim_chan *chan);
	u32 (*written)(struct sim_chan *chan, u32 at, u32 len);
};

/* From now on; NULL, as at first: nobody. */
void sim_meddle_locked(const struct sim_meddler *new);
/* Raw bytes at the host's index of the ring to the guest, wrapping; index not moved. */
void sim_poke(struct sim_chan *chan, u32 at, const void *bytes, u32 len);
/*
 * Its rings stand still: the VSP is not called, finds nothing to read and no room.
 * Until sim_thaw_locked(), be it closed and opened between.
 */
void sim_freeze_locked(struct sim_chan *chan);
/*
 * The same, and the guest finds its ring full at once. For that the machine is
 * stopped for a moment, so that the guest is not within a write. Takes the lock;
 * may sleep. Return: 0; -ENODEV if no open channel has this relid; -EBUSY.
 */
int sim_fill(u32 relid);
void sim_thaw_locked(struct sim_chan *chan);
void sim_peek(const struct sim_ring *ring, u32 at, void *bytes, u32 len);

/* ---- the log ---- */

/* Where it ends now; then how many lines since have @text. */
u64 sim_log_mark(void);
unsigned int sim_log_lines(u64 mark, const char *text);

/* ---- waiting ---- */

/*
 * Any thread, the host's too, may stand still for seconds: a processor of the test
 * machine has to share. So a deadline is either one that no answer misses, or one
 * that passes while nothing is to be answered, as in_vain() of the KUnit cases makes
 * sure, or this long: the host is still in time with what it answers, and the test
 * has not to wait for long.
 */
#define SIM_ANSWERED_MS		60000
#define SIM_IN_VAIN_MS		6000

#define SIM_PATIENCE_MS		60000

/* Polls until @cond; its value in the end. */
#define sim_wait(cond)							\
({									\
	unsigned long sim_end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);	\
	bool sim_ok;							\
									\
	while (!(sim_ok = (cond)) && time_before(jiffies, sim_end))	\
		usleep_range(500, 1000);				\
	sim_ok;								\
})

/* Nobody has freed it. */
static inline bool sim_in_use(struct page *page)
{
#if !VMBUS_KMALLOC_COUNTED
	struct folio *folio = page_folio(page);

	if (folio_test_slab(folio) || folio_test_large_kmalloc(folio))
		return true;
#endif
	return page_count(page);
}

#endif /* _SIM_HOST_H */
