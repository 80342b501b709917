// SPDX-License-Identifier: GPL-2.0-only
/*
 * When trace events fire. The other files call these functions and know nothing of
 * the events: the exports' CRCs depend on that, and what a signal costs.
 *
 * Three of the events are where every packet passes. There only a branch is, which
 * is patched when the event is switched on, to a function that is called last:
 * what is in registers need not be saved for it.
 */
#define CREATE_TRACE_POINTS
#include "include/vmbus_trace.h"

#include "include/vmbus_private.h"

/**
 * vmbus_trace_fetched() - a message was taken from its slot
 * @msg: the private copy, nothing of which has been looked at
 */
void vmbus_trace_fetched(const struct vmbus_message *msg)
{
	trace_vmbus_on_msg_dpc(&msg->header);
}

/**
 * vmbus_trace_received() - a message was received
 * @msg: the message
 * @err: what vmbus_message_check() says: if 0, its handler comes next
 *
 * Only what hosts send, and of which no field is missing, has an event. Offers and
 * rescinds are those that the distribution's module queues to a work, which has an
 * event of its own.
 */
void vmbus_trace_received(const struct vmbus_message *msg, int err)
{
	const u32 type = msg->header.msgtype;
	bool handled = !err;

	if (err == -EMSGSIZE || err == -EOPNOTSUPP)
		return;
	switch (type) {
	case CHANNELMSG_OFFERCHANNEL:
		if (handled)
			trace_vmbus_on_message(&msg->header);
		trace_vmbus_onoffer(&msg->offer);
		break;
	case CHANNELMSG_RESCIND_CHANNELOFFER:
		if (handled)
			trace_vmbus_on_message(&msg->header);
		trace_vmbus_onoffer_rescind(&msg->rescind);
		break;
	case CHANNELMSG_OPENCHANNEL_RESULT:
		trace_vmbus_onopen_result(&msg->open_result);
		break;
	case CHANNELMSG_GPADL_CREATED:
		trace_vmbus_ongpadl_created(&msg->gpadl_created);
		break;
	case CHANNELMSG_GPADL_TORNDOWN:
		trace_vmbus_ongpadl_torndown(&msg->gpadl_torndown);
		break;
	case CHANNELMSG_VERSION_RESPONSE:
		trace_vmbus_onversion_response(&msg->version_response);
		break;
	case CHANNELMSG_MODIFYCHANNEL_RESPONSE:
		trace_vmbus_onmodifychannel_response(&msg->modify_response);
		break;
	}
}

/**
 * vmbus_trace_posted() - a message was posted, or could not be
 * @msg: the message, with its header
 * @ret: what came of it
 */
void vmbus_trace_posted(const void *msg, int ret)
{
	const struct vmbus_channel_message_header *hdr = msg;
	const u32 type = hdr->msgtype;

	switch (type) {
	case CHANNELMSG_REQUESTOFFERS:
		trace_vmbus_request_offers(ret);
		break;
	case CHANNELMSG_OPENCHANNEL:
		trace_vmbus_open(msg, ret);
		break;
	case CHANNELMSG_CLOSECHANNEL:
		trace_vmbus_close_internal(msg, ret);
		break;
	case CHANNELMSG_GPADL_HEADER:
		trace_vmbus_establish_gpadl_header(msg, ret);
		break;
	case CHANNELMSG_GPADL_BODY:
		trace_vmbus_establish_gpadl_body(msg, ret);
		break;
	case CHANNELMSG_GPADL_TEARDOWN:
		trace_vmbus_teardown_gpadl(msg, ret);
		break;
	case CHANNELMSG_RELID_RELEASED:
		trace_vmbus_release_relid(msg, ret);
		break;
	case CHANNELMSG_INITIATE_CONTACT:
		trace_vmbus_negotiate_version(msg, ret);
		break;
	case CHANNELMSG_TL_CONNECT_REQUEST:
		trace_vmbus_send_tl_connect_request(msg, ret);
		break;
	case CHANNELMSG_MODIFYCHANNEL:
		trace_vmbus_send_modifychannel(msg, ret);
		break;
	}
}

/**
 * vmbus_trace_setevent() - vmbus_setevent() was called
 * @channel: for this channel
 */
void vmbus_trace_setevent(const struct vmbus_channel *channel)
{
	trace_vmbus_setevent(channel);
}

/**
 * vmbus_trace_chan_sched() - an interrupt is about to call a channel's callback, or
 * to schedule it
 * @channel: the channel
 */
void vmbus_trace_chan_sched(const struct vmbus_channel *channel)
{
	trace_vmbus_chan_sched(channel);
}

/**
 * vmbus_trace_on_event() - a channel's tasklet runs
 * @channel: the channel, whose callback may be gone
 */
void vmbus_trace_on_event(const struct vmbus_channel *channel)
{
	trace_vmbus_on_event(channel);
}
