/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The suites, as Kbuild lists them.
 *
 * They are not registered by kunit_test_suites(): KUnit of 6.1 runs those before
 * the module has its parameters, its directory in sysfs and its constructors.
 * main.c runs them instead.
 */
#ifndef _VMBUS_KUNIT_SUITES_H
#define _VMBUS_KUNIT_SUITES_H

#include <kunit/test.h>

extern struct kunit_suite VMBUS_SUITES;

#endif /* _VMBUS_KUNIT_SUITES_H */
