/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much the driver says: a console that counts lines, because what a host
 * provokes must be rate-limited.
 */
#ifndef _KUNIT_LOG_WATCH_H
#define _KUNIT_LOG_WATCH_H

#include <kunit/test.h>

void log_watch_begin(void);
/*
 * The test fails if a rate-limited line came more often than the kernel lets it,
 * or more than @others lines that are not limited. Return: all lines.
 */
unsigned int log_watch_end(struct kunit *test, unsigned int others);

#endif /* _KUNIT_LOG_WATCH_H */
