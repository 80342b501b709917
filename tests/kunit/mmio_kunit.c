// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_mmio: windows and frame buffer as firmware has them, and pieces of
 * them for devices. Firmware is the tests.
 *
 * All of it happens where the machine has nothing: LOW is in the hole below 4 GiB
 * where PCI devices can be, HIGH far above RAM. Each case leaves the kernel's
 * tree of resources as it was.
 */
#include <linux/hyperv.h>
#include <linux/ioport.h>
#include <linux/jhash.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "call.h"
#include "fault.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_mmio.h"
#include "../../include/vmbus_private.h"

#define LOW		0xd0000000ULL	/* 256 MiB of nothing */
#define LOW_END		0xdfffffffULL
#define HIGH		0x1000000000ULL	/* 64 GiB of nothing */
#define HIGH_END	0x1fffffffffULL
#define M		(1ULL * SZ_1M)
#define G		(1ULL * SZ_1G)
#define END		U64_MAX

static struct hv_device devices[2] = {
	{ .device.init_name = "first" },
	{ .device.init_name = "second" },
};

static u32 iomem_before;

/* The resources, their flags and their order; nobody changes them but the case. */
static u32 iomem_hash(const struct resource *res, u32 hash)
{
	for (; res; res = res->sibling) {
		const u64 words[] = { res->start, res->end, res->flags };

		hash = jhash(words, sizeof(words), hash);
		hash = iomem_hash(res->child, hash + 1);
	}
	return hash;
}

static u32 iomem_now(void)
{
	return iomem_hash(iomem_resource.child, 0);
}

static int mmio_init(struct kunit *test)
{
	int err = vsc_init(test);

	if (err)
		return err;
	KUNIT_ASSERT_TRUE(test, vmbus_mmio_empty());
	iomem_before = iomem_now();
	return 0;
}

static void mmio_exit(struct kunit *test)
{
	vsc_exit(test);
	vmbus_mmio_exit();
	KUNIT_EXPECT_TRUE(test, vmbus_mmio_empty());
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
}

static int take(struct resource **res, u64 size, u64 align)
{
	return vmbus_allocate_mmio(res, &devices[0], 0, END, size, align, false);
}

static void give(const struct resource *res)
{
	vmbus_free_mmio(res->start, resource_size(res));
}

/* ---- windows ---- */

#define MOST_WINDOWS	6

/**
 * struct window_case - what firmware says and what the log says of it
 * @name: of the case
 * @windows: added in this order, up to an empty one
 * @fb: what is said of the frame buffer, if its size or base is set or it is
 *	that of a generation 2 VM
 * @said: of windows
 * @fb_said: of the frame buffer; nothing if not set
 */
struct window_case {
	const char *name;
	struct vmbus_range windows[MOST_WINDOWS];
	struct vmbus_fb_report fb;
	const char *said;
	const char *fb_said;
};

static const struct window_case window_cases[] = {
	{ "none", { }, { }, "(null),(null)" },
	{ "one", { { LOW, LOW_END } }, { }, "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "one byte", { { LOW, LOW } }, { }, "[mem 0xd0000000],(null)" },
	{ "sorted", { { HIGH, HIGH_END }, { LOW, LOW_END } }, { },
	  "[mem 0xd0000000-0xdfffffff],[mem 0x1000000000-0x1fffffffff]" },
	{ "two are shown", { { HIGH, HIGH_END }, { LOW + 2 * M, LOW_END }, { LOW, LOW + M - 1 } },
	  { }, "[mem 0xd0000000-0xd00fffff],[mem 0xd0200000-0xdfffffff]" },
	{ "a byte in between", { { LOW, LOW + M - 1 }, { LOW + M + 1, LOW_END } }, { },
	  "[mem 0xd0000000-0xd00fffff],[mem 0xd0100001-0xdfffffff]" },
	{ "next one touches", { { LOW, LOW + M - 1 }, { LOW + M, LOW_END } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "one before touches", { { LOW + M, LOW_END }, { LOW, LOW + M - 1 } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "overlap", { { LOW, LOW + 8 * M }, { LOW + 4 * M, LOW_END } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "twice the same", { { LOW, LOW_END }, { LOW, LOW_END } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "one in another", { { LOW, LOW_END }, { LOW + M, LOW + 2 * M } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "one around another", { { LOW + M, LOW + 2 * M }, { LOW, LOW_END } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "the gap is filled", { { LOW, LOW + M - 1 }, { LOW + 2 * M, LOW_END },
				 { LOW + M, LOW + 2 * M - 1 } }, { },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "one over many", { { LOW, LOW + M }, { LOW + 2 * M, LOW + 3 * M },
			     { LOW + 4 * M, LOW + 5 * M }, { HIGH, HIGH_END },
			     { LOW + M, LOW + 4 * M } }, { },
	  "[mem 0xd0000000-0xd0500000],[mem 0x1000000000-0x1fffffffff]" },
	{ "across 4 GiB", { { 0xff000000, HIGH } }, { },
	  "[mem 0xff000000-0x1000000000],(null)" },
	{ "below 1 MiB", { { 0xa0000, 0xbffff }, { 0, 0xfffff } }, { },
	  "(null),(null)" },
	{ "from below 1 MiB", { { 0, 0x100000 } }, { }, "[mem 0x00100000],(null)" },
	{ "up to the TPM", { { 0xfe000000, 0xfed3ffff } }, { },
	  "[mem 0xfe000000-0xfed3ffff],(null)" },
	{ "a byte of the TPM", { { 0xfe000000, 0xfed40000 } }, { },
	  "[mem 0xfe000000-0xfed3ffff],(null)" },
	{ "beyond the TPM", { { 0xfe000000, 0xffffffff } }, { },
	  "[mem 0xfe000000-0xfed3ffff],(null)" },
	{ "the TPM", { { 0xfed40000, 0xfed44fff } }, { }, "(null),(null)" },
	{ "within the TPM", { { 0xfed42000, 0xfedfffff } }, { },
	  "[mem 0xfed45000-0xfedfffff],(null)" },
	{ "beside the TPM", { { 0xfe000000, 0xfed3ffff }, { 0xfed40000, 0xfedfffff } }, { },
	  "[mem 0xfe000000-0xfed3ffff],[mem 0xfed45000-0xfedfffff]" },
	{ "Azure", { { 0xf8000000, 0xfffbffff }, { 0xfe0000000, 0xfffffffff } },
	  { true, 0xf8000000, 3 * M },
	  "[mem 0xf8000000-0xfed3ffff],[mem 0xfe0000000-0xfffffffff]",
	  "[mem 0xf8000000-0xfbffffff]" },
	{ "kdump without a place", { { LOW, LOW_END } }, { true, 0, 0 },
	  "[mem 0xd0000000-0xdfffffff],(null)", "[mem 0xd0000000-0xd7ffffff]" },
	{ "in the second window", { { LOW, LOW + M - 1 }, { LOW + 16 * M, LOW_END } },
	  { true, LOW + 32 * M, 3 * M },
	  "[mem 0xd0000000-0xd00fffff],[mem 0xd1000000-0xdfffffff]",
	  "[mem 0xd2000000-0xd9ffffff]" },
	{ "moved out of all windows", { { LOW, LOW + M - 1 } }, { true, LOW + 32 * M, 3 * M },
	  "[mem 0xd0000000-0xd00fffff],(null)", "[mem 0xd2000000-0xd22fffff]" },
	{ "below all windows", { { HIGH, HIGH_END } }, { true, LOW, 3 * M },
	  "[mem 0x1000000000-0x1fffffffff],(null)", "[mem 0xd0000000-0xd02fffff]" },
	{ "generation 1", { { LOW, LOW_END } }, { false, LOW, 64 * M },
	  "[mem 0xd0000000-0xdfffffff],(null)", "[mem 0xd0000000-0xd3ffffff]" },
	{ "generation 1, BAR without address", { { LOW, LOW_END } }, { false, 0, 64 * M },
	  "[mem 0xd0000000-0xdfffffff],(null)" },
	{ "high windows alone", { { HIGH, HIGH_END } }, { true, 0, 0 },
	  "[mem 0x1000000000-0x1fffffffff],(null)" },
};

static void window_name(const struct window_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(window, window_cases, window_name);

static void logs_what_there_is(struct kunit *test)
{
	const struct window_case *c = test->param_value;
	u64 mark = sim_log_mark();
	unsigned int i;
	char line[160];

	for (i = 0; i < MOST_WINDOWS && c->windows[i].end; i++)
		KUNIT_ASSERT_EQ(test, vmbus_mmio_add(c->windows[i].start, c->windows[i].end), 0);
	if (c->fb.gen2 || c->fb.size)
		vmbus_mmio_set_fb(&c->fb);
	vmbus_mmio_log();
	snprintf(line, sizeof(line), "hv_mmio=%s fb=%s", c->said, c->fb_said ?: "(null)");
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "hv_mmio="), 1);
}

static void windows_end_with_addresses(struct kunit *test)
{
	u64 mark = sim_log_mark();
	char line[80];

	/* On arm64 they have all 64 bits, and nothing is beyond them. */
	if (iomem_resource.end != U64_MAX) {
		KUNIT_ASSERT_EQ(test, vmbus_mmio_add(iomem_resource.end + 1, U64_MAX), 0);
		KUNIT_ASSERT_TRUE(test, vmbus_mmio_empty());
	}
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(HIGH, U64_MAX), 0);
	vmbus_mmio_log();
	snprintf(line, sizeof(line), "hv_mmio=[mem %#llx-%#llx],", HIGH,
		 (u64)iomem_resource.end);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, line), 1);
}

static void bad_windows_are_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vmbus_mmio_add(LOW_END, LOW), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_mmio_add(LOW, LOW - 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_mmio_add(U64_MAX, 0), -EINVAL);
	KUNIT_EXPECT_TRUE(test, vmbus_mmio_empty());
}

/* ---- the frame buffer's rule ---- */

/**
 * struct fb_case - numbers in, range out
 * @name: of the case
 * @said: what firmware says
 * @window: where it begins, or the first one; none if its end is 0
 * @fb: what is kept free; nothing if its end is 0
 */
struct fb_case {
	const char *name;
	struct vmbus_fb_report said;
	struct vmbus_range window;
	struct vmbus_range fb;
};

#define NONE	{ 0, 0 }

static const struct fb_case fb_cases[] = {
	{ "1: BAR", { false, 0xf8000000, 64 * M }, { 0xf8000000, 0xfed3ffff },
	  { 0xf8000000, 0xfbffffff } },
	{ "1: BAR outside of windows", { false, LOW, 64 * M }, NONE, { LOW, 0xd3ffffff } },
	{ "1: BAR larger than the window", { false, LOW, 64 * M }, { LOW, LOW + M - 1 },
	  { LOW, 0xd3ffffff } },
	{ "1: BAR above 4 GiB", { false, HIGH, M }, { HIGH, HIGH_END }, { HIGH, HIGH + M - 1 } },
	{ "1: no address", { false, 0, 64 * M }, { LOW, LOW_END }, NONE },
	{ "1: no size", { false, LOW, 0 }, { LOW, LOW_END }, NONE },
	{ "1: beyond all addresses", { false, U64_MAX - M + 1, M + 1 }, NONE, NONE },
	{ "1: up to the last address", { false, U64_MAX - M + 1, M }, NONE,
	  { U64_MAX - M + 1, U64_MAX } },
	{ "2: half of what is below 4 GiB", { true, 0xf8000000, 3 * M },
	  { 0xf8000000, 0xfed3ffff }, { 0xf8000000, 0xfbffffff } },
	{ "2: 128 MiB at most", { true, 0x80000000, 3 * M }, { 0x80000000, 0xfed3ffff },
	  { 0x80000000, 0x87ffffff } },
	{ "2: not at the window's start", { true, 0xf9000000, 3 * M },
	  { 0xf8000000, 0xfed3ffff }, { 0xf9000000, 0xfc7fffff } },
	{ "2: up to the window's end", { true, 0xfe000000, 3 * M },
	  { 0xf8000000, 0xfed3ffff }, { 0xfe000000, 0xfed3ffff } },
	{ "2: 8 MiB at least", { true, 0xff800000, 3 * M }, { 0xf8000000, 0xffffffff },
	  { 0xff800000, 0xffffffff } },
	{ "2: large screen", { true, 0xf8000000, 100 * M }, { 0xf8000000, 0xffffffff },
	  { 0xf8000000, 0xfe3fffff } },
	{ "2: larger than the window", { true, LOW, 100 * M }, { LOW, LOW + 16 * M - 1 },
	  { LOW, LOW + 16 * M - 1 } },
	{ "2: largest size there is", { true, LOW, U64_MAX }, { LOW, LOW_END }, { LOW, LOW_END } },
	{ "2: no size", { true, LOW, 0 }, { LOW, LOW_END }, { LOW, LOW + 128 * M - 1 } },
	{ "2: above 4 GiB", { true, HIGH, 3 * M }, { HIGH, HIGH_END },
	  { HIGH, HIGH + 8 * M - 1 } },
	{ "2: above 4 GiB, large", { true, HIGH, 32 * M }, { HIGH, HIGH_END },
	  { HIGH, HIGH + 32 * M - 1 } },
	{ "2: outside of windows", { true, LOW, 3 * M }, NONE, { LOW, LOW + 3 * M - 1 } },
	{ "2: outside of windows, no size", { true, LOW, 0 }, NONE, NONE },
	{ "2: beyond all addresses", { true, U64_MAX, 2 }, NONE, NONE },
	{ "2: base 0", { true, 0, 0 }, { 0xf8000000, 0xfed3ffff }, { 0xf8000000, 0xfbffffff } },
	{ "2: base 0 with a size", { true, 0, 3 * M }, { LOW, LOW_END },
	  { LOW, LOW + 128 * M - 1 } },
	{ "2: base 0, window at the end", { true, 0, 0 }, { 0xfffff000, 0xffffffff },
	  { 0xfffff000, 0xffffffff } },
	{ "2: base 0, window above 4 GiB", { true, 0, 3 * M }, { 4 * G, 8 * G }, NONE },
	{ "2: base 0, no window", { true, 0, 3 * M }, NONE, NONE },
};

static void fb_name(const struct fb_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(fb, fb_cases, fb_name);

static void keeps_frame_buffer_free(struct kunit *test)
{
	const struct fb_case *c = test->param_value;
	struct vmbus_range fb = { };

	KUNIT_EXPECT_EQ(test, vmbus_mmio_fb_rule(&c->said, c->window.end ? &c->window : NULL, &fb),
			!!c->fb.end);
	KUNIT_EXPECT_EQ(test, fb.start, c->fb.start);
	KUNIT_EXPECT_EQ(test, fb.end, c->fb.end);
}

/* ---- pieces ---- */

#define MOST_STEPS	10
#define FB		true

/**
 * struct step - one call of vmbus_allocate_mmio() or vmbus_free_mmio()
 * @min: lowest address asked for
 * @max: highest one
 * @size: bytes; 0: give back what was taken by step number @min
 * @align: of the start
 * @fb_ok: the frame buffer's addresses will do
 * @at: where the piece is then; 0: -ENXIO
 */
struct step {
	u64 min;
	u64 max;
	u64 size;
	u64 align;
	bool fb_ok;
	u64 at;
};

#define GIVE(n)	{ n, 0, 0, 0, false, 1 }

struct story {
	const char *name;
	struct vmbus_range windows[2];
	struct vmbus_fb_report fb;
	struct step steps[MOST_STEPS];
};

static const struct story stories[] = {
	{ "fit and exhaustion", { { LOW, LOW + 16 * M - 1 } }, { }, {
		{ 0, END, M, M, !FB, LOW },
		{ 0, END, M, M, !FB, LOW + M },
		{ 0, END, 16 * M, 1, !FB, 0 },
		{ 0, END, 14 * M, 1, !FB, LOW + 2 * M },
		{ 0, END, 1, 1, !FB, 0 },
		GIVE(0),
		{ 0, END, M + 1, 1, !FB, 0 },
		{ 0, END, M, M, !FB, LOW },
		{ 0, END, 1, 1, FB, 0 },
	} },
	{ "a window as a whole", { { LOW, LOW + 16 * M - 1 }, { HIGH, HIGH_END } }, { }, {
		{ 0, END, HIGH_END - HIGH + 1, HIGH, !FB, HIGH },
		{ 0, END, 16 * M, 16 * M, !FB, LOW },
		{ 0, END, 1, 1, !FB, 0 },
	} },
	{ "alignment", { { HIGH + M, HIGH + 16 * G - 1 } }, { }, {
		{ 0, END, 4 * G, 4 * G, !FB, HIGH + 4 * G },
		{ 0, END, M, 4 * G, !FB, HIGH + 8 * G },
		{ 0, END, 1, 8 * G, !FB, 0 },
		{ 0, END, 1, 4 * G, !FB, HIGH + 12 * G },
		{ 0, END, 2, 2 * G, !FB, HIGH + 2 * G },
		{ 0, END, SZ_4K, SZ_4K, !FB, HIGH + M },
		{ 0, END, SZ_8K, SZ_4K, !FB, HIGH + M + SZ_4K },
		{ 0, END, 1, 1ULL << 63, !FB, 0 },
	} },
	{ "odd sizes", { { LOW + 1, LOW + 16 * M - 1 } }, { }, {
		{ 0, END, 3, 1, !FB, LOW + 1 },
		{ 0, END, 5, 2, !FB, LOW + 4 },
		{ 0, END, 1, 4, !FB, LOW + 12 },
		{ 0, END, 3, 1, !FB, LOW + 9 },
	} },
	{ "min and max choose windows", { { LOW, LOW + 16 * M - 1 }, { HIGH, HIGH_END } }, { }, {
		{ 4 * G, END, M, M, !FB, HIGH },
		{ 0, 4 * G - 1, M, M, !FB, LOW },
		{ 0, 4 * G - 1, 16 * M, M, !FB, 0 },
		{ 0, END, 16 * M, 16 * M, !FB, HIGH + 16 * M },
		{ 0, LOW - 1, 1, 1, !FB, 0 },
		{ LOW + 16 * M, HIGH - 1, 1, 1, !FB, 0 },
		{ HIGH_END + 1, END, 1, 1, !FB, 0 },
	} },
	{ "min and max are kept", { { LOW, LOW_END }, { HIGH, HIGH_END } }, { }, {
		{ LOW + 5 * M, LOW + 6 * M - 1, M, M, !FB, LOW + 5 * M },
		{ LOW + 5 * M, LOW + 6 * M - 1, M, M, !FB, 0 },
		GIVE(0),
		{ LOW + 5 * M + 1, LOW + 6 * M, M, M, !FB, 0 },
		{ LOW + 5 * M + 1, LOW + 6 * M - 1, M, 1, !FB, 0 },
		{ LOW + 5 * M + 1, LOW + 6 * M, M, 1, !FB, LOW + 5 * M + 1 },
		{ HIGH, END, M, M, !FB, HIGH },
		{ HIGH_END, HIGH_END, 1, 1, !FB, HIGH_END },
		{ HIGH_END, END, 1, 1, !FB, 0 },
	} },
	{ "windows that touch are one",
	  { { LOW, LOW + M - 1 }, { LOW + M, LOW + 2 * M - 1 } }, { }, {
		{ 0, END, 2 * M, M, !FB, LOW },
	} },
	{ "frame buffer", { { LOW, LOW + 64 * M - 1 } }, { false, LOW + 8 * M, 8 * M }, {
		{ 0, END, 8 * M, M, !FB, LOW },
		{ 0, END, 8 * M, M, !FB, LOW + 16 * M },
		{ LOW + 8 * M, LOW + 16 * M - 1, M, M, !FB, 0 },
		{ 0, END, 4 * M, M, FB, LOW + 8 * M },
		{ 0, END, 8 * M, M, FB, LOW + 24 * M },
		{ 0, END, 4 * M, M, FB, LOW + 12 * M },
		GIVE(3),
		{ 0, END, 4 * M, M, !FB, LOW + 32 * M },
		{ 0, END, 4 * M, M, FB, LOW + 8 * M },
	} },
	{ "larger than the frame buffer",
	  { { LOW, LOW + 64 * M - 1 } }, { false, LOW + 8 * M, 4 * M }, {
		{ 0, END, 8 * M, M, FB, LOW },
		{ 0, END, 8 * M, M, FB, LOW + 8 * M },
		{ 0, END, 8 * M, M, !FB, LOW + 16 * M },
	} },
	{ "around the frame buffer", { { LOW, LOW + 16 * M - 1 } }, { false, LOW + 8 * M, 4 * M }, {
		{ 0, END, 9 * M, M, !FB, 0 },
		{ 0, END, 4 * M, M, !FB, LOW },
		{ 0, END, 4 * M, 4 * M, !FB, LOW + 4 * M },
		{ 0, END, 4 * M, M, !FB, LOW + 12 * M },
		{ 0, END, 1, 1, !FB, 0 },
		{ 0, END, 4 * M, M, FB, LOW + 8 * M },
		{ 0, END, 1, 1, FB, 0 },
	} },
	{ "frame buffer outside", { { LOW, LOW + 16 * M - 1 } }, { true, LOW + 128 * M, 4 * M }, {
		{ 0, END, 4 * M, M, !FB, LOW },
		{ 0, END, 8 * M, M, FB, LOW + 4 * M },
		{ 0, END, 3 * M, M, FB, LOW + 128 * M },
		{ 0, LOW + 16 * M - 1, M, M, FB, LOW + 12 * M },
		{ 0, END, M, M, FB, LOW + 131 * M },
		{ 0, END, M, M, FB, LOW + 13 * M },
		{ LOW + 16 * M, END, M, M, !FB, 0 },
		GIVE(2),
		{ LOW + 16 * M, END, M, M, !FB, 0 },
		{ 0, END, 3 * M, M, FB, LOW + 128 * M },
	} },
	{ "nothing but a frame buffer", { }, { false, LOW, 4 * M }, {
		{ 0, END, M, M, !FB, 0 },
		{ 0, END, M, M, FB, LOW },
		{ 0, END, 4 * M, M, FB, 0 },
	} },
	{ "last bytes of a BAR", { { LOW, LOW_END } }, { false, LOW + 8 * M, 8 * M }, {
		/* 1152 by 864, as hyperv_fb asks. */
		{ LOW + 16 * M - 3981312, LOW + 16 * M - 1, 3981312, M, FB, LOW + 8 * M },
		{ LOW + 16 * M - 3 * M, LOW + 16 * M - 1, 3 * M, M, FB, LOW + 13 * M },
	} },
	{ "kdump without a place",
	  { { LOW, LOW + 64 * M - 1 }, { HIGH, HIGH_END } }, { true, 0, 0 }, {
		{ 0, 4 * G - 1, M, M, !FB, 0 },
		{ 0, END, M, M, !FB, HIGH },
		{ 0, END, 8 * M, M, FB, LOW },
	} },
	{ "moved since boot", { { LOW, LOW_END } }, { true, LOW + 16 * M, 3 * M }, {
		{ 0, END, 32 * M, M, !FB, LOW + 144 * M },
		{ 0, END, 16 * M, M, !FB, LOW },
		{ 0, END, 8 * M, M, FB, LOW + 16 * M },
	} },
	{ "no frame buffer", { { LOW, LOW_END } }, { }, {
		{ 0, END, 8 * M, M, FB, LOW },
		{ 0, END, 8 * M, M, !FB, LOW + 8 * M },
	} },
	{ "no window", { }, { }, {
		{ 0, END, 1, 1, !FB, 0 },
		{ 0, END, 1, 1, FB, 0 },
	} },
};

static void story_name(const struct story *story, char *desc)
{
	strscpy(desc, story->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(story, stories, story_name);

static void do_step(struct kunit *test, const struct step *step, unsigned int n,
		    struct resource **taken)
{
	struct hv_device *device = &devices[n % ARRAY_SIZE(devices)];
	struct resource *res = NULL;
	int err;

	if (!step->size) {
		give(taken[step->min]);
		taken[step->min] = NULL;
		return;
	}
	err = vmbus_allocate_mmio(&res, device, step->min, step->max, step->size, step->align,
				  step->fb_ok);
	KUNIT_EXPECT_EQ_MSG(test, err, step->at ? 0 : -ENXIO, "step %u", n);
	KUNIT_EXPECT_EQ_MSG(test, res ? res->start : 0, step->at, "step %u", n);
	if (err)
		return;
	KUNIT_EXPECT_EQ_MSG(test, resource_size(res), step->size, "step %u", n);
	KUNIT_EXPECT_STREQ(test, res->name, dev_name(&device->device));
	taken[n] = res;
}

/* Each story a second time: nothing of the first is left. */
static void allocates(struct kunit *test)
{
	const struct story *story = test->param_value;
	struct resource *taken[MOST_STEPS] = { };
	unsigned int round, n;

	for (n = 0; n < ARRAY_SIZE(story->windows) && story->windows[n].end; n++)
		KUNIT_ASSERT_EQ(test, vmbus_mmio_add(story->windows[n].start,
						     story->windows[n].end), 0);
	if (story->fb.gen2 || story->fb.size)
		vmbus_mmio_set_fb(&story->fb);
	for (round = 0; round < 2; round++) {
		for (n = 0; n < MOST_STEPS && (story->steps[n].max || story->steps[n].at); n++)
			do_step(test, &story->steps[n], n, taken);
		for (n = 0; n < MOST_STEPS; n++)
			if (taken[n])
				give(taken[n]);
		memset(taken, 0, sizeof(taken));
		KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
	}
}

static void bad_requests_are_refused(struct kunit *test)
{
	struct resource *res = (void *)test;

	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(HIGH, HIGH_END), 0);
	KUNIT_EXPECT_EQ(test, take(&res, 0, M), -EINVAL);
	KUNIT_EXPECT_EQ(test, take(&res, M, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, take(&res, M, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, take(&res, M, U64_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_allocate_mmio(&res, &devices[0], HIGH, HIGH - 1, 1, 1, false),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, take(&res, U64_MAX, 1), -ENXIO);
	KUNIT_EXPECT_EQ(test, take(&res, HIGH_END - HIGH + 2, 1), -ENXIO);
	KUNIT_EXPECT_PTR_EQ(test, res, (void *)test);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
}

#define PIECES	256

/* All of a window in pieces, given back in any order, some taken again. */
static void frees_in_any_order(struct kunit *test)
{
	struct resource **taken = kunit_kcalloc(test, PIECES, sizeof(*taken), GFP_KERNEL), *more;
	unsigned int i, round;

	KUNIT_ASSERT_NOT_NULL(test, taken);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	for (i = 0; i < PIECES; i++) {
		KUNIT_ASSERT_EQ(test, take(&taken[i], M, M), 0);
		KUNIT_ASSERT_EQ(test, taken[i]->start, LOW + i * M);
	}
	KUNIT_EXPECT_EQ(test, take(&more, M, M), -ENXIO);
	for (round = 0; round < 3 * PIECES; round++) {
		i = sim_random(PIECES);
		if (taken[i])
			give(taken[i]);
		taken[i] = NULL;
		if (sim_random(2))
			continue;
		/* The lowest one that is free. */
		for (i = 0; taken[i]; i++)
			;
		KUNIT_ASSERT_EQ(test, take(&taken[i], M, M), 0);
		KUNIT_ASSERT_EQ(test, taken[i]->start, LOW + i * M);
	}
	for (i = 0; i < PIECES; i++)
		if (taken[i])
			give(taken[i]);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
	KUNIT_EXPECT_EQ(test, take(&more, PIECES * M, M), 0);
	give(more);
}

/* What others have in a window is passed over; soon, if it is much. */
static void others_are_in_the_way(struct kunit *test)
{
	struct hv_device *device = &devices[0];
	struct resource *res, *second;

	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	KUNIT_ASSERT_NOT_NULL(test, request_mem_region(LOW + M, M, "other"));
	KUNIT_EXPECT_EQ(test, take(&res, 2 * M, M), 0);
	KUNIT_EXPECT_EQ(test, res->start, LOW + 2 * M);
	KUNIT_EXPECT_EQ(test, take(&second, M, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, second->start, LOW);
	give(res);
	give(second);
	KUNIT_EXPECT_EQ(test, vmbus_allocate_mmio(&res, device, LOW + M, END, 1, SZ_4K, false), 0);
	KUNIT_EXPECT_EQ(test, res->start, LOW + 2 * M);
	give(res);
	/* A million addresses are not tried one by one, and what is behind is found. */
	KUNIT_EXPECT_EQ(test, vmbus_allocate_mmio(&res, device, LOW + M, END, 1, 1, false), 0);
	KUNIT_EXPECT_GE(test, res->start, LOW + 2 * M);
	give(res);
	release_mem_region(LOW + M, M);

	/* Nothing is behind, up to the last address of a window. */
	KUNIT_ASSERT_NOT_NULL(test, request_mem_region(LOW, LOW_END - LOW + 1, "other"));
	KUNIT_EXPECT_EQ(test, take(&res, 1, SZ_64K), -ENXIO);
	KUNIT_EXPECT_EQ(test, take(&res, 1, G), -ENXIO);
	KUNIT_EXPECT_EQ(test, take(&res, 1, 1), -ENXIO);
	release_mem_region(LOW, LOW_END - LOW + 1);
}

/* As pci-hyperv does: a window of a bridge, of which devices have parts. */
static void piece_becomes_a_parent(struct kunit *test)
{
	struct hv_device *device = kunit_kzalloc(test, sizeof(*device), GFP_KERNEL);
	struct resource bar = { .name = "bar", .flags = IORESOURCE_MEM };
	struct resource *res, *other;
	char *name = kstrdup("bridge", GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, device);
	KUNIT_ASSERT_NOT_NULL(test, name);
	device->device.init_name = name;
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW + 2 * M - 1), 0);
	KUNIT_ASSERT_EQ(test, vmbus_allocate_mmio(&res, device, 0, END, M, M, false), 0);
	KUNIT_EXPECT_EQ(test, resource_type(res), IORESOURCE_MEM);
	KUNIT_EXPECT_TRUE(test, res->flags & IORESOURCE_BUSY);
	KUNIT_EXPECT_TRUE(test, res->flags & IORESOURCE_EXCLUSIVE);
	KUNIT_EXPECT_PTR_NE(test, res->parent, NULL);

	res->flags |= IORESOURCE_WINDOW;
	res->flags &= ~IORESOURCE_BUSY;
	KUNIT_EXPECT_EQ(test, allocate_resource(res, &bar, SZ_64K, 0, END, SZ_64K, NULL, NULL),
			0);
	KUNIT_EXPECT_EQ(test, bar.start, LOW);
	KUNIT_EXPECT_PTR_EQ(test, bar.parent, res);
	/* Not busy, and not to be had. */
	KUNIT_EXPECT_EQ(test, take(&other, SZ_4K, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, other->start, LOW + M);
	give(other);
	KUNIT_EXPECT_EQ(test, take(&other, 2 * M, M), -ENXIO);

	KUNIT_EXPECT_EQ(test, release_resource(&bar), 0);
	res->flags |= IORESOURCE_BUSY;
	/* The device may go first. */
	kfree(name);
	kunit_kfree(test, device);
	KUNIT_EXPECT_STREQ(test, res->name, "bridge");
	give(res);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
}

static void nobody_has_it(struct kunit *test)
{
	static const struct {
		u64 start, size;
	} wrong[] = {
		{ LOW, M }, { LOW + M, 2 * M }, { LOW + M, M / 2 }, { LOW + M, 0 },
		{ LOW + 2 * M, M }, { LOW + M + 1, M - 1 }, { 0, U64_MAX }, { 0, 0 },
	};
	u64 mark = sim_log_mark();
	struct resource *res;
	unsigned int i;
	u32 hash;

	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW + M, LOW_END), 0);
	KUNIT_ASSERT_EQ(test, take(&res, M, M), 0);
	hash = iomem_now();
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		vmbus_free_mmio(wrong[i].start, wrong[i].size);
		KUNIT_EXPECT_EQ(test, iomem_now(), hash);
		KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no device has the MMIO at"), i + 1);
	}
	give(res);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "no device has the MMIO at"), ARRAY_SIZE(wrong));
}

static void mmio_without_memory(struct kunit *test)
{
	struct resource *res = NULL;
	int err;

	KUNIT_ASSERT_EQ(test, fault_init(), 0);
	fault_arm(1);
	err = vmbus_mmio_add(LOW, LOW_END);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_TRUE(test, vmbus_mmio_empty());

	KUNIT_EXPECT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	fault_arm(1);
	err = take(&res, M, M);
	KUNIT_EXPECT_TRUE(test, fault_disarm());
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_PTR_EQ(test, res, NULL);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
	fault_exit();
}

/* ---- two at a time ---- */

#define ROUNDS	2000

/* Which MiB of the window somebody has, as those who have them say. */
static DECLARE_BITMAP(had, PIECES);

static int take_and_give(void *arg)
{
	struct hv_device *device = arg;
	unsigned int round, i, size;
	struct resource *res;
	int err;

	for (round = 0; round < ROUNDS; round++) {
		size = 1 + sim_random(PIECES / 2);
		err = vmbus_allocate_mmio(&res, device, LOW, END, size * M, M, false);
		if (err == -ENXIO)
			continue;
		if (err)
			return err;
		if (res->start < LOW || res->end > LOW_END ||
		    strcmp(res->name, dev_name(&device->device)))
			return -ERANGE;
		for (i = 0; i < size; i++)
			if (test_and_set_bit((res->start - LOW) / M + i, had))
				return -EEXIST;
		cond_resched();
		for (i = 0; i < size; i++)
			clear_bit((res->start - LOW) / M + i, had);
		give(res);
	}
	return 0;
}

static void two_devices_at_a_time(struct kunit *test)
{
	struct guest_call *first, *second;

	bitmap_zero(had, PIECES);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	first = guest_call_begin(test, take_and_give, &devices[0]);
	second = guest_call_begin(test, take_and_give, &devices[1]);
	KUNIT_EXPECT_EQ(test, guest_call_end(first), 0);
	KUNIT_EXPECT_EQ(test, guest_call_end(second), 0);
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
}

/* ---- the end of the bus ---- */

static int take_in_probe(struct vsc *vsc, struct hv_device *dev)
{
	struct resource *res;

	return vmbus_allocate_mmio(&res, dev, 0, END, M, M, true);
}

/* A VSC that is gone for good uses nothing any more. */
static void what_is_left_goes_with_the_bus(struct kunit *test)
{
	static const struct vmbus_fb_report fb = { false, LOW, 4 * M };
	struct vsc *vsc = vsc_new(test, "forgetful", NULL);
	u64 mark = sim_log_mark();
	struct resource *res;

	sim_add(test, NULL, NULL);
	sim_start_ok(test, SIM_USUAL);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	vmbus_mmio_set_fb(&fb);
	vsc->in_probe = take_in_probe;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vsc->bound), 1);
	KUNIT_EXPECT_NE(test, iomem_now(), iomem_before);
	vsc_unregister(vsc);
	sim_stop(test);
	KUNIT_EXPECT_TRUE(test, vmbus_mmio_empty());
	KUNIT_EXPECT_EQ(test, iomem_now(), iomem_before);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "has left MMIO at 0xd0000000 behind"), 1);
	/* Nor is there a frame buffer. */
	KUNIT_EXPECT_EQ(test, vmbus_allocate_mmio(&res, &devices[0], 0, END, 1, 1, true), -ENXIO);
}

static void failed_start_forgets_windows(struct kunit *test)
{
	sim_allow_no_unload();
	sim_fail_posts(SIM_CONTACT, -EIO, 0);
	KUNIT_ASSERT_EQ(test, vmbus_mmio_add(LOW, LOW_END), 0);
	KUNIT_EXPECT_EQ(test, sim_start(test, SIM_USUAL), -EIO);
	KUNIT_EXPECT_TRUE(test, vmbus_mmio_empty());
}

static struct kunit_case mmio_cases[] = {
	KUNIT_CASE_PARAM(logs_what_there_is, window_gen_params),
	KUNIT_CASE(windows_end_with_addresses),
	KUNIT_CASE(bad_windows_are_refused),
	KUNIT_CASE_PARAM(keeps_frame_buffer_free, fb_gen_params),
	KUNIT_CASE_PARAM(allocates, story_gen_params),
	KUNIT_CASE(bad_requests_are_refused),
	KUNIT_CASE(frees_in_any_order),
	KUNIT_CASE(others_are_in_the_way),
	KUNIT_CASE(piece_becomes_a_parent),
	KUNIT_CASE(nobody_has_it),
	KUNIT_CASE(mmio_without_memory),
	KUNIT_CASE(two_devices_at_a_time),
	KUNIT_CASE(what_is_left_goes_with_the_bus),
	KUNIT_CASE(failed_start_forgets_windows),
	{}
};

struct kunit_suite mmio_suite = {
	.name = "hv_vmbus_mmio",
	.init = mmio_init,
	.exit = mmio_exit,
	.test_cases = mmio_cases,
};
