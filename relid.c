// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relids: the host's numbers of channels, and the channel of each.
 *
 * Actions: handlers of host messages map channels, whoever releases one unmaps
 * it; interrupts look them up.
 *
 * References: the table holds none: a channel is unmapped before its last
 * reference goes, and its memory is freed after a grace period.
 *
 * Lock: relid_lock for writers, with none of the others inside.
 */
#include <linux/hyperv.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "include/vmbus_private.h"

static DEFINE_SPINLOCK(relid_lock);
struct vmbus_chan __rcu *vmbus_relids[VMBUS_MAX_RELIDS];
static unsigned int relid_top;

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
	if (rcu_access_pointer(vmbus_relids[relid])) {
		err = -EEXIST;
	} else {
		rcu_assign_pointer(vmbus_relids[relid], chan);
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
	RCU_INIT_POINTER(vmbus_relids[vmbus_chan_relid(chan)], NULL);
	for (top = relid_top; top && !rcu_access_pointer(vmbus_relids[top]); top--)
		;
	WRITE_ONCE(relid_top, top);
	spin_unlock(&relid_lock);
}

/**
 * vmbus_relid_words() - words of event flags that hold relids in use
 */
unsigned int vmbus_relid_words(void)
{
	return READ_ONCE(relid_top) / BITS_PER_LONG + 1;
}
