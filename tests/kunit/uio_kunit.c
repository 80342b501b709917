// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_uio: what uio_hv_generic and its users need. The suite's driver does
 * what that one does; its users reach the rings by their physical addresses, by
 * the file `ring`, and switch interrupts on and off.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include "call.h"
#include "fault.h"
#include "files.h"
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

#define UIO_RING	(8 * PAGE_SIZE)	/* of a primary channel, each way */
#define SUB_RING	(16 * PAGE_SIZE)
#define UIO_SUBS	3

/* ---- the driver ---- */

/**
 * struct uio - a device of the driver, of which each case has one
 * @drv: the driver
 * @id: serves plain devices
 * @registered: it is
 * @files: asks for ring files
 * @leaves_files: does not give them up
 * @ch: the device's channel; NULL if it has none
 * @notified: interrupts, of all channels
 * @soft: of them, those that did not come in hard interrupt
 * @subs: sub-channels opened
 * @sub: each of them
 * @sub_error: the last error of opening one or making its file
 * @revoked: rescind callbacks
 * @removes: calls of remove
 * @mapped: calls of the function that maps rings
 */
static struct uio {
	struct hv_driver drv;
	struct hv_vmbus_device_id id[2];
	bool registered;
	bool files;
	bool leaves_files;
	struct vmbus_channel *ch;
	atomic_t notified;
	atomic_t soft;
	atomic_t subs;
	struct vmbus_channel *sub[UIO_SUBS];
	int sub_error;
	atomic_t revoked;
	atomic_t removes;
	unsigned int mapped;
} uio;

static void notify(void *context)
{
	if (!guest_in_interrupt())
		atomic_inc(&uio.soft);
	atomic_inc(&uio.notified);
}

static int map_ring(struct vmbus_channel *ch, struct VMBUS_MAPPING *vma)
{
	phys_addr_t ring = page_to_phys(ch->ringbuffer_page);
	unsigned long size = (unsigned long)ch->ringbuffer_pagecount << PAGE_SHIFT;

	uio.mapped++;
	if (ch->state != CHANNEL_OPENED_STATE)
		return -ENODEV;
#if VMBUS_MMAP_PREPARED
	mmap_action_simple_ioremap(vma, ring, size);
	return 0;
#else
	return vm_iomap_memory(vma, ring, size);
#endif
}

static void on_sub(struct vmbus_channel *sub)
{
	int err;

	set_channel_read_mode(sub, HV_CALL_ISR);
	err = vmbus_open(sub, SUB_RING, SUB_RING, NULL, 0, notify, sub);
	if (!err && uio.files)
		err = hv_create_ring_sysfs(sub, map_ring);
	if (err) {
		uio.sub_error = err;
		return;
	}
	uio.sub[atomic_read(&uio.subs)] = sub;
	/* Whoever waits for the count finds the channel. */
	smp_mb__before_atomic();
	atomic_inc(&uio.subs);
}

static void on_rescind(struct vmbus_channel *ch)
{
	atomic_inc(&uio.revoked);
	vmbus_device_unregister(ch->device_obj);
}

static int uio_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	int err = vmbus_alloc_ring(dev->channel, UIO_RING, UIO_RING);

	if (err)
		return err;
	set_channel_read_mode(dev->channel, HV_CALL_ISR);
	uio.ch = dev->channel;
	return uio.files ? hv_create_ring_sysfs(dev->channel, map_ring) : 0;
}

/* remove() returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL))
uio_remove(struct hv_device *dev)
{
	if (!uio.leaves_files)
		hv_remove_ring_sysfs(dev->channel);
	/* Without closing it: a user may have it open. */
	vmbus_free_ring(dev->channel);
	uio.ch = NULL;
	atomic_inc(&uio.removes);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

/* The first user comes. */
static int uio_open(void)
{
	int err;

	vmbus_set_chn_rescind_callback(uio.ch, on_rescind);
	vmbus_set_sc_create_callback(uio.ch, on_sub);
	err = vmbus_connect_ring(uio.ch, notify, uio.ch);
	if (!err)
		uio.ch->inbound.ring_buffer->interrupt_mask = 1;
	return err;
}

/* The last one goes. */
static int uio_release(void)
{
	return vmbus_disconnect_ring(uio.ch);
}

/* Whether every ring in the list could be used. */
static bool uio_irqcontrol(bool on)
{
	struct vmbus_channel *sub;
	bool ok = true;

	WRITE_ONCE(uio.ch->inbound.ring_buffer->interrupt_mask, !on);
	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(sub, &uio.ch->sc_list, sc_list) {
		if (sub->inbound.ring_buffer)
			WRITE_ONCE(sub->inbound.ring_buffer->interrupt_mask, !on);
		else
			ok = false;
	}
	mutex_unlock(&vmbus_connection.channel_mutex);
	if (on) {
		virt_mb();	/* the mask is seen before the host looks */
		vmbus_set_event(uio.ch);
	}
	return ok;
}

/* A device of the driver, and its host's side. */
/* References to a page, without those of the host. */
static int users(struct page *page)
{
	return page_count(page) - sim_holds(page);
}

static struct sim_chan *uio_start(struct kunit *test, const struct sim_vsp *vsp)
{
	struct sim_chan *host = sim_add(test, NULL, vsp);

	sim_needs_linear_rings(test);
	sim_start_ok(test, SIM_USUAL);
	uio.registered = !vmbus_driver_register(&uio.drv);
	KUNIT_ASSERT_TRUE(test, uio.registered);
	KUNIT_ASSERT_NOT_NULL(test, uio.ch);
	return host;
}

static void uio_unregister(void)
{
	if (uio.registered)
		vmbus_driver_unregister(&uio.drv);
	uio.registered = false;
}

/* Offers sub-channels that echo, and waits until the driver has them open. */
static void add_subs(struct kunit *test, struct sim_chan *host, struct sim_chan **subs)
{
	unsigned int i;

	for (i = 0; i < UIO_SUBS; i++)
		subs[i] = sim_add_sub(test, host, i + 1, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&uio.subs) == UIO_SUBS || uio.sub_error));
	KUNIT_ASSERT_EQ(test, uio.sub_error, 0);
}

/* ---- a user who has the ring mapped at @ring ---- */

struct user_packet {
	struct sim_packet_header header;
	u64 payload;
	u64 trailer;
};

/* What @ch's user maps at its physical address. */
static void *linear(const struct vmbus_channel *ch)
{
	return page_address(ch->ringbuffer_page);
}

static bool user_send(void *ring, struct vmbus_channel *ch, u64 payload)
{
	struct sim_ring_header *tx = ring;
	struct user_packet packet = {
		.header = {
			.type = SIM_PKT_INBAND,
			.offset8 = sizeof(packet.header) / 8,
			.len8 = offsetof(struct user_packet, trailer) / 8,
			.trans_id = payload,
		},
		.payload = payload,
		.trailer = (u64)tx->in << 32,
	};

	/* Cases send so little that nothing wraps. */
	if (tx->in + sizeof(packet) >= (ch->ringbuffer_send_offset - 1) * PAGE_SIZE)
		return false;
	memcpy(ring + PAGE_SIZE + tx->in, &packet, sizeof(packet));
	virt_wmb();	/* the packet comes before the index */
	WRITE_ONCE(tx->in, tx->in + sizeof(packet));
	virt_mb();	/* the index is seen before the host looks */
	vmbus_set_event(ch);
	return true;
}

static bool user_receives(void *ring, const struct vmbus_channel *ch, u64 payload)
{
	struct sim_ring_header *rx = ring + ch->ringbuffer_send_offset * PAGE_SIZE;
	struct user_packet packet;

	if (!sim_wait(READ_ONCE(rx->in) != rx->out))
		return false;
	virt_rmb();	/* the index comes before the packet */
	memcpy(&packet, (void *)rx + PAGE_SIZE + rx->out, sizeof(packet));
	WRITE_ONCE(rx->out, rx->out + sizeof(packet));
	return packet.payload == payload;
}

static bool user_echoes(void *ring, struct vmbus_channel *ch)
{
	u64 payload = 1 + sim_random(U32_MAX - 1);

	return user_send(ring, ch, payload) && user_receives(ring, ch, payload);
}

/* ---- rings ---- */

static void packets_through_the_linear_ring(struct kunit *test)
{
	int i;

	uio_start(test, &sim_echo);
	KUNIT_EXPECT_EQ(test, uio.ch->ringbuffer_pagecount, 2 * UIO_RING / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, uio.ch->ringbuffer_send_offset, UIO_RING / PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_TRUE(test, user_echoes(linear(uio.ch), uio.ch));
	/* Masked all the time. */
	KUNIT_EXPECT_EQ(test, atomic_read(&uio.notified), 0);
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(true));
	for (i = 1; i <= 10; i++) {
		KUNIT_EXPECT_TRUE(test, user_echoes(linear(uio.ch), uio.ch));
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&uio.notified) == i));
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&uio.soft), 0);
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
}

static void opens_again_on_the_same_ring(struct kunit *test)
{
	struct sim_chan *host = uio_start(test, &sim_echo);
	struct page *page = uio.ch->ringbuffer_page;
	int i;

	for (i = 1; i <= 5; i++) {
		KUNIT_ASSERT_EQ(test, uio_open(), 0);
		KUNIT_EXPECT_EQ(test, uio_open(), -EBUSY);
		KUNIT_EXPECT_TRUE(test, user_echoes(linear(uio.ch), uio.ch));
		KUNIT_EXPECT_EQ(test, uio_release(), 0);
		KUNIT_EXPECT_EQ(test, uio_release(), -EINVAL);
		KUNIT_EXPECT_PTR_EQ(test, uio.ch->ringbuffer_page, page);
		KUNIT_EXPECT_EQ(test, host->opens, i);
		KUNIT_EXPECT_EQ(test, host->closes, i);
	}
	/* Nobody but the channel has it. */
	KUNIT_EXPECT_EQ(test, users(page), 1);
}

/* The pages that uio maps by virt_to_page(). */
static void shared_pages_are_of_the_direct_map(struct kunit *test)
{
	void *pages[3];
	int i;

	sim_start_ok(test, SIM_USUAL);
	pages[0] = vmbus_connection.int_page;
	pages[1] = vmbus_connection.monitor_pages[0];
	pages[2] = vmbus_connection.monitor_pages[1];
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		KUNIT_EXPECT_TRUE(test, virt_addr_valid(pages[i]));
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(pages[i]));
	}
}

static void table_of_device_types(struct kunit *test)
{
	static const guid_t none;
	int i;

	KUNIT_EXPECT_EQ(test, sizeof(vmbus_devs[0]), 32);
	for (i = 0; i <= HV_UNKNOWN; i++) {
		KUNIT_EXPECT_EQ(test, vmbus_devs[i].dev_type, i);
		KUNIT_EXPECT_EQ(test, guid_equal(&vmbus_devs[i].guid, &none), i == HV_UNKNOWN);
	}
	KUNIT_EXPECT_EQ(test, vmbus_devs[HV_FCOPY].pref_ring_size, 0x4000);
	KUNIT_EXPECT_EQ(test, vmbus_devs[HV_UNKNOWN].pref_ring_size, 0x11000);
	KUNIT_EXPECT_EQ(test, vmbus_devs[HV_NIC].pref_ring_size, 0);
}

/* ---- sub-channels ---- */

static unsigned int listed(const struct vmbus_channel *channel)
{
	struct vmbus_channel *sub;
	unsigned int found = 0;

	mutex_lock(&vmbus_connection.channel_mutex);
	list_for_each_entry(sub, &uio.ch->sc_list, sc_list)
		found += !channel || sub == channel;
	mutex_unlock(&vmbus_connection.channel_mutex);
	return found;
}

static void open_sub_channels_are_listed(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct sim_chan *host = uio_start(test, &sim_echo);
	int i;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
	add_subs(test, host, subs);
	KUNIT_EXPECT_EQ(test, listed(NULL), UIO_SUBS);
	for (i = 0; i < UIO_SUBS; i++) {
		KUNIT_EXPECT_EQ(test, listed(uio.sub[i]), 1);
		KUNIT_ASSERT_NOT_NULL(test, uio.sub[i]->ringbuffer_page);
		KUNIT_EXPECT_TRUE(test, user_echoes(linear(uio.sub[i]), uio.sub[i]));
	}
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(false));
	for (i = 0; i < UIO_SUBS; i++)
		KUNIT_EXPECT_EQ(test, uio.sub[i]->inbound.ring_buffer->interrupt_mask, 1);
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(true));
	for (i = 0; i < UIO_SUBS; i++)
		KUNIT_EXPECT_EQ(test, uio.sub[i]->inbound.ring_buffer->interrupt_mask, 0);

	/* One is closed by itself, the others with the primary. */
	vmbus_close(uio.sub[1]);
	KUNIT_EXPECT_EQ(test, listed(NULL), UIO_SUBS - 1);
	KUNIT_EXPECT_EQ(test, listed(uio.sub[1]), 0);
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
}

/* Refused, too late, revoked: never in the list. */
static void sub_channels_that_do_not_open_are_not_listed(struct kunit *test)
{
	struct sim_rule refuse = { .type = SIM_OPEN, .action = SIM_REFUSE, .status = 5 };
	struct sim_chan *host = uio_start(test, &sim_echo), *sub;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	sim_rule(&refuse);
	sub = sim_add_sub(test, host, 1, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(READ_ONCE(uio.sub_error)));
	KUNIT_EXPECT_EQ(test, uio.sub_error, -EAGAIN);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(true));
	sim_clear_rules();
	/* Once open, a revoked one stays in use until it is closed. */
	KUNIT_ASSERT_EQ(test, vmbus_open(sim_guest_channel(test, sub), SUB_RING, SUB_RING, NULL, 0,
					 notify, NULL), 0);
	sim_rescind(sub);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, listed(NULL), 1);
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(false));
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub)));
}

#define RACES	150

static unsigned long walks;

/* Until there have been enough of those who look at them, too. */
static int open_and_close(void *arg)
{
	struct vmbus_channel *sub = arg;
	int i, err = 0;

	for (i = 0; (i < RACES || READ_ONCE(walks) <= RACES) && !err; i++) {
		err = vmbus_open(sub, PAGE_SIZE * 2, PAGE_SIZE * 2, NULL, 0, notify, sub);
		if (!err)
			vmbus_close(sub);
	}
	return err;
}

static void interrupts_on_and_off_while_sub_channels_come_and_go(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct sim_chan *host = uio_start(test, &sim_echo);
	struct guest_call *calls[UIO_SUBS];
	unsigned long unusable = 0;
	int i;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	add_subs(test, host, subs);
	for (i = 0; i < UIO_SUBS; i++)
		vmbus_close(uio.sub[i]);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
	walks = 0;
	for (i = 0; i < UIO_SUBS; i++)
		calls[i] = guest_call_begin(test, open_and_close, uio.sub[i]);
	for (i = 0; i < UIO_SUBS; i++) {
		while (!guest_call_ended(calls[i])) {
			unusable += !uio_irqcontrol(walks % 2);
			WRITE_ONCE(walks, walks + 1);
			cond_resched();
		}
	}
	for (i = 0; i < UIO_SUBS; i++)
		KUNIT_EXPECT_EQ(test, guest_call_end(calls[i]), 0);
	KUNIT_EXPECT_EQ_MSG(test, unusable, 0, "of %lu walks", walks);
	KUNIT_EXPECT_GT(test, walks, RACES);
	KUNIT_EXPECT_EQ(test, listed(NULL), 0);
	KUNIT_EXPECT_TRUE(test, uio_irqcontrol(true));
}

/* ---- devices that go while they are in use ---- */

static void revoked_while_open(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct sim_chan *host = uio_start(test, &sim_echo);
	struct page *page = uio.ch->ringbuffer_page;
	int i;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	add_subs(test, host, subs);
	get_page(page);
	sim_rescind(host);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(host)));
	KUNIT_EXPECT_EQ(test, atomic_read(&uio.revoked), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&uio.removes), 1);
	for (i = 0; i < UIO_SUBS; i++)
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(subs[i])));
	/* The user still writes there, until the driver's module can go. */
	KUNIT_EXPECT_EQ(test, users(page), 2);
	memset(page_address(page), 0xff, 2 * UIO_RING);
	uio_unregister();
	KUNIT_EXPECT_EQ(test, users(page), 1);
	put_page(page);
}

static void unbound_while_open(struct kunit *test)
{
	struct sim_chan *host = uio_start(test, &sim_echo);
	struct page *page = uio.ch->ringbuffer_page;
	struct vmbus_channel *ch = uio.ch;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	get_page(page);
	device_release_driver(&ch->device_obj->device);
	KUNIT_EXPECT_EQ(test, atomic_read(&uio.removes), 1);
	KUNIT_EXPECT_EQ(test, ch->state, CHANNEL_OPEN_STATE);
	KUNIT_EXPECT_EQ(test, host->closes, 1);
	KUNIT_EXPECT_PTR_EQ(test, ch->ringbuffer_page, (struct page *)NULL);
	KUNIT_EXPECT_FALSE(test, to_vmbus_chan(ch)->linear_only);
	KUNIT_EXPECT_EQ(test, users(page), 2);

	/* Bound again: a ring of its own. */
	KUNIT_ASSERT_EQ(test, device_attach(&ch->device_obj->device), 1);
	KUNIT_ASSERT_PTR_EQ(test, uio.ch, ch);
	KUNIT_EXPECT_PTR_NE(test, ch->ringbuffer_page, page);
	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	KUNIT_EXPECT_TRUE(test, user_echoes(linear(ch), ch));
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
	uio_unregister();
	KUNIT_EXPECT_EQ(test, users(page), 1);
	put_page(page);
}

static void unbound_when_closed_frees_the_ring(struct kunit *test)
{
	struct page *page;

	uio_start(test, &sim_echo);
	page = uio.ch->ringbuffer_page;
	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
	get_page(page);
	device_release_driver(&uio.ch->device_obj->device);
	KUNIT_EXPECT_EQ(test, users(page), 1);
	put_page(page);
}

/* Whoever has it mapped by its file loses the mapping with the directory. */
static void ring_of_a_sub_channel_stays_until_its_directory_goes(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct sim_chan *host = uio_start(test, &sim_echo);
	struct sim_chan *sub;
	struct page *page;

	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	add_subs(test, host, subs);
	/* They are announced in any order. */
	sim_lock();
	sub = sim_chan_locked(uio.sub[0]->offermsg.child_relid);
	sim_unlock();
	page = uio.sub[0]->ringbuffer_page;
	get_page(page);
	KUNIT_EXPECT_EQ(test, users(page), 3);
	KUNIT_EXPECT_EQ(test, uio_release(), 0);
	KUNIT_EXPECT_EQ(test, users(page), 2);
	memset(page_address(page), 0xff, 2 * SUB_RING);
	sim_rescind(sub);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(sub)));
	KUNIT_EXPECT_TRUE(test, sim_wait(users(page) == 1));
	put_page(page);
}

/* ---- files ---- */

/* Bytes of a channel's ring file; -errno. */
static loff_t file_size(const struct vmbus_channel *ch, umode_t *mode)
{
	char path[FILE_PATH_MAX];
	struct file *file;
	loff_t size;

	channel_path(path, ch, "ring");
	file = file_open(path, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);
	size = i_size_read(file_inode(file));
	*mode = file_inode(file)->i_mode & 0777;
	filp_close(file, NULL);
	return size;
}

static void expect_file(struct kunit *test, const struct vmbus_channel *ch, loff_t expected)
{
	umode_t mode = 0600;

	KUNIT_EXPECT_EQ_MSG(test, file_size(ch, &mode), expected, "relid %u",
			    ch->offermsg.child_relid);
	KUNIT_EXPECT_EQ(test, mode, 0600);
}

static void each_file_has_its_rings_size(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct sim_chan *host;
	int i;

	uio.files = true;
	host = uio_start(test, &sim_echo);
	expect_file(test, uio.ch, 2 * UIO_RING);
	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	add_subs(test, host, subs);
	for (i = 0; i < UIO_SUBS; i++)
		expect_file(test, uio.sub[i], 2 * SUB_RING);
	expect_file(test, uio.ch, 2 * UIO_RING);
	KUNIT_EXPECT_EQ(test, hv_remove_ring_sysfs(uio.sub[1]), 0);
	expect_file(test, uio.sub[0], 2 * SUB_RING);
	expect_file(test, uio.sub[1], -ENOENT);
	/* There is nothing to remove. */
	KUNIT_EXPECT_EQ(test, hv_remove_ring_sysfs(uio.sub[1]), 0);
}

static void file_comes_when_asked_for(struct kunit *test)
{
	struct vmbus_chan *chan;

	uio_start(test, &sim_echo);
	chan = to_vmbus_chan(uio.ch);
	expect_file(test, uio.ch, -ENOENT);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(uio.ch, NULL), -EINVAL);
	expect_file(test, uio.ch, -ENOENT);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(uio.ch, map_ring), 0);
	expect_file(test, uio.ch, 2 * UIO_RING);

	/* A ring of another size. */
	vmbus_free_ring(uio.ch);
	KUNIT_ASSERT_EQ(test, vmbus_alloc_ring(uio.ch, SUB_RING, UIO_RING), 0);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(uio.ch, map_ring), 0);
	expect_file(test, uio.ch, SUB_RING + UIO_RING);
	KUNIT_EXPECT_EQ(test, hv_remove_ring_sysfs(uio.ch), 0);
	expect_file(test, uio.ch, -ENOENT);

	/* Asked for before the directory is there. */
	vmbus_ring_file_dir(chan, false);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(uio.ch, map_ring), 0);
	expect_file(test, uio.ch, -ENOENT);
	vmbus_ring_file_dir(chan, true);
	expect_file(test, uio.ch, SUB_RING + UIO_RING);
}

static void file_without_memory(struct kunit *test)
{
	int err, ring_err;

	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	uio_start(test, &sim_echo);
	fault_arm(1);
	err = hv_create_ring_sysfs(uio.ch, map_ring);
	fault_disarm();
	expect_file(test, uio.ch, -ENOENT);
	ring_err = hv_create_ring_sysfs(uio.ch, map_ring);
	fault_exit();
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, ring_err, 0);
	expect_file(test, uio.ch, 2 * UIO_RING);
}

/* The same when the channel's directory comes: the channel does without the file. */
static void directory_without_memory(struct kunit *test)
{
	struct vmbus_chan *chan;
	u64 mark;

	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	uio_start(test, &sim_echo);
	chan = to_vmbus_chan(uio.ch);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(uio.ch, map_ring), 0);
	vmbus_ring_file_dir(chan, false);
	expect_file(test, uio.ch, -ENOENT);
	mark = sim_log_mark();
	fault_arm(1);
	vmbus_ring_file_dir(chan, true);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	expect_file(test, uio.ch, -ENOENT);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no file for its ring: -12"), 1);
	vmbus_ring_file_dir(chan, false);
	vmbus_ring_file_dir(chan, true);
	expect_file(test, uio.ch, 2 * UIO_RING);
	fault_exit();
}

/* Rather leaked than used for something else while somebody has it mapped. */
static void ring_that_cannot_be_held(struct kunit *test)
{
	struct page *pages = alloc_pages(GFP_KERNEL, 1);
	u64 mark = sim_log_mark();
	unsigned int i;
	char said[40];

	snprintf(said, sizeof(said), "leaking %lu KiB of a ring", 2 * PAGE_SIZE / SZ_1K);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	split_page(pages, 1);
	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	fault_arm(1);
	vmbus_ring_hold(test, pages, 2);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	fault_exit();
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, said), 1);
	vmbus_ring_release(test);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, users(pages + i), 2);
		put_page(pages + i);
		__free_page(pages + i);
	}
}

/* Its functions may be gone with its module. */
static void files_go_with_the_driver(struct kunit *test)
{
	struct sim_chan *subs[UIO_SUBS];
	struct vmbus_channel *ch, *sub;
	struct sim_chan *host;

	uio.files = true;
	uio.leaves_files = true;
	host = uio_start(test, &sim_echo);
	ch = uio.ch;
	KUNIT_ASSERT_EQ(test, uio_open(), 0);
	add_subs(test, host, subs);
	sub = uio.sub[UIO_SUBS - 1];
	device_release_driver(&ch->device_obj->device);
	expect_file(test, ch, -ENOENT);
	expect_file(test, sub, -ENOENT);
}

/* ---- mappings ---- */

/* Cases that map borrow the address space of init, which waits for this module. */
static struct mm_struct *borrow_mm(struct kunit *test)
{
	struct task_struct *init;
	struct mm_struct *mm;

	sim_needs_linear_rings(test);
	rcu_read_lock();
	init = pid_task(find_pid_ns(1, &init_pid_ns), PIDTYPE_PID);
	mm = get_task_mm(init);
	rcu_read_unlock();
	KUNIT_ASSERT_NOT_NULL(test, mm);
	kthread_use_mm(mm);
	return mm;
}

static void return_mm(struct mm_struct *mm)
{
	kthread_unuse_mm(mm);
	mmput(mm);
}

/* The address; -errno. */
static unsigned long map_file(const struct vmbus_channel *ch, unsigned long len)
{
	char path[FILE_PATH_MAX];
	unsigned long address;
	struct file *file;

	channel_path(path, ch, "ring");
	file = file_open(path, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);
	address = vm_mmap(file, 0, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	filp_close(file, NULL);
	return address;
}

static bool user_sees(unsigned long address, u32 page, u32 expected)
{
	u32 value;

	return !get_user(value, (u32 __user *)(address + page * PAGE_SIZE + 64)) &&
	       value == expected;
}

static bool user_writes(unsigned long address, u32 page, u32 value)
{
	return !put_user(value, (u32 __user *)(address + page * PAGE_SIZE + 64));
}

static u32 *in_page(struct page *page)
{
	return page_address(page) + 64;
}

static void linear_ring_is_mapped_by_the_driver(struct kunit *test)
{
	struct mm_struct *mm = borrow_mm(test);
	u32 last = 2 * UIO_RING / PAGE_SIZE - 1;
	unsigned long address;

	uio.files = true;
	uio_start(test, &sim_manual);
	/* Not while it is closed. */
	KUNIT_EXPECT_EQ(test, (long)map_file(uio.ch, 2 * UIO_RING), -ENODEV);
	KUNIT_EXPECT_EQ(test, uio.mapped, 1);
	KUNIT_EXPECT_EQ(test, uio_open(), 0);
	/* Nor more than there is. */
	KUNIT_EXPECT_EQ(test, (long)map_file(uio.ch, 2 * UIO_RING + PAGE_SIZE), -EINVAL);
	address = map_file(uio.ch, 2 * UIO_RING);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(address));
	if (!IS_ERR_VALUE(address)) {
		KUNIT_EXPECT_EQ(test, uio.mapped, 3);
		*in_page(uio.ch->ringbuffer_page + 1) = 0x11223344;
		KUNIT_EXPECT_TRUE(test, user_sees(address, 1, 0x11223344));
		KUNIT_EXPECT_TRUE(test, user_writes(address, last, 0x55667788));
		KUNIT_EXPECT_EQ(test, *in_page(uio.ch->ringbuffer_page + last), 0x55667788);
		/* With the file its mappings go. */
		KUNIT_EXPECT_EQ(test, hv_remove_ring_sysfs(uio.ch), 0);
		KUNIT_EXPECT_FALSE(test, user_sees(address, 1, 0x11223344));
		KUNIT_EXPECT_FALSE(test, user_writes(address, last, 1));
		vm_munmap(address, 2 * UIO_RING);
	}
	return_mm(mm);
}

static void scattered_ring_is_mapped_by_the_bus(struct kunit *test)
{
	struct mm_struct *mm = borrow_mm(test);
	struct guest_chan *guest = guest_new(test, sim_add(test, &sim_type_perf, &sim_manual));
	u32 last = 2 * UIO_RING / PAGE_SIZE - 1, i;
	unsigned long address = -EBADE;
	struct vmbus_chan *chan;

	sim_start_ok(test, SIM_USUAL);
	guest->ch = sim_guest_channel(test, guest->host);
	chan = to_vmbus_chan(guest->ch);
	KUNIT_EXPECT_EQ(test, vmbus_open(guest->ch, UIO_RING, UIO_RING, NULL, 0, guest_callback,
					 guest), 0);
	KUNIT_EXPECT_PTR_EQ(test, guest->ch->ringbuffer_page, (struct page *)NULL);
	KUNIT_EXPECT_EQ(test, hv_create_ring_sysfs(guest->ch, map_ring), 0);
	KUNIT_EXPECT_EQ(test, (long)map_file(guest->ch, 2 * UIO_RING + PAGE_SIZE), -ENXIO);
	address = map_file(guest->ch, 2 * UIO_RING);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(address));
	for (i = 0; !IS_ERR_VALUE(address) && i <= last; i++) {
		*in_page(chan->ring_pages[i]) = 0x1000 + i;
		KUNIT_EXPECT_TRUE(test, user_sees(address, i, 0x1000 + i));
	}
	/* A mapping has references to its pages. */
	vmbus_close(guest->ch);
	if (!IS_ERR_VALUE(address)) {
		KUNIT_EXPECT_TRUE(test, user_writes(address, last, 1));
		KUNIT_EXPECT_TRUE(test, user_sees(address, last, 1));
		vm_munmap(address, 2 * UIO_RING);
	}
	/* There is no ring now. */
	KUNIT_EXPECT_EQ(test, (long)map_file(guest->ch, 2 * UIO_RING), -ENODEV);
	KUNIT_EXPECT_EQ(test, uio.mapped, 0);
	return_mm(mm);
}

/* ---- the suite ---- */

static int uio_init(struct kunit *test)
{
	int err;

	uio = (struct uio){
		.drv = {
			.name = "uio",
			.id_table = uio.id,
			.probe = uio_probe,
			.remove = uio_remove,
		},
	};
	/* The type depends on the kind of VM. */
	err = sim_init(test);
	uio.id[0].guid = sim_type_plain;
	return err;
}

static void uio_exit(struct kunit *test)
{
	uio_unregister();
	sim_exit(test);
}

static struct kunit_case uio_cases[] = {
	KUNIT_CASE(packets_through_the_linear_ring),
	KUNIT_CASE(opens_again_on_the_same_ring),
	KUNIT_CASE(shared_pages_are_of_the_direct_map),
	KUNIT_CASE(table_of_device_types),
	KUNIT_CASE(open_sub_channels_are_listed),
	KUNIT_CASE(sub_channels_that_do_not_open_are_not_listed),
	KUNIT_CASE(interrupts_on_and_off_while_sub_channels_come_and_go),
	KUNIT_CASE(revoked_while_open),
	KUNIT_CASE(unbound_while_open),
	KUNIT_CASE(unbound_when_closed_frees_the_ring),
	KUNIT_CASE(ring_of_a_sub_channel_stays_until_its_directory_goes),
	KUNIT_CASE(each_file_has_its_rings_size),
	KUNIT_CASE(file_comes_when_asked_for),
	KUNIT_CASE(file_without_memory),
	KUNIT_CASE(directory_without_memory),
	KUNIT_CASE(ring_that_cannot_be_held),
	KUNIT_CASE(files_go_with_the_driver),
	KUNIT_CASE(linear_ring_is_mapped_by_the_driver),
	KUNIT_CASE(scattered_ring_is_mapped_by_the_bus),
	{ }
};

struct kunit_suite uio_suite = {
	.name = "hv_vmbus_uio",
	.init = uio_init,
	.exit = uio_exit,
	.test_cases = uio_cases,
};
