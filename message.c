// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a host may say, and when: pure functions on a private copy of a message.
 * They log nothing, change nothing and know no channel; what is done with a
 * message that is fit to be handled stands in channel_mgmt.c.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "include/vmbus_validate.h"

/**
 * struct message_rule - when a message of one type is fit to be handled
 * @size: of the struct; more may follow
 * @min_version: of the protocol, or 0
 * @connected_only: not while connecting or unloading
 * @validate: looks at the fields, or NULL; 0 or -errno
 */
struct message_rule {
	u16 size;
	u32 min_version;
	bool connected_only;
	int (*validate)(const struct vmbus_message *msg);
};

/* The one table of what a host may send; types without a size it may not. */
static const struct message_rule rules[CHANNELMSG_COUNT] = {
	[CHANNELMSG_OFFERCHANNEL] = {
		.size = sizeof(struct vmbus_channel_offer_channel),
		.connected_only = true,
		.validate = vmbus_validate_offer,
	},
	[CHANNELMSG_RESCIND_CHANNELOFFER] = {
		.size = sizeof(struct vmbus_channel_rescind_offer),
		.validate = vmbus_validate_rescind,
	},
	[CHANNELMSG_ALLOFFERS_DELIVERED] = {
		.size = sizeof(struct vmbus_channel_message_header),
		.connected_only = true,
	},
	[CHANNELMSG_OPENCHANNEL_RESULT] = {
		.size = sizeof(struct vmbus_channel_open_result),
		.validate = vmbus_validate_open_result,
	},
	[CHANNELMSG_GPADL_CREATED] = {
		.size = sizeof(struct vmbus_channel_gpadl_created),
		.validate = vmbus_validate_gpadl_created,
	},
	[CHANNELMSG_GPADL_TORNDOWN] = {
		.size = sizeof(struct vmbus_channel_gpadl_torndown),
	},
	[CHANNELMSG_VERSION_RESPONSE] = {
		/* Hosts before 5.0 leave out the connection id. */
		.size = offsetof(struct vmbus_channel_version_response, msg_conn_id),
	},
	[CHANNELMSG_UNLOAD_RESPONSE] = {
		.size = sizeof(struct vmbus_channel_message_header),
		.min_version = VERSION_WIN8_1,
	},
	[CHANNELMSG_TL_CONNECT_RESULT] = {
		.size = sizeof(struct vmbus_tl_connect_result),
		.min_version = VERSION_WIN10_V4_1,
	},
	[CHANNELMSG_MODIFYCHANNEL_RESPONSE] = {
		.size = sizeof(struct vmbus_channel_modifychannel_response),
		.min_version = VERSION_WIN10_V5_3,
		.validate = vmbus_validate_modify_response,
	},
};

/**
 * vmbus_message_copy() - a private copy of a message that may change meanwhile
 * @msg: filled; its length is 0 if @len is more than a message holds
 * @payload: the message, shared with the host
 * @len: bytes the host says it has, read once
 */
void vmbus_message_copy(struct vmbus_message *msg, const void *payload, u32 len)
{
	msg->len = len <= sizeof(msg->bytes) ? len : 0;
	memset(msg->bytes, 0, sizeof(msg->bytes));
	memcpy(msg->bytes, payload, msg->len);
}

/**
 * vmbus_message_check() - is a message fit to be handled?
 * @msg: the private copy
 * @version: of the protocol, as negotiated
 * @connected: the connection is up, neither being made nor being ended
 *
 * Return: 0; -EMSGSIZE if it is too short; -EOPNOTSUPP if no host sends such a
 * type; -EPROTO if the type is not of this protocol version; -ENOTCONN if it
 * counts only while connected; -ERANGE if a field is out of range.
 */
int vmbus_message_check(const struct vmbus_message *msg, u32 version, bool connected)
{
	u32 type = msg->header.msgtype;
	const struct message_rule *rule;

	if (msg->len < sizeof(msg->header))
		return -EMSGSIZE;
	if (type >= ARRAY_SIZE(rules) || !rules[type].size)
		return -EOPNOTSUPP;
	rule = &rules[type];
	if (msg->len < rule->size)
		return -EMSGSIZE;
	if (rule->min_version && version < rule->min_version)
		return -EPROTO;
	if (rule->connected_only && !connected)
		return -ENOTCONN;
	return rule->validate ? rule->validate(msg) : 0;
}
