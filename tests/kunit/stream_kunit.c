// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_stream: both sides at full speed, many senders, every context.
 * Nothing is lost, nothing overtakes, nobody sleeps for ever.
 */
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "rings.h"
#include "suites.h"

/* ---- guest to host ---- */

#define SENDERS	8
#define EACH	1000	/* packets */

/* struct order - what the host finds in packets that say who sent them */
struct order {
	u32 next[SENDERS];
	u32 wrong;
	u32 total;
};

struct numbered {
	u32 sender;
	u32 number;
	u8 more[1000];
};

static u32 more_bytes(u32 sender, u32 number)
{
	return (sender * 37 + number * 13) % sizeof_field(struct numbered, more);
}

static void check_order(struct order *order, const struct numbered *msg, u32 len)
{
	u32 more = more_bytes(msg->sender, msg->number);

	order->total++;
	if (msg->sender >= SENDERS || msg->number != order->next[msg->sender] ||
	    len != ALIGN(8 + more, 8) || memchr_inv(msg->more, msg->number & 0xff, more))
		order->wrong++;
	else
		order->next[msg->sender]++;
}

static void order_sink_signalled(struct sim_chan *chan)
{
	static u8 packet[RING_SMALLEST] __aligned(8);
	u32 *mask = &chan->in.header->interrupt_mask;
	int len;

	do {
		WRITE_ONCE(*mask, 1);
		while ((len = sim_read(chan, packet, sizeof(packet))) > 0)
			check_order(chan->user, (void *)(packet + RING_DESC), len - RING_DESC);
		WRITE_ONCE(*mask, 0);
		/* Pairs with the guest's barrier between its index and the mask. */
		smp_mb();
	} while (!len && sim_readable(chan));
}

static const struct sim_vsp order_sink = { .signalled = order_sink_signalled };

/* struct sender - somebody who sends numbered packets and tries again while it is full */
struct sender {
	struct vmbus_channel *ch;
	u32 id;
	u32 next;
	u32 count;
	int error;
	struct numbered msg;
};

/* Return: whether to go on; any context. */
static bool send_next(struct sender *sender)
{
	struct numbered *msg = &sender->msg;
	u32 more = more_bytes(sender->id, sender->next);
	int err;

	if (sender->next == sender->count)
		return false;
	msg->sender = sender->id;
	msg->number = sender->next;
	memset(msg->more, msg->number & 0xff, more);
	err = vmbus_sendpacket(sender->ch, msg, 8 + more, 0, VM_PKT_DATA_INBAND, 0);
	if (!err)
		sender->next++;
	else if (err != -EAGAIN)
		sender->error = err;
	return !err;
}

static int sender_thread(void *data)
{
	unsigned long end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	struct sender *sender = data;

	while (sender->next < sender->count && !sender->error && time_before(jiffies, end))
		if (!send_next(sender))
			usleep_range(50, 100);
	return 0;
}

static struct task_struct *start_sender(struct sender *sender, unsigned int cpu)
{
	struct task_struct *task = kthread_create(sender_thread, sender, "ring-sender/%u", cpu);

	if (IS_ERR(task))
		return NULL;
	kthread_bind(task, cpu % num_online_cpus());
	get_task_struct(task);
	wake_up_process(task);
	return task;
}

static void end_sender(struct task_struct *task)
{
	if (!task)
		return;
	/* It ends by itself. */
	kthread_stop(task);
	put_task_struct(task);
}

static void expect_order(struct kunit *test, const struct order *order,
			 const struct sender *senders, u32 count)
{
	u32 i, total = 0;

	for (i = 0; i < count; i++)
		total += senders[i].count;
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(order->total) == total));
	KUNIT_EXPECT_EQ(test, order->wrong, 0);
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_EQ(test, senders[i].error, 0);
		KUNIT_EXPECT_EQ(test, order->next[senders[i].id], senders[i].count);
	}
}

static struct guest_chan *open_order_sink(struct kunit *test, struct order *order)
{
	struct guest_chan *guest = ring_open(test, &order_sink, RING_SMALLEST);

	sim_lock();
	guest->host->user = order;
	sim_unlock();
	return guest;
}

static void senders_in_parallel(struct kunit *test)
{
	struct order *order = kunit_kzalloc(test, sizeof(*order), GFP_KERNEL);
	struct sender *senders = kunit_kcalloc(test, SENDERS, sizeof(*senders), GFP_KERNEL);
	struct task_struct *tasks[SENDERS];
	struct guest_chan *guest;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, order);
	KUNIT_ASSERT_NOT_NULL(test, senders);
	guest = open_order_sink(test, order);
	for (i = 0; i < SENDERS; i++) {
		senders[i].ch = guest->ch;
		senders[i].id = i;
		senders[i].count = EACH;
	}
	for (i = 0; i < SENDERS; i++)
		tasks[i] = start_sender(&senders[i], i);
	for (i = 0; i < SENDERS; i++)
		end_sender(tasks[i]);
	expect_order(test, order, senders, SENDERS);
	/* Each signal says that the host had read everything. */
	KUNIT_EXPECT_LE(test, sim_signals(guest->host), order->total);
	KUNIT_EXPECT_EQ(test, sim_signals(guest->host), guest->ch->intr_out_empty);
}

/* struct contexts - a thread, a tasklet and a hard interrupt that send on one channel */
enum { THREAD, TASKLET, IRQ, CONTEXTS };

struct contexts {
	struct sender senders[CONTEXTS];
	struct tasklet_struct work;
	struct irq_work hard;
};

static void send_in_tasklet(struct tasklet_struct *work)
{
	send_next(&container_of(work, struct contexts, work)->senders[TASKLET]);
}

static void send_in_irq(struct irq_work *hard)
{
	struct contexts *all = container_of(hard, struct contexts, hard);

	send_next(&all->senders[IRQ]);
	tasklet_schedule(&all->work);
}

static void senders_in_all_contexts(struct kunit *test)
{
	struct order *order = kunit_kzalloc(test, sizeof(*order), GFP_KERNEL);
	struct contexts *all = kunit_kzalloc(test, sizeof(*all), GFP_KERNEL);
	unsigned long end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	struct task_struct *task;
	struct guest_chan *guest;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, order);
	KUNIT_ASSERT_NOT_NULL(test, all);
	guest = open_order_sink(test, order);
	for (i = 0; i < CONTEXTS; i++) {
		all->senders[i].ch = guest->ch;
		all->senders[i].id = i;
		all->senders[i].count = EACH;
	}
	tasklet_setup(&all->work, send_in_tasklet);
	/* A thread's on PREEMPT_RT, where no packet is sent in a hard interrupt. */
	all->hard = IRQ_WORK_INIT(send_in_irq);
	/* The interrupt comes on this CPU, into whatever it does, or a thread of this CPU's. */
	migrate_disable();
	task = start_sender(&all->senders[THREAD], raw_smp_processor_id() + 1);
	while ((READ_ONCE(all->senders[IRQ].next) < EACH ||
		READ_ONCE(all->senders[TASKLET].next) < EACH) && time_before(jiffies, end)) {
		irq_work_queue(&all->hard);
		cond_resched();
	}
	migrate_enable();
	irq_work_sync(&all->hard);
	tasklet_kill(&all->work);
	end_sender(task);
	expect_order(test, order, all->senders, CONTEXTS);
}

/* As netvsc waits for room: asks, looks again, sleeps until the host's signal. */
static void sender_sleeps_until_room(struct kunit *test)
{
	struct order *order = kunit_kzalloc(test, sizeof(*order), GFP_KERNEL);
	struct sender *sender = kunit_kzalloc(test, sizeof(*sender), GFP_KERNEL);
	struct guest_chan *guest;
	u32 asked = 0, found = 0;
	int before;

	KUNIT_ASSERT_NOT_NULL(test, order);
	KUNIT_ASSERT_NOT_NULL(test, sender);
	guest = open_order_sink(test, order);
	sender->ch = guest->ch;
	sender->count = 3000 * (GUEST_RING / SZ_16K);
	while (sender->next < sender->count && !sender->error) {
		if (send_next(sender))
			continue;
		before = atomic_read(&guest->callbacks);
		set_channel_pending_send_size(guest->ch, sizeof(struct numbered) + 24);
		/* Pairs with the host's barrier after its index. */
		virt_mb();
		asked++;
		if (!send_next(sender)) {
			KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->callbacks) != before));
			if (ring_failed(test))
				break;
		} else {
			found++;
		}
		set_channel_pending_send_size(guest->ch, 0);
	}
	expect_order(test, order, sender, 1);
	KUNIT_EXPECT_GT(test, asked, 0);
	/* Who found room after all, and filled it, may be told a second time. */
	KUNIT_EXPECT_LE(test, guest->host->interrupts, asked + found);
}

/* ---- host to guest: it writes faster than the guest reads ---- */

#define FLOOD	5000

/* struct flood - packets of the host, counted up from 1 */
struct flood {
	struct vmbus_channel *ch;
	u32 written;
	u32 full;
	bool meddles;
	u32 read;
	u32 wrong;
	u32 unmasked;
	int error;
};

/* The guest is told when the ring is full: so the host has to wait at least once. */
static void flood_begin(struct sim_chan *chan, struct flood *flood)
{
	u64 number = 1;

	for (; sim_write_quiet(chan, SIM_PKT_INBAND, 0, number, &number, 8) >= 0; number++)
		flood->written++;
	flood->full++;
	chan->user = flood;
	sim_interrupt_locked(chan);
}

/* Up to what the ring takes; a host that meddles sets or clears the guest's mask, too. */
static void flood_signalled(struct sim_chan *chan)
{
	struct flood *flood = chan->user;
	u64 number;

	while (flood && flood->written < FLOOD) {
		number = flood->written + 1;
		if (flood->meddles)
			WRITE_ONCE(chan->out.header->interrupt_mask, sim_random(2));
		if (sim_write(chan, SIM_PKT_INBAND, 0, number, &number, 8)) {
			flood->full++;
			break;
		}
		flood->written++;
	}
	if (flood && flood->meddles)
		sim_interrupt_locked(chan);
}

static const struct sim_vsp flooder = { .signalled = flood_signalled };

static void note_packet(struct flood *flood, u64 number, u64 trans_id)
{
	if (number != ++flood->read || number != trans_id)
		flood->wrong++;
}

static void flood_by_recvpacket(void *context)
{
	struct flood *flood = context;
	u64 number, id;
	u32 got;

	if (flood->ch->callback_mode == HV_CALL_BATCHED &&
	    !READ_ONCE(flood->ch->inbound.ring_buffer->interrupt_mask))
		flood->unmasked++;
	while (!flood->error) {
		flood->error = vmbus_recvpacket(flood->ch, &number, sizeof(number), &got, &id);
		if (flood->error || !got)
			break;
		note_packet(flood, number, id);
	}
}

static void flood_by_iterator(void *context)
{
	struct vmpacket_descriptor *desc;
	struct flood *flood = context;

	/*
	 * The room goes back after the last look for packets: until then the host
	 * does not interrupt. In mode BATCHED the driver looks again.
	 */
	do {
		foreach_vmbus_pkt(desc, flood->ch)
			note_packet(flood, *(u64 *)hv_pkt_data(desc), desc->trans_id);
	} while (flood->ch->callback_mode != HV_CALL_BATCHED &&
		 hv_get_bytes_to_read(&flood->ch->inbound));
}

struct reader {
	const char *name;
	enum hv_callback_mode mode;
	void (*callback)(void *context);
	bool meddles;
};

static const struct reader readers[] = {
	{ "BATCHED, recvpacket", HV_CALL_BATCHED, flood_by_recvpacket },
	{ "BATCHED, iterator", HV_CALL_BATCHED, flood_by_iterator },
	{ "DIRECT, recvpacket", HV_CALL_DIRECT, flood_by_recvpacket },
	{ "DIRECT, iterator", HV_CALL_DIRECT, flood_by_iterator },
	{ "ISR, recvpacket", HV_CALL_ISR, flood_by_recvpacket },
	{ "ISR, iterator", HV_CALL_ISR, flood_by_iterator },
	{ "BATCHED, masks meddled with", HV_CALL_BATCHED, flood_by_iterator, true },
	{ "DIRECT, masks meddled with", HV_CALL_DIRECT, flood_by_recvpacket, true },
};

static void reader_name(const struct reader *reader, char *desc)
{
	strscpy(desc, reader->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(reader, readers, reader_name);

static struct sim_chan *open_reader(struct kunit *test, struct flood *flood,
				    const struct reader *reader)
{
	struct sim_chan *host;

	KUNIT_ASSERT_NOT_NULL(test, flood);
	sim_start_ok(test, SIM_USUAL);
	host = sim_add(test, NULL, &flooder);
	flood->ch = sim_guest_channel(test, host);
	flood->ch->callback_mode = reader->mode;
	flood->meddles = reader->meddles;
	KUNIT_ASSERT_EQ(test, vmbus_open(flood->ch, RING_SMALLEST, RING_SMALLEST, NULL, 0,
					 reader->callback, flood), 0);
	return host;
}

static void nothing_is_lost(struct kunit *test)
{
	struct flood *flood = kunit_kzalloc(test, sizeof(*flood), GFP_KERNEL);
	const struct reader *reader = test->param_value;
	struct sim_chan *host = open_reader(test, flood, reader);

	sim_lock();
	flood_begin(host, flood);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(flood->read) == FLOOD));
	KUNIT_EXPECT_EQ(test, flood->wrong, 0);
	KUNIT_EXPECT_EQ(test, flood->error, 0);
	KUNIT_EXPECT_GT(test, flood->full, 0);
	/* The host is signalled only when it waits, at most once each time. */
	KUNIT_EXPECT_LE(test, sim_signals(host), host->asks);
	KUNIT_EXPECT_EQ(test, sim_signals(host), flood->ch->intr_in_full);
}

/* The host's interrupts are masked while the callback runs, and not after it. */
static void batches_are_masked(struct kunit *test)
{
	struct flood *flood = kunit_kzalloc(test, sizeof(*flood), GFP_KERNEL);
	struct sim_chan *host = open_reader(test, flood, &readers[0]);
	u64 number;

	for (number = 1; number <= 100; number++) {
		sim_lock();
		KUNIT_EXPECT_EQ(test, sim_write(host, SIM_PKT_INBAND, 0, number, &number, 8), 0);
		sim_unlock();
		KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(flood->read) == number));
		KUNIT_EXPECT_TRUE(test, sim_wait(!READ_ONCE(host->out.header->interrupt_mask)));
		guest_tasklet_ends(flood->ch);
		if (ring_failed(test))
			return;
	}
	KUNIT_EXPECT_EQ(test, flood->unmasked, 0);
	KUNIT_EXPECT_EQ(test, host->interrupts, 100);
	KUNIT_EXPECT_EQ(test, flood->ch->interrupts, 100);
}

/* Reads in the callback what comes back of what it sends. */
static void sends_while_reading(struct kunit *test)
{
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	unsigned long end = jiffies + msecs_to_jiffies(SIM_PATIENCE_MS);
	u64 number = 0;
	int err = 0;

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->reads = true;
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, sim_add(test, NULL, &sim_echo),
					      RING_SMALLEST), 0);
	while (number < 3000 && (!err || err == -EAGAIN) && time_before(jiffies, end)) {
		err = guest_send(guest, &number, sizeof(number), number);
		if (!err)
			number++;
		else
			usleep_range(50, 100);
	}
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received) == 3000));
	KUNIT_EXPECT_EQ(test, guest->last_id, 2999);
	KUNIT_EXPECT_EQ(test, guest->error, 0);
}

static struct kunit_case stream_cases[] = {
	KUNIT_CASE(senders_in_parallel),
	KUNIT_CASE(senders_in_all_contexts),
	KUNIT_CASE(sender_sleeps_until_room),
	KUNIT_CASE_PARAM(nothing_is_lost, reader_gen_params),
	KUNIT_CASE(batches_are_masked),
	KUNIT_CASE(sends_while_reading),
	{}
};

struct kunit_suite stream_suite = {
	.name = "hv_vmbus_stream",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = stream_cases,
};
