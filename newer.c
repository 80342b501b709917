// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the stock modules of kernels after 6.12 ask of the bus, and no older one.
 *
 * Actions: any, of drivers; those about the unload also after a crash.
 */
#include <linux/hyperv.h>
#include <linux/pfn.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

static DEFINE_PER_CPU(struct hv_per_cpu_context, cpu_context);

/* For mshv_vtl. */
struct hv_context hv_context = {
	.cpu_context = &cpu_context,
};

/**
 * vmbus_synic_show() - a CPU's SynIC is up: show its pages in hv_context
 * @cpu: the CPU
 *
 * Context: process, on that CPU.
 */
void vmbus_synic_show(unsigned int cpu)
{
	const struct vmbus_synic *synics = per_cpu(vmbus_synic, cpu);
	struct hv_per_cpu_context *context = per_cpu_ptr(&cpu_context, cpu);

	context->hyp_synic_message_page =
		PTR_ALIGN_DOWN((void *)synics[VMBUS_SYNIC_HOST].message, PAGE_SIZE);
	context->hyp_synic_event_page =
		PTR_ALIGN_DOWN((void *)synics[VMBUS_SYNIC_HOST].events, PAGE_SIZE);
	context->para_synic_message_page =
		PTR_ALIGN_DOWN((void *)synics[VMBUS_SYNIC_PARAVISOR].message, PAGE_SIZE);
	context->para_synic_event_page =
		PTR_ALIGN_DOWN((void *)synics[VMBUS_SYNIC_PARAVISOR].events, PAGE_SIZE);
}

/**
 * hv_vmbus_exists() - is there a bus?
 *
 * Context: any.
 * Return: whether this machine has VMBus, and its root device was found.
 */
bool hv_vmbus_exists(void)
{
	return vmbus_bus.root;
}

/**
 * hv_get_vmbus_root_device() - the device that all devices of the bus are below
 *
 * Context: any.
 * Return: the device, which stays for as long as the caller's module needs this
 * one; NULL if there is no bus.
 */
struct device *hv_get_vmbus_root_device(void)
{
	return vmbus_bus.root;
}

/**
 * vmbus_is_confidential() - is the bus that of a paravisor, in encrypted memory?
 *
 * Context: any.
 * Return: whether the paravisor has agreed to that.
 */
bool vmbus_is_confidential(void)
{
	return READ_ONCE(vmbus_conn.features) & VMBUS_FEATURE_CONFIDENTIAL;
}

/**
 * vmbus_initiate_unload() - end the connection, on the way down
 * @crash: the machine has crashed
 *
 * Nothing of the bus works afterwards. What unloads later finds that there is
 * no connection.
 *
 * Context: any if @crash, and busy-waits; else process, sleeps. In both cases up
 * to vmbus_deadlines.unload.
 */
void vmbus_initiate_unload(bool crash)
{
	if (crash)
		vmbus_unload_crashed();
	else if (READ_ONCE(vmbus_conn.state) != VMBUS_DISCONNECTED)
		vmbus_unload();
}

/**
 * vmbus_set_skip_unload() - who unloads the bus after a crash
 * @skip: the caller does, by vmbus_initiate_unload(); else the bus does
 *
 * For a driver that wants to use its device once more after a panic.
 *
 * Context: any.
 */
void vmbus_set_skip_unload(bool skip)
{
	WRITE_ONCE(vmbus_conn.skip_unload, skip);
}

/**
 * vmbus_alloc_buffer() - memory for a large buffer of a driver
 * @channel: whose GPADL it will be
 * @size: bytes
 * @chunks: set to NULL: it is in no such pieces as the kernel's own module has
 * @nr_chunks: set to 0
 *
 * It is for vmbus_establish_gpadl_caller_decrypted(): in an isolation VM the host
 * sees it already, unless a paravisor is to use it.
 *
 * Context: process, sleeps.
 * Return: zeroed memory for vmbus_free_buffer(); NULL if there is none, or, with a
 * message, if the host cannot be given it.
 */
void *vmbus_alloc_buffer(struct vmbus_channel *channel, u32 size, struct page ***chunks,
			 u32 *nr_chunks)
{
	*chunks = NULL;
	*nr_chunks = 0;
	return vmbus_buffer_alloc(PFN_UP(size), to_vmbus_chan(channel)->private_memory);
}

/**
 * vmbus_free_buffer() - free a buffer of vmbus_alloc_buffer()
 * @addr: the buffer; NULL is fine
 * @chunks: as it was set there
 * @nr_chunks: likewise
 *
 * Drivers come here whatever became of its GPADL: if the host may still use the
 * buffer, it is leaked, with a message.
 *
 * Context: process, sleeps.
 */
void vmbus_free_buffer(void *addr, struct page **chunks, u32 nr_chunks)
{
	if (addr)
		vmbus_buffer_free(addr);
}
