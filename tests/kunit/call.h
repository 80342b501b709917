/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call that another thread makes while the test goes on.
 */
#ifndef _KUNIT_CALL_H
#define _KUNIT_CALL_H

#include <kunit/test.h>

/**
 * struct guest_call - one call
 * @fn: made with @arg
 * @arg: its argument
 * @result: what it returned, after the end
 * @took_ms: how long it took in jiffies, as deadlines are counted; likewise
 * @done: it ended
 */
struct guest_call {
	int (*fn)(void *arg);
	void *arg;
	int result;
	s64 took_ms;
	struct completion done;
};

/* What is begun has to be ended before the case may abort. */
struct guest_call *guest_call_begin(struct kunit *test, int (*fn)(void *arg), void *arg);
bool guest_call_ended(struct guest_call *call);
/* Waits for the end; the result. */
int guest_call_end(struct guest_call *call);

#endif /* _KUNIT_CALL_H */
