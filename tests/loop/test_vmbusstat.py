"""tools/vmbusstat in the guest: two NICs under load, and a third that nobody uses."""

import json

from looplib import NIC, case
from test_nic import CHANNELS, carrier, configure, end_traffic, instance, nics, nics_appear, released, start_traffic

CPUS = 4
MODIFY = 22         # CHANNELMSG_MODIFYCHANNEL
IDLE = 2            # This NIC is in no other namespace, so its interface is seen
DEVICES = "/sys/bus/vmbus/devices"
# Fewer interrupts than this are nothing to compare.
ENOUGH = 50


def stat(loop, arguments, status=0, before="", timeout=120):
    """What it prints."""
    found, said = loop.guest.run(f"{before} /t/vmbusstat {arguments} 2>&1", timeout)
    assert found == status and "Traceback" not in said, f"vmbusstat {arguments}: status {found}\n{said}"
    return said


def devices(document):
    return {device["id"]: device for device in document["devices"]}


def counts(loop):
    """(relid, counter) -> value, of all channels, as they are in sysfs."""
    said = loop.sh(f"cd {DEVICES}; grep -H . */channels/*/interrupts */channels/*/events")
    rows = (line.split(":") for line in said.splitlines())
    return {(int(path.split("/")[2]), path.split("/")[3]): int(value) for path, value in rows}


def cpus_of(loop, nic):
    """relid -> CPU, by the channels' attributes; the device's list has to be the same."""
    base = f"{DEVICES}/{instance(nic)}"
    said = loop.sh(f"cd {base}/channels; grep -H . */cpu")
    found = {int(line.split("/")[0]): int(line.split(":")[1]) for line in said.splitlines()}
    listed = dict(map(int, line.split(":")) for line in loop.sh(f"cat {base}/channel_vp_mapping").splitlines())
    assert found == listed, f"{found} {listed}"
    return found


def on_one_cpu(loop, nic, cpu=0):
    loop.sh(f"for channel in {DEVICES}/{instance(nic)}/channels/*; do echo {cpu} >$channel/cpu || exit 1; done")


def watch(loop, name, arguments):
    """--watch in the background, to a file."""
    # Whoever reads them finds them, and nothing of a case before, however late it begins.
    loop.sh(f": >/tmp/{name}; : >/tmp/{name}.err; "
            f"/t/vmbusstat --watch {arguments} </dev/null >/tmp/{name} 2>/tmp/{name}.err & echo $! >/tmp/{name}.pid")


def end_watch(loop, *names):
    """It has gone on to now, and said nothing but what was asked for."""
    for name in names:
        said = loop.sh(f"kill -0 $(cat /tmp/{name}.pid) && kill $(cat /tmp/{name}.pid); cat /tmp/{name}.err")
        assert not said, said


def more_lines(loop, name, count):
    """So many lines more than now."""
    written = lambda: int(loop.sh(f"wc -l </tmp/{name}"))  # noqa: E731
    wanted = written() + count
    loop.wait(lambda: written() >= wanted, f"no more lines: {loop.sh(f'cat /tmp/{name}.err')}", 120)


def host_interrupts(loop):
    """That the host has sent to the two NICs."""
    return sum(int(row[6]) for row in loop.channels().values() if row[1] in (instance(0), instance(1)))


def wrong_rates(series, seconds):
    """
    Of a channel's documents, and the seconds that each stands for: each rate is what its counter grew by in one time,
    which is the channel's own; these times together are that of all documents, whenever in between the guest stood still.
    """
    wrong, together, total = [], 0, sum(seconds[1:])
    for was, now, between in zip(series, series[1:], seconds[1:]):
        grown, rates = {name: now[name] - was[name] for name in now["per_second"]}, now["per_second"]
        events, interrupts = grown["events"], grown["interrupts"]
        # Rates have three decimals.
        if abs(events * rates["interrupts"] - interrupts * rates["events"]) > 0.001 * (1 + events + interrupts):
            wrong.append(f"not of one time: {was} {now}")
        if any(bool(grown[name]) != bool(rates[name]) for name in grown):
            wrong.append(f"no rate, or of nothing: {was} {now}")
        most = max(grown, key=grown.get)
        together += grown[most] / rates[most] if grown[most] and rates[most] else between
    if abs(together - total) > 0.3 * total:
        wrong.append(f"rates of {together} s in {total} s: {series}")
    return wrong


@case
def vmbusstat_counts(loop):
    """Counts lie between those of sysfs and of the host, read before and after; rates are what they grow by."""
    nics_appear(loop)
    loop.host("nic", f"offer {IDLE}")
    loop.wait(lambda: loop.guest.run(f"ls {DEVICES}/{instance(IDLE)}/net | grep .")[0] == 0, "NIC 2 has no interface")
    assert "no device 'nonsense'" in stat(loop, "--spread nonsense", 1)
    start_traffic(loop)
    outer = host_interrupts(loop)
    watch(loop, "json", "--json -i 1")
    more_lines(loop, "json", 1)
    # The last document so far is older than these.
    first, before, inner = int(loop.sh("wc -l </tmp/json")) - 1, counts(loop), host_interrupts(loop)
    more_lines(loop, "json", loop.options.seconds)
    loop.wait(lambda: host_interrupts(loop) - inner > ENOUGH, "the host has hardly interrupted")
    inner, after = host_interrupts(loop) - inner, counts(loop)
    # The first of them may be older than that, the last may not be whole.
    more_lines(loop, "json", 3)
    end_watch(loop, "json")
    outer = host_interrupts(loop) - outer
    end_traffic(loop)
    frames = [devices(json.loads(line)) | {"seconds": json.loads(line)["seconds"]}
              for line in loop.sh("cat /tmp/json").splitlines()[first:-1]]
    wrong, grown = [], 0
    for nic in (0, 1):
        device = frames[-1][instance(nic)]
        assert (device["class"], device["driver"], device["name"]) == (NIC, "hv_netvsc", "Synthetic network adapter"), device
        assert [channel["sub"] for channel in device["channels"]] == list(range(CHANNELS)), device
        assert {channel["state"] for channel in device["channels"]} == {"open"}, device
        for place in range(CHANNELS):
            series = [frame[instance(nic)]["channels"][place] for frame in frames]
            relid = series[0]["relid"]
            for name in ("interrupts", "events"):
                if not series[0][name] <= before[relid, name] <= after[relid, name] <= series[-1][name]:
                    wrong.append(f"{relid} {name}: {before[relid, name]} {after[relid, name]}, shown {series}")
            wrong += wrong_rates(series, [frame["seconds"] for frame in frames])
            grown += series[-1]["interrupts"] - series[0]["interrupts"]
    assert not wrong, "\n".join(wrong)
    assert inner > ENOUGH, f"{inner} interrupts are too few"
    # Of several interrupts for a channel that is busy the guest may see one.
    assert 0.3 * inner <= grown <= outer, f"{grown} interrupts, the host's: {inner} to {outer}"
    idle = frames[-1][instance(IDLE)]
    assert idle["name"].startswith("Synthetic network adapter (eth"), idle
    loop.notes.append(f"{grown} interrupts, by the host {inner} to {outer}; {len(frames)} documents")


@case
def vmbusstat_shows(loop):
    """Table, CPUs and JSON have all channels of the bus, and the CPUs that these interrupt."""
    on_one_cpu(loop, 0, 3)
    expected = [line.split("/")[-1] for line in loop.sh(f"ls -d {DEVICES}/*/channels/*").splitlines()]
    document = json.loads(stat(loop, "--json -i 0.2"))
    shown = [channel for device in document["devices"] for channel in device["channels"]]
    assert sorted(str(channel["relid"]) for channel in shown) == sorted(expected), shown
    assert {channel["cpu"] for channel in devices(document)[instance(0)]["channels"]} == {3}, document
    for row in document["cpus"]:
        there = [channel for channel in shown if channel["cpu"] == row["cpu"] and channel["state"] == "open"]
        assert row["channels"] == len(there), document
    table = stat(loop, "-i 0").splitlines()
    several = [len(row["channels"]) for row in document["devices"] if len(row["channels"]) > 1]
    assert len(table) == 1 + len(document["devices"]) + sum(several), table
    bars = stat(loop, "--cpu -i 0 --sort intr").splitlines()
    assert len(bars) == 1 + CPUS and bars[1].endswith("#") and bars[1].split()[2] != "0", bars


@case
def vmbusstat_spreads(loop):
    """Channels move, by one message each; who may not, or meets a host that refuses, is told which did not."""
    relids = sorted(cpus_of(loop, 0))
    asked = lambda: int(loop.messages(MODIFY))  # noqa: E731
    on_one_cpu(loop, 0, 3)
    before = asked()
    said = stat(loop, f"--spread {instance(0)} --dry-run")
    assert set(cpus_of(loop, 0).values()) == {3} and asked() == before and "WOULD BE" in said, said
    user = "/usr/bin/python3 -I -c 'import os, sys; os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])'"
    said = stat(loop, f"--spread {instance(0)}", 3, user)
    assert said.count("refused: Permission denied (only root may)") == CHANNELS - 1 and asked() == before, said
    assert set(cpus_of(loop, 0).values()) == {3}, said
    loop.host("rule", "modify refuse times=1")
    said = stat(loop, f"--spread {instance(0)}", 3)
    assert said.count("refused: Invalid argument") == 1 and "1 of 4 channels did not move" in said, said
    after = cpus_of(loop, 0)
    assert len(set(after.values())) == CPUS - 1 and asked() == before + CHANNELS - 1, f"{after}\n{said}"
    rows = [line.split() for line in said.splitlines()]
    shown = {int(row[0]): int(row[2]) for row in rows if row[0].isdigit() and int(row[0]) in relids}
    assert shown == after, f"{after}\n{said}"
    # What is left, and then nothing.
    for count in (1, 0):
        before = asked()
        stat(loop, f"--spread {instance(0)[:13]}")
        assert sorted(cpus_of(loop, 0).values()) == list(range(CPUS)) and asked() == before + count, cpus_of(loop, 0)
    loop.sh("echo 0 >/sys/devices/system/cpu/cpu2/online")
    on_one_cpu(loop, 0, 1)
    said = stat(loop, f"--spread {instance(0)}")
    loop.sh("echo 1 >/sys/devices/system/cpu/cpu2/online")
    assert sorted(cpus_of(loop, 0).values()) in ([0, 0, 1, 3], [0, 1, 1, 3], [0, 1, 3, 3]), said
    net = loop.sh(f"ls {DEVICES}/{instance(IDLE)}/net")
    assert instance(IDLE) in stat(loop, f"--spread {net} --dry-run")


@case
def vmbusstat_survives(loop):
    """--watch goes on while a NIC under load is taken away and comes back: it is there, is not there, is there again."""
    start_traffic(loop)
    watch(loop, "json", "--json -i 0.3")
    watch(loop, "table", "--sort intr -i 0.3")

    def latest():
        lines = loop.sh("tail -n 2 /tmp/json").splitlines()
        return devices(json.loads(lines[0])) if len(lines) > 1 else {}

    loop.wait(lambda: len(latest().get(instance(1), {}).get("channels", ())) == CHANNELS, "the NIC is not shown")
    loop.host("nic", "down 1")
    loop.wait(lambda: carrier(loop, 1) == "0", "the carrier stays")
    loop.host("nic", "rescind 1")
    loop.wait(lambda: released(loop, 1), f"relids are not given back: {loop.channels()}", 60)
    loop.wait(lambda: instance(1) not in latest() and instance(0) in latest(), "the NIC is shown still")
    end_traffic(loop)
    loop.host("nic", "offer 1")
    loop.host("nic", "up 1")
    configure(loop, 1)
    loop.wait(lambda: len(latest().get(instance(1), {}).get("channels", ())) == CHANNELS, "the NIC is not shown again")
    end_watch(loop, "json", "table")
    frames = loop.sh("cat /tmp/json").splitlines()[:-1]
    there = [instance(1) in devices(json.loads(frame)) for frame in frames]
    changes = sum(one != other for one, other in zip(there, there[1:]))
    assert changes == 2 and there[0] and there[-1], there
    tables = loop.sh("cat /tmp/table").split("\n\n")
    assert len(tables) > 3 and all(table.startswith("DEVICE") for table in tables), tables[:2]
    loop.notes.append(f"{len(frames)} documents, {len(tables)} tables; {there.count(False)} without the NIC")


@case
def vmbusstat_ends(loop):
    """The NICs go."""
    for nic in (0, 1, IDLE):
        loop.host("nic", f"rescind {nic}")
        loop.wait(lambda: released(loop, nic), f"relids are not given back: {loop.channels()} {nics(loop)}")  # noqa: B023
    loop.sh("rmmod hv_netvsc; /t/ip netns del n0; /t/ip netns del n1; rm /tmp/json* /tmp/table*")
