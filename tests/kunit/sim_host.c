// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated VMBus host: its model of the protocol, what it answers, and
 * what it finds wrong with the guest.
 *
 * sim_model protects everything here.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../../include/vmbus_private.h"
#include "sim_internal.h"

#define MAX_RULES	16
#define MAX_LOG		4096
#define HEADER_PFNS	26
#define BODY_PFNS	28
/* What real hosts answer to a bad GPADL. */
#define STATUS_FAILED	0x8000ffff

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of everything random; 0 takes one and prints it");

struct gpadl {
	struct list_head node;
	u32 handle;
	u32 relid;
	u32 nr_pages;
	u32 known;		/* page numbers that have come */
	u32 bodies;
	bool ignored;		/* by a rule */
	bool torn;		/* TORNDOWN is on its way or withheld */
	struct sim_rule rule;
	u64 *pfns;
};

struct logged {
	u32 type;
	u32 len;
	u8 payload[SIM_PAYLOAD];
};

static struct {
	struct kunit *test;
	u32 max_version;
	u32 version;		/* agreed; 0: not connected */
	u32 connection_id;
	u32 version_len;
	bool contacted, wants_offers, unloaded;
	bool running;
	bool allow_violations, allow_no_unload;
	unsigned int violations;
	struct sim_rule rules[MAX_RULES];
	unsigned int nr_rules;
	struct list_head gpadls;
	struct list_head delayed, held;
	struct sim_chan *chans[SIM_RELIDS];
	struct logged *log;
	unsigned int nr_log;
	unsigned int received[SIM_NR_TYPES];
} host;

DEFINE_MUTEX(sim_model);

const struct sim_version sim_versions[] = {
	{ SIM_V(2, 4), "2.4" },
	{ SIM_V(3, 0), "3.0" },
	{ SIM_V(4, 0), "4.0" },
	{ SIM_V(4, 1), "4.1" },
	{ SIM_V(5, 0), "5.0" },
	{ SIM_V(5, 1), "5.1" },
	{ SIM_V(5, 2), "5.2" },
	{ SIM_V(5, 3), "5.3" },
};

const unsigned int sim_nr_versions = ARRAY_SIZE(sim_versions);

static void version_desc(const struct sim_version *version, char *desc)
{
	strscpy(desc, version->name, KUNIT_PARAM_DESC_SIZE);
}

static const void *versions_gen_params(const void *prev, char *desc)
{
	const struct sim_version *next = prev ? (const struct sim_version *)prev + 1 : sim_versions;

	if (next == sim_versions + sim_nr_versions)
		return NULL;
	version_desc(next, desc);
	return next;
}

const void *sim_versions_gen_params(const void *prev, char *desc)
{
	return versions_gen_params(prev, desc);
}

const guid_t sim_type_plain = GUID_INIT(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27,
					0xa6, 0x1c, 0x76, 0x84);
const guid_t sim_type_perf = GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2,
				       0xff, 0xb1, 0xdc, 0x7f);
const guid_t sim_type_unknown = GUID_INIT(0x12345678, 0x1234, 0x5678, 0x12, 0x34, 0x56, 0x78,
					  0x9a, 0xbc, 0xde, 0xf0);

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

/* ---- GPADLs ---- */

static struct gpadl *find_gpadl(u32 handle)
{
	struct gpadl *gpadl;

	list_for_each_entry(gpadl, &host.gpadls, node)
		if (gpadl->handle == handle)
			return gpadl;
	return NULL;
}

static void free_gpadl(struct gpadl *gpadl)
{
	list_del(&gpadl->node);
	kvfree(gpadl->pfns);
	kfree(gpadl);
}

static void free_gpadls_of(u32 relid)
{
	struct gpadl *gpadl, *next;

	list_for_each_entry_safe(gpadl, next, &host.gpadls, node)
		if (!relid || gpadl->relid == relid)
			free_gpadl(gpadl);
}

/* ---- answers ---- */

static void transmit(const void *payload, u32 len)
{
	sim_send(payload, len);
}

static void queue_answer(struct list_head *queue, const void *payload, u32 len, u32 delay_ms)
{
	struct sim_message *msg = kzalloc(sizeof(*msg), GFP_KERNEL | __GFP_NOFAIL);

	msg->due = jiffies + msecs_to_jiffies(delay_ms);
	msg->size = len;
	memcpy(msg->payload, payload, len);
	list_add_tail(&msg->node, queue);
}

static void answer(const struct sim_rule *rule, void *payload, u32 len, u32 *id)
{
	enum sim_action action = rule ? rule->action : SIM_ANSWER;
	unsigned int times = action == SIM_TWICE ? 2 : 1;

	if (action == SIM_DROP || action == SIM_IGNORE)
		return;
	if (action == SIM_WRONG_ID)
		*id += 0x100;
	while (times--) {
		if (action == SIM_HOLD)
			queue_answer(&host.held, payload, len, 0);
		else if (rule && rule->delay_ms)
			queue_answer(&host.delayed, payload, len, rule->delay_ms);
		else
			transmit(payload, len);
	}
}

bool sim_answers_wait(void)
{
	return !list_empty(&host.delayed);
}

void sim_send_due(void)
{
	struct sim_message *msg, *next;

	lockdep_assert_held(&sim_model);
	list_for_each_entry_safe(msg, next, &host.delayed, node) {
		if (time_before(jiffies, msg->due))
			continue;
		list_del(&msg->node);
		transmit(msg->payload, msg->size);
		kfree(msg);
	}
}

/* A confirmation goes out late: until now the guest must have kept the memory. */
static void let_go(const struct sim_message *msg)
{
	const struct sim_msg_torndown *torndown = (const void *)msg->payload;
	struct gpadl *gpadl;
	u32 i;

	if (torndown->header.type == SIM_UNLOAD_RESPONSE)
		free_gpadls_of(0);
	if (torndown->header.type != SIM_GPADL_TORNDOWN)
		return;
	gpadl = find_gpadl(torndown->gpadl);
	if (!gpadl)
		return;
	for (i = 0; i < gpadl->nr_pages; i++)
		if (!page_count(pfn_to_page(gpadl->pfns[i])))
			sim_violation("page 0x%llx of GPADL 0x%x was freed", gpadl->pfns[i],
				      gpadl->handle);
	free_gpadl(gpadl);
}

unsigned int sim_release_held(void)
{
	struct sim_message *msg, *next;
	unsigned int count = 0;

	sim_lock();
	list_for_each_entry_safe(msg, next, &host.held, node) {
		list_del(&msg->node);
		let_go(msg);
		transmit(msg->payload, msg->size);
		kfree(msg);
		count++;
	}
	sim_unlock();
	return count;
}

void sim_send_relid(u32 type, u32 relid)
{
	struct sim_msg_relid msg = { .header.type = type, .relid = relid };

	sim_send(&msg, sizeof(msg));
}

void sim_send_result(u32 type, u32 relid, u32 id, u32 status)
{
	struct sim_msg_result msg = { .header.type = type, .relid = relid, .id = id,
				      .status = status };

	sim_send(&msg, sizeof(msg));
}

/* ---- rules ---- */

void sim_rule(const struct sim_rule *rule)
{
	sim_lock();
	if (WARN_ON(host.nr_rules == MAX_RULES))
		goto unlock;
	host.rules[host.nr_rules] = *rule;
	if (!rule->times)
		host.rules[host.nr_rules].times = U32_MAX;
	host.nr_rules++;
unlock:
	sim_unlock();
}

void sim_clear_rules(void)
{
	sim_lock();
	host.nr_rules = 0;
	sim_unlock();
}

static const struct sim_rule *match_rule(u32 type, struct sim_chan *chan)
{
	unsigned int i;

	for (i = 0; i < host.nr_rules; i++) {
		struct sim_rule *rule = &host.rules[i];

		if (rule->type != type || !rule->times ||
		    (rule->relid && (!chan || rule->relid != chan->relid)))
			continue;
		if (rule->skip) {
			rule->skip--;
			return NULL;
		}
		if (rule->times != U32_MAX)
			rule->times--;
		if (rule->hook)
			rule->hook(chan, rule->arg);
		return rule;
	}
	return NULL;
}

static bool is(const struct sim_rule *rule, enum sim_action action)
{
	return rule && rule->action == action;
}

/* ---- channels ---- */

struct sim_chan *sim_chan_locked(u32 relid)
{
	lockdep_assert_held(&sim_model);
	return relid < SIM_RELIDS ? host.chans[relid] : NULL;
}

static struct sim_chan *new_chan(u32 relid, const guid_t *type, const struct sim_vsp *vsp)
{
	struct sim_chan *chan = kzalloc(sizeof(*chan), GFP_KERNEL | __GFP_NOFAIL);
	u32 id[4];

	lockdep_assert_held(&sim_model);
	for (; !relid || (host.chans[relid] && !host.chans[relid]->released); relid++)
		;
	kfree(host.chans[relid]);
	chan->relid = relid;
	chan->type = type ? *type : sim_type_plain;
	id[0] = 0x51000000 | relid;
	id[1] = sim_random(U32_MAX);
	id[2] = sim_random(U32_MAX);
	id[3] = sim_random(U32_MAX);
	memcpy(&chan->instance, id, sizeof(id));
	chan->vsp = vsp ?: &sim_manual;
	host.chans[relid] = chan;
	return chan;
}

struct sim_chan *sim_new(struct kunit *test, u32 relid, const guid_t *type,
			 const struct sim_vsp *vsp)
{
	struct sim_chan *chan;

	sim_lock();
	chan = new_chan(relid, type, vsp);
	sim_unlock();
	return chan;
}

struct sim_chan *sim_new_sub_locked(const struct sim_chan *primary, u16 index,
				    const struct sim_vsp *vsp)
{
	struct sim_chan *chan = new_chan(0, &primary->type, vsp);

	chan->instance = primary->instance;
	chan->sub = index;
	return chan;
}

void sim_make_offer(const struct sim_chan *chan, struct sim_msg_offer *msg)
{
	memset(msg, 0, sizeof(*msg));
	msg->header.type = SIM_OFFER;
	memcpy(msg->type, &chan->type, 16);
	memcpy(msg->instance, &chan->instance, 16);
	msg->flags = chan->flags;
	msg->sub_channel = chan->sub;
	msg->relid = chan->relid;
	msg->monitor_allocated = chan->monitored;
	msg->monitor_id = chan->monitored ? chan->monitor_id : 0xff;
	msg->dedicated_interrupt = 1;
	msg->connection_id = chan->relid | SIM_SINT << 12;
}

void sim_send_offer(const struct sim_chan *chan)
{
	struct sim_msg_offer msg;

	sim_make_offer(chan, &msg);
	sim_send(&msg, sizeof(msg));
}

/* Before REQUESTOFFERS it only waits. */
void sim_offer_locked(struct sim_chan *chan)
{
	lockdep_assert_held(&sim_model);
	if (!host.wants_offers || chan->offered)
		return;
	chan->offered = true;
	sim_send_offer(chan);
}

void sim_offer(struct sim_chan *chan)
{
	sim_lock();
	sim_offer_locked(chan);
	sim_unlock();
}

struct sim_chan *sim_add_relid(struct kunit *test, u32 relid, const guid_t *type,
			       const struct sim_vsp *vsp)
{
	struct sim_chan *chan = sim_new(test, relid, type, vsp);

	sim_offer(chan);
	return chan;
}

struct sim_chan *sim_add(struct kunit *test, const guid_t *type, const struct sim_vsp *vsp)
{
	return sim_add_relid(test, 0, type, vsp);
}

struct sim_chan *sim_add_sub(struct kunit *test, const struct sim_chan *primary, u16 index,
			     const struct sim_vsp *vsp)
{
	struct sim_chan *chan;

	sim_lock();
	chan = sim_new_sub_locked(primary, index, vsp);
	sim_offer_locked(chan);
	sim_unlock();
	return chan;
}

static void close_chan(struct sim_chan *chan)
{
	if (!chan->open)
		return;
	chan->open = false;
	chan->modifying = false;
	if (chan->vsp->closed)
		chan->vsp->closed(chan);
	sim_ring_unmap(&chan->in);
	sim_ring_unmap(&chan->out);
}

/* A GPADL whose description is incomplete fails; what is complete stays. */
static void fail_incomplete(u32 relid)
{
	struct gpadl *gpadl, *next;

	list_for_each_entry_safe(gpadl, next, &host.gpadls, node) {
		if (gpadl->relid != relid || gpadl->known == gpadl->nr_pages)
			continue;
		sim_send_result(SIM_GPADL_CREATED, relid, gpadl->handle, STATUS_FAILED);
		gpadl->ignored = true;
	}
}

void sim_rescind_locked(struct sim_chan *chan)
{
	u32 relid;

	lockdep_assert_held(&sim_model);
	if (!chan->offered || chan->rescinded)
		return;
	for (relid = 1; !chan->sub && relid < SIM_RELIDS; relid++) {
		struct sim_chan *sub = host.chans[relid];

		if (sub && sub->sub && guid_equal(&sub->instance, &chan->instance))
			sim_rescind_locked(sub);
	}
	fail_incomplete(chan->relid);
	close_chan(chan);
	chan->rescinded = true;
	sim_send_relid(SIM_RESCIND, chan->relid);
}

void sim_rescind(struct sim_chan *chan)
{
	sim_lock();
	sim_rescind_locked(chan);
	sim_unlock();
}

void sim_reoffer(struct sim_chan *chan)
{
	sim_lock();
	WARN_ON(!chan->released);
	chan->offered = false;
	chan->rescinded = false;
	chan->released = false;
	sim_offer_locked(chan);
	sim_unlock();
}

/* ---- what the guest says ---- */

/* Where the guest has to post a message of this type now. */
u32 sim_expected_connection(u32 type)
{
	return type == SIM_CONTACT ? 0 : host.connection_id;
}

u32 sim_connection_id(void)
{
	return host.connection_id;
}

static void check_contact(const struct sim_post *post, const struct sim_msg_contact *msg)
{
	unsigned int cpu;

	if (post->connection_id != (msg->version >= SIM_V(5, 0) ? 4 : 1))
		sim_violation("version 0x%x asked for on connection %u", msg->version,
			      post->connection_id);
	if (!sim_vp_up(msg->target_vp, &cpu) || cpu)
		sim_violation("messages wanted on VP 0x%x", msg->target_vp);
	if (msg->version >= SIM_V(5, 0) ? msg->target != SIM_SINT :
					  !msg->target || offset_in_page(msg->target))
		sim_violation("sint or interrupt page 0x%llx", msg->target);
	if (!msg->monitor_page[0] || !msg->monitor_page[1] ||
	    msg->monitor_page[0] == msg->monitor_page[1] ||
	    offset_in_page(msg->monitor_page[0] | msg->monitor_page[1]))
		sim_violation("monitor pages 0x%llx, 0x%llx", msg->monitor_page[0],
			      msg->monitor_page[1]);
}

static void handle_contact(const struct sim_post *post)
{
	const struct sim_msg_contact *msg = (const void *)post->payload;
	struct sim_msg_version reply = { .header.type = SIM_VERSION_RESPONSE };
	const struct sim_rule *rule;
	u32 len = sizeof(reply);
	unsigned int i;

	if (post->len != sizeof(*msg) || host.version)
		sim_violation("INITIATE_CONTACT of %u bytes, connected with 0x%x", post->len,
			      host.version);
	check_contact(post, msg);
	host.unloaded = false;
	rule = match_rule(SIM_CONTACT, NULL);
	if (is(rule, SIM_IGNORE))
		return;

	for (i = 0; i < sim_nr_versions && msg->version <= host.max_version; i++)
		reply.supported |= sim_versions[i].version == msg->version;
	if (is(rule, SIM_REFUSE)) {
		reply.supported = rule->status != 0;
		reply.state = rule->status;
	}
	host.contacted = true;
	if (msg->version >= SIM_V(5, 0)) {
		host.connection_id = 0x800 + sim_random(0x1000);
		reply.connection_id = host.connection_id;
	} else {
		host.connection_id = 1;
		reply.connection_id = sim_random(2) ? msg->version : 0;
		if (sim_random(2))
			len -= sizeof(reply.connection_id);
	}
	if (reply.supported && !reply.state)
		host.version = msg->version;
	answer(rule, &reply, host.version_len ?: len, &reply.connection_id);
}

static void handle_request_offers(const struct sim_post *post)
{
	struct sim_header reply = { .type = SIM_ALL_OFFERS };
	const struct sim_rule *rule;
	u32 relid;

	if (post->len != sizeof(struct sim_header) || host.wants_offers)
		sim_violation("REQUESTOFFERS of %u bytes, or again", post->len);
	host.wants_offers = true;
	rule = match_rule(SIM_REQUEST_OFFERS, NULL);
	if (is(rule, SIM_IGNORE))
		return;
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (host.chans[relid] && !host.chans[relid]->sub)
			sim_offer_locked(host.chans[relid]);
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (host.chans[relid] && host.chans[relid]->sub)
			sim_offer_locked(host.chans[relid]);
	answer(rule, &reply, sizeof(reply), &reply.reserved);
}

/* The channel a message is about; recorded if the host knows none. */
static struct sim_chan *chan_of(const struct sim_post *post, u32 len)
{
	const struct sim_msg_relid *msg = (const void *)post->payload;
	struct sim_chan *chan = sim_chan_locked(msg->relid);

	if (post->len != len || !chan || !chan->offered || chan->released) {
		sim_violation("message %u of %u bytes for relid %u", msg->header.type,
			      post->len, msg->relid);
		return NULL;
	}
	return chan;
}

static void add_pfns(struct gpadl *gpadl, const u64 *pfns, u32 most)
{
	u32 now = min(gpadl->nr_pages - gpadl->known, most), i;

	for (i = 0; i < now; i++) {
		if (!pfn_valid(pfns[i]) || !page_count(pfn_to_page(pfns[i])) ||
		    !sim_is_visible(pfns[i]))
			sim_violation("GPADL 0x%x: page 0x%llx", gpadl->handle, pfns[i]);
		gpadl->pfns[gpadl->known++] = pfns[i];
	}
}

static void gpadl_complete(struct gpadl *gpadl)
{
	struct sim_msg_result reply = {
		.header.type = SIM_GPADL_CREATED,
		.relid = gpadl->relid,
		.id = gpadl->handle,
	};
	struct sim_rule rule = gpadl->rule;

	if (gpadl->known < gpadl->nr_pages || gpadl->ignored)
		return;
	if (rule.action == SIM_REFUSE) {
		reply.status = rule.status;
		free_gpadl(gpadl);
	}
	answer(&rule, &reply, sizeof(reply), &reply.id);
}

static void handle_gpadl(const struct sim_post *post)
{
	const struct sim_msg_gpadl *msg = (const void *)post->payload;
	u32 nr_pages = (msg->range_bytes - 2 * sizeof(u32)) / sizeof(u64);
	u32 len = sizeof(*msg) + min_t(u32, nr_pages, HEADER_PFNS) * sizeof(u64);
	struct sim_chan *chan = chan_of(post, len);
	const struct sim_rule *rule;
	struct gpadl *gpadl;

	if (!chan)
		return;
	if (msg->range_bytes % sizeof(u64) || !nr_pages || msg->ranges != 1 ||
	    msg->byte_offset || msg->byte_count != nr_pages * PAGE_SIZE || !msg->gpadl ||
	    find_gpadl(msg->gpadl)) {
		sim_violation("GPADL 0x%x: %u ranges in %u bytes, %u bytes from %u", msg->gpadl,
			      msg->ranges, msg->range_bytes, msg->byte_count,
			      msg->byte_offset);
		return;
	}
	rule = match_rule(SIM_GPADL_HEADER, chan);
	gpadl = kzalloc(sizeof(*gpadl), GFP_KERNEL | __GFP_NOFAIL);
	gpadl->pfns = kvcalloc(nr_pages, sizeof(u64), GFP_KERNEL | __GFP_NOFAIL);
	gpadl->handle = msg->gpadl;
	gpadl->relid = msg->relid;
	gpadl->nr_pages = nr_pages;
	gpadl->ignored = is(rule, SIM_IGNORE);
	if (rule)
		gpadl->rule = *rule;
	list_add_tail(&gpadl->node, &host.gpadls);
	add_pfns(gpadl, msg->pfn, HEADER_PFNS);
	gpadl_complete(gpadl);
}

static void handle_gpadl_body(const struct sim_post *post)
{
	const struct sim_msg_gpadl_body *msg = (const void *)post->payload;
	struct gpadl *gpadl = find_gpadl(msg->gpadl);
	const struct sim_rule *rule;
	u32 now;

	if (!gpadl || gpadl->known == gpadl->nr_pages || msg->number != gpadl->bodies) {
		sim_violation("GPADL_BODY %u of 0x%x", msg->number, msg->gpadl);
		return;
	}
	now = min_t(u32, gpadl->nr_pages - gpadl->known, BODY_PFNS);
	if (post->len != sizeof(*msg) + now * sizeof(u64))
		sim_violation("GPADL_BODY of %u bytes", post->len);
	rule = match_rule(SIM_GPADL_BODY, sim_chan_locked(gpadl->relid));
	if (is(rule, SIM_IGNORE))
		gpadl->ignored = true;
	gpadl->bodies++;
	add_pfns(gpadl, msg->pfn, BODY_PFNS);
	gpadl_complete(gpadl);
}

static void handle_teardown(const struct sim_post *post)
{
	const struct sim_msg_teardown *msg = (const void *)post->payload;
	struct sim_chan *chan = chan_of(post, sizeof(*msg));
	struct sim_msg_torndown reply = {
		.header.type = SIM_GPADL_TORNDOWN,
		.gpadl = msg->gpadl,
	};
	struct gpadl *gpadl = find_gpadl(msg->gpadl);
	const struct sim_rule *rule;

	if (!chan)
		return;
	if (!gpadl || gpadl->relid != msg->relid || gpadl->torn ||
	    (chan->open && chan->ring_gpadl == msg->gpadl)) {
		sim_violation("GPADL_TEARDOWN of 0x%x", msg->gpadl);
		return;
	}
	if (gpadl->ignored)
		return;
	gpadl->torn = true;
	rule = match_rule(SIM_GPADL_TEARDOWN, chan);
	if (is(rule, SIM_IGNORE))
		return;
	/* With the answer held back the host still has it. */
	if (!is(rule, SIM_DROP) && !is(rule, SIM_HOLD))
		free_gpadl(gpadl);
	answer(rule, &reply, sizeof(reply), &reply.gpadl);
}

static bool open_chan(struct sim_chan *chan, const struct sim_msg_open *msg)
{
	struct gpadl *gpadl = find_gpadl(msg->gpadl);
	unsigned int cpu;

	if (chan->open || !gpadl || gpadl->relid != chan->relid || gpadl->torn ||
	    gpadl->known < gpadl->nr_pages || !sim_vp_up(msg->target_vp, &cpu) ||
	    msg->downstream_page < 2 || msg->downstream_page + 2 > gpadl->nr_pages) {
		sim_violation("OPENCHANNEL of relid %u: gpadl 0x%x, VP 0x%x, page %u",
			      chan->relid, msg->gpadl, msg->target_vp, msg->downstream_page);
		return false;
	}
	if (sim_ring_map(&chan->in, gpadl->pfns, msg->downstream_page))
		return false;
	if (sim_ring_map(&chan->out, gpadl->pfns + msg->downstream_page,
			 gpadl->nr_pages - msg->downstream_page)) {
		sim_ring_unmap(&chan->in);
		return false;
	}
	chan->open = true;
	chan->opens++;
	chan->open_id = msg->open_id;
	chan->ring_gpadl = msg->gpadl;
	chan->target_vp = msg->target_vp;
	memcpy(chan->user_data, msg->user_data, sizeof(chan->user_data));
	if (chan->vsp->opened)
		chan->vsp->opened(chan);
	return true;
}

static void handle_open(const struct sim_post *post)
{
	const struct sim_msg_open *msg = (const void *)post->payload;
	struct sim_chan *chan = chan_of(post, sizeof(*msg));
	struct sim_msg_result reply = {
		.header.type = SIM_OPEN_RESULT,
		.relid = msg->relid,
		.id = msg->open_id,
	};
	const struct sim_rule *rule;

	if (!chan)
		return;
	rule = match_rule(SIM_OPEN, chan);
	/* A rescinded channel never gets an answer. */
	if (chan->rescinded || is(rule, SIM_IGNORE))
		return;
	if (is(rule, SIM_REFUSE))
		reply.status = rule->status;
	else if (!open_chan(chan, msg))
		reply.status = STATUS_FAILED;
	answer(rule, &reply, sizeof(reply), &reply.id);
}

static void handle_close(const struct sim_post *post)
{
	struct sim_chan *chan = chan_of(post, sizeof(struct sim_msg_relid));
	const struct sim_rule *rule;

	if (!chan || chan->rescinded)
		return;
	rule = match_rule(SIM_CLOSE, chan);
	if (!chan->open && !is(rule, SIM_IGNORE)) {
		sim_violation("CLOSECHANNEL of relid %u, which is not open", chan->relid);
		return;
	}
	chan->closes++;
	close_chan(chan);
}

static void handle_modify(const struct sim_post *post)
{
	const struct sim_msg_modify *msg = (const void *)post->payload;
	struct sim_chan *chan = chan_of(post, sizeof(*msg));
	struct sim_msg_modify_result reply = {
		.header.type = SIM_MODIFY_RESPONSE,
		.relid = msg->relid,
	};
	const struct sim_rule *rule;
	unsigned int cpu;

	if (!chan)
		return;
	rule = match_rule(SIM_MODIFY, chan);
	if (chan->rescinded || is(rule, SIM_IGNORE))
		return;
	if (host.version < SIM_V(4, 1) || !chan->open || chan->modifying ||
	    !sim_vp_up(msg->target_vp, &cpu)) {
		sim_violation("MODIFYCHANNEL of relid %u to VP 0x%x", chan->relid,
			      msg->target_vp);
		return;
	}
	if (is(rule, SIM_REFUSE))
		reply.status = rule->status;
	else
		chan->target_vp = msg->target_vp;
	/* A second request before the answer would be dropped. */
	chan->modifying = is(rule, SIM_DROP) || is(rule, SIM_HOLD);
	if (host.version >= SIM_V(5, 3))
		answer(rule, &reply, sizeof(reply), &reply.relid);
}

static void handle_released(const struct sim_post *post)
{
	struct sim_chan *chan = chan_of(post, sizeof(struct sim_msg_relid));

	if (!chan)
		return;
	match_rule(SIM_RELID_RELEASED, chan);
	if (!chan->rescinded)
		sim_violation("RELID_RELEASED of relid %u, which is not rescinded", chan->relid);
	chan->releases++;
	chan->released = true;
	free_gpadls_of(chan->relid);
}

static void handle_unload(const struct sim_post *post)
{
	struct sim_header reply = { .type = SIM_UNLOAD_RESPONSE };
	const struct sim_rule *rule = match_rule(SIM_UNLOAD, NULL);
	u32 relid;

	if (post->len != sizeof(struct sim_header) || host.version < SIM_V(3, 0))
		sim_violation("UNLOAD of %u bytes at version 0x%x", post->len, host.version);
	if (is(rule, SIM_IGNORE))
		return;
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (host.chans[relid])
			close_chan(host.chans[relid]);
	if (!is(rule, SIM_DROP) && !is(rule, SIM_HOLD))
		free_gpadls_of(0);
	host.unloaded = true;
	host.version = 0;
	host.wants_offers = false;
	answer(rule, &reply, sizeof(reply), &reply.reserved);
}

static const struct {
	void (*handle)(const struct sim_post *post);
	bool any_time;		/* also without a connection */
} handlers[SIM_NR_TYPES] = {
	[SIM_CONTACT] = { handle_contact, true },
	[SIM_REQUEST_OFFERS] = { handle_request_offers },
	[SIM_GPADL_HEADER] = { handle_gpadl },
	[SIM_GPADL_BODY] = { handle_gpadl_body },
	[SIM_GPADL_TEARDOWN] = { handle_teardown },
	[SIM_OPEN] = { handle_open },
	[SIM_CLOSE] = { handle_close },
	[SIM_MODIFY] = { handle_modify },
	[SIM_RELID_RELEASED] = { handle_released },
	[SIM_UNLOAD] = { handle_unload },
};

void sim_handle_post(const struct sim_post *post)
{
	u32 type = ((const struct sim_header *)post->payload)->type;
	struct logged *logged = &host.log[host.nr_log++ % MAX_LOG];

	lockdep_assert_held(&sim_model);
	logged->type = type;
	logged->len = post->len;
	memcpy(logged->payload, post->payload, sizeof(logged->payload));

	if (type >= SIM_NR_TYPES || !handlers[type].handle)
		sim_violation("message %u", type);
	else if (!handlers[type].any_time && !host.version)
		sim_violation("message %u without a connection", type);
	else if (type != SIM_CONTACT && post->connection_id != host.connection_id)
		sim_violation("message %u on connection %u instead of %u", type,
			      post->connection_id, host.connection_id);
	else
		handlers[type].handle(post);
	/* Last: who waits for the count finds the model up to date. */
	if (type < SIM_NR_TYPES)
		WRITE_ONCE(host.received[type], host.received[type] + 1);
}

void sim_handle_signal(u32 relid)
{
	struct sim_chan *chan = sim_chan_locked(relid);

	if (chan && chan->open)
		chan->vsp->signalled(chan);
}

void sim_interrupt_locked(struct sim_chan *chan)
{
	unsigned int cpu;

	lockdep_assert_held(&sim_model);
	if (!chan->open || chan->target_vp == SIM_NO_VP)
		return;
	if (!sim_vp_up(chan->target_vp, &cpu)) {
		sim_violation("channel %u interrupts VP 0x%x, which is off", chan->relid,
			      chan->target_vp);
		return;
	}
	chan->interrupts++;
	sim_event(cpu, chan->relid);
}

/* ---- looking ---- */

unsigned int sim_received(u32 type)
{
	return READ_ONCE(host.received[type]);
}

u32 sim_received_message(u32 type, unsigned int nth, void *payload, u32 size)
{
	unsigned int i;
	u32 len = 0;

	sim_lock();
	for (i = 0; i < min_t(unsigned int, host.nr_log, MAX_LOG); i++) {
		if (host.log[i].type != type || nth--)
			continue;
		len = host.log[i].len;
		memcpy(payload, host.log[i].payload, min(size, len));
		break;
	}
	sim_unlock();
	return len;
}

unsigned int sim_gpadls(void)
{
	struct gpadl *gpadl;
	unsigned int count = 0;

	sim_lock();
	list_for_each_entry(gpadl, &host.gpadls, node)
		count++;
	sim_unlock();
	return count;
}

u32 sim_gpadl_pages(u32 handle)
{
	struct gpadl *gpadl;
	u32 pages;

	sim_lock();
	gpadl = find_gpadl(handle);
	pages = gpadl ? gpadl->nr_pages : 0;
	sim_unlock();
	return pages;
}

void sim_short_version_response(u32 len)
{
	host.version_len = len;
}

struct vmbus_channel *sim_guest_channel(struct kunit *test, struct sim_chan *chan)
{
	struct vmbus_channel *channel;
	struct vmbus_chan *found;

	if (!sim_wait(({
		rcu_read_lock();
		found = vmbus_relid_lookup(chan->relid);
		channel = found && READ_ONCE(found->ch.probe_done) ? &found->ch : NULL;
		rcu_read_unlock();
		channel;
	})))
		KUNIT_FAIL(test, "relid %u never became a channel", chan->relid);
	KUNIT_ASSERT_NOT_NULL(test, channel);
	return channel;
}

bool sim_gone(struct sim_chan *chan)
{
	bool gone;

	sim_lock();
	gone = chan->released;
	sim_unlock();
	return gone;
}

/* ---- the life of a test ---- */

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

int sim_init(struct kunit *test)
{
	static u64 next_seed;

	if (!next_seed) {
		next_seed = seed ?: get_random_u32();
		pr_info("# seed=%llu (module parameter of a run like this one)\n", next_seed);
	}
	memset(&host, 0, sizeof(host));
	host.test = test;
	INIT_LIST_HEAD(&host.gpadls);
	INIT_LIST_HEAD(&host.delayed);
	INIT_LIST_HEAD(&host.held);
	host.log = vzalloc(array_size(MAX_LOG, sizeof(*host.log)));
	if (!host.log)
		return -ENOMEM;
	/* Each case has its own sequence, whatever ran before it. */
	sim_machine_init(next_seed + full_name_hash(NULL, test->name, strlen(test->name)));

	vmbus_deadlines.post = 10 * MSEC_PER_SEC;
	vmbus_deadlines.version = 5 * MSEC_PER_SEC;
	vmbus_deadlines.offers = 5 * MSEC_PER_SEC;
	vmbus_deadlines.request = 10 * MSEC_PER_SEC;
	vmbus_deadlines.unload = 10 * MSEC_PER_SEC;
	return 0;
}

int sim_start(struct kunit *test, u32 version)
{
	int err;

	host.max_version = version;
	err = vmbus_start(sim_ops(), VERSION_WIN10_V5_3);
	host.running = !err;
	return err;
}

void sim_start_ok(struct kunit *test, u32 version)
{
	KUNIT_ASSERT_EQ(test, sim_start(test, version), 0);
	KUNIT_ASSERT_EQ(test, vmbus_proto_version, version);
}

void sim_stop(struct kunit *test)
{
	u32 version;

	if (!host.running)
		return;
	sim_lock();
	version = host.version;
	sim_unlock();
	vmbus_stop();
	host.running = false;
	if (version >= SIM_V(3, 0) && !host.allow_no_unload)
		KUNIT_EXPECT_TRUE_MSG(test, host.unloaded, "no UNLOAD reached the host");
}

static void free_list(struct list_head *list)
{
	struct sim_message *msg, *next;

	list_for_each_entry_safe(msg, next, list, node)
		kfree(msg);
}

void sim_exit(struct kunit *test)
{
	u32 relid;

	if (!host.log)
		return;
	sim_stop(test);
	sim_machine_exit();
	if (!host.allow_violations)
		KUNIT_EXPECT_EQ_MSG(test, host.violations, 0, "see \"the guest is wrong\"");
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		if (!host.chans[relid])
			continue;
		close_chan(host.chans[relid]);
		kfree(host.chans[relid]);
	}
	free_gpadls_of(0);
	free_list(&host.delayed);
	free_list(&host.held);
	vfree(host.log);
	host.log = NULL;
}
