"""Hibernation: the host is left before the image and found again after it."""

import re
import time

from hostlib.guest import Guest, Setup
from hostlib.testing import case
from test_device import HOST_WAIT, device, memory_free, with_balloon

SETUP = Setup(modules=("hv_balloon",))
# What the host sees of one round, in this order.
ROUND = (
    r"vmbus_process_incoming_message type 7\b",     # close
    r"vmbus_process_incoming_message type 11\b",    # GPADL teardown
    r"vmbus_process_incoming_message type 16\b",    # UNLOAD
    r"vmbus_initiate_contact version 4\.0",
    r"vmbus_send_offer channel #1\b",
    r"vmbus_channel_open channel #1 status 0\b",
)


def in_order(trace: str, patterns: tuple[str, ...]) -> None:
    """Each pattern is in the trace, after the one before it."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(trace, at)
        assert found, f"not in the host's trace in its place: {pattern}\n{trace[-3000:]}"
        at = found.end()


def freeze(guest: Guest, level: str) -> str:
    """One hibernation that turns round at this level of /sys/power/pm_test; returns what the kernel said."""
    guest.sh(f"echo {level} >/sys/power/pm_test; echo shutdown >/sys/power/disk; dmesg -c >/tmp/before")
    guest.sh("echo disk >/sys/power/state", 180)
    guest.opened_at = time.monotonic()
    return guest.dmesg()


def turns_round(guest: Guest, level: str) -> None:
    """At this level: the host sees it all, and the device is the same as before, bound and open."""
    path = with_balloon(guest)
    mark = guest.mark()
    said = freeze(guest, level)
    assert "hibernation debug: Waiting" in said, said
    assert not re.search(r"hv_vmbus.*(error|not there|no connection)|failed to .* noirq", said), said
    in_order(guest.trace(mark), ROUND)
    assert device(guest) == path
    assert guest.sh(f"cat {path}/state") == "3", "the channel is not open"
    assert guest.sh(f"readlink {path}/driver").endswith("/hv_balloon")
    assert guest.sh(f"ls {path}/channels") == "1"


@case(setup=SETUP)
def devices_freeze_and_thaw(guest: Guest) -> None:
    """pm_test platform, twice: the channel is closed, UNLOAD, connected with 4.0 again, offered, opened."""
    turns_round(guest, "platform")
    turns_round(guest, "platform")


@case(setup=SETUP)
def freezes_with_one_cpu(guest: Guest) -> None:
    """pm_test processors: the same with CPU 1 off and on between."""
    turns_round(guest, "processors")
    assert guest.sh("cat /sys/devices/system/cpu/online") == "0-1"


@case(setup=SETUP)
def freezes_to_the_core(guest: Guest) -> None:
    """pm_test core: the same with the SynIC of CPU 0 off and on; then the balloon still moves memory."""
    turns_round(guest, "core")
    assert guest.opened_at is not None
    time.sleep(max(0.0, guest.opened_at + HOST_WAIT + 3 - time.monotonic()))
    before = memory_free(guest)
    guest.balloon(384)
    guest.wait_for(lambda: "actual=384" in guest.monitor("info balloon"), 60, "the host never had its memory")
    guest.wait_for(lambda: before - memory_free(guest) >= 100, 20, "the guest's memory is as it was")
    guest.balloon(512)
    guest.wait_for(lambda: "actual=512" in guest.monitor("info balloon"), 60, "the host never gave it back")
