// SPDX-License-Identifier: GPL-2.0-only
/*
 * What fio needs and does not have. Loaded before its libraries.
 *
 * Shared memory of System V, as far as it uses it, for kernels without: one
 * segment at a time, attached before the processes that share it are forked.
 *
 * Events of asynchronous I/O, as many as it asks for. The freezer's signal, or
 * SIGSTOP, cuts an answer short, which fio 3.33 takes for none: it asks for as
 * many again, more than there will ever be, and sleeps for good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/aio_abi.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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

/* libaio's: errors are returned. */
int io_getevents(aio_context_t context, long min, long nr, struct io_event *events,
		 struct timespec *timeout)
{
	long got = 0, more;

	do {
		more = syscall(SYS_io_getevents, context, min - got, nr - got, events + got,
			       timeout);
		if (more > 0)
			got += more;
		else if (!more)
			break;
		else if (errno != EINTR)
			return got ? got : -errno;
	} while (got < min);
	return got;
}
