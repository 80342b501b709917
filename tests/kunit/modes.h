/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cases for each of the ways in which a channel's callback is called:
 * KUNIT_CASE_PARAM(name, modes_gen_params), struct mode in test->param_value.
 */
#ifndef _KUNIT_MODES_H
#define _KUNIT_MODES_H

#include <kunit/test.h>
#include <linux/hyperv.h>
#include <linux/string.h>

static const struct mode {
	enum hv_callback_mode mode;
	const char *name;
} modes[] = {
	{ HV_CALL_BATCHED, "batched" },
	{ HV_CALL_DIRECT, "direct" },
	{ HV_CALL_ISR, "isr" },
};

static void mode_name(const struct mode *mode, char *desc)
{
	strscpy(desc, mode->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(modes, modes, mode_name);

#endif /* _KUNIT_MODES_H */
