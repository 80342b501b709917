"""Loading and removing the bus driver: negotiation, parameters, refusals, reloads. No VSC is loaded here."""

import re

from hostlib.guest import Guest, Setup
from hostlib.testing import Environment, case

# hv_balloon cannot be removed once loaded, so that these cases come before those that load it.
FOOTPRINT = ("ls /sys/module /sys/bus /sys/bus/acpi/drivers /sys/kernel/debug /sys/kernel/tracing/events; "
             "cut -d: -f2 /sys/devices/system/cpu/hotplug/states; cat /proc/iomem; "
             "ls /proc/irq; cut -d: -f1 /proc/interrupts")
UNLOADS = r"vmbus_process_incoming_message type 16\b"
CONTACT = r"vmbus_initiate_contact version (\d+\.\d+)"


def remove(guest: Guest) -> None:
    """Take the bus driver out."""
    guest.unload("hv_utils")
    guest.unload("hv_vmbus")


@case()
def negotiates_downwards(guest: Guest) -> None:
    """The host refuses 4.1 and takes 4.0; both steps are in its trace."""
    mark = guest.mark()
    guest.load("hv_vmbus")
    asked = re.findall(CONTACT, guest.trace(mark))
    assert asked[-2:] == ["4.1", "4.0"], f"versions asked for: {asked}"
    assert "hv_vmbus: Vmbus version:4.0" in guest.dmesg(), "no version line in the log"
    guest.wait_trace(r"vmbus_process_incoming_message type 3\b", mark)
    guest.wait_trace(r"vmbus_terminate_offers", mark)


@case()
def removes_with_unload(guest: Guest) -> None:
    """rmmod tells the host to unload, and leaves nothing behind."""
    guest.load("hv_vmbus")
    remove(guest)
    before = guest.sh(FOOTPRINT)
    mark = guest.mark()
    guest.load("hv_vmbus")
    assert guest.sh("ls /sys/bus/vmbus/devices"), "no device on the bus"
    remove(guest)
    guest.wait_trace(UNLOADS, mark)
    after = guest.sh(FOOTPRINT)
    assert after == before, f"left behind:\n{difference(before, after)}"


def difference(before: str, after: str) -> str:
    """Lines that came and went, for a failure's text."""
    old, new = before.splitlines(), after.splitlines()
    return "\n".join([f"- {line}" for line in old if line not in new] + [f"+ {line}" for line in new if line not in old])


@case()
def max_version_is_kept(guest: Guest) -> None:
    """max_version=0x40000: the host is asked for 4.0 and nothing later."""
    remove(guest)
    mark = guest.mark()
    guest.load("hv_vmbus", "max_version=0x40000")
    asked = re.findall(CONTACT, guest.trace(mark))
    assert asked == ["4.0"], f"versions asked for: {asked}"
    assert guest.sh("cat /sys/module/hv_vmbus/parameters/max_version") == str(0x40000)
    remove(guest)


@case()
def older_version_works(guest: Guest) -> None:
    """max_version=0x30000 (Windows 8.1): a device appears under the older protocol as well."""
    remove(guest)
    mark = guest.mark()
    guest.load("hv_vmbus", "max_version=0x30000")
    assert re.findall(CONTACT, guest.trace(mark)) == ["3.0"]
    assert "Vmbus version:3.0" in guest.dmesg()
    assert guest.sh("ls /sys/bus/vmbus/devices"), "no device on the bus"
    remove(guest)


@case()
def unsupported_max_version_is_refused(guest: Guest) -> None:
    """A max_version below all known ones: a clear error, the load fails, nothing is left behind."""
    guest.load("hv_vmbus")
    remove(guest)
    before = guest.sh(FOOTPRINT)
    lines = len(guest.dmesg().splitlines())
    status, output = guest.insmod("hv_vmbus", "max_version=0x10")
    said = "\n".join(guest.dmesg().splitlines()[lines:])
    if status == 0:
        remove(guest)
    assert status != 0, f"insmod succeeded; the log says:\n{said}"
    assert "hv_vmbus" in said, f"nothing in the log; insmod said: {output}"
    after = guest.sh(FOOTPRINT)
    assert after == before, f"left behind:\n{difference(before, after)}"
    guest.load("hv_vmbus")
    remove(guest)


MEMORY = ("sync; echo 3 >/proc/sys/vm/drop_caches; sleep 0.3; "
          "awk '/^(MemFree|Cached|Buffers):/ { s += $2 } END { print s }' /proc/meminfo")
RELOADS = 50


def reload_many(guest: Guest, count: int, per: float = 4.0) -> None:
    """insmod, wait for the device, rmmod; again and again, in the guest's own shell."""
    loop = (f"i=0; while [ $i -lt {count} ]; do insmod /m/hv_vmbus.ko || exit 1; n=0; "
            "until [ -n \"$(ls /sys/bus/vmbus/devices)\" ]; do n=$((n+1)); [ $n -lt 100 ] || exit 2; sleep 0.05; done; "
            "rmmod hv_vmbus || exit 3; i=$((i+1)); done")
    guest.sh(loop, timeout=60 + count * per)


@case()
def reloads_without_loss(guest: Guest) -> None:
    """50 loads and removals: the host sees each UNLOAD, the guest has all its memory back."""
    remove(guest)
    reload_many(guest, 3)
    before = int(guest.sh(MEMORY))
    mark = guest.mark()
    reload_many(guest, RELOADS)
    after = int(guest.sh(MEMORY))
    unloads = len(re.findall(UNLOADS, guest.trace(mark)))
    assert unloads == RELOADS, f"the host saw {unloads} UNLOADs"
    # One page a reload would be 200 kB; the guest's own noise is less.
    assert before - after < 4 * RELOADS, f"{before - after} kB lost in {RELOADS} reloads"


@case(setup=None)
def refuses_other_machines(env: Environment) -> None:
    """On a machine that is not Hyper-V: ENODEV, one line at most in the log, nothing left behind."""
    guest = env.boot_plain(Setup(vmbus=False))
    before = guest.sh(FOOTPRINT)
    lines = len(guest.dmesg().splitlines())
    status, output = guest.insmod("hv_vmbus")
    # busybox insmod tries a second system call after a failure: the same line twice is one.
    said = {re.sub(r"^\[[ .0-9]+\] ", "", line) for line in guest.dmesg().splitlines()[lines:]
            if "taint" not in line and "signature" not in line}
    assert status != 0, "insmod succeeded"
    assert "No such device" in output, f"insmod said: {output}"
    assert len(said) <= 1, f"the log says: {said}"
    assert guest.sh(FOOTPRINT) == before, f"left behind:\n{difference(before, guest.sh(FOOTPRINT))}"


@case(kernels=("debug",))
def reloads_leak_nothing(guest: Guest) -> None:
    """In the kernel with KASAN, lockdep and kmemleak: 50 reloads, no report of any of them."""
    guest.load("hv_vmbus")
    remove(guest)
    guest.sh("echo clear >/sys/kernel/debug/kmemleak")
    mark = guest.mark()
    reload_many(guest, RELOADS, per=10)
    unloads = len(re.findall(UNLOADS, guest.trace(mark)))
    assert unloads == RELOADS, f"the host saw {unloads} UNLOADs"
    # An object counts once it is old enough (5 s) and two scans missed it.
    guest.sh("sleep 6; echo scan >/sys/kernel/debug/kmemleak; sleep 1; echo scan >/sys/kernel/debug/kmemleak", 300)
    leaks = guest.sh("cat /sys/kernel/debug/kmemleak")
    assert not leaks, f"kmemleak:\n{leaks}"
