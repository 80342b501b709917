// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes of what goes over the wire.
 */
#include <kunit/test.h>
#include <linux/hyperv.h>

#include "../../include/vmbus_wire.h"
#include "suites.h"

static void wire_message_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct vmbus_channel_message_header), 8);
	KUNIT_EXPECT_EQ(test, sizeof(struct vmbus_channel_offer_channel), 196);
	KUNIT_EXPECT_EQ(test, sizeof(struct vmbus_channel_rescind_offer), 12);
}

static void wire_ring_header(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct hv_ring_buffer), HV_HYP_PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_ring_buffer, feature_bits), 64);
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE(wire_message_sizes),
	KUNIT_CASE(wire_ring_header),
	{}
};

struct kunit_suite wire_suite = {
	.name = "hv_vmbus_wire",
	.test_cases = wire_cases,
};
