// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets: what hv_sock calls, beyond what every VSC does.
 *
 * A connection is a primary channel of its own, which the host offers when it is
 * made, and rescinds when either side has closed it. Its socket has the device
 * from the driver's probe until the last reference to the socket goes, and that
 * can be long after the rescind, or inside the rescind callback.
 *
 * Actions: connecting and the end of sockets, in any task, each socket's once.
 */
#include <linux/hyperv.h>

#include "include/vmbus_private.h"

/**
 * vmbus_send_tl_connect_request() - ask the host for a socket's channel
 * @shv_guest_servie_id: where in the guest the connection begins
 * @shv_host_servie_id: the service of the host that it is for
 *
 * A connection that comes about is offered as a channel. The host says nothing
 * of one that does not before 4.1, and afterwards only that it was refused,
 * which nobody waits for: hv_sock has a deadline of its own.
 *
 * Context: process, sleeps up to vmbus_deadlines.post.
 * Return: 0; -EOPNOTSUPP below protocol 4.0; -ESHUTDOWN without a
 * connection to the host; -ENOBUFS, -EIO from posting.
 */
int vmbus_send_tl_connect_request(const guid_t *shv_guest_servie_id,
				  const guid_t *shv_host_servie_id)
{
	struct vmbus_channel_tl_connect_request msg = {
		.header.msgtype = CHANNELMSG_TL_CONNECT_REQUEST,
		.guest_endpoint_id = *shv_guest_servie_id,
		.host_service_id = *shv_host_servie_id,
	};

	if (READ_ONCE(vmbus_conn.state) != VMBUS_CONNECTED)
		return -ESHUTDOWN;
	if (vmbus_proto_version < VERSION_WIN10)
		return -EOPNOTSUPP;
	return vmbus_post(&msg, sizeof(msg));
}

/**
 * vmbus_hvsock_device_unregister() - a socket is done with its channel
 * @channel: its channel; not to be used any more
 *
 * When this returns no callback of the channel runs or will run, so the socket
 * can be freed. The device and the channel go afterwards: at once if the host
 * has rescinded the channel, else when it does. Until then the channel stays
 * open, so that the host can read what the socket has sent, however slowly.
 *
 * Context: process, sleeps; may be called by the rescind callback.
 */
void vmbus_hvsock_device_unregister(struct vmbus_channel *channel)
{
	struct vmbus_chan *chan = vmbus_chan_get(to_vmbus_chan(channel));

	/* From now on nobody is told of the rescind; maybe somebody is just now. */
	vmbus_rescind_unregister(chan);
	vmbus_rescind_wait_told(chan);
	vmbus_reset_channel_cb(channel);
	vmbus_chan_put(chan);
}
