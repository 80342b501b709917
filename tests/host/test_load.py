"""Loading and removing the bus driver: negotiation, parameters, refusals, reloads. No VSC is loaded here."""

import re

from hostlib.guest import Guest
from hostlib.testing import EACH_SERIES, OURS, case, note

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


@case(kernels=EACH_SERIES)
def negotiates_downwards(guest: Guest) -> None:
    """The host refuses 4.1 and takes 4.0; both steps are in its trace."""
    mark = guest.mark()
    guest.load("hv_vmbus")
    asked = re.findall(CONTACT, guest.trace(mark))
    assert asked[-2:] == ["4.1", "4.0"], f"versions asked for: {asked}"
    assert guest.dmesg("hv_vmbus: Vmbus version:4\\.0"), "no version line in the log"
    guest.wait_trace(r"vmbus_process_incoming_message type 3\b", mark)
    guest.wait_trace(r"vmbus_terminate_offers", mark)


@case(kernels=EACH_SERIES)
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


def windows(guest: Guest) -> list[str]:
    """What the log has behind "hv_mmio=", each time that a root device was bound."""
    return re.findall(r"hv_vmbus: hv_mmio=(.*)$", guest.dmesg(), re.M)


@case(drivers=(OURS,))
def finds_no_windows(guest: Guest) -> None:
    """QEMU's VMBus device, just below the system bus, has no windows, and there is no display: the log says so."""
    guest.load("hv_vmbus")
    assert guest.sh("cat /sys/bus/acpi/devices/VMBUS*/path") == r"\_SB_.VMBS"
    found = windows(guest)
    assert found and set(found) == {"(null),(null) fb=(null)"}, found
    assert "_CCA" not in guest.dmesg()


@case(kernels=EACH_SERIES)
def max_version_is_kept(guest: Guest) -> None:
    """max_version=0x40000: the host is asked for 4.0 and nothing later."""
    remove(guest)
    mark = guest.mark()
    guest.load("hv_vmbus", "max_version=0x40000")
    asked = re.findall(CONTACT, guest.trace(mark))
    assert asked == ["4.0"], f"versions asked for: {asked}"
    assert guest.sh("cat /sys/module/hv_vmbus/parameters/max_version") == str(0x40000)
    remove(guest)


@case(kernels=EACH_SERIES)
def older_version_works(guest: Guest) -> None:
    """max_version=0x30000 (Windows 8.1): a device appears under the older protocol as well."""
    remove(guest)
    mark = guest.mark()
    guest.load("hv_vmbus", "max_version=0x30000")
    assert re.findall(CONTACT, guest.trace(mark)) == ["3.0"]
    assert guest.dmesg("Vmbus version:3\\.0")
    assert guest.sh("ls /sys/bus/vmbus/devices"), "no device on the bus"
    remove(guest)


@case(kernels=EACH_SERIES)
def unsupported_max_version_is_refused(guest: Guest) -> None:
    """A max_version below all known ones: a clear error, the load fails, nothing is left behind."""
    guest.load("hv_vmbus")
    remove(guest)
    before = guest.sh(FOOTPRINT)
    mark = guest.log_mark()
    status, output = guest.insmod("hv_vmbus", "max_version=0x10")
    said = guest.log_since(mark)
    if status == 0:
        remove(guest)
    assert status != 0, f"insmod succeeded; the log says:\n{said}"
    assert "hv_vmbus" in said, f"nothing in the log; insmod said: {output}"
    after = guest.sh(FOOTPRINT)
    assert after == before, f"left behind:\n{difference(before, after)}"
    guest.load("hv_vmbus")
    remove(guest)


# What /proc accounts for: free in the zones and on the CPUs' lists, or used by name. A page leaked is in none of them.
MEMORY = r"""sync; sleep 0.5; echo 3 >/proc/sys/vm/drop_caches
for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache; done 2>/dev/null
cat /proc/sys/vm/stat_refresh
awk '/^(MemFree|Cached|Buffers|AnonPages|KernelStack|PageTables|Slab|Percpu):/ { s += $2 }
	$1 == "count:" { s += 4 * $2 } END { print s }' /proc/meminfo /proc/zoneinfo"""
WARM_UP, BATCH, LIMIT = 10, 25, 150


def memory_now(guest: Guest) -> int:
    """kB accounted for; the most of several readings, since what is under way is in none."""
    return max(int(guest.sh(MEMORY).split()[-1]) for _ in range(3))


def reload_many(guest: Guest, count: int, per: float = 4.0) -> None:
    """insmod, wait for the device, rmmod; again and again, in the guest's own shell."""
    loop = (f"i=0; while [ $i -lt {count} ]; do insmod /m/hv_vmbus.ko || exit 1; n=0; "
            "until [ -n \"$(ls /sys/bus/vmbus/devices)\" ]; do n=$((n+1)); [ $n -lt 100 ] || exit 2; sleep 0.05; done; "
            "rmmod hv_vmbus || exit 3; i=$((i+1)); done")
    guest.sh(loop, timeout=60 + count * per)


@case()
def reloads_without_loss(guest: Guest) -> None:
    """60 loads and removals: the host sees each UNLOAD, and no page a reload is lost (objects: reloads_leak_nothing)."""
    remove(guest)
    mark = guest.mark()
    reload_many(guest, WARM_UP)
    states, losses = [memory_now(guest)], []
    # A page a reload would be 200 kB in two batches. What runs in the guest besides is good for 50, now and then for
    # more: then it is done again, and the smallest loss counts.
    while not losses or (losses[-1] >= LIMIT and len(losses) < 3):
        for _ in range(2):
            reload_many(guest, BATCH)
            states.append(memory_now(guest))
        losses.append(states[-3] - states[-1])
        note(f"{guest.kernel.name}: {losses[-1]} kB lost in {2 * BATCH} reloads")
    done = WARM_UP + BATCH * (len(states) - 1)
    unloads = len(re.findall(UNLOADS, guest.trace(mark)))
    assert unloads == done, f"the host saw {unloads} UNLOADs of {done}"
    assert min(losses) < LIMIT, f"{losses} kB lost, each in {2 * BATCH} reloads (a page each: {8 * BATCH})"
