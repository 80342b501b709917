// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_isolation: a VM that does not trust its host: what it accepts, what the
 * host is told of its memory, how that is mapped, and what is left of it.
 *
 * The host of each case is the simulated one in another guise: it wants bits in
 * the addresses of monitor pages, its memory may have a place of its own, it fills
 * what changes hands with noise, and a CPU's slots go with the CPU.
 */
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "fault.h"
#include "guest.h"
#include "sleep.h"
#include "suites.h"
#include "../../include/vmbus_private.h"
#include "../sim/sim_internal.h"

#define NEWEST		SIM_V(6, 0)
#define FLOOR		SIM_V(5, 2)
#define SHARED_PAGES	3	/* of the connection itself */
#define RING_PAGES	(2 * GUEST_RING / PAGE_SIZE)
#define BUFFER_PAGES	5
#define BOUNDARY	BIT_ULL(46)
#define NOISE		0xa5
#define GOING		1	/* the CPU that goes */
#define SHORT_MS	100

/* What this VM's host is besides the simulated one; and what it saw. */
static struct {
	struct vmbus_host_ops ops;
	struct vmbus_isolation isolation;
	const struct vmbus_host_ops *sim;
	unsigned int maps;		/* calls of map() */
	unsigned int fail_map;		/* the nth fails */
	unsigned long mapped_pages;
	u64 monitor[2];
	u64 int_page;
	bool contact_dirty;		/* at INITIATE_CONTACT a page had something in it */
} vm;

static bool is_zero(u64 address)
{
	return !memchr_inv(phys_to_virt(address), 0, PAGE_SIZE);
}

/* The simulated host knows of no boundary. */
static int post_message(u32 connection_id, const void *payload, size_t len)
{
	struct sim_msg_contact contact;
	const struct sim_header *header = payload;

	if (header->type != SIM_CONTACT || len != sizeof(contact))
		return vm.sim->post_message(connection_id, payload, len);
	memcpy(&contact, payload, len);
	vm.monitor[0] = contact.monitor_page[0];
	vm.monitor[1] = contact.monitor_page[1];
	contact.monitor_page[0] &= ~BOUNDARY;
	contact.monitor_page[1] &= ~BOUNDARY;
	vm.contact_dirty |= !is_zero(contact.monitor_page[0]) || !is_zero(contact.monitor_page[1]);
	return vm.sim->post_message(connection_id, &contact, len);
}

/* As encryption with another key does it. */
static int set_visible(void *addr, int nr_pages, bool visible)
{
	int err = vm.sim->set_visible(addr, nr_pages, visible);

	if (!err)
		memset(addr, NOISE, nr_pages * PAGE_SIZE);
	return err;
}

static void *map(struct page **pages, unsigned int nr_pages)
{
	unsigned int i;

	if (++vm.maps == vm.fail_map)
		return NULL;
	for (i = 0; i < nr_pages; i++)
		if (!sim_is_visible(page_to_phys(pages[i]) / SIM_PAGE))
			sim_violation("a private page is mapped as one that the host sees");
	vm.mapped_pages += nr_pages;
	return vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL);
}

static int start_max(u32 version, u32 max)
{
	int err;

	/* One that should not have started fails no other test. */
	if (host.running)
		return -EALREADY;
	host.max_version = version;
	err = vmbus_start(&vm.ops, max);
	host.running = !err;
	return err;
}

static int start(u32 version)
{
	return start_max(version, NEWEST);
}

static int isolation_init(struct kunit *test)
{
	int err;

	/* A run as another kind of VM has its own. */
	if (sim_ops()->isolation)
		kunit_skip(test, "this run's host is one of an isolation VM already");
	err = sim_init(test);
	if (err)
		return err;
	memset(&vm, 0, sizeof(vm));
	sim_use_visibility(true);
	vm.sim = sim_ops();
	vm.isolation.boundary = BOUNDARY;
	vm.ops = *vm.sim;
	vm.ops.isolation = &vm.isolation;
	vm.ops.post_message = post_message;
	vm.ops.set_visible = set_visible;
	return 0;
}

static struct guest_chan *guest_of(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest->ch = sim_guest_channel(test, chan);
	return guest;
}

/* It is opened, works, and is closed; nothing of it is left. */
static void works(struct kunit *test, struct sim_chan *chan)
{
	struct guest_chan *guest = guest_new(test, chan);

	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES + RING_PAGES);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES);
}

/* ---- what it accepts ---- */

static bool is_channel(u32 relid)
{
	bool found;

	rcu_read_lock();
	found = vmbus_relid_lookup(relid);
	rcu_read_unlock();
	return found;
}

static void refuses_version(struct kunit *test, u32 version, u64 mark)
{
	bool can_unload = version >= SIM_V(3, 0);
	char said[64];

	snprintf(said, sizeof(said), "Invalid VMBus version %u.%u (expected >= 5.2)",
		 version >> 16, version & 0xffff);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, said), 1);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), can_unload);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_REQUEST_OFFERS), 0);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), can_unload ? 0 : SHARED_PAGES);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "leaking 3 pages"), !can_unload);
	KUNIT_EXPECT_TRUE(test, sim_synics_down());
}

static void version_has_floor(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	u64 mark = sim_log_mark();
	int err = start(version->version);

	if (version->version < FLOOR) {
		KUNIT_EXPECT_EQ(test, err, -EINVAL);
		refuses_version(test, version->version, mark);
		return;
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, vmbus_proto_version, version->version);
	works(test, chan);
}

/* Nor is a lower one taken because the guest was told to ask for none above. */
static void floor_is_above_max_version(struct kunit *test)
{
	u64 mark = sim_log_mark();

	KUNIT_EXPECT_EQ(test, start_max(NEWEST, SIM_V(5, 1)), -EINVAL);
	refuses_version(test, SIM_V(5, 1), mark);
	/* Another attempt is none the worse for it. */
	KUNIT_EXPECT_EQ(test, start(NEWEST), 0);
}

/* Nor are its offers, which may come right behind its answer. */
static void floor_is_above_offers(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);

	sim_offer_unasked(true);
	KUNIT_EXPECT_EQ(test, start(SIM_V(5, 1)), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_OFFER), 1);
	KUNIT_EXPECT_FALSE(test, is_channel(chan->relid));
}

/* What is offered, and whether an isolation VM takes it. */
static const struct offered {
	const char *name;
	guid_t guid;
	u16 flags;
	bool allowed;
} offers[] = {
	{ .name = "SCSI", HV_SCSI_GUID, .allowed = true },
	{ .name = "NIC", HV_NIC_GUID, .allowed = true },
	{ .name = "time", HV_TS_GUID, .allowed = true },
	{ .name = "heartbeat", HV_HEART_BEAT_GUID, .allowed = true },
	{ .name = "shutdown", HV_SHUTDOWN_GUID, .allowed = true },
	{ .name = "PCI", HV_PCIE_GUID, .allowed = VMBUS_PCIE_IN_ISOLATED },
	{ .name = "IDE", HV_IDE_GUID },
	{ .name = "FC", HV_SYNTHFC_GUID },
	{ .name = "RDMA", HV_ND_GUID },
	{ .name = "video", HV_SYNTHVID_GUID },
	{ .name = "keyboard", HV_KBD_GUID },
	{ .name = "mouse", HV_MOUSE_GUID },
	{ .name = "KVP", HV_KVP_GUID },
	{ .name = "file copy", HV_FCOPY_GUID },
	{ .name = "backup", HV_VSS_GUID },
	{ .name = "memory", HV_DM_GUID },
	{ .name = "activation", HV_AVMA1_GUID },
	{ .name = "no type", },
	{ .name = "unknown", .guid = GUID_INIT(0x12345678, 0x1234, 0x5678, 0x12, 0x34, 0x56, 0x78,
					       0x9a, 0xbc, 0xde, 0xf0) },
	{ .name = "socket", .flags = SIM_OFFER_HVSOCK, .allowed = true,
	  .guid = GUID_INIT(0x12345678, 0x1234, 0x5678, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde,
			    0xf0) },
	{ .name = "socket, called memory", HV_DM_GUID, .flags = SIM_OFFER_HVSOCK, .allowed = true },
};

static void offered_name(const struct offered *offer, char *desc)
{
	strscpy(desc, offer->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(offers, offers, offered_name);

static void offers_are_chosen(struct kunit *test)
{
	const struct offered *offer = test->param_value;
	struct sim_chan *disk = sim_add(test, &sim_type_perf, &sim_echo);
	struct sim_chan *chan = sim_new(test, 77, &offer->guid, &sim_echo);
	u64 mark = sim_log_mark();

	chan->flags = offer->flags;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	sim_offer(chan);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, is_channel(77), offer->allowed);
	KUNIT_EXPECT_LE(test, sim_log_lines(mark, "Invalid offer 77 from the host"),
			offer->allowed ? 0 : 1);
	/* The host is not asked to do anything about it. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	works(test, disk);
}

/* It says so; and a relid that was refused can be another's. */
static void refusal_is_told(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 77, &sim_type_plain, &sim_echo);
	struct sim_chan *disk = sim_new(test, 78, &sim_type_perf, &sim_echo);
	u64 mark = sim_log_mark();

	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	sim_offer(chan);
	sim_drain(test);
	KUNIT_EXPECT_FALSE(test, is_channel(77));
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "Invalid offer 77 from the host supporting"), 1);
	sim_rescind(chan);
	sim_drain(test);
	sim_offer(disk);
	works(test, disk);
}

/* ---- what the host is told ---- */

static void monitor_pages_have_boundary(struct kunit *test)
{
	u64 pages[2];

	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	pages[0] = virt_to_phys(vmbus_connection.monitor_pages[0]);
	pages[1] = virt_to_phys(vmbus_connection.monitor_pages[1]);
	KUNIT_EXPECT_EQ(test, vm.monitor[0], pages[0] | BOUNDARY);
	KUNIT_EXPECT_EQ(test, vm.monitor[1], pages[1] | BOUNDARY);
	KUNIT_EXPECT_FALSE(test, vm.contact_dirty);
}

/* Where there is no such bit there is none in the address. */
static void no_boundary(struct kunit *test)
{
	vm.isolation.boundary = 0;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	KUNIT_EXPECT_EQ(test, vm.monitor[0], virt_to_phys(vmbus_connection.monitor_pages[0]));
	KUNIT_EXPECT_EQ(test, vm.monitor[1], virt_to_phys(vmbus_connection.monitor_pages[1]));
}

/* Nor do the page numbers of GPADLs have it. Of the rings all but the headers is zero. */
static void rings_have_none(struct kunit *test)
{
	struct guest_chan *guest = guest_new(test, sim_add(test, &sim_type_perf, &sim_manual));
	unsigned int i, dirty = 0, above = 0;
	u32 handle;

	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	guest_open(test, guest, guest->host);
	handle = guest->ch->ringbuffer_gpadlhandle.gpadl_handle;
	KUNIT_EXPECT_EQ(test, sim_gpadl_pages(handle),
			2 * vmbus_ring_hv_pages(GUEST_RING / PAGE_SIZE));
	for (i = 0; i < sim_gpadl_pages(handle); i++) {
		u64 address = sim_gpadl_pfn(handle, i) * SIM_PAGE;
		bool header = i == 0 || i == sim_gpadl_pages(handle) / 2;

		above += address >= BOUNDARY;
		dirty += memchr_inv(phys_to_virt(address) + (header ? 128 : 0), 0,
				    SIM_PAGE - (header ? 128 : 0)) != NULL;
	}
	KUNIT_EXPECT_EQ(test, above, 0);
	KUNIT_EXPECT_EQ(test, dirty, 0);
	vmbus_close(guest->ch);
}

/* ---- where it is mapped ---- */

static void alias_is_used(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	unsigned long of_connection;

	vm.isolation.map = map;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	/* To be zeroed, and to stay. */
	of_connection = vm.mapped_pages;
	KUNIT_EXPECT_EQ(test, of_connection, 2 * SHARED_PAGES);
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(vmbus_conn.int_page));
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(vmbus_conn.monitor_pages[0]));
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(vmbus_conn.monitor_pages[1]));
	KUNIT_EXPECT_EQ(test, vmalloc_to_pfn(vmbus_conn.monitor_pages[1]),
			PHYS_PFN(virt_to_phys(vmbus_connection.monitor_pages[1])));
	/* What uio_hv_generic has a look at. */
	KUNIT_EXPECT_FALSE(test, is_vmalloc_addr(vmbus_connection.int_page));
	KUNIT_EXPECT_FALSE(test, is_vmalloc_addr(vmbus_connection.monitor_pages[1]));

	guest_open(test, guest, chan);
	/* To be zeroed; and of each ring the data twice. */
	KUNIT_EXPECT_EQ(test, vm.mapped_pages - of_connection, 3 * RING_PAGES - 2);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES);
}

/* Signals by monitor page are seen. */
static void alias_has_triggers(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 0, &sim_type_perf, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);

	chan->monitored = true;
	chan->monitor_id = 40;
	vm.isolation.map = map;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	sim_offer(chan);
	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_GT(test, sim_triggers(chan), 0);
	vmbus_close(guest->ch);
}

/* No driver maps a ring linearly that is somewhere else. */
static void alias_is_not_linear(struct kunit *test)
{
	struct guest_chan *guest;
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);

	vm.isolation.map = map;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	guest = guest_of(test, chan);
	KUNIT_EXPECT_EQ(test, vmbus_alloc_ring(guest->ch, GUEST_RING, GUEST_RING), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES);
	works(test, chan);
}

static void alias_fails(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);
	unsigned int i;

	vm.isolation.map = map;
	for (i = 1; i <= 2; i++) {
		vm.fail_map = vm.maps + i;
		KUNIT_EXPECT_EQ(test, start(NEWEST), -ENOMEM);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), 0);
	}
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	for (i = 1; i <= 3; i++) {
		vm.fail_map = vm.maps + i;
		KUNIT_EXPECT_EQ(test, guest_open_size(test, guest, chan, GUEST_RING), -ENOMEM);
		KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES);
	}
	works(test, chan);
}

/* ---- what cannot be taken back ---- */

static void leaks_are_counted(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	const unsigned long page_kib = PAGE_SIZE / SZ_1K;
	struct vmbus_gpadl gpadl = { };
	struct guest_chan *guest;
	unsigned long before;
	void *buffer;

	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	before = vmbus_leaked_kib();
	guest = guest_new(test, chan);
	guest_open(test, guest, chan);
	sim_fail_visible(2, false);
	vmbus_close(guest->ch);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, page_kib);
	sim_fail_visible(3, true);
	KUNIT_EXPECT_EQ(test, guest_open_size(test, guest, chan, GUEST_RING), -ENOMEM);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, 2 * page_kib);

	/* A driver's buffer is the driver's to leak: it learns so. */
	buffer = vzalloc(BUFFER_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, BUFFER_PAGES * PAGE_SIZE,
						    &gpadl), 0);
	sim_fail_visible(1, false);
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), -EIO);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, vmbus_leaked_kib() - before, (2 + BUFFER_PAGES) * page_kib);
	/* The host here tells no lies: what it could not do it did not. */
	KUNIT_EXPECT_EQ(test, vm.ops.set_visible(buffer, BUFFER_PAGES, false), 0);
	vfree(buffer);
}

static void buffer_without_memory(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct vmbus_gpadl gpadl = { };
	struct guest_chan *guest;
	void *buffer = vzalloc(BUFFER_PAGES * PAGE_SIZE);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	guest = guest_of(test, chan);
	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	fault_arm(1);
	err = vmbus_establish_gpadl(guest->ch, buffer, BUFFER_PAGES * PAGE_SIZE, &gpadl);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	fault_exit();
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	/* It is the driver's to free. */
	KUNIT_EXPECT_FALSE(test, gpadl.decrypted);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), SHARED_PAGES);
	vfree(buffer);
}

/* ---- CPUs ---- */

static const void *slot_of(unsigned int cpu)
{
	return READ_ONCE(per_cpu(vmbus_synic[VMBUS_SYNIC_HOST], cpu).message);
}

/* A slot that goes with its CPU is not looked at, and there again with the CPU. */
static void slot_goes_with_cpu(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);

	vm.isolation.synic_goes = true;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	KUNIT_EXPECT_NOT_NULL(test, slot_of(GOING));
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	KUNIT_EXPECT_NULL(test, slot_of(GOING));
	works(test, chan);
	KUNIT_EXPECT_EQ(test, add_cpu(GOING), 0);
	KUNIT_EXPECT_NOT_NULL(test, slot_of(GOING));
	works(test, chan);
	sim_stop(test);
	KUNIT_EXPECT_NULL(test, slot_of(0));
	KUNIT_EXPECT_NULL(test, slot_of(GOING));
}

/* After a crash the answer is looked for on those that are there. */
static void crash_without_cpu(struct kunit *test)
{
	vm.isolation.synic_goes = true;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	KUNIT_ASSERT_EQ(test, remove_cpu(GOING), 0);
	sim_mute(true);
	sim_upcall_crash();
	sim_mute(false);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 1);
	KUNIT_EXPECT_EQ(test, vmbus_conn.state, VMBUS_DISCONNECTED);
	KUNIT_EXPECT_EQ(test, add_cpu(GOING), 0);
	sim_undo_unload();
}

/* ---- the ways down ---- */

static void expect_cut(struct kunit *test, struct guest_chan *guest)
{
	u8 bytes[64];
	u32 len;
	u64 id;

	KUNIT_EXPECT_EQ(test, guest_send(guest, "x", 1, 0), -EIO);
	KUNIT_EXPECT_EQ(test, vmbus_recvpacket(guest->ch, bytes, sizeof(bytes), &len, &id), -EIO);
	KUNIT_EXPECT_NULL(test, hv_pkt_iter_first(guest->ch));
	/* As drivers do it, without asking whether it is open. */
	KUNIT_EXPECT_EQ(test, hv_get_bytes_to_read(&guest->ch->inbound), 0);
	KUNIT_EXPECT_LE(test, hv_get_avail_to_write_percent(&guest->ch->outbound), 100);
}

static void kexec_hides(struct kunit *test, bool alias, bool confirmed)
{
	const struct sim_rule silence = { .type = SIM_UNLOAD, .action = SIM_DROP };
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	void *buffer = vzalloc(BUFFER_PAGES * PAGE_SIZE);
	struct guest_chan *guest = guest_new(test, chan);
	const u32 shared = SHARED_PAGES + RING_PAGES + BUFFER_PAGES;
	struct vmbus_gpadl gpadl = { };

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	vm.isolation.map = alias ? map : NULL;
	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	guest_open(test, guest, chan);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	KUNIT_EXPECT_EQ(test, vmbus_establish_gpadl(guest->ch, buffer, BUFFER_PAGES * PAGE_SIZE,
						    &gpadl), 0);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), shared);
	if (!confirmed) {
		sim_rule(&silence);
		sim_allow_no_unload();
		vmbus_deadlines.unload = SHORT_MS;
	}
	sim_upcall_kexec();
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), confirmed ? 0 : shared);
	KUNIT_EXPECT_EQ(test, sim_violations(), 0);
	if (confirmed)
		expect_cut(test, guest);
	if (confirmed)
		KUNIT_EXPECT_EQ(test, vmbus_buffer_hide(buffer, BUFFER_PAGES), -ESHUTDOWN);
	/* A driver that still ends something keeps what it has shared. */
	KUNIT_EXPECT_EQ(test, vmbus_teardown_gpadl(guest->ch, &gpadl), -ESHUTDOWN);
	KUNIT_EXPECT_TRUE(test, gpadl.decrypted);
	sim_allow_violations();
	vmbus_close(guest->ch);
	vmbus_deadlines.unload = SHORT_MS;
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_visible_pages(), confirmed ? 0 : shared);
	vfree(buffer);
}

static void kexec(struct kunit *test)
{
	kexec_hides(test, false, true);
}

static void kexec_with_alias(struct kunit *test)
{
	kexec_hides(test, true, true);
}

/* Then the host may still use all of it. */
static void kexec_unconfirmed(struct kunit *test)
{
	kexec_hides(test, false, false);
}

static void no_hibernation(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, &sim_type_perf, &sim_echo);
	struct sleep sleep = { };
	u64 mark = sim_log_mark();

	KUNIT_ASSERT_EQ(test, start(NEWEST), 0);
	sim_guest_channel(test, chan);
	KUNIT_EXPECT_FALSE(test, vmbus_power_supported());
	KUNIT_EXPECT_EQ(test, freeze(&sleep), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, sleep_root(), -EOPNOTSUPP);
	KUNIT_EXPECT_GT(test, sim_log_lines(mark, "an isolation VM cannot hibernate"), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_UNLOAD), 0);
	works(test, chan);
}

static struct kunit_case isolation_cases[] = {
	KUNIT_CASE_PARAM(version_has_floor, sim_versions_gen_params),
	KUNIT_CASE(floor_is_above_max_version),
	KUNIT_CASE(floor_is_above_offers),
	/* Its line is rate-limited: before those who have many. */
	KUNIT_CASE(refusal_is_told),
	KUNIT_CASE_PARAM(offers_are_chosen, offers_gen_params),
	KUNIT_CASE(monitor_pages_have_boundary),
	KUNIT_CASE(no_boundary),
	KUNIT_CASE(rings_have_none),
	KUNIT_CASE(alias_is_used),
	KUNIT_CASE(alias_has_triggers),
	KUNIT_CASE(alias_is_not_linear),
	KUNIT_CASE(alias_fails),
	KUNIT_CASE(leaks_are_counted),
	KUNIT_CASE(buffer_without_memory),
	KUNIT_CASE(slot_goes_with_cpu),
	KUNIT_CASE(crash_without_cpu),
	KUNIT_CASE(kexec),
	KUNIT_CASE(kexec_with_alias),
	KUNIT_CASE(kexec_unconfirmed),
	KUNIT_CASE(no_hibernation),
	{}
};

struct kunit_suite isolation_suite = {
	.name = "hv_vmbus_isolation",
	.init = isolation_init,
	.exit = sim_exit,
	.test_cases = isolation_cases,
};
