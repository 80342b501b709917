/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One direction of a channel: a ring, its writer, its reader, and what wakes them. tests/model/run has Spin search
 * all of its states, and then again without each barrier and each second look (NO_<label>), which must go wrong.
 *
 *   -DOUT     the guest writes, the host reads
 *   -DIN      the host writes, the guest reads: interrupt, tasklet, BATCHED
 *   -DDIRECT  with IN: the callback mode of that name; nothing is masked, nothing looks again after the callback
 *   -DSTRAY   with IN: one interrupt at any moment that is not about this ring
 *   -DLOCKED  two writers and the ring's lock
 *   -DN, -DK  the ring has N units, 3 or 4; each writer sends at most K packets of one or two units
 *
 * The code, by its labels; comments in C name them as "ring.pml: <label>":
 *
 *   reserve*   vmbus_ring_reserve()       look*            vmbus_ring_look()
 *   commit*    vmbus_ring_commit()        publish*         vmbus_ring_publish()
 *   ring_lock  send()                     unmask*, run*    run_callback(), with hv_end_read() in it
 *   ask*       a VSC, or the host         interrupt*       vmbus_chan_interrupt()
 *                                         direct_publish   receive()
 *
 * What is assumed of the host: it does on its side what we do on ours, with the same barriers, as OpenVMM does.
 *   As reader it publishes read_index, and signals if that makes the room that pending_send_sz asks for. It unmasks,
 *   then looks at write_index again, then sleeps. It may leave its interrupt unmasked all the time.
 *   As writer it signals if the ring was empty and our interrupt is not masked. Without room it sets pending_send_sz
 *   to what it needs or more, then looks at read_index again, then sleeps; it may clear pending_send_sz before it
 *   writes. A VSC that wants to be told of room does the same (hv_sock never clears it). wake_writer then
 *   stands for its callback, which runs after each interrupt.
 * Removing a barrier or second look from the other side, which runs as a mutant too, shows that this is needed.
 *
 * A unit stands for eight bytes. Every unit of a packet holds its number, so whoever reads a unit too early or too
 * late finds another one there. A writer may stop after any packet, so nothing comes later to mend a lost wake-up:
 * Spin reports it as an invalid end state. Every execution ends; with -DNP Spin reports one that does not.
 *
 * Memory is weaker than x86, about as weak as arm64. Each shared variable has one side that stores and one that loads:
 *
 *   buf[]    a store on its way: becomes visible at any later time, before or after stores to other variables
 *   stale[]  an older value that the loading side may still get, as if it had done the load earlier
 *   late[]   loads that are done at any later time; nothing but a barrier keeps them before a store
 *
 * A full barrier waits for its side's stores and late loads, and drops its side's stale values; an acquire drops these.
 * The write barrier waits for the stores: it may, since no load comes between it and the full barrier. A store does not
 * overtake a branch on a load. Being woken counts as an acquire. A signal overtakes the stores before it.
 */
#ifndef N
#define N	4
#endif
#ifndef K
#define K	3
#endif

#define NONE	255
#define W	0		/* write_index */
#define R	1		/* read_index */
#define M	2		/* interrupt_mask */
#define P	3		/* pending_send_sz */
#define D	4		/* the units of the ring */
#define UNIT(i)	(D + (i) % N)

#define DIST(from, to)	(((to) + N - (from)) % N)

byte mem[D + N];
byte buf[D + N] = NONE;
byte stale[D + N] = NONE;
byte late[N] = NONE;
bool late_mask;			/* IN: the interrupt's store, perhaps from another CPU than the tasklet's */

bool wake_reader, wake_writer;	/* signals */
bool scheduled;			/* IN: the tasklet */
bool locked;
byte write, numbered, taken;	/* private index of the writers, packets written, packets read */

/* ---- memory ---- */

/* Must be part of an atomic. */
inline load(v, x)
{
	if
	:: stale[v] != NONE -> x = stale[v]
	:: x = mem[v]; stale[v] = NONE
	fi
}

inline visible(v, x)
{
	if
	:: mem[v] != x -> stale[v] = mem[v]
	:: true
	fi;
	mem[v] = x
}

#define STORE(v, x)	buf[v] = x

#if N == 3
#define EACH_UNIT(a)	a(0) a(1) a(2)
#else
#define EACH_UNIT(a)	a(0) a(1) a(2) a(3)
#endif
#define NO_STORE(i)	&& buf[D + i] == NONE
#define NO_LATE(i)	&& late[i] == NONE
#define DROP_STALE(i)	stale[D + i] = NONE;

#define writer_stored	(buf[W] == NONE && buf[P] == NONE EACH_UNIT(NO_STORE))
#define reader_stored	(buf[R] == NONE && buf[M] == NONE EACH_UNIT(NO_LATE))

inline writer_acquire()
{
	stale[R] = NONE; stale[M] = NONE
}

inline reader_acquire()
{
	stale[W] = NONE; stale[P] = NONE; EACH_UNIT(DROP_STALE) skip
}

#define WRITER_WMB	writer_stored
#define WRITER_MB	atomic { writer_stored -> writer_acquire() }
#define READER_MB	atomic { reader_stored -> reader_acquire() }

#define BECOMES_VISIBLE(v) \
	:: atomic { buf[v] != NONE -> visible(v, buf[v]); buf[v] = NONE }
#define UNIT_BECOMES_VISIBLE(i) \
	BECOMES_VISIBLE(D + i)
#define IS_LOADED(i) \
	:: atomic { late[i] != NONE -> load(D + i, value); assert(value == late[i]); late[i] = NONE; value = 0 }

active proctype memory()
{
	byte value;

end:	do
	BECOMES_VISIBLE(W)
	BECOMES_VISIBLE(R)
	BECOMES_VISIBLE(M)
	BECOMES_VISIBLE(P)
	EACH_UNIT(UNIT_BECOMES_VISIBLE)
	EACH_UNIT(IS_LOADED)
#ifdef IN
	:: atomic { late_mask -> visible(M, 1); late_mask = false }
#endif
	od
}

/* ---- the writer ---- */

inline fill()
{
	STORE(UNIT(write), (numbered + 1) * 2 + need - 1);
	if
	:: need == 2 -> STORE(UNIT(write + 1), (numbered + 1) * 2 + need - 1)
	:: else
	fi
}

#ifdef LOCKED
active [2] proctype writer()
#else
active proctype writer()
#endif
{
	byte count, need, old, value;
	bool asked;		/* pending_send_sz was set since the last sleep */
	bool pending;		/* it was not cleared yet */

next:	atomic {
		asked = false;
		if
		:: count == K -> goto all_taken
		:: count > 0 -> goto all_taken
		:: count < K -> need = 1
		:: count < K -> need = 2
		fi;
		count++
	}

ring_lock:
#if defined(LOCKED) && !defined(NO_ring_lock)
	atomic { !locked -> locked = true; writer_acquire() };
#endif
#ifdef NO_reserve_branch
	/* The stores do not wait for the load that the branch is on, nor for what it says. */
	atomic { fill() };
#endif

reserve:
	atomic {
		load(R, value);
reserve_branch:
		if
		:: DIST(value, write) + need < N -> value = 0; goto filling
		:: else -> value = 0
		fi
	};
#ifdef LOCKED
	locked = false;
	goto next;		/* -EAGAIN, and the VSC drops the packet */
#endif
	if
	:: asked -> goto sleep
	:: else
	fi;

ask:	atomic {
		asked = true;
		pending = true;
		if
		:: STORE(P, need)
		:: need + 1 < N -> STORE(P, need + 1)
		:: STORE(P, N - 1)
		fi
	};
ask_fence:
#ifndef NO_ask_fence
	WRITER_MB;
#endif
ask_again:
#ifndef NO_ask_again
	goto reserve;
#endif

sleep:	atomic { wake_writer -> wake_writer = false; asked = false; writer_acquire() };
	goto reserve;

filling:
	atomic {
		if
		:: pending -> STORE(P, 0); pending = false
		:: true
		fi;
#ifndef NO_reserve_branch
		fill();
#endif
		old = write
	};

commit_wmb:
#ifndef NO_commit_wmb
	WRITER_WMB;
#endif
commit:	atomic {
		numbered++;
		write = (write + need) % N;
		need = 0;
		STORE(W, write)
	};
commit_fence:
#ifndef NO_commit_fence
	WRITER_MB;
#endif
commit_masked:
	atomic {
		load(M, value);
		if
		:: value -> value = 0; old = 0; goto unlock
		:: else
		fi
	};
commit_empty:
	atomic {
		load(R, value);
		if
		:: value == old -> value = 0; old = 0
		:: else -> value = 0; old = 0; goto unlock
		fi
	};
#ifdef LOCKED
	locked = false;
#endif
	wake_reader = true;
	goto next;
unlock:
#ifdef LOCKED
	locked = false;
#endif
	goto next;

	/* Not an end label: nothing may stay in the ring while the reader sleeps. */
all_taken:
	taken == numbered
}

/* ---- the reader ---- */

#ifdef IN
active proctype interrupt()
{
#ifdef STRAY
	bool stray = true;
#endif

end:	do
	:: atomic {
		if
		:: wake_reader -> wake_reader = false
#ifdef STRAY
		:: stray -> stray = false
#endif
		fi;
#ifndef DIRECT
		late_mask = true
#endif
	   }
	   /* The atomic in tasklet_schedule() orders. The barrier in hv_begin_read() is not needed and not here. */
interrupt_schedule:
#ifndef NO_interrupt_schedule
	   !late_mask;
#endif
	   scheduled = true
	od
}
#endif

active proctype reader()
{
	byte read;		/* priv_read_index */
	byte seen;
	byte index;		/* read_index as published */
	byte old, value, wanted;
	bool leaving;
	bool masks = 1;		/* OUT: whether this host masks its interrupt */

#ifdef OUT
	if
	:: masks = 1
	:: masks = 0
	fi;
#endif

end:	atomic {
#ifdef IN
		scheduled -> scheduled = false;
#else
		wake_reader -> wake_reader = false;
		STORE(M, masks);
#endif
		reader_acquire()
	};

	/* The callback: reads until the ring is empty, publishes now and then and at the end. */
again:
	if
	:: read != seen -> goto take
	:: else
	fi;
look:	atomic {
		load(W, value);
look_acquire:
#ifndef NO_look_acquire
		reader_acquire();
#endif
		leaving = (value == seen);
		seen = value;
		value = 0
	};
	if
	:: leaving -> goto publish
	:: else
	fi;

	/* The length decides what is read and published; the rest of the copy may take its time. */
take:	atomic {
		load(UNIT(read), value);
		taken++;
		assert(value / 2 == taken);
		late[read] = value;
		if
		:: value % 2 -> late[(read + 1) % N] = value
		:: else
		fi;
		read = (read + 1 + value % 2) % N;
		value = 0
	};
	/* vmbus_recvpacket() publishes each packet, iterators do so at the end: then nothing in DIRECT looks again. */
direct_publish:
#if !defined(DIRECT) || defined(NO_direct_publish)
	if
	:: goto publish
	:: goto again
	fi;
#endif

publish:
	atomic {
		if
		:: read == index -> goto published
		:: else -> old = index; index = read
		fi
	};
publish_before:
#ifndef NO_publish_before
	READER_MB;
#endif
	STORE(R, read);
publish_fence:
#ifndef NO_publish_fence
	READER_MB;
#endif
publish_wanted:
	atomic {
		load(P, wanted);
		if
		:: !wanted -> old = 0; goto published
		:: else
		fi
	};
publish_crossing:
	atomic {
		load(W, value);
		value = N - DIST(read, value);
		if
#ifdef NO_publish_crossing
		/* The unit that always stays free is no room. */
		:: value - 1 > wanted && value - 1 - DIST(old, read) <= wanted -> wake_writer = true
#else
		:: value > wanted && value - DIST(old, read) <= wanted -> wake_writer = true
#endif
		:: else
		fi;
		value = 0; wanted = 0; old = 0
	};
published:
	if
	:: !leaving -> goto again
	:: else -> leaving = false
	fi;
#ifdef DIRECT
	goto end;
#endif

unmask:	STORE(M, 0);
unmask_fence:
#ifndef NO_unmask_fence
	READER_MB;
#endif
unmask_again:
#ifdef NO_unmask_again
	goto end;
#endif
	atomic {
		load(W, value);
		if
#ifndef ENDLESS
		:: value == index -> value = 0; goto end
#endif
		:: else -> value = 0; STORE(M, masks)
		fi
	};
	if
	:: goto again
#ifdef IN
	:: goto run_reschedule
#endif
	fi;

#ifdef IN
	/* Time is up: the next run of the tasklet goes on. */
run_reschedule:
#ifndef NO_run_reschedule
	scheduled = true;
#endif
	goto end
#endif
}
