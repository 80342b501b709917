// SPDX-License-Identifier: GPL-2.0-only
/*
 * Integration components: the negotiation that all of them share.
 */
#include <linux/hyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/* The best of our versions that the host has too, or NULL. */
static const int *best_version(const int *ours, int nr_ours, const struct ic_version *theirs,
			       unsigned int nr_theirs)
{
	unsigned int i;

	for (; nr_ours > 0; ours++, nr_ours--)
		for (i = 0; i < nr_theirs; i++)
			if (theirs[i].major == *ours >> 16 &&
			    theirs[i].minor == (*ours & 0xffff))
				return ours;
	return NULL;
}

/**
 * vmbus_prep_negotiate_resp() - answer an integration component's negotiation
 * @icmsghdrp: header inside @buf
 * @buf: the received packet, turned into the response
 * @buflen: bytes received
 * @fw_version: our framework versions, (major << 16) | minor, best first
 * @fw_vercnt: their number
 * @srv_version: our versions of the service, likewise
 * @srv_vercnt: their number
 * @nego_fw_version: filled with the chosen framework version, or NULL
 * @nego_srv_version: filled with the chosen service version, or NULL
 *
 * Context: any.
 * Return: true; false if not both were agreed on, then the response says so,
 * unless the packet is too short for the counts it holds, which is logged.
 */
bool vmbus_prep_negotiate_resp(struct icmsg_hdr *icmsghdrp, u8 *buf, u32 buflen,
			       const int *fw_version, int fw_vercnt,
			       const int *srv_version, int srv_vercnt,
			       int *nego_fw_version, int *nego_srv_version)
{
	struct icmsg_negotiate *negotiate = (void *)(buf + ICMSG_HDR);
	const int *fw, *srv;
	u32 fw_count, srv_count;

	if (buflen < ICMSG_HDR + sizeof(*negotiate)) {
		pr_err_ratelimited("negotiation of %u bytes is too short\n", buflen);
		return false;
	}
	fw_count = negotiate->icframe_vercnt;
	srv_count = negotiate->icmsg_vercnt;
	if (fw_count > IC_VERSION_NEGOTIATION_MAX_VER_COUNT ||
	    srv_count > IC_VERSION_NEGOTIATION_MAX_VER_COUNT ||
	    buflen < ICMSG_NEGOTIATE_PKT_SIZE(fw_count, srv_count)) {
		pr_err_ratelimited("negotiation of %u bytes for %u + %u versions\n",
				   buflen, fw_count, srv_count);
		return false;
	}

	fw = best_version(fw_version, fw_vercnt, negotiate->icversion_data, fw_count);
	srv = best_version(srv_version, srv_vercnt, negotiate->icversion_data + fw_count,
			   srv_count);

	/* One version of each, or none. */
	icmsghdrp->icmsgsize = sizeof(*negotiate) + 2 * sizeof(struct ic_version);
	if (!fw || !srv) {
		negotiate->icframe_vercnt = 0;
		negotiate->icmsg_vercnt = 0;
		return false;
	}
	negotiate->icframe_vercnt = 1;
	negotiate->icmsg_vercnt = 1;
	negotiate->icversion_data[0].major = *fw >> 16;
	negotiate->icversion_data[0].minor = *fw & 0xffff;
	negotiate->icversion_data[1].major = *srv >> 16;
	negotiate->icversion_data[1].minor = *srv & 0xffff;
	if (nego_fw_version)
		*nego_fw_version = *fw;
	if (nego_srv_version)
		*nego_srv_version = *srv;
	return true;
}
