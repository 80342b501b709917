// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address space for devices: the windows that firmware gives to VMBus, the frame
 * buffer in them, and the pieces that VSCs have. Where windows come from is not
 * known here.
 *
 * Actions: windows and frame buffer are set while the bus starts and forgotten
 * when it has stopped; VSCs take and give back pieces in between, at any time.
 *
 * Owners: a piece is in two places: in the list here, so that no other device
 * gets any of it, and in the kernel's iomem tree, whose struct the VSC works
 * with. pci-hyperv makes that one a bridge window, no longer busy, which is why
 * the tree alone would not do. Both end in vmbus_free_mmio().
 *
 * Lock: mmio_lock, a mutex, for all of it. The lock of the iomem tree is inside.
 */
#include <linux/hyperv.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "include/vmbus_mmio.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* The registers of a TPM: where every PC has them, whatever firmware says. */
#define TPM_START	0xfed40000ULL
#define TPM_SIZE	0x5000

/* What a frame buffer is given on a generation 2 VM, if there is room. */
#define FB_LEAST	SZ_8M
#define FB_MOST		SZ_128M

/*
 * How many addresses that somebody else has are tried one after the other: 32 MiB
 * in steps of 4 KiB. Then the steps grow. What VSCs have does not count.
 */
#define EXACT_TRIES	8192

struct mmio_window {
	struct list_head node;
	struct vmbus_range range;
};

/* What a VSC has; its entry in iomem has this copy of the device's name. */
struct mmio_piece {
	struct list_head node;
	struct vmbus_range range;
	char name[];
};

struct mmio_request {
	struct mmio_piece *piece;	/* range is filled when it has its place */
	u64 size;
	u64 align;
	bool fb_overlap_ok;
	unsigned int tries;		/* left until steps grow */
};

static DEFINE_MUTEX(mmio_lock);	/* all of these */
static LIST_HEAD(windows);	/* by address, with gaps in between */
static LIST_HEAD(pieces);	/* in no order */
static struct vmbus_range frame_buffer;
static bool fb_known;

static bool overlap(const struct vmbus_range *a, const struct vmbus_range *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* ---- windows ---- */

/* For ranges that do not begin at 0, as windows do not. */
static bool touch(const struct vmbus_range *a, const struct vmbus_range *b)
{
	return a->start - 1 <= b->end && b->start - 1 <= a->end;
}

/* What of a range can be handed out. Return: whether anything. */
static bool cut_window(struct vmbus_range *range)
{
	const u64 tpm_end = TPM_START + TPM_SIZE;

	/* Below 1 MiB is what PCs have there. */
	range->start = max_t(u64, range->start, SZ_1M);
	range->end = min_t(u64, range->end, iomem_resource.end);
	if (range->start >= TPM_START && range->start < tpm_end)
		range->start = tpm_end;
	else if (range->start < TPM_START && range->end >= TPM_START)
		range->end = TPM_START - 1;
	return range->start <= range->end;
}

/**
 * vmbus_mmio_add() - add a window, as firmware has it
 * @start: its first byte
 * @end: its last byte
 *
 * What is below 1 MiB, beyond the addresses of the processor, or the TPM's is
 * cut off; of a window that reaches beyond the TPM all is that is above it.
 * Windows that overlap or touch become one.
 *
 * Context: process, sleeps; before VSCs have devices.
 * Return: 0, also if nothing is left of it; -EINVAL if it ends before it starts;
 * -ENOMEM.
 */
int vmbus_mmio_add(u64 start, u64 end)
{
	struct mmio_window *new, *window, *next;

	if (end < start)
		return -EINVAL;
	new = kmalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	new->range = (struct vmbus_range){ start, end };
	if (!cut_window(&new->range)) {
		kfree(new);
		return 0;
	}

	mutex_lock(&mmio_lock);
	/* What is taken in never reaches to a window that has been passed. */
	list_for_each_entry_safe(window, next, &windows, node) {
		if (!touch(&window->range, &new->range))
			continue;
		new->range.start = min(new->range.start, window->range.start);
		new->range.end = max(new->range.end, window->range.end);
		list_del(&window->node);
		kfree(window);
	}
	list_for_each_entry(window, &windows, node)
		if (window->range.start > new->range.start)
			break;
	list_add_tail(&new->node, &window->node);
	mutex_unlock(&mmio_lock);
	return 0;
}

/**
 * vmbus_mmio_empty() - is there no window?
 *
 * Context: process, sleeps.
 * Return: whether that is so.
 */
bool vmbus_mmio_empty(void)
{
	bool empty;

	mutex_lock(&mmio_lock);
	empty = list_empty(&windows);
	mutex_unlock(&mmio_lock);
	return empty;
}

/* ---- the frame buffer ---- */

/**
 * vmbus_mmio_fb_rule() - what to keep free for the frame buffer
 * @said: what firmware says
 * @window: the window in which it begins, or NULL; if it is not known where it
 *	is, the first window, or NULL
 * @fb: filled
 *
 * A BAR (generation 1) is what it is.
 *
 * screen_info (generation 2) is of the boot of the machine. Since then a VSC may
 * have moved the frame buffer and made it larger; so after a crash the host
 * still writes there. Kernels put it at the bottom of the range that they had
 * kept free, as this rule has it: in the window, from the old place on, up to
 * half of the space below 4 GiB, 128 MiB at most, 8 MiB at least. A kernel
 * booted by kexec may not know the place at all: the host's own is the start of
 * the first window.
 *
 * Outside of the windows nothing is known of what lies behind it, so there it is
 * as large as firmware says.
 *
 * Context: any; pure.
 * Return: true; false if there is nothing to keep free.
 */
bool vmbus_mmio_fb_rule(const struct vmbus_fb_report *said, const struct vmbus_range *window,
			struct vmbus_range *fb)
{
	u64 start = said->base, size = said->size;

	if (!start) {
		if (!said->gen2 || !window || window->start >= SZ_4G)
			return false;
		start = window->start;
	}
	if (said->gen2 && window) {
		size = max_t(u64, size, FB_LEAST);
		if (start < SZ_4G)
			size = max_t(u64, size, min_t(u64, (SZ_4G - start) / 2, FB_MOST));
		size = min(size, window->end - start + 1);
	}
	if (!size || size - 1 > U64_MAX - start)
		return false;
	fb->start = start;
	fb->end = start + size - 1;
	return true;
}

/**
 * vmbus_mmio_set_fb() - keep the frame buffer's addresses for its VSC
 * @said: what firmware says
 *
 * Context: process, sleeps; after all windows have been added.
 */
void vmbus_mmio_set_fb(const struct vmbus_fb_report *said)
{
	const struct vmbus_range base = { said->base, said->base };
	const struct vmbus_range *found = NULL;
	struct mmio_window *window;

	mutex_lock(&mmio_lock);
	list_for_each_entry(window, &windows, node) {
		if (!said->base || overlap(&window->range, &base)) {
			found = &window->range;
			break;
		}
	}
	fb_known = vmbus_mmio_fb_rule(said, found, &frame_buffer);
	if (!fb_known)
		pr_warn("frame buffer with base %#llx and size %#llx: not kept free\n",
			said->base, said->size);
	else if (!found)
		pr_warn("frame buffer with base %#llx is outside of all windows\n", said->base);
	mutex_unlock(&mmio_lock);
}

static struct resource *show(struct resource *res, const struct vmbus_range *range)
{
	*res = (struct resource){
		.start = range->start,
		.end = range->end,
		.flags = IORESOURCE_MEM,
	};
	return res;
}

/**
 * vmbus_mmio_log() - say in the log what there is
 *
 * Context: process, sleeps.
 */
void vmbus_mmio_log(void)
{
	struct resource *shown[2] = {}, res[2], fb_res;
	struct mmio_window *window;
	unsigned int i = 0;

	mutex_lock(&mmio_lock);
	list_for_each_entry(window, &windows, node) {
		if (i == ARRAY_SIZE(shown))
			break;
		shown[i] = show(&res[i], &window->range);
		i++;
	}
	pr_info("hv_mmio=%pR,%pR fb=%pR\n", shown[0], shown[1],
		fb_known ? show(&fb_res, &frame_buffer) : NULL);
	mutex_unlock(&mmio_lock);
}

/* ---- pieces ---- */

/* Something that is not to be overlapped and is; or NULL. */
static const struct vmbus_range *in_the_way(const struct vmbus_range *range, bool fb_overlap_ok)
{
	const struct mmio_piece *piece;

	if (fb_known && !fb_overlap_ok && overlap(&frame_buffer, range))
		return &frame_buffer;
	list_for_each_entry(piece, &pieces, node)
		if (overlap(&piece->range, range))
			return &piece->range;
	return NULL;
}

/* The first place from @start on that ends at @end at the latest; or NULL. */
static struct resource *place(struct mmio_request *req, u64 start, u64 end)
{
	struct vmbus_range *range = &req->piece->range;
	u64 step = req->align, used;
	const struct vmbus_range *other;
	struct resource *res;

	lockdep_assert_held(&mmio_lock);
	for (;;) {
		range->start = ALIGN(start, req->align);
		if (range->start < start || range->start > end ||
		    end - range->start < req->size - 1)
			return NULL;
		range->end = range->start + req->size - 1;

		other = in_the_way(range, req->fb_overlap_ok);
		if (other) {
			used = other->end;
		} else {
			res = request_mem_region_exclusive(range->start, req->size,
							   req->piece->name);
			if (res)
				return res;
			if (req->tries)
				req->tries--;
			else
				step <<= 1;
			used = range->start + (step - 1);
			cond_resched();
		}
		/* Nothing is behind the last address. */
		if (used < range->start || used == U64_MAX)
			return NULL;
		start = used + 1;
	}
}

static struct resource *place_in(struct mmio_request *req, const struct vmbus_range *wanted,
				 const struct vmbus_range *range)
{
	if (!overlap(wanted, range))
		return NULL;
	return place(req, max(wanted->start, range->start), min(wanted->end, range->end));
}

static struct resource *place_in_fb(struct mmio_request *req, const struct vmbus_range *wanted)
{
	struct resource *res;

	if (!req->fb_overlap_ok || !fb_known || !overlap(wanted, &frame_buffer))
		return NULL;
	res = place_in(req, wanted, &frame_buffer);
	return res ?: place_in(req, &frame_buffer, &frame_buffer);
}

/**
 * vmbus_allocate_mmio() - take a piece of address space for a device
 * @new: set to the piece, an entry of iomem_resource's tree, busy and exclusive;
 *	unchanged on failure
 * @device_obj: the device, whose name the entry gets
 * @min: lowest address that will do
 * @max: highest address that will do, of the last byte
 * @size: bytes
 * @align: of the start, a power of two
 * @fb_overlap_ok: the device is the display: it may have what is kept for the
 *	frame buffer, and gets it if it fits there
 *
 * The piece lies in [@min, @max]. The distribution's module only chooses windows
 * by that range, and may return addresses outside of it. pci-hyperv asks for
 * addresses below 4 GiB, above 4 GiB and anywhere, hyperv_drm anywhere: they get
 * what they asked for, and nothing that fits is refused. One exception: if
 * @fb_overlap_ok and the range touches the frame buffer, any place in the frame
 * buffer will do. hyperv_fb on a generation 1 VM asks for the last bytes of the
 * BAR, where an aligned piece need not fit.
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL if @size is 0, @align no power of two or @min above @max;
 * -ENOMEM; -ENXIO if there is no room.
 */
int vmbus_allocate_mmio(struct resource **new, struct hv_device *device_obj,
			resource_size_t min, resource_size_t max,
			resource_size_t size, resource_size_t align,
			bool fb_overlap_ok)
{
	const char *name = dev_name(&device_obj->device);
	const struct vmbus_range wanted = { min, max };
	struct mmio_request req = {
		.size = size,
		.align = align,
		.fb_overlap_ok = fb_overlap_ok,
		.tries = EXACT_TRIES,
	};
	struct mmio_window *window;
	struct resource *res;
	size_t name_size;

	if (!size || !is_power_of_2(align) || min > max)
		return -EINVAL;
	/* The device may be gone before its VSC gives the piece back. */
	name_size = strlen(name) + 1;
	req.piece = kmalloc(struct_size(req.piece, name, name_size), GFP_KERNEL);
	if (!req.piece)
		return -ENOMEM;
	memcpy(req.piece->name, name, name_size);

	mutex_lock(&mmio_lock);
	res = place_in_fb(&req, &wanted);
	if (!res) {
		list_for_each_entry(window, &windows, node) {
			res = place_in(&req, &wanted, &window->range);
			if (res)
				break;
		}
	}
	if (res) {
		*new = res;
		list_add(&req.piece->node, &pieces);
	}
	mutex_unlock(&mmio_lock);
	if (!res)
		kfree(req.piece);
	return res ? 0 : -ENXIO;
}

static void free_piece(struct mmio_piece *piece)
{
	const struct vmbus_range *range = &piece->range;

	release_mem_region(range->start, range->end - range->start + 1);
	list_del(&piece->node);
	kfree(piece);
}

/**
 * vmbus_free_mmio() - give back what vmbus_allocate_mmio() gave
 * @start: the piece's first byte
 * @size: its bytes
 *
 * The entry in iomem_resource's tree has to be busy and in its place again, if
 * the VSC has changed that, and without children.
 *
 * Context: process, sleeps.
 */
void vmbus_free_mmio(resource_size_t start, resource_size_t size)
{
	struct mmio_piece *piece;

	mutex_lock(&mmio_lock);
	list_for_each_entry(piece, &pieces, node) {
		if (piece->range.start == start && piece->range.end == start + size - 1) {
			free_piece(piece);
			goto unlock;
		}
	}
	pr_err("no device has the MMIO at %pa, %pa bytes, that is given back\n", &start, &size);
unlock:
	mutex_unlock(&mmio_lock);
}

/**
 * vmbus_mmio_exit() - forget windows and frame buffer
 *
 * What VSCs have not given back is given back: they are gone by now.
 *
 * Context: process, sleeps; may be called when nothing was added.
 */
void vmbus_mmio_exit(void)
{
	struct mmio_window *window, *next_window;
	struct mmio_piece *piece, *next_piece;

	mutex_lock(&mmio_lock);
	list_for_each_entry_safe(piece, next_piece, &pieces, node) {
		pr_err("%s has left MMIO at %#llx behind\n", piece->name, piece->range.start);
		free_piece(piece);
	}
	list_for_each_entry_safe(window, next_window, &windows, node) {
		list_del(&window->node);
		kfree(window);
	}
	fb_known = false;
	mutex_unlock(&mmio_lock);
}
