// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VSC driver under test.
 */
#include <linux/module.h>

#include "vsc.h"

static LIST_HEAD(registered);

static struct vsc *vsc_of(const struct hv_device *dev)
{
	return container_of(drv_to_hv_drv(dev->device.driver), struct vsc, drv);
}

static void hold(struct vsc *vsc)
{
	atomic_inc(&vsc->held);
	wait_for_completion_timeout(&vsc->gate, msecs_to_jiffies(2 * SIM_PATIENCE_MS));
	atomic_dec(&vsc->held);
}

static void on_interrupt(void *context)
{
	struct vsc *vsc = context;

	atomic_inc(&vsc->interrupts);
}

static int open_channel(struct vsc *vsc, struct vmbus_channel *channel)
{
	vsc->last_error = vmbus_open(channel, VSC_RING, VSC_RING, NULL, 0, on_interrupt, vsc);
	return vsc->last_error;
}

static void on_sub(struct vmbus_channel *sub)
{
	struct vsc *vsc = vsc_of(sub->primary_channel->device_obj);

	if (vsc->hold_sub)
		hold(vsc);
	if (vsc->open_subs)
		open_channel(vsc, sub);
	vsc->last_sub = sub;
	/* Whoever waits for the count finds the channel. */
	smp_mb__before_atomic();
	atomic_inc(&vsc->subs);
}

static int probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct vsc *vsc = vsc_of(dev);
	int err = 0;

	vsc->last_id = *id;
	atomic_inc(&vsc->probes);
	if (vsc->hold_probe)
		hold(vsc);
	if (!vsc->deaf)
		vmbus_set_sc_create_callback(dev->channel, on_sub);
	if (vsc->opens)
		err = open_channel(vsc, dev->channel);
	if (!err && vsc->in_probe)
		err = vsc->in_probe(vsc, dev);
	if (!err)
		err = vsc->probe_error;
	if (err && !vsc->leaves_open)
		vmbus_close(dev->channel);
	if (!err)
		atomic_inc(&vsc->bound);
	return err;
}

/* remove() returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL))
remove(struct hv_device *dev)
{
	struct vsc *vsc = vsc_of(dev);

	if (vsc->hold_remove)
		hold(vsc);
	if (!vsc->leaves_open)
		vmbus_close(dev->channel);
	if (vsc->in_remove)
		vsc->in_remove(vsc);
	atomic_dec(&vsc->bound);
	atomic_inc(&vsc->removes);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

/* As VSCs do: the channel is closed for the time, and opened as by probe. */
static int suspend(struct hv_device *dev)
{
	struct vsc *vsc = vsc_of(dev);

	if (vsc->suspend_error)
		return vsc->suspend_error;
	if (!vsc->leaves_open)
		vmbus_close(dev->channel);
	atomic_inc(&vsc->suspends);
	return 0;
}

static int resume(struct hv_device *dev)
{
	struct vsc *vsc = vsc_of(dev);
	int err = 0;

	if (vsc->opens)
		err = open_channel(vsc, dev->channel);
	if (!err && vsc->in_probe)
		err = vsc->in_probe(vsc, dev);
	if (!err)
		atomic_inc(&vsc->resumes);
	return err;
}

struct vsc *vsc_new(struct kunit *test, const char *name, const guid_t *type)
{
	struct vsc *vsc = kunit_kzalloc(test, sizeof(*vsc), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vsc);
	vsc->drv.name = name;
	vsc->drv.id_table = vsc->ids;
	vsc->drv.probe = probe;
	vsc->drv.remove = remove;
	vsc->drv.suspend = suspend;
	vsc->drv.resume = resume;
	vsc->ids[0].guid = type ? *type : sim_type_plain;
	vsc->opens = true;
	init_completion(&vsc->gate);
	INIT_LIST_HEAD(&vsc->node);
	return vsc;
}

int vsc_register(struct vsc *vsc)
{
	int err = vmbus_driver_register(&vsc->drv);

	if (!err)
		list_add(&vsc->node, &registered);
	return err;
}

void vsc_unregister(struct vsc *vsc)
{
	list_del_init(&vsc->node);
	vmbus_driver_unregister(&vsc->drv);
}

struct vsc *vsc_add(struct kunit *test, const char *name, const guid_t *type)
{
	struct vsc *vsc = vsc_new(test, name, type);

	KUNIT_ASSERT_EQ(test, vsc_register(vsc), 0);
	return vsc;
}

void vsc_let_go(struct vsc *vsc)
{
	vsc->hold_probe = false;
	vsc->hold_remove = false;
	vsc->hold_sub = false;
	complete_all(&vsc->gate);
}

int vsc_init(struct kunit *test)
{
	INIT_LIST_HEAD(&registered);
	return sim_init(test);
}

void vsc_exit(struct kunit *test)
{
	struct vsc *vsc, *next;

	/* One may wait for another. */
	list_for_each_entry(vsc, &registered, node)
		vsc_let_go(vsc);
	list_for_each_entry_safe(vsc, next, &registered, node)
		vsc_unregister(vsc);
	sim_exit(test);
}
