// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_hvsock: sockets, from the request for a connection to the end of the
 * last reference. Each case ends with all that was rescinded released, once.
 */
#include VMBUS_UNALIGNED_H

#include "call.h"
#include "files.h"
#include "sock.h"
#include "suites.h"
#include "vsc.h"
#include "../../include/vmbus_private.h"

#define RING_PAGES	(2 * SOCK_RING / PAGE_SIZE)
#define SHARED_PAGES	3	/* of the connection itself */
#define DRIVERS		"/sys/bus/vmbus/drivers/"

static const guid_t service = GUID_INIT(0x00001234, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00,
					0x6a, 0x79, 0x86, 0xd3);
static const guid_t endpoint = GUID_INIT(0x00000789, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00,
					 0x6a, 0x79, 0x86, 0xd3);

/* ---- the life of a case ---- */

static int hvsock_init(struct kunit *test)
{
	sock_init();
	return vsc_init(test);
}

/* Each kind of driver that the kernel knows; hv_sock probes asynchronously. */
static const struct kind {
	enum probe_type type;
	const char *name;
} kinds[] = {
	{ PROBE_FORCE_SYNCHRONOUS, "synchronous" },
	{ PROBE_PREFER_ASYNCHRONOUS, "asynchronous" },
};

static void kind_name(const struct kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kinds, kinds, kind_name);

static struct sock *accept(struct kunit *test, const struct sim_chan *chan)
{
	struct sock *sock = NULL;

	KUNIT_ASSERT_TRUE_MSG(test, sim_wait((sock = sock_take(chan->relid))), "relid %u",
			      chan->relid);
	return sock;
}

static void start(struct kunit *test, u32 version)
{
	const struct kind *kind = test->param_value;
	bool chosen = kind >= kinds && kind < kinds + ARRAY_SIZE(kinds);

	sim_use_visibility(true);
	sim_start_ok(test, version);
	KUNIT_ASSERT_EQ(test, sock_register(chosen ? kind->type : PROBE_PREFER_ASYNCHRONOUS), 0);
}

static u32 unreleased(void)
{
	struct sim_chan *chan;
	u32 relid, count = 0;

	sim_lock();
	for (relid = 1; relid < SIM_RELIDS; relid++) {
		chan = sim_chan_locked(relid);
		count += chan && chan->releases != chan->rescinds;
	}
	sim_unlock();
	return count;
}

static void hvsock_exit(struct kunit *test)
{
	struct sock *sock;

	sock_let_go();
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.wrong), 0);
	if (!sockets.keeps) {
		while ((sock = sock_take(0)))
			sock_abandon(sock);
		KUNIT_EXPECT_TRUE_MSG(test, sim_wait(!unreleased()), "%u are not released",
				      unreleased());
	}
	if (sockets.registered)
		sock_unregister();
	vsc_exit(test);
	/* Before 3.0 a guest cannot say that it goes: what it shared stays. */
	KUNIT_EXPECT_EQ(test, sim_host_pages(),
			vmbus_proto_version < SIM_V(3, 0) ? SHARED_PAGES : 0);
}

static struct sim_chan *connect_from_host(struct kunit *test, u32 relid, struct sock **sock)
{
	struct sim_chan *chan = sim_add_socket(test, relid, &service, &sim_echo);

	*sock = accept(test, chan);
	return chan;
}

static void expect_gone(struct kunit *test, struct sim_chan *chan)
{
	KUNIT_EXPECT_TRUE_MSG(test, sim_wait(sim_gone(chan)), "relid %u", chan->relid);
	KUNIT_EXPECT_EQ_MSG(test, chan->releases, 1, "relid %u", chan->relid);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
}

/* Whatever was to be done about it is done; it is still there. */
static void expect_kept(struct kunit *test, struct sim_chan *chan)
{
	sim_drain(test);
	vmbus_channels_flush();
	KUNIT_EXPECT_FALSE_MSG(test, sim_gone(chan), "relid %u", chan->relid);
}

static int send_to(struct sock *sock, const void *payload, u32 len)
{
	return vmbus_sendpacket(sock->ch, (void *)payload, len, 0, VM_PKT_DATA_INBAND, 0);
}

/* ---- connecting ---- */

static void requests_have_their_bytes(struct kunit *test)
{
	struct sim_msg_tl_connect msg;

	start(test, SIM_V(4, 0));
	sim_listen(&sim_echo);
	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.bound) == 1));
	KUNIT_ASSERT_EQ(test, sim_received_message(SIM_TL_CONNECT, 0, &msg, sizeof(msg)), 40);
	KUNIT_EXPECT_EQ(test, msg.header.type, 21);
	KUNIT_EXPECT_EQ(test, msg.header.reserved, 0);
	KUNIT_EXPECT_EQ(test, memcmp(msg.endpoint, &endpoint, 16), 0);
	KUNIT_EXPECT_EQ(test, memcmp(msg.service, &service, 16), 0);
}

static void requests_need_4_0(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	bool can = version->version >= SIM_V(4, 0);

	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), -ESHUTDOWN);
	start(test, version->version);
	sim_listen(&sim_echo);
	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service),
			can ? 0 : -EOPNOTSUPP);
	if (can)
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.bound) == 1));
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_TL_CONNECT), can);
}

static void requests_that_cannot_be_posted(struct kunit *test)
{
	start(test, SIM_USUAL);
	sim_fail_posts(SIM_TL_CONNECT, -EIO, 1);
	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), -EIO);
	vmbus_deadlines.post = 200;
	sim_fail_posts(SIM_TL_CONNECT, -EAGAIN, 0);
	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), -ENOBUFS);
	vmbus_deadlines.post = SIM_ANSWERED_MS;
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_TL_CONNECT), 0);
}

static const void *socket_versions_gen_params(VMBUS_PARAM_TEST const void *prev, char *desc)
{
	const struct sim_version *next = prev;

	do
		next = VMBUS_PARAM_NEXT(sim_versions_gen_params, next, desc);
	while (next && next->version < SIM_V(4, 0));
	return next;
}

static void both_sides_connect(struct kunit *test)
{
	const struct sim_version *version = test->param_value;
	struct sock *sock;
	unsigned int i;

	start(test, version->version);
	sim_listen(&sim_echo);
	KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), 0);
	sim_add_socket(test, 100, &service, &sim_echo);
	KUNIT_ASSERT_TRUE(test, sim_wait(atomic_read(&sockets.bound) == 2));
	for (i = 0; i < 2; i++) {
		u64 sent = sim_random(U32_MAX), got = 0, id;
		bool from_host;
		u32 len = 0;

		sock = sock_take(0);
		KUNIT_ASSERT_NOT_NULL(test, sock);
		from_host = sock->relid == 100;
		KUNIT_EXPECT_EQ(test, sock->ch->offermsg.offer.u.pipe.user_def[0], from_host);
		KUNIT_EXPECT_TRUE(test, guid_equal(&sock->ch->offermsg.offer.if_type, &service));
		if (!from_host)
			KUNIT_EXPECT_TRUE(test, guid_equal(&endpoint, &sock->ch->offermsg.offer
							   .if_instance));
		KUNIT_EXPECT_EQ(test, send_to(sock, &sent, sizeof(sent)), 0);
		KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sock->interrupts)));
		KUNIT_EXPECT_EQ(test, vmbus_recvpacket(sock->ch, &got, sizeof(got), &len, &id), 0);
		KUNIT_EXPECT_EQ(test, len, sizeof(got));
		KUNIT_EXPECT_EQ(test, got, sent);
		sock_abandon(sock);
	}
}

static unsigned int driver_lines(u64 mark)
{
	return sim_log_lines(mark, KBUILD_MODNAME ": ");
}

static void refused_connections_are_quiet(struct kunit *test)
{
	struct sim_msg_tl_result result = { .header.type = SIM_TL_RESULT, .status = 0x8000ffff };
	unsigned int i;
	u64 mark;

	start(test, SIM_V(4, 1));
	/* What earlier cases left of the limit, at most 10 lines in 5 s. */
	msleep(5500);
	mark = sim_log_mark();
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&endpoint, &service), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_sent(SIM_TL_RESULT) == 20));
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, driver_lines(mark), 0);
	/* One that is none is noticed. */
	sim_send(&result, sizeof(result) - 1);
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "TL_CONNECT_RESULT (type 23, 43 bytes)"), 1);
}

static void refusals_need_4_1(struct kunit *test)
{
	struct sim_msg_tl_result result = { .header.type = SIM_TL_RESULT };
	u64 mark = sim_log_mark();

	start(test, SIM_V(4, 0));
	/* The case before has waited for the limit, and had one line of it. */
	sim_send(&result, sizeof(result));
	sim_drain(test);
	KUNIT_EXPECT_EQ(test, sim_log_lines(mark, "TL_CONNECT_RESULT (type 23, 44 bytes)"), 1);
}

/* ---- rescinds ---- */

/* Nobody listens, or it could not be opened: the bus removes the device itself. */
static void unopened_sockets_go(struct kunit *test)
{
	struct sim_rule refuse = { .type = SIM_OPEN, .action = SIM_REFUSE, .status = 1 };
	struct sim_chan *deaf, *refused;

	start(test, SIM_USUAL);
	sockets.deaf = true;
	deaf = sim_add_socket(test, 1, &service, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.probes) == 1));
	sim_guest_channel(test, deaf);
	wait_for_device_probe();
	expect_kept(test, deaf);
	sockets.deaf = false;
	sim_rule(&refuse);
	refused = sim_add_socket(test, 2, &service, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.failed) == 1));
	sim_rescind(deaf);
	sim_rescind(refused);
	expect_gone(test, deaf);
	expect_gone(test, refused);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 0);
}

static void rescind_before_the_driver(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 1, &service, NULL);

	chan->flags = SIM_OFFER_HVSOCK;
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	sim_guest_channel(test, chan);
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_ASSERT_EQ(test, sock_register(PROBE_PREFER_ASYNCHRONOUS), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.probes), 0);
}

/* It cannot be opened any more, so there is no socket and no callback. */
static void rescind_before_open(struct kunit *test)
{
	struct sim_chan *chan;

	start(test, SIM_USUAL);
	sockets.hold[IN_PROBE] = true;
	chan = sim_add_socket(test, 1, &service, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[IN_PROBE])));
	sim_rescind(chan);
	sim_drain(test);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, sim_gone(chan));
	sock_let_go();
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.failed), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_OPEN), 0);
}

/* The host's last word before the callback is set: the socket must not be missed. */
static void rescind_before_the_callback(struct kunit *test)
{
	struct sim_chan *chan;
	struct sock *sock;

	start(test, SIM_USUAL);
	sockets.hold[AFTER_OPEN] = true;
	chan = sim_add_socket(test, 1, &service, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[AFTER_OPEN])));
	sim_rescind(chan);
	sim_drain(test);
	msleep(50);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 0);
	sock_let_go();
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 1));
	sock = accept(test, chan);
	expect_kept(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 0);
	sock_put(sock);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 1);
}

/* Ends in the callback, after it, while it runs, or before the rescind. */
static void rescind_and_the_last_reference(struct kunit *test)
{
	struct sim_chan *chans[4];
	struct sock *socks[4];
	unsigned int i;

	start(test, SIM_USUAL);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = connect_from_host(test, i + 1, &socks[i]);
	sock_put(socks[0]);
	expect_kept(test, chans[0]);
	sim_rescind(chans[0]);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chans[0])));

	sim_rescind(chans[1]);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 2));
	expect_kept(test, chans[1]);
	sock_put(socks[1]);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chans[1])));

	sockets.hold[IN_CALLBACK] = true;
	sim_rescind(chans[2]);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[IN_CALLBACK])));
	sock_put(socks[2]);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, sim_gone(chans[2]));
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.freed), 2);
	sock_let_go();
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chans[2])));

	sock_abandon(socks[3]);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.freed), 4);
	expect_kept(test, chans[3]);
	sim_rescind(chans[3]);
	expect_gone(test, chans[3]);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 4);
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		KUNIT_EXPECT_EQ_MSG(test, chans[i]->releases, 1, "relid %u", i + 1);
}

static void second_rescind_tells_nobody(struct kunit *test)
{
	struct sim_chan *chan;
	struct sock *sock;

	start(test, SIM_USUAL);
	chan = connect_from_host(test, 1, &sock);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 1));
	sim_send_relid(SIM_RESCIND, 1);
	expect_kept(test, chan);
	KUNIT_EXPECT_EQ(test, vmbus_channel_rescind(to_vmbus_chan(sock->ch)), -EALREADY);
	expect_kept(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 1);
	sock_put(sock);
	expect_gone(test, chan);
}

/* Packets of the numbers 0 and up, as many as asked for. */
static unsigned int host_writes(struct sim_chan *chan, unsigned int count)
{
	u64 payload[4] = { };
	unsigned int i;

	sim_lock();
	for (i = 0; i < count; i++) {
		payload[0] = i;
		if (sim_write(chan, SIM_PKT_INBAND, 0, 0, payload, sizeof(payload)))
			break;
	}
	sim_unlock();
	return i;
}

static void left_data_is_read_to_the_end(struct kunit *test)
{
	struct vmpacket_descriptor *desc;
	u64 payload[4], id = 0, expected = 0;
	struct vmbus_channel *ch;
	struct sim_chan *chan;
	struct sock *sock;
	u32 len;

	start(test, SIM_USUAL);
	chan = connect_from_host(test, 1, &sock);
	ch = sock->ch;
	KUNIT_ASSERT_EQ(test, host_writes(chan, 100), 100);
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 1));
	expect_kept(test, chan);
	/* A paravisor has let go of what only it sees. */
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES + (chan->co_ring ? 0 : RING_PAGES));
	KUNIT_EXPECT_EQ(test, ch->state, CHANNEL_OPENED_STATE);
	KUNIT_EXPECT_EQ(test, hv_get_bytes_to_read(&ch->inbound), 100 * (16 + 32 + 8));
	KUNIT_EXPECT_GT(test, hv_get_bytes_to_write(&ch->outbound), 0);
	KUNIT_EXPECT_EQ(test, send_to(sock, &id, sizeof(id)), -ENODEV);

	while (expected < 10) {
		KUNIT_EXPECT_EQ(test, vmbus_recvpacket(ch, payload, sizeof(payload), &len, &id), 0);
		KUNIT_ASSERT_EQ(test, len, sizeof(payload));
		KUNIT_EXPECT_EQ(test, payload[0], expected++);
	}
	foreach_vmbus_pkt(desc, ch) {
		memcpy(payload, hv_pkt_data(desc), sizeof(payload));
		KUNIT_EXPECT_EQ(test, payload[0], expected++);
	}
	KUNIT_EXPECT_EQ(test, expected, 100);
	KUNIT_EXPECT_EQ(test, hv_get_bytes_to_read(&ch->inbound), 0);
	sock_put(sock);
	expect_gone(test, chan);
	/* Nobody asks a host that has taken a channel back. */
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_CLOSE), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_GPADL_TEARDOWN), 0);
}

/* The socket is closed first: the host gets all that was sent, however slow it is. */
static void host_reads_what_a_closed_socket_sent(struct kunit *test)
{
	u64 payload[4] = { }, buffer[8];
	struct sim_chan *chan;
	struct sock *sock;
	unsigned int i;

	start(test, SIM_USUAL);
	chan = sim_add_socket(test, 1, &service, &sim_manual);
	sock = accept(test, chan);
	for (i = 0; i < 50; i++) {
		payload[0] = i;
		KUNIT_EXPECT_EQ(test, send_to(sock, payload, sizeof(payload)), 0);
	}
	sock_abandon(sock);
	expect_kept(test, chan);
	KUNIT_ASSERT_EQ(test, chan->closes, 0);
	/* Nobody is there who could be interrupted. */
	KUNIT_EXPECT_EQ(test, host_writes(chan, 10), 10);
	sim_lock();
	sim_interrupt_locked(chan);
	for (i = 0; i < 50; i++) {
		KUNIT_EXPECT_EQ(test, sim_read(chan, buffer, sizeof(buffer)), 16 + 32);
		KUNIT_EXPECT_EQ(test, buffer[2], i);
	}
	sim_unlock();
	sim_rescind(chan);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.told), 0);
}

/* ---- the driver and the module go ---- */

/* The socket outlives the driver's binding: root may unbind its device any time. */
static void unbound_sockets_go_on(struct kunit *test)
{
	struct sim_chan *chan, *closed;
	struct sock *sock, *other;
	const char *name;

	start(test, SIM_USUAL);
	chan = connect_from_host(test, 1, &sock);
	closed = connect_from_host(test, 2, &other);
	sim_rescind(closed);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 1));
	name = dev_name(&other->ch->device_obj->device);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "kunit_sock/unbind", name), 0);
	expect_kept(test, closed);
	sock_put(other);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(closed)));

	name = dev_name(&sock->ch->device_obj->device);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "kunit_sock/unbind", name), 0);
	KUNIT_EXPECT_TRUE(test, sim_wait(chan->closes == 1));
	KUNIT_EXPECT_EQ(test, send_to(sock, "12345678", 8), -ENODEV);
	/* Closing it is what makes the host rescind it. */
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 2));
	expect_kept(test, chan);
	sock_put(sock);
	expect_gone(test, chan);
}

static int unregister(void *unused)
{
	sock_unregister();
	return 0;
}

/* Its code is used until the callback is over. */
static void driver_waits_for_its_callback(struct kunit *test)
{
	struct guest_call *call;
	struct sim_chan *chan;
	struct sock *sock;

	start(test, SIM_USUAL);
	chan = connect_from_host(test, 1, &sock);
	sockets.hold[IN_CALLBACK] = true;
	sim_rescind(chan);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[IN_CALLBACK])));
	sock_put(sock);
	call = guest_call_begin(test, unregister, NULL);
	msleep(100);
	KUNIT_EXPECT_FALSE(test, guest_call_ended(call));
	sock_let_go();
	KUNIT_EXPECT_TRUE(test, sim_wait(guest_call_ended(call)));
	guest_call_end(call);
	expect_gone(test, chan);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 1);
}

/*
 * One is open, one was told and is kept, of one the host never rescinds what the
 * closed socket left: all goes with the module, and nothing of it is lost.
 */
static void module_goes_with_sockets(struct kunit *test)
{
	struct sim_chan *chans[3];
	struct sock *socks[3];
	unsigned int i;

	start(test, SIM_USUAL);
	sockets.keeps = true;
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		chans[i] = connect_from_host(test, i + 1, &socks[i]);
	sim_rescind(chans[1]);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == 1));
	expect_kept(test, chans[1]);
	sock_abandon(socks[2]);
	sock_unregister();
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.removes), 3);
	sim_stop(test);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), 0);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_RELID_RELEASED), 0);
	KUNIT_EXPECT_EQ(test, chans[0]->closes, 1);
	KUNIT_EXPECT_EQ(test, chans[1]->closes, 0);
	KUNIT_EXPECT_EQ(test, chans[2]->closes, 1);
	kfree(socks[0]);
	kfree(socks[1]);
}

/* ---- sockets and others ---- */

static void sockets_hold_up_nobody(struct kunit *test)
{
	struct sim_chan *device, *next, *socks[20];
	struct vsc *vsc;
	unsigned int i;

	start(test, SIM_USUAL);
	vsc = vsc_add(test, "plain", NULL);
	sockets.hold[IN_PROBE] = true;
	for (i = 0; i < ARRAY_SIZE(socks); i++)
		socks[i] = sim_add_socket(test, 100 + i, &service, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[IN_PROBE]) ==
					 ARRAY_SIZE(socks)));
	device = sim_add_relid(test, 1, NULL, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1));
	sim_add_sub(test, device, 1, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->subs) == 1));
	sim_rescind(device);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(device)));
	next = sim_add_relid(test, 2, NULL, &sim_echo);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->bound) == 1 && next->open));
	/* Their rescinds end them all at once. */
	for (i = 0; i < ARRAY_SIZE(socks); i++)
		sim_rescind(socks[i]);
	sim_drain(test);
	sock_let_go();
	for (i = 0; i < ARRAY_SIZE(socks); i++)
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(socks[i])));
}

static void nobody_holds_up_sockets(struct kunit *test)
{
	struct sim_chan *device, *chan;
	struct sock *sock;
	struct vsc *vsc;

	start(test, SIM_USUAL);
	vsc = vsc_new(test, "slow", NULL);
	vsc->hold_probe = true;
	vsc->drv.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	device = sim_add_relid(test, 1, NULL, NULL);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&vsc->held)));
	chan = connect_from_host(test, 2, &sock);
	sim_rescind(chan);
	sock_put(sock);
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chan)));
	KUNIT_EXPECT_FALSE(test, sim_gone(device));
	vsc_let_go(vsc);
}

static void override_excludes_and_chooses(struct kunit *test)
{
	struct sim_chan *chan = sim_new(test, 1, &service, &sim_echo);
	struct vmbus_channel *ch;
	struct vsc *plain;

	chan->flags = SIM_OFFER_HVSOCK;
	sim_use_visibility(true);
	sim_start_ok(test, SIM_USUAL);
	ch = sim_guest_channel(test, chan);
	KUNIT_EXPECT_EQ(test, device_write(ch, "driver_override", "plain"), 0);
	/* It is not for the one that is named, nor for the one that it is for. */
	plain = vsc_add(test, "plain", NULL);
	KUNIT_ASSERT_EQ(test, sock_register(PROBE_FORCE_SYNCHRONOUS), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&plain->probes), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.probes), 0);
	KUNIT_EXPECT_EQ(test, device_write(ch, "driver_override", "kunit_sock"), 0);
	KUNIT_EXPECT_EQ(test, file_write(DRIVERS "kunit_sock/bind",
					 dev_name(&ch->device_obj->device)), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.bound), 1);
}

/* A herd that leaves does not hold up who comes, not even by its first ones. */
static void sockets_leave_few_at_a_time(struct kunit *test)
{
	struct sim_chan *chans[20], *next;
	struct sock *sock;
	unsigned int i;

	start(test, SIM_USUAL);
	sockets.hold[IN_REMOVE] = true;
	for (i = 0; i < ARRAY_SIZE(chans); i++) {
		chans[i] = connect_from_host(test, 100 + i, &sock);
		sock_put(sock);
	}
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		sim_rescind(chans[i]);
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.told) == ARRAY_SIZE(chans)));
	KUNIT_EXPECT_TRUE(test, sim_wait(atomic_read(&sockets.held[IN_REMOVE]) == 4));
	next = connect_from_host(test, 1, &sock);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.held[IN_REMOVE]), 4);
	sock_let_go();
	for (i = 0; i < ARRAY_SIZE(chans); i++)
		KUNIT_EXPECT_TRUE(test, sim_wait(sim_gone(chans[i])));
	KUNIT_EXPECT_FALSE(test, sim_gone(next));
	sock_abandon(sock);
	sim_rescind(next);
	expect_gone(test, next);
}

/* ---- a storm ---- */

#define CONNECTIONS	60
#define AT_A_TIME	16
#define PACKETS		6

/* The service of those that are taken back as soon as they are offered. */
static const guid_t doomed = GUID_INIT(0x0000dead, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a,
				       0x79, 0x86, 0xd3);

/* How a connection ends; each number of the storm has its own. */
enum ending {
	GUEST_FIRST,	/* the user goes, then the host takes it back */
	DATA_LEFT,	/* the host takes it back; what it has sent is read then */
	DATA_IN_FLIGHT,	/* the same, while the host still answers */
	BOTH,		/* the user and the host at the same moment */
	DOOMED,		/* taken back as soon as it is offered */
	ENDINGS
};

static struct {
	atomic_t next;			/* number of the next one that has a socket */
	atomic_t ended[ENDINGS];
	atomic_t read, wrong;		/* packets; things that should not be */
	bool over;
} weather;

/* Payload of packet @n from connection @number. */
#define WORD(number, n)	((u64)(number) << 32 | (n))

static void expect(bool ok)
{
	atomic_add(!ok, &weather.wrong);
}

/* Reads what is there. Return: packets so far, of which @got were before. */
static u32 read_answers(struct sock *sock, u32 number, u32 got)
{
	u64 payload, id;
	u32 len;

	while (!vmbus_recvpacket(sock->ch, &payload, sizeof(payload), &len, &id) && len) {
		expect(len == sizeof(payload) && payload == WORD(number, got));
		got++;
		atomic_inc(&weather.read);
	}
	return got;
}

/* None of the answers is read yet, and no more is to come. */
static bool all_answered(const struct sock *sock)
{
	return hv_get_bytes_to_read(&sock->ch->inbound) == PACKETS * (16 + sizeof(u64) + 8);
}

/* The host takes it back with data in the ring, or on its way there. */
static void read_the_rest(struct sock *sock, struct sim_chan *chan, u32 number, bool all)
{
	u32 got;

	sim_rescind(chan);
	got = all ? 0 : read_answers(sock, number, 0);
	expect(sim_wait(READ_ONCE(sock->told)));
	got = read_answers(sock, number, got);
	expect(all ? got == PACKETS : got <= PACKETS);
	expect(send_to(sock, &number, sizeof(number)) == -ENODEV);
	sock_put(sock);
}

static void use(struct sock *sock, u32 number)
{
	enum ending ending = number % DOOMED;
	struct sim_chan *chan;
	u64 payload;
	u32 n;

	for (n = 0; n < PACKETS; n++) {
		payload = WORD(number, n);
		expect(!send_to(sock, &payload, sizeof(payload)));
	}
	if (ending < DATA_IN_FLIGHT)
		expect(sim_wait(all_answered(sock)));
	/* As long as it is not unregistered its relid is no other's. */
	sim_lock();
	chan = sim_chan_locked(sock->relid);
	sim_unlock();
	if (ending == GUEST_FIRST) {
		expect(read_answers(sock, number, 0) == PACKETS);
		sock_abandon(sock);
		sim_rescind(chan);
	} else if (ending == BOTH) {
		sim_rescind(chan);
		usleep_range(1, 1 + sim_random(500));
		sock_abandon(sock);
	} else {
		read_the_rest(sock, chan, number, ending == DATA_LEFT);
	}
	atomic_inc(&weather.ended[ending]);
}

static int use_all(void *unused)
{
	struct sock *sock;

	while (!READ_ONCE(weather.over)) {
		sock = sock_take(0);
		if (!sock) {
			usleep_range(200, 400);
		} else if (guid_equal(&sock->ch->offermsg.offer.if_type, &doomed)) {
			sock_put(sock);
			atomic_inc(&weather.ended[DOOMED]);
		} else {
			use(sock, atomic_fetch_inc(&weather.next));
		}
	}
	return 0;
}

/* Return: whether it is one that is taken back at once. */
static bool begin_one(struct kunit *test, u32 i)
{
	guid_t local = endpoint;
	struct sim_chan *chan;

	if (i % 2) {
		put_unaligned_le16(i, local.b);
		KUNIT_EXPECT_EQ(test, vmbus_send_tl_connect_request(&local, &service), 0);
		return false;
	}
	chan = sim_add_socket(test, 0, i % 8 ? &service : &doomed, &sim_echo);
	if (i % 8)
		return false;
	usleep_range(1, 1 + sim_random(2000));
	sim_rescind(chan);
	return true;
}

static void expect_fair_weather(struct kunit *test, u32 lasting)
{
	u32 bound = atomic_read(&sockets.bound), all = 0, ending;

	/* Whoever was not taken back at once had a socket; others may have had one. */
	for (ending = 0; ending < DOOMED; ending++) {
		KUNIT_EXPECT_GE_MSG(test, atomic_read(&weather.ended[ending]), lasting / DOOMED,
				    "ending %u", ending);
		all += atomic_read(&weather.ended[ending]);
	}
	KUNIT_EXPECT_EQ(test, all, lasting);
	KUNIT_EXPECT_EQ(test, all + atomic_read(&weather.ended[DOOMED]), bound);
	KUNIT_EXPECT_EQ(test, atomic_read(&weather.wrong), 0);
	KUNIT_EXPECT_GE(test, atomic_read(&weather.read), 2 * (lasting / DOOMED) * PACKETS);
	KUNIT_EXPECT_EQ(test, atomic_read(&sockets.freed), bound);
	kunit_info(test, "%u of %u connections had a socket, %d packets came back\n", bound,
		   CONNECTIONS, atomic_read(&weather.read));
}

static void storm(struct kunit *test)
{
	struct guest_call *users[4];
	u32 i, lasting = CONNECTIONS;
	u64 mark;

	start(test, SIM_USUAL);
	sim_listen(&sim_echo);
	memset(&weather, 0, sizeof(weather));
	mark = sim_log_mark();
	for (i = 0; i < ARRAY_SIZE(users); i++)
		users[i] = guest_call_begin(test, use_all, NULL);
	for (i = 0; i < CONNECTIONS; i++) {
		if (!sim_wait(i < sim_received(SIM_RELID_RELEASED) + AT_A_TIME))
			break;
		lasting -= begin_one(test, i);
	}
	KUNIT_EXPECT_TRUE(test, sim_wait(sim_received_all(SIM_RELID_RELEASED) == CONNECTIONS));
	WRITE_ONCE(weather.over, true);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		guest_call_end(users[i]);
	expect_fair_weather(test, lasting);
	KUNIT_EXPECT_EQ(test, sim_received_all(SIM_TL_CONNECT), CONNECTIONS / 2);
	KUNIT_EXPECT_EQ(test, sim_sent(SIM_RESCIND), CONNECTIONS);
	KUNIT_EXPECT_EQ(test, unreleased(), 0);
	KUNIT_EXPECT_EQ(test, sim_host_pages(), SHARED_PAGES);
	/* The answer about a ring may cross the rescind. */
	KUNIT_EXPECT_EQ(test, driver_lines(mark),
			sim_log_lines(mark, "GPADL_CREATED that nobody asked for"));
}

static struct kunit_case hvsock_cases[] = {
	KUNIT_CASE(requests_have_their_bytes),
	KUNIT_CASE_PARAM(requests_need_4_0, sim_versions_gen_params),
	KUNIT_CASE(requests_that_cannot_be_posted),
	KUNIT_CASE_PARAM(both_sides_connect, socket_versions_gen_params),
	KUNIT_CASE(refused_connections_are_quiet),
	KUNIT_CASE(refusals_need_4_1),
	KUNIT_CASE_PARAM(unopened_sockets_go, kinds_gen_params),
	KUNIT_CASE(rescind_before_the_driver),
	KUNIT_CASE_PARAM(rescind_before_open, kinds_gen_params),
	KUNIT_CASE_PARAM(rescind_before_the_callback, kinds_gen_params),
	KUNIT_CASE_PARAM(rescind_and_the_last_reference, kinds_gen_params),
	KUNIT_CASE(second_rescind_tells_nobody),
	KUNIT_CASE(left_data_is_read_to_the_end),
	KUNIT_CASE(host_reads_what_a_closed_socket_sent),
	KUNIT_CASE(unbound_sockets_go_on),
	KUNIT_CASE(driver_waits_for_its_callback),
	KUNIT_CASE(module_goes_with_sockets),
	KUNIT_CASE_PARAM(sockets_hold_up_nobody, kinds_gen_params),
	KUNIT_CASE(nobody_holds_up_sockets),
	KUNIT_CASE(override_excludes_and_chooses),
	KUNIT_CASE(sockets_leave_few_at_a_time),
	KUNIT_CASE_PARAM(storm, kinds_gen_params),
	{}
};

struct kunit_suite hvsock_suite = {
	.name = "hv_vmbus_hvsock",
	.init = hvsock_init,
	.exit = hvsock_exit,
	.test_cases = hvsock_cases,
};
