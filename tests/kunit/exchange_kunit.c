// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_exchange: all that the guest tells a host of each version, from load to
 * unload, with one device opened and closed; and a paravisor. It is printed, for exchange.py to
 * compare with what was recorded: no host sees a message change unless the record
 * changes, too.
 */
#include <linux/printk.h>
#include <linux/string.h>
#include VMBUS_HEX_H

#include "guest.h"
#include "suites.h"

/* Asked for first, whatever a kernel's default is. */
#define HIGHEST		SIM_V(6, 0)
/* So many of the host's pages on any kernel: a header and two bodies describe them. */
#define RING		SZ_128K

struct overheard {
	bool to_guest;
	u32 connection_id;
	u32 len;
	u8 payload[SIM_PAYLOAD];
};

static struct {
	struct overheard messages[64];
	unsigned int count;
} heard;

static void hear(bool to_guest, u32 connection_id, const void *payload, u32 len)
{
	struct overheard *message = &heard.messages[heard.count++ % ARRAY_SIZE(heard.messages)];

	message->to_guest = to_guest;
	message->connection_id = connection_id;
	message->len = min_t(u32, len, SIM_PAYLOAD);
	memcpy(message->payload, payload, message->len);
}

static void print_heard(struct kunit *test, const char *version)
{
	char *hex = kunit_kzalloc(test, 2 * SIM_PAYLOAD + 1, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, hex);
	for (i = 0; i < heard.count; i++) {
		const struct overheard *message = &heard.messages[i];

		*bin2hex(hex, message->payload, message->len) = '\0';
		pr_info("exchange %s %s %u %s\n", version, message->to_guest ? "host" : "guest",
			message->connection_id, hex);
	}
}

static void take_down(struct kunit *test, u32 version, const char *name)
{
	struct sim_chan *chan = sim_add(test, NULL, &sim_echo);
	struct guest_chan *guest = guest_new(test, chan);

	/* What is posted again is the same again, but must not depend on chance. */
	sim_busy(0);
	heard.count = 0;
	sim_overhear(hear);
	KUNIT_ASSERT_EQ(test, sim_start_max(test, version, HIGHEST), 0);
	KUNIT_ASSERT_EQ(test, guest_open_size(test, guest, chan, RING), 0);
	KUNIT_EXPECT_TRUE(test, guest_echoes(guest));
	vmbus_close(guest->ch);
	sim_stop(test);
	sim_overhear(NULL);
	KUNIT_ASSERT_GT(test, heard.count, 0);
	KUNIT_ASSERT_LE(test, heard.count, ARRAY_SIZE(heard.messages));
	print_heard(test, name);
}

static void exchange(struct kunit *test)
{
	const struct sim_version *version = test->param_value;

	/* It is 6.0 that is asked for first, whatever the host takes then: the next case. */
	if (sim_confidential())
		sim_skip(test, "a confidential bus asks for a feature more");
	take_down(test, version->version, version->name);
}

/* With a paravisor that has the bus, in a run as any kind of VM. */
static void confidential_exchange(struct kunit *test)
{
	sim_set_kind(SIM_CONFIDENTIAL);
	take_down(test, HIGHEST, "6.0-confidential");
}

static struct kunit_case exchange_cases[] = {
	KUNIT_CASE_PARAM(exchange, sim_versions_gen_params),
	KUNIT_CASE(confidential_exchange),
	{}
};

struct kunit_suite exchange_suite = {
	.name = "hv_vmbus_exchange",
	.init = sim_init,
	.exit = sim_exit,
	.test_cases = exchange_cases,
};
