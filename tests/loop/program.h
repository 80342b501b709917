/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest's programs share: they print lines of what they found, and end
 * with status 0 if all was as it should be.
 */
#ifndef _LOOP_PROGRAM_H
#define _LOOP_PROGRAM_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	printf("wrong: ");
	vprintf(format, args);
	printf(" (errno: %s)\n", strerror(err));
	va_end(args);
	exit(1);
}

#endif /* _LOOP_PROGRAM_H */
