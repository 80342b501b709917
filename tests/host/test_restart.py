"""The guest starts over, and connects to the same host again."""

import re
import subprocess
from pathlib import Path

from hostlib.guest import Guest, Setup
from hostlib.images import l2_image
from hostlib.kernel import Kernel
from hostlib.testing import Environment, case
from test_device import device, with_balloon

KEXEC = Path("/sbin/kexec")


@case()
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


def libraries(program: Path) -> list[Path]:
    """The shared objects a program needs."""
    listing = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listing)]


def kexec_setup(env: Environment) -> Setup:
    """A guest that carries kexec, its own kernel, and an image for the next life."""
    kernel = Kernel.get(env.kernel)
    inner = env.machine.dir / f"inner-{env.kernel}.cpio"
    names = kernel.load_order(["hv_vmbus", "hv_balloon"])
    modules = {name: kernel.module(name) for name in names} | {"hv_vmbus": env.driver_file()}
    l2_image(modules, {}, inner)
    files = [("sbin/kexec", KEXEC), ("boot/vmlinuz", kernel.vmlinuz), ("boot/initrd", inner)]
    files += [(str(path).lstrip("/"), path) for path in libraries(KEXEC)]
    return Setup(modules=("hv_balloon",), files=tuple(files), memory=1024)


@case(setup=None)
def connects_after_kexec(env: Environment) -> None:
    """kexec into a second kernel: the host sees UNLOAD in between, the second kernel finds the device."""
    guest = env.boot(kexec_setup(env))
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
