"""What cases of hv_vmbus_loop.ko have in common: how they are declared, and the guest with the bus in it."""

import re

MODULE = "hv_vmbus_loop"
LOOP = f"/sys/kernel/debug/{MODULE}"
NIC = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
SCSI = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
CHECKING = "debug"      # kernels with all checkers on, which are slow
CASES = []


class Skip(Exception):
    """The case does not apply to this kernel; says why."""


def case(function):
    """A case gets the Loop. They run in this order, in one guest, each as the one before left it."""
    CASES.append(function)
    return function


class Loop:
    """The guest, and what cases do with it."""

    def __init__(self, guest, options):
        self.guest = guest
        self.options = options
        self.checking = options.kernel.startswith(CHECKING)
        self.notes = []

    def sh(self, command, timeout=60):
        return self.guest.sh(command, timeout)

    def start(self, args=""):
        seed = f" seed={self.options.seed}" if self.options.seed else ""
        self.sh(f"insmod /m/{MODULE}.ko{seed} {args}", 120)

    def load(self, name):
        """Load one of the kernel's modules and what it needs, apart from the bus, which ours is."""
        for need in self.guest.kernel.load_order([name]):
            if need != "hv_vmbus" and not self.guest.loaded(need):
                self.sh(f"insmod /m/{need}.ko")

    def run(self, command, timeout=250):
        """Run one of the programs; what it says is worth a note."""
        said = self.sh(command, timeout)
        self.notes += [f"{command.split(';')[0]}: {line}" for line in said.splitlines()]
        return said

    def host(self, file, text):
        self.sh(f"echo '{text}' >{LOOP}/{file}")

    def counters(self, file):
        """One of the host's files with a name and a number in each line."""
        return {name: int(value) for name, value in map(str.split, self.sh(f"cat {LOOP}/{file}").splitlines())}

    def sockets(self):
        return self.counters("sockets")

    def channels(self):
        """relid -> (type, instance, sub-channel index, state, packets in, packets out, interrupts), of devices."""
        rows = map(str.split, self.sh(f"cat {LOOP}/channels").splitlines())
        return {int(row[0]): row[1:] for row in rows}

    def signals(self, instance):
        """Signals and interrupts of a device's channels so far, as everybody reads them in sysfs."""
        return {name: sum(map(int, self.sh(f"cat /sys/bus/vmbus/devices/{instance}/channels/*/{name}").split()))
                for name in ("events", "interrupts")}

    def messages(self, kind):
        """Messages of this type that the host got so far."""
        return dict(map(str.split, self.sh(f"cat {LOOP}/messages").splitlines())).get(str(kind), "0")

    def wait(self, condition, what, timeout=30):
        return self.guest.wait_for(condition, timeout, what)

    def no_sockets(self):
        """All channels of sockets have been taken away and given back."""
        def gone():
            return not self.sockets()["now"] and not self.sh("ls /sys/bus/vmbus/drivers/hv_sock | grep -- - || true")
        self.wait(gone, "sockets, or their devices, are left")

    def memory(self):
        """What is allocated: objects of each slab cache, pages. KASAN keeps freed objects until a cache is shrunk."""
        self.sh("sync; echo 3 >/proc/sys/vm/drop_caches; sleep 3; "
                "for cache in /sys/kernel/slab/*; do echo 1 >$cache/shrink; done 2>/dev/null; sleep 1; "
                "echo 3 >/proc/sys/vm/drop_caches", 120)
        slabs = [line.split() for line in self.sh("tail -n +3 /proc/slabinfo").splitlines()]
        found = re.findall(r"(?m)^(\w+): +(\d+) kB", self.sh("cat /proc/meminfo"))
        kbytes = {name: int(value) for name, value in found}
        return {row[0]: int(row[1]) for row in slabs} | {
            "pages in use": (kbytes["MemTotal"] - kbytes["MemAvailable"]) // 4,
            "vmalloc pages": kbytes["VmallocUsed"] // 4,
        }

    def offer_nic(self):
        """One more NIC; its relid and instance once it is a device."""
        # A relid that was given back is listed until another channel has it.
        there = lambda: {relid for relid, row in self.channels().items() if row[3] != "released"}  # noqa: E731
        before = there()
        self.host("offer", NIC)
        self.wait(lambda: there() - before, "the NIC is not offered")
        relid = (there() - before).pop()
        instance = self.channels()[relid][1]
        self.wait(lambda: self.guest.run(f"test -d /sys/bus/vmbus/devices/{instance}")[0] == 0, "no device")
        return relid, instance

    def bind_uio(self, instance):
        """The N of its uioN."""
        self.wait(lambda: self.guest.run(f"ls /sys/bus/vmbus/devices/{instance}/uio/uio*/maps/map4")[0] == 0,
                  "uio_hv_generic did not bind")
        return self.sh(f"ls /sys/bus/vmbus/devices/{instance}/uio").removeprefix("uio")


def violations(loop):
    """What the host says the guest did wrong."""
    status, count = loop.guest.run(f"cat {LOOP}/violations")
    assert status or count.strip() == "0", loop.sh("dmesg | grep 'guest is wrong' | tail -n 20")
