// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_vmbus_wire: what goes over the wire, ours beside the simulated host's.
 *
 * The same bytes, all different, are read as the driver's struct and as the
 * host's: a field that says the same in both is at one offset and of one size.
 */
#include <kunit/test.h>
#include <linux/hyperv.h>
#include VMBUS_TLFS_H

#include "../../include/vmbus_wire.h"
#include "sim_wire.h"
#include "suites.h"

union wire {
	struct vmbus_channel_message_header header;
	struct vmbus_channel_offer_channel offer;
	struct vmbus_channel_rescind_offer rescind;
	struct vmbus_channel_open_channel open;
	struct vmbus_channel_open_result open_result;
	struct vmbus_channel_close_channel close;
	struct vmbus_gpadl_header gpadl;
	struct vmbus_channel_gpadl_body gpadl_body;
	struct vmbus_channel_gpadl_created gpadl_created;
	struct vmbus_channel_gpadl_teardown teardown;
	struct vmbus_channel_gpadl_torndown torndown;
	struct vmbus_channel_relid_released released;
	struct vmbus_channel_initiate_contact contact;
	struct vmbus_channel_version_response version;
	struct vmbus_channel_tl_connect_request tl_connect;
	struct vmbus_tl_connect_result tl_result;
	struct vmbus_channel_modifychannel modify;
	struct vmbus_channel_modifychannel_response modify_response;
	struct hv_message slot;
	struct hv_ring_buffer ring;
	struct vmpacket_descriptor packet;
};

union sim {
	u8 bytes[4096];		/* more than any of them */
	struct sim_header header;
	struct sim_msg_offer offer;
	struct sim_msg_relid relid;
	struct sim_msg_open open;
	struct sim_msg_result result;
	struct sim_msg_gpadl gpadl;
	struct sim_msg_gpadl_body gpadl_body;
	struct sim_msg_teardown teardown;
	struct sim_msg_torndown torndown;
	struct sim_msg_contact contact;
	struct sim_msg_version version;
	struct sim_msg_tl_connect tl_connect;
	struct sim_msg_tl_result tl_result;
	struct sim_msg_modify modify;
	struct sim_msg_modify_result modify_result;
	struct sim_slot slot;
	struct sim_ring_header ring;
	struct sim_packet_header packet;
};

static union sim sim;
static const union wire *const wire = (const union wire *)&sim;

static int fill(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < sizeof(sim.bytes); i++)
		sim.bytes[i] = i;
	return 0;
}

static void header_and_slot(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->header), 8);
	KUNIT_EXPECT_EQ(test, sizeof(sim.header), 8);
	KUNIT_EXPECT_EQ(test, wire->header.msgtype, sim.header.type);
	KUNIT_EXPECT_EQ(test, wire->header.padding, sim.header.reserved);

	KUNIT_EXPECT_EQ(test, sizeof(wire->slot), sizeof(sim.slot));
	KUNIT_EXPECT_EQ(test, wire->slot.header.message_type, sim.slot.type);
	KUNIT_EXPECT_EQ(test, wire->slot.header.payload_size, sim.slot.size);
	KUNIT_EXPECT_EQ(test, wire->slot.header.message_flags.asu8, sim.slot.flags);
	KUNIT_EXPECT_EQ(test, wire->slot.header.sender, sim.slot.origin);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)wire->slot.u.payload, &sim.slot.payload[0]);
	KUNIT_EXPECT_EQ(test, sizeof(wire->slot.u.payload), SIM_PAYLOAD);
	sim.slot.flags = 1;
	KUNIT_EXPECT_EQ(test, !!wire->slot.header.message_flags.msg_pending, 1);
}

static void offer(struct kunit *test)
{
	const struct vmbus_channel_offer *offer = &wire->offer.offer;

	KUNIT_EXPECT_EQ(test, sizeof(wire->offer), sizeof(sim.offer));
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&offer->if_type, &sim.offer.type[0]);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&offer->if_instance, &sim.offer.instance[0]);
	KUNIT_EXPECT_EQ(test, offer->chn_flags, sim.offer.flags);
	KUNIT_EXPECT_EQ(test, offer->mmio_megabytes, sim.offer.mmio_megabytes);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)offer->u.std.user_def, &sim.offer.user_defined[0]);
	KUNIT_EXPECT_EQ(test, sizeof(offer->u), sizeof(sim.offer.user_defined));
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&offer->u.pipe.pipe_mode, &sim.offer.user_defined[0]);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)offer->u.pipe.user_def, &sim.offer.user_defined[4]);
	KUNIT_EXPECT_EQ(test, offer->sub_channel_index, sim.offer.sub_channel);
	KUNIT_EXPECT_EQ(test, wire->offer.child_relid, sim.offer.relid);
	KUNIT_EXPECT_EQ(test, wire->offer.monitorid, sim.offer.monitor_id);
	KUNIT_EXPECT_EQ(test, wire->offer.connection_id, sim.offer.connection_id);

	/* Of bit fields the lowest bit counts. */
	sim.offer.monitor_allocated = 0xfe;
	sim.offer.dedicated_interrupt = 0xfffe;
	KUNIT_EXPECT_EQ(test, !!wire->offer.monitor_allocated, 0);
	KUNIT_EXPECT_EQ(test, !!wire->offer.is_dedicated_interrupt, 0);
	sim.offer.monitor_allocated = 1;
	KUNIT_EXPECT_EQ(test, !!wire->offer.monitor_allocated, 1);
	KUNIT_EXPECT_EQ(test, !!wire->offer.is_dedicated_interrupt, 0);
	sim.offer.dedicated_interrupt = 1;
	KUNIT_EXPECT_EQ(test, !!wire->offer.is_dedicated_interrupt, 1);
	KUNIT_EXPECT_EQ(test, VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER, SIM_OFFER_HVSOCK);
}

static void relid_only(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(sim.relid), 12);
	KUNIT_EXPECT_EQ(test, sizeof(wire->rescind), 12);
	KUNIT_EXPECT_EQ(test, sizeof(wire->close), 12);
	KUNIT_EXPECT_EQ(test, sizeof(wire->released), 12);
	KUNIT_EXPECT_EQ(test, wire->rescind.child_relid, sim.relid.relid);
	KUNIT_EXPECT_EQ(test, wire->close.child_relid, sim.relid.relid);
	KUNIT_EXPECT_EQ(test, wire->released.child_relid, sim.relid.relid);
}

static void open_and_result(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->open), sizeof(sim.open));
	KUNIT_EXPECT_EQ(test, wire->open.child_relid, sim.open.relid);
	KUNIT_EXPECT_EQ(test, wire->open.openid, sim.open.open_id);
	KUNIT_EXPECT_EQ(test, wire->open.ringbuffer_gpadlhandle, sim.open.gpadl);
	KUNIT_EXPECT_EQ(test, wire->open.target_vp, sim.open.target_vp);
	KUNIT_EXPECT_EQ(test, wire->open.downstream_ringbuffer_pageoffset,
			sim.open.downstream_page);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)wire->open.userdata, &sim.open.user_data[0]);
	KUNIT_EXPECT_EQ(test, sizeof(wire->open.userdata), sizeof(sim.open.user_data));

	KUNIT_EXPECT_EQ(test, sizeof(sim.result), 20);
	KUNIT_EXPECT_EQ(test, sizeof(wire->open_result), 20);
	KUNIT_EXPECT_EQ(test, wire->open_result.child_relid, sim.result.relid);
	KUNIT_EXPECT_EQ(test, wire->open_result.openid, sim.result.id);
	KUNIT_EXPECT_EQ(test, wire->open_result.status, sim.result.status);
}

static void gpadl(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->gpadl), sizeof(sim.gpadl));
	KUNIT_EXPECT_EQ(test, sizeof(sim.gpadl), 28);
	KUNIT_EXPECT_EQ(test, wire->gpadl.child_relid, sim.gpadl.relid);
	KUNIT_EXPECT_EQ(test, wire->gpadl.gpadl, sim.gpadl.gpadl);
	KUNIT_EXPECT_EQ(test, wire->gpadl.range_buflen, sim.gpadl.range_bytes);
	KUNIT_EXPECT_EQ(test, wire->gpadl.rangecount, sim.gpadl.ranges);
	KUNIT_EXPECT_EQ(test, wire->gpadl.byte_count, sim.gpadl.byte_count);
	KUNIT_EXPECT_EQ(test, wire->gpadl.byte_offset, sim.gpadl.byte_offset);
	KUNIT_EXPECT_EQ(test, wire->gpadl.pfn[0], sim.gpadl.pfn[0]);

	KUNIT_EXPECT_EQ(test, sizeof(wire->gpadl_body), sizeof(sim.gpadl_body));
	KUNIT_EXPECT_EQ(test, sizeof(sim.gpadl_body), 16);
	KUNIT_EXPECT_EQ(test, wire->gpadl_body.msgnumber, sim.gpadl_body.number);
	KUNIT_EXPECT_EQ(test, wire->gpadl_body.gpadl, sim.gpadl_body.gpadl);
	KUNIT_EXPECT_EQ(test, wire->gpadl_body.pfn[0], sim.gpadl_body.pfn[0]);
}

static void gpadl_answers(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->gpadl_created), 20);
	KUNIT_EXPECT_EQ(test, wire->gpadl_created.child_relid, sim.result.relid);
	KUNIT_EXPECT_EQ(test, wire->gpadl_created.gpadl, sim.result.id);
	KUNIT_EXPECT_EQ(test, wire->gpadl_created.creation_status, sim.result.status);

	KUNIT_EXPECT_EQ(test, sizeof(wire->teardown), 16);
	KUNIT_EXPECT_EQ(test, sizeof(sim.teardown), 16);
	KUNIT_EXPECT_EQ(test, wire->teardown.child_relid, sim.teardown.relid);
	KUNIT_EXPECT_EQ(test, wire->teardown.gpadl, sim.teardown.gpadl);

	KUNIT_EXPECT_EQ(test, sizeof(wire->torndown), 12);
	KUNIT_EXPECT_EQ(test, sizeof(sim.torndown), 12);
	KUNIT_EXPECT_EQ(test, wire->torndown.gpadl, sim.torndown.gpadl);
}

static void contact_and_version(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->contact), sizeof(sim.contact));
	KUNIT_EXPECT_EQ(test, wire->contact.vmbus_version_requested, sim.contact.version);
	KUNIT_EXPECT_EQ(test, wire->contact.target_vcpu, sim.contact.target_vp);
	KUNIT_EXPECT_EQ(test, wire->contact.interrupt_page, sim.contact.target);
	KUNIT_EXPECT_EQ(test, wire->contact.monitor_page1, sim.contact.monitor_page[0]);
	KUNIT_EXPECT_EQ(test, wire->contact.monitor_page2, sim.contact.monitor_page[1]);
	sim.contact.target = SIM_SINT;
	KUNIT_EXPECT_EQ(test, wire->contact.msg_sint, SIM_SINT);

	KUNIT_EXPECT_EQ(test, sizeof(wire->version), sizeof(sim.version));
	KUNIT_EXPECT_EQ(test, wire->version.version_supported, sim.version.supported);
	KUNIT_EXPECT_EQ(test, wire->version.connection_state, sim.version.state);
	KUNIT_EXPECT_EQ(test, wire->version.msg_conn_id, sim.version.connection_id);
}

static void modify(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->modify), sizeof(sim.modify));
	KUNIT_EXPECT_EQ(test, sizeof(sim.modify), 16);
	KUNIT_EXPECT_EQ(test, wire->modify.child_relid, sim.modify.relid);
	KUNIT_EXPECT_EQ(test, wire->modify.target_vp, sim.modify.target_vp);

	KUNIT_EXPECT_EQ(test, sizeof(wire->modify_response), sizeof(sim.modify_result));
	KUNIT_EXPECT_EQ(test, sizeof(sim.modify_result), 16);
	KUNIT_EXPECT_EQ(test, wire->modify_response.child_relid, sim.modify_result.relid);
	KUNIT_EXPECT_EQ(test, wire->modify_response.status, sim.modify_result.status);
}

static void socket_connections(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->tl_connect), sizeof(sim.tl_connect));
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&wire->tl_connect.guest_endpoint_id,
			    &sim.tl_connect.endpoint[0]);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&wire->tl_connect.host_service_id,
			    &sim.tl_connect.service[0]);

	KUNIT_EXPECT_EQ(test, sizeof(wire->tl_result), sizeof(sim.tl_result));
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&wire->tl_result.endpoint_id, &sim.tl_result.endpoint[0]);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)&wire->tl_result.service_id, &sim.tl_result.service[0]);
	KUNIT_EXPECT_EQ(test, (u32)wire->tl_result.status, sim.tl_result.status);
}

static void message_types(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, CHANNELMSG_OFFERCHANNEL, SIM_OFFER);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_RESCIND_CHANNELOFFER, SIM_RESCIND);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_REQUESTOFFERS, SIM_REQUEST_OFFERS);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_ALLOFFERS_DELIVERED, SIM_ALL_OFFERS);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_OPENCHANNEL, SIM_OPEN);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_OPENCHANNEL_RESULT, SIM_OPEN_RESULT);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_CLOSECHANNEL, SIM_CLOSE);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_GPADL_HEADER, SIM_GPADL_HEADER);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_GPADL_BODY, SIM_GPADL_BODY);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_GPADL_CREATED, SIM_GPADL_CREATED);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_GPADL_TEARDOWN, SIM_GPADL_TEARDOWN);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_GPADL_TORNDOWN, SIM_GPADL_TORNDOWN);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_RELID_RELEASED, SIM_RELID_RELEASED);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_INITIATE_CONTACT, SIM_CONTACT);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_VERSION_RESPONSE, SIM_VERSION_RESPONSE);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_UNLOAD, SIM_UNLOAD);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_UNLOAD_RESPONSE, SIM_UNLOAD_RESPONSE);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_TL_CONNECT_REQUEST, SIM_TL_CONNECT);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_MODIFYCHANNEL, SIM_MODIFY);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_TL_CONNECT_RESULT, SIM_TL_RESULT);
	KUNIT_EXPECT_EQ(test, CHANNELMSG_MODIFYCHANNEL_RESPONSE, SIM_MODIFY_RESPONSE);
}

static void numbers(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, VERSION_WIN8, SIM_V(2, 4));
	KUNIT_EXPECT_EQ(test, VERSION_WIN8_1, SIM_V(3, 0));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10, SIM_V(4, 0));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10_V4_1, SIM_V(4, 1));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10_V5, SIM_V(5, 0));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10_V5_1, SIM_V(5, 1));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10_V5_2, SIM_V(5, 2));
	KUNIT_EXPECT_EQ(test, VERSION_WIN10_V5_3, SIM_V(5, 3));
	KUNIT_EXPECT_EQ(test, VMBUS_VERSION_6_0, SIM_V(6, 0));
	KUNIT_EXPECT_EQ(test, VMBUS_VERSION_MAJOR(SIM_V(5, 3)), 5);
	KUNIT_EXPECT_EQ(test, VMBUS_VERSION_MINOR(SIM_V(5, 3)), 3);
	KUNIT_EXPECT_EQ(test, VMBUS_MAX_RELIDS, SIM_RELIDS);
	KUNIT_EXPECT_EQ(test, VMBUS_SINT, SIM_SINT);
	KUNIT_EXPECT_EQ(test, VMBUS_CONN_ID_MESSAGE, 1);
	KUNIT_EXPECT_EQ(test, VMBUS_CONN_ID_EVENT, 2);
	KUNIT_EXPECT_EQ(test, VMBUS_CONN_ID_CONTACT, 4);
	KUNIT_EXPECT_EQ(test, VMBUS_SYNIC_MESSAGE_TYPE, 1);
	KUNIT_EXPECT_EQ(test, HVMSG_NONE, 0);
	KUNIT_EXPECT_EQ(test, HVMSG_TIMER_EXPIRED, 0x80000010);
	KUNIT_EXPECT_EQ(test, VMBUS_MONITOR_GROUPS * VMBUS_MONITOR_BITS, SIM_MONITOR_IDS);
	/* All that 240 bytes hold. */
	KUNIT_EXPECT_EQ(test, VMBUS_GPADL_HEADER_PFNS, (SIM_PAYLOAD - sizeof(sim.gpadl)) / 8);
	KUNIT_EXPECT_EQ(test, VMBUS_GPADL_BODY_PFNS, (SIM_PAYLOAD - sizeof(sim.gpadl_body)) / 8);
	/* One u64 of the range itself and one for each page, counted in a u16. */
	KUNIT_EXPECT_EQ(test, 8 + VMBUS_GPADL_MAX_PAGES * 8, U16_MAX / 8 * 8);
}

static void ring_header(struct kunit *test)
{
	/* The host's header has 4 KiB; the kernel's mapping begins anew with a page of its own. */
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_ring_buffer, buffer), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sizeof(sim.ring), 68);
	KUNIT_EXPECT_EQ(test, wire->ring.write_index, sim.ring.in);
	KUNIT_EXPECT_EQ(test, wire->ring.read_index, sim.ring.out);
	KUNIT_EXPECT_EQ(test, wire->ring.interrupt_mask, sim.ring.interrupt_mask);
	KUNIT_EXPECT_EQ(test, wire->ring.pending_send_sz, sim.ring.pending_send);
	KUNIT_EXPECT_EQ(test, wire->ring.feature_bits.value, sim.ring.features);
	sim.ring.features = 1;
	KUNIT_EXPECT_EQ(test, !!wire->ring.feature_bits.feat_pending_send_sz, 1);
	KUNIT_EXPECT_EQ(test, VMBUS_RING_FEAT_PENDING_SEND_SZ, 1);
}

static void packets(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(wire->packet), sizeof(sim.packet));
	KUNIT_EXPECT_EQ(test, wire->packet.type, sim.packet.type);
	KUNIT_EXPECT_EQ(test, wire->packet.offset8, sim.packet.offset8);
	KUNIT_EXPECT_EQ(test, wire->packet.len8, sim.packet.len8);
	KUNIT_EXPECT_EQ(test, wire->packet.flags, sim.packet.flags);
	KUNIT_EXPECT_EQ(test, wire->packet.trans_id, sim.packet.trans_id);
	KUNIT_EXPECT_EQ(test, VM_PKT_DATA_INBAND, SIM_PKT_INBAND);
	KUNIT_EXPECT_EQ(test, VM_PKT_DATA_USING_XFER_PAGES, SIM_PKT_XFER_PAGES);
	KUNIT_EXPECT_EQ(test, VM_PKT_DATA_USING_GPA_DIRECT, SIM_PKT_GPA_DIRECT);
	KUNIT_EXPECT_EQ(test, VM_PKT_COMP, SIM_PKT_COMPLETION);
	KUNIT_EXPECT_EQ(test, VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED, 1);

	/* Further structs of packets, where VSCs and the driver meet. */
	KUNIT_EXPECT_EQ(test, offsetof(struct vmtransfer_page_packet_header, range_cnt), 20);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmtransfer_page_packet_header, ranges), 24);
	KUNIT_EXPECT_EQ(test, sizeof(struct vmtransfer_page_range), 8);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmbus_channel_packet_page_buffer, rangecount), 20);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmbus_channel_packet_page_buffer, range), 24);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmbus_packet_mpb_array, rangecount), 20);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmbus_packet_mpb_array, range), 24);
	KUNIT_EXPECT_EQ(test, sizeof(struct hv_page_buffer), 16);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_page_buffer, offset), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_page_buffer, pfn), 8);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_mpb_array, offset), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_mpb_array, pfn_array), 8);
}

static void monitor_page(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct hv_monitor_page), 4096);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, trigger_state), 0);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, trigger_group), 8);
	KUNIT_EXPECT_EQ(test, sizeof(union hv_monitor_trigger_group), 8);
	KUNIT_EXPECT_EQ(test, offsetof(union hv_monitor_trigger_group, armed), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, next_checktime), 64);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, latency), 576);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, latency[1][0]), 640);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, parameter), 1088);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_page, parameter[1][0]), 1344);
	KUNIT_EXPECT_EQ(test, sizeof(struct hv_monitor_parameter), 8);
	KUNIT_EXPECT_EQ(test, offsetof(struct hv_monitor_parameter, flagnumber), 4);
}

/* Integration components: what vmbus_prep_negotiate_resp() reads and writes. */
static void ic_messages(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct vmbuspipe_hdr), 8);
	KUNIT_EXPECT_EQ(test, offsetof(struct vmbuspipe_hdr, msgsize), 4);
	KUNIT_EXPECT_EQ(test, sizeof(struct icmsg_hdr), 20);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, icmsgtype), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, icvermsg), 6);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, icmsgsize), 10);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, status), 12);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, ictransaction_id), 16);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_hdr, icflags), 17);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_negotiate, icmsg_vercnt), 2);
	KUNIT_EXPECT_EQ(test, offsetof(struct icmsg_negotiate, icversion_data), 8);
	KUNIT_EXPECT_EQ(test, sizeof(struct ic_version), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct ic_version, minor), 2);
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE(header_and_slot),
	KUNIT_CASE(offer),
	KUNIT_CASE(relid_only),
	KUNIT_CASE(open_and_result),
	KUNIT_CASE(gpadl),
	KUNIT_CASE(gpadl_answers),
	KUNIT_CASE(contact_and_version),
	KUNIT_CASE(modify),
	KUNIT_CASE(socket_connections),
	KUNIT_CASE(message_types),
	KUNIT_CASE(numbers),
	KUNIT_CASE(ring_header),
	KUNIT_CASE(packets),
	KUNIT_CASE(monitor_page),
	KUNIT_CASE(ic_messages),
	{}
};

struct kunit_suite wire_suite = {
	.name = "hv_vmbus_wire",
	.init = fill,
	.test_cases = wire_cases,
};
