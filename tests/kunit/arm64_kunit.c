// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_arm64: the host's interrupt where it is one of the machine's, on a
 * private peripheral interrupt (PPI) of the GIC that nothing else has. arm64.c
 * alone is called: there is no Hyper-V below.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "files.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_arch.h"

/* INTID 18, which Hyper-V uses, too; in the device tree PPIs count from INTID 16. */
#define INTID		18
#define TREE_PPI	1
#define TREE_EDGE	1
#define TEXT		SZ_16K

static DEFINE_PER_CPU(unsigned int, interrupts);
static bool elsewhere;		/* not in hard interrupt */

static void on_interrupt(void)
{
	if (!in_hardirq())
		WRITE_ONCE(elsewhere, true);
	this_cpu_inc(interrupts);
}

static void nobody(void)
{
}

/* Linux' number of the PPI. */
static int map_ppi(struct kunit *test)
{
	struct of_phandle_args args = { .args_count = 3,
					.args = { TREE_PPI, INTID - 16, TREE_EDGE } };
	int irq;

	args.np = of_find_compatible_node(NULL, NULL, "arm,gic-v3");
	KUNIT_ASSERT_NOT_NULL(test, args.np);
	irq = irq_create_of_mapping(&args);
	of_node_put(args.np);
	KUNIT_ASSERT_GT(test, irq, 0);
	return irq;
}

struct on_cpu {
	int irq;
	union hv_synic_sint sint;
	int err;
};

static int go_up(void *context)
{
	struct on_cpu *on_cpu = context;

	on_cpu->sint.as_uint64 = 0;
	on_cpu->sint.auto_eoi = 1;
	vmbus_arch_sint_up(&on_cpu->sint);
	return 0;
}

static int go_down(void *context)
{
	vmbus_arch_sint_down();
	return 0;
}

/* As the host does it: the interrupt is pending on this CPU. */
static int raise(void *context)
{
	struct on_cpu *on_cpu = context;

	on_cpu->err = irq_set_irqchip_state(on_cpu->irq, IRQCHIP_STATE_PENDING, true);
	return 0;
}

static unsigned int taken(unsigned int cpu)
{
	return READ_ONCE(per_cpu(interrupts, cpu));
}

static void expect_taken(struct kunit *test, struct on_cpu *on_cpu, unsigned int at,
			 unsigned int more)
{
	unsigned int before[NR_CPUS], cpu;

	for_each_online_cpu(cpu)
		before[cpu] = taken(cpu);
	smp_call_on_cpu(at, raise, on_cpu, false);
	KUNIT_EXPECT_EQ(test, on_cpu->err, 0);
	if (more)
		KUNIT_EXPECT_TRUE(test, sim_wait(taken(at) == before[at] + 1));
	msleep(20);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_EQ(test, taken(cpu), before[cpu] + (cpu == at ? more : 0));
}

/* Each CPU takes its own from when its SINT is up until it is down. */
static void each_cpu_takes_its_own(struct kunit *test)
{
	struct on_cpu on_cpu = { .irq = map_ppi(test) };
	unsigned int cpu;

	KUNIT_ASSERT_EQ(test, vmbus_arch_listen(on_cpu.irq, on_interrupt), 0);
	for_each_online_cpu(cpu) {
		smp_call_on_cpu(cpu, go_up, &on_cpu, false);
		KUNIT_EXPECT_EQ(test, (int)on_cpu.sint.vector, INTID);
		KUNIT_EXPECT_EQ(test, (int)on_cpu.sint.auto_eoi, 0);
	}
	for_each_online_cpu(cpu) {
		expect_taken(test, &on_cpu, cpu, 1);
		/* It has been ended: there can be another one. */
		expect_taken(test, &on_cpu, cpu, 1);
	}
	KUNIT_EXPECT_FALSE(test, elsewhere);

	smp_call_on_cpu(1, go_down, NULL, false);
	expect_taken(test, &on_cpu, 1, 0);
	expect_taken(test, &on_cpu, 0, 1);
	/* What came meanwhile is not lost. */
	smp_call_on_cpu(1, go_up, &on_cpu, false);
	KUNIT_EXPECT_TRUE(test, sim_wait(taken(1) == 3));
	for_each_online_cpu(cpu)
		smp_call_on_cpu(cpu, go_down, NULL, false);
	vmbus_arch_deafen();
}

/* Under the name that the distribution's module gives it. */
static void seen_in_interrupts(struct kunit *test)
{
	char *text = kunit_kzalloc(test, TEXT, GFP_KERNEL), *line;
	struct on_cpu on_cpu = { .irq = map_ppi(test) };
	unsigned int count = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_EQ(test, vmbus_arch_listen(on_cpu.irq, on_interrupt), 0);
	KUNIT_ASSERT_GT(test, file_read("/proc/interrupts", text, TEXT), 0);
	line = strstr(text, "Hyper-V VMbus\n");
	KUNIT_EXPECT_NOT_NULL(test, line);
	while (line > text && line[-1] != '\n')
		line--;
	if (line)
		KUNIT_EXPECT_EQ(test, sscanf(line, "%u:", &count), 1);
	KUNIT_EXPECT_EQ(test, count, on_cpu.irq);
	vmbus_arch_deafen();
	memset(text, 0, TEXT);
	KUNIT_ASSERT_GT(test, file_read("/proc/interrupts", text, TEXT), 0);
	KUNIT_EXPECT_NULL(test, strstr(text, "Hyper-V VMbus"));
}

/* Firmware names none, or one that is somebody's: nothing is left, and it can be tried again. */
static void cannot_be_had(struct kunit *test)
{
	int irq = map_ppi(test);

	KUNIT_EXPECT_EQ(test, vmbus_arch_listen(0, nobody), -ENODEV);
	vmbus_arch_deafen();
	KUNIT_EXPECT_EQ(test, vmbus_arch_listen(NR_IRQS + SZ_1M, nobody), -EINVAL);
	vmbus_arch_deafen();
	KUNIT_ASSERT_EQ(test, vmbus_arch_listen(irq, nobody), 0);
	vmbus_arch_deafen();
	vmbus_arch_deafen();
	KUNIT_EXPECT_EQ(test, vmbus_arch_listen(irq, nobody), 0);
	vmbus_arch_deafen();
}

static void not_on_this_machine(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, vmbus_arch_found());
}

static struct kunit_case arm64_cases[] = {
	KUNIT_CASE(each_cpu_takes_its_own),
	KUNIT_CASE(seen_in_interrupts),
	KUNIT_CASE(cannot_be_had),
	KUNIT_CASE(not_on_this_machine),
	{}
};

struct kunit_suite arm64_suite = {
	.name = "hv_vmbus_arm64",
	.test_cases = arm64_cases,
};
