// SPDX-License-Identifier: GPL-2.0-only
/*
 * Types of devices: what is known of each, and which an isolation VM takes.
 *
 * Actions: none but questions, in any context; nothing changes.
 */
#include <linux/hyperv.h>
#include <linux/uuid.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/*
 * What is known of each device type, by its number. pref_ring_size is in bytes;
 * perf devices have their channels spread over the CPUs. Drivers of few types are
 * meant to stand a hostile host: those are allowed in an isolation VM. Of types that
 * are not here the last one tells.
 */
const struct vmbus_device vmbus_devs[] = {
	{ .dev_type = HV_IDE, HV_IDE_GUID, .perf_device = true },
	{ .dev_type = HV_SCSI, HV_SCSI_GUID, .perf_device = true,
	  .allowed_in_isolated = true },
	{ .dev_type = HV_FC, HV_SYNTHFC_GUID, .perf_device = true },
	{ .dev_type = HV_NIC, HV_NIC_GUID, .perf_device = true,
	  .allowed_in_isolated = true },
	{ .dev_type = HV_ND, HV_ND_GUID, .perf_device = true },
	{ .dev_type = HV_PCIE, HV_PCIE_GUID, .allowed_in_isolated = VMBUS_PCIE_IN_ISOLATED },
	{ .dev_type = HV_FB, HV_SYNTHVID_GUID },
	{ .dev_type = HV_KBD, HV_KBD_GUID },
	{ .dev_type = HV_MOUSE, HV_MOUSE_GUID },
	{ .dev_type = HV_KVP, HV_KVP_GUID },
	{ .dev_type = HV_TS, HV_TS_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_HB, HV_HEART_BEAT_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_SHUTDOWN, HV_SHUTDOWN_GUID, .allowed_in_isolated = true },
	{ .dev_type = HV_FCOPY, HV_FCOPY_GUID, .pref_ring_size = 0x4000 },
	{ .dev_type = HV_BACKUP, HV_VSS_GUID },
	{ .dev_type = HV_DM, HV_DM_GUID },
	{ .dev_type = HV_UNKNOWN, .pref_ring_size = 0x11000 },
};

static_assert(ARRAY_SIZE(vmbus_devs) == HV_UNKNOWN + 1);

/* Offered to Windows guests only: no driver, and nothing to tell the user. */
static const struct {
	guid_t guid;
} windows_only[] = {
	{ HV_AVMA1_GUID },
	{ HV_AVMA2_GUID },
	{ HV_RDV_GUID },
	{ HV_IMC_GUID },
};

/* By the type GUID, which of a socket is a service of the host's choice. Or NULL. */
static const struct vmbus_device *find_type(const struct vmbus_channel_offer *offer)
{
	unsigned int i;

	for (i = 0; i < HV_UNKNOWN; i++)
		if (guid_equal(&offer->if_type, &vmbus_devs[i].guid))
			return &vmbus_devs[i];
	return NULL;
}

/**
 * vmbus_device_info() - what is known of the type of an offered device
 * @offer: the offer
 *
 * Return: never NULL; dev_type HV_UNKNOWN for an unknown type and for hvsock
 * connections, whose type GUID is a service of the host's choice.
 */
const struct vmbus_device *vmbus_device_info(const struct vmbus_channel_offer *offer)
{
	const struct vmbus_device *type;
	unsigned int i;

	if (offer->chn_flags & VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER)
		return &vmbus_devs[HV_UNKNOWN];
	type = find_type(offer);
	if (type)
		return type;
	for (i = 0; i < ARRAY_SIZE(windows_only); i++)
		if (guid_equal(&offer->if_type, &windows_only[i].guid))
			return &vmbus_devs[HV_UNKNOWN];
	pr_info_ratelimited("Unknown GUID: %pUl\n", &offer->if_type);
	return &vmbus_devs[HV_UNKNOWN];
}

/* A socket, whose type GUID is of the host's choice, or a type that is allowed. */
static bool type_allowed(const struct vmbus_channel_offer *offer)
{
	const struct vmbus_device *type;

	if (offer->chn_flags & VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER)
		return true;
	type = find_type(offer);
	return type && type->allowed_in_isolated;
}

/**
 * vmbus_offer_allowed() - may this guest have what is offered?
 * @offer: the offer
 *
 * In an isolation VM not all types are, and what is said to be private has to be so
 * on both sides. Anywhere else the bits that say so had other meanings once.
 *
 * Context: any.
 * Return: 0; -EPERM, logged.
 */
int vmbus_offer_allowed(const struct vmbus_channel_offer_channel *offer)
{
	u16 private = offer->offer.chn_flags & (VMBUS_OFFER_PRIVATE_RING |
						VMBUS_OFFER_PRIVATE_MEMORY);

	if (!vmbus_host->isolation)
		return 0;
	if (!type_allowed(&offer->offer))
		pr_err_ratelimited("Invalid offer %d from the host supporting isolation\n",
				   offer->child_relid);
	else if (private && !(vmbus_conn.features & VMBUS_FEATURE_CONFIDENTIAL))
		pr_err_ratelimited("Invalid offer relid=%u: no support for confidential VMBus\n",
				   offer->child_relid);
	else if (private == VMBUS_OFFER_PRIVATE_MEMORY)
		pr_err_ratelimited("Invalid offer relid=%u: the ring buffer isn't encrypted\n",
				   offer->child_relid);
	else
		return 0;
	return -EPERM;
}
