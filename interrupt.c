// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host interrupts for: events of channels, messages.
 *
 * Actions: interrupts on every CPU; on PREEMPT_RT a thread for each (thread.c);
 * the message work of each CPU; a CPU that goes looks for what is left.
 *
 * Events are taken by an exchange of their words, so whoever comes first has
 * them; what they call has locks of its own.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/random.h>
#include <linux/workqueue.h>
#include <asm/mshyperv.h>

#include "include/vmbus_arch.h"
#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* How often, and how long, a CPU that goes waits for its last events. */
#define OFFLINE_TRIES		3
#define OFFLINE_PAUSE_US	10000

struct message_work {
	struct work_struct work;
	unsigned int cpu;
};

static DEFINE_PER_CPU(struct message_work, message_work);
static struct workqueue_struct *message_wq;

static void scan_events(unsigned long *events)
{
	unsigned int i, bit, words = vmbus_relid_words();
	struct vmbus_chan *chan;
	unsigned long pending;

	rcu_read_lock();
	for (i = 0; i < words; i++) {
		if (!READ_ONCE(events[i]))
			continue;
		pending = xchg(&events[i], 0);
		for_each_set_bit(bit, &pending, BITS_PER_LONG) {
			chan = vmbus_relid_lookup(i * BITS_PER_LONG + bit);
			if (chan)
				vmbus_chan_interrupt(chan);
		}
	}
	rcu_read_unlock();
}

/*
 * Channels take sleeping locks on PREEMPT_RT, so there their events are left to
 * a thread. Timers and the start of the message work need none.
 */
static __always_inline void serve(const struct vmbus_synic *synic)
{
	struct hv_message *message = synic->message;
	u32 type;

	if (unlikely(!message))
		return;
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		vmbus_thread_wake();
	} else {
		/* For lockdep: locks that sleep on PREEMPT_RT may be taken. */
		lockdep_hardirq_threaded();
		scan_events(synic->events);
	}

	type = READ_ONCE(message->header.message_type);
	if (unlikely(type != HVMSG_NONE)) {
		if (type == HVMSG_TIMER_EXPIRED && vmbus_host->timer_expired)
			vmbus_host->timer_expired(message);
		else
			queue_work_on(smp_processor_id(), message_wq,
				      &this_cpu_ptr(&message_work)->work);
	}
}

/**
 * vmbus_isr() - channel events or a message are pending on this CPU
 *
 * Context: hard interrupt.
 */
void vmbus_isr(void)
{
	serve(this_cpu_ptr(&vmbus_synic[VMBUS_SYNIC_HOST]));
	if (VMBUS_GIVES_RANDOMNESS)
		add_interrupt_randomness(VMBUS_ARCH_IRQ);
}

/**
 * vmbus_isr_both() - the same, where a CPU has two SynICs
 *
 * Apart, so that nobody else pays for it.
 *
 * Context: hard interrupt.
 */
void vmbus_isr_both(void)
{
	serve(this_cpu_ptr(&vmbus_synic[VMBUS_SYNIC_PARAVISOR]));
	vmbus_isr();
}

/**
 * vmbus_events_handle() - handle what is pending on a CPU here and now
 * @cpu: this CPU, whose SynIC is or was up
 *
 * Context: process, on that CPU.
 */
void vmbus_events_handle(unsigned int cpu)
{
	unsigned long flags;
	unsigned int i;

	/* Tasklets that they start run before this is over. */
	local_bh_disable();
	flags = vmbus_irq_save();
	for (i = 0; i < VMBUS_NR_SYNICS; i++)
		if (per_cpu(vmbus_synic[i], cpu).events)
			scan_events(per_cpu(vmbus_synic[i], cpu).events);
	vmbus_irq_restore(flags);
	local_bh_enable();
}

static bool events_pending(unsigned int cpu)
{
	unsigned int i, word;
	unsigned long *events;

	for (i = 0; i < VMBUS_NR_SYNICS; i++) {
		events = per_cpu(vmbus_synic[i], cpu).events;
		for (word = 0; events && word < vmbus_relid_words(); word++)
			if (READ_ONCE(events[word]))
				return true;
	}
	return false;
}

/**
 * vmbus_events_drain() - a CPU that no channel interrupts any more has no events
 * @cpu: this CPU, which is going offline
 *
 * The host may still have interrupted it when a channel had just left. What it
 * signalled is handled, and has to come to an end.
 *
 * Context: process, on that CPU, sleeps.
 * Return: 0; -EBUSY if there are always new ones, which the log says.
 */
int vmbus_events_drain(unsigned int cpu)
{
	unsigned int tries;

	for (tries = 0; events_pending(cpu); tries++) {
		if (tries == OFFLINE_TRIES) {
			pr_warn_ratelimited("CPU %u stays online: the host goes on interrupting it\n",
					    cpu);
			return -EBUSY;
		}
		vmbus_events_handle(cpu);
		usleep_range(OFFLINE_PAUSE_US, 2 * OFFLINE_PAUSE_US);
	}
	return 0;
}

static void handle_messages(struct work_struct *work)
{
	struct message_work *mw = container_of(work, struct message_work, work);

	if (vmbus_message_poll(mw->cpu))
		queue_work_on(mw->cpu, message_wq, work);
}

/**
 * vmbus_messages_flush() - the messages that have come so far are handled
 *
 * Context: process, sleeps.
 */
void vmbus_messages_flush(void)
{
	flush_workqueue(message_wq);
}

/**
 * vmbus_messages_take_late() - handle what the host sent to who was here before us
 *
 * It is in the slots when the SynICs come up. An answer to another's
 * INITIATE_CONTACT must be gone before ours is posted: nothing tells them apart.
 *
 * Context: process, sleeps; SynICs are up, nothing has been asked.
 */
void vmbus_messages_take_late(void)
{
	unsigned int cpu;

	/* Its interrupt may be on the way still. A slot is read on its own CPU. */
	cpus_read_lock();
	for_each_online_cpu(cpu)
		queue_work_on(cpu, message_wq, &per_cpu_ptr(&message_work, cpu)->work);
	vmbus_messages_flush();
	cpus_read_unlock();
}

/**
 * vmbus_interrupts_init() - be ready for vmbus_isr()
 *
 * Context: process, sleeps.
 * Return: 0; -ENOMEM; errors of kthread_create() for the threads of PREEMPT_RT.
 */
int vmbus_interrupts_init(void)
{
	unsigned int cpu;
	int err;

	/*
	 * Storage waits for messages, so memory pressure must not stop them. The
	 * end of a message is signalled on the CPU that has it, or its next
	 * message, which can be its timer's, is never delivered: not unbound.
	 */
	message_wq = alloc_workqueue("hv_vmbus_con",
				     WQ_MEM_RECLAIM | WQ_HIGHPRI | VMBUS_WQ_PERCPU, 1);
	if (!message_wq)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct message_work *mw = per_cpu_ptr(&message_work, cpu);

		mw->cpu = cpu;
		INIT_WORK(&mw->work, handle_messages);
	}
	err = vmbus_threads_start();
	if (err)
		destroy_workqueue(message_wq);
	return err;
}

/**
 * vmbus_interrupts_drain() - interrupts are over, and all messages handled
 *
 * Events that a thread has not come to are left.
 *
 * Context: process, sleeps; no CPU's SynIC is up any more.
 */
void vmbus_interrupts_drain(void)
{
	/* One that came just before its SynIC went down wakes or queues no more. */
	synchronize_rcu();
	drain_workqueue(message_wq);
}

/**
 * vmbus_interrupts_exit() - undo vmbus_interrupts_init()
 *
 * Context: process, sleeps; after vmbus_interrupts_drain(), if ever a SynIC was up.
 */
void vmbus_interrupts_exit(void)
{
	vmbus_threads_stop();
	destroy_workqueue(message_wq);
}
