// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection to the host: version negotiation, posting, requests and their
 * answers, the relid table, unload.
 *
 * Actions: connect and disconnect run once each at module load and unload, one
 * after the other. Posting and requests run in any task. Answers arrive on the
 * message work (one at a time). Relids are looked up in interrupts.
 *
 * References: a request belongs to the task that waits for it and lives on its
 * stack; it is on the list only between begin and its end, and is completed
 * under the list's lock, so nobody touches it after the waiter took that lock.
 * The relid table holds no reference: a channel is unmapped before its last
 * reference goes, and its memory is freed after a grace period.
 *
 * Locks: request_lock, relid_lock; neither is held while calling anything.
 */
#include <linux/delay.h>
#include <linux/hyperv.h>
#include <linux/io.h>
#include <linux/nmi.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* Longest pause between two attempts to post. */
#define POST_MAX_DELAY_US	(100 * USEC_PER_MSEC)

/* Step and reminder of the wait for UNLOAD_RESPONSE after a crash. */
#define CRASH_POLL_MS		10
#define CRASH_NOTICE_MS		5000

/*
 * Protocol versions that we speak, best first. A host that knows none of them
 * is Windows Server 2008 R2 or older.
 */
static const u32 versions[] = {
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
};

struct vmbus_conn vmbus_conn;

/* For uio_hv_generic, too. */
struct vmbus_connection vmbus_connection;

DEFINE_PER_CPU(struct vmbus_synic, vmbus_synic);

/* Version in use, (major << 16) | minor; 0 before the first connection. */
__u32 vmbus_proto_version;

const struct vmbus_host_ops *vmbus_host;
DEFINE_STATIC_CALL(vmbus_host_signal_event, vmbus_host_no_signal);

static DEFINE_SPINLOCK(request_lock);
static LIST_HEAD(requests);

/* Somebody took the reply from its slot, maybe not who waits after a crash. */
static bool unload_answered;

static DEFINE_SPINLOCK(relid_lock);
static struct vmbus_chan __rcu *relids[VMBUS_MAX_RELIDS];
static unsigned int relid_top;

/* Target of the signal static call while no host is set: does nothing. */
void vmbus_host_no_signal(u64 connection_id)
{
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
 * vmbus_message_name() - a message type as text
 * @type: any value, also one that no message has
 */
const char *vmbus_message_name(u32 type)
{
	if (type < ARRAY_SIZE(message_names) && message_names[type])
		return message_names[type];
	return "unknown message";
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
		delay_us = min(2 * delay_us, POST_MAX_DELAY_US);
	}
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
 * refused. Failures are logged here.
 */
int vmbus_post(const void *msg, size_t len)
{
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
	if (msg)
		req->reply = *msg;
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
 * vmbus_relid_map() - make a channel known by its relid
 * @chan: the channel
 *
 * Return: 0; -EEXIST if another channel has that relid.
 */
int vmbus_relid_map(struct vmbus_chan *chan)
{
	u32 relid = vmbus_chan_relid(chan);
	int err = 0;

	spin_lock(&relid_lock);
	if (rcu_access_pointer(relids[relid])) {
		err = -EEXIST;
	} else {
		rcu_assign_pointer(relids[relid], chan);
		if (relid > relid_top)
			WRITE_ONCE(relid_top, relid);
	}
	spin_unlock(&relid_lock);
	return err;
}

/**
 * vmbus_relid_unmap() - forget a channel's relid
 * @chan: mapped channel; interrupts may still use it for a grace period
 */
void vmbus_relid_unmap(struct vmbus_chan *chan)
{
	unsigned int top;

	spin_lock(&relid_lock);
	RCU_INIT_POINTER(relids[vmbus_chan_relid(chan)], NULL);
	for (top = relid_top; top && !rcu_access_pointer(relids[top]); top--)
		;
	WRITE_ONCE(relid_top, top);
	spin_unlock(&relid_lock);
}

/**
 * vmbus_relid_lookup() - the channel of a relid
 * @relid: below VMBUS_MAX_RELIDS
 *
 * Context: any, in an RCU read-side section, which is how long it stays valid.
 * Return: the channel or NULL.
 */
struct vmbus_chan *vmbus_relid_lookup(u32 relid)
{
	return rcu_dereference(relids[relid]);
}

/**
 * vmbus_relid_words() - words of event flags that hold relids in use
 */
unsigned int vmbus_relid_words(void)
{
	return READ_ONCE(relid_top) / BITS_PER_LONG + 1;
}

/*
 * One INITIATE_CONTACT. -ECONNREFUSED if the host does not speak @version and
 * a lower one may be tried; any other error ends the negotiation: a post that
 * failed says nothing about the version.
 */
static int negotiate(u32 version)
{
	struct vmbus_channel_initiate_contact msg = {
		.header.msgtype = CHANNELMSG_INITIATE_CONTACT,
		.vmbus_version_requested = version,
		.target_vcpu = vmbus_host->vp_index(VMBUS_CONNECT_CPU),
		.monitor_page1 = virt_to_phys(vmbus_connection.monitor_pages[0]),
		.monitor_page2 = virt_to_phys(vmbus_connection.monitor_pages[1]),
	};
	const struct vmbus_channel_version_response *reply;
	u32 connection_id = VMBUS_CONN_ID_MESSAGE;
	struct vmbus_request req;
	int err;

	if (version >= VERSION_WIN10_V5) {
		msg.msg_sint = VMBUS_SINT;
		connection_id = VMBUS_CONN_ID_CONTACT;
	} else {
		msg.interrupt_page = virt_to_phys(vmbus_connection.int_page);
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

	reply = &req.reply.version_response;
	if (!reply->version_supported)
		return -ECONNREFUSED;
	if (version >= VERSION_WIN10_V5 && req.reply.len < sizeof(*reply)) {
		pr_err("VERSION_RESPONSE of %u bytes has no connection id\n", req.reply.len);
		return -EPROTO;
	}
	if (reply->connection_state != VMBUS_CONNECTION_OK) {
		pr_err("host speaks version %u.%u but failed to connect (state %u)\n",
		       VMBUS_VERSION_MAJOR(version), VMBUS_VERSION_MINOR(version),
		       reply->connection_state);
		return -ECONNABORTED;
	}
	vmbus_conn.message_connection_id = version >= VERSION_WIN10_V5 ?
					   reply->msg_conn_id : VMBUS_CONN_ID_MESSAGE;
	return 0;
}

static void free_page_shared(void *page)
{
	if (!page)
		return;
	if (vmbus_host->set_visible && vmbus_host->set_visible(page, 1, false)) {
		pr_err("leaking a page that cannot be taken back from the host\n");
		return;
	}
	free_page((unsigned long)page);
}

static void *alloc_page_shared(void)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL);

	if (!page)
		return NULL;
	if (vmbus_host->set_visible && vmbus_host->set_visible(page, 1, true)) {
		pr_err("leaking a page that cannot be shared with the host\n");
		return NULL;
	}
	/* Changing visibility may have scrambled the content. */
	memset(page, 0, PAGE_SIZE);
	return page;
}

static void free_shared_pages(void)
{
	free_page_shared(vmbus_connection.monitor_pages[1]);
	free_page_shared(vmbus_connection.monitor_pages[0]);
	free_page_shared(vmbus_connection.int_page);
	vmbus_connection.monitor_pages[1] = NULL;
	vmbus_connection.monitor_pages[0] = NULL;
	vmbus_connection.int_page = NULL;
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
 * Return: 0; -EINVAL if @max_version is below all versions we speak;
 * -EPROTONOSUPPORT if the host refused all; -ECONNABORTED if it accepted one
 * but could not connect; -EPROTO if its answer was too short; -ETIMEDOUT if it
 * did not answer; -ENOMEM; -ENOBUFS, -ENOTCONN and -EIO if posting failed.
 */
int vmbus_connect(u32 max_version)
{
	int err = -EINVAL;
	unsigned int i;

	vmbus_connection.int_page = alloc_page_shared();
	vmbus_connection.monitor_pages[0] = alloc_page_shared();
	vmbus_connection.monitor_pages[1] = alloc_page_shared();
	if (!vmbus_connection.int_page || !vmbus_connection.monitor_pages[0] ||
	    !vmbus_connection.monitor_pages[1]) {
		free_shared_pages();
		return -ENOMEM;
	}

	unload_answered = false;
	set_state(VMBUS_CONNECTING);
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		if (versions[i] > max_version)
			continue;
		err = negotiate(versions[i]);
		if (err != -ECONNREFUSED)
			break;
	}
	if (!err) {
		vmbus_proto_version = versions[i];
		set_state(VMBUS_CONNECTED);
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
		pr_err("Unable to connect to host: %d\n", err);
	/* A host that accepted, or may yet, has the addresses of these pages. */
	if (err == -ETIMEDOUT || err == -EPROTO)
		pr_err("leaking 3 pages that the host may still use\n");
	else
		free_shared_pages();
	return err;
}

/**
 * vmbus_stop_offers() - from now on the host only answers
 *
 * Offers are refused, rescinds only end the requests of their channel.
 */
void vmbus_stop_offers(void)
{
	set_state(VMBUS_DISCONNECTING);
}

/**
 * vmbus_unload() - tell the host that we go
 *
 * The host closes all channels and forgets all memory before it answers.
 *
 * Context: process, sleeps up to vmbus_deadlines.unload.
 * Return: whether the host confirmed.
 */
bool vmbus_unload(void)
{
	struct vmbus_channel_message_header msg = {
		.msgtype = CHANNELMSG_UNLOAD,
	};
	struct vmbus_request req;
	int err = -EPROTONOSUPPORT;

	set_state(VMBUS_DISCONNECTING);
	/* Before 3.0 there is no such message: the host is never told. */
	if (vmbus_proto_version >= VERSION_WIN8_1) {
		vmbus_request_init(&req, CHANNELMSG_UNLOAD_RESPONSE, 0, 0);
		err = vmbus_request_call(&req, NULL, &msg, sizeof(msg),
					 vmbus_deadlines.unload);
	}
	set_state(VMBUS_DISCONNECTED);
	vmbus_request_cancel(0, -ESHUTDOWN);
	return !err;
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
	if (confirmed)
		free_shared_pages();
	else
		pr_err("host did not confirm the unload: leaking 3 pages it may still use\n");
}

/* Frees the slot of any CPU that holds a message; true for UNLOAD_RESPONSE. */
static bool crash_poll_messages(void)
{
	struct vmbus_channel_message_header hdr;
	struct hv_message *message;
	bool unloaded = false;
	unsigned int cpu;
	u32 type;

	/* The reply may go to a CPU that has been stopped. */
	for_each_present_cpu(cpu) {
		message = per_cpu(vmbus_synic, cpu).message;
		if (!message)
			continue;
		type = READ_ONCE(message->header.message_type);
		if (type == HVMSG_NONE)
			continue;
		virt_rmb();	/* the host writes the type last */
		memcpy(&hdr, message->u.payload, sizeof(hdr));
		if (type == VMBUS_SYNIC_MESSAGE_TYPE &&
		    hdr.msgtype == CHANNELMSG_UNLOAD_RESPONSE)
			unloaded = true;
		vmbus_host->message_done(message, type);
	}
	return unloaded;
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
	unsigned int waited;
	int err = -EAGAIN;

	if (xchg(&vmbus_conn.state, VMBUS_DISCONNECTED) == VMBUS_DISCONNECTED ||
	    vmbus_proto_version < VERSION_WIN8_1)
		return;

	for (waited = 0; waited < vmbus_deadlines.unload; waited += CRASH_POLL_MS) {
		err = vmbus_host->post_message(vmbus_conn.message_connection_id, &msg,
					       sizeof(msg));
		/* As post_to() has it; a host that refused will not answer. */
		if (err != -EAGAIN && err != -ENOTCONN)
			break;
		mdelay(CRASH_POLL_MS);
	}
	for (; !err && waited < vmbus_deadlines.unload; waited += CRASH_POLL_MS) {
		if (crash_poll_messages() || READ_ONCE(unload_answered))
			return;
		if (waited % CRASH_NOTICE_MS == 0)
			pr_notice("Waiting for VMBus UNLOAD to complete\n");
		mdelay(CRASH_POLL_MS);
		touch_nmi_watchdog();
	}
	pr_err("Continuing even though VMBus UNLOAD did not complete\n");
}
