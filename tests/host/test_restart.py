"""The guest starts over, or crashes, and the next kernel connects to the same host again."""

import re

from hostlib.agent import BootLost
from hostlib.guest import Guest, Setup
from hostlib.testing import OURS, case
from side_by_side import RINGS
from test_device import device, with_balloon
from test_power import UNLOAD, in_order

# All cases in one boot. The kdump kernel comes last: it is small, and has what it needs of the others' images.
SETUP = Setup(modules=("hv_balloon",), extras=("kexec", "test-modules"), memory=1200, append="crashkernel=256M")
CONTACT, OPEN = r"vmbus_initiate_contact version 4\.0", r"vmbus_channel_open channel #1 status 0\b"
# A CPU that is not the one that gets the host's messages: the answer to UNLOAD has to be found all the same.
CRASH = "taskset 2 sh -c 'echo c >/proc/sysrq-trigger'"


def actions(guest: Guest, **what: str) -> None:
    """What the host does when the guest resets or says that it crashed."""
    assert guest.monitor_ is not None
    guest.monitor_.execute("set-action", **what)


def crash(guest: Guest) -> int:
    """Panic on CPU 1; returns, once the host has seen UNLOAD, where its account of the crash begins."""
    guest.expected.append("Kernel panic - not syncing: sysrq triggered crash")
    # Else the host stops the machine as soon as the guest reports its crash.
    actions(guest, panic="none")
    mark = guest.mark()
    guest.agent.post(CRASH)
    guest.wait_trace(UNLOAD, mark, 60)
    return mark


def wait_next(guest: Guest, mark: int) -> None:
    """Wait for the next kernel's init. It is no lost boot if the one that crashed still waits for an answer to UNLOAD."""
    try:
        guest.wait_reboot()
    except BootLost as lost:
        answer = guest.trace(mark).partition("vmbus_post_msg type 17")[2]
        if "vmbus_msg_cb message status 0" not in answer:
            raise AssertionError(f"the host could not deliver its answer to UNLOAD ({lost})") from lost
        raise


# The first in this boot: it needs a bus that was not loaded before.
@case(setup=SETUP, drivers=(OURS,))
def connects_after_kexec_without_unload(guest: Guest) -> None:
    """A version that has no UNLOAD: the next kernel finds a host that is connected, and takes over."""
    guest.load("hv_vmbus", "max_version=0x20004")
    # Not hv_balloon's channel: QEMU may look into that ring later and aborts if a report is there of which nobody told it.
    guest.load("vmbus_rings")
    name = device(guest)
    guest.sh(f"echo 65536 >{RINGS}/keep")
    guest.wait_trace(OPEN)
    guest.sh("kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline", 120)
    mark = guest.mark()
    guest.agent.post("kexec -e")
    guest.wait_reboot()
    assert "version 2.4 has no UNLOAD" in guest.console(), "no line about it"
    with_balloon(guest)
    assert device(guest) == name, "another device than before"
    trace = guest.trace(mark)
    assert not re.search(UNLOAD, trace), "an UNLOAD, at 2.4"
    in_order(trace, (CONTACT, OPEN))


@case(setup=SETUP)
def connects_after_reset(guest: Guest) -> None:
    """The machine is reset under an open channel; the next boot connects and opens again."""
    with_balloon(guest)
    actions(guest, reboot="reset")
    mark = guest.mark()
    guest.monitor("system_reset")
    guest.wait_reboot()
    actions(guest, reboot="shutdown")
    with_balloon(guest)
    assert not re.search(UNLOAD, guest.trace(mark)), "the guest was not reset, it went down"
    in_order(guest.trace(mark), (CONTACT, OPEN))


@case(setup=SETUP)
def connects_after_kexec(guest: Guest) -> None:
    """kexec into a second kernel: the host sees UNLOAD in between, the second kernel finds the device."""
    with_balloon(guest)
    name = device(guest)
    guest.sh("kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline", 120)
    mark = guest.mark()
    guest.agent.post("kexec -e")
    guest.wait_trace(UNLOAD, mark)
    guest.wait_reboot()
    with_balloon(guest)
    assert device(guest) == name, "another device than before"
    in_order(guest.trace(mark), (UNLOAD, CONTACT, OPEN))


@case(setup=SETUP)
def unloads_in_a_panic(guest: Guest) -> None:
    """A panic under an open channel, no kdump kernel: UNLOAD, its answer is found, and the next boot connects."""
    with_balloon(guest)
    actions(guest, reboot="reset")
    before = len(guest.console())
    mark = crash(guest)
    wait_next(guest, mark)
    actions(guest, reboot="shutdown", panic="shutdown")
    said = [line for line in guest.console()[before:].splitlines() if "UNLOAD did not complete" in line]
    assert not said, f"the guest said: {said}"
    with_balloon(guest)
    in_order(guest.trace(mark), (UNLOAD, CONTACT, OPEN))


@case(setup=SETUP)
def connects_after_kdump(guest: Guest) -> None:
    """A panic under an open channel with a kdump kernel: UNLOAD, then that kernel finds the device and opens it."""
    with_balloon(guest)
    name = device(guest)
    guest.sh("kexec -c -p /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline --append=nr_cpus=1", 120)
    mark = crash(guest)
    wait_next(guest, mark)
    guest.sh("ls /proc/vmcore")
    with_balloon(guest)
    assert device(guest) == name, "another device than before"
    in_order(guest.trace(mark), (UNLOAD, CONTACT, OPEN))
