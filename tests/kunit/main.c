// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test module: runs the suites that were asked for while it is loaded.
 *
 *   insmod hv_vmbus_kunit.ko [only=SUITE,SUITE] [except=SUITE,SUITE]
 */
#include <linux/module.h>
#include <linux/string.h>

#include "suites.h"

static char *only;
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "suites to run, separated by commas (default: all)");

static char *except;
module_param(except, charp, 0444);
MODULE_PARM_DESC(except, "suites not to run, separated by commas");

static struct kunit_suite * const all[] = { VMBUS_SUITE_POINTERS };
static struct kunit_suite *chosen[ARRAY_SIZE(all)];
static int nr_chosen;

/* The next name of a list and its length; 0 at the end. */
static size_t next_name(const char **list, const char **name)
{
	size_t len;

	if (!*list || !**list)
		return 0;
	len = strcspn(*list, ",");
	*name = *list;
	*list += len + ((*list)[len] == ',');
	return len;
}

static bool listed(const char *list, const char *suite)
{
	const char *name;
	size_t len;

	while ((len = next_name(&list, &name)))
		if (len == strlen(suite) && !strncmp(name, suite, len))
			return true;
	return false;
}

/* A misspelt name must not pass for a suite without failures. */
static bool only_known(void)
{
	const char *list = only;
	const char *name;
	size_t i, len;

	while ((len = next_name(&list, &name))) {
		for (i = 0; i < ARRAY_SIZE(all); i++)
			if (len == strlen(all[i]->name) && !strncmp(name, all[i]->name, len))
				break;
		if (i == ARRAY_SIZE(all)) {
			pr_err("no suite %.*s\n", (int)len, name);
			return false;
		}
	}
	return true;
}

static int __init vmbus_kunit_init(void)
{
	size_t i;

	if (!only_known())
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(all); i++)
		if ((!only || listed(only, all[i]->name)) && !listed(except, all[i]->name))
			chosen[nr_chosen++] = all[i];
	pr_info("KTAP version 1\n");
	pr_info("1..%d\n", nr_chosen);
	return VMBUS_RUN_SUITES(chosen, nr_chosen);
}

static void __exit vmbus_kunit_exit(void)
{
	__kunit_test_suites_exit(chosen, nr_chosen);
}

module_init(vmbus_kunit_init);
module_exit(vmbus_kunit_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites for the VMBus bus driver");
