// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of the connection: one for interrupts, of hosts before 5.0, and the
 * monitor pages, one each way.
 *
 * Actions: made and given up with the connection, in one task; filled around the
 * end of it, when nobody signals. signal.c and sysfs.c use them in between.
 *
 * What uio_hv_generic knows of them is their place in the direct map. In an
 * isolation VM that may not be where they can be used.
 */
#include <linux/delay.h>
#include <linux/hyperv.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>

#include "include/vmbus_private.h"

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/*
 * How long a host that watched our pages must have left them alone before they
 * are somebody else's, how often we look, and when we give up.
 */
#define QUIET_MS		100
#define QUIET_POLL_MS		10
#define QUIET_DEADLINE_MS	3000
#define QUIET_PATTERN		0xff

enum { INT_PAGE, MONITOR_PAGE_IN, MONITOR_PAGE_OUT, NR_PAGES };

static struct page **conn_pages;
/* Where they are mapped, if not in the direct map. */
static void *mapping;

static void *place_of(unsigned int i)
{
	return mapping ? mapping + i * PAGE_SIZE : page_address(conn_pages[i]);
}

static void forget(void)
{
	vunmap(mapping);
	mapping = NULL;
	conn_pages = NULL;
	vmbus_conn.int_page = NULL;
	vmbus_conn.monitor_pages[0] = NULL;
	vmbus_conn.monitor_pages[1] = NULL;
	vmbus_connection.int_page = NULL;
	vmbus_connection.monitor_pages[0] = NULL;
	vmbus_connection.monitor_pages[1] = NULL;
}

/**
 * vmbus_monitor_alloc() - make the pages, zeroed and visible to the host
 *
 * Context: process, sleeps.
 * Return: 0; -ENOMEM, also if the host cannot be given them.
 */
int vmbus_monitor_alloc(void)
{
	conn_pages = vmbus_pages_alloc(NR_PAGES, NUMA_NO_NODE, 0);
	if (!conn_pages)
		return -ENOMEM;
	if (vmbus_shared_aliased()) {
		mapping = vmbus_shared_map(conn_pages, NR_PAGES, false);
		if (!mapping) {
			vmbus_monitor_free();
			return -ENOMEM;
		}
	}
	vmbus_conn.int_page = place_of(INT_PAGE);
	vmbus_conn.monitor_pages[0] = place_of(MONITOR_PAGE_IN);
	vmbus_conn.monitor_pages[1] = place_of(MONITOR_PAGE_OUT);
	vmbus_connection.int_page = page_address(conn_pages[INT_PAGE]);
	vmbus_connection.monitor_pages[0] = page_address(conn_pages[MONITOR_PAGE_IN]);
	vmbus_connection.monitor_pages[1] = page_address(conn_pages[MONITOR_PAGE_OUT]);
	return 0;
}

/**
 * vmbus_monitor_free() - undo vmbus_monitor_alloc()
 *
 * Context: process, sleeps; no host uses the pages.
 */
void vmbus_monitor_free(void)
{
	struct page **pages = conn_pages;

	forget();
	vmbus_pages_free(pages);
}

/**
 * vmbus_monitor_leak() - give the pages up, a host may use them for ever
 *
 * Context: process, sleeps. The caller says so in the log.
 */
void vmbus_monitor_leak(void)
{
	struct page **pages = conn_pages;

	forget();
	vmbus_pages_leak(pages);
}

/**
 * vmbus_monitor_address() - what the host is told of where a monitor page is
 * @dir: 0 or 1, as in vmbus_conn.monitor_pages
 *
 * In an isolation VM it may want the bits of the boundary between what is private
 * and what is shared in it.
 */
u64 vmbus_monitor_address(unsigned int dir)
{
	u64 address = page_to_phys(conn_pages[MONITOR_PAGE_IN + dir]);

	return vmbus_host->isolation ? address | vmbus_host->isolation->boundary : address;
}

/**
 * vmbus_monitor_int_address() - what a host before 5.0 is told of the interrupt page
 */
u64 vmbus_monitor_int_address(void)
{
	return page_to_phys(conn_pages[INT_PAGE]);
}

/**
 * vmbus_monitor_fill() - fill the pages
 * @value: with this byte
 *
 * Context: any, while nobody signals.
 */
void vmbus_monitor_fill(int value)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		memset(place_of(i), value, PAGE_SIZE);
}

static bool untouched(void)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		if (memchr_inv(place_of(i), QUIET_PATTERN, PAGE_SIZE))
			return false;
	return true;
}

/**
 * vmbus_monitor_quiet() - wait until the host leaves the pages alone
 *
 * A host that looks at monitor pages may do so once more after it has confirmed
 * the unload, and takes back the bits that it finds. So all bits are set, and the
 * pages are ours until they have stayed so for a while.
 *
 * Context: process, sleeps up to 3 s; the host has confirmed the unload.
 * Return: whether they did.
 */
bool vmbus_monitor_quiet(void)
{
	unsigned int waited, quiet = 0;

	if (!READ_ONCE(vmbus_conn.pages_watched))
		return true;
	vmbus_monitor_fill(QUIET_PATTERN);
	for (waited = 0; waited < QUIET_DEADLINE_MS; waited += QUIET_POLL_MS) {
		msleep(QUIET_POLL_MS);
		quiet += QUIET_POLL_MS;
		if (!untouched()) {
			vmbus_monitor_fill(QUIET_PATTERN);
			quiet = 0;
		} else if (quiet >= QUIET_MS) {
			vmbus_monitor_fill(0);
			return true;
		}
	}
	pr_err("the host still writes to its pages %u ms after it confirmed the unload\n", waited);
	return false;
}
