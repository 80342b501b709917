// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated host as its users see it: its life, rules, what there is to look
 * at. No test framework: a module that only wants the host links it, too.
 */
#include <linux/kernel.h>
#include <linux/kmsg_dump.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../../include/vmbus_private.h"
#include "sim_internal.h"

struct sim_state host;
DEFINE_MUTEX(sim_model);	/* struct sim_state, channels, rings */

const struct sim_version sim_versions[] = {
	{ SIM_V(2, 4), "2.4" },
	{ SIM_V(3, 0), "3.0" },
	{ SIM_V(4, 0), "4.0" },
	{ SIM_V(4, 1), "4.1" },
	{ SIM_V(5, 0), "5.0" },
	{ SIM_V(5, 1), "5.1" },
	{ SIM_V(5, 2), "5.2" },
	{ SIM_V(5, 3), "5.3" },
	{ SIM_V(6, 0), "6.0" },
};

const unsigned int sim_nr_versions = ARRAY_SIZE(sim_versions);

#define KEYBOARD	GUID_INIT(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, \
				  0xa6, 0x1c, 0x76, 0x84)
#define NOBODY		GUID_INIT(0x12345678, 0x1234, 0x5678, 0x12, 0x34, 0x56, 0x78, \
				  0x9a, 0xbc, 0xde, 0xf0)
#define HEARTBEAT	GUID_INIT(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, \
				  0x3b, 0xd5, 0x42, 0x2d)
#define SHUTDOWN	GUID_INIT(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, \
				  0x0c, 0xed, 0x39, 0xdb)

guid_t sim_type_plain = KEYBOARD;
guid_t sim_type_unknown = NOBODY;
const guid_t sim_type_perf = GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2,
				       0xff, 0xb1, 0xdc, 0x7f);

void sim_choose_types(bool isolated)
{
	sim_type_plain = isolated ? HEARTBEAT : KEYBOARD;
	sim_type_unknown = isolated ? SHUTDOWN : NOBODY;
}

void sim_lock(void)
{
	mutex_lock(&sim_model);
}

void sim_unlock(void)
{
	mutex_unlock(&sim_model);
}

void sim_violation(const char *format, ...)
{
	struct va_format vaf = { .fmt = format };
	va_list args;

	if (host.violations < ARRAY_SIZE(host.formats))
		host.formats[host.violations] = format;
	WRITE_ONCE(host.violations, host.violations + 1);
	va_start(args, format);
	vaf.va = &args;
	if (!host.allow_violations)
		pr_err("sim_host: the guest is wrong: %pV\n", &vaf);
	va_end(args);
}

unsigned int sim_violations(void)
{
	return READ_ONCE(host.violations);
}

bool sim_found(const char *text)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, sim_violations(), ARRAY_SIZE(host.formats)); i++)
		if (strstr(host.formats[i], text))
			return true;
	return false;
}

/* ---- rules ---- */

static void forget_used_rules(void)
{
	unsigned int i, left = 0;

	for (i = 0; i < host.nr_rules; i++)
		if (host.rules[i].times)
			host.rules[left++] = host.rules[i];
	host.nr_rules = left;
}

int sim_try_rule(const struct sim_rule *rule)
{
	int err = -ENOSPC;

	sim_lock();
	if (host.nr_rules == SIM_MAX_RULES)
		forget_used_rules();
	if (host.nr_rules < SIM_MAX_RULES) {
		host.rules[host.nr_rules] = *rule;
		if (!rule->times)
			host.rules[host.nr_rules].times = U32_MAX;
		host.nr_rules++;
		err = 0;
	}
	sim_unlock();
	return err;
}

bool sim_get_rule(unsigned int index, struct sim_rule *rule)
{
	bool found;

	sim_lock();
	found = index < host.nr_rules;
	if (found)
		*rule = host.rules[index];
	sim_unlock();
	return found;
}

void sim_rule(const struct sim_rule *rule)
{
	WARN_ON(sim_try_rule(rule));
}

void sim_clear_rules(void)
{
	sim_lock();
	host.nr_rules = 0;
	sim_unlock();
}

/* ---- looking ---- */

u32 sim_connection_id(void)
{
	return host.connection_id;
}

void sim_overhear(void (*listen)(bool to_guest, u32 connection_id, const void *payload, u32 len))
{
	sim_lock();
	host.overhears = listen;
	sim_unlock();
}

unsigned int sim_received(u32 type)
{
	return READ_ONCE(host.received[type]);
}

unsigned int sim_received_all(u32 type)
{
	/* A message is counted when its handler is done. */
	sim_lock();
	sim_unlock();
	return sim_received(type);
}

u32 sim_received_message(u32 type, unsigned int nth, void *payload, u32 size)
{
	unsigned int i;
	u32 len = 0;

	sim_lock();
	for (i = 0; i < min_t(unsigned int, host.nr_log, SIM_MAX_LOG); i++) {
		if (host.log[i].type != type || nth--)
			continue;
		len = host.log[i].len;
		memcpy(payload, host.log[i].payload, min(size, len));
		break;
	}
	sim_unlock();
	return len;
}

u32 sim_held_message(void *payload, u32 size)
{
	struct sim_message *msg;
	u32 len = 0;

	sim_lock();
	msg = list_first_entry_or_null(&host.held, struct sim_message, node);
	if (msg) {
		len = msg->size;
		memcpy(payload, msg->payload, min(size, len));
	}
	sim_unlock();
	return len;
}

void sim_undo_unload(void)
{
	sim_lock();
	if (host.unloaded)
		host.version = host.unloaded_version;
	host.unloaded = false;
	sim_unlock();
}

unsigned int sim_triggers(const struct sim_chan *chan)
{
	return READ_ONCE(host.triggers[chan->relid]);
}

u64 sim_log_mark(void)
{
	struct kmsg_dump_iter iter;

	kmsg_dump_rewind(&iter);
	return iter.next_seq;
}

unsigned int sim_log_lines(u64 mark, const char *text)
{
	struct kmsg_dump_iter iter;
	static char line[512];
	unsigned int count = 0;
	size_t len;

	kmsg_dump_rewind(&iter);
	iter.cur_seq = max(iter.cur_seq, mark);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		count += !!strstr(line, text);
	}
	return count;
}

unsigned int sim_gpadls(void)
{
	struct sim_gpadl *gpadl;
	unsigned int count = 0;

	sim_lock();
	list_for_each_entry(gpadl, &host.gpadls, node)
		count++;
	sim_unlock();
	return count;
}

u32 sim_gpadl_pages(u32 handle)
{
	struct sim_gpadl *gpadl;
	u32 pages;

	sim_lock();
	gpadl = sim_find_gpadl(handle);
	pages = gpadl ? gpadl->nr_pages : 0;
	sim_unlock();
	return pages;
}

u64 sim_gpadl_pfn(u32 handle, u32 index)
{
	struct sim_gpadl *gpadl;
	u64 pfn;

	sim_lock();
	gpadl = sim_find_gpadl(handle);
	pfn = gpadl && index < gpadl->known ? gpadl->pfns[index] : 0;
	sim_unlock();
	return pfn;
}

u32 sim_gpadl_runs_locked(u32 handle, u32 *pages)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(handle);
	u32 i, runs = 0;

	*pages = gpadl ? gpadl->known : 0;
	for (i = 0; i < *pages; i++)
		runs += !i || gpadl->pfns[i] != gpadl->pfns[i - 1] + 1;
	return runs;
}

void sim_short_version_response(u32 len)
{
	host.version_len = len;
}

u32 sim_which_version(u32 version)
{
	if (version != SIM_USUAL)
		return version;
	return sim_confidential() ? SIM_V(6, 0) : SIM_V(5, 3);
}

void sim_claim_features(u32 features)
{
	host.claims = true;
	host.claimed = features;
}

u32 sim_asked_features(void)
{
	return host.asked;
}

u32 sim_agreed_features(void)
{
	return host.features;
}

void sim_keep_handles(bool keep)
{
	host.keeps_handles = keep;
}

void sim_linger(u32 ms)
{
	host.linger_ms = ms;
	if (!ms)
		WRITE_ONCE(host.lingers, false);
}

bool sim_lingers(void)
{
	/* Pairs with the release in begin_to_linger(). */
	return smp_load_acquire(&host.lingers) && time_before(jiffies, host.linger_end);
}

void sim_offer_unasked(bool again)
{
	host.offers_unasked = true;
	host.offers_again = again;
}

void sim_take_request(void)
{
	sim_lock();
	host.wants_offers = false;
	sim_unlock();
}

bool sim_gone(struct sim_chan *chan)
{
	bool gone;

	sim_lock();
	gone = chan->released;
	sim_unlock();
	return gone;
}

/* ---- its life ---- */

bool sim_running(void)
{
	return host.running;
}

void sim_allow_violations(void)
{
	host.allow_violations = true;
}

void sim_allow_no_unload(void)
{
	host.allow_no_unload = true;
}

int sim_begin(u64 seed)
{
	memset(&host, 0, sizeof(host));
	INIT_LIST_HEAD(&host.gpadls);
	INIT_LIST_HEAD(&host.delayed);
	INIT_LIST_HEAD(&host.held);
	host.log = vzalloc(array_size(SIM_MAX_LOG, sizeof(*host.log)));
	if (!host.log)
		return -ENOMEM;
	sim_machine_init(seed);
	sim_visible_init();
	sim_private_init();
	return 0;
}

int sim_connect(u32 version, u32 max)
{
	int err;

	/* One that did not stop, or should not have started, fails no other test. */
	if (host.running)
		return -EALREADY;
	host.max_version = version;
	err = vmbus_start(sim_ops(), max);
	host.running = !err;
	return err;
}

bool sim_disconnect(void)
{
	u32 version;

	if (!host.running)
		return true;
	sim_lock();
	version = host.version;
	sim_unlock();
	vmbus_stop();
	host.running = false;
	return version < SIM_V(3, 0) || host.allow_no_unload || host.unloaded;
}

void sim_set_version(u32 version)
{
	sim_lock();
	host.max_version = sim_which_version(version);
	sim_unlock();
}

void sim_forget_guest(void)
{
	u32 relid;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		struct sim_chan *chan = host.chans[relid];

		if (!chan)
			continue;
		sim_close_chan(chan);
		chan->offered = false;
		chan->rescinded = false;
		chan->released = false;
	}
	sim_free_gpadls_of(0);
	sim_leave_connection();
	host.version = 0;
	host.features = 0;
	host.wants_offers = false;
	sim_unlock();
}

static void free_list(struct list_head *list)
{
	struct sim_message *msg, *next;

	list_for_each_entry_safe(msg, next, list, node)
		kfree(msg);
}

void sim_end(void)
{
	u32 relid;

	sim_machine_exit();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		if (!host.chans[relid])
			continue;
		sim_close_chan(host.chans[relid]);
		kfree(host.chans[relid]);
	}
	sim_free_gpadls_of(0);
	sim_leave_connection();
	sim_private_exit();
	sim_visible_exit();
	free_list(&host.delayed);
	free_list(&host.held);
	vfree(host.log);
	host.log = NULL;
}
