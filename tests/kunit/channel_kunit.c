// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_channel: open and close, GPADLs, retargeting.
 */
#include "guest.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

static void echoes(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct guest_chan *guest = kunit_kzalloc(test, sizeof(*guest), GFP_KERNEL);
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	static const char sent[24] = "hello";

	KUNIT_ASSERT_NOT_NULL(test, guest);
	guest->reads = true;
	sim_start_ok(test, version->version);
	guest_open(test, guest, chan);
	KUNIT_EXPECT_EQ(test, guest_send(guest, sent, sizeof(sent), 7), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&guest->received)));
	KUNIT_EXPECT_EQ(test, guest->last_len, sizeof(sent));
	KUNIT_EXPECT_EQ(test, guest->last_id, 7);
	KUNIT_EXPECT_STREQ(test, (char *)guest->last, sent);
	KUNIT_EXPECT_EQ(test, sim_signals(chan), 1);
	vmbus_close(guest->ch);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	sim_reoffer(chan);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, chan));
}

static struct kunit_case channel_cases[] = {
	KUNIT_CASE_PARAM(echoes, sim_versions_gen_params),
	{}
};

struct kunit_suite channel_suite = {
	.name = "hv_vmbus_channel",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = channel_cases,
};
