/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel, in user space, as the fuzzed files of the driver and
 * the kernel's own <linux/hyperv.h> ask for. tests/fuzz/run lets every other
 * <linux/...> and <asm/...> that they include stand for this file.
 *
 * Reads of shared memory go through hooks, where the other side, that is the
 * fuzzer's input, gets its turn.
 */
#ifndef _FUZZ_KERNEL_H
#define _FUZZ_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/version.h>

/* ---- hooks, in memory.c ---- */

/* @p is about to be read: the other side may act now. */
void fuzz_before(const void *p);

/* @value was read from @p; @value is to be stored there. */
void fuzz_loaded(const void *p, const void *value, size_t size);
void fuzz_stored(const void *p, const void *value, size_t size);

/* memcpy() whose source may change meanwhile */
void *fuzz_copy(void *to, const void *from, size_t len);

/* A line for the log; a host must not be able to fill it. */
void fuzz_log(void);

/* Whether the allocation that is asked for fails. */
bool fuzz_no_memory(void);

#define memcpy(to, from, len)	fuzz_copy(to, from, len)

#define READ_ONCE(x) ({							\
	const __typeof__(x) *from_ = &(x);				\
	fuzz_before(from_);						\
	const __typeof__(x) loaded_ = __atomic_load_n(from_, __ATOMIC_RELAXED); \
	fuzz_loaded(from_, &loaded_, sizeof(loaded_));			\
	loaded_;							\
})

#define WRITE_ONCE(x, value) do {					\
	__typeof__(x) *to_ = &(x), stored_ = (value);			\
									\
	fuzz_stored(to_, &stored_, sizeof(stored_));			\
	__atomic_store(to_, &stored_, __ATOMIC_RELAXED);		\
} while (0)

/* One thread: nothing to be ordered. */
#define virt_load_acquire(p)	READ_ONCE(*(p))
#define virt_mb()		do { } while (0)	/* as above */
#define virt_wmb()		do { } while (0)	/* as above */
#define rcu_dereference(p)	READ_ONCE(p)

/* ---- types ---- */

typedef unsigned char u8, __u8;
typedef unsigned short u16, __u16;
typedef unsigned int u32, __u32;
typedef int s32, __s32;
typedef unsigned long long u64, __u64;
typedef long long s64, __s64;
typedef unsigned long kernel_ulong_t;
typedef u64 phys_addr_t;
typedef u64 resource_size_t;
typedef u64 dma_addr_t;

typedef struct {
	u8 b[16];
} guid_t;

struct list_head {
	struct list_head *next, *prev;
};

struct rcu_head {
	struct rcu_head *next;
};

/* The fuzzer has one thread: a lock knows that it is held, no more. */
typedef struct {
	bool held;
} spinlock_t;

struct mutex {
	bool held;
};

typedef struct {
	int counter;
} atomic_t;

struct kref {
	int count;
};

struct completion {
	bool done;
};

struct work_struct {
	void (*func)(struct work_struct *work);
};

struct tasklet_struct {
	unsigned long state;
};

struct kobject {
	const char *name;
};

struct device {
	void *driver_data;
};

struct device_driver {
	const char *name;
};

struct device_dma_parameters {
	unsigned int max_segment_size;
};

struct hv_vmbus_device_id {
	guid_t guid;
	kernel_ulong_t driver_data;
};

struct reciprocal_value {
	u32 m;
};

struct bin_attribute {
	size_t size;
};

struct attribute_group;
struct bus_type;
struct module;
struct pci_dev;
struct resource;
struct vm_area_struct;
struct workqueue_struct;

/* A page of the memory that memory.c has. */
struct page {
	u32 number;
};

/* ---- arithmetic and compiler ---- */

#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define U16_MAX			UINT16_MAX
#define U64_MAX			UINT64_MAX
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define ALIGN(x, to)		(((x) + (to) - 1) / (to) * (to))
#define round_up(x, to)		ALIGN(x, to)
#define round_down(x, to)	((x) / (to) * (to))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define struct_size(p, member, n) \
	(offsetof(__typeof__(*(p)), member) + (n) * sizeof((p)->member[0]))
#define container_of(p, type, member) \
	((type *)((char *)(uintptr_t)(p) - offsetof(type, member)))
#define min(a, b) ({							\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
	a_ < b_ ? a_ : b_;						\
})
#define max_t(type, a, b) ({						\
	type a_ = (a), b_ = (b);					\
	a_ > b_ ? a_ : b_;						\
})

#define likely(x)		(x)
#define unlikely(x)		(x)
#define noinline		__attribute__((noinline))
#define __packed		__attribute__((packed))
#define __aligned(n)		__attribute__((aligned(n)))
#define __noreturn		__attribute__((noreturn))
#define __rcu
#define IS_ENABLED(CONFIG_NAME)	0
#define local_irq_save(flags)	((flags) = 0)	/* there are no interrupts */
#define local_irq_restore(flags)	((void)(flags))
#define __must_check		__attribute__((warn_unused_result))

#define EXPORT_SYMBOL(name)	extern int fuzz_export
#define EXPORT_SYMBOL_GPL(name)	extern int fuzz_export
#define DECLARE_PER_CPU(object, name)	extern __typeof__(object) name
#define DECLARE_STATIC_CALL(name, func)	extern __typeof__(func) name
#define static_call(name)	name
#define DECLARE_TRACEPOINT(name)	extern int fuzz_tracepoint
#define tracepoint_enabled(name)	false

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *p)
{
	return (long)p;
}

static inline bool IS_ERR(const void *p)
{
	return (unsigned long)p >= -4095UL;
}

static inline struct reciprocal_value reciprocal_value(u32 d)
{
	return (struct reciprocal_value){ .m = d };
}

static inline u32 reciprocal_divide(u32 a, struct reciprocal_value by)
{
	return a / by.m;
}

static inline void sync_set_bit(long nr, unsigned long *addr)
{
	u8 *byte = (u8 *)addr + nr / 8;

	*byte |= 1 << nr % 8;
}

#define pr_err_ratelimited(...)	fuzz_log()

/* ---- locks: misuse aborts ---- */

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
	return lock->held;
}

static inline void fuzz_acquire(bool *held)
{
	if (*held)
		abort();
	*held = true;
}

static inline void fuzz_release(bool *held)
{
	if (!*held)
		abort();
	*held = false;
}

#define spin_lock_irqsave(lock, flags) do {				\
	(flags) = 0;							\
	fuzz_acquire(&(lock)->held);					\
} while (0)

static inline void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	fuzz_release(&lock->held);
}

static inline void spin_lock_irq(spinlock_t *lock)
{
	fuzz_acquire(&lock->held);
}

static inline void spin_unlock_irq(spinlock_t *lock)
{
	fuzz_release(&lock->held);
}

static inline void lockdep_assert_held(const spinlock_t *lock)
{
	if (!lock->held)
		abort();
}

static inline void mutex_init(struct mutex *mutex)
{
	mutex->held = false;
}

static inline void mutex_lock(struct mutex *mutex)
{
	fuzz_acquire(&mutex->held);
}

static inline void mutex_unlock(struct mutex *mutex)
{
	fuzz_release(&mutex->held);
}

/* ---- memory ---- */

#define GFP_KERNEL		0
#define VM_MAP			0
#define PAGE_KERNEL		0

void *vmap(struct page **pages, unsigned int count, unsigned long flags, int prot);
void vunmap(const void *addr);

static inline void *kvmalloc_array(size_t n, size_t size, int flags)
{
	return fuzz_no_memory() ? NULL : calloc(n, size);
}

static inline void *kvzalloc(size_t size, int flags)
{
	return fuzz_no_memory() ? NULL : calloc(1, size);
}

static inline void kvfree(void *p)
{
	free(p);
}

/* ---- what inline functions of <linux/hyperv.h> mention, never called here ---- */

void *dev_get_drvdata(const struct device *dev);
void dev_set_drvdata(struct device *dev, void *data);
bool is_vmalloc_addr(const void *addr);
struct page *vmalloc_to_page(const void *addr);
phys_addr_t page_to_phys(const struct page *page);
unsigned long offset_in_page(const void *addr);
phys_addr_t __pa(const void *addr);

#endif /* _FUZZ_KERNEL_H */
