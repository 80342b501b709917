// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of a VMBus device (a VSC), small but complete, to learn from. The host's
 * device sends back what it is sent; each such device is a file:
 *
 *   exec 3<>/dev/vmbus_echo-6c3f2a14-...	the GUID of the instance
 *   echo hello >&3				waits until the host has answered
 *   head -n 1 <&3				the text that came back
 *
 * A write of more than 8192 bytes fails with EMSGSIZE; ETIMEDOUT: the host says
 * nothing, EPROTO: it answered with nonsense, ENODEV: the device has gone, be it
 * meanwhile. Documentation/writing-a-vsc.rst goes through it.
 *
 * Actions: probe, remove, suspend, resume, one at a time, by the bus; the channel's
 * callback, in a softirq; open, read, write and release of files, any number.
 *
 * References: echo_device is held by the driver from probe to remove and by each
 * open file. echo_request is held by who has written it, and by the list of those
 * that wait for an answer: whoever takes it off drops that reference.
 *
 * Locks: "opening" keeps the channel open while somebody sends; "lock", taken by the
 * callback, too, protects the list. echo_file has a mutex of its own for its answer.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

/* ---- protocol ---- */

/* Of the device's class: one that nobody else has. */
#define ECHO_GUID							\
	GUID_INIT(0x6c3f2a14, 0x58e0, 0x4b7d, 0x9a, 0x41, 0x0e, 0x5d,	\
		  0x7c, 0x2b, 0x9f, 0x63)

#define MAX_TEXT	8192
#define MAX_REQUESTS	64	/* that wait for an answer, of all files */
#define PATIENCE	(10 * HZ)

/* Both ways. Packets are padded to a multiple of 8, so it has a length of its own. */
struct echo_message {
	__le32 len;
	u8 text[];
} __packed;

/* With the descriptor, 16 bytes. */
#define MAX_PACKET							\
	ALIGN(sizeof(struct vmpacket_descriptor) +			\
	      sizeof(struct echo_message) + MAX_TEXT, 8)

/* ---- objects ---- */

struct echo_device {
	struct kref kref;
	struct miscdevice misc;
	char name[64];
	struct rw_semaphore opening;
	struct vmbus_channel *channel;	/* under opening; NULL: it is not open */
	spinlock_t lock;
	struct list_head waiting;	/* under lock */
};

struct echo_request {
	refcount_t refs;
	struct list_head node;		/* in waiting, or empty */
	struct completion done;
	int err;			/* these two, once it is done */
	u32 answer_len;
	u32 len;
	struct echo_message message;	/* must be last; the answer takes its place */
};

struct echo_file {
	struct echo_device *echo;
	struct mutex lock;		/* protects the others */
	struct echo_request *answer;	/* to the last write, or NULL */
	loff_t read;			/* so much of it */
};

static void echo_device_free(struct kref *kref)
{
	kfree(container_of(kref, struct echo_device, kref));
}

static void echo_request_put(struct echo_request *request)
{
	if (request && refcount_dec_and_test(&request->refs))
		kfree(request);
}

/* ---- receiving ---- */

/*
 * The request that the host means, off the list; NULL: there is none. Under the
 * lock from the id on: who could not send frees its request as soon as the id and
 * the lock are free.
 */
static struct echo_request *echo_take(struct echo_device *echo, struct vmbus_channel *channel,
				      u64 trans_id)
{
	struct echo_request *request = NULL;
	u64 address;

	spin_lock(&echo->lock);
	address = vmbus_request_addr(channel, trans_id);
	if (address && address != VMBUS_RQST_ERROR && address != VMBUS_NO_RQSTOR) {
		request = (struct echo_request *)(unsigned long)address;
		list_del_init(&request->node);
	}
	spin_unlock(&echo->lock);
	return request;
}

/* The bus has checked the packet's own lengths, and nothing of what is in it. */
static int echo_copy(struct echo_request *request, const struct vmpacket_descriptor *desc)
{
	const struct echo_message *message = hv_pkt_data(desc);
	u32 bytes = hv_pkt_datalen(desc), len;

	if (bytes < sizeof(*message))
		return -EPROTO;
	len = le32_to_cpu(message->len);
	if (len > bytes - sizeof(*message) || len > request->len)
		return -EPROTO;
	memcpy(request->message.text, message->text, len);
	request->answer_len = len;
	return 0;
}

static void echo_on_channel(void *context)
{
	struct vmbus_channel *channel = context;
	struct hv_device *dev = channel->device_obj;
	struct echo_device *echo = hv_get_drvdata(dev);
	const struct vmpacket_descriptor *desc;
	struct echo_request *request;

	foreach_vmbus_pkt(desc, channel) {
		/* A host may send what only newer drivers know. */
		if (desc->type != VM_PKT_COMP)
			continue;
		request = echo_take(echo, channel, desc->trans_id);
		if (!request) {
			dev_warn_ratelimited(&dev->device, "an answer to what was not asked\n");
			continue;
		}
		request->err = echo_copy(request, desc);
		complete(&request->done);
		echo_request_put(request);
	}
}

/* ---- sending ---- */

static int echo_send(struct echo_device *echo, struct echo_request *request)
{
	int err = -ENODEV;

	down_read(&echo->opening);
	if (!echo->channel)
		goto out;
	/* Before it is sent: the answer may be there before vmbus_sendpacket() returns. */
	refcount_inc(&request->refs);
	spin_lock_bh(&echo->lock);
	list_add_tail(&request->node, &echo->waiting);
	spin_unlock_bh(&echo->lock);
	/* In place of the address an id goes out, see echo_open(). */
	err = vmbus_sendpacket(echo->channel, &request->message,
			       sizeof(request->message) + request->len, (unsigned long)request,
			       VM_PKT_DATA_INBAND, VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED);
	if (!err)
		goto out;
	/* A host that guessed the id may have had it taken. */
	spin_lock_bh(&echo->lock);
	if (!list_empty(&request->node)) {
		list_del_init(&request->node);
		refcount_dec(&request->refs);
	}
	spin_unlock_bh(&echo->lock);
out:
	up_read(&echo->opening);
	return err;
}

/* Sends it, and waits for the answer. */
static int echo_ask(struct echo_device *echo, struct echo_request *request)
{
	const unsigned long end = jiffies + PATIENCE;
	long left;
	int err;

	/* EAGAIN: the ring is full, or all ids are out. The bus does not tell when that ends. */
	while ((err = echo_send(echo, request)) == -EAGAIN) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		if (msleep_interruptible(10))
			return -ERESTARTSYS;
	}
	if (err)
		return err;
	/*
	 * Interruptible, so that the guest can go to sleep meanwhile. Who stops waiting leaves
	 * the request to its answer, or to echo_close(): the id is the host's until then.
	 */
	left = wait_for_completion_interruptible_timeout(&request->done, PATIENCE);
	if (left < 0)
		return left;
	return left ? request->err : -ETIMEDOUT;
}

/* ---- opening and closing ---- */

static int echo_open(struct hv_device *dev)
{
	struct echo_device *echo = hv_get_drvdata(dev);
	struct vmbus_channel *channel = dev->channel;
	int err;

	channel->max_pkt_size = MAX_PACKET;
	channel->rqstor_size = MAX_REQUESTS;
	channel->next_request_id_callback = vmbus_next_request_id;
	channel->request_addr_callback = vmbus_request_addr;
	err = vmbus_open(channel, VMBUS_RING_SIZE(4 * MAX_PACKET), VMBUS_RING_SIZE(4 * MAX_PACKET),
			 NULL, 0, echo_on_channel, channel);
	if (err)
		return err;
	down_write(&echo->opening);
	echo->channel = channel;
	up_write(&echo->opening);
	return 0;
}

static void echo_close(struct echo_device *echo)
{
	struct echo_request *request, *next;
	struct vmbus_channel *channel;
	LIST_HEAD(left);

	/* Nobody sends from here on. */
	down_write(&echo->opening);
	channel = echo->channel;
	echo->channel = NULL;
	up_write(&echo->opening);
	if (!channel)
		return;
	vmbus_close(channel);
	/* Nor does the callback run: what waits gets no answer any more. */
	spin_lock_bh(&echo->lock);
	list_splice_init(&echo->waiting, &left);
	spin_unlock_bh(&echo->lock);
	list_for_each_entry_safe(request, next, &left, node) {
		list_del_init(&request->node);
		request->err = -ENODEV;
		complete(&request->done);
		echo_request_put(request);
	}
}

/* ---- files ---- */

static int echo_file_open(struct inode *inode, struct file *file)
{
	/* misc_deregister() waits for us, so that the device is there. */
	struct echo_device *echo = container_of(file->private_data, struct echo_device, misc);
	struct echo_file *user = kzalloc(sizeof(*user), GFP_KERNEL);

	if (!user)
		return -ENOMEM;
	mutex_init(&user->lock);
	kref_get(&echo->kref);
	user->echo = echo;
	file->private_data = user;
	return stream_open(inode, file);
}

static int echo_file_release(struct inode *inode, struct file *file)
{
	struct echo_file *user = file->private_data;

	echo_request_put(user->answer);
	kref_put(&user->echo->kref, echo_device_free);
	kfree(user);
	return 0;
}

static ssize_t echo_file_write(struct file *file, const char __user *from, size_t len,
			       loff_t *pos)
{
	struct echo_file *user = file->private_data;
	struct echo_request *request;
	int err = -EFAULT;

	if (len > MAX_TEXT)
		return -EMSGSIZE;
	request = kzalloc(struct_size(request, message.text, len), GFP_KERNEL);
	if (!request)
		return -ENOMEM;
	refcount_set(&request->refs, 1);
	INIT_LIST_HEAD(&request->node);
	init_completion(&request->done);
	request->len = len;
	request->message.len = cpu_to_le32(len);
	if (!copy_from_user(request->message.text, from, len))
		err = echo_ask(user->echo, request);
	if (!err) {
		mutex_lock(&user->lock);
		swap(user->answer, request);
		user->read = 0;
		mutex_unlock(&user->lock);
	}
	echo_request_put(request);
	return err ?: len;
}

static ssize_t echo_file_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	struct echo_file *user = file->private_data;
	ssize_t done = 0;

	mutex_lock(&user->lock);
	if (user->answer)
		done = simple_read_from_buffer(to, len, &user->read, user->answer->message.text,
					       user->answer->answer_len);
	mutex_unlock(&user->lock);
	return done;
}

static const struct file_operations echo_fops = {
	.owner = THIS_MODULE,
	.open = echo_file_open,
	.release = echo_file_release,
	.read = echo_file_read,
	.write = echo_file_write,
};

/* ---- driver ---- */

static int echo_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct echo_device *echo = kzalloc(sizeof(*echo), GFP_KERNEL);
	int err;

	if (!echo)
		return -ENOMEM;
	kref_init(&echo->kref);
	init_rwsem(&echo->opening);
	spin_lock_init(&echo->lock);
	INIT_LIST_HEAD(&echo->waiting);
	snprintf(echo->name, sizeof(echo->name), "vmbus_echo-%s", dev_name(&dev->device));
	echo->misc.minor = MISC_DYNAMIC_MINOR;
	echo->misc.name = echo->name;
	echo->misc.fops = &echo_fops;
	echo->misc.parent = &dev->device;
	/* The callback, which may run at once, looks for it. */
	hv_set_drvdata(dev, echo);
	err = echo_open(dev);
	if (err)
		goto put;
	err = misc_register(&echo->misc);
	if (err)
		goto close;
	return 0;

close:
	echo_close(echo);
put:
	hv_set_drvdata(dev, NULL);
	kref_put(&echo->kref, echo_device_free);
	return err;
}

/* Of a device that was unbound, or that the host has taken back: it is all the same. */
static void echo_go(struct hv_device *dev)
{
	struct echo_device *echo = hv_get_drvdata(dev);

	misc_deregister(&echo->misc);
	echo_close(echo);
	hv_set_drvdata(dev, NULL);
	/* Files that are open have theirs. */
	kref_put(&echo->kref, echo_device_free);
}

/* remove() returns int on some kernels and void on others: ask the type. */
static typeof(((struct hv_driver *)NULL)->remove(NULL))
echo_remove(struct hv_device *dev)
{
	echo_go(dev);
	return (typeof(((struct hv_driver *)NULL)->remove(NULL)))0;
}

/* Those who waited have been frozen, and ask again when they run again. */
static int echo_suspend(struct hv_device *dev)
{
	echo_close(hv_get_drvdata(dev));
	return 0;
}

static int echo_resume(struct hv_device *dev)
{
	return echo_open(dev);
}

static const struct hv_vmbus_device_id echo_ids[] = {
	{ .guid = ECHO_GUID },
	{ },
};
MODULE_DEVICE_TABLE(vmbus, echo_ids);

static struct hv_driver echo_driver = {
	.name = "vmbus_echo",
	.id_table = echo_ids,
	.probe = echo_probe,
	.remove = echo_remove,
	.suspend = echo_suspend,
	.resume = echo_resume,
};

static int __init echo_init(void)
{
	return vmbus_driver_register(&echo_driver);
}
module_init(echo_init);

static void __exit echo_exit(void)
{
	vmbus_driver_unregister(&echo_driver);
}
module_exit(echo_exit);

MODULE_DESCRIPTION("Sample driver of a VMBus device that sends back what it gets");
MODULE_LICENSE("GPL");
