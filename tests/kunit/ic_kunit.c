// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_ic: vmbus_prep_negotiate_resp(), which integration components share.
 */
#include <kunit/test.h>
#include <linux/hyperv.h>
#include <linux/slab.h>

#include "suites.h"

#define V(major, minor)	((major) << 16 | (minor))
#define NONE		(-1)
#define MOST		6

static const int our_fw[] = { V(3, 0), V(1, 0) };
static const int our_srv[] = { V(5, 2), V(4, 0), V(3, 0) };

/**
 * struct ic_case - what the host proposes
 * @name: of the case
 * @fw_count: framework versions it says it sends
 * @srv_count: service versions it says it sends
 * @versions: what it sends
 * @missing: bytes that the packet is too short
 * @fw: agreed, or NONE
 * @srv: agreed, or NONE
 * @answered: the packet became a response
 */
struct ic_case {
	const char *name;
	u16 fw_count, srv_count;
	int versions[MOST];
	u32 missing;
	int fw, srv;
	bool answered;
};

static const struct ic_case ic_cases[] = {
	{ "one of each", 1, 1, { V(3, 0), V(4, 0) }, 0, V(3, 0), V(4, 0), true },
	{ "best of ours, not of theirs", 2, 3, { V(1, 0), V(3, 0), V(3, 0), V(4, 0), V(5, 2) }, 0,
	  V(3, 0), V(5, 2), true },
	{ "some unknown", 2, 2, { V(9, 0), V(1, 0), V(9, 9), V(3, 0) }, 0, V(1, 0), V(3, 0), true },
	{ "major alone does not do", 1, 1, { V(3, 0), V(5, 3) }, 0, NONE, NONE, true },
	{ "no framework in common", 1, 1, { V(2, 0), V(5, 2) }, 0, NONE, NONE, true },
	{ "no service in common", 1, 1, { V(3, 0), V(9, 0) }, 0, NONE, NONE, true },
	{ "framework is no service", 1, 1, { V(5, 2), V(3, 0) }, 0, NONE, NONE, true },
	{ "no framework versions", 0, 2, { V(3, 0), V(5, 2) }, 0, NONE, NONE, true },
	{ "no service versions", 2, 0, { V(3, 0), V(5, 2) }, 0, NONE, NONE, true },
	{ "nothing at all", 0, 0, { 0 }, 0, NONE, NONE, true },
	{ "one byte short", 1, 1, { V(3, 0), V(4, 0) }, 1, NONE, NONE, false },
	{ "half of the versions", 2, 2, { V(3, 0), V(1, 0), V(5, 2), V(4, 0) }, 8, NONE, NONE,
	  false },
	{ "counts cut off", 0, 0, { 0 }, 4, NONE, NONE, false },
	{ "header cut off", 0, 0, { 0 }, 20, NONE, NONE, false },
	{ "no bytes", 0, 0, { 0 }, ICMSG_NEGOTIATE_PKT_SIZE(0, 0), NONE, NONE, false },
	{ "101 framework versions", 101, 1, { V(3, 0), V(4, 0) }, 0, NONE, NONE, false },
	{ "101 service versions", 1, 101, { V(3, 0), V(4, 0) }, 0, NONE, NONE, false },
	{ "most there can be", 65535, 65535, { V(3, 0), V(4, 0) }, 0, NONE, NONE, false },
	{ "sum that wraps at 16 bits", 32768, 32769, { V(3, 0), V(4, 0) }, 0, NONE, NONE, false },
};

static void ic_name(const struct ic_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ic, ic_cases, ic_name);

/* A packet of exactly the bytes that were received: KASAN sees what goes beyond. */
static u8 *packet_of(struct kunit *test, const struct ic_case *c, u32 *len)
{
	u32 versions = min_t(u32, c->fw_count + c->srv_count, MOST), i;
	u8 *whole = kunit_kzalloc(test, ICMSG_NEGOTIATE_PKT_SIZE(MOST, 0), GFP_KERNEL), *packet;
	struct icmsg_negotiate *negotiate;

	KUNIT_ASSERT_NOT_NULL(test, whole);
	negotiate = (void *)(whole + ICMSG_HDR);
	negotiate->icframe_vercnt = c->fw_count;
	negotiate->icmsg_vercnt = c->srv_count;
	for (i = 0; i < versions; i++) {
		negotiate->icversion_data[i].major = c->versions[i] >> 16;
		negotiate->icversion_data[i].minor = c->versions[i] & 0xffff;
	}
	*len = ICMSG_NEGOTIATE_PKT_SIZE(versions, 0) - c->missing;
	/* VSCs read the header before they call. */
	packet = kunit_kzalloc(test, max_t(u32, *len, ICMSG_HDR), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, packet);
	memcpy(packet, whole, *len);
	return packet;
}

static void negotiates(struct kunit *test)
{
	const struct ic_case *c = test->param_value;
	int fw = NONE, srv = NONE;
	struct icmsg_negotiate *negotiate;
	struct icmsg_hdr *header;
	u8 *packet;
	bool agreed;
	u32 len;

	packet = packet_of(test, c, &len);
	header = (void *)(packet + sizeof(struct vmbuspipe_hdr));
	header->icmsgsize = 0x7777;
	agreed = vmbus_prep_negotiate_resp(header, packet, len, our_fw, ARRAY_SIZE(our_fw), our_srv,
					   ARRAY_SIZE(our_srv), &fw, &srv);
	KUNIT_EXPECT_EQ(test, agreed, c->fw != NONE);
	KUNIT_EXPECT_EQ(test, fw, c->fw);
	KUNIT_EXPECT_EQ(test, srv, c->srv);
	KUNIT_EXPECT_EQ(test, header->icmsgsize, c->answered ? 16 : 0x7777);
	if (!c->answered)
		return;
	negotiate = (void *)(packet + ICMSG_HDR);
	KUNIT_EXPECT_EQ(test, negotiate->icframe_vercnt, agreed);
	KUNIT_EXPECT_EQ(test, negotiate->icmsg_vercnt, agreed);
	if (!agreed)
		return;
	KUNIT_EXPECT_EQ(test, V(negotiate->icversion_data[0].major,
				negotiate->icversion_data[0].minor), c->fw);
	KUNIT_EXPECT_EQ(test, V(negotiate->icversion_data[1].major,
				negotiate->icversion_data[1].minor), c->srv);
}

/* Who does not want to know what was agreed passes NULL; versions may be none. */
static void arguments_may_be_left_out(struct kunit *test)
{
	struct icmsg_hdr *header;
	u8 *packet;
	u32 len;

	packet = packet_of(test, &ic_cases[0], &len);
	header = (void *)(packet + sizeof(struct vmbuspipe_hdr));
	KUNIT_EXPECT_TRUE(test, vmbus_prep_negotiate_resp(header, packet, len, our_fw, 2, our_srv,
							  3, NULL, NULL));
	packet = packet_of(test, &ic_cases[0], &len);
	header = (void *)(packet + sizeof(struct vmbuspipe_hdr));
	KUNIT_EXPECT_FALSE(test, vmbus_prep_negotiate_resp(header, packet, len, our_fw, 0, our_srv,
							   0, NULL, NULL));
}

static struct kunit_case ic_kunit_cases[] = {
	KUNIT_CASE_PARAM(negotiates, ic_gen_params),
	KUNIT_CASE(arguments_may_be_left_out),
	{}
};

struct kunit_suite ic_suite = {
	.name = "hv_vmbus_ic",
	.test_cases = ic_kunit_cases,
};
