// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver reads the deadline of a request after it has prepared it, in the same
 * thread: a kprobe there sees what is to be asked, and sets the deadline.
 */
#include <linux/kprobes.h>
#include <linux/ptrace.h>

#include "in_vain.h"
#include "sim_host.h"
#include "../../include/vmbus_private.h"

static struct {
	u32 answer;
	u32 relid;
	unsigned int ms;
} vain[4];

static unsigned int nr_vain;

/* void vmbus_request_init(struct vmbus_request *, enum ..., u32 relid, u32 id) */
static int on_request(struct kprobe *kp, struct pt_regs *regs)
{
	u32 answer = regs_get_kernel_argument(regs, 1);
	u32 relid = regs_get_kernel_argument(regs, 2);
	unsigned int i, ms = SIM_ANSWERED_MS;

	for (i = 0; i < nr_vain; i++)
		if (vain[i].answer == answer && (!vain[i].relid || vain[i].relid == relid))
			ms = vain[i].ms;
	WRITE_ONCE(vmbus_deadlines.request, ms);
	return 0;
}

static struct kprobe probe;

void in_vain(struct kunit *test, u32 answer, u32 relid, unsigned int ms)
{
	int err;

	KUNIT_ASSERT_LT(test, nr_vain, ARRAY_SIZE(vain));
	vain[nr_vain].answer = answer;
	vain[nr_vain].relid = relid;
	vain[nr_vain].ms = ms;
	if (nr_vain++)
		return;
	probe = (struct kprobe){
		.addr = (kprobe_opcode_t *)vmbus_request_init,
		.pre_handler = on_request,
	};
	err = register_kprobe(&probe);
	if (err)
		nr_vain = 0;
	KUNIT_ASSERT_EQ(test, err, 0);
}

void in_vain_end(void)
{
	if (!nr_vain)
		return;
	unregister_kprobe(&probe);
	nr_vain = 0;
	vmbus_deadlines.request = SIM_ANSWERED_MS;
}
