// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated host's channels and GPADLs: offers, rescinds.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "sim_internal.h"

#define STATUS_FAILED	0x8000ffff

/* ---- GPADLs ---- */

struct sim_gpadl *sim_find_gpadl(u32 handle)
{
	struct sim_gpadl *gpadl;

	list_for_each_entry(gpadl, &host.gpadls, node)
		if (gpadl->handle == handle)
			return gpadl;
	return NULL;
}

/* Its pages are the guest's alone again. */
void sim_leave_gpadl(struct sim_gpadl *gpadl)
{
	if (!gpadl->left && gpadl->private)
		sim_drop_pages(gpadl->pfns, gpadl->known);
	else if (!gpadl->left)
		sim_leave_pages(gpadl->pfns, gpadl->known);
	gpadl->left = true;
}

void sim_free_gpadl(struct sim_gpadl *gpadl)
{
	sim_leave_gpadl(gpadl);
	list_del(&gpadl->node);
	kvfree(gpadl->pfns);
	kfree(gpadl);
}

void sim_free_gpadls_of(u32 relid)
{
	struct sim_gpadl *gpadl, *next;

	list_for_each_entry_safe(gpadl, next, &host.gpadls, node)
		if (!relid || gpadl->relid == relid)
			sim_free_gpadl(gpadl);
}

/*
 * In a row. The guest's pages may be larger than the host's: all of a page
 * follow each other, but for the first and the last page, which may be cut.
 */
void *sim_map_pages(const u64 *pfns, u32 nr_pages)
{
	struct page **pages = kvcalloc(nr_pages, sizeof(*pages), GFP_KERNEL | __GFP_NOFAIL);
	void *at = NULL;
	u32 i, n = 0;

	for (i = 0; i < nr_pages && sim_page_valid(pfns[i]); i++) {
		if (!i || pfns[i] % SIM_PAGES_IN_PAGE == 0)
			pages[n++] = sim_view(pfns[i]);
		else if (pfns[i] != pfns[i - 1] + 1)
			break;
		if (i && pfns[i] % SIM_PAGES_IN_PAGE == 0 && (pfns[i - 1] + 1) % SIM_PAGES_IN_PAGE)
			break;
	}
	if (i == nr_pages)
		at = vmap(pages, n, VM_MAP, PAGE_KERNEL);
	else
		sim_violation("page 0x%llx cannot follow page 0x%llx", pfns[i],
			      i ? pfns[i - 1] : 0);
	kvfree(pages);
	return at ? at + pfns[0] % SIM_PAGES_IN_PAGE * SIM_PAGE : NULL;
}

void sim_unmap_pages(void *at)
{
	vunmap((void *)((unsigned long)at & PAGE_MASK));
}

void *sim_map_gpadl_locked(const struct sim_chan *chan, u32 handle, u32 *bytes)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(handle);
	void *at;
	u32 i;

	lockdep_assert_held(&sim_model);
	if (!gpadl || gpadl->relid != chan->relid || gpadl->torn || gpadl->ignored ||
	    gpadl->mapped || gpadl->known < gpadl->nr_pages || handle == chan->ring_gpadl)
		return NULL;
	for (i = 0; i < gpadl->nr_pages; i++) {
		if (sim_external_is_private(chan))
			sim_reach_private(gpadl->pfns[i]);
		else
			sim_reach(gpadl->pfns[i]);
	}
	at = sim_map_pages(gpadl->pfns, gpadl->nr_pages);
	gpadl->mapped = at;
	*bytes = gpadl->nr_pages * SIM_PAGE;
	return at;
}

bool sim_gpadl_mapped_locked(u32 handle)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(handle);

	return gpadl && gpadl->mapped && !gpadl->torn;
}

void sim_unmap_gpadl_locked(u32 handle, void *at)
{
	struct sim_gpadl *gpadl = sim_find_gpadl(handle);

	if (gpadl)
		gpadl->mapped = false;
	sim_unmap_pages(at);
}

/* ---- channels ---- */

void sim_share_all(void)
{
	host.shares_all = true;
}

bool sim_ring_is_private(const struct sim_chan *chan)
{
	return chan->co_ring && host.features & SIM_FEATURE_CONFIDENTIAL;
}

bool sim_external_is_private(const struct sim_chan *chan)
{
	return chan->co_external && host.features & SIM_FEATURE_CONFIDENTIAL;
}

struct sim_chan *sim_chan_locked(u32 relid)
{
	lockdep_assert_held(&sim_model);
	return relid < SIM_RELIDS ? host.chans[relid] : NULL;
}

struct sim_chan *sim_new_locked(u32 relid, const guid_t *type, const struct sim_vsp *vsp)
{
	struct sim_chan *chan = kzalloc(sizeof(*chan), GFP_KERNEL | __GFP_NOFAIL);
	u32 id[4];

	lockdep_assert_held(&sim_model);
	for (; !relid || (host.chans[relid] &&
			  (!host.chans[relid]->released || host.chans[relid]->kept)); relid++)
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
	/* All sorts there are, in every case that has three channels. */
	chan->co_ring = sim_confidential() && !host.shares_all && relid % 3;
	chan->co_external = chan->co_ring && relid % 3 == 1;
	host.chans[relid] = chan;
	return chan;
}

struct sim_chan *sim_new(struct kunit *test, u32 relid, const guid_t *type,
			 const struct sim_vsp *vsp)
{
	struct sim_chan *chan;

	sim_lock();
	chan = sim_new_locked(relid, type, vsp);
	sim_unlock();
	return chan;
}

struct sim_chan *sim_new_sub_locked(const struct sim_chan *primary, u16 index,
				    const struct sim_vsp *vsp)
{
	struct sim_chan *chan = sim_new_locked(0, &primary->type, vsp);

	chan->instance = primary->instance;
	chan->sub = index;
	return chan;
}

struct sim_chan *sim_new_socket_locked(const guid_t *service, const guid_t *endpoint,
				       const struct sim_vsp *vsp)
{
	struct sim_chan *chan = sim_new_locked(0, service, vsp);

	chan->instance = *endpoint;
	chan->flags = SIM_OFFER_HVSOCK;
	return chan;
}

void sim_make_offer(const struct sim_chan *chan, struct sim_msg_offer *msg)
{
	memset(msg, 0, sizeof(*msg));
	msg->header.type = SIM_OFFER;
	memcpy(msg->type, &chan->type, 16);
	memcpy(msg->instance, &chan->instance, 16);
	msg->flags = chan->flags;
	if (sim_ring_is_private(chan))
		msg->flags |= SIM_OFFER_CO_RING;
	if (sim_external_is_private(chan))
		msg->flags |= SIM_OFFER_CO_EXTERNAL;
	msg->user_defined[SIM_OFFER_FROM_HOST] = chan->from_host;
	msg->sub_channel = chan->sub;
	msg->relid = chan->relid;
	msg->monitor_allocated = chan->monitored;
	msg->monitor_id = chan->monitored ? chan->monitor_id : 0xff;
	msg->dedicated_interrupt = !chan->legacy;
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
	if (!host.wants_offers || chan->offered || chan->withheld)
		return;
	chan->offered = true;
	host.watches |= chan->monitored;
	sim_set_private(chan->relid, sim_ring_is_private(chan), sim_external_is_private(chan));
	sim_place_events(chan->relid, sim_ring_is_private(chan) || sim_external_is_private(chan));
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

struct sim_chan *sim_add_socket(struct kunit *test, u32 relid, const guid_t *service,
				const struct sim_vsp *vsp)
{
	struct sim_chan *chan = sim_new(test, relid, service, vsp);

	chan->flags = SIM_OFFER_HVSOCK;
	chan->from_host = true;
	sim_offer(chan);
	return chan;
}

void sim_listen(const struct sim_vsp *vsp)
{
	sim_lock();
	host.socket_vsp = vsp;
	sim_unlock();
}

void sim_on_connect(bool (*connect)(const guid_t *endpoint, const guid_t *service))
{
	sim_lock();
	host.connect = connect;
	sim_unlock();
}

void sim_close_chan(struct sim_chan *chan)
{
	if (!chan->open)
		return;
	chan->open = false;
	chan->modifying = false;
	chan->full = false;
	if (chan->vsp->closed)
		chan->vsp->closed(chan);
	sim_ring_unmap(&chan->in);
	sim_ring_unmap(&chan->out);
}

/*
 * A GPADL whose description is incomplete fails; what is complete stays, but is
 * not used any more.
 */
static void fail_incomplete(u32 relid)
{
	struct sim_gpadl *gpadl, *next;

	list_for_each_entry_safe(gpadl, next, &host.gpadls, node) {
		if (gpadl->relid != relid)
			continue;
		sim_leave_gpadl(gpadl);
		if (gpadl->known == gpadl->nr_pages)
			continue;
		sim_send_result(SIM_GPADL_CREATED, relid, gpadl->handle, STATUS_FAILED);
		gpadl->ignored = true;
	}
}

void sim_rescind_alone_locked(struct sim_chan *chan)
{
	lockdep_assert_held(&sim_model);
	if (!chan->offered || chan->rescinded || chan->released)
		return;
	sim_close_chan(chan);
	fail_incomplete(chan->relid);
	chan->rescinded = true;
	chan->rescinds++;
	sim_send_relid(SIM_RESCIND, chan->relid);
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
			sim_rescind_alone_locked(sub);
	}
	sim_rescind_alone_locked(chan);
}

void sim_rescind(struct sim_chan *chan)
{
	sim_lock();
	sim_rescind_locked(chan);
	sim_unlock();
}

void sim_return(struct sim_chan *chan)
{
	sim_lock();
	WARN_ON(host.version);
	chan->offered = false;
	chan->rescinded = false;
	chan->released = false;
	chan->withheld = false;
	sim_unlock();
}

void sim_withhold(struct sim_chan *chan)
{
	sim_lock();
	WARN_ON(host.version);
	chan->withheld = true;
	sim_unlock();
}

void sim_move(struct sim_chan *chan, u32 relid)
{
	struct sim_chan *old;

	sim_lock();
	old = host.chans[relid];
	WARN_ON(host.version || (old && !old->rescinded && !old->released));
	kfree(old);
	host.chans[chan->relid] = NULL;
	host.chans[relid] = chan;
	chan->relid = relid;
	sim_unlock();
}

void sim_reoffer_locked(struct sim_chan *chan)
{
	WARN_ON(!chan->released);
	chan->offered = false;
	chan->rescinded = false;
	chan->released = false;
	sim_offer_locked(chan);
}

void sim_reoffer(struct sim_chan *chan)
{
	sim_lock();
	sim_reoffer_locked(chan);
	sim_unlock();
}
