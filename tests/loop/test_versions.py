"""Disks and NICs of older hosts: each version of the bus, with protocols of the devices from its time."""

from looplib import LOOP, MODULE, case, violations

# Of the bus, the SCSI controller, the NICs. The controller of Windows 7, 0x402, is too old for hv_storvsc of 6.1 and later.
HOSTS = (("2.4", 0x501, 2), ("3.0", 0x501, 0x40000), ("4.0", 0x600, 0x50000), ("5.0", 0x602, 0x60000),
         ("5.2", 0x602, 0x60001))
MEGABYTES = 8
PINGS = 20


def field(loop, file, name):
    return loop.sh(f"awk '$1 == \"{name}\" {{ print $2 }}' {LOOP}/{file}")


def disk(loop, vstor):
    """What is written is read; the sub-channels are there."""
    loop.load("sd_mod")
    loop.load("hv_storvsc")
    loop.wait(lambda: loop.guest.run("dd if=/dev/sda of=/dev/null bs=4096 count=1")[0] == 0, "there is no disk")
    assert int(field(loop, "scsi", "version")) == vstor, loop.sh(f"cat {LOOP}/scsi")
    loop.wait(lambda: field(loop, "scsi", "subs") == "3", "sub-channels are missing")
    loop.sh(f"dd if=/dev/urandom of=/tmp/sent bs=1M count={MEGABYTES - 1} 2>/dev/null; "
            "dd if=/tmp/sent of=/dev/sda bs=64k oflag=direct 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; "
            f"dd if=/dev/sda bs=64k count={(MEGABYTES - 1) * 16} iflag=direct 2>/dev/null | cmp - /tmp/sent; rm /tmp/sent", 120)


def network(loop, nvsp):
    """All pings are answered, small and in fragments."""
    names = lambda: loop.sh("ls -d /sys/class/net/*/device | cut -d/ -f5").split()  # noqa: E731
    loop.load("hv_netvsc")
    loop.wait(lambda: len(names()) == 2, "there are no two NICs")
    for number, name in enumerate(names()):
        loop.sh(f"/t/ip netns add n{number}; /t/ip link set {name} netns n{number}; "
                f"/t/ip -n n{number} addr add 10.0.0.{number + 1}/24 dev {name}; /t/ip -n n{number} link set {name} up")
    loop.wait(lambda: loop.guest.run("/t/ip netns exec n0 /t/ping -q -c 1 -W 1 10.0.0.2")[0] == 0, "no answer")
    for size in (56, 4000):
        said = loop.sh(f"/t/ip netns exec n0 /t/ping -q -c {PINGS} -i 0.05 -s {size} 10.0.0.2")
        assert " 0% packet loss" in said, said
    assert loop.sh(f"cat {LOOP}/nics").count(f"version=0x{nvsp:x} ") == 2, loop.sh(f"cat {LOOP}/nics")


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
