// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_sysfs: attributes of devices and channels, read and written at any
 * time; the CPU of a channel, and CPUs that go.
 */
#include <linux/cpu.h>
#include <linux/kthread.h>
#include VMBUS_HEX_H

#include "files.h"
#include "guest.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

/* Where a channel's callback ran last. */
struct witness {
	struct vmbus_channel *ch;
	unsigned int cpu;
	atomic_t count;
};

static void testify(void *context)
{
	struct witness *witness = context;

	WRITE_ONCE(witness->cpu, smp_processor_id());
	/* Whoever waits for the count finds the CPU. */
	smp_mb__before_atomic();
	atomic_inc(&witness->count);
}

static struct witness *open_witnessed(struct kunit *test, struct sim_chan *chan)
{
	struct witness *witness = kunit_kzalloc(test, sizeof(*witness), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, witness);
	witness->ch = sim_guest_channel(test, chan);
	err = vmbus_open(witness->ch, VSC_RING, VSC_RING, NULL, 0, testify, witness);
	KUNIT_ASSERT_EQ(test, err, 0);
	return witness;
}

/* An interrupt of the host arrives, and on @cpu. */
static void expect_interrupts(struct kunit *test, struct witness *witness, struct sim_chan *chan,
			      unsigned int cpu)
{
	int before = atomic_read(&witness->count);

	KUNIT_EXPECT_TRUE(test, sim_wait(chan->target_vp == vmbus_host->vp_index(cpu)));
	sim_lock();
	sim_interrupt_locked(chan);
	sim_unlock();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&witness->count) > before));
	KUNIT_EXPECT_EQ(test, READ_ONCE(witness->cpu), cpu);
}

static int write_cpu(struct vmbus_channel *ch, unsigned int cpu)
{
	char text[16];

	snprintf(text, sizeof(text), "%u\n", cpu);
	return channel_write(ch, "cpu", text);
}

/* ---- values ---- */

static void attributes_tell_the_offer(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 17, NULL, NULL);
	char text[300], expected[100];
	struct vmbus_channel *ch;

	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_GT(test, device_read(ch, "id", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "17");
	KUNIT_EXPECT_GT(test, device_read(ch, "state", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "2");
	snprintf(expected, sizeof(expected), "{%pUl}", &chan->type);
	KUNIT_EXPECT_GT(test, device_read(ch, "class_id", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, expected);
	KUNIT_EXPECT_GT(test, device_read(ch, "device_id", text, sizeof(text)), 0);
	snprintf(expected, sizeof(expected), "{%pUl}", &chan->instance);
	KUNIT_EXPECT_STREQ(test, text, expected);
	KUNIT_EXPECT_GT(test, device_read(ch, "modalias", text, sizeof(text)), 0);
	/* As depmod has it: all bytes, in the order of the wire. */
	strscpy(expected, "MODALIAS=vmbus:", sizeof(expected));
	*bin2hex(expected + strlen(expected), &chan->type, sizeof(chan->type)) = '\0';
	KUNIT_EXPECT_STREQ(test, text, expected + strlen("MODALIAS="));
	KUNIT_EXPECT_GT(test, device_read(ch, "uevent", text, sizeof(text)), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, expected));
	KUNIT_EXPECT_GT(test, device_read(ch, "vendor", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "0x1414");
	KUNIT_EXPECT_GT(test, device_read(ch, "channel_vp_mapping", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "17:0");
	KUNIT_EXPECT_EQ(test, device_read(ch, "out_read_index", text, sizeof(text)), -EINVAL);
	KUNIT_EXPECT_EQ(test, channel_read(ch, "in_mask", text, sizeof(text)), -EINVAL);
	KUNIT_EXPECT_EQ(test, channel_read(ch, "read_avail", text, sizeof(text)), -EINVAL);
	KUNIT_EXPECT_EQ(test, vmbus_open(ch, VSC_RING, VSC_RING, NULL, 0, guest_callback, NULL), 0);
	KUNIT_EXPECT_GT(test, device_read(ch, "state", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "3");
	KUNIT_EXPECT_GT(test, device_read(ch, "out_read_index", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "0");
	KUNIT_EXPECT_GT(test, channel_read(ch, "write_avail", text, sizeof(text)), 0);
	snprintf(expected, sizeof(expected), "%lu", VSC_RING - PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, text, expected);
	vmbus_close(ch);
	KUNIT_EXPECT_EQ(test, device_read(ch, "in_intr_mask", text, sizeof(text)), -EINVAL);
	KUNIT_EXPECT_EQ(test, device_read(ch, "out_intr_mask", text, sizeof(text)), -EINVAL);
}

static const char * const monitor_files[] = {
	"monitor_id", "server_monitor_pending", "client_monitor_pending", "server_monitor_latency",
	"client_monitor_latency", "server_monitor_conn_id", "client_monitor_conn_id",
};

static const char * const channel_monitor_files[] = { "monitor_id", "pending", "latency" };

static void monitor_files_if_monitored(struct kunit *test)
{
	struct sim_chan *plain = sim_add(test, NULL, NULL), *chan = sim_new(test, 0, NULL, NULL);
	struct vmbus_channel *ch, *other;
	struct hv_monitor_page *page;
	char text[32];
	unsigned int i;

	chan->monitored = true;
	chan->monitor_id = 70;
	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	other = sim_guest_channel(test, plain);
	for (i = 0; i < ARRAY_SIZE(monitor_files); i++) {
		KUNIT_EXPECT_GT(test, device_read(ch, monitor_files[i], text, sizeof(text)), 0);
		KUNIT_EXPECT_EQ(test, device_read(other, monitor_files[i], text, sizeof(text)),
				-ENOENT);
	}
	for (i = 0; i < ARRAY_SIZE(channel_monitor_files); i++) {
		KUNIT_EXPECT_GT(test, channel_read(ch, channel_monitor_files[i], text,
						   sizeof(text)), 0);
		KUNIT_EXPECT_EQ(test, channel_read(other, channel_monitor_files[i], text,
						   sizeof(text)), -ENOENT);
	}
	KUNIT_EXPECT_GT(test, device_read(ch, "monitor_id", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "70");
	/* Group 2, bit 6. */
	page = sim_seen(vmbus_connection.monitor_pages[1]);
	page->latency[2][6] = 1234;
	page = sim_seen(vmbus_connection.monitor_pages[0]);
	page->trigger_group[2].pending = 0x40;
	KUNIT_EXPECT_GT(test, channel_read(ch, "latency", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "1234");
	KUNIT_EXPECT_GT(test, device_read(ch, "server_monitor_pending", text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "64");
}

static void add_name(const char *name, void *arg)
{
	unsigned long relid, *relids = arg;

	if (!kstrtoul(name, 10, &relid) && relid < 64)
		__set_bit(relid, relids);
}

static unsigned long shown_channels(struct kunit *test, struct vmbus_channel *ch)
{
	char path[FILE_PATH_MAX];
	unsigned long relids = 0;

	device_path(path, ch, "channels");
	KUNIT_EXPECT_GE(test, file_list(path, add_name, &relids), 1);
	return relids;
}

static void channels_directory_follows(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 3, &sim_type_perf, NULL), *subs[3];
	struct vmbus_channel *ch;
	char text[100];
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_EQ(test, shown_channels(test, ch), BIT(3));
	for (i = 0; i < ARRAY_SIZE(subs); i++) {
		sim_lock();
		subs[i] = sim_new_sub_locked(chan, i + 1, NULL);
		sim_offer_locked(subs[i]);
		sim_unlock();
		sim_guest_channel(test, subs[i]);
	}
	KUNIT_EXPECT_EQ(test, shown_channels(test, ch), BIT(3) | BIT(1) | BIT(2) | BIT(4));
	KUNIT_EXPECT_GT(test, channel_read(sim_guest_channel(test, subs[1]), "subchannel_id", text,
					   sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text, "2");
	KUNIT_EXPECT_GT(test, device_read(ch, "channel_vp_mapping", text, sizeof(text)), 0);
	KUNIT_EXPECT_EQ(test, strncmp(text, "3:", 2), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "\n4:"));
	sim_rescind(subs[1]);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(subs[1])));
	KUNIT_EXPECT_EQ(test, shown_channels(test, ch), BIT(3) | BIT(1) | BIT(4));
}

/* ---- the cpu attribute ---- */

static void bad_cpus_are_refused(struct kunit *test)
{
	static const char * const bad[] = {
		"x", "-1", "1 2", "0x", "4", "4096", "4294967295",
	};
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;
	unsigned int i;

	sim_start_ok(test, SIM_USUAL);
	KUNIT_EXPECT_EQ(test, write_cpu(sim_guest_channel(test, chan), 1), -EIO);
	witness = open_witnessed(test, chan);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, channel_write(witness->ch, "cpu", bad[i]), -EINVAL, "%s",
				    bad[i]);
	KUNIT_EXPECT_EQ(test, channel_write(witness->ch, "cpu", "4294967296"), -ERANGE);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 0), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), 0);
	vmbus_close(witness->ch);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 1), -EIO);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 0), -EIO);
}

static void channel_moves(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	bool can = version->version >= SIM_V(4, 1);
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;
	char text[16];
	unsigned int i;

	sim_start_ok(test, version->version);
	witness = open_witnessed(test, chan);
	expect_interrupts(test, witness, chan, 0);
	for (i = 1; i <= 4; i++) {
		KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, i % 4), can ? 0 : -EIO);
		expect_interrupts(test, witness, chan, can ? i % 4 : 0);
		KUNIT_EXPECT_GT(test, channel_read(witness->ch, "cpu", text, sizeof(text)), 0);
		KUNIT_EXPECT_EQ(test, text[0], can ? '0' + i % 4 : '0');
	}
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_MODIFY), can ? 4 : 0);
}

static void host_refuses_a_move(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_MODIFY, .action = SIM_REFUSE, .status = 0x80004005,
				 .times = 1 };
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;

	sim_start_ok(test, SIM_USUAL);
	witness = open_witnessed(test, chan);
	sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), -EINVAL);
	expect_interrupts(test, witness, chan, 0);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), 0);
	expect_interrupts(test, witness, chan, 2);
}

static void host_is_silent_about_a_move(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_MODIFY, .action = SIM_DROP, .times = 1 };
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;

	sim_start_ok(test, SIM_USUAL);
	witness = open_witnessed(test, chan);
	sim_rule(&rule);
	vmbus_deadlines.request = 200;
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), -EIO);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received(SIM_MODIFY)));
	vmbus_deadlines.request = SIM_ANSWERED_MS;
	/* It may interrupt either CPU; asking again is of no use. */
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 1), -EIO);
	KUNIT_EXPECT_EQ(test, remove_cpu(2), -EBUSY);
	expect_interrupts(test, witness, chan, 2);
	vmbus_close(witness->ch);
	witness = open_witnessed(test, chan);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 1), 0);
	expect_interrupts(test, witness, chan, 1);
}

static void rescind_now(struct sim_chan *chan, void *arg)
{
	sim_rescind_locked(chan);
}

static void rescind_ends_a_move(struct kunit *test)
{
	struct sim_rule rule = { .type = SIM_MODIFY, .hook = rescind_now };
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;

	sim_start_ok(test, SIM_USUAL);
	witness = open_witnessed(test, chan);
	sim_rule(&rule);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), -EIO);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
}

/* ---- CPUs that go ---- */

static void cpu_goes_when_nothing_needs_it(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;

	sim_start_ok(test, SIM_USUAL);
	witness = open_witnessed(test, chan);
	KUNIT_EXPECT_NE(test, remove_cpu(0), 0);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), 0);
	expect_interrupts(test, witness, chan, 2);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 3), 0);
	/* The late look, on whatever CPU, is not in this case. */
	vmbus_deadlines.late = SIM_ANSWERED_MS;
	KUNIT_ASSERT_EQ(test, remove_cpu(2), 0);
	guest_tasklet_ends(witness->ch);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), -EINVAL);
	expect_interrupts(test, witness, chan, 3);
	KUNIT_ASSERT_EQ(test, add_cpu(2), 0);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 2), 0);
	expect_interrupts(test, witness, chan, 2);
}

static void cpu_handles_its_last_events(struct kunit *test)
{
	struct sim_chan *chan = sim_add(test, NULL, NULL);
	struct witness *witness;
	int count;

	sim_start_ok(test, SIM_USUAL);
	witness = open_witnessed(test, chan);
	count = atomic_read(&witness->count);
	/* The flag is set, the interrupt never comes. */
	sim_lose_interrupts(chan->relid, false);
	sim_event(3, chan->relid);
	KUNIT_EXPECT_EQ(test, atomic_read(&witness->count), count);
	KUNIT_EXPECT_EQ(test, remove_cpu(3), 0);
	/* A tasklet that was put off goes on elsewhere. */
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&witness->count) == count + 1));
	KUNIT_EXPECT_EQ(test, add_cpu(3), 0);
}

static void start_without_a_cpu(struct kunit *test)
{
	struct sim_chan *chans[6];
	struct witness *witness;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, remove_cpu(1), 0);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = sim_add(test, &sim_type_perf, NULL);
	KUNIT_EXPECT_EQ(test, sim_start(test, SIM_USUAL), 0);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		KUNIT_EXPECT_NE(test, sim_guest_channel(test, chans[i])->target_cpu, 1);
	KUNIT_ASSERT_EQ(test, add_cpu(1), 0);
	witness = open_witnessed(test, chans[0]);
	KUNIT_EXPECT_EQ(test, write_cpu(witness->ch, 1), 0);
	expect_interrupts(test, witness, chans[0], 1);
}

/* ---- everything at once ---- */

struct reader {
	struct sim_chan *chans[4];
	char text[400];
	char path[FILE_PATH_MAX];
	char dir[FILE_PATH_MAX];
	unsigned int reads;
	unsigned int moves;
};

static void touch(const char *name, void *arg)
{
	static const char * const cpus[] = { "0", "1", "2", "3" };
	struct reader *reader = arg;

	if (strlen(reader->dir) + strlen(name) + 2 > sizeof(reader->path))
		return;
	snprintf(reader->path, sizeof(reader->path), "%s/%s", reader->dir, name);
	if (file_read(reader->path, reader->text, sizeof(reader->text)) >= 0)
		WRITE_ONCE(reader->reads, reader->reads + 1);
	if (!strcmp(name, "driver_override"))
		file_write(reader->path, sim_random(2) ? "perf" : "\n");
	if (strcmp(name, "cpu"))
		return;
	if (!file_write(reader->path, cpus[sim_random(ARRAY_SIZE(cpus))]))
		WRITE_ONCE(reader->moves, reader->moves + 1);
}

static int read_everything(void *arg)
{
	struct reader *reader = arg;
	unsigned int i;

	while (!kthread_should_stop()) {
		for (i = 0; i < ARRAY_SIZE(reader->chans); i++) {
			/* The first is the primary, which names the device. */
			snprintf(reader->dir, sizeof(reader->dir),
				 i ? "/sys/bus/vmbus/devices/%pUl/channels/%u" :
				     "/sys/bus/vmbus/devices/%pUl",
				 &reader->chans[0]->instance, reader->chans[i]->relid);
			file_list(reader->dir, touch, reader);
		}
		snprintf(reader->dir, sizeof(reader->dir),
			 "/sys/bus/vmbus/devices/%pUl/channels/%u", &reader->chans[0]->instance,
			 reader->chans[0]->relid);
		file_list(reader->dir, touch, reader);
		cond_resched();
	}
	return 0;
}

static void files_race_with_everything(struct kunit *test)
{
	struct sim_chan *chan = sim_add_relid(test, 1, &sim_type_perf, &sim_echo);
	struct reader *reader = kunit_kzalloc(test, sizeof(*reader), GFP_KERNEL);
	unsigned int i, n, before, reads;
	struct task_struct *task;
	bool good = true;
	struct vsc *vsc;

	KUNIT_ASSERT_NOT_NULL(test, reader);
	chan->monitored = true;
	reader->chans[0] = chan;
	for (i = 1; i < ARRAY_SIZE(reader->chans); i++)
		reader->chans[i] = sim_add_sub(test, chan, i, &sim_echo);
	sim_start_ok(test, SIM_USUAL);
	vsc = vsc_new(test, "perf", &sim_type_perf);
	vsc->open_subs = true;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	task = kthread_run(read_everything, reader, "sim_reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (n = 0; good && n < 12; n++) {
		i = sim_random(ARRAY_SIZE(reader->chans));
		sim_rescind(reader->chans[i]);
		usleep_range(100, 100 * (2 + sim_random(300)));
		if (i) {
			/* Open ones go when they are closed: with the device. */
			sim_rescind(chan);
		}
		good = sim_wait(sim_gone(chan));
		for (i = 0; good && i < ARRAY_SIZE(reader->chans); i++) {
			good = sim_wait(sim_gone(reader->chans[i]));
			if (good)
				sim_reoffer(reader->chans[i]);
		}
		/* It goes while the reader is somewhere in its files. */
		before = READ_ONCE(reader->reads);
		reads = sim_random(100);
		good = good && sim_wait(READ_ONCE(reader->reads) >= before + reads);
	}
	kthread_stop(task);
	KUNIT_EXPECT_TRUE(test, good);
	KUNIT_EXPECT_GT(test, reader->reads, 0);
	kunit_info(test, "%u reads, %u moves", reader->reads, reader->moves);
}

static struct kunit_case sysfs_cases[] = {
	KUNIT_CASE(attributes_tell_the_offer),
	KUNIT_CASE(monitor_files_if_monitored),
	KUNIT_CASE(channels_directory_follows),
	KUNIT_CASE(bad_cpus_are_refused),
	KUNIT_CASE_PARAM(channel_moves, sim_versions_gen_params),
	KUNIT_CASE(host_refuses_a_move),
	KUNIT_CASE(host_is_silent_about_a_move),
	KUNIT_CASE(rescind_ends_a_move),
	KUNIT_CASE(cpu_goes_when_nothing_needs_it),
	KUNIT_CASE(cpu_handles_its_last_events),
	KUNIT_CASE(start_without_a_cpu),
	KUNIT_CASE(files_race_with_everything),
	{}
};

struct kunit_suite sysfs_suite = {
	.name = "hv_vmbus_sysfs",
	.init = vsc_init,
	.exit = vsc_exit,
	.test_cases = sysfs_cases,
};
