/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What uio_hv_generic sees and <linux/hyperv.h> does not declare. The connection
 * is an exported variable whose layout is part of the distribution's ABI. Only
 * the named fields are used here and there; what the driver keeps for itself is
 * in struct vmbus_conn.
 */
#ifndef _VMBUS_CONNECTION_H
#define _VMBUS_CONNECTION_H

#include <linux/hyperv.h>
#include <linux/mutex.h>

#include "vmbus_wire.h"

/**
 * struct vmbus_connection - what is shared with uio_hv_generic
 * @int_page: interrupt page; its second half holds the send flags of channels
 *	that share the event connection (legacy)
 * @monitor_pages: host to guest, guest to host
 * @channel_mutex: protects all lists of channels and the CPU spreading
 */
struct vmbus_connection {
	void *int_page;
	struct vmbus_monitor_page *monitor_pages[2];
	struct mutex channel_mutex;	/* lists of channels, CPU spreading */
};

extern struct vmbus_connection vmbus_connection;

void vmbus_device_unregister(struct hv_device *device_obj);

#endif /* _VMBUS_CONNECTION_H */
