// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated host as KUnit cases use it: a fresh one for each, with checks
 * at its end.
 */
#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include <linux/sysfs.h>

#include "../../include/vmbus_private.h"
#include "fault.h"
#include "in_vain.h"
#include "sim_internal.h"

#define SYNIC_VMBUS	1

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of everything random; 0 takes one and prints it");

static const char * const kinds[] = {
	[SIM_ORDINARY] = "ordinary",
	[SIM_VTOM] = "vtom",
	[SIM_PARAVISOR] = "paravisor",
	[SIM_ENLIGHTENED] = "enlightened",
	[SIM_CONFIDENTIAL] = "confidential",
};

static enum sim_kind kind;
static unsigned long leaked_kib;	/* when the case began */

static int set_kind(const char *name, const struct kernel_param *param)
{
	int found = sysfs_match_string(kinds, name);

	if (found < 0)
		return found;
	kind = found;
	return 0;
}

static int get_kind(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", kinds[kind]);
}

static const struct kernel_param_ops kind_ops = { .set = set_kind, .get = get_kind };
module_param_cb(kind, &kind_ops, NULL, 0444);
MODULE_PARM_DESC(kind, "Kind of VM that the suites run as: ordinary, vtom, paravisor, enlightened, confidential");

/* The reason has a line of its own, since 6.1 says none for the cases of a parameter. */
void sim_skip(struct kunit *test, const char *why)
{
	kunit_info(test, "skipped: %s", why);
	kunit_skip(test, "%s", why);
}

void sim_needs_version(struct kunit *test, u32 version)
{
	if (sim_isolated() && version < SIM_V(5, 2))
		sim_skip(test, "an isolation VM takes no version below 5.2");
}

void sim_needs_ordinary(struct kunit *test, const char *why)
{
	if (kind != SIM_ORDINARY)
		sim_skip(test, why);
}

void sim_needs_linear_rings(struct kunit *test)
{
	if (kind == SIM_VTOM)
		sim_skip(test, "a program cannot map what is above the boundary");
}

const void *sim_versions_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct sim_version *next = prev ? (const struct sim_version *)prev + 1 : sim_versions;

	if (next == sim_versions + sim_nr_versions)
		return NULL;
	strscpy(desc, next->name, KUNIT_PARAM_DESC_SIZE);
	return next;
}

const void *sim_old_versions_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct sim_version *next = VMBUS_PARAM_NEXT(sim_versions_gen_params, prev, desc);

	return next && next->version < SIM_V(5, 0) ? next : NULL;
}

static bool added(u32 relid)
{
	struct vmbus_chan *chan;
	bool done;

	rcu_read_lock();
	chan = vmbus_relid_lookup(relid);
	done = chan && READ_ONCE(chan->ch.probe_done);
	rcu_read_unlock();
	return done;
}

struct vmbus_channel *sim_guest_channel(struct kunit *test, struct sim_chan *chan)
{
	struct vmbus_channel *channel;

	KUNIT_ASSERT_TRUE_MSG(test, sim_wait(added(chan->relid)),
			      "relid %u never became a channel", chan->relid);
	rcu_read_lock();
	channel = &vmbus_relid_lookup(chan->relid)->ch;
	rcu_read_unlock();
	return channel;
}

void sim_drain(struct kunit *test)
{
	static const struct sim_header marker = { .type = SIM_ALL_OFFERS };
	unsigned int cpu;

	/* A message is fetched after the one before it was handled. */
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_all_fetched()));
	for_each_online_cpu(cpu)
		sim_send_slot(sim_bus_synic(), cpu, SYNIC_VMBUS, sizeof(marker), &marker,
			      sizeof(marker));
	KUNIT_ASSERT_TRUE(test, sim_wait(sim_all_fetched()));
}

/* ---- the life of a test ---- */

int sim_init(struct kunit *test)
{
	static u64 next_seed;
	int err;

	if (!next_seed) {
		next_seed = seed ?: get_random_u32();
		pr_info("# seed=%llu (module parameter of a run like this one)\n", next_seed);
	}
	/* Each case has its own sequence, whatever ran before it. */
	err = sim_begin(next_seed + full_name_hash(NULL, test->name, strlen(test->name)));
	if (err)
		return err;
	sim_set_kind(kind);
	leaked_kib = vmbus_leaked_kib();
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	vmbus_deadlines.version = SIM_ANSWERED_MS;
	vmbus_deadlines.offers = SIM_ANSWERED_MS;
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	vmbus_deadlines.unload = SIM_ANSWERED_MS;
	vmbus_deadlines.late = MSEC_PER_SEC;
	return 0;
}

int sim_start_max(struct kunit *test, u32 version, u32 max)
{
	sim_needs_version(test, min(version, max));
	return sim_connect(sim_which_version(version), max);
}

int sim_start(struct kunit *test, u32 version)
{
	return sim_start_max(test, version, VMBUS_VERSION_6_0);
}

void sim_start_ok(struct kunit *test, u32 version)
{
	KUNIT_ASSERT_EQ(test, sim_start(test, version), 0);
	KUNIT_ASSERT_EQ(test, vmbus_proto_version, sim_which_version(version));
}

void sim_stop(struct kunit *test)
{
	KUNIT_EXPECT_TRUE_MSG(test, sim_disconnect(), "no UNLOAD reached the host");
}

void sim_exit(struct kunit *test)
{
	unsigned int cpu;

	in_vain_end();
	fault_exit();
	for_each_present_cpu(cpu)
		if (!cpu_online(cpu))
			KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	if (!host.log)
		return;
	sim_stop(test);
	/* What is visible for ever is lost knowingly. */
	if (!host.allow_violations)
		KUNIT_EXPECT_LE_MSG(test, sim_visible_pages() * (PAGE_SIZE / SZ_1K),
				    vmbus_leaked_kib() - leaked_kib, "visible, and not counted");
	sim_end();
	if (!host.allow_violations)
		KUNIT_EXPECT_EQ_MSG(test, host.violations, 0, "see \"the guest is wrong\"");
}
