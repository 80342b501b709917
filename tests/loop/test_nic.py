"""The stock hv_netvsc: two NICs of the host are a wire between two network namespaces."""

import json
import re

from looplib import LOOP, case, violations

DRIVER = "/sys/bus/vmbus/drivers/hv_netvsc"
CHANNELS = 4        # of each NIC: module parameter channels= and one
MTU = 1500
PINGS = 200
INTERVAL = 0.002    # seconds between them
PINGS_LARGE = 20


def instance(nic):
    return f"4e1c000{nic}-4e1c-4e1c-1c4e-1c4e1c4e1c4e"


def nics(loop):
    """What the host says of its NICs: number -> name -> value; channels: number -> (frames from the guest, to it)."""
    found = {}
    for line in loop.sh(f"cat {LOOP}/nics").splitlines():
        row = dict(item.split("=") for item in line.split())
        channels = [list(map(int, item.split(":"))) for item in row.pop("channels").split(",") if item]
        found[int(row["nic"])] = row | {"channels": {number: counts for number, *counts in channels}}
    return found


def count(loop, nic, name):
    return int(nics(loop)[nic][name])


def inside(nic, command):
    """A command in the NIC's namespace."""
    return f"/t/ip netns exec n{nic} {command}"


def address(nic):
    return f"10.0.0.{nic + 1}"


def configure(loop, nic):
    """The NIC's interface, once it is there, goes to its namespace; its name."""
    where = f"/sys/bus/vmbus/devices/{instance(nic)}/net"
    loop.wait(lambda: loop.guest.run(f"ls {where} | grep .")[0] == 0, f"NIC {nic} has no interface")
    name = loop.sh(f"ls {where}")
    loop.sh(f"/t/ip link set {name} netns n{nic} && " + inside(nic, f"/t/ip addr add {address(nic)}/24 dev {name}") +
            " && " + inside(nic, f"/t/ip link set {name} up"))
    loop.names[nic] = name
    loop.wait(lambda: carrier(loop, nic) == "1", f"NIC {nic} has no carrier")
    return name


def carrier(loop, nic):
    return loop.sh(inside(nic, f"cat /sys/class/net/{loop.names[nic]}/carrier"))


def echos(loop, nic):
    """Pings that this end has sent and answers that it has had so far, by its kernel's counts."""
    names, values = (line.split() for line in loop.sh(inside(nic, "cat /proc/net/snmp")).splitlines() if line.startswith("Icmp:"))
    return [int(values[names.index(name)]) for name in ("OutEchos", "InEchoReps")]


def answered(loop, nic):
    return echos(loop, nic)[1]


def ping(loop, nic, args=f"-c {PINGS} -i {INTERVAL}"):
    """All of them are answered."""
    before = answered(loop, nic)
    # It may end with an error of its own, see below.
    said = loop.guest.run(inside(nic, f"/t/ping -q {args} {address(nic ^ 1)}"), 120)[1]
    sent = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert sent, said
    # ping waits for the last answers no longer than the others took twice; the kernel counts what comes later.
    if sent[1] != sent[2]:
        loop.wait(lambda: answered(loop, nic) - before >= int(sent[1]), f"{said}\n{answered(loop, nic) - before} answers")
        loop.notes.append(f"ping {args}: {int(sent[1]) - int(sent[2])} answers came when it had ended")
    loop.notes += [f"ping {args}: {line}" for line in said.splitlines() if line.startswith("rtt")]


def ping_singly(loop, nic, args):
    """
    PINGS_LARGE, each when the one before it is answered: of such sizes few may wait in the socket that answers, and what
    comes while it is full is lost.
    """
    said = loop.guest.run(inside(nic, f"sh -c 'for i in $(seq {PINGS_LARGE}); do /t/ping -q -c 1 -W 60 {args} {address(nic ^ 1)} "
                                      "|| exit 1; done'"), 120)
    assert not said[0], said[1]


def await_ping(loop, nic):
    """The first answer may need a while, as neighbours that were lost are asked again."""
    loop.wait(lambda: loop.guest.run(inside(nic, f"/t/ping -q -c 1 -W 1 {address(nic ^ 1)}"))[0] == 0, "no answer")


def signals(loop):
    """Signals and interrupts of both NICs so far, from sysfs; frames; packets to the guest."""
    both = [loop.signals(instance(nic)) for nic in (0, 1)]
    total = {name: both[0][name] + both[1][name] for name in both[0]}
    rows = nics(loop).values()
    return total | {name: sum(int(row[name]) for row in rows) for name in ("packets", "bytes", "xfer_packets", "waited")}


def listens(loop, nic, port):
    return loop.guest.run(inside(nic, f"sh -c 'cat /proc/net/tcp*' | grep ':{port:04X} .* 0A '"))[0] == 0


def serve(loop, nic, command, port):
    """A server in the background; its number is in a file."""
    # The one before it may be on its way out.
    loop.wait(lambda: not listens(loop, nic, port), f"somebody listens before: {command}")
    loop.sh(inside(nic, f"sh -c '{command} </dev/null >/tmp/server 2>&1 & echo $! >/tmp/pids'"))
    loop.wait(lambda: listens(loop, nic, port), f"nobody listens: {command}")


def iperf(loop, server, args=""):
    """A load from the other NIC to this one, or back, until it was one; a note of what it cost."""
    cost, seconds = dict.fromkeys(signals(loop), 0), 0

    def enough():
        nonlocal seconds
        serve(loop, server, "/t/iperf3 -s -1", 5201)
        before = signals(loop)
        said = loop.sh(inside(server ^ 1, f"/t/iperf3 -J -t {loop.options.seconds} {args} -c {address(server)}"),
                       60 + 2 * loop.options.seconds)
        # It warns before that.
        assert "{" in said and "error" not in json.loads(said[said.index("{"):]), said[:500]
        for name, count_ in signals(loop).items():
            cost[name] += count_ - before[name]
        seconds += loop.options.seconds
        return cost["bytes"] > 1e6
    # A guest that stands still for a second does not send in it.
    loop.wait(enough, "hardly anything is sent")
    megabytes = cost["bytes"] / 1e6
    loop.notes.append(
        f"iperf3 {args}: {megabytes:.0f} MB in {seconds} s, {cost['packets']} frames; for each MB "
        f"{cost['events'] / megabytes:.2f} signals, {cost['interrupts'] / megabytes:.2f} interrupts; for each frame "
        f"{cost['events'] / cost['packets']:.3f}, {cost['interrupts'] / cost['packets']:.3f}; "
        f"{cost['packets'] / cost['xfer_packets']:.2f} frames in a packet; waited {cost['waited']} times")


def released(loop, nic):
    relids = [row for row in loop.channels().values() if row[1] == instance(nic)]
    return all(row[3] == "released" for row in relids)


@case
def nics_appear(loop):
    """hv_netvsc makes interfaces of two NICs, with the host's addresses, all channels, and a carrier."""
    loop.names = {}
    loop.load("hv_netvsc")
    loop.sh("mkdir -p /run /var && ln -sf /run /var/run; /t/ip netns add n0 && /t/ip netns add n1")
    for nic in (0, 1):
        loop.host("nic", f"offer {nic}")
        name = configure(loop, nic)
        said = loop.sh(inside(nic, f"/t/ip link show {name}"))
        assert f"00:15:5d:4e:1c:0{nic}" in said and f"mtu {MTU} " in said, said
    loop.wait(lambda: all(len(row["channels"]) == CHANNELS for row in nics(loop).values()), "sub-channels are missing")
    rows = nics(loop)
    assert all(row["version"] == "0x60001" and row["rss"] != "0x0" for row in rows.values()), rows
    assert all(int(row["mtu"]) == MTU + 14 for row in rows.values()), rows


@case
def nics_ping(loop):
    """Nothing is lost, at any rate and size that a frame takes."""
    ping(loop, 0)
    ping(loop, 1, f"-c {PINGS} -i {INTERVAL} -s 1472 -M do")
    ping(loop, 0, "-f -c 2000")
    # In fragments.
    ping_singly(loop, 1, "-s 20000")
    rows = nics(loop)
    assert all(row["refused"] == "0" == row["too_long"] for row in rows.values()), rows


@case
def nics_iperf(loop):
    """TCP both ways, by one stream and by several, which take several channels."""
    before = nics(loop)
    iperf(loop, 1)
    iperf(loop, 1, "-R")
    iperf(loop, 0, "-P 8")
    iperf(loop, 1, "-P 8 --bidir")
    after = nics(loop)
    for nic in (0, 1):
        for way, what in ((0, "from"), (1, "to")):
            used = [number for number, counts in after[nic]["channels"].items()
                    if counts[way] - before[nic]["channels"][number][way] > 10]
            assert len(used) > 1, f"NIC {nic}: frames {what} the guest on channels {used} only"
        assert after[nic]["refused"] == "0", after[nic]


@case
def nics_udp(loop):
    """Datagrams as fast as they go, some in fragments: what the wire took arrives, sections all come back."""
    iperf(loop, 1, "-u -b 0")
    iperf(loop, 0, "-u -b 0 -l 8000")
    ping(loop, 0)
    loop.wait(lambda: all(row["held"] == "0" for row in nics(loop).values()), f"sections are held: {nics(loop)}")


CGI = "#!/bin/sh\necho Content-type: text/plain\necho\nexec sh /tmp/make"


def send_file(loop, sender, megabytes):
    # Made while it is sent, and hashed as it arrives: there may not be the memory for all of it.
    piece = min(megabytes, 16)
    pieces = f"$(seq {-(-megabytes // piece)})"
    loop.sh(f"dd if=/dev/urandom of=/tmp/piece bs=1M count={piece} 2>/dev/null; mkdir -p /tmp/cgi-bin; "
            f"echo 'for number in {pieces}; do echo $number; cat /tmp/piece; done' >/tmp/make; "
            f"echo '{CGI}' >/tmp/cgi-bin/sent; chmod +x /tmp/cgi-bin/sent", 300)
    serve(loop, sender, "httpd -f -p 80 -h /tmp", 80)
    patience = 120 + (10 if loop.checking else 2) * megabytes
    sums = [loop.sh(inside(sender ^ 1, f"sh -c 'wget -q -O - http://{address(sender)}/cgi-bin/sent | md5sum'"), patience)]
    loop.sh("kill $(cat /tmp/pids)")
    sums += loop.sh("sh /tmp/make | md5sum; sh /tmp/make | wc -c; rm -r /tmp/cgi-bin /tmp/make /tmp/piece", patience).splitlines()
    assert sums[0] == sums[1] and int(sums[2]) >= megabytes << 20, sums


@case
def nics_file(loop):
    """A file arrives as it was, each way."""
    for sender in (0, 1):
        send_file(loop, sender, loop.options.megabytes)


@case
def nics_mtu(loop):
    """A larger MTU and back: the buffers are given again, frames take several sections."""
    for mtu in (9000, 65521, 600, MTU):
        for nic in (0, 1):
            loop.sh(inside(nic, f"/t/ip link set {loop.names[nic]} mtu {mtu}"))
            assert count(loop, nic, "mtu") == mtu + 14, nics(loop)
        await_ping(loop, 0)
        ping_singly(loop, 0, f"-M do -s {mtu - 28}")
    loop.wait(lambda: all(len(row["channels"]) == CHANNELS for row in nics(loop).values()), "sub-channels are missing")


@case
def nics_ethtool(loop):
    """ethtool changes the number of channels and the buffers' size; its statistics are those of the host."""
    name = loop.names[0]
    for channels in (1, 3, CHANNELS):
        loop.sh(inside(0, f"/t/ethtool -L {name} combined {channels}"))
        said = loop.sh(inside(0, f"/t/ethtool -l {name}"))
        assert re.findall(r"Combined:\s+(\d+)", said) == [str(CHANNELS), str(channels)], said
        loop.wait(lambda: len(nics(loop)[0]["channels"]) == channels, nics(loop)[0])
        await_ping(loop, 0)
        ping(loop, 0)
    loop.sh(inside(0, f"/t/ethtool -G {name} rx 64 tx 32"))
    await_ping(loop, 0)
    iperf(loop, 0, "-P 4")
    loop.sh(inside(0, f"/t/ethtool -G {name} rx 9000 tx 170"))
    await_ping(loop, 0)

    def received():
        """By the guest and by the host, at a time when nothing comes: neighbours are asked now and then."""
        seen = []

        def still():
            said = loop.sh(inside(0, f"/t/ethtool -S {name}"))
            seen.append((sum(map(int, re.findall(r"rx_queue_\d+_packets: (\d+)", said))), count(loop, 0, "received"), said))
            return len(seen) > 1 and seen[-1][:2] == seen[-2][:2]
        loop.wait(still, "frames come all the time")
        return seen[-1]
    before, host, _ = received()
    ping(loop, 1)
    after, host_after, said = received()
    assert after - before == host_after - host >= PINGS, f"{after - before} of {host_after - host}\n{said}"
    assert re.search(r"rx_no_memory: 0\n", said) and re.search(r"tx_no_memory: 0\n", said), said


@case
def nics_checksums(loop):
    """Checksums by the NIC and by the guest: both are right for the other end."""
    for setting in ("off", "on"):
        for nic in (0, 1):
            loop.sh(inside(nic, f"/t/ethtool -K {loop.names[nic]} tx {setting} rx {setting}"))
        await_ping(loop, 0)
        before = count(loop, 0, "checksums")
        send_file(loop, 0, 4)
        assert (count(loop, 0, "checksums") > before) == (setting == "on"), nics(loop)
        bad = loop.sh(inside(1, "cat /proc/net/snmp | grep ^Tcp: | tail -n 1")).split()
        assert bad[-1] == "0", f"TCP has seen wrong checksums: {bad}"


@case
def nics_address(loop):
    """Another MAC address is the host's, too."""
    for address_, nic in (("00:15:5d:00:00:77", 0), ("00:15:5d:4e:1c:00", 0)):
        name = loop.names[nic]
        loop.sh(inside(nic, f"/t/ip link set {name} down && ") + inside(nic, f"/t/ip link set {name} address {address_} && ") +
                inside(nic, f"/t/ip link set {name} up"))
        assert nics(loop)[nic]["mac"] == address_, nics(loop)
        loop.sh(inside(nic ^ 1, "/t/ip neigh flush all"))
        await_ping(loop, 1)
        ping(loop, 1)


@case
def nics_flap(loop):
    """The carrier follows the host's link, and traffic goes on after it."""
    for _ in range(2):
        loop.host("nic", "down 0")
        loop.wait(lambda: carrier(loop, 0) == "0", "the carrier stays")
        assert carrier(loop, 1) == "1"
        loop.host("nic", "up 0")
        loop.wait(lambda: carrier(loop, 0) == "1", "the carrier does not come back")
        await_ping(loop, 0)
    ping(loop, 0)


def start_traffic(loop):
    """Floods and streams both ways that do not end by themselves soon, nor fail what runs."""
    serve(loop, 1, "/t/iperf3 -s", 5201)
    for nic, command in ((0, f"/t/iperf3 -t 60 -P 4 --bidir -c {address(1)}"), (1, f"/t/ping -f -q {address(0)}")):
        loop.sh(inside(nic, f"sh -c '{command} </dev/null >/tmp/traffic{nic} 2>&1 & echo $! >>/tmp/pids'"))
    before = count(loop, 0, "packets")
    loop.wait(lambda: count(loop, 0, "packets") > before + 500, f"there is no traffic: {nics(loop)}")


def end_traffic(loop):
    loop.sh("kill -9 $(cat /tmp/pids) 2>/dev/null || true")


@case
def nics_rescind(loop):
    """
    A NIC is taken back under traffic and offered again: a new interface that works as the old one did.

    Its link goes down before, and the host waits until all is completed, since hv_netvsc waits for ever for that. What
    the other end sends goes on.
    """
    for nic in (0, 1, 0):
        start_traffic(loop)
        loop.host("nic", f"down {nic}")
        loop.wait(lambda: carrier(loop, nic) == "0", "the carrier stays")
        loop.host("nic", f"rescind {nic}")
        loop.wait(lambda: released(loop, nic), f"relids are not given back: {loop.channels()}", 60)
        loop.wait(lambda: loop.guest.run(f"test -d /sys/bus/vmbus/devices/{instance(nic)}")[0], "the device stays")
        end_traffic(loop)
        loop.host("nic", f"offer {nic}")
        loop.host("nic", f"up {nic}")
        configure(loop, nic)
        await_ping(loop, 0)
        ping(loop, 0)


@case
def nics_unbind(loop):
    """Unbound under traffic, and bound again."""
    for nic in (0, 1):
        start_traffic(loop)
        loop.sh(f"echo {instance(nic)} >{DRIVER}/unbind", 120)
        assert not nics(loop)[nic]["channels"], nics(loop)
        end_traffic(loop)
        loop.sh(f"echo {instance(nic)} >{DRIVER}/bind", 120)
        configure(loop, nic)
        await_ping(loop, 0)
        ping(loop, 0)


@case
def nics_go(loop):
    """The driver goes, and comes back to the same NICs; then the NICs go, then the driver. Nothing of them is left."""
    start_traffic(loop)
    loop.sh("rmmod hv_netvsc", 120)
    end_traffic(loop)
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
    loop.load("hv_netvsc")
    for nic in (0, 1):
        configure(loop, nic)
    await_ping(loop, 0)
    ping(loop, 0)
    for nic in (0, 1):
        loop.host("nic", f"rescind {nic}")
        loop.wait(lambda: released(loop, nic), f"relids are not given back: {loop.channels()}")  # noqa: B023
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
    loop.sh("rmmod hv_netvsc; /t/ip netns del n0; /t/ip netns del n1")
    violations(loop)
