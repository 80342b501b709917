"""Hibernation that turns round before there is an image: the host is left and found again."""

import re
import time

from hostlib.guest import Guest
from hostlib.testing import case
from test_device import device, pressure_is_reported, with_balloon

# What the host sees of one round, in this order.
UNLOAD = r"vmbus_process_incoming_message type 16\b"
DOWN = (
    r"vmbus_process_incoming_message type 7\b",     # close
    r"vmbus_process_incoming_message type 11\b",    # GPADL teardown
    UNLOAD,
)
UP = (
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
    guest.sh(f"echo {level} >/sys/power/pm_test; echo shutdown >/sys/power/disk")
    mark = guest.log_mark()
    guest.sh("echo disk >/sys/power/state", 180)
    guest.opened_at = time.monotonic()
    guest.sh("echo none >/sys/power/pm_test")
    return guest.log_since(mark)


def turns_round(guest: Guest, level: str) -> None:
    """At this level: the host sees it all, and the device is the same as before, bound and open."""
    path = with_balloon(guest)
    mark = guest.mark()
    said = freeze(guest, level)
    assert "debug: Waiting for" in said, said
    assert not re.search(r"hv_vmbus.*(error|not there|no connection)|failed to .* noirq", said), said
    in_order(guest.trace(mark), DOWN + UP)
    goes_on(guest, path)


def goes_on(guest: Guest, path: str) -> None:
    """The device is the same as before, bound and open, and its driver at work."""
    assert device(guest) == path
    assert guest.sh(f"cat {path}/state") == "3", "the channel is not open"
    assert guest.sh(f"readlink {path}/driver").endswith("/hv_balloon")
    assert guest.sh(f"ls {path}/channels") == "1"
    pressure_is_reported(guest, path, 2)


@case()
def devices_freeze_and_thaw(guest: Guest) -> None:
    """pm_test platform: the channel is closed, UNLOAD, connected with 4.0 again, offered, opened. Others repeat it."""
    turns_round(guest, "platform")


@case()
def freezes_with_one_cpu(guest: Guest) -> None:
    """pm_test processors: the same with CPU 1 off and on between."""
    turns_round(guest, "processors")
    assert guest.sh("cat /sys/devices/system/cpu/online") == "0-1"


@case()
def freezes_to_the_core(guest: Guest) -> None:
    """pm_test core: the same with the SynIC of CPU 0 off and on. balloon_moves_memory follows in this boot."""
    turns_round(guest, "core")
