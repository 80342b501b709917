// SPDX-License-Identifier: GPL-2.0-only
/*
 * frag MEGABYTES: takes that much memory and gives back every other page of it. The pages between are locked: the kernel
 * cannot move them if it may not compact what is locked. Says "ready" and waits for its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE			4096UL
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

int main(int argc, char **argv)
{
	unsigned long size, at;
	char *memory;

	if (argc != 2) {
		fprintf(stderr, "usage: frag MEGABYTES\n");
		return 2;
	}
	size = strtoul(argv[1], NULL, 0) << 20;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE) || mlock(memory, size)) {
		perror("taking the memory");
		return 1;
	}
	for (at = 0; at < size; at += 2 * PAGE) {
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
