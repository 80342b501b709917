"""The kernel with KASAN, UBSAN, lockdep and kmemleak as the guest: what they say of all that the driver does.

Every case fails if the console has a report. All share a boot, so those that load hv_balloon for good come
last.
"""

import re

from hostlib.checkers import KMEMLEAK, forget_leaks, leaks, lockdep_is_on
from hostlib.guest import Guest, Setup
from hostlib.testing import case, note
from side_by_side import RINGS, bus_with_rings, open_rings, without_bus
from test_device import DRIVER, device, with_balloon
from test_load import UNLOADS, reload_many
from test_power import turns_round

SETUP = Setup(extras=("test-modules",))
# Each object lost is one too many, so few will do; 60 reloads of an ordinary kernel are test_load.py's.
RELOADS = 20
REBINDS = 5


@case(setup=SETUP, kernels=("debug",))
def reloads_leak_nothing(guest: Guest) -> None:
    """20 loads and removals: the host sees each UNLOAD, nothing is lost."""
    without_bus(guest)
    reload_many(guest, 1, per=20)
    forget_leaks(guest)
    mark = guest.mark()
    reload_many(guest, RELOADS, per=20)
    unloads = len(re.findall(UNLOADS, guest.trace(mark)))
    assert unloads == RELOADS, f"the host saw {unloads} UNLOADs"
    found = leaks(guest)
    assert not found, f"kmemleak:\n{found}"


@case(setup=SETUP, kernels=("debug",))
def checkers_are_on(guest: Guest) -> None:
    """Lockdep, KASAN and kmemleak work in this guest, else silence means nothing."""
    assert lockdep_is_on(guest)
    assert "kmemleak" in guest.sh(f"ls {KMEMLEAK}")
    assert guest.dmesg("KernelAddressSanitizer initialized")


@case(setup=SETUP, kernels=("debug",))
def versions_under_checkers(guest: Guest) -> None:
    """Refused and older versions of the protocol, each followed by a removal."""
    without_bus(guest)
    for version, works in ((0x10, False), (0x30000, True), (0x40000, True)):
        status, output = guest.insmod("hv_vmbus", f"max_version={version:#x}", 120)
        assert (status == 0) == works, f"max_version={version:#x}: {output}"
        without_bus(guest)


@case(setup=SETUP, kernels=("debug",))
def utils_under_checkers(guest: Guest) -> None:
    """hv_utils is loaded and removed."""
    guest.load("hv_utils")
    guest.sh("ls /sys/bus/vmbus/drivers/hv_utils")
    guest.unload("hv_utils")


@case(setup=SETUP, kernels=("debug",))
def rings_under_checkers(guest: Guest) -> None:
    """Rings of several sizes open, carry a packet each way, and close; the bus goes with a channel open."""
    without_bus(guest)
    bus_with_rings(guest)
    for kbytes in (8, 64, 512, 2048):
        result = open_rings(guest, kbytes, 3)
        assert result["opened"] == result["answered"] == 3, f"{kbytes} KiB: {result}"
    # Less than a page is no ring.
    assert open_rings(guest, 1, 1)["failed"] == 1, "rings of 1 KiB were opened"
    guest.sh(f"echo 65536 >{RINGS}/keep")
    without_bus(guest)


# Each attribute of the device, the channel, the bus and the driver is read, whatever reading says.
READERS = r"""
for reader in 1 2; do
	while [ ! -e /tmp/stop ]; do
		find /sys/bus/vmbus/ /sys/bus/vmbus/devices/*/ /sys/bus/vmbus/drivers/*/ /sys/module/hv_vmbus -type f -perm -400 |
			xargs -n 40 cat
	done >/dev/null 2>&1 &
done
"""


def cpu_is_refused(guest: Guest, path: str) -> None:
    """Moving a channel needs protocol 4.1; this host speaks 4.0."""
    for cpu in ("1", "0", "9999", "-1", "x", ""):
        status, output = guest.run(f"echo '{cpu}' >{path}/channels/1/cpu")
        assert status, f"cpu took '{cpu}'"
        if cpu == "1":
            assert re.search("I/O error|Input/output error", output), output


def overrides(guest: Guest, path: str, driver: str) -> None:
    """driver_override decides what binds; new_id and remove_id take GUIDs, and refuse what is none."""
    name = path.rsplit("/", 1)[1]
    drivers = f"/sys/bus/vmbus/drivers/{driver}"
    guest.sh(f"echo {name} >{drivers}/unbind; echo nobody >{path}/driver_override")
    assert guest.run(f"echo {name} >{drivers}/bind")[0], "bound against driver_override"
    guest.sh(f"echo {driver} >{path}/driver_override")
    assert guest.sh(f"cat {path}/driver_override") == driver
    guest.sh(f"echo {name} >{drivers}/bind; echo >{path}/driver_override")
    assert guest.sh(f"cat {path}/driver_override") == "(null)"
    guid = "12345678-0000-1111-2222-333344445555"
    guest.sh(f"echo {guid} >{drivers}/new_id")
    assert guest.run(f"echo {guid} >{drivers}/new_id")[0], "new_id took the same twice"
    guest.sh(f"echo {guid} >{drivers}/remove_id")
    assert guest.run(f"echo {guid} >{drivers}/remove_id")[0], "remove_id took what was gone"
    for wrong in ("", "x", guid[:-1], "z" * 36, "1" * 4000):
        for where in ("new_id", "remove_id"):
            assert guest.run(f"echo '{wrong}' >{drivers}/{where}")[0], f"{where} took '{wrong[:40]}'"
    assert guest.sh(f"cat {path}/state") == "3" or driver == "vmbus_rings"


@case(setup=SETUP, kernels=("debug",))
def writes_under_checkers(guest: Guest) -> None:
    """Writes to cpu, driver_override, new_id and remove_id, taken and refused; then the bus goes, and a dynamic id with it."""
    without_bus(guest)
    bus_with_rings(guest)
    guest.sh(f"echo 65536 >{RINGS}/keep")
    path = device(guest)
    cpu_is_refused(guest, path)
    overrides(guest, path, "vmbus_rings")
    guest.sh("echo 12345678-0000-1111-2222-333344445555 >/sys/bus/vmbus/drivers/vmbus_rings/new_id")
    without_bus(guest)


@case(setup=SETUP, kernels=("debug",))
def reads_while_binding(guest: Guest) -> None:
    """All attributes are read in a loop while the driver is unbound and bound, the channel opened, the bus removed."""
    without_bus(guest)
    guest.sh("rm -f /tmp/stop; " + READERS)
    for _ in range(3):
        bus_with_rings(guest)
        path = device(guest)
        name, driver = path.rsplit("/", 1)[1], "/sys/bus/vmbus/drivers/vmbus_rings"
        for _ in range(REBINDS):
            guest.sh(f"echo 65536 >{RINGS}/keep; echo {name} >{driver}/unbind && echo {name} >{driver}/bind", 120)
        # Readers hold a module's attributes, not the module.
        without_bus(guest)
    guest.sh("touch /tmp/stop; sleep 3")


@case(setup=SETUP, kernels=("debug",))
def balloon_under_checkers(guest: Guest) -> None:
    """hv_balloon is bound and unbound 5 times under readers; then kmemleak has the last word on this guest."""
    without_bus(guest)
    forget_leaks(guest)
    path = with_balloon(guest)
    name = path.rsplit("/", 1)[1]
    guest.sh("rm -f /tmp/stop; " + READERS)
    for _ in range(REBINDS):
        guest.sh(f"echo {name} >{DRIVER}/unbind && echo {name} >{DRIVER}/bind", 120)
    guest.wait_for(lambda: guest.sh(f"cat {path}/state") == "3", 20, "the channel is not open in the end")
    guest.sh("touch /tmp/stop; sleep 3")
    cpu_is_refused(guest, path)
    assert lockdep_is_on(guest), guest.sh("cat /proc/lockdep_stats")
    found = leaks(guest)
    ours = [leak for leak in re.split(r"(?m)^(?=unreferenced object)", found) if leak.strip()]
    note(f"{guest.kernel.name}: kmemleak has {len(ours)} objects")
    assert not ours, "kmemleak:\n" + "\n".join(ours)


@case(setup=SETUP, kernels=("debug",))
def freezes_under_checkers(guest: Guest) -> None:
    """pm_test platform and core with hv_balloon at work: no checker complains, nothing is lost."""
    with_balloon(guest)
    forget_leaks(guest)
    for level in ("platform", "core", "core"):
        turns_round(guest, level)
    # 7.3 itself, under its own hv_vmbus too: it changes a static call while interrupts are off, and waits for CPUs there.
    if guest.dmesg("hv_suspend\\+0x"):
        guest.expected.append("smp_call_function_many_cond")
    assert lockdep_is_on(guest), guest.sh("cat /proc/lockdep_stats")
    found = leaks(guest)
    assert not found, f"kmemleak:\n{found}"
