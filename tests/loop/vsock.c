// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest's end of AF_VSOCK against the services of sockets.c:
 *
 *   vsock echo PORT BYTES	connect, send a pattern while it comes back, FIN, read to the end
 *   vsock sink PORT BYTES	connect, send, shut down one half, read what the host has counted
 *   vsock source PORT BYTES	connect, ask, read to the host's FIN, then send as much, FIN
 *   vsock abrupt PORT BYTES	connect, ask, wait, read what is left of a channel that is gone
 *   vsock refused PORT MS	connect, which must fail within so many ms; says with what
 *   vsock storm PORT COUNT CLIENTS
 *				so many connections, one after the other by each of CLIENTS
 *				processes, an echo on each
 *   vsock many PORT COUNT	so many connections at a time, an echo on each
 *   vsock drop PORT BYTES	send to echo without end until the host takes the channel away
 *   vsock accept PORT SERVICE BYTES COMMANDS
 *				listen, have the host connect by COMMANDS, do as above
 *   vsock unread PORT BYTES	close with data unread
 *
 * Prints a line of what it found; status 0 if all was as it should be.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "program.h"

#define CHUNK	65536
#define HOST	2

static unsigned char buffer[CHUNK];

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* As in sockets.c. */
static unsigned char pattern(uint64_t n)
{
	return n * 7 + n / 251;
}

static void fill(uint64_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buffer[i] = pattern(from + i);
}

static void check(uint64_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (buffer[i] != pattern(from + i))
			fail("byte %llu is 0x%02x", (unsigned long long)(from + i), buffer[i]);
}

static size_t part(uint64_t left)
{
	size_t most = 1 + rand() % CHUNK;

	return left < most ? left : most;
}

/* The usual limit of 2 s is too short for an emulated machine that is busy. */
static int dial(unsigned int port)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = HOST, .svm_port = port,
	};
	struct timeval limit = { .tv_sec = 60 };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit)))
		fail("socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect to port %u", port);
	return fd;
}

static void send_pattern(int fd, uint64_t bytes)
{
	uint64_t sent = 0;
	ssize_t len;

	while (sent < bytes) {
		len = part(bytes - sent);
		fill(sent, len);
		len = send(fd, buffer, len, 0);
		if (len <= 0)
			fail("send after %llu bytes: %zd", (unsigned long long)sent, len);
		sent += len;
	}
}

/* Reads to the end; the bytes. */
static uint64_t read_pattern(int fd)
{
	uint64_t got = 0;
	ssize_t len;

	while ((len = recv(fd, buffer, 1 + rand() % CHUNK, 0)) > 0) {
		check(got, len);
		got += len;
	}
	if (len < 0)
		fail("recv after %llu bytes", (unsigned long long)got);
	return got;
}

static void expect_bytes(uint64_t got, uint64_t bytes)
{
	if (got != bytes)
		fail("%llu bytes before the end instead of %llu", (unsigned long long)got,
		     (unsigned long long)bytes);
}

static void shut(int fd)
{
	if (shutdown(fd, SHUT_WR))
		fail("shutdown");
}

static void echo(int fd, uint64_t bytes)
{
	pid_t sender = fork();
	uint64_t got;
	int status;

	if (!sender) {
		send_pattern(fd, bytes);
		shut(fd);
		exit(0);
	}
	got = read_pattern(fd);
	if (waitpid(sender, &status, 0) != sender || status)
		fail("the sender ended with 0x%x", status);
	expect_bytes(got, bytes);
	printf("echo of %llu bytes\n", (unsigned long long)bytes);
}

static void sink(int fd, uint64_t bytes)
{
	uint64_t counts[2];
	char more;

	send_pattern(fd, bytes);
	shut(fd);
	/* This half is closed; the other one still works. */
	if (send(fd, "x", 1, MSG_NOSIGNAL) != -1 || errno != EPIPE)
		fail("sent after shutdown");
	if (recv(fd, counts, sizeof(counts), MSG_WAITALL) != sizeof(counts))
		fail("no counts from the host");
	if (counts[0] != bytes || counts[1])
		fail("the host got %llu bytes, %llu of them wrong", (unsigned long long)counts[0],
		     (unsigned long long)counts[1]);
	if (recv(fd, &more, 1, 0) != 0)
		fail("no end after the counts");
	printf("the host got %llu bytes after half a close\n", (unsigned long long)bytes);
}

static void ask(int fd, uint64_t bytes)
{
	if (send(fd, &bytes, sizeof(bytes), 0) != sizeof(bytes))
		fail("asking");
}

static void source(int fd, uint64_t bytes)
{
	ask(fd, bytes);
	expect_bytes(read_pattern(fd), bytes);
	/* The host has closed its half; this one still works. */
	send_pattern(fd, bytes);
	shut(fd);
	printf("%llu bytes each way, the host closed its half first\n", (unsigned long long)bytes);
}

static void abrupt(int fd, uint64_t bytes)
{
	uint64_t got;

	ask(fd, bytes);
	sleep(1);
	got = read_pattern(fd);
	if (send(fd, "x", 1, MSG_NOSIGNAL) != -1)
		fail("sent into a channel that is gone");
	expect_bytes(got, bytes);
	printf("read %llu bytes after the channel had gone\n", (unsigned long long)got);
}

static void unread(int fd, uint64_t bytes)
{
	long long begin;

	ask(fd, bytes);
	sleep(1);
	begin = now_ms();
	close(fd);
	printf("closed with data unread in %lld ms\n", now_ms() - begin);
}

static void refused(unsigned int port, unsigned int ms)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = HOST, .svm_port = port,
	};
	struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	long long begin = now_ms();

	if (fd < 0 ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit)))
		fail("socket");
	if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connected to port %u", port);
	if (now_ms() - begin > ms + 5000)
		fail("it took %lld ms", now_ms() - begin);
	printf("no connection: %s\n", strerror(errno));
	close(fd);
}

static void small_echo(int fd)
{
	char said[64], heard[sizeof(said)], more;

	snprintf(said, sizeof(said), "%d %lld", fd, now_ms());
	if (send(fd, said, sizeof(said), 0) != sizeof(said))
		fail("send");
	if (recv(fd, heard, sizeof(heard), MSG_WAITALL) != sizeof(heard) ||
	    memcmp(said, heard, sizeof(said)))
		fail("another answer");
	shut(fd);
	if (recv(fd, &more, 1, 0) != 0)
		fail("no end");
}

/* What the clients of a storm did; each writes its own. */
struct client {
	unsigned int done, slow;	/* more than a second for connect() */
	long long connect_ms, echo_ms;	/* all of it */
	long long slowest_ms;		/* connect() */
};

static void be_client(struct client *client, unsigned int port, unsigned int count)
{
	long long begin, connected;
	int fd;

	for (; client->done < count; client->done++) {
		begin = now_ms();
		fd = dial(port);
		connected = now_ms();
		small_echo(fd);
		close(fd);
		client->connect_ms += connected - begin;
		client->echo_ms += now_ms() - connected;
		client->slow += connected - begin > 1000;
		if (connected - begin > client->slowest_ms)
			client->slowest_ms = connected - begin;
	}
}

static void storm(unsigned int port, unsigned int count, unsigned int clients)
{
	size_t size = clients * sizeof(struct client);
	struct client *client = mmap(NULL, size, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0), all = { };
	unsigned int i, failed = 0;
	long long begin = now_ms();
	int status;

	if (client == MAP_FAILED)
		fail("mmap for %u clients", clients);
	for (i = 0; i < clients; i++) {
		if (fork())
			continue;
		/* More than a second for each would be another failure. */
		alarm(240 + count);
		be_client(&client[i], port, count / clients + (i < count % clients));
		exit(0);
	}
	alarm(260 + count);
	while (wait(&status) > 0)
		failed += !!status;
	for (i = 0; i < clients; i++) {
		all.done += client[i].done;
		all.slow += client[i].slow;
		all.connect_ms += client[i].connect_ms;
		all.echo_ms += client[i].echo_ms;
		if (client[i].slowest_ms > all.slowest_ms)
			all.slowest_ms = client[i].slowest_ms;
	}
	printf("%u connections of %u clients in %lld ms\n", all.done, clients, now_ms() - begin);
	if (all.done)
		printf("each %lld ms to connect, at most %lld, %u more than 1 s; %lld ms to echo\n",
		       all.connect_ms / all.done, all.slowest_ms, all.slow,
		       all.echo_ms / all.done);
	if (failed || all.done != count)
		fail("%u clients failed", failed);
}

static void many(unsigned int port, unsigned int count)
{
	unsigned int i;
	int *fds = calloc(count, sizeof(*fds));

	for (i = 0; i < count; i++)
		fds[i] = dial(port);
	for (i = 0; i < count; i++)
		small_echo(fds[i]);
	for (i = 0; i < count; i++)
		close(fds[i]);
	printf("%u connections at a time\n", count);
}

static void drop(int fd)
{
	uint64_t sent = 0, got = 0;
	struct pollfd end = { .fd = fd, .events = POLLIN | POLLOUT };
	ssize_t len;

	printf("sending\n");
	fflush(stdout);
	for (;;) {
		if (poll(&end, 1, 20000) != 1)
			fail("silence after %llu bytes", (unsigned long long)sent);
		if (end.revents & POLLIN) {
			len = recv(fd, buffer, CHUNK, MSG_DONTWAIT);
			if (len == 0 || (len < 0 && errno != EAGAIN))
				break;
			if (len > 0) {
				check(got, len);
				got += len;
			}
		}
		if (end.revents & POLLOUT) {
			len = part(CHUNK);
			fill(sent, len);
			len = send(fd, buffer, len, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (len > 0)
				sent += len;
			else if (errno != EAGAIN)
				break;
		}
	}
	if (!got)
		fail("nothing came back");
	printf("dropped after %llu bytes, %llu of them back\n", (unsigned long long)sent,
	       (unsigned long long)got);
}

static const struct {
	const char *name;
	void (*run)(int fd, uint64_t bytes);
} services[] = {
	{ "echo", echo }, { "sink", sink }, { "source", source }, { "abrupt", abrupt },
	{ "unread", unread },
};

static void serve(const char *service, int fd, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(service, services[i].name))
			continue;
		services[i].run(fd, bytes);
		close(fd);
		return;
	}
	fail("no service %s", service);
}

static void accept_one(unsigned int port, const char *service, uint64_t bytes, const char *command)
{
	struct sockaddr_vm at = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};
	struct sockaddr_vm from;
	socklen_t len = sizeof(from);
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), fd;

	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 4))
		fail("listen");
	if (system(command))
		fail("%s", command);
	fd = accept(listener, (struct sockaddr *)&from, &len);
	if (fd < 0)
		fail("accept");
	if (from.svm_family != AF_VSOCK || from.svm_cid != HOST)
		fail("a connection from %u", from.svm_cid);
	serve(service, fd, bytes);
	close(listener);
}

int main(int argc, char **argv)
{
	unsigned int port, number;

	if (argc < 4)
		return 2;
	/* No test hangs because the kernel does. */
	alarm(240);
	port = strtoul(argv[2], NULL, 0);
	number = strtoul(argv[3], NULL, 0);
	if (!strcmp(argv[1], "refused"))
		refused(port, number);
	else if (!strcmp(argv[1], "storm") && argc == 5)
		storm(port, number, strtoul(argv[4], NULL, 0));
	else if (!strcmp(argv[1], "many"))
		many(port, number);
	else if (!strcmp(argv[1], "drop"))
		drop(dial(port));
	else if (!strcmp(argv[1], "accept") && argc == 6)
		accept_one(port, argv[3], strtoull(argv[4], NULL, 0), argv[5]);
	else
		serve(argv[1], dial(port), strtoull(argv[3], NULL, 0));
	return 0;
}
