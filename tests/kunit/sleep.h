/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hibernation as the PM core goes through it, for the devices of the bus alone.
 */
#ifndef _KUNIT_SLEEP_H
#define _KUNIT_SLEEP_H

#include <kunit/test.h>
#include <linux/device.h>

#include "sim_host.h"

struct vsc;

#define SLEEP_DEVICES	16

/**
 * struct sleep - one hibernation
 * @devs: the devices, in the order in which they were added
 * @nr_devs: their number
 * @nr_down: how many of them are suspended, from the last on
 * @errors: what the resume of each said
 * @held: prepare was called, complete was not
 */
struct sleep {
	struct device *devs[SLEEP_DEVICES];
	unsigned int nr_devs;
	unsigned int nr_down;
	int errors[SLEEP_DEVICES];
	bool held;
};

/* Each step by itself; they return what the driver said. */
void sleep_prepare(struct sleep *sleep);
int sleep_devices(struct sleep *sleep);
int sleep_root(void);
int wake_root(void);
void wake_devices(struct sleep *sleep);
void sleep_complete(struct sleep *sleep);
/* The SynIC of CPU 0 off and on; and with the other CPUs, which takes a while. */
void sleep_core(void);
void sleep_image(void);

/* All the way down; after an error back again, as the PM core does it. */
int freeze(struct sleep *sleep);
/* All the way up; the error of the root, each device's is in @sleep. */
int thaw(struct sleep *sleep);

/* What the host has sent is done with: removals, additions, offers after those. */
void sleep_settle(struct kunit *test);
/* A driver has the channel open, and a packet goes to its echo and back. */
void sleep_expect_works(struct kunit *test, struct sim_chan *chan);
/* One more hibernation, after which that channel works; NULL for none. */
void sleep_expect_again(struct kunit *test, struct sim_chan *chan);
unsigned int sleep_nr_devices(void);
/* A line since @mark names it, its driver could not open it, and stays, asleep. */
void sleep_expect_missing(struct kunit *test, struct vsc *vsc, struct sim_chan *chan, u64 mark);

/* The host was not left: two devices with drivers work as before. */
void sleep_expect_turned_round(struct kunit *test, struct vsc *vsc, struct sim_chan *chan,
			       struct sim_chan *other);

#endif /* _KUNIT_SLEEP_H */
