// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host messages of any length, type and content, at any protocol version. What
 * message.c says has to be what is written here once more, in numbers.
 */
#include <stdlib.h>

#include "host.h"

/* No ring here. */
const u32 driver_owns;

/* Type, bytes it has at least, first version that has it, where the relid is. */
static const struct known {
	u32 type;
	u32 size;
	u32 version;
	bool connected_only;
	u32 relid;
} known[] = {
	{ 1, 196, 0, true, 184 },	/* OFFERCHANNEL */
	{ 2, 12, 0, false, 8 },		/* RESCIND_CHANNELOFFER */
	{ 4, 8, 0, true, 0 },		/* ALLOFFERS_DELIVERED */
	{ 6, 20, 0, false, 8 },		/* OPENCHANNEL_RESULT */
	{ 10, 20, 0, false, 8 },	/* GPADL_CREATED */
	{ 12, 12, 0, false, 0 },	/* GPADL_TORNDOWN */
	{ 15, 12, 0, false, 0 },	/* VERSION_RESPONSE, with a connection id 16 */
	{ 17, 8, 0x30000, false, 0 },	/* UNLOAD_RESPONSE */
	{ 23, 44, 0x40001, false, 0 },	/* TL_CONNECT_RESULT */
	{ 24, 16, 0x50003, false, 8 },	/* MODIFYCHANNEL_RESPONSE */
};

static u32 field(const u8 *bytes, u32 at)
{
	u32 value;

	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static int expected(const u8 *bytes, u32 len, u32 version, bool connected)
{
	const struct known *k = known;

	if (len < 8)
		return -EMSGSIZE;
	while (k < known + ARRAY_SIZE(known) && k->type != field(bytes, 0))
		k++;
	if (k == known + ARRAY_SIZE(known))
		return -EOPNOTSUPP;
	if (len < k->size)
		return -EMSGSIZE;
	if (version < k->version)
		return -EPROTO;
	if (k->connected_only && !connected)
		return -ENOTCONN;
	if (k->relid && (field(bytes, k->relid) - 1 >= 2047))
		return -ERANGE;
	/* An offer's monitor id counts only if there is one. */
	if (k->type == 1 && bytes[189] & 1 && bytes[188] >= 128)
		return -ERANGE;
	return 0;
}

int fuzz_one(const u8 *data, size_t size)
{
	static const u32 versions[] = {
		0x20004, 0x30000, 0x40000, 0x40001, 0x50000, 0x50001, 0x50002, 0x50003, 0x60000,
	};
	struct vmbus_message msg, again;
	u8 *slot = malloc(240), which, state;
	u32 len, version, i;
	int err;

	input_start(data, size);
	which = input_u8();
	version = which < ARRAY_SIZE(versions) ? versions[which] : input_u32();
	state = input_u8();
	len = state & 2 ? input_u32() : input_u8();
	for (i = 0; i < 240; i++)
		slot[i] = input_u8();
	memset(&msg, 0xa5, sizeof(msg));

	vmbus_message_copy(&msg, slot, len);
	check(msg.len == (len <= 240 ? len : 0));
	check(!memcmp(msg.bytes, slot, msg.len));
	for (i = msg.len; i < 240; i++)
		check(!msg.bytes[i]);
	/* From here on the slot is the host's again. */
	free(slot);

	memcpy(&again, &msg, sizeof(msg));
	err = vmbus_message_check(&msg, version, state & 1);
	check(err == expected(msg.bytes, msg.len, version, state & 1));
	check(!memcmp(&again, &msg, sizeof(msg)));
	return 0;
}
