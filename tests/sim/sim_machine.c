// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor below the simulated host: message slots and event flags of
 * each processor, interrupts, posts and signals of the guest.
 *
 * machine.lock protects all of it; it nests in everything and nothing nests in
 * it. As a hypervisor's it never sleeps, not on PREEMPT_RT either, so what is
 * under it frees nothing. The host's thread takes posts and signals out one after
 * the other, and frees messages that were delivered.
 */
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/vmalloc.h>

#include "../../include/vmbus_host.h"
#include "sim_internal.h"

/* Posts that wait for the host; a full queue refuses more, as real hosts do. */
#define INBOX	64

/* Numbers of VPs are not those of CPUs, so that nobody confuses them. */
#define FIRST_VP	0x10

/* The event of all channels that have none of their own. */
#define EVENT_CONNECTION	2

#define SYNIC_FREE	0
#define SYNIC_VMBUS	1

/* What a SynIC has for VMBus. */
struct synic {
	struct sim_slot *slot;
	unsigned long *events;
	struct list_head queue;		/* messages that wait for the slot */
};

/* The paravisor's SynIC is used where there is one: VMBUS_SYNIC_... are the indices. */
struct vp {
	unsigned int cpu;
	struct synic synics[VMBUS_NR_SYNICS];
	bool up;
	int up_error;
	call_single_data_t csd;
	struct irq_work work;
};

static struct {
	raw_spinlock_t lock;	/* everything here */
	const struct vmbus_host_upcalls *upcalls;
	struct task_struct *thread;
	struct swait_queue_head wake;	/* its lock is a raw one */
	struct rnd_state random;
	unsigned int busy_percent;
	unsigned int message_cpu;
	u32 padding;
	unsigned int timers;
	bool mute;
	bool silent;
	unsigned long silent_end;	/* jiffies */
	struct {
		u32 relid;
		bool flags_too;
	} lost;
	bool no_contact_port;
	int attach_error;
	struct {
		u32 type;
		int err;
		unsigned int left;
		bool forever;
	} fail;
	struct list_head delivered;	/* messages, to be freed */
	struct sim_post inbox[INBOX];
	unsigned int first, used;
	unsigned long *signalled;	/* relids */
	u32 last_signalled;		/* the thread only */
	bool shared_event;
	atomic_t signals[SIM_RELIDS];
	bool deaf;
	u32 refused_relid;
	atomic_t refuse, refused;	/* signals */
	unsigned int sent[SIM_NR_TYPES];
	/* Relids whose events the paravisor sends. */
	DECLARE_BITMAP(of_paravisor, SIM_RELIDS);
} machine;

static DEFINE_PER_CPU(struct vp, vps);

u32 sim_random(u32 below)
{
	unsigned long flags;
	u32 value;

	raw_spin_lock_irqsave(&machine.lock, flags);
	value = prandom_u32_state(&machine.random) % below;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return value;
}

/* ---- interrupts ---- */

static void enter_driver(struct irq_work *work)
{
	const struct vmbus_host_upcalls *upcalls = READ_ONCE(machine.upcalls);

	if (!upcalls)
		return;
	if (sim_confidential())
		upcalls->interrupt_both();
	else
		upcalls->interrupt();
}

/* On the CPU itself: the interrupt proper is one that the CPU sends itself. */
static void interrupt_here(void *info)
{
	struct vp *vp = info;

	irq_work_queue(&vp->work);
}

static void interrupt(struct vp *vp)
{
	lockdep_assert_held(&machine.lock);
	/* If one is on its way already, it will see what this one is about. */
	if (vp->up && !machine.mute && !machine.silent)
		smp_call_function_single_async(vp->cpu, &vp->csd);
}

static void deliver(struct vp *vp, struct synic *synic)
{
	struct sim_slot *slot = synic->slot;
	struct sim_message *msg;

	lockdep_assert_held(&machine.lock);
	if (!vp->up || machine.silent || slot->type != SYNIC_FREE || list_empty(&synic->queue))
		return;
	msg = list_first_entry(&synic->queue, struct sim_message, node);
	list_move_tail(&msg->node, &machine.delivered);
	memcpy(slot->payload, msg->payload, sizeof(msg->payload));
	slot->size = msg->size;
	slot->flags = !list_empty(&synic->queue);
	/* The type says that the rest is there. */
	smp_wmb();
	WRITE_ONCE(slot->type, msg->synic_type);
	interrupt(vp);
}

static void free_messages(struct list_head *list)
{
	struct sim_message *msg, *next;

	list_for_each_entry_safe(msg, next, list, node) {
		list_del(&msg->node);
		kfree(msg);
	}
}

static void free_delivered(void)
{
	unsigned long flags;
	LIST_HEAD(list);

	raw_spin_lock_irqsave(&machine.lock, flags);
	list_splice_init(&machine.delivered, &list);
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	free_messages(&list);
}

/* Takes over @msg. */
static void transmit(unsigned int cpu, unsigned int which, struct sim_message *msg)
{
	struct vp *vp = per_cpu_ptr(&vps, cpu);
	struct synic *synic = &vp->synics[which];
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	list_add_tail(&msg->node, &synic->queue);
	deliver(vp, synic);
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

void sim_count_sent(u32 type)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	if (type < SIM_NR_TYPES)
		machine.sent[type]++;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

unsigned int sim_sent(u32 type)
{
	return READ_ONCE(machine.sent[type]);
}

unsigned int sim_bus_synic(void)
{
	return sim_confidential() ? VMBUS_SYNIC_PARAVISOR : VMBUS_SYNIC_HOST;
}

static void transmit_vmbus(const void *payload, u32 len)
{
	struct sim_message *msg = kzalloc(sizeof(*msg), GFP_KERNEL | __GFP_NOFAIL);

	msg->synic_type = SYNIC_VMBUS;
	msg->size = min_t(u32, len + READ_ONCE(machine.padding), SIM_PAYLOAD);
	memset(msg->payload, 0xff, msg->size);
	memcpy(msg->payload, payload, len);
	transmit(READ_ONCE(machine.message_cpu), sim_bus_synic(), msg);
}

void sim_send(const void *payload, u32 len)
{
	const struct sim_header *header = payload;

	if (len >= sizeof(*header))
		sim_count_sent(header->type);
	if (host.overhears)
		host.overhears(true, 0, payload, len);
	transmit_vmbus(payload, len);
}

void sim_send_slot(unsigned int which, unsigned int cpu, u32 type, u8 size, const void *payload,
		   u32 len)
{
	struct sim_message *msg = kzalloc(sizeof(*msg), GFP_KERNEL | __GFP_NOFAIL);

	msg->synic_type = type;
	msg->size = size;
	memcpy(msg->payload, payload, len);
	transmit(cpu, which, msg);
}

void sim_send_raw(unsigned int cpu, u32 type, u8 size, const void *payload, u32 len)
{
	sim_send_slot(VMBUS_SYNIC_HOST, cpu, type, size, payload, len);
}

void sim_event_page(unsigned int which, unsigned int cpu, u32 relid)
{
	struct vp *vp = per_cpu_ptr(&vps, cpu);
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	if (machine.lost.relid != relid || !machine.lost.flags_too)
		set_bit(relid, vp->synics[which].events);
	if (machine.lost.relid != relid)
		interrupt(vp);
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

void sim_event(unsigned int cpu, u32 relid)
{
	sim_event_page(test_bit(relid, machine.of_paravisor) ? VMBUS_SYNIC_PARAVISOR :
							       VMBUS_SYNIC_HOST, cpu, relid);
}

void sim_place_events(u32 relid, bool of_paravisor)
{
	assign_bit(relid, machine.of_paravisor, of_paravisor);
}

bool sim_vp_up(u32 vp, unsigned int *cpu)
{
	*cpu = vp - FIRST_VP;
	return vp >= FIRST_VP && *cpu < nr_cpu_ids && cpu_possible(*cpu) &&
	       READ_ONCE(per_cpu(vps, *cpu).up);
}

/* Messages for this CPU that the driver has not fetched. */
static unsigned int queued(const struct vp *vp)
{
	const struct synic *synic;
	struct sim_message *msg;
	unsigned int count = 0;

	lockdep_assert_held(&machine.lock);
	for (synic = vp->synics; synic < vp->synics + VMBUS_NR_SYNICS; synic++) {
		list_for_each_entry(msg, &synic->queue, node)
			count++;
		count += synic->slot->type != SYNIC_FREE;
	}
	return count;
}

bool sim_all_fetched(void)
{
	unsigned long flags;
	bool fetched = true;
	unsigned int cpu;

	raw_spin_lock_irqsave(&machine.lock, flags);
	for_each_possible_cpu(cpu) {
		struct vp *vp = per_cpu_ptr(&vps, cpu);

		fetched &= !vp->up || !queued(vp);
	}
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return fetched;
}

unsigned int sim_queued(void)
{
	unsigned int cpu, count = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	for_each_possible_cpu(cpu)
		count += queued(per_cpu_ptr(&vps, cpu));
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return count;
}

/* ---- struct vmbus_host_ops ---- */

static int attach(const struct vmbus_host_upcalls *upcalls)
{
	if (machine.attach_error)
		return machine.attach_error;
	WRITE_ONCE(machine.upcalls, upcalls);
	return 0;
}

static void nothing(void *info)
{
}

static void detach(void)
{
	unsigned int cpu;

	WRITE_ONCE(machine.upcalls, NULL);
	on_each_cpu(nothing, NULL, 1);
	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(vps, cpu).work);
}

/* It starts, or goes on: interrupts for what is there. */
static void resume_vp(struct vp *vp)
{
	struct synic *synic;

	lockdep_assert_held(&machine.lock);
	for (synic = vp->synics; synic < vp->synics + VMBUS_NR_SYNICS; synic++) {
		deliver(vp, synic);
		if (synic->slot->type != SYNIC_FREE || !bitmap_empty(synic->events, SIM_RELIDS))
			interrupt(vp);
	}
}

static void fill(struct vmbus_synic *window, const struct synic *synic)
{
	window->message = (struct hv_message *)synic->slot;
	window->events = synic->events;
}

static int synic_up(unsigned int cpu, struct vmbus_synic *synics)
{
	struct vp *vp = per_cpu_ptr(&vps, cpu);
	unsigned long flags;

	if (cpu != smp_processor_id())
		sim_violation("CPU %u comes up on CPU %u", cpu, smp_processor_id());
	if (vp->up_error)
		return vp->up_error;
	fill(&synics[VMBUS_SYNIC_HOST], &vp->synics[VMBUS_SYNIC_HOST]);
	if (sim_confidential())
		fill(&synics[VMBUS_SYNIC_PARAVISOR], &vp->synics[VMBUS_SYNIC_PARAVISOR]);
	else	/* What the case before had is gone. */
		synics[VMBUS_SYNIC_PARAVISOR] = (struct vmbus_synic) { };
	raw_spin_lock_irqsave(&machine.lock, flags);
	vp->up = true;
	resume_vp(vp);
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return 0;
}

static void synic_down(unsigned int cpu)
{
	struct vp *vp = per_cpu_ptr(&vps, cpu);
	unsigned long flags;

	if (cpu != smp_processor_id())
		sim_violation("CPU %u goes down on CPU %u", cpu, smp_processor_id());
	raw_spin_lock_irqsave(&machine.lock, flags);
	vp->up = false;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

static void synic_suspend(unsigned int cpu)
{
	if (!irqs_disabled() || !per_cpu(vps, cpu).up)
		sim_violation("CPU %u is suspended with interrupts on, or is off", cpu);
	synic_down(cpu);
}

static void synic_resume(unsigned int cpu)
{
	struct vmbus_synic same[VMBUS_NR_SYNICS];

	if (!irqs_disabled() || per_cpu(vps, cpu).up)
		sim_violation("CPU %u is resumed with interrupts on, or is on", cpu);
	synic_up(cpu, same);
}

static int post_fault(u32 connection_id, u32 type)
{
	lockdep_assert_held(&machine.lock);
	if (machine.fail.err && (!machine.fail.type || machine.fail.type == type) &&
	    (machine.fail.forever || machine.fail.left)) {
		if (!machine.fail.forever)
			machine.fail.left--;
		return machine.fail.err;
	}
	if (machine.no_contact_port && connection_id == 4)
		return -ENOTCONN;
	if (machine.used == INBOX ||
	    prandom_u32_state(&machine.random) % 100 < machine.busy_percent)
		return -EAGAIN;
	return 0;
}

static int post_message(u32 connection_id, const void *payload, size_t len)
{
	const struct sim_header *header = payload;
	struct sim_post *post;
	unsigned long flags;
	int err;

	if (len < sizeof(*header) || len > SIM_PAYLOAD) {
		sim_violation("post of %zu bytes", len);
		return -EIO;
	}
	sim_check_post(payload, len);
	if (machine.deaf)
		return 0;
	raw_spin_lock_irqsave(&machine.lock, flags);
	err = post_fault(connection_id, header->type);
	if (!err) {
		post = &machine.inbox[(machine.first + machine.used++) % INBOX];
		post->connection_id = connection_id;
		post->len = len;
		memset(post->payload, 0, sizeof(post->payload));
		memcpy(post->payload, payload, len);
	}
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	if (!err)
		swake_up_one(&machine.wake);
	return err;
}

void sim_count_signal(u32 relid)
{
	atomic_inc(&machine.signals[relid]);
	sim_signal_again(relid);
}

static int signal_event(u64 connection_id)
{
	u32 relid = connection_id & 0xfff;

	if (machine.deaf)
		return 0;
	if ((!machine.refused_relid || machine.refused_relid == relid) &&
	    atomic_dec_if_positive(&machine.refuse) >= 0) {
		atomic_inc(&machine.refused);
		return -EIO;
	}
	if (connection_id == EVENT_CONNECTION) {
		WRITE_ONCE(machine.shared_event, true);
		swake_up_one(&machine.wake);
		return 0;
	}
	/* The ids that offers carry: relid | sint << 12. */
	if (connection_id >> 12 != SIM_SINT || !relid || relid >= SIM_RELIDS) {
		sim_violation("signal of connection 0x%llx", connection_id);
		return -EIO;
	}
	sim_count_signal(relid);
	return 0;
}

void sim_deaf(bool deaf)
{
	machine.deaf = deaf;
}

bool sim_is_deaf(void)
{
	return machine.deaf;
}

void sim_refuse_signals(u32 relid, unsigned int times)
{
	machine.refused_relid = relid;
	atomic_set(&machine.refuse, times);
}

unsigned int sim_refused_signals(void)
{
	return atomic_read(&machine.refused);
}

unsigned int sim_signals(const struct sim_chan *chan)
{
	return atomic_read(&machine.signals[chan->relid]);
}

static struct synic *synic_with(struct vp *vp, const struct sim_slot *slot)
{
	struct synic *synic;

	for (synic = vp->synics; synic < vp->synics + VMBUS_NR_SYNICS; synic++)
		if (synic->slot == slot)
			return synic;
	return NULL;
}

static void message_done(struct hv_message *message, u32 type)
{
	struct sim_slot *slot = (struct sim_slot *)message;
	unsigned int cpu = smp_processor_id();
	struct vp *vp = per_cpu_ptr(&vps, cpu);
	struct synic *synic = synic_with(vp, slot);
	unsigned long flags;

	/* Legal for a crashed kernel alone, which tests play with mute. */
	if (!synic && !machine.mute)
		sim_violation("message of another CPU done on CPU %u", cpu);
	for (cpu = 0; !synic && cpu < nr_cpu_ids; cpu++) {
		if (!cpu_possible(cpu))
			continue;
		vp = per_cpu_ptr(&vps, cpu);
		synic = synic_with(vp, slot);
	}
	if (!synic) {
		sim_violation("end of a message that is nowhere");
		return;
	}
	raw_spin_lock_irqsave(&machine.lock, flags);
	if (slot->type != type || type == SYNIC_FREE)
		sim_violation("end of message type 0x%x, the slot has 0x%x", type, slot->type);
	slot->type = SYNIC_FREE;
	deliver(vp, synic);
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

static void timer_expired(struct hv_message *message)
{
	machine.timers++;
	message_done(message, ((struct sim_slot *)message)->type);
}

static u32 vp_index(unsigned int cpu)
{
	return FIRST_VP + cpu;
}

const struct vmbus_host_ops *sim_ops(void)
{
	static struct vmbus_host_ops ops = {
		.name = "simulated host",
		.attach = attach,
		.detach = detach,
		.synic_up = synic_up,
		.synic_down = synic_down,
		.synic_suspend = synic_suspend,
		.synic_resume = synic_resume,
		.post_message = post_message,
		.signal_event = signal_event,
		.message_done = message_done,
		.timer_expired = timer_expired,
		.vp_index = vp_index,
	};

	ops.set_visible = sim_uses_visibility() ? sim_set_visible : NULL;
	ops.isolation = sim_isolation();
	return &ops;
}

/* ---- the host's thread ---- */

bool sim_next_post(struct sim_post *post)
{
	unsigned long flags;
	bool found;

	raw_spin_lock_irqsave(&machine.lock, flags);
	found = machine.used;
	if (found) {
		*post = machine.inbox[machine.first];
		machine.first = (machine.first + 1) % INBOX;
		machine.used--;
	}
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return found;
}

bool sim_heard_all(void)
{
	bool heard;

	/* Held while the thread has a message in hand. */
	sim_lock();
	heard = !READ_ONCE(machine.used);
	sim_unlock();
	return heard;
}

bool sim_next_signal(u32 *relid)
{
	/* From the last one on, so that a device that is always busy does not keep others out. */
	*relid = find_next_bit(machine.signalled, SIM_RELIDS, machine.last_signalled + 1);
	if (*relid == SIM_RELIDS)
		*relid = find_first_bit(machine.signalled, SIM_RELIDS);
	machine.last_signalled = *relid < SIM_RELIDS ? *relid : 0;
	return *relid < SIM_RELIDS && test_and_clear_bit(*relid, machine.signalled);
}

void sim_signal_again(u32 relid)
{
	set_bit(relid, machine.signalled);
	swake_up_one(&machine.wake);
}

void sim_wake(void)
{
	swake_up_one(&machine.wake);
}

bool sim_is_silent(void)
{
	return READ_ONCE(machine.silent);
}

/* Return: it is silent still. */
static bool stay_silent(void)
{
	unsigned long flags;
	unsigned int cpu;

	raw_spin_lock_irqsave(&machine.lock, flags);
	if (machine.silent && !time_before(jiffies, machine.silent_end)) {
		machine.silent = false;
		for_each_possible_cpu(cpu)
			resume_vp(per_cpu_ptr(&vps, cpu));
	}
	raw_spin_unlock_irqrestore(&machine.lock, flags);
	return machine.silent;
}

static bool work_waits(void)
{
	return kthread_should_stop() || READ_ONCE(machine.used) ||
	       READ_ONCE(machine.shared_event) || !bitmap_empty(machine.signalled, SIM_RELIDS);
}

static int host_thread(void *unused)
{
	static struct sim_post post;
	long patience;
	u32 relid;

	while (!kthread_should_stop()) {
		patience = sim_answers_wait() || sim_looks_at_pages() ? 1 : HZ / 10;
		swait_event_interruptible_timeout_exclusive(machine.wake, work_waits(), patience);
		free_delivered();
		if (stay_silent()) {
			schedule_timeout_interruptible(1);
			continue;
		}
		mutex_lock(&sim_model);
		while (sim_next_post(&post))
			sim_handle_post(&post);
		sim_send_due();
		if (xchg(&machine.shared_event, false) || sim_looks_at_pages())
			sim_look_at_pages();
		/* One round: a device that signals itself lets messages pass. */
		if (sim_next_signal(&relid))
			sim_handle_signal(relid);
		mutex_unlock(&sim_model);
		cond_resched();
	}
	return 0;
}

/* ---- what tests change ---- */

void sim_busy(unsigned int percent)
{
	machine.busy_percent = percent;
}

unsigned int sim_get_busy(void)
{
	return machine.busy_percent;
}

void sim_fail_posts(u32 type, int err, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	machine.fail.type = type;
	machine.fail.err = err;
	machine.fail.left = times;
	machine.fail.forever = !times;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

void sim_no_contact_port(bool missing)
{
	machine.no_contact_port = missing;
}

void sim_message_cpu(unsigned int cpu)
{
	machine.message_cpu = cpu;
}

void sim_pad_messages(u32 bytes)
{
	machine.padding = bytes;
}

void sim_silent(u32 ms)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	machine.silent_end = jiffies + msecs_to_jiffies(ms);
	machine.silent |= ms;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

void sim_mute(bool mute)
{
	machine.mute = mute;
}

void sim_lose_interrupts(u32 relid, bool flags_too)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&machine.lock, flags);
	machine.lost.relid = relid;
	machine.lost.flags_too = flags_too;
	raw_spin_unlock_irqrestore(&machine.lock, flags);
}

void sim_fail_synic_up(unsigned int cpu, int err)
{
	per_cpu(vps, cpu).up_error = err;
}

void sim_fail_attach(int err)
{
	machine.attach_error = err;
}

bool sim_synics_down(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (READ_ONCE(per_cpu(vps, cpu).up))
			return false;
	return true;
}

unsigned int sim_timers(void)
{
	return machine.timers;
}

void sim_upcall_crash(void)
{
	machine.upcalls->crash();
}

void sim_upcall_kexec(void)
{
	machine.upcalls->kexec();
}

/* ---- a machine for each test ---- */

static void vp_init(struct vp *vp, unsigned int cpu)
{
	struct synic *synic;

	vp->cpu = cpu;
	vp->up = false;
	vp->up_error = 0;
	vp->work = IRQ_WORK_INIT_HARD(enter_driver);
	INIT_CSD(&vp->csd, interrupt_here, vp);
	for (synic = vp->synics; synic < vp->synics + VMBUS_NR_SYNICS; synic++) {
		INIT_LIST_HEAD(&synic->queue);
		synic->slot = (void *)get_zeroed_page(GFP_KERNEL | __GFP_NOFAIL);
		synic->events = (void *)get_zeroed_page(GFP_KERNEL | __GFP_NOFAIL);
	}
}

static void vp_exit(struct vp *vp)
{
	struct synic *synic;

	for (synic = vp->synics; synic < vp->synics + VMBUS_NR_SYNICS; synic++) {
		free_messages(&synic->queue);
		free_page((unsigned long)synic->slot);
		free_page((unsigned long)synic->events);
	}
}

void sim_machine_init(u64 seed)
{
	unsigned int cpu;

	memset(&machine, 0, sizeof(machine));
	raw_spin_lock_init(&machine.lock);
	INIT_LIST_HEAD(&machine.delivered);
	init_swait_queue_head(&machine.wake);
	prandom_seed_state(&machine.random, seed);
	machine.busy_percent = 25;
	machine.signalled = bitmap_zalloc(SIM_RELIDS, GFP_KERNEL | __GFP_NOFAIL);
	for_each_possible_cpu(cpu)
		vp_init(per_cpu_ptr(&vps, cpu), cpu);
	machine.thread = kthread_run(host_thread, NULL, "sim_host");
}

void sim_machine_exit(void)
{
	unsigned int cpu;

	kthread_stop(machine.thread);
	free_delivered();
	for_each_possible_cpu(cpu)
		vp_exit(per_cpu_ptr(&vps, cpu));
	bitmap_free(machine.signalled);
}
