"""tools/vmbusstat in the guest: two NICs under load, and a third that nobody uses."""

import json

from looplib import NIC, case
from test_nic import CHANNELS, carrier, configure, end_traffic, instance, nics, nics_appear, released, start_traffic

CPUS = 4
MODIFY = 22         # CHANNELMSG_MODIFYCHANNEL
IDLE = 2            # This NIC is in no other namespace, so its interface is seen
DEVICES = "/sys/bus/vmbus/devices"
# More interrupts than this in the time of a reading, or nothing is compared.
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


def uptime(loop):
    return float(loop.sh("cut -d' ' -f1 /proc/uptime"))


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


@case
def vmbusstat_counts(loop):
    """Counts lie between what sysfs had before and has after; rates are those of the host's own counters."""
    nics_appear(loop)
    loop.host("nic", f"offer {IDLE}")
    loop.wait(lambda: loop.guest.run(f"ls {DEVICES}/{instance(IDLE)}/net | grep .")[0] == 0, "NIC 2 has no interface")
    assert "no device 'nonsense'" in stat(loop, "--spread nonsense", 1)
    start_traffic(loop)
    # The first run reads its files from the image.
    stat(loop, "-i 0")
    started, host, before = uptime(loop), loop.channels(), counts(loop)
    said = stat(loop, f"--json -i {loop.options.seconds}")
    after, host_after, took = counts(loop), loop.channels(), uptime(loop) - started
    end_traffic(loop)
    document = json.loads(said)
    assert document["seconds"] >= loop.options.seconds, document["seconds"]
    found, wrong, guest, host_total = devices(document), [], 0.0, 0
    for nic in (0, 1):
        device = found[instance(nic)]
        assert (device["class"], device["driver"], device["name"]) == (NIC, "hv_netvsc", "Synthetic network adapter"), device
        assert [channel["sub"] for channel in device["channels"]] == list(range(CHANNELS)), device
        assert {channel["state"] for channel in device["channels"]} == {"open"}, device
        for channel in device["channels"]:
            relid = channel["relid"]
            for name in ("interrupts", "events"):
                first, last = before[relid, name], after[relid, name]
                grown = channel["per_second"][name] * document["seconds"]
                if not first <= channel[name] <= last or grown > last - first + 1:
                    wrong.append(f"{relid} {name}: {first} {channel[name]} {last}, by the rate {grown:.0f}")
            guest += channel["per_second"]["interrupts"]
            host_total += int(host_after[relid][6]) - int(host[relid][6])
    assert not wrong, "\n".join(wrong)
    assert guest * document["seconds"] > ENOUGH, f"{guest:.1f} interrupts/s are too few"
    # Of two interrupts for one channel the guest may see one.
    host_rate = host_total / took
    assert 0.4 * host_rate <= guest <= 1.6 * host_rate, f"{guest:.1f} interrupts/s, the host's: {host_rate:.1f}"
    idle = found[instance(IDLE)]
    assert idle["name"].startswith("Synthetic network adapter (eth"), idle
    loop.notes.append(f"{guest:.1f} interrupts/s, the host's {host_rate:.1f}")


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
        assert row["channels"] == sum(channel["cpu"] == row["cpu"] and channel["state"] == "open" for channel in shown), document
    table = stat(loop, "-i 0").splitlines()
    assert len(table) == 1 + sum(1 + (len(row["channels"]) > 1) * len(row["channels"]) for row in document["devices"]), table
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
    shown = {int(words[0]): int(words[2]) for line in said.splitlines() if (words := line.split()) and words[0].isdigit()
             and int(words[0]) in relids}
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
    for name, arguments in (("json", "--json"), ("table", "--sort intr")):
        loop.sh(f"/t/vmbusstat --watch -i 0.3 {arguments} </dev/null >/tmp/{name} 2>/tmp/{name}.err & echo $! >/tmp/{name}.pid")

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
    for name in ("json", "table"):
        said = loop.sh(f"kill -0 $(cat /tmp/{name}.pid) && kill $(cat /tmp/{name}.pid); cat /tmp/{name}.err")
        assert not said, said
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
