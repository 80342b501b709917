// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection to the host: version negotiation, posting, requests and their
 * answers, unload.
 *
 * Actions: connect and disconnect run once each at module load and unload, one
 * after the other; suspend and resume around a hibernation, which excludes both.
 * Posting and requests run in any task. Answers arrive on the message work (one
 * at a time).
 *
 * References: a request belongs to the task that waits for it and lives on its
 * stack; it is on the list only between begin and its end, and is completed
 * under the list's lock, so nobody touches it after the waiter took that lock.
 *
 * Lock: request_lock, not held while calling anything.
 */
#include <linux/delay.h>
#include <linux/hyperv.h>
#include <linux/nmi.h>
#include <linux/static_call.h>
#include <linux/timekeeping.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* Longest pause between two attempts to post. */
#define POST_MAX_DELAY_US	(100 * USEC_PER_MSEC)

/* Step and reminder of the wait for UNLOAD_RESPONSE after a crash. */
#define CRASH_POLL_MS		10
#define CRASH_POLL_NS		(CRASH_POLL_MS * NSEC_PER_MSEC)
#define CRASH_NOTICE_NS		(5ULL * NSEC_PER_SEC)

/*
 * Protocol versions that we speak, best first. A host that knows none of them
 * is Windows Server 2008 R2 or older.
 */
static const u32 versions[] = {
	VMBUS_VERSION_6_0,
	VERSION_WIN10_V5_3,
	VERSION_WIN10_V5_2,
	VERSION_WIN10_V5_1,
	VERSION_WIN10_V5,
	VERSION_WIN10_V4_1,
	VERSION_WIN10,
	VERSION_WIN8_1,
	VERSION_WIN8,
};

struct vmbus_deadlines vmbus_deadlines = {
	.post = 30 * MSEC_PER_SEC,
	.version = 60 * MSEC_PER_SEC,
	/* Modules that wait for this one's symbols give up after 30 s. */
	.offers = 10 * MSEC_PER_SEC,
	.request = 60 * MSEC_PER_SEC,
	.unload = 100 * MSEC_PER_SEC,
	.late = MSEC_PER_SEC,
};

struct vmbus_conn vmbus_conn;

/* For uio_hv_generic, too. */
struct vmbus_connection vmbus_connection;

DEFINE_PER_CPU(struct vmbus_synic [VMBUS_NR_SYNICS], vmbus_synic);

/* Version in use, (major << 16) | minor; 0 before the first connection. */
__u32 vmbus_proto_version;

const struct vmbus_host_ops *vmbus_host;
DEFINE_STATIC_CALL(vmbus_host_signal_event, vmbus_host_no_signal);

static DEFINE_SPINLOCK(request_lock);
static LIST_HEAD(requests);

/* The version and features asked for last; constant while their request is pending. */
static u32 asked_version;
static u32 asked_features;

/* vmbus_connection_suspend() ended the connection, and it is not made again. */
static bool suspended;

/* The host has the addresses of the connection's pages, or may have. */
static bool host_has_pages;

/* Somebody took the reply from its slot, maybe not who waits after a crash. */
static bool unload_answered;

/* Target of the signal static call while no host is set: does nothing. */
int vmbus_host_no_signal(u64 connection_id)
{
	return 0;
}

/**
 * vmbus_host_set() - choose the host the driver talks to
 * @ops: the host, or NULL to forget it
 *
 * Context: process, while nothing else of the driver runs.
 */
void vmbus_host_set(const struct vmbus_host_ops *ops)
{
	vmbus_host = ops;
	static_call_update(vmbus_host_signal_event,
			   ops ? ops->signal_event : vmbus_host_no_signal);
}

static const char * const message_names[CHANNELMSG_COUNT] = {
	[CHANNELMSG_OFFERCHANNEL]		= "OFFERCHANNEL",
	[CHANNELMSG_RESCIND_CHANNELOFFER]	= "RESCIND_CHANNELOFFER",
	[CHANNELMSG_REQUESTOFFERS]		= "REQUESTOFFERS",
	[CHANNELMSG_ALLOFFERS_DELIVERED]	= "ALLOFFERS_DELIVERED",
	[CHANNELMSG_OPENCHANNEL]		= "OPENCHANNEL",
	[CHANNELMSG_OPENCHANNEL_RESULT]		= "OPENCHANNEL_RESULT",
	[CHANNELMSG_CLOSECHANNEL]		= "CLOSECHANNEL",
	[CHANNELMSG_GPADL_HEADER]		= "GPADL_HEADER",
	[CHANNELMSG_GPADL_BODY]			= "GPADL_BODY",
	[CHANNELMSG_GPADL_CREATED]		= "GPADL_CREATED",
	[CHANNELMSG_GPADL_TEARDOWN]		= "GPADL_TEARDOWN",
	[CHANNELMSG_GPADL_TORNDOWN]		= "GPADL_TORNDOWN",
	[CHANNELMSG_RELID_RELEASED]		= "RELID_RELEASED",
	[CHANNELMSG_INITIATE_CONTACT]		= "INITIATE_CONTACT",
	[CHANNELMSG_VERSION_RESPONSE]		= "VERSION_RESPONSE",
	[CHANNELMSG_UNLOAD]			= "UNLOAD",
	[CHANNELMSG_UNLOAD_RESPONSE]		= "UNLOAD_RESPONSE",
	[CHANNELMSG_TL_CONNECT_REQUEST]		= "TL_CONNECT_REQUEST",
	[CHANNELMSG_MODIFYCHANNEL]		= "MODIFYCHANNEL",
	[CHANNELMSG_TL_CONNECT_RESULT]		= "TL_CONNECT_RESULT",
	[CHANNELMSG_MODIFYCHANNEL_RESPONSE]	= "MODIFYCHANNEL_RESPONSE",
};

/**
 * vmbus_message_known() - whether a message type has a name
 * @type: any value
 */
bool vmbus_message_known(u32 type)
{
	return type < ARRAY_SIZE(message_names) && message_names[type];
}

/**
 * vmbus_message_name() - a message type as text
 * @type: any value, also one that no message has
 */
const char *vmbus_message_name(u32 type)
{
	return vmbus_message_known(type) ? message_names[type] : "unknown message";
}

/*
 * Posts with patience: a host short of buffers says so and is asked again, with
 * pauses that double from 1 us. @settled: a connection id that the host once
 * knew is only lost for a moment, while the host itself is being moved.
 */
static int post_to(u32 connection_id, const void *msg, size_t len, bool settled)
{
	const struct vmbus_channel_message_header *hdr = msg;
	unsigned long end = jiffies + msecs_to_jiffies(vmbus_deadlines.post);
	unsigned long delay_us = 1;
	unsigned int retries = 0;
	int err;

	for (;;) {
		err = vmbus_host->post_message(connection_id, msg, len);
		if (err != -EAGAIN && !(err == -ENOTCONN && settled))
			break;
		if (time_after(jiffies, end)) {
			err = -ENOBUFS;
			break;
		}
		fsleep(delay_us);
		retries++;
		delay_us = min(2 * delay_us, POST_MAX_DELAY_US);
	}
	vmbus_trace_posted(msg, err);
	vmbus_note_posted(msg, retries, err);
	if (err && settled)
		pr_err_ratelimited("posting %s failed: %d\n",
				   vmbus_message_name(hdr->msgtype), err);
	return err;
}

/**
 * vmbus_post() - post a control message on the established connection
 * @msg: the message, with its header
 * @len: bytes, at most HV_MESSAGE_PAYLOAD_BYTE_COUNT
 *
 * Context: process; sleeps up to vmbus_deadlines.post.
 * Return: 0; -ENOBUFS if the host had no buffers all the time; -EIO if it
 * refused; those are logged here. -ESHUTDOWN if there is no host at all.
 */
int vmbus_post(const void *msg, size_t len)
{
	if (!vmbus_host)
		return -ESHUTDOWN;
	return post_to(vmbus_conn.message_connection_id, msg, len, true);
}

/**
 * vmbus_request_init() - prepare a request
 * @req: on the caller's stack
 * @answer: type of the message that will answer it
 * @relid: channel the answer names, 0 if it names none
 * @id: gpadl handle or open id the answer names, 0 if it names none
 */
void vmbus_request_init(struct vmbus_request *req,
			enum vmbus_channel_message_type answer, u32 relid, u32 id)
{
	INIT_LIST_HEAD(&req->node);
	init_completion(&req->done);
	req->answer = answer;
	req->relid = relid;
	req->id = id;
	req->error = 0;
}

/**
 * vmbus_request_begin() - from now on an answer, rescind or unload ends @req
 * @req: initialised request
 *
 * To be called before the message goes out and before the caller looks whether
 * its channel is rescinded, so that no end is missed.
 *
 * Return: 0; -ESHUTDOWN if there is no connection.
 */
int vmbus_request_begin(struct vmbus_request *req)
{
	int err = 0;

	req->begun = ktime_get_ns();
	spin_lock(&request_lock);
	if (vmbus_conn.state == VMBUS_DISCONNECTED)
		err = -ESHUTDOWN;
	else
		list_add_tail(&req->node, &requests);
	spin_unlock(&request_lock);
	return err;
}

/**
 * vmbus_request_abort() - end @req without waiting, its message did not go out
 * @req: begun request
 */
void vmbus_request_abort(struct vmbus_request *req)
{
	spin_lock(&request_lock);
	list_del_init(&req->node);
	spin_unlock(&request_lock);
}

static void log_overdue(const struct vmbus_request *req, unsigned int timeout_ms)
{
	struct vmbus_chan *chan;

	rcu_read_lock();
	chan = req->relid ? vmbus_relid_lookup(req->relid) : NULL;
	if (chan)
		pr_err("%pUl (relid %u): no %s from the host in %u ms\n",
		       &chan->ch.offermsg.offer.if_instance, req->relid,
		       vmbus_message_name(req->answer), timeout_ms);
	else
		pr_err("no %s from the host in %u ms\n",
		       vmbus_message_name(req->answer), timeout_ms);
	rcu_read_unlock();
}

/**
 * vmbus_request_wait() - wait for the end of a begun request
 * @req: begun request whose message went out
 * @timeout_ms: deadline
 *
 * Context: process, sleeps.
 * Return: 0 and @req->reply; -ENODEV if the channel was rescinded; -ESHUTDOWN
 * if the connection ended; -ETIMEDOUT, logged, if nothing came in time.
 */
int vmbus_request_wait(struct vmbus_request *req, unsigned int timeout_ms)
{
	bool overdue = false;

	if (!wait_for_completion_timeout(&req->done, msecs_to_jiffies(timeout_ms))) {
		spin_lock(&request_lock);
		if (!list_empty(&req->node)) {
			list_del_init(&req->node);
			req->error = -ETIMEDOUT;
			overdue = true;
		}
		spin_unlock(&request_lock);
	}
	if (overdue)
		log_overdue(req, timeout_ms);
	return req->error;
}

/**
 * vmbus_request_call() - begin, post and wait
 * @req: initialised request
 * @channel: channel it is about, or NULL; a rescinded one is not asked for
 * @msg: the message
 * @len: its bytes
 * @timeout_ms: deadline of the answer
 *
 * Return: as vmbus_request_begin(), vmbus_post(), vmbus_request_wait().
 */
int vmbus_request_call(struct vmbus_request *req, const struct vmbus_channel *channel,
		       const void *msg, size_t len, unsigned int timeout_ms)
{
	int err;

	err = vmbus_request_begin(req);
	if (err)
		return err;
	if (channel && READ_ONCE(channel->rescind))
		err = -ENODEV;
	else
		err = vmbus_post(msg, len);
	if (err) {
		vmbus_request_abort(req);
		return err;
	}
	return vmbus_request_wait(req, timeout_ms);
}

/* Ends @req; @msg is its answer or NULL. */
static void request_end(struct vmbus_request *req, const struct vmbus_message *msg,
			int error)
{
	lockdep_assert_held(&request_lock);
	list_del_init(&req->node);
	req->error = error;
	if (msg) {
		req->reply = *msg;
		vmbus_note_answered(msg);
	}
	complete(&req->done);
}

/**
 * vmbus_request_answer() - hand an answer to the oldest request that awaits it
 * @msg: validated message
 * @relid: channel it names, or 0
 * @id: gpadl or open id it names, or 0
 *
 * A request that names no relid (teardown: the answer has only the handle) is
 * matched by the id alone.
 *
 * Return: whether anybody waited for it.
 */
bool vmbus_request_answer(const struct vmbus_message *msg, u32 relid, u32 id)
{
	struct vmbus_request *req;
	bool found = false;

	/* One that comes before we go is none: late from last time, or invented. */
	if (msg->header.msgtype == CHANNELMSG_UNLOAD_RESPONSE &&
	    (vmbus_conn.state == VMBUS_DISCONNECTING || vmbus_conn.state == VMBUS_DISCONNECTED))
		WRITE_ONCE(unload_answered, true);

	spin_lock(&request_lock);
	list_for_each_entry(req, &requests, node) {
		if (req->answer != msg->header.msgtype || req->id != id ||
		    (relid && req->relid != relid))
			continue;
		request_end(req, msg, 0);
		found = true;
		break;
	}
	spin_unlock(&request_lock);
	return found;
}

/*
 * What a VERSION_RESPONSE says to @asked_version: 0; -ECONNREFUSED if the host
 * does not speak it; -EPROTO if it is too short; -ECONNABORTED if it failed.
 */
static int version_result(const struct vmbus_message *msg)
{
	const struct vmbus_channel_version_response *reply = &msg->version_response;

	if (!reply->version_supported)
		return -ECONNREFUSED;
	if (asked_version >= VERSION_WIN10_V5 && msg->len < sizeof(*reply))
		return -EPROTO;
	return reply->connection_state == VMBUS_CONNECTION_OK ? 0 : -ECONNABORTED;
}

/* Features that the host says it agrees to; older replies end before them. */
static u32 told_features(const struct vmbus_message *msg)
{
	u32 features = 0;

	if (asked_version >= VMBUS_VERSION_6_0 &&
	    msg->len >= VMBUS_RESPONSE_FEATURES + sizeof(features))
		memcpy(&features, msg->bytes + VMBUS_RESPONSE_FEATURES, sizeof(features));
	return features;
}

/* Whoever is isolated from its host does without what older ones have. */
static bool below_floor(u32 version)
{
	return vmbus_host->isolation && version < VERSION_WIN10_V5_2;
}

/* The host connected: what it sends next counts already, unless it is left at once. */
static void connected(const struct vmbus_message *msg)
{
	lockdep_assert_held(&request_lock);
	vmbus_conn.message_connection_id = asked_version >= VERSION_WIN10_V5 ?
					   msg->version_response.msg_conn_id :
					   VMBUS_CONN_ID_MESSAGE;
	vmbus_proto_version = asked_version;
	WRITE_ONCE(vmbus_conn.features, told_features(msg) & asked_features);
	/* Not if the machine is on its way down meanwhile. */
	if (vmbus_conn.state == VMBUS_CONNECTING && !below_floor(asked_version))
		vmbus_conn.state = VMBUS_CONNECTED;
}

/**
 * vmbus_version_answer() - hand a VERSION_RESPONSE to who awaits it
 * @msg: validated message
 *
 * If the host connected, the connection is up when this returns, not only when
 * the waiting task comes to run: a host that was saved and restored in between
 * sends offers right behind, without being asked.
 *
 * Context: the message work.
 * Return: whether anybody waited for it.
 */
bool vmbus_version_answer(const struct vmbus_message *msg)
{
	struct vmbus_request *req;
	bool found = false;

	spin_lock(&request_lock);
	list_for_each_entry(req, &requests, node) {
		if (req->answer != CHANNELMSG_VERSION_RESPONSE)
			continue;
		if (!version_result(msg))
			connected(msg);
		request_end(req, msg, 0);
		found = true;
		break;
	}
	spin_unlock(&request_lock);
	return found;
}

/**
 * vmbus_request_cancel() - end every request about a channel
 * @relid: the channel, or 0 for all requests of all channels
 * @error: what the waiters get
 */
void vmbus_request_cancel(u32 relid, int error)
{
	struct vmbus_request *req, *next;

	spin_lock(&request_lock);
	list_for_each_entry_safe(req, next, &requests, node)
		if (!relid || req->relid == relid)
			request_end(req, NULL, error);
	spin_unlock(&request_lock);
}

/**
 * vmbus_request_walk() - look at the requests that wait, the oldest first
 * @each: called for each of them; may not sleep
 * @arg: for @each
 */
void vmbus_request_walk(void (*each)(const struct vmbus_request *req, void *arg), void *arg)
{
	const struct vmbus_request *req;

	spin_lock(&request_lock);
	list_for_each_entry(req, &requests, node)
		each(req, arg);
	spin_unlock(&request_lock);
}

/*
 * What this guest has a use for, of what 6.0 has: Documentation/protocol.rst says why
 * not for more.
 */
static u32 wanted_features(u32 version)
{
	return version >= VMBUS_VERSION_6_0 && vmbus_is_paravisors() ?
	       VMBUS_FEATURE_CONFIDENTIAL : 0;
}

/*
 * One INITIATE_CONTACT; if it returns 0 the connection is up already.
 * -ECONNREFUSED if the host does not speak @version and
 * a lower one may be tried; any other error ends the negotiation: a post that
 * failed says nothing about the version.
 */
static int negotiate(u32 version)
{
	struct vmbus_channel_initiate_contact msg = {
		.header.msgtype = CHANNELMSG_INITIATE_CONTACT,
		.vmbus_version_requested = version,
		.target_vcpu = vmbus_host->vp_index(VMBUS_CONNECT_CPU),
		.monitor_page1 = vmbus_monitor_address(0),
		.monitor_page2 = vmbus_monitor_address(1),
	};
	u32 connection_id = VMBUS_CONN_ID_MESSAGE;
	struct vmbus_request req;
	u32 unasked;
	int err;

	asked_version = version;
	asked_features = wanted_features(version);
	if (version >= VERSION_WIN10_V5) {
		msg.msg_sint = VMBUS_SINT;
		msg.interrupt_page |= (u64)asked_features << VMBUS_CONTACT_FEATURES_SHIFT;
		connection_id = VMBUS_CONN_ID_CONTACT;
	} else {
		msg.interrupt_page = vmbus_monitor_int_address();
	}

	vmbus_request_init(&req, CHANNELMSG_VERSION_RESPONSE, 0, 0);
	err = vmbus_request_begin(&req);
	if (err)
		return err;
	err = post_to(connection_id, &msg, sizeof(msg), false);
	if (err) {
		vmbus_request_abort(&req);
		/* A host from before 5.0 has no such connection. */
		if (err == -ENOTCONN && connection_id == VMBUS_CONN_ID_CONTACT)
			return -ECONNREFUSED;
		pr_err("posting INITIATE_CONTACT failed: %d\n", err);
		return err;
	}
	err = vmbus_request_wait(&req, vmbus_deadlines.version);
	if (err)
		return err;

	err = version_result(&req.reply);
	unasked = told_features(&req.reply) & ~asked_features;
	if (!err && unasked)
		pr_warn("host claims features 0x%x that were not asked for: ignored\n", unasked);
	if (err == -EPROTO)
		pr_err("VERSION_RESPONSE of %u bytes has no connection id\n", req.reply.len);
	if (err == -ECONNABORTED)
		pr_err("host speaks version %u.%u but failed to connect (state %u)\n",
		       VMBUS_VERSION_MAJOR(version), VMBUS_VERSION_MINOR(version),
		       req.reply.version_response.connection_state);
	return err;
}

static void set_state(enum vmbus_conn_state state)
{
	spin_lock(&request_lock);
	vmbus_conn.state = state;
	spin_unlock(&request_lock);
}

/**
 * vmbus_connect() - agree with the host on a protocol version
 * @max_version: highest version to offer
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL if @max_version is below all versions we speak, or this is an
 * isolation VM and they agreed on one below 5.2;
 * -EPROTONOSUPPORT if the host refused all; -ECONNABORTED if it accepted one
 * but could not connect; -EPROTO if its answer was too short; -ETIMEDOUT if it
 * did not answer; -ENOMEM; -ENOBUFS, -ENOTCONN and -EIO if posting failed.
 */
int vmbus_connect(u32 max_version)
{
	int err = -EINVAL;
	unsigned int i;

	if (vmbus_monitor_alloc())
		return -ENOMEM;

	suspended = false;
	WRITE_ONCE(vmbus_conn.features, 0);
	set_state(VMBUS_CONNECTING);
	unload_answered = false;
	vmbus_conn.pages_watched = false;
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		if (versions[i] > max_version)
			continue;
		err = negotiate(versions[i]);
		if (err != -ECONNREFUSED)
			break;
	}
	if (!err && below_floor(versions[i])) {
		pr_err("Invalid VMBus version %d.%d (expected >= 5.2) from the host supporting isolation\n",
		       VMBUS_VERSION_MAJOR(versions[i]), VMBUS_VERSION_MINOR(versions[i]));
		vmbus_disconnect(vmbus_unload());
		return -EINVAL;
	}
	if (!err) {
		host_has_pages = true;
		pr_info("Vmbus version:%d.%d\n", VMBUS_VERSION_MAJOR(versions[i]),
			VMBUS_VERSION_MINOR(versions[i]));
		return 0;
	}

	set_state(VMBUS_DISCONNECTED);
	if (err == -ECONNREFUSED)
		err = -EPROTONOSUPPORT;
	if (err == -EINVAL)
		pr_err("max_version %u.%u is below 2.4, the lowest version supported\n",
		       VMBUS_VERSION_MAJOR(max_version), VMBUS_VERSION_MINOR(max_version));
	else
		pr_err("Unable to connect to host: %d; vmbus=intree on the kernel's command line boots with its own module, see install.rst\n",
		       err);
	/* A host that accepted, or may yet, has the addresses of these pages. */
	if (err == -ETIMEDOUT || err == -EPROTO) {
		pr_err("leaking 3 pages that the host may still use\n");
		vmbus_monitor_leak();
	} else {
		vmbus_monitor_free();
	}
	return err;
}

/**
 * vmbus_stop_offers() - from now on the host only answers
 *
 * Offers are refused, rescinds only end the requests of their channel.
 */
void vmbus_stop_offers(void)
{
	if (!suspended)
		set_state(VMBUS_DISCONNECTING);
}

/* Before 3.0 there is no UNLOAD: the host is never told that we go. */
static bool can_unload(void)
{
	if (vmbus_proto_version >= VERSION_WIN8_1)
		return true;
	if (vmbus_proto_version)
		pr_warn("version %u.%u has no UNLOAD: the host keeps the connection until the next contact\n",
			VMBUS_VERSION_MAJOR(vmbus_proto_version),
			VMBUS_VERSION_MINOR(vmbus_proto_version));
	return false;
}

/**
 * vmbus_unload() - tell the host that we go
 *
 * The host closes all channels and forgets all memory before it answers. If it
 * watched a page of the connection, this returns only after the host has left
 * them alone for 100 ms: what comes after us, another owner of the pages or
 * another kernel, gets no late write.
 *
 * Context: process, sleeps up to vmbus_deadlines.unload, and 3 s.
 * Return: whether the host uses none of our memory: it confirmed and writes to no
 * page any more, or there was no connection.
 */
bool vmbus_unload(void)
{
	struct vmbus_channel_message_header msg = {
		.msgtype = CHANNELMSG_UNLOAD,
	};
	struct vmbus_request req;
	int err = -EPROTONOSUPPORT;

	if (suspended)
		return !host_has_pages;
	set_state(VMBUS_DISCONNECTING);
	if (can_unload()) {
		vmbus_request_init(&req, CHANNELMSG_UNLOAD_RESPONSE, 0, 0);
		err = vmbus_request_call(&req, NULL, &msg, sizeof(msg),
					 vmbus_deadlines.unload);
	}
	set_state(VMBUS_DISCONNECTED);
	vmbus_request_cancel(0, -ESHUTDOWN);
	return !err && vmbus_monitor_quiet();
}

/**
 * vmbus_connection_suspend() - end the connection, to make it again later
 *
 * What was allocated for it stays. Until the host confirms, it may offer and
 * rescind, and is answered.
 *
 * Context: process, sleeps up to vmbus_deadlines.unload; no channel is open.
 * Return: 0; -ETIMEDOUT if the host did not confirm: there is no connection, but
 * it may still use memory that it was given; -ENOBUFS, -EIO if it could not be
 * told: the connection is as it was; -ESHUTDOWN if there is none, and the host
 * never confirmed the end of the last.
 */
int vmbus_connection_suspend(void)
{
	struct vmbus_channel_message_header msg = {
		.msgtype = CHANNELMSG_UNLOAD,
	};
	struct vmbus_request req;
	int err;

	if (suspended)
		return host_has_pages ? -ESHUTDOWN : 0;
	vmbus_request_init(&req, CHANNELMSG_UNLOAD_RESPONSE, 0, 0);
	err = vmbus_request_call(&req, NULL, &msg, sizeof(msg), vmbus_deadlines.unload);
	if (err && err != -ETIMEDOUT)
		return err;
	suspended = true;
	host_has_pages = err;
	set_state(VMBUS_DISCONNECTED);
	vmbus_request_cancel(0, -ESHUTDOWN);
	return err;
}

/**
 * vmbus_connection_resume() - make the connection again as it was
 *
 * Context: process, sleeps up to vmbus_deadlines.version.
 * Return: 0; -ECONNREFUSED if the host does not speak the version any more;
 * -ECONNABORTED if it does but could not connect; -EPROTO if its answer was too
 * short; -ETIMEDOUT if it did not answer; -ENOBUFS, -ENOTCONN and -EIO if
 * posting failed. Then there is no connection.
 */
int vmbus_connection_resume(void)
{
	int err;

	/* What the host finds there is from another life, as far as it knows. */
	vmbus_monitor_fill(0);
	unload_answered = false;
	set_state(VMBUS_CONNECTING);
	err = negotiate(vmbus_proto_version);
	/* Without an answer, or with half of one, the host may have accepted. */
	if (!err || err == -ETIMEDOUT || err == -EPROTO)
		host_has_pages = true;
	else if (err == -ECONNREFUSED || err == -ECONNABORTED)
		host_has_pages = false;
	suspended = err;
	set_state(err ? VMBUS_DISCONNECTED : VMBUS_CONNECTED);
	return err;
}

/**
 * vmbus_disconnect() - free what the connection needed
 * @confirmed: what vmbus_unload() said; if false, what the host may still use
 *	is leaked
 *
 * Context: process; nobody signals the host any more.
 */
void vmbus_disconnect(bool confirmed)
{
	if (confirmed) {
		vmbus_monitor_free();
		return;
	}
	pr_err("leaking 3 pages of a connection that the host may still use\n");
	vmbus_monitor_leak();
}

/* Frees the slot, or there is none; true for UNLOAD_RESPONSE. */
static bool crash_poll_slot(struct hv_message *message)
{
	struct vmbus_channel_message_header hdr;
	u32 type;

	if (!message)
		return false;
	type = READ_ONCE(message->header.message_type);
	if (type == HVMSG_NONE)
		return false;
	virt_rmb();	/* the host writes the type last */
	memcpy(&hdr, message->u.payload, sizeof(hdr));
	vmbus_host->message_done(message, type);
	return type == VMBUS_SYNIC_MESSAGE_TYPE && hdr.msgtype == CHANNELMSG_UNLOAD_RESPONSE;
}

/* In any slot of any CPU: the reply may go to one that has been stopped. */
static bool crash_poll_messages(void)
{
	bool by_host = false, by_paravisor = false;
	const struct vmbus_synic *synics;
	unsigned int cpu;

	for_each_present_cpu(cpu) {
		synics = per_cpu(vmbus_synic, cpu);
		by_host |= crash_poll_slot(synics[VMBUS_SYNIC_HOST].message);
		by_paravisor |= crash_poll_slot(synics[VMBUS_SYNIC_PARAVISOR].message);
	}
	return by_paravisor || (by_host && !vmbus_is_paravisors());
}

/*
 * One step of a wait after a crash. mdelay() is short where the hypervisor had
 * no time for the guest while that calibrated it, so the clock decides.
 * Return: ns that have passed, CRASH_POLL_MS at most.
 */
static u64 crash_pause(void)
{
	u64 begun = ktime_get_mono_fast_ns(), passed;

	mdelay(CRASH_POLL_MS);
	touch_nmi_watchdog();
	passed = ktime_get_mono_fast_ns() - begun;
	/* It stands while timekeeping is suspended. */
	return passed ? min_t(u64, passed, CRASH_POLL_NS) : CRASH_POLL_NS;
}

/**
 * vmbus_unload_crashed() - tell the host that we go, on the way down
 *
 * Context: any; other CPUs may be stopped. Busy-waits up to
 * vmbus_deadlines.unload. Takes no lock, since its holder may be stopped.
 */
void vmbus_unload_crashed(void)
{
	struct vmbus_channel_message_header msg = {
		.msgtype = CHANNELMSG_UNLOAD,
	};
	u64 deadline = (u64)vmbus_deadlines.unload * NSEC_PER_MSEC;
	u64 waited, notice = 0;
	int err = -EAGAIN;

	if (xchg(&vmbus_conn.state, VMBUS_DISCONNECTED) == VMBUS_DISCONNECTED || !can_unload())
		return;

	for (waited = 0; waited < deadline; waited += crash_pause()) {
		/*
		 * What a stopped CPU has left in its slot, a timer's message
		 * say, would keep the answer out for good: only that CPU can
		 * tell the host that the slot is free again.
		 */
		crash_poll_messages();
		err = vmbus_host->post_message(vmbus_conn.message_connection_id, &msg,
					       sizeof(msg));
		/* As post_to() has it; a host that refused will not answer. */
		if (err != -EAGAIN && err != -ENOTCONN)
			break;
	}
	for (; !err && waited < deadline; waited += crash_pause()) {
		if (crash_poll_messages() || READ_ONCE(unload_answered))
			return;
		if (waited >= notice) {
			pr_notice("Waiting for VMBus UNLOAD to complete\n");
			notice = waited + CRASH_NOTICE_NS;
		}
	}
	pr_err("Continuing even though VMBus UNLOAD did not complete\n");
}
