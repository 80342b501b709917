"""The guest starts over, and connects to the same host again."""

from hostlib.guest import Guest, Setup
from hostlib.testing import case
from test_device import device, with_balloon

# Both cases in one boot.
SETUP = Setup(modules=("hv_balloon",), extras=("kexec",))


@case(setup=SETUP)
def connects_after_reset(guest: Guest) -> None:
    """The machine is reset under an open channel; the next boot connects and opens again."""
    assert guest.monitor_ is not None
    with_balloon(guest)
    guest.monitor_.execute("set-action", reboot="reset")
    mark = guest.mark()
    guest.monitor("system_reset")
    guest.wait_reboot()
    guest.monitor_.execute("set-action", reboot="shutdown")
    with_balloon(guest)
    trace = guest.trace(mark)
    assert "vmbus_initiate_contact version 4.0" in trace
    assert "vmbus_channel_open channel #1 status 0" in trace


@case(setup=SETUP)
def connects_after_kexec(guest: Guest) -> None:
    """kexec into a second kernel: the host sees UNLOAD in between, the second kernel finds the device."""
    with_balloon(guest)
    name = device(guest)
    guest.sh("kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline", 120)
    mark = guest.mark()
    guest.agent.post("kexec -e")
    guest.wait_trace(r"vmbus_process_incoming_message type 16\b", mark)
    guest.wait_reboot()
    with_balloon(guest)
    assert device(guest) == name, "another device than before"
    trace = guest.trace(mark)
    order = [trace.find(what) for what in
             ("message type 16", "vmbus_initiate_contact version 4.0", "vmbus_channel_open channel #1 status 0")]
    assert -1 not in order and order == sorted(order), f"the host saw: {order}"
