/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The suites, as Kbuild lists them: VMBUS_SUITES is SUITE(name) for each.
 *
 * They are not registered by kunit_test_suites(): KUnit of 6.1 runs those before
 * the module has its parameters, its directory in sysfs and its constructors.
 * main.c runs them instead.
 */
#ifndef _VMBUS_KUNIT_SUITES_H
#define _VMBUS_KUNIT_SUITES_H

#include <kunit/test.h>

#define SUITE(name)	extern struct kunit_suite name##_suite;
VMBUS_SUITES
#undef SUITE

#endif /* _VMBUS_KUNIT_SUITES_H */
