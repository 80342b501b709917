// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory of System V, as far as fio uses it, for kernels without: one
 * segment at a time, attached before the processes that share it are forked.
 * Loaded before fio's libraries.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/shm.h>

static size_t length;

int shmget(key_t key, size_t size, int flags)
{
	(void)key;
	(void)flags;
	length = size;
	return 1;
}

void *shmat(int id, const void *at, int flags)
{
	(void)id;
	(void)at;
	(void)flags;
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int shmdt(const void *at)
{
	return munmap((void *)at, length);
}

int shmctl(int id, int operation, struct shmid_ds *buffer)
{
	(void)id;
	(void)buffer;
	if (operation == IPC_RMID)
		return 0;
	errno = EINVAL;
	return -1;
}
