// SPDX-License-Identifier: GPL-2.0-only
#include <linux/console.h>
#include <linux/jiffies.h>
#include <linux/ratelimit.h>
#include <linux/string.h>

#include "log_watch.h"

/* One for each line of the driver that a host can provoke. */
static struct {
	const char *text;
	unsigned int lines;
} limited[] = {
	{ "from the host ignored" },
	{ "rescind of relid" },
	{ "offered while it is in use" },
	{ "refused: -" },
	{ "that nobody asked for ignored" },
	{ "Unknown GUID" },
	{ "unable to add child device object" },
	{ "unable to add sub-channel" },
	{ "host refused to open it" },
	{ "Failed to establish GPADL" },
	{ "Close failed" },
	{ "the host corrupted the inbound ring" },
	{ "the host corrupted the outbound ring" },
	{ "callbacks suppressed" },
};

static unsigned int others, all;
static unsigned long began;

/* One record at a time, under the console lock. */
static void count_line(struct console *console, const char *text, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limited); i++) {
		if (strnstr(text, limited[i].text, len)) {
			limited[i].lines++;
			all++;
			return;
		}
	}
	if (strnstr(text, KBUILD_MODNAME ": ", len)) {
		others++;
		all++;
	}
}

static struct console watch = {
	.name = "vmbuslog",
	.write = count_line,
};

void log_watch_begin(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limited); i++)
		limited[i].lines = 0;
	others = 0;
	all = 0;
	began = jiffies;
	/* Without being asked for on the command line. */
	watch.flags = CON_ENABLED;
	watch.index = -1;
	register_console(&watch);
	pr_info(KBUILD_MODNAME ": lines are counted from here\n");
}

unsigned int log_watch_end(struct kunit *test, unsigned int most_others)
{
	unsigned int windows, i, most;

	unregister_console(&watch);
	windows = (jiffies - began) / DEFAULT_RATELIMIT_INTERVAL + 2;
	for (i = 0; i < ARRAY_SIZE(limited); i++) {
		most = windows * DEFAULT_RATELIMIT_BURST;
		/* The kernel's own remark, once for each place and window. */
		if (i == ARRAY_SIZE(limited) - 1)
			most = windows * ARRAY_SIZE(limited);
		KUNIT_EXPECT_LE_MSG(test, limited[i].lines, most, "\"%s\"", limited[i].text);
	}
	/* The one of log_watch_begin() shows that lines are seen at all. */
	KUNIT_EXPECT_GT(test, others, 0);
	KUNIT_EXPECT_LE(test, others, most_others + 1);
	return all;
}
