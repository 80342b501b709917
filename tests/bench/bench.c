// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMBus operation costs.
 *
 * Binds hv-balloon's device, opens its channel and plays the host on the shared
 * memory: keeps the host's "do not signal me" mask set, moves read_index on,
 * places packets, raises the channel's event flag and calls the interrupt's
 * handler. So no exit to the hypervisor is in a figure. Of the bus driver, only
 * exported functions are called; the event-flags page is found as a host finds
 * it, through the SIEFP register.
 *
 * The unit is that of the TSC. Under QEMU's "-icount shift=0,sleep=off" it
 * counts instructions, see tests/bench/run.
 *
 *   insmod vmbus_bench.ko [samples=2000]           measures, then closes
 *   cat /sys/module/vmbus_bench/parameters/result  "<operation> <median> <min>"
 *
 * Actions: init measures, on the CPU that the channel interrupts; the channel
 * callback runs there too, and writes "callback" only. No locks: nothing else
 * happens until init is done, and afterwards nothing changes.
 */
#include <linux/bottom_half.h>
#include <linux/hyperv.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>
#include <asm/ptrace.h>
#include <asm/sync_bitops.h>
#include <asm/tsc.h>

#define RING_BYTES	(256 * 1024)
#define PACKET_MAX	(32 * 1024)
#define BATCH		8
#define MESSAGE_SINT	2

static unsigned int samples = 2000;
module_param(samples, uint, 0444);
MODULE_PARM_DESC(samples, "times each operation is measured (default 2000)");

static struct hv_device *device;
static u8 *buffer;		/* PACKET_MAX bytes, to send from and receive in */
static u64 overhead;		/* of reading the clock twice */

static struct {
	u64 when;
	unsigned int count;
} callback;

/* The clock is read around EXPR alone. */
#define TIMED(expr) ({					\
	u64 start_ = rdtsc_ordered();			\
	expr;						\
	rdtsc_ordered() - start_ - overhead;		\
})

/* ---- The host's side of the rings ---- */

static void host_takes_all(struct vmbus_channel *channel)
{
	struct hv_ring_buffer *rb = channel->outbound.ring_buffer;

	WRITE_ONCE(rb->read_index, READ_ONCE(rb->write_index));
	WRITE_ONCE(rb->interrupt_mask, 1);
}

static u32 ring_put(struct hv_ring_buffer_info *ring, u32 at, const void *from,
		    u32 len)
{
	u32 first = min(len, ring->ring_datasize - at);

	memcpy(ring->ring_buffer->buffer + at, from, first);
	memcpy(ring->ring_buffer->buffer, from + first, len - first);
	at += len;
	return at < ring->ring_datasize ? at : at - ring->ring_datasize;
}

static void host_sends(struct vmbus_channel *channel, u32 len)
{
	struct hv_ring_buffer_info *ring = &channel->inbound;
	u32 padded = ALIGN(len, 8);
	struct vmpacket_descriptor desc = {
		.type = VM_PKT_DATA_INBAND,
		.offset8 = sizeof(desc) >> 3,
		.len8 = (sizeof(desc) + padded) >> 3,
		.trans_id = 1,
	};
	u32 start = READ_ONCE(ring->ring_buffer->write_index);
	u64 trailer = (u64)start << 32;
	u32 at;

	at = ring_put(ring, start, &desc, sizeof(desc));
	at = ring_put(ring, at, buffer, padded);
	at = ring_put(ring, at, &trailer, sizeof(trailer));
	/* As on any ring: the packet before the index that publishes it. */
	smp_store_release(&ring->ring_buffer->write_index, at);
}

/* Sets the channel's event flag on this CPU. */
static void host_flags(struct vmbus_channel *channel)
{
	u64 siefp;
	void *page;

	rdmsrl(HV_X64_MSR_SIEFP, siefp);
	page = phys_to_virt(siefp & PAGE_MASK);
	sync_set_bit(channel->offermsg.child_relid,
		     page + MESSAGE_SINT * sizeof(union hv_synic_event_flags));
}

/* ---- The operations ---- */

static s64 send(struct vmbus_channel *channel, unsigned int len)
{
	int err;
	u64 cost;

	host_takes_all(channel);
	cost = TIMED(err = vmbus_sendpacket(channel, buffer, len, 1,
					    VM_PKT_DATA_INBAND, 0));
	return err ?: cost;
}

static s64 send_mpb(struct vmbus_channel *channel, unsigned int len)
{
	struct {
		struct vmbus_packet_mpb_array mpb;
		u64 pfn;
	} __packed desc = {
		.mpb.rangecount = 1,
		.mpb.range.len = PAGE_SIZE,
		.pfn = virt_to_hvpfn(buffer),
	};
	int err;
	u64 cost;

	host_takes_all(channel);
	cost = TIMED(err = vmbus_sendpacket_mpb_desc(channel, &desc.mpb,
						     sizeof(desc), buffer, len,
						     1));
	return err ?: cost;
}

static s64 recv(struct vmbus_channel *channel, unsigned int len)
{
	u32 actual = 0;
	u64 reqid;
	int err;
	u64 cost;

	host_sends(channel, len);
	cost = TIMED(err = vmbus_recvpacket(channel, buffer, PACKET_MAX,
					    &actual, &reqid));
	if (!err && actual != ALIGN(len, 8))
		err = -EBADMSG;
	return err ?: cost;
}

static s64 iterate(struct vmbus_channel *channel, unsigned int len)
{
	const struct vmpacket_descriptor *desc;
	unsigned int i, seen = 0;
	u64 cost;

	for (i = 0; i < BATCH; i++)
		host_sends(channel, len);
	cost = TIMED(foreach_vmbus_pkt(desc, channel) seen++);
	return seen == BATCH ? (s64)(cost / BATCH) : -EBADMSG;
}

static void on_channel(void *context)
{
	callback.when = rdtsc_ordered();
	callback.count++;
}

static void (*interrupt_handler)(struct pt_regs *regs);
static struct pt_regs interrupted;

/*
 * The kernel's handler of the hypervisor's vector, which calls the one that the
 * bus driver has registered. It has no exported name; a probe finds it.
 */
static int find_interrupt_handler(void)
{
	struct kprobe probe = { .symbol_name = "__sysvec_hyperv_callback" };
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	interrupt_handler = (void *)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

/*
 * Called, not raised: entry and exit of an interrupt are the kernel's own code
 * and the same for every bus driver. Soft interrupts follow at once, as they do
 * on the way out of an interrupt.
 */
static s64 interrupt(struct vmbus_channel *channel, unsigned int mode)
{
	u64 start, cost;

	if (channel->callback_mode != mode)
		set_channel_read_mode(channel, mode);
	callback.count = 0;
	host_flags(channel);
	local_bh_disable();
	start = rdtsc_ordered();
	interrupt_handler(&interrupted);
	cost = rdtsc_ordered() - start;
	local_irq_enable();
	local_bh_enable();
	local_irq_disable();
	if (callback.count != 1)
		return -EIO;
	if (mode != HV_CALL_ISR)
		cost = callback.when - start;
	return cost - overhead;
}

static const struct {
	const char *name;
	s64 (*measure)(struct vmbus_channel *channel, unsigned int arg);
	unsigned int arg;
} operations[] = {
	{ "sendpacket-16", send, 16 },
	{ "sendpacket-64", send, 64 },
	{ "sendpacket-1500", send, 1500 },
	{ "sendpacket_mpb_desc-64", send_mpb, 64 },
	{ "recvpacket-16", recv, 16 },
	{ "recvpacket-1500", recv, 1500 },
	{ "recvpacket-16384", recv, 16384 },
	{ "pkt_iter-16", iterate, 16 },
	{ "pkt_iter-1500", iterate, 1500 },
	{ "interrupt-isr", interrupt, HV_CALL_ISR },
	{ "interrupt-batched", interrupt, HV_CALL_BATCHED },
	{ "interrupt-direct", interrupt, HV_CALL_DIRECT },
};

/* Negative, -errno of the first call that went wrong; or the median, the least. */
static struct {
	s64 median, least;
} results[ARRAY_SIZE(operations)];

static int by_size(const void *a, const void *b)
{
	const s64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure(struct vmbus_channel *channel, unsigned int op, s64 *costs)
{
	unsigned int i;
	unsigned long flags;

	for (i = 0; i < samples; i++) {
		local_irq_save(flags);
		costs[i] = operations[op].measure(channel, operations[op].arg);
		local_irq_restore(flags);
		if (costs[i] < 0) {
			results[op].median = costs[i];
			return;
		}
		if (i % 64 == 0)
			cond_resched();
	}
	sort(costs, samples, sizeof(*costs), by_size, NULL);
	results[op].median = costs[samples / 2];
	results[op].least = costs[0];
}

static int measure_all(void *costs)
{
	struct vmbus_channel *channel = device->channel;
	unsigned long flags;
	u64 cost;
	unsigned int i;

	overhead = 0;
	local_irq_save(flags);
	cost = TIMED((void)0);
	for (i = 0; i < 100; i++)
		cost = min(cost, TIMED((void)0));
	local_irq_restore(flags);
	overhead = cost;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		measure(channel, i, costs);
	return 0;
}

static int bench_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	device = dev;
	return 0;
}

/* remove() returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL))
bench_remove(struct hv_device *dev)
{
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

static const struct hv_vmbus_device_id id_table[] = {
	{ HV_DM_GUID },
	{ },
};

static struct hv_driver bench_driver = {
	.name = "vmbus_bench",
	.id_table = id_table,
	.probe = bench_probe,
	.remove = bench_remove,
};

static int result_get(char *buf, const struct kernel_param *kp)
{
	int len = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		len += sysfs_emit_at(buf, len, "%s %lld %lld\n",
				     operations[i].name, results[i].median,
				     results[i].least);
	return len;
}

static const struct kernel_param_ops result_ops = {
	.get = result_get,
};
module_param_cb(result, &result_ops, NULL, 0444);
MODULE_PARM_DESC(result, "lines of: operation, median, least");

static int __init bench_init(void)
{
	struct vmbus_channel *channel;
	s64 *costs;
	int err;

	if (!samples)
		return -EINVAL;
	err = find_interrupt_handler();
	if (err)
		return err;
	costs = vmalloc(array_size(samples, sizeof(*costs)));
	buffer = kzalloc(PACKET_MAX, GFP_KERNEL);
	if (!costs || !buffer) {
		err = -ENOMEM;
		goto free;
	}
	err = vmbus_driver_register(&bench_driver);
	if (err)
		goto free;
	if (!device) {
		err = -ENODEV;
		goto unregister;
	}
	channel = device->channel;
	channel->max_pkt_size = PACKET_MAX;
	err = vmbus_open(channel, RING_BYTES, RING_BYTES, NULL, 0, on_channel,
			 channel);
	if (err)
		goto unregister;
	err = smp_call_on_cpu(channel->target_cpu, measure_all, costs, false);
	vmbus_close(channel);
	if (err)
		goto unregister;
	vfree(costs);
	return 0;

unregister:
	vmbus_driver_unregister(&bench_driver);
free:
	kfree(buffer);
	vfree(costs);
	return err;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	vmbus_driver_unregister(&bench_driver);
	kfree(buffer);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Measures what VMBus operations cost");
MODULE_LICENSE("GPL");
