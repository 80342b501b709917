/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hibernation as the PM core goes through it, for the devices of the bus alone.
 */
#ifndef _KUNIT_SLEEP_H
#define _KUNIT_SLEEP_H

#include <linux/device.h>

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
/* The other CPUs off and on, and between them the SynIC of CPU 0. */
void sleep_image(void);

/* All the way down; after an error back again, as the PM core does it. */
int freeze(struct sleep *sleep);
/* All the way up; the error of the root, each device's is in @sleep. */
int thaw(struct sleep *sleep);

#endif /* _KUNIT_SLEEP_H */
