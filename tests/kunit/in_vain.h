/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests that the guest makes in vain, among others that the host answers: the
 * former alone have a short deadline. So a case that waits for the deadline is
 * quick, and no answer is late, however long the host's thread stands still.
 */
#ifndef _KUNIT_IN_VAIN_H
#define _KUNIT_IN_VAIN_H

#include <kunit/test.h>

/* For whoever waits for nothing else meanwhile. */
#define IN_VAIN_MS	300

/*
 * From now on the driver waits @ms for an answer of type @answer (CHANNELMSG_ ...)
 * about channel @relid, or any if that is 0, and SIM_ANSWERED_MS for each other.
 * There may be several. Exact while one thread at a time makes requests.
 */
void in_vain(struct kunit *test, u32 answer, u32 relid, unsigned int ms);
/* All have SIM_ANSWERED_MS again. sim_exit() does it, too. */
void in_vain_end(void);

#endif /* _KUNIT_IN_VAIN_H */
