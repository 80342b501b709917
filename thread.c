// SPDX-License-Identifier: GPL-2.0-only
/*
 * PREEMPT_RT only: the events of channels are handled by a thread on each CPU,
 * vmbus_irq/N, since they take locks that sleep there, and so do the callbacks
 * of drivers.
 *
 * Actions: the interrupt of a CPU wakes its thread; the thread.
 *
 * Messages stay a work of their own there, too: an offer allocates memory, which
 * may have to wait until a disk has written, whose completions come this way.
 *
 * The threads are of policy SCHED_FIFO with the priority of interrupt threads,
 * which can be changed as any thread's. They stay on their CPU and are parked
 * while it is offline.
 */
#include <linux/bottom_half.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/smpboot.h>

#include "include/vmbus_private.h"

static DEFINE_PER_CPU(struct task_struct *, thread);
static DEFINE_PER_CPU(bool, due);

static int should_run(unsigned int cpu)
{
	return __this_cpu_read(due);
}

static void run(unsigned int cpu)
{
	__this_cpu_write(due, false);
	/* Events that come from here on wake it again. */
	barrier();
	vmbus_events_handle(cpu);
}

static void setup(unsigned int cpu)
{
	sched_set_fifo(current);
}

static struct smp_hotplug_thread threads = {
	.store = &thread,
	.thread_should_run = should_run,
	.thread_fn = run,
	.setup = setup,
	.thread_comm = "vmbus_irq/%u",
};

/**
 * vmbus_thread_wake() - have the events of this CPU handled
 *
 * Context: hard interrupt, between vmbus_threads_start() and vmbus_threads_stop().
 */
void vmbus_thread_wake(void)
{
	__this_cpu_write(due, true);
	wake_up_process(__this_cpu_read(thread));
}

/**
 * vmbus_threads_start() - start them on all CPUs, also on those that come later
 *
 * Context: process, sleeps.
 * Return: 0 or an error of kthread_create().
 */
int vmbus_threads_start(void)
{
	return smpboot_register_percpu_thread(&threads);
}

/**
 * vmbus_threads_stop() - undo vmbus_threads_start(); what is due is not done
 *
 * Context: process, sleeps.
 */
void vmbus_threads_stop(void)
{
	smpboot_unregister_percpu_thread(&threads);
}
