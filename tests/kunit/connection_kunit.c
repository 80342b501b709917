// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_connection: version negotiation, posts, unload.
 */
#include "sim_host.h"
#include "suites.h"
#include "../../include/vmbus_private.h"

static void connects(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);

	sim_start_ok(test, version->version);
	KUNIT_EXPECT_EQ(test, sim_received(SIM_CONTACT),
			sim_versions + sim_nr_versions - version);
	KUNIT_EXPECT_NOT_NULL(test, sim_guest_channel(test, chan));
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_received(SIM_UNLOAD), version->version >= SIM_V(3, 0));
}

static struct kunit_case connection_cases[] = {
	KUNIT_CASE_PARAM(connects, sim_versions_gen_params),
	{}
};

struct kunit_suite connection_suite = {
	.name = "hv_vmbus_connection",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = connection_cases,
};
