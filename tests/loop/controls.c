// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a person needs to play a field report by hand: a host that is slow,
 * refuses, falls silent, or lets a device stand still.
 *
 * All is in the model and under its lock; the files only say what.
 *
 * Files in debugfs; WHICH is a relid, the GUID of an instance, or the name of a
 * type (loop_find()):
 *   rule	"TYPE ACTION [relid=N] [skip=N] [times=N]": what becomes of the guest's
 *		messages of a type, by name (rule_types) or number; all, or the
 *		next @times after @skip. The first rule that matches decides.
 *		ACTION: delay=MS, hold, drop (done, never answered), ignore (as if
 *		never received), refuse or refuse=STATUS
 *		"none": no rules from now on; what is held stays so until "release"
 *   rules	the rules, and how many times each still holds
 *   release	write anything: answers that were held go out
 *   busy	percent of the guest's posts that the host refuses (25)
 *   silent	write ms, up to 600000: so long the host takes nothing and sends
 *		nothing, then it goes on; 0 ends it. Read: 1 while it is
 *   deaf	1: what the guest posts and signals from now on is lost; 0: ends it
 *   freeze	WHICH or "all": the host neither reads nor writes its rings
 *   fill	WHICH, open: the same, and the guest finds its ring full at once
 *   thaw	WHICH or "all": both end
 *   lose_interrupts	WHICH: the host interrupts the guest for it no more;
 *		"WHICH flags": sets no event flag either; "none": ends it
 *   deadline	ms that the guest waits for an answer (60000)
 *   interrupt	WHICH: the host interrupts the guest for it once more
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "../../include/vmbus_private.h"
#include "loop.h"
#include "sim_host.h"

#define SILENT_MAX_MS	600000
#define DELAY_MAX_MS	600000
#define STATUS_FAILED	0x8000ffff

/* ---- rules ---- */

#define ANY	(BIT(SIM_ANSWER) | BIT(SIM_DROP) | BIT(SIM_IGNORE) | BIT(SIM_HOLD))

/* The guest's messages that are answered, and what can become of the answer. */
static const struct {
	const char *name;
	u32 type;
	u32 actions;
} rule_types[] = {
	{ "request_offers", SIM_REQUEST_OFFERS, ANY },
	{ "open", SIM_OPEN, ANY | BIT(SIM_REFUSE) },
	{ "close", SIM_CLOSE, BIT(SIM_IGNORE) },
	{ "gpadl", SIM_GPADL_HEADER, ANY | BIT(SIM_REFUSE) },
	{ "gpadl_body", SIM_GPADL_BODY, BIT(SIM_IGNORE) },
	{ "gpadl_teardown", SIM_GPADL_TEARDOWN, ANY },
	{ "contact", SIM_CONTACT, ANY | BIT(SIM_REFUSE) },
	{ "unload", SIM_UNLOAD, ANY },
	{ "tl_connect", SIM_TL_CONNECT, BIT(SIM_IGNORE) },
	{ "modify", SIM_MODIFY, ANY | BIT(SIM_REFUSE) },
};

static const char * const action_names[] = {
	[SIM_ANSWER] = "delay", [SIM_DROP] = "drop", [SIM_IGNORE] = "ignore", [SIM_HOLD] = "hold",
	[SIM_REFUSE] = "refuse",
};

static int parse_type(const char *word, struct sim_rule *rule, u32 *actions)
{
	unsigned int i;
	u32 type = 0;

	if (kstrtou32(word, 0, &type))
		type = 0;
	for (i = 0; i < ARRAY_SIZE(rule_types); i++) {
		if (rule_types[i].type != type && strcmp(rule_types[i].name, word))
			continue;
		rule->type = rule_types[i].type;
		*actions = rule_types[i].actions;
		return 0;
	}
	/* There are others, which have no answer. */
	return type && type < SIM_NR_TYPES ? -EOPNOTSUPP : -EINVAL;
}

static int parse_action(char *word, struct sim_rule *rule, u32 actions)
{
	char *number = strchr(word, '=');
	int action, err;
	u32 value = 0;

	if (number)
		*number++ = '\0';
	action = match_string(action_names, ARRAY_SIZE(action_names), word);
	if (action < 0)
		return -EINVAL;
	if (!(actions & BIT(action)))
		return -EOPNOTSUPP;
	rule->action = action;
	/* A delay has a number, a refusal may have one. */
	if (number ? action != SIM_ANSWER && action != SIM_REFUSE : action == SIM_ANSWER)
		return -EINVAL;
	err = number ? kstrtou32(number, 0, &value) : 0;
	if (err)
		return err;
	if (action == SIM_ANSWER && (!value || value > DELAY_MAX_MS))
		return -ERANGE;
	if (action == SIM_ANSWER)
		rule->delay_ms = value;
	else if (rule->type != SIM_CONTACT)
		rule->status = number ? value : STATUS_FAILED;
	else
		rule->status = value;	/* 0: "this version is not supported" */
	return 0;
}

static int parse_option(char *word, struct sim_rule *rule)
{
	static const char * const options[] = { "relid", "skip", "times" };
	u32 * const values[] = { &rule->relid, &rule->skip, &rule->times };
	char *number = strchr(word, '=');
	int which, err;

	if (!number)
		return -EINVAL;
	*number++ = '\0';
	which = match_string(options, ARRAY_SIZE(options), word);
	if (which < 0)
		return -EINVAL;
	err = kstrtou32(number, 0, values[which]);
	if (err)
		return err;
	return rule->relid < SIM_RELIDS ? 0 : -ERANGE;
}

static int rule(char *line)
{
	struct sim_rule rule = {};
	char *word;
	u32 actions;
	int err;

	if (!strcmp(line, "none")) {
		sim_clear_rules();
		return 0;
	}
	word = strsep(&line, " ");
	err = parse_type(word, &rule, &actions);
	if (err)
		return err;
	word = strsep(&line, " ");
	if (!word)
		return -EINVAL;
	err = parse_action(word, &rule, actions);
	while (!err && (word = strsep(&line, " ")))
		err = *word ? parse_option(word, &rule) : 0;
	return err ?: sim_try_rule(&rule);
}

LOOP_COMMAND(rule);

static const char *type_name(u32 type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rule_types); i++)
		if (rule_types[i].type == type)
			return rule_types[i].name;
	return "?";
}

static int rules_show(struct seq_file *file, void *unused)
{
	struct sim_rule rule;
	unsigned int i;

	for (i = 0; sim_get_rule(i, &rule); i++) {
		if (!rule.times || rule.action >= ARRAY_SIZE(action_names))
			continue;
		seq_printf(file, "%s %s", type_name(rule.type), action_names[rule.action]);
		if (rule.action == SIM_ANSWER)
			seq_printf(file, "=%u", rule.delay_ms);
		else if (rule.action == SIM_REFUSE)
			seq_printf(file, "=0x%x", rule.status);
		if (rule.relid)
			seq_printf(file, " relid=%u", rule.relid);
		if (rule.skip)
			seq_printf(file, " skip=%u", rule.skip);
		if (rule.times != U32_MAX)
			seq_printf(file, " times=%u", rule.times);
		seq_putc(file, '\n');
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rules);

static int release(char *line)
{
	sim_release_held();
	return 0;
}

LOOP_COMMAND(release);

/* ---- the host ---- */

static int get_busy(void *data, u64 *value)
{
	*value = sim_get_busy();
	return 0;
}

static int set_busy(void *data, u64 value)
{
	/* With 100 nothing would ever get through, not even UNLOAD. */
	if (value > 99)
		return -ERANGE;
	sim_busy(value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(busy_fops, get_busy, set_busy, "%llu\n");

static int get_silent(void *data, u64 *value)
{
	*value = sim_is_silent();
	return 0;
}

static int set_silent(void *data, u64 ms)
{
	if (ms > SILENT_MAX_MS)
		return -ERANGE;
	sim_silent(ms);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(silent_fops, get_silent, set_silent, "%llu\n");

static int get_deaf(void *data, u64 *value)
{
	*value = sim_is_deaf();
	return 0;
}

static int set_deaf(void *data, u64 value)
{
	if (value > 1)
		return -ERANGE;
	sim_deaf(value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(deaf_fops, get_deaf, set_deaf, "%llu\n");

/* ---- rings, interrupts ---- */

static int freeze_or_thaw(char *which, void (*act)(struct sim_chan *chan))
{
	bool all = !strcmp(which, "all");
	struct sim_chan *chan;
	int err = 0;
	u32 relid;

	sim_lock();
	for (relid = 1; all && relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		if (chan)
			act(chan);
	}
	if (!all) {
		chan = loop_find_locked(which, &err);
		if (chan)
			act(chan);
	}
	sim_unlock();
	return err;
}

static int freeze(char *which)
{
	return freeze_or_thaw(which, sim_freeze_locked);
}

LOOP_COMMAND(freeze);

static int thaw(char *which)
{
	return freeze_or_thaw(which, sim_thaw_locked);
}

LOOP_COMMAND(thaw);

/* Of a device or channel that the guest can have. */
static int find_relid(const char *which, u32 *relid)
{
	const struct sim_chan *chan;
	int err = 0;

	sim_lock();
	chan = loop_find_locked(which, &err);
	if (chan)
		*relid = chan->relid;
	sim_unlock();
	return err;
}

static int fill(char *which)
{
	u32 relid;
	int err = find_relid(which, &relid);

	if (err)
		return err;
	err = sim_fill(relid);
	/* It was there a moment ago, so it is not open. */
	return err == -ENODEV ? -ENOTCONN : err;
}

LOOP_COMMAND(fill);

static int lose_interrupts(char *line)
{
	char *which = strsep(&line, " ");
	u32 relid = 0;
	int err = 0;

	if (line && strcmp(line, "flags"))
		return -EINVAL;
	if (strcmp(which, "none"))
		err = find_relid(which, &relid);
	else if (line)
		err = -EINVAL;
	if (!err)
		sim_lose_interrupts(relid, line);
	return err;
}

LOOP_COMMAND(lose_interrupts);

static int interrupt(const char *which)
{
	struct sim_chan *chan;
	int err;

	sim_lock();
	chan = loop_find_locked(which, &err);
	if (chan && !chan->open)
		err = -ENOTCONN;
	else if (chan)
		sim_interrupt_locked(chan);
	sim_unlock();
	return err;
}

LOOP_COMMAND(interrupt);

void loop_controls_files(struct dentry *dir)
{
	debugfs_create_file("rule", 0200, dir, NULL, &rule_fops);
	debugfs_create_file("rules", 0400, dir, NULL, &rules_fops);
	debugfs_create_file("release", 0200, dir, NULL, &release_fops);
	debugfs_create_file("busy", 0600, dir, NULL, &busy_fops);
	debugfs_create_file("silent", 0600, dir, NULL, &silent_fops);
	debugfs_create_file("deaf", 0600, dir, NULL, &deaf_fops);
	debugfs_create_u32("deadline", 0600, dir, &vmbus_deadlines.request);
	debugfs_create_file("freeze", 0200, dir, NULL, &freeze_fops);
	debugfs_create_file("fill", 0200, dir, NULL, &fill_fops);
	debugfs_create_file("thaw", 0200, dir, NULL, &thaw_fops);
	debugfs_create_file("interrupt", 0200, dir, NULL, &interrupt_fops);
	debugfs_create_file("lose_interrupts", 0200, dir, NULL, &lose_interrupts_fops);
}
