/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the simulated host share. sim_machine.c is the hypervisor:
 * processors, slots, posts. sim_host.c is the VMBus host. sim_ring.c is its side
 * of the rings and the devices. sim_visible.c is what it can see of the guest's
 * memory, sim_private.c what the paravisor uses of the rest. sim.c has the state of
 * all.
 */
#ifndef _SIM_INTERNAL_H
#define _SIM_INTERNAL_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "sim_host.h"

/* A message on its way to the guest, or an answer that waits. */
struct sim_message {
	struct list_head node;
	unsigned long due;	/* jiffies, of a delayed answer */
	u32 synic_type;
	u8 size;
	bool counted;
	u8 payload[SIM_PAYLOAD];
};

/* A message from the guest. */
struct sim_post {
	u32 connection_id;
	u32 len;
	u8 payload[SIM_PAYLOAD] __aligned(8);
};

#define SIM_MAX_RULES	16
#define SIM_MAX_LOG	4096

/* A GPADL, from its header on. */
struct sim_gpadl {
	struct list_head node;
	u32 handle;
	u32 relid;
	u32 nr_pages;
	u32 known;		/* page numbers that have come */
	u32 bodies;
	bool ignored;		/* by a rule */
	bool torn;		/* TORNDOWN is on its way or withheld */
	bool mapped;		/* a VSP uses it */
	bool private;		/* it stays so: the host is the paravisor */
	bool left;		/* the host uses none of its pages any more */
	struct sim_rule rule;
	u64 *pfns;		/* of the host's pages */
};

/* The guest's page that has this one of the host's. */
static inline struct page *sim_page(u64 pfn)
{
	return pfn_to_page(pfn / SIM_PAGES_IN_PAGE);
}

static inline bool sim_page_valid(u64 pfn)
{
	return pfn_valid(pfn / SIM_PAGES_IN_PAGE);
}

/* A message of the guest, kept for tests. */
struct sim_logged {
	u32 type;
	u32 len;
	u8 payload[SIM_PAYLOAD];
};

/* The host. Protected by sim_model, but for what tests set before it runs. */
struct sim_state {
	u32 max_version;
	u32 version;		/* agreed; 0: not connected */
	u32 connection_id;
	u32 version_len;
	bool claims;		/* the reply says that it agrees to .claimed, whatever was asked */
	u32 claimed;
	u32 asked, features;	/* by the guest; of them agreed to */
	bool shares_all;	/* new channels keep nothing private */
	bool offers_unasked, offers_again;
	bool keeps_handles;
	u32 linger_ms;
	bool lingers;
	unsigned long linger_end;	/* jiffies */
	u64 lingers_at[3];	/* addresses in pages that were the connection's */
	bool contacted, wants_offers, unloaded;
	bool watches;		/* a channel has a monitor id */
	u64 conn_pfns[3];	/* of the connection's pages, used until UNLOAD_RESPONSE leaves */
	unsigned long *send_flags;	/* second half of the interrupt page; before 5.0 */
	struct sim_monitor_page *monitor;	/* guest to host */
	struct sim_monitor_page *monitor_out;	/* host to guest */
	u32 unloaded_version;
	unsigned int triggers[SIM_RELIDS];
	bool (*connect)(const guid_t *endpoint, const guid_t *service);
	const struct sim_vsp *socket_vsp;	/* NULL: connections are refused */
	bool running;
	bool allow_violations, allow_no_unload;
	unsigned int violations;
	const char *formats[8];		/* of the first of them */
	struct sim_rule rules[SIM_MAX_RULES];
	unsigned int nr_rules;
	struct list_head gpadls;
	struct list_head delayed, held;
	struct sim_chan *chans[SIM_RELIDS];
	struct sim_logged *log;
	unsigned int nr_log;
	unsigned int received[SIM_NR_TYPES];
	void (*overhears)(bool to_guest, u32 connection_id, const void *payload, u32 len);
};

struct vmbus_host_ops;
struct vmbus_isolation;

/* sim_machine.c */
const struct vmbus_host_ops *sim_ops(void);
void sim_machine_init(u64 seed);
void sim_machine_exit(void);
bool sim_next_post(struct sim_post *post);
bool sim_next_signal(u32 *relid);
void sim_count_signal(u32 relid);
void sim_wake(void);
/* Whose the channel of this relid is, and so in which page its events come. */
void sim_place_events(u32 relid, bool of_paravisor);
bool sim_vp_up(u32 vp, unsigned int *cpu);
void sim_count_sent(u32 type);

/* sim.c */
extern struct sim_state host;
extern struct mutex sim_model;	/* struct sim_state, channels, rings */
void sim_choose_types(bool isolated);

/* sim_visible.c: pages are the host's; without visibility it sees all */
void sim_visible_init(void);
/* Looks at what is visible still. */
void sim_visible_exit(void);
bool sim_uses_visibility(void);
int sim_set_visible(void *addr, int nr_pages, bool visible);
void sim_check_post(const void *payload, u32 len);
bool sim_is_visible(u64 pfn);
void sim_check_visible(const u64 *pfns, u32 nr_pages);
/* The host is about to read or write there: the page has to be visible, and the guest's. */
void sim_reach(u64 pfn);
/* The guest says that they are ready for the host: it has to have cleared the noise. */
void sim_check_zeroed(const u64 *pfns, u32 nr_pages);
/* What the host finds there, and the same for a physical address. */
struct page *sim_view(u64 pfn);
void *sim_view_address(u64 address);
/* In any context, a probe's too: NULL if that is not known now, an error if it is private. */
void *sim_try_view_address(u64 address);
/* From being told of them until it has let go. */
void sim_use_pages(const u64 *pfns, u32 nr_pages);
void sim_leave_pages(const u64 *pfns, u32 nr_pages);
const struct vmbus_isolation *sim_isolation(void);

/* sim_private.c: pages are the host's here, too, and it is the paravisor */
void sim_private_init(void);
void sim_private_exit(void);
/* What stays private of a channel that is about to be offered. */
void sim_set_private(u32 relid, bool ring, bool external);
/*
 * A GPADL of this channel, of which the first page is given, is to stay private. Of a
 * channel of which that is true of the ring alone it depends on what the guest has done:
 * at OPENCHANNEL it is known what was a ring.
 */
bool sim_to_be_private(u32 relid, u64 first);
/* The guest posts a description of memory. */
void sim_check_header(u32 relid, u32 handle, const u64 *pfns, u32 nr_pages);
void sim_check_body(u32 handle, const u64 *pfns, u32 nr_pages);
/* From being told of them until it has let go: private, and the guest's. */
void sim_keep_pages(const u64 *pfns, u32 nr_pages);
void sim_drop_pages(const u64 *pfns, u32 nr_pages);
bool sim_keeps(unsigned long guest_pfn);
/* The test has taken it back from everybody. */
void sim_forget_page(unsigned long guest_pfn);
unsigned long sim_kept_pages(void);
/* The paravisor is about to read or write there. */
void sim_reach_private(u64 pfn);

/* sim_chan.c */
void sim_close_chan(struct sim_chan *chan);
struct sim_gpadl *sim_find_gpadl(u32 handle);
void sim_leave_gpadl(struct sim_gpadl *gpadl);
void sim_free_gpadl(struct sim_gpadl *gpadl);
void sim_free_gpadls_of(u32 relid);
void *sim_map_pages(const u64 *pfns, u32 nr_pages);
void sim_unmap_pages(void *at);

/* sim_host.c */
void sim_leave_connection(void);
bool sim_looks_at_pages(void);
void sim_look_at_pages(void);
void sim_handle_post(const struct sim_post *post);
void sim_handle_signal(u32 relid);
void sim_send_due(void);
bool sim_answers_wait(void);

/* sim_ring.c */
int sim_ring_map(struct sim_ring *ring, const u64 *pfns, u32 nr_pages);
void sim_ring_unmap(struct sim_ring *ring);

#endif /* _SIM_INTERNAL_H */
