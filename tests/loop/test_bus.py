"""The bus with next to nothing on it."""

from looplib import case


@case
def vscs_load(loop):
    """hv_utils, as one of the VSCs that need nothing of sockets or uio, loads on the bus, and goes."""
    loop.start()
    loop.load("hv_utils")
    assert loop.sh("ls -d /sys/bus/vmbus/drivers/hv_utils")
    loop.sh("rmmod hv_utils")
