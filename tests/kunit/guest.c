// SPDX-License-Identifier: GPL-2.0-only
#include <linux/interrupt.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "guest.h"

struct guest_moved guest_moved;

struct guest_chan *guest_new(struct kunit *test, struct sim_chan *host)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->host = host;
	guest->reads = true;
	return guest;
}

void guest_callback(void *context)
{
	struct guest_chan *guest = context;
	u32 len;
	u64 id;
	int err;

	atomic_inc(&guest->callbacks);
	while (guest->reads) {
		err = vmbus_recvpacket(guest->ch, guest->last, sizeof(guest->last), &len, &id);
		if (err)
			guest->error = err;
		if (err || !len)
			return;
		guest->last_len = len;
		guest->last_id = id;
		/* Whoever waits for the count finds the packet. */
		smp_mb__before_atomic();
		atomic_inc(&guest->received);
	}
}

int guest_open_size(struct kunit *test, struct guest_chan *guest, struct sim_chan *host, u32 size)
{
	guest->host = host;
	guest->ch = sim_guest_channel(test, host);
	return vmbus_open(guest->ch, size, size, NULL, 0, guest_callback, guest);
}

void guest_open(struct kunit *test, struct guest_chan *guest, struct sim_chan *host)
{
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, host, GUEST_RING), 0);
}

int guest_try_open(void *context)
{
	struct guest_chan *guest = context;

	return vmbus_open(guest->ch, GUEST_RING, GUEST_RING, NULL, 0, guest_callback, guest);
}

int guest_close(void *context)
{
	struct guest_chan *guest = context;

	vmbus_close(guest->ch);
	return 0;
}

bool guest_echoes(struct guest_chan *guest)
{
	int before = atomic_read(&guest->received);
	u64 sent = sim_random(U32_MAX);

	return !guest_send(guest, &sent, sizeof(sent), sent) &&
	       sim_wait(atomic_read(&guest->received) > before) &&
	       guest->last_id == sent && !memcmp(guest->last, &sent, sizeof(sent));
}

bool guest_unmasked(const struct vmbus_channel *ch)
{
	return !READ_ONCE(ch->inbound.ring_buffer->interrupt_mask);
}

void guest_tasklet_ends(struct vmbus_channel *ch)
{
	tasklet_disable(&ch->callback_event);
	tasklet_enable(&ch->callback_event);
}

bool guest_in_interrupt(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		return in_hardirq();
	return in_task() && !strncmp(current->comm, "vmbus_irq/", strlen("vmbus_irq/"));
}

int guest_send(struct guest_chan *guest, const void *payload, u32 len, u64 id)
{
	return vmbus_sendpacket(guest->ch, (void *)payload, len, id, VM_PKT_DATA_INBAND, 0);
}

void guest_on_move(struct vmbus_channel *ch, u32 old, u32 new)
{
	guest_moved.ch = ch;
	guest_moved.old = old;
	guest_moved.new = new;
	guest_moved.calls++;
}
