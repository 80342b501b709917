"""Machines on which the tick has nowhere to go but the local APIC timer: a synthetic timer must not strand it."""

import re

from hostlib.guest import Guest, Setup
from hostlib.testing import OURS, case

NO_OTHER = "hpet=off,pit=off"
# As a generation 2 VM: no HPET, no PIT. The original hangs or panics here, whatever the kernel.
BARE = Setup(modules=("hv_balloon",), extras=("kexec",), machine=NO_OTHER)
# Without ARAT the local APIC timer is no broadcast device, and synthetic timers are used, as on Hyper-V itself.
NO_ARAT = Setup(modules=("hv_balloon",), extras=("kexec",), machine=NO_OTHER, append="clearcpuid=450")

TICKS = ("cd /sys/devices/system/clockevents; cat clockevent*/current_device; "
         "for cpu in 0 1; do taskset -c $cpu sleep 0.2 || exit 1; done")


def devices(guest: Guest) -> list[str]:
    """What each CPU ticks by, once each of them has slept and woken: in less than a minute."""
    return re.findall(r"^[A-Za-z].*", guest.sh(TICKS, 60), re.M)


def reloads(guest: Guest, loaded: str) -> None:
    """Load and remove; each time all CPUs go on by the timer that they had before."""
    before = devices(guest)
    assert all("lapic" in name for name in before), before
    for _ in range(2):
        guest.load("hv_vmbus")
        now = devices(guest)
        assert all(loaded in name for name in now), now
        guest.sh("rmmod hv_vmbus", 60)
        now = devices(guest)
        assert now == before, now


def kexecs(guest: Guest) -> None:
    """The next kernel comes up, finds the host, and ticks."""
    guest.load("hv_vmbus")
    guest.sh("kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline", 120)
    mark = guest.mark()
    guest.agent.post("kexec -e")
    guest.wait_trace(r"vmbus_process_incoming_message type 16\b", mark)
    guest.wait_reboot()
    guest.load("hv_vmbus")
    assert guest.sh("ls /sys/bus/vmbus/devices"), "no device on the bus"
    assert len(devices(guest)) == 2


@case(setup=BARE, drivers=(OURS,))
def ticks_after_removal(guest: Guest) -> None:
    """Timers as messages, and nothing but the local APIC timer beside: rmmod leaves a machine that ticks."""
    reloads(guest, "lapic")


@case(setup=BARE, drivers=(OURS,))
def ticks_after_kexec(guest: Guest) -> None:
    """The same machine starts another kernel."""
    kexecs(guest)


@case(setup=NO_ARAT, drivers=(OURS,))
def message_timers_are_given_up(guest: Guest) -> None:
    """A local APIC timer that sleeps in deep idle: synthetic timers take over, and give way at removal."""
    reloads(guest, "Hyper-V")


@case(setup=NO_ARAT, drivers=(OURS,))
def message_timers_end_with_kexec(guest: Guest) -> None:
    """Synthetic timers that send messages are gone before the next kernel starts."""
    kexecs(guest)
