// SPDX-License-Identifier: GPL-2.0-only
/*
 * frag MEGABYTES: takes memory until only so much is free, and gives back every
 * other page. The pages between are locked: the kernel cannot move them if it may
 * not compact what is locked. Says "ready" and waits for its end.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define PAGE			4096UL
#define STEP			(64 * PAGE)
#define CALM			3
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

static unsigned long free_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : info.freeram * info.mem_unit;
}

int main(int argc, char **argv)
{
	unsigned long leave, size, taken, at;
	unsigned int calm;
	char *memory;

	if (argc != 2) {
		fprintf(stderr, "usage: frag MEGABYTES\n");
		return 2;
	}
	leave = strtoul(argv[1], NULL, 0) << 20;
	size = free_bytes();
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE) ||
	    mlock2(memory, size, MLOCK_ONFAULT)) {
		perror("taking memory");
		return 1;
	}
	/* What the kernel reclaims because memory is short is taken, too. */
	for (taken = 0, calm = 0; taken < size && calm < CALM; calm++) {
		for (; taken < size && free_bytes() > leave; taken += STEP, calm = 0)
			for (at = taken; at < taken + STEP && at < size; at += PAGE)
				memory[at] = 1;
		usleep(200000);
	}
	for (at = 0; at < taken && at < size; at += 2 * PAGE) {
		if (madvise(memory + at, PAGE, MADV_DONTNEED_LOCKED)) {
			perror("giving back");
			return 1;
		}
	}
	printf("ready\n");
	fflush(stdout);
	pause();
	return 0;
}
