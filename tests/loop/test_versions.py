"""Disks and NICs of older hosts: each version of the bus, with protocols of the devices from its time."""

from looplib import MODULE, case, violations
from test_nic import await_ping, configure, nics, ping
from test_scsi import counters, wait_disk

# Of the bus, the SCSI controller, the NICs. The controller of Windows 7, 0x402, is too old for hv_storvsc of 6.1 and later.
HOSTS = (("2.4", 0x501, 2), ("3.0", 0x501, 0x40000), ("4.0", 0x600, 0x50000), ("5.0", 0x602, 0x60000),
         ("5.2", 0x602, 0x60001))
MEGABYTES = 8
PINGS = 20


def disk(loop, vstor):
    """What is written is read; the sub-channels are there."""
    loop.load("sd_mod")
    loop.load("hv_storvsc")
    name = wait_disk(loop)
    assert counters(loop)["version"] == vstor, counters(loop)
    loop.wait(lambda: counters(loop)["subs"] == 3, "sub-channels are missing")
    loop.sh(f"dd if=/dev/urandom of=/tmp/sent bs=1M count={MEGABYTES - 1} 2>/dev/null; "
            f"dd if=/tmp/sent of={name} bs=64k oflag=direct 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; "
            f"dd if={name} bs=64k count={(MEGABYTES - 1) * 16} iflag=direct 2>/dev/null | cmp - /tmp/sent; rm /tmp/sent", 120)


def network(loop, nvsp):
    """All pings are answered, small and in fragments."""
    loop.load("hv_netvsc")
    loop.names = {}
    for nic in (0, 1):
        loop.sh(f"/t/ip netns add n{nic}")
        configure(loop, nic)
    await_ping(loop, 0)
    for size in (56, 4000):
        ping(loop, 0, f"-c {PINGS} -i 0.05 -s {size}")
    assert [row["version"] for row in nics(loop).values()] == [f"0x{nvsp:x}"] * 2, nics(loop)


@case
def versions_of_hosts(loop):
    """hv_storvsc and hv_netvsc on hosts of all times, one after the other."""
    loop.sh("mkdir -p /run /var && ln -sf /run /var/run")
    for version, vstor, nvsp in HOSTS:
        loop.start(f"version={version} vstor={vstor} nvsp={nvsp} nics=2 disks=1 disk_mb={MEGABYTES}")
        disk(loop, vstor)
        network(loop, nvsp)
        violations(loop)
        loop.sh(f"/t/ip netns del n0; /t/ip netns del n1; rmmod hv_netvsc hv_storvsc; rmmod {MODULE}", 120)
        assert "violations in the end" in loop.guest.dmesg()
        loop.notes.append(f"{version}: controller 0x{vstor:x}, NICs 0x{nvsp:x}")
