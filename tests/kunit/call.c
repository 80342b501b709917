// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>

#include "call.h"

static int call_thread(void *data)
{
	struct guest_call *call = data;
	unsigned long begin = jiffies;

	call->result = call->fn(call->arg);
	call->took_ms = jiffies_to_msecs(jiffies - begin);
	/* The test may end at once, and the module with it. */
	kthread_complete_and_exit(&call->done, 0);
}

struct guest_call *guest_call_begin(struct kunit *test, int (*fn)(void *arg), void *arg)
{
	struct guest_call *call = kunit_kzalloc(test, sizeof(*call), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, call);
	call->fn = fn;
	call->arg = arg;
	init_completion(&call->done);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(call_thread, call, "guest_call")));
	return call;
}

bool guest_call_ended(struct guest_call *call)
{
	return completion_done(&call->done);
}

int guest_call_end(struct guest_call *call)
{
	wait_for_completion(&call->done);
	/* For whoever asks again. */
	complete_all(&call->done);
	return call->result;
}
