"""The stock uio_hv_generic, and a program that maps its rings."""

from looplib import LOOP, NIC, case

UIO = "/sys/bus/vmbus/drivers/uio_hv_generic"


@case
def uio_binds(loop):
    """uio_hv_generic takes a NIC by new_id; its five maps are there."""
    loop.load("uio_hv_generic")
    loop.sh(f"echo {NIC} >{UIO}/new_id")
    loop.relid, loop.instance = loop.offer_nic()
    loop.uio = loop.bind_uio(loop.instance)
    said = loop.run(f"uio info {loop.uio}")
    for name in ("txrx_rings", "int_page", "monitor_page", "recv:", "send:"):
        assert name in said, said


@case
def uio_exchanges(loop):
    """Packets by mapped rings, with interrupts; twice, on the same rings."""
    for _ in range(2):
        loop.run(f"uio exchange {loop.uio} 200")


@case
def uio_interrupts(loop):
    """irqcontrol turns them off and on."""
    loop.run(f"uio irq {loop.uio}")


@case
def uio_sub_channels(loop):
    """Sub-channels are opened, their ring files can be mapped, packets go by all of them."""
    loop.run(f"uio subs {loop.uio} 3 100")
    subs = [row for row in loop.channels().values() if row[1] == loop.instance and row[2] != "0"]
    assert len(subs) == 3, loop.channels()


@case
def uio_rescind(loop):
    """
    While all rings are mapped the host takes back a sub-channel, then the device: read fails, the program goes on, and
    all relids are given back.
    """
    for subs in (0, 2):
        relid, instance = loop.offer_nic()
        loop.run(f"uio rescind {loop.bind_uio(instance)} {subs}")
        loop.wait(lambda: loop.channels()[relid][3] == "released", "the relid was not given back")
        left = [row for row in loop.channels().values() if row[1] == instance and row[3] != "released"]
        assert not left, left
        loop.wait(lambda: loop.guest.run(f"test -d /sys/bus/vmbus/devices/{instance}")[0], "the device is still there")


@case
def uio_unbinds(loop):
    """Unbound and bound again, it works as before; then the device goes, then the driver."""
    loop.sh(f"echo {loop.instance} >{UIO}/unbind && echo {loop.instance} >{UIO}/bind", 120)
    loop.run(f"uio exchange {loop.bind_uio(loop.instance)} 20")
    loop.host("rescind", loop.relid)
    loop.wait(lambda: loop.channels()[loop.relid][3] == "released", "the relid was not given back")
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
    loop.sh("rmmod uio_hv_generic")
