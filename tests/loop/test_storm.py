"""
Disk and network at work while what is below them changes: CPUs, channels, the host's mood, hibernation.

fio writes and verifies on ext4, over and over; pings and TCP go between two NICs. Nothing of that may fail.
"""

import json
import re
import time

from looplib import LOOP, case
from test_nic import echos, listens
from test_scsi import fio

BUS = "/sys/bus/vmbus"
CPUS = 4
IPERF = 5201        # its port
# Who waits where, what each end has of the rings, what the disk's queues hold: of a load that stands still.
STATE = (f"cat {LOOP}/channels {LOOP}/scsi /sys/kernel/debug/vmbus/channels; for pid in $(pidof fio); do "
         "head -n 3 /proc/$pid/status; cat /proc/$pid/stack /proc/$pid/syscall; done; "
         "for file in $(find /sys/kernel/debug/block/sd* -name busy -o -name dispatch -o -name state -o -name requeue_list); do "
         "echo $file; cat $file; done; cat /tmp/load/fio; true")
FIO = fio("--numjobs=2 --iodepth=8 --size=1M --bsrange=4k-64k --rw=randwrite", repeat=0)


def guest(loop, commands, timeout=250):
    """A command of storm.sh or rounds.sh."""
    return loop.sh(f". /storm.sh; . /rounds.sh; {commands}", timeout)


def channels(loop):
    """(directory, CPU, interrupts) of each channel that the guest has."""
    said = loop.sh(f"for channel in {BUS}/devices/*/channels/*; do echo $channel $(cat $channel/cpu $channel/interrupts); done")
    return [(path, int(cpu), int(interrupts)) for path, cpu, interrupts in map(str.split, said.splitlines())]


def unanswered(loop, nic):
    sent, had = echos(loop, nic)
    return sent - had


def start(loop):
    """The load; what is in files tells whether it went well."""
    # What a case left that failed.
    loop.sh("[ ! -d /tmp/load ] || { touch /tmp/load/stop; kill -9 $(cat /tmp/load/pings); sleep 3; } 2>/dev/null; true")
    loop.wait(lambda: not listens(loop, 0, IPERF), "the server before this one does not end")
    loop.unanswered = [unanswered(loop, nic) for nic in (0, 1)]
    loop.sh("cd /tmp; rm -rf load; mkdir load; cd load; touch passes; (while [ ! -e stop ]; do "
            f"{FIO} >fio 2>&1 || {{ echo status $? >bad; break; }}; echo >>passes; done; touch end) </dev/null >/dev/null 2>&1 & "
            "for nic in 0 1; do ip=10.0.0.$((2 - nic)); "
            "/t/ip netns exec n$nic /t/ping -q -i 0.05 $ip </dev/null >ping$nic 2>&1 & echo $! >>pings; done; "
            "/t/ip netns exec n0 /t/iperf3 -s -1 </dev/null >/dev/null 2>&1 &")
    loop.wait(lambda: listens(loop, 0, IPERF), "nobody listens")
    loop.sh("cd /tmp/load; /t/ip netns exec n1 /t/iperf3 -J -t 1000 -b 4M --bidir -c 10.0.0.1 </dev/null >iperf 2>&1 & echo $! >>pings")


def passes(loop):
    """How often fio has written and verified all of it."""
    return int(loop.sh("wc -l </tmp/load/passes"))


def more_passes(loop, count=1, timeout=120):
    """fio gets so much further."""
    before = passes(loop)
    try:
        loop.wait(lambda: passes(loop) >= before + count or loop.guest.run("test -e /tmp/load/bad")[0] == 0,
                  f"fio stands still after {before} passes", timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{loop.sh(STATE)}") from error
    assert loop.guest.run("test -e /tmp/load/bad")[0], loop.sh("cat /tmp/load/bad /tmp/load/fio")


def end(loop, lost=1):
    """The load ends: nothing was wrong, and no more pings than that were lost."""
    more_passes(loop)
    loop.sh("touch /tmp/load/stop")
    loop.wait(lambda: loop.guest.run("test -e /tmp/load/end")[0] == 0, "fio does not end", 120)
    loop.sh("kill -INT $(cat /tmp/load/pings)")
    loop.wait(lambda: loop.guest.run("for pid in $(cat /tmp/load/pings); do ! kill -0 $pid || exit 1; done")[0] == 0,
              "pings or TCP do not end")
    assert loop.guest.run("test -e /tmp/load/bad")[0], loop.sh("cat /tmp/load/bad /tmp/load/fio")
    sent = []
    for nic in (0, 1):
        said = loop.sh(f"cat /tmp/load/ping{nic}")
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert found, said
        # Some were still on their way as ping ended.
        without = lambda: unanswered(loop, nic) - loop.unanswered[nic]  # noqa: B023,E731
        loop.wait(lambda: without() <= lost, f"pings without an answer: {without()}\n{said}")  # noqa: B023
        sent.append(int(found[1]))
    said = loop.sh("cat /tmp/load/iperf")
    stream = json.loads(said[said.index("{"):])
    megabytes = sum(stream["end"][way]["bytes"] for way in ("sum_sent", "sum_sent_bidir_reverse")) / 1e6
    assert megabytes > 0.1 and stream.get("error", "interrupt").startswith("interrupt"), said[-500:]
    loop.notes.append(f"{passes(loop)} passes of fio, {sent} pings, {megabytes:.1f} MB by TCP")


@case
def storm_load(loop):
    """A disk with ext4, two NICs in their namespaces, sockets; all of it works."""
    # ext4 asks for crc32c by its name, which is in no list of dependencies.
    for module in ("sd_mod", "crc32c_generic", "ext4", "hv_storvsc", "hv_netvsc", "hv_sock"):
        loop.load(module)
    # Namespaces have their own mounts, from which /mnt has to go, too.
    loop.sh("mount --make-rshared /; mkdir -p /run /var && ln -sf /run /var/run; /t/ip netns add n0 && /t/ip netns add n1")
    guest(loop, "all_up; check")


@case
def storm_moves(loop):
    """Channels move over the CPUs all the time; each interrupt arrives where it was sent to last."""
    start(loop)
    more_passes(loop)
    moves = int(guest(loop, f"i=0; end=$(($(date +%s) + {loop.options.seconds})); while :; do "
                      "for channel in $CHANNELS; do i=$((i + 1)); echo $((i % 4)) >$channel/cpu && read -r at <$channel/cpu && "
                      "[ $at = $((i % 4)) ] || fail $channel; done; i=$((i + 1)); "
                      "[ $(date +%s) -lt $end ] || break; done; echo $i", 300))
    before = channels(loop)
    assert len(before) == 3 * CPUS, before
    # Each alone, on another CPU than before: what the trace has of its relid is from there.
    loop.sh("cd /sys/kernel/tracing; echo 0 >tracing_on; echo >trace; echo 1 >events/hyperv/vmbus_chan_sched/enable")
    for path, cpu, _ in before:
        loop.sh(f"echo {(cpu + 1) % CPUS} >{path}/cpu")
    # What was on its way to a processor that stood still has arrived once a program has run there.
    loop.sh(f"for cpu in $(seq 0 {CPUS - 1}); do taskset -c $cpu true || exit 1; done")
    loop.sh("cd /sys/kernel/tracing; echo 1 >tracing_on")
    more_passes(loop)
    # Which of them have something to do is the traffic's affair.
    loop.wait(lambda: int(loop.sh("grep -o 'relid 0x[0-9a-f]*' /sys/kernel/tracing/trace | sort -u | wc -l")) > CPUS,
              "hardly a channel is interrupted")
    loop.sh("cd /sys/kernel/tracing; echo 0 >tracing_on; echo 0 >events/hyperv/vmbus_chan_sched/enable")
    said = loop.sh("grep -o '\\[00.*relid 0x[0-9a-f]*' /sys/kernel/tracing/trace | sed 's/\\] .*relid/ /; s/\\[//' | sort | uniq -c")
    seen = {}
    for count, cpu, relid in map(str.split, said.splitlines()):
        seen.setdefault(int(relid, 16), {})[int(cpu)] = int(count)
    after = channels(loop)
    told = {int(path.split("/")[-1]): (cpu, interrupts - was) for (path, cpu, interrupts), (_, _, was) in zip(after, before)}
    assert len([relid for relid in told if seen.get(relid)]) > CPUS, f"{seen} {told}"
    for relid, by_cpu in seen.items():
        assert list(by_cpu) == [told[relid][0]], f"channel {relid}: interrupts by CPU {by_cpu}, it is on {told[relid]}"
    end(loop)
    loop.notes.append(f"{moves} moves; then {sum(count for _, count in told.values())} interrupts on CPUs {seen}")


@case
def storm_cpus(loop):
    """CPUs go off and on; each can go off, and nothing of the bus is on it then."""
    start(loop)
    more_passes(loop)
    for cpu in (1, 3, 2):
        online = f"/sys/devices/system/cpu/cpu{cpu}/online"
        loop.sh(f"echo 0 >{online}")
        assert cpu not in {at for _, at, _ in channels(loop)}, channels(loop)
        loop.sh(f"sleep 0.3; echo 1 >{online}")
    # Three at a time: all is on CPU 0.
    loop.sh("for cpu in 1 2 3; do echo 0 >/sys/devices/system/cpu/cpu$cpu/online; done")
    assert {at for _, at, _ in channels(loop)} == {0}, channels(loop)
    more_passes(loop)
    loop.sh("for cpu in 1 2 3; do echo 1 >/sys/devices/system/cpu/cpu$cpu/online; done")
    end(loop)


@case
def storm_silence(loop):
    """The host says nothing for a while; what waits for it goes on then, without an error."""
    start(loop)
    more_passes(loop)
    started, seconds = time.monotonic(), loop.options.silence
    loop.host("silent", seconds * 1000)
    time.sleep(seconds / 2)
    if loop.sh(f"cat {LOOP}/silent") == "1":
        before = [row[4:6] for row in loop.channels().values()]
        time.sleep(seconds / 4)
        stood = before == [row[4:6] for row in loop.channels().values()]
        assert stood or loop.sh(f"cat {LOOP}/silent") == "0", "packets of a silent host"
    loop.wait(lambda: loop.sh(f"cat {LOOP}/silent") == "0", "it is still silent", seconds + 60)
    assert time.monotonic() - started >= seconds
    more_passes(loop, 2)
    guest(loop, "check")
    # What pings found no room for, as the rings were full, is lost as on any network.
    end(loop, lost=20 * seconds + 20)


def pieces(loop, name):
    """relid -> (pages, pieces of memory) of the rings of this NIC or controller, as the host has them."""
    is_open = [relid for relid, row in loop.channels().items() if row[1] == name and row[3] == "open"]
    rows = {int(relid): (int(pages), int(runs))
            for relid, pages, runs in map(str.split, loop.sh(f"cat {LOOP}/rings").splitlines())}
    return {relid: rows[relid] for relid in is_open}


def reopened_in_pieces(loop, name, commands):
    """
    Those channels are opened anew, where memory is in pieces.

    Memory is what others make of it: they may be given what they, or somebody else, have just given back in larger pieces.
    One of them may; where it is more, memory is taken to pieces anew, and they ask once more. Returns how often they did.
    """
    for tries in range(1, 7):
        loop.sh("sync; echo 3 >/proc/sys/vm/drop_caches; cd /sys/module/vmbus_frag/parameters; echo 0 >hold; echo 1 >hold", 120)
        guest(loop, commands)
        loop.wait(lambda: len(pieces(loop, name)) == CPUS, "not all of its channels are open again")
        rings = pieces(loop, name)
        loop.notes.append(f"{name}: pages and pieces of rings: {list(rings.values())}")
        # No piece has more than 15 pages then.
        if sum(runs > pages // 16 for pages, runs in rings.values()) >= CPUS - 1:
            return tries
    raise AssertionError(f"{name}: memory never was in pieces")


@case
def storm_fragments(loop):
    """Memory is in pieces: disk and network go on, and with channels that are opened anew in such memory."""
    nics = [guest(loop, f"nic {at}") for at in (0, 1)]
    disk = guest(loop, "controller")
    loop.sh("sync; echo 3 >/proc/sys/vm/drop_caches; insmod /m/vmbus_frag.ko", 120)
    try:
        start(loop)
        more_passes(loop)
        # Each closes all channels of a NIC and opens as many as it says.
        tries = [reopened_in_pieces(loop, nics[at], f"do_channels {at} {count}") for at, count in ((0, 2), (1, 3))]
        more_passes(loop)
        # What was sent to a NIC without channels is lost.
        end(loop, lost=100 * sum(tries))
        reopened_in_pieces(loop, disk, "disk_work; do_unbind_disk; disk_rest")
        guest(loop, "check")
    finally:
        # What comes later has its memory as it was.
        loop.guest.run("rmmod vmbus_frag", 120)
    assert loop.guest.run("test -d /sys/module/vmbus_frag")[0], "vmbus_frag stays"


def new_file(loop):
    """Its checksum."""
    return loop.sh("dd if=/dev/urandom of=/mnt/file bs=64k count=80 2>/dev/null; sync; md5sum </mnt/file")


def still_there(loop, sums):
    """The file, read from the disk, and all else."""
    loop.sh("umount /mnt; echo 3 >/proc/sys/vm/drop_caches")
    guest(loop, "disk_up; check")
    assert loop.sh("md5sum </mnt/file") == sums


@case
def storm_sleep(loop):
    """Hibernation that turns round in the end, with the disk mounted and all at work. Rounds have others."""
    sums = new_file(loop)
    start(loop)
    more_passes(loop)
    mark = loop.guest.log_mark()
    guest(loop, "do_sleep core")
    said = loop.guest.log_since(mark)
    assert "hibernation exit" in said and "debug: Waiting for" in said, said
    more_passes(loop)
    # Frames on their way when it falls asleep are lost, as with a cable that is pulled.
    end(loop, lost=40)
    still_there(loop, sums)


@case
def storm_image(loop):
    """
    Hibernation with an image, all at work: the machine starts anew, and the life in the image goes on.

    The bus, the host and its disk are in the image. init looks for one before it does anything else.
    """
    sums = new_file(loop)
    loop.sh("mkswap /dev/vda && swapon /dev/vda; echo none >/sys/power/pm_test; echo 0 >/sys/power/image_size; "
            "echo reboot >/sys/power/disk")
    start(loop)
    more_passes(loop)
    # Answered by the life in the image, over the same line.
    loop.sh("echo disk >/sys/power/state", 600)
    assert "Image loading done" in loop.guest.console(), "there was no other life between"
    more_passes(loop)
    end(loop, lost=40)
    loop.sh("swapoff /dev/vda")
    still_there(loop, sums)
