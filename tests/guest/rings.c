// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens and closes the channel of hv-balloon's device with rings of any size.
 *
 *   insmod vmbus_rings.ko [talk=1]
 *   echo "524288 20" > /sys/module/vmbus_rings/parameters/run
 *   cat /sys/module/vmbus_rings/parameters/result
 *   bytes=524288 tries=20 opened=20 failed=0 errno=0 answered=0
 *
 *   echo 65536 > /sys/module/vmbus_rings/parameters/keep    opens, and keeps open
 *   echo 0 > /sys/module/vmbus_rings/parameters/keep        closes
 *
 * "bytes" is the size of each of the two rings; "errno" is that of the last
 * failure. With talk=1 each open channel is used: a version request of the
 * dynamic-memory protocol goes out and "answered" counts the host's replies.
 *
 * Load it in the place of hv_balloon. It works on any hv_vmbus.ko with the
 * distribution's symbol versions.
 *
 * Actions: probe, remove, a write to "run" or "keep", the channel callback. "lock"
 * keeps all but the last apart; the callback touches the completion and the reply only,
 * and cannot run before vmbus_open() nor after vmbus_close().
 */
#include <linux/completion.h>
#include <linux/hyperv.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>

/* The dynamic-memory protocol, as far as this module speaks it. */
#define DM_VERSION_REQUEST	1
#define DM_VERSION_RESPONSE	2
#define DM_VERSION_2_0		0x00020000

struct dm_version_request {
	__le16 type;
	__le16 size;
	__le32 trans_id;
	__le32 version;
	__le32 is_last_attempt;
} __packed;

static bool talk;
module_param(talk, bool, 0644);
MODULE_PARM_DESC(talk, "exchange a packet with the host on each open channel");

static DEFINE_MUTEX(lock);
static struct hv_device *device;	/* under lock */
static unsigned int kept;		/* under lock */
static DECLARE_COMPLETION(replied);

static struct {
	unsigned int bytes, tries, opened, failed, answered;
	int err;
} result;				/* under lock */

static void on_channel(void *context)
{
	struct vmbus_channel *channel = context;
	const struct vmpacket_descriptor *desc;

	foreach_vmbus_pkt(desc, channel) {
		const __le16 *type = hv_pkt_data(desc);

		if (hv_pkt_datalen(desc) >= sizeof(*type) &&
		    le16_to_cpu(*type) == DM_VERSION_RESPONSE)
			complete(&replied);
	}
}

static bool host_answers(struct vmbus_channel *channel)
{
	struct dm_version_request request = {
		.type = cpu_to_le16(DM_VERSION_REQUEST),
		.size = cpu_to_le16(sizeof(request)),
		.trans_id = cpu_to_le32(1),
		.version = cpu_to_le32(DM_VERSION_2_0),
	};

	reinit_completion(&replied);
	if (vmbus_sendpacket(channel, &request, sizeof(request), 0,
			     VM_PKT_DATA_INBAND, 0))
		return false;
	return wait_for_completion_timeout(&replied, 60 * HZ);
}

static void run_tests(unsigned int bytes, unsigned int tries)
{
	struct vmbus_channel *channel = device->channel;
	unsigned int i;
	int err;

	lockdep_assert_held(&lock);
	memset(&result, 0, sizeof(result));
	result.bytes = bytes;
	result.tries = tries;
	for (i = 0; i < tries; i++) {
		err = vmbus_open(channel, bytes, bytes, NULL, 0, on_channel,
				 channel);
		if (err) {
			result.failed++;
			result.err = err;
			continue;
		}
		result.opened++;
		if (talk && host_answers(channel))
			result.answered++;
		vmbus_close(channel);
	}
}

static int run_set(const char *val, const struct kernel_param *kp)
{
	unsigned int bytes, tries;
	int err = 0;

	if (sscanf(val, "%u %u", &bytes, &tries) != 2 || !bytes)
		return -EINVAL;
	mutex_lock(&lock);
	if (!device)
		err = -ENODEV;
	else if (kept)
		err = -EBUSY;
	else
		run_tests(bytes, tries);
	mutex_unlock(&lock);
	return err;
}

static const struct kernel_param_ops run_ops = {
	.set = run_set,
};
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "write: <bytes of each ring> <times to open>");

static void stop_keeping(void)
{
	lockdep_assert_held(&lock);
	if (kept)
		vmbus_close(device->channel);
	kept = 0;
}

static int keep_set(const char *val, const struct kernel_param *kp)
{
	unsigned int bytes;
	int err;

	err = kstrtouint(val, 0, &bytes);
	if (err)
		return err;
	mutex_lock(&lock);
	if (!device) {
		err = -ENODEV;
	} else {
		stop_keeping();
		if (bytes)
			err = vmbus_open(device->channel, bytes, bytes, NULL, 0,
					 on_channel, device->channel);
		if (!err)
			kept = bytes;
	}
	mutex_unlock(&lock);
	return err;
}

static const struct kernel_param_ops keep_ops = {
	.set = keep_set,
	.get = param_get_uint,
};
module_param_cb(keep, &keep_ops, &kept, 0644);
MODULE_PARM_DESC(keep, "size of each ring of the channel kept open; 0: none");

static int result_get(char *buffer, const struct kernel_param *kp)
{
	int len;

	mutex_lock(&lock);
	len = sysfs_emit(buffer,
			 "bytes=%u tries=%u opened=%u failed=%u errno=%d answered=%u\n",
			 result.bytes, result.tries, result.opened,
			 result.failed, result.err, result.answered);
	mutex_unlock(&lock);
	return len;
}

static const struct kernel_param_ops result_ops = {
	.get = result_get,
};
module_param_cb(result, &result_ops, NULL, 0444);
MODULE_PARM_DESC(result, "what the last run came to");

static int rings_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	mutex_lock(&lock);
	device = dev;
	mutex_unlock(&lock);
	return 0;
}

/* remove() returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL))
rings_remove(struct hv_device *dev)
{
	mutex_lock(&lock);
	stop_keeping();
	device = NULL;
	mutex_unlock(&lock);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

static const struct hv_vmbus_device_id id_table[] = {
	{ HV_DM_GUID },
	{ },
};

static struct hv_driver rings_driver = {
	.name = "vmbus_rings",
	.id_table = id_table,
	.probe = rings_probe,
	.remove = rings_remove,
};

static int __init rings_init(void)
{
	return vmbus_driver_register(&rings_driver);
}
module_init(rings_init);

static void __exit rings_exit(void)
{
	vmbus_driver_unregister(&rings_driver);
}
module_exit(rings_exit);

MODULE_DESCRIPTION("Opens a VMBus channel with rings of any size");
MODULE_LICENSE("GPL");
