"""Rounds of a hostile host: run --hostile N. Each is a device, kinds of damage, a seed; what a VSC does not survive ends a
guest, whose console says whose fault it was. What is in a VSC is recorded; what is in the bus fails."""

import random
import re
import shutil
import time

from hostlib import checkers
from hostlib.agent import Lost
from hostlib.guest import CommandFailed
from hostlib.kernel import CACHE
from loopguest import boot
from looplib import LOOP, MODULE, SCSI, Loop, violations
import test_nic
from test_scsi import disk_of
import verdict

KINDS = ("type", "len", "offset", "id", "flags", "short", "bits", "noise", "ranges", "write_index", "read_index", "room",
         "pending", "unasked", "again", "late")
# Of these the bus itself says that the ring is corrupt.
BUS = ("len", "offset", "write_index", "room")
TOOLS = {"ip", "ping"}
DEADLINE_MS = 5000
PATIENCE = 30       # seconds, after which it hangs: the driver's deadlines are over, those of VSCs too (storvsc's is 5)
LINES = 60          # of the driver in the log of a round, at most


# Of the bus and what stands on it, and workers that are not idle.
ALL_TASKS = (f"cat {LOOP}/channels; for pid in $(cd /proc; grep -lE '{MODULE}|hv_|napi|process_one_work' [0-9]*/stack); do pid=${{pid%/*}}; "
             "echo \"task $pid $(cat /proc/$pid/comm) $(grep State /proc/$pid/status)\"; cat /proc/$pid/stack; done 2>/dev/null; "
             "dmesg | tail -n 15; dmesg -c >/dev/null; echo l >/proc/sysrq-trigger; sleep 1; dmesg | grep -A 30 'Call Trace'")


class Hang(Exception):
    """Something did not come about in time, and tasks wait for it."""


class Neighbour:
    """Connections to an echo, one after the other, each byte compared."""

    def start(self, loop):
        loop.sh("rm -f /tmp/stop /tmp/good /tmp/bad; touch /tmp/neighbour; (while [ ! -e /tmp/stop ]; do if vsock echo 1 20000 >/tmp/last 2>&1; "
                "then echo >>/tmp/good; else cat /tmp/last >>/tmp/bad; echo bad >>/tmp/bad; fi; sleep 0.1; done; "
                "rm /tmp/neighbour) >/dev/null 2>&1 &")

    def count(self, loop):
        return int(loop.sh("cat /tmp/good 2>/dev/null | wc -l"))

    def check(self, loop):
        bad = loop.guest.run("cat /tmp/bad 2>/dev/null")[1]
        assert not bad, f"the neighbour: {bad}"
        before = self.count(loop)
        loop.wait(lambda: self.count(loop) > before + 1, "the neighbour hangs", PATIENCE)

    def stop(self, loop):
        self.check(loop)
        loop.sh("touch /tmp/stop")
        loop.wait(lambda: loop.guest.run("test -e /tmp/neighbour")[0], "the neighbour does not end", PATIENCE)
        loop.no_sockets()


class Device:
    """What is hostile to a VSC."""

    traffic = ()
    seen = ""           # the instance

    def go(self, loop):
        for number, command in enumerate(self.traffic):
            loop.sh(f"({command}) </dev/null >/tmp/traffic{number} 2>&1 & echo $! >>/tmp/pids")

    def stop(self, loop):
        loop.guest.run("kill -9 $(cat /tmp/pids); rm -f /tmp/pids; killall -9 dd ping t/ping /t/ping 2>/dev/null")

    def released(self, loop):
        rows = [row for row in loop.channels().values() if row[1] == self.seen]
        return all(row[3] == "released" for row in rows) and loop.guest.run(f"test -e /sys/bus/vmbus/devices/{self.seen}")[0]

    def note(self, loop):
        self.seen = next(row[1] for row in loop.channels().values()
                         if row[0].startswith(self.guid) and row[3] == "open" and row[2] == "0")


class Disk(Device):
    """
    hv_storvsc. Its disk is removed before the controller: it waits for ever for the flush of a disk that is there, since
    nothing is sent on a rescinded channel.
    """

    name, which, guid, module = "disk", "scsi", SCSI, "hv_storvsc"
    loop_dd = "while sleep 0.02; do dd if={0} of=/dev/null bs={1} count=64 iflag=direct; done"

    def load(self, loop):
        for module in ("sd_mod", "hv_storvsc"):
            loop.load(module)

    def offer(self, loop):
        loop.host("lun_quiet", "add 0 8")
        loop.host("controller", "offer")

    def works(self, loop):
        await_(loop, lambda: disk_of(loop), "no disk")
        disk = f"/dev/{disk_of(loop)}"
        await_(loop, lambda: loop.guest.run(f"test -b {disk}")[0] == 0, "no disk in /dev")
        loop.sh("dd if=/dev/urandom of=/tmp/file bs=64k count=32")
        status, said = loop.guest.run(f"timeout {PATIENCE} dd if=/tmp/file of={disk} bs=64k conv=fsync; echo 3 >/proc/sys/vm/drop_caches; "
                                      f"timeout {PATIENCE} cmp -n 2097152 /tmp/file {disk}", 3 * PATIENCE)
        assert not status, f"the disk does not hold what was written: {said}"
        self.traffic = [self.loop_dd.format(disk, size) for size in ("4k", "64k", "512")]
        self.note(loop)

    def take(self, loop):
        loop.host("lun", "remove 0")
        loop.guest.run("i=0; while ls -d /sys/bus/scsi/devices/*:0:0:0 && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done")
        loop.host("controller", "rescind")


class Nic(Device):
    """hv_netvsc: NIC 0 of the wire. NIC 1 is good."""

    name, which, guid, module = "nic", test_nic.instance(0), "f8615163", "hv_netvsc"
    traffic = [test_nic.inside(nic, f"/t/ping -q -f -w 600 -s {size} {test_nic.address(nic ^ 1)}")
               for nic, size in ((0, 56), (1, 1400))]

    def load(self, loop):
        loop.names = {}
        loop.load("hv_netvsc")
        loop.sh("mkdir -p /run /var && ln -sf /run /var/run; /t/ip netns add n0 && /t/ip netns add n1")
        loop.host("nic", "offer 1")
        test_nic.configure(loop, 1)

    def offer(self, loop):
        loop.host("nic", "offer 0")
        loop.host("nic", "up 0")

    def works(self, loop):
        where = f"/sys/bus/vmbus/devices/{test_nic.instance(0)}/net"
        await_(loop, lambda: loop.guest.run(f"ls {where} | grep .")[0] == 0, "no interface")
        name = loop.sh(f"ls {where} || true")
        if name:
            loop.sh(f"/t/ip link set {name} netns n0 && " + test_nic.inside(0, f"/t/ip addr add 10.0.0.1/24 dev {name}") +
                    " && " + test_nic.inside(0, f"/t/ip link set {name} up"))
        loop.guest.run(test_nic.inside(1, "/t/ip neigh flush all"))
        await_(loop, lambda: loop.guest.run(test_nic.inside(1, "/t/ping -q -c 1 -W 1 10.0.0.1"))[0] == 0, "no ping")
        self.seen = test_nic.instance(0)

    def take(self, loop):
        loop.host("nic", "down 0")
        loop.host("nic", "rescind 0")


class Ic(Device):
    """hv_utils: one of its services."""

    module = "hv_utils"

    def __init__(self, name, guid, action):
        self.name = self.which = name
        self.guid = guid
        self.traffic = [f"while sleep 0.05; do {action}; done"]

    def load(self, loop):
        loop.sh("echo /bin/true >/proc/sys/kernel/poweroff_cmd; mkdir -p /sbin; ln -sf /bin/true /sbin/reboot")
        loop.load("hv_utils")
        loop.host("beat", 20)

    def offer(self, loop):
        loop.host("offer", self.seen or self.name)

    def works(self, loop):
        row = lambda: loop.sh(f"grep ^{self.name} {LOOP}/ics").split()  # noqa: E731
        await_(loop, lambda: row()[1] == "ready", f"{self.name} is not ready: {row()}")
        answers = int(row()[5])
        if self.name == "timesync":
            loop.host("timesync", "sample")
        await_(loop, lambda: int(row()[5]) > answers, f"{self.name} does not answer: {row()}")
        self.note(loop)

    def take(self, loop):
        loop.host("rescind", self.name)


def devices():
    return [Disk(), Nic(), Ic("heartbeat", "57164f39", "true"),
            Ic("timesync", "9527e630", f"echo sample >{LOOP}/timesync; echo sync >{LOOP}/timesync")]


def await_(loop, condition, what, patience=PATIENCE):
    try:
        loop.wait(condition, what, patience)
    except AssertionError as error:
        raise Hang(str(error)) from error


def ours_in_log(loop, mark):
    lines = loop.guest.log_since(mark).splitlines()
    return [line for line in lines if f"{MODULE}: " in line and "a misled VSC is wrong" not in line]


def judge_hang(loop, hang):
    """Of a device that does not go, or come back: it must be seen that a VSC waits. Return what to record."""
    found = verdict.of_hang(loop.guest)
    vscs = [one for one in found if not one.ours()]
    assert vscs, "\n".join([f"{hang}; nobody waits in a VSC", *(line for one in found for line in (str(one), *one.lines)),
                            loop.sh(ALL_TASKS, 120)])
    return [f"{hang}: {one}" for one in vscs]


def inflict(loop, device, kinds, percent, seconds, sure):
    """Damage under traffic, then its end; what there was of it. If that is sure to come, as long as it takes."""
    before = loop.counters("hostile")
    damaged = lambda: {name: count - before[name] for name, count in loop.counters("hostile").items()  # noqa: E731
                       if name in KINDS and count > before[name]}
    device.go(loop)
    loop.host("hostile", f"{device.which} percent={percent} kinds={','.join(kinds)}")
    loop.sh(f"sleep {seconds}", 60 + seconds)
    if sure:
        loop.wait(damaged, "no damage was done", PATIENCE)
    loop.host("hostile", f"{device.which} percent=0")
    device.stop(loop)
    return damaged()


def one_round(loop, device, kinds, percent, seconds, neighbour, others=True, sure=False):
    """Return (damage, what is recorded of VSCs, whether the guest is as before)."""
    mark = loop.guest.log_mark()
    recorded = []
    damage = inflict(loop, device, kinds, percent, seconds, sure)
    neighbour.check(loop)
    try:
        device.take(loop)
        await_(loop, lambda: device.released(loop), f"{device.name} does not go")
        device.offer(loop)
        device.works(loop)
        good = True
    except Hang as hang:
        recorded += judge_hang(loop, hang)
        good = False
    # The bus goes on for others: connections come and go by messages, and so does another device.
    neighbour.check(loop)
    if others:
        other_device(loop)
    lines = ours_in_log(loop, mark)
    assert len(lines) <= LINES, "\n".join([f"{len(lines)} lines in the log", *lines[:80]])
    violations(loop)
    if good:
        loop.host("hostile", "none")
    return damage, recorded, good


def other_device(loop):
    """One is taken and offered again, and works."""
    other = Ic("shutdown", "0e0b6031", "true")
    other.load(loop)
    if not loop.guest.run(f"grep -q '^shutdown closed' {LOOP}/ics")[0] or loop.guest.run(f"grep -q ^shutdown {LOOP}/ics")[0]:
        other.offer(loop)
    loop.wait(lambda: loop.guest.run(f"grep -q '^shutdown ready' {LOOP}/ics")[0] == 0, "another device is not served", PATIENCE)
    other.note(loop)
    other.take(loop)
    loop.wait(lambda: other.released(loop), "another device does not go", PATIENCE)


def unload(loop, loaded):
    """All goes in the end."""
    loop.guest.run("for name in n0 n1; do /t/ip netns del $name; done")
    for module in sorted(loaded | {"hv_utils", "hv_sock"}):
        loop.sh(f"rmmod {module}", 120)
    loop.sh(f"rmmod {MODULE}", 120)


class Rounds:
    """Guests one after the other, as long as there are rounds."""

    def __init__(self, options, results, where):
        self.options, self.results, self.where = options, results, where
        self.guest = None
        self.boots = 0

    def fresh(self, seed):
        self.boots += 1
        self.guest = boot(self.options.kernel, TOOLS, self.where / f"guest{self.boots}")
        self.loop = Loop(self.guest, self.options)
        self.loop.sh(f"insmod /m/{MODULE}.ko seed={seed}", 120)
        self.loop.host("deadline", DEADLINE_MS)
        for module in ("hv_sock", "hv_utils"):
            self.loop.load(module)
        self.neighbour = Neighbour()
        self.neighbour.start(self.loop)
        self.devices = {}

    def device(self, number):
        """Working."""
        device = devices()[number]
        if device.name not in self.devices:
            self.devices[device.name] = device
            device.load(self.loop)
            device.offer(self.loop)
            device.works(self.loop)
        return self.devices[device.name]

    def end(self, name):
        """The console of a guest that is not needed any more; what is bad about it."""
        logs = CACHE / "logs" / "loop-hostile"
        logs.mkdir(parents=True, exist_ok=True)
        self.guest.close()
        console = self.guest.console()
        shutil.copy(self.guest.dir / "console", logs / f"console-{name}")
        self.guest = None
        return console

    def round(self, number, seed):
        dice = random.Random(seed)
        kinds = KINDS if dice.random() < 0.3 else dice.sample(KINDS, dice.choice((1, 2, 3)))
        percent = dice.choice((2, 10, 40))
        if self.options.kinds:
            sets = KINDS if self.options.kinds == "each" else self.options.kinds.split("/")
            kinds = sets[number % len(sets)].split(",")
        names = [device.name for device in devices()]
        which = names.index(self.options.device) if self.options.device else number % len(names)
        name = f"round {number}: {names[which]}, seed {seed}, {percent}% {','.join(kinds) if len(kinds) < 9 else 'any'}"
        findings, recorded, damage = [], [], {}
        started = time.monotonic()
        try:
            if not self.guest:
                self.fresh(seed)
            good = False
            device = self.device(which)
            damage, recorded, good = one_round(self.loop, device, kinds, percent, self.options.seconds, self.neighbour)
            if good and self.options.kernel.startswith("debug"):
                assert checkers.lockdep_is_on(self.guest), "lockdep is off"
        except (Lost, CommandFailed) as error:
            findings = [str(error)]
        except (AssertionError, AttributeError, LookupError, Hang) as error:
            findings = [f"{type(error).__name__}: {error}"]
        if not good or checkers.reports(self.guest.console()):
            if findings and not checkers.reports(self.guest.console()) and self.guest.alive():
                time.sleep(2)
            console = self.end(number)
            found = verdict.of_console(console)
            if found:
                recorded.append(str(found))
                findings = [*findings, *found.lines] if found.ours() else []
        for line in recorded:
            self.results.note(f"recorded: {line}")
        damage = ", ".join(f"{kind} {count}" for kind, count in damage.items())
        self.results.note(f"damage: {damage or 'not known'}")
        self.results.case(not findings, f"{name} ({time.monotonic() - started:.0f} s)", findings)
        return recorded

    def run(self, count):
        first = self.options.seed or random.randrange(1 << 30)
        total = {}
        for number in range(count):
            for line in self.round(number, first + number):
                what = re.sub(r"task \S+|0x[0-9a-f]+|\d+", "..", line)
                total[what] = total.get(what, 0) + 1
        if self.guest:
            lost = []
            try:
                self.neighbour.stop(self.loop)
                unload(self.loop, {device.module for device in self.devices.values()})
            except (Lost, AssertionError, CommandFailed) as error:
                lost = [str(error)]
            self.results.case(not lost, "all goes in the end", lost)
            found = checkers.reports(self.end("last"))
            self.results.case(not found, "no report of a checker", found)
        for what, times in sorted(total.items(), key=lambda item: -item[1]):
            self.results.note(f"{times} times: {what}")
        self.results.note(f"{self.boots} boots")
