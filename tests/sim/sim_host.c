// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated VMBus host: what it answers to the guest, and what it finds
 * wrong with it.
 */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sim_internal.h"

#define HEADER_PFNS	26
#define BODY_PFNS	28
/* What real hosts answer to what they cannot do. */
#define STATUS_FAILED	0x8000ffff

/* ---- answers ---- */

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
			sim_send(payload, len);
	}
}

bool sim_answers_wait(void)
{
	return !list_empty(&host.delayed);
}

/* A confirmation goes out late: until now the guest must have kept the memory. */
static void let_go(u32 handle)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(handle);
	u32 i;

	if (!gpadl)
		return;
	for (i = 0; i < gpadl->nr_pages; i++)
		if (!sim_in_use(sim_page(gpadl->pfns[i])))
			sim_violation("page 0x%llx of GPADL 0x%x was freed", gpadl->pfns[i],
				      gpadl->handle);
	sim_free_gpadl(gpadl);
}

/* What changes in the model only when an answer leaves at last. */
static void send_late(const struct sim_message *msg)
{
	const struct sim_msg_relid *about = (const void *)msg->payload;
	struct sim_chan *chan;

	switch (about->header.type) {
	case SIM_UNLOAD_RESPONSE:
		/* What there is after another contact is that one's. */
		if (!host.version) {
			sim_free_gpadls_of(0);
			sim_leave_connection();
		}
		break;
	case SIM_GPADL_TORNDOWN:
		let_go(about->relid);	/* the handle stands there */
		break;
	case SIM_MODIFY_RESPONSE:
		chan = sim_chan_locked(about->relid);
		if (chan)
			chan->modifying = false;
		break;
	}
	sim_send(msg->payload, msg->size);
}

void sim_send_due(void)
{
	struct sim_message *msg, *next;

	lockdep_assert_held(&sim_model);
	list_for_each_entry_safe(msg, next, &host.delayed, node) {
		if (time_before(jiffies, msg->due))
			continue;
		list_del(&msg->node);
		send_late(msg);
		kfree(msg);
	}
}

unsigned int sim_release_held(void)
{
	struct sim_message *msg, *next;
	unsigned int count = 0;

	sim_lock();
	list_for_each_entry_safe(msg, next, &host.held, node) {
		list_del(&msg->node);
		send_late(msg);
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

/* ---- the pages of the connection ---- */

bool sim_looks_at_pages(void)
{
	return READ_ONCE(host.watches) && READ_ONCE(host.version);
}

/* Late writes, to pages that must still be there for them. */
void sim_write_late(void)
{
	unsigned int i;

	for (i = 0; sim_lingers() && i < ARRAY_SIZE(host.lingers_at); i++) {
		void *at = host.lingers_at[i] ? sim_try_view_address(host.lingers_at[i]) : NULL;

		if (!at)
			continue;
		if (IS_ERR(at) || !sim_in_use(sim_page(host.lingers_at[i] / SIM_PAGE))) {
			sim_violation("page %u of the connection was freed while the host used it",
				      i);
			return;
		}
		clear_bit(8 * sizeof(u64) + i, at);
	}
}

static void begin_to_linger(void)
{
	if (!host.linger_ms)
		return;
	host.lingers_at[0] = host.conn_pfns[0] * SIM_PAGE;
	host.lingers_at[1] = host.conn_pfns[1] * SIM_PAGE;
	host.lingers_at[2] = host.send_flags ? host.conn_pfns[2] * SIM_PAGE + SIM_PAGE / 2 : 0;
	host.linger_end = jiffies + msecs_to_jiffies(host.linger_ms);
	/* Pairs with the acquire in sim_lingers(): the rest is there. */
	smp_store_release(&host.lingers, true);
}

/* The host has let go of the pages of the connection, or never had any. */
void sim_leave_connection(void)
{
	sim_leave_pages(host.conn_pfns, host.conn_pfns[2] ? 3 : 2);
	memset(host.conn_pfns, 0, sizeof(host.conn_pfns));
}

static void keep_pages(const struct sim_msg_contact *msg)
{
	u64 monitor = msg->monitor_page[1] & ~sim_boundary();
	u64 monitor_out = msg->monitor_page[0] & ~sim_boundary();

	sim_leave_connection();
	host.conn_pfns[0] = monitor / SIM_PAGE;
	host.conn_pfns[1] = monitor_out / SIM_PAGE;
	host.monitor = sim_view_address(monitor);
	host.monitor_out = sim_view_address(monitor_out);
	host.send_flags = NULL;
	if (msg->version < SIM_V(5, 0)) {
		host.conn_pfns[2] = msg->target / SIM_PAGE;
		host.send_flags = sim_view_address(msg->target) + SIM_PAGE / 2;
	}
	sim_use_pages(host.conn_pfns, host.conn_pfns[2] ? 3 : 2);
	sim_check_zeroed(host.conn_pfns, host.conn_pfns[2] ? 3 : 2);
}

void sim_look_at_pages(void)
{
	struct sim_chan *chan;
	u32 relid, i;

	lockdep_assert_held(&sim_model);
	for (i = 0; host.version && i < ARRAY_SIZE(host.conn_pfns); i++)
		if (host.conn_pfns[i])
			sim_reach(host.conn_pfns[i]);
	for (relid = 1; host.version && relid < SIM_RELIDS; relid++) {
		chan = host.chans[relid];
		if (!chan)
			continue;
		if (chan->legacy && host.send_flags && test_and_clear_bit(relid, host.send_flags))
			sim_count_signal(relid);
		/* There are offers of ids that do not exist. */
		if (chan->monitored && chan->monitor_id < SIM_MONITOR_IDS &&
		    test_and_clear_bit(chan->monitor_id % 32, (unsigned long *)
				       &host.monitor->group[chan->monitor_id / 32].pending)) {
			host.triggers[relid]++;
			sim_signal_again(relid);
		}
	}
}

/* The guest went, by UNLOAD or without a word. */
static void forget_guest(void)
{
	u32 relid;

	for (relid = 1; relid < SIM_RELIDS; relid++) {
		struct sim_chan *chan = host.chans[relid];

		if (!chan)
			continue;
		sim_close_chan(chan);
		/* What was taken back stays away until it is offered anew. */
		if (!chan->rescinded)
			chan->offered = false;
	}
	host.version = 0;
	host.features = 0;
	host.wants_offers = false;
	host.monitor = NULL;
	host.send_flags = NULL;
}

/* ---- what the guest says ---- */

static u32 asked_features(const struct sim_msg_contact *msg)
{
	return msg->version >= SIM_V(5, 0) ? upper_32_bits(msg->target) : 0;
}

static u32 possible_features(const struct sim_msg_contact *msg)
{
	return sim_confidential() && msg->version >= SIM_V(6, 0) ? SIM_FEATURE_CONFIDENTIAL : 0;
}

static void check_contact(const struct sim_post *post, const struct sim_msg_contact *msg)
{
	unsigned int cpu;

	if (post->connection_id != (msg->version >= SIM_V(5, 0) ? 4 : 1))
		sim_violation("version 0x%x asked for on connection %u", msg->version,
			      post->connection_id);
	if (!sim_vp_up(msg->target_vp, &cpu) || cpu)
		sim_violation("messages wanted on VP 0x%x", msg->target_vp);
	if (msg->version >= SIM_V(5, 0) ? (u32)msg->target != SIM_SINT :
					  !msg->target || offset_in_page(msg->target))
		sim_violation("sint or interrupt page 0x%llx", msg->target);
	if (asked_features(msg) & ~possible_features(msg))
		sim_violation("features 0x%x asked for at version 0x%x", asked_features(msg),
			      msg->version);
	if (!msg->monitor_page[0] || !msg->monitor_page[1] ||
	    msg->monitor_page[0] == msg->monitor_page[1] ||
	    offset_in_page(msg->monitor_page[0] | msg->monitor_page[1]))
		sim_violation("monitor pages 0x%llx, 0x%llx", msg->monitor_page[0],
			      msg->monitor_page[1]);
	if (sim_boundary() & ~(msg->monitor_page[0] & msg->monitor_page[1]))
		sim_violation("monitor pages 0x%llx, 0x%llx without the boundary",
			      msg->monitor_page[0], msg->monitor_page[1]);
}

static void offer_all(void)
{
	u32 relid;

	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (host.chans[relid] && !host.chans[relid]->sub)
			sim_offer_locked(host.chans[relid]);
	for (relid = 1; relid < SIM_RELIDS; relid++)
		if (host.chans[relid] && host.chans[relid]->sub)
			sim_offer_locked(host.chans[relid]);
}

/* It is not known what the guest had before, so it gets all of it, and the end. */
static void offer_unasked(void)
{
	struct sim_header end = { .type = SIM_ALL_OFFERS };
	u32 relid;

	host.wants_offers = true;
	offer_all();
	host.wants_offers = false;
	for (relid = 1; host.offers_again && relid < SIM_RELIDS; relid++)
		if (host.chans[relid])
			host.chans[relid]->offered = false;
	sim_send(&end, sizeof(end));
}

static void handle_contact(const struct sim_post *post)
{
	const struct sim_msg_contact *msg = (const void *)post->payload;
	struct sim_msg_version_6 full = { .old.header.type = SIM_VERSION_RESPONSE };
	struct sim_msg_version *reply = &full.old;
	const struct sim_rule *rule;
	u32 len = sizeof(*reply), possible;
	unsigned int i;

	/* Before 3.0 guests cannot say that they go. */
	if (post->len != sizeof(*msg) ||
	    (host.version >= SIM_V(3, 0) && !host.allow_no_unload))
		sim_violation("INITIATE_CONTACT of %u bytes, connected with 0x%x", post->len,
			      host.version);
	check_contact(post, msg);
	if (host.version) {
		forget_guest();
		if (!host.keeps_handles)
			sim_free_gpadls_of(0);
	}
	host.unloaded = false;
	host.asked = asked_features(msg);
	rule = match_rule(SIM_CONTACT, NULL);
	if (is(rule, SIM_IGNORE))
		return;

	for (i = 0; i < sim_nr_versions && msg->version <= host.max_version; i++)
		reply->supported |= sim_versions[i].version == msg->version;
	if (is(rule, SIM_REFUSE)) {
		reply->supported = rule->status != 0;
		reply->state = rule->status;
	}
	host.contacted = true;
	if (msg->version >= SIM_V(5, 0)) {
		host.connection_id = 0x800 + sim_random(0x1000);
		reply->connection_id = host.connection_id;
	} else {
		host.connection_id = 1;
		reply->connection_id = sim_random(2) ? msg->version : 0;
		if (sim_random(2))
			len -= sizeof(reply->connection_id);
	}
	if (msg->version >= SIM_V(6, 0))
		len = offsetofend(struct sim_msg_version_6, features);
	len = host.version_len ?: len;
	possible = host.asked & possible_features(msg);
	full.features = host.claims ? host.claimed : possible;
	if (reply->supported && !reply->state) {
		host.version = msg->version;
		/* What the guest cannot read it does not know of. */
		if (len >= offsetofend(struct sim_msg_version_6, features))
			host.features = full.features & possible;
		keep_pages(msg);
	}
	answer(rule, &full, len, &reply->connection_id);
	if (host.version && host.offers_unasked)
		offer_unasked();
}

static void handle_request_offers(const struct sim_post *post)
{
	struct sim_header reply = { .type = SIM_ALL_OFFERS };
	const struct sim_rule *rule;

	if (post->len != sizeof(struct sim_header) || host.wants_offers)
		sim_violation("REQUESTOFFERS of %u bytes, or again", post->len);
	host.wants_offers = true;
	rule = match_rule(SIM_REQUEST_OFFERS, NULL);
	if (is(rule, SIM_IGNORE))
		return;
	offer_all();
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

static void add_pfns(struct sim_gpadl *gpadl, const u64 *pfns, u32 most)
{
	u32 now = min(gpadl->nr_pages - gpadl->known, most), i;
	const struct sim_chan *chan = sim_chan_locked(gpadl->relid);

	/* What is not there to be seen is found below. */
	if (!chan->rescinded && gpadl->private)
		sim_keep_pages(pfns, now);
	else if (!chan->rescinded)
		sim_use_pages(pfns, now);
	for (i = 0; i < now; i++) {
		/*
		 * After the rescind this is never used: the guest may have seen
		 * the rescind, and freed the pages, since it posted them.
		 */
		if (!sim_page_valid(pfns[i]) ||
		    (!chan->rescinded && (!sim_in_use(sim_page(pfns[i])) ||
					  sim_is_visible(pfns[i]) == gpadl->private)))
			sim_violation("GPADL 0x%x: page 0x%llx", gpadl->handle, pfns[i]);
		gpadl->pfns[gpadl->known++] = pfns[i];
	}
}

static void gpadl_complete(struct sim_gpadl *gpadl)
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
		sim_free_gpadl(gpadl);
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
	struct sim_gpadl *gpadl;

	if (!chan)
		return;
	if (msg->range_bytes % sizeof(u64) || !nr_pages || msg->ranges != 1 ||
	    msg->byte_offset || msg->byte_count != nr_pages * SIM_PAGE || !msg->gpadl ||
	    sim_find_gpadl(msg->gpadl)) {
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
	gpadl->left = chan->rescinded;
	/* An open channel has its ring: this is something else. */
	gpadl->private = sim_to_be_private(msg->relid, msg->pfn[0]) &&
			 (!chan->open || sim_external_is_private(chan));
	list_add_tail(&gpadl->node, &host.gpadls);
	add_pfns(gpadl, msg->pfn, HEADER_PFNS);
	gpadl_complete(gpadl);
}

static void handle_gpadl_body(const struct sim_post *post)
{
	const struct sim_msg_gpadl_body *msg = (const void *)post->payload;
	struct sim_gpadl *gpadl = sim_find_gpadl(msg->gpadl);
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

/*
 * Messages overtake packets: that a buffer is revoked may still be in the ring
 * when its teardown is here. A VSP takes so many packets at a time.
 */
static void take_revocation(struct sim_chan *chan, const struct sim_gpadl *gpadl)
{
	unsigned int tries;

	for (tries = 0; gpadl->mapped && chan->open && tries < 100; tries++)
		sim_handle_signal(chan->relid);
}

static void handle_teardown(const struct sim_post *post)
{
	const struct sim_msg_teardown *msg = (const void *)post->payload;
	struct sim_chan *chan = chan_of(post, sizeof(*msg));
	struct sim_msg_torndown reply = {
		.header.type = SIM_GPADL_TORNDOWN,
		.gpadl = msg->gpadl,
	};
	struct sim_gpadl *gpadl = sim_find_gpadl(msg->gpadl);
	const struct sim_rule *rule;

	if (!chan)
		return;
	if (gpadl && gpadl->relid == msg->relid)
		take_revocation(chan, gpadl);
	if (!gpadl || gpadl->relid != msg->relid || gpadl->torn || gpadl->mapped ||
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
	if (!is(rule, SIM_DROP) && !is(rule, SIM_HOLD) && !(rule && rule->delay_ms))
		sim_free_gpadl(gpadl);
	answer(rule, &reply, sizeof(reply), &reply.gpadl);
}

static bool open_chan(struct sim_chan *chan, const struct sim_msg_open *msg)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(msg->gpadl);
	unsigned int cpu;

	if (chan->open || !gpadl || gpadl->relid != chan->relid || gpadl->torn ||
	    gpadl->known < gpadl->nr_pages || !sim_vp_up(msg->target_vp, &cpu) ||
	    msg->downstream_page < 2 || msg->downstream_page + 2 > gpadl->nr_pages) {
		sim_violation("OPENCHANNEL of relid %u: gpadl 0x%x, VP 0x%x, page %u",
			      chan->relid, msg->gpadl, msg->target_vp, msg->downstream_page);
		return false;
	}
	if (gpadl->private != sim_ring_is_private(chan)) {
		if (gpadl->private)
			sim_violation("ring of relid %u is private, the host was to use it",
				      chan->relid);
		else
			sim_violation("ring of relid %u is visible, was to be private",
				      chan->relid);
		return false;
	}
	chan->in.private = gpadl->private;
	chan->out.private = gpadl->private;
	sim_check_zeroed(gpadl->pfns, gpadl->nr_pages);
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
	sim_close_chan(chan);
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
	chan->modifying = is(rule, SIM_DROP) || is(rule, SIM_HOLD) ||
			  (rule && rule->delay_ms);
	if (host.version >= SIM_V(5, 3))
		answer(rule, &reply, sizeof(reply), &reply.relid);
}

static void handle_released(const struct sim_post *post)
{
	struct sim_chan *chan = chan_of(post, sizeof(struct sim_msg_relid));

	if (!chan)
		return;
	match_rule(SIM_RELID_RELEASED, chan);
	if (!chan->rescinded && (!chan->unwelcome || chan->open))
		sim_violation("RELID_RELEASED of relid %u, which is not rescinded", chan->relid);
	chan->releases++;
	chan->released = true;
	sim_free_gpadls_of(chan->relid);
}

static void handle_tl_connect(const struct sim_post *post)
{
	const struct sim_msg_tl_connect *msg = (const void *)post->payload;
	struct sim_msg_tl_result reply = {
		.header.type = SIM_TL_RESULT,
		.status = STATUS_FAILED,
	};
	guid_t endpoint, service;

	if (post->len != sizeof(*msg) || host.version < SIM_V(4, 0)) {
		sim_violation("TL_CONNECT_REQUEST of %u bytes at version 0x%x", post->len,
			      host.version);
		return;
	}
	if (is(match_rule(SIM_TL_CONNECT, NULL), SIM_IGNORE))
		return;
	memcpy(&endpoint, msg->endpoint, sizeof(endpoint));
	memcpy(&service, msg->service, sizeof(service));
	if (host.connect) {
		if (host.connect(&endpoint, &service))
			return;
	} else if (host.socket_vsp) {
		sim_offer_locked(sim_new_socket_locked(&service, &endpoint, host.socket_vsp));
		return;
	}
	memcpy(reply.endpoint, msg->endpoint, sizeof(reply.endpoint));
	memcpy(reply.service, msg->service, sizeof(reply.service));
	if (host.version >= SIM_V(4, 1))
		sim_send(&reply, sizeof(reply));
}

static void handle_unload(const struct sim_post *post)
{
	struct sim_header reply = { .type = SIM_UNLOAD_RESPONSE };
	const struct sim_rule *rule = match_rule(SIM_UNLOAD, NULL);

	if (post->len != sizeof(struct sim_header) || host.version < SIM_V(3, 0))
		sim_violation("UNLOAD of %u bytes at version 0x%x", post->len, host.version);
	if (is(rule, SIM_IGNORE))
		return;
	begin_to_linger();
	if (!is(rule, SIM_DROP) && !is(rule, SIM_HOLD)) {
		sim_free_gpadls_of(0);
		sim_leave_connection();
	}
	host.unloaded_version = host.version;
	host.unloaded = true;
	forget_guest();
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
	[SIM_TL_CONNECT] = { handle_tl_connect },
};

void sim_handle_post(const struct sim_post *post)
{
	u32 type = ((const struct sim_header *)post->payload)->type;
	struct sim_logged *logged = &host.log[host.nr_log++ % SIM_MAX_LOG];

	lockdep_assert_held(&sim_model);
	logged->type = type;
	logged->len = post->len;
	memcpy(logged->payload, post->payload, sizeof(logged->payload));
	if (host.overhears)
		host.overhears(false, post->connection_id, post->payload, post->len);

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

	if (chan && chan->open && !chan->frozen)
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
