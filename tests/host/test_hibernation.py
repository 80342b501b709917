"""Hibernation for real: the host ends with the image on a disk, and a new host's machine is restored from it."""

import re

from hostlib.guest import Guest, Setup
from hostlib.testing import case
from test_device import with_balloon
from test_power import DOWN, UNLOAD, UP, goes_on, in_order

# A machine that has a disk for the image, and little memory, since all that is used is written and read.
SETUP = Setup(modules=("hv_balloon",), memory=320, disk=384)


def hibernates(guest: Guest, early: tuple[str, ...] = ()) -> str:
    """Write the image, go off, and go on in a new QEMU; returns what that host saw.

    The kernel that restores the image has loaded these modules before.
    """
    path = with_balloon(guest)
    life = guest.sh("cat /proc/sys/kernel/random/boot_id")
    said, mark = guest.log_mark(), guest.mark()
    image = guest.hibernate()
    # The host is left for the image and found again to write it. With the machine off there is nobody to be told.
    trace = guest.trace(mark)
    in_order(trace, DOWN + UP)
    assert len(re.findall(UNLOAD, trace)) == 1, trace
    guest.restore(image, early)
    assert guest.sh("cat /proc/sys/kernel/random/boot_id") == life, "it started anew"
    goes_on(guest, path)
    # This life was at the making of the image before.
    log = guest.log_since(said)
    assert "Creating image" in log and "hibernation exit" in log, log
    assert not re.search(r"hv_vmbus.*(error|not there|no connection)|failed to .* noirq", log), log
    return guest.trace()


@case(setup=SETUP)
def hibernates_and_is_restored(guest: Guest) -> None:
    """An image, off; a kernel without the driver restores it under a new host: contact with 4.0, offered, opened."""
    trace = hibernates(guest)
    in_order(trace, UP)
    assert not re.search(UNLOAD, trace), "somebody was connected before"


@case(setup=SETUP)
def restored_by_a_kernel_with_the_driver(guest: Guest) -> None:
    """The same in a machine that was restored once, and the kernel that restores it has the channel open, too."""
    trace = hibernates(guest, ("hv_vmbus", "hv_balloon"))
    in_order(trace, UP + DOWN + UP)
    assert len(re.findall(UNLOAD, trace)) == 1
