"""--spread: who goes where, and what if a channel refuses."""

import os
import random
import re
from collections import Counter

from bench import PLANT, case

NOBODY = 65534
SCSI = "4d74f699-52fa-4c63-bd9e-35446c1dccb1"
NIC = "4e1c0000-4e1c-4e1c-1c4e-1c4e1c4e1c4e"


def cpus_of(tree, ident):
    return {int(path.parent.name): int(path.read_text()) for path in tree.files(f"{ident}/channels/*/cpu")}


def one_cpu(tree, ident, cpu=0):
    for path in tree.files(f"{ident}/channels/*/cpu"):
        path.write_text(f"{cpu}\n")


@case
def plans_are_even_and_short(_):
    """Any number of channels, CPUs and others' channels: no CPU has two more, and no plan moves fewer."""
    space = {}
    exec(PLANT, space)  # pylint: disable=exec-used
    chance = random.Random(1)
    for _ in range(3000):
        cpus = sorted(chance.sample(range(40), chance.randint(1, 12)))
        channels = [{"relid": relid, "cpu": chance.choice([*cpus, 50])} for relid in range(chance.randint(1, 40))]
        load = Counter(chance.choices(range(40), k=chance.randint(0, 30)))
        plan = space["tool"].plan(channels, cpus, load)
        got = Counter({cpu: 0 for cpu in cpus}) + Counter()
        got.update(plan.values())
        counts = [got[cpu] for cpu in cpus]
        assert set(plan) == {channel["relid"] for channel in channels} and set(plan.values()) <= set(cpus), plan
        assert max(counts) - min(counts) <= 1, plan
        each, more = divmod(len(channels), len(cpus))
        has = sorted((sum(channel["cpu"] == cpu for channel in channels) for cpu in cpus), reverse=True)
        stay = sum(min(count, each + (place < more)) for place, count in enumerate(has))
        assert sum(plan[channel["relid"]] == channel["cpu"] for channel in channels) == stay, plan
        # Where there is a choice, nobody who got a channel has more of the others than who got none.
        if each == 0:
            came = {cpu for relid, cpu in plan.items() if channels[relid]["cpu"] != cpu}
            empty = min((load[cpu] for cpu in cpus if not got[cpu]), default=99)
            assert max((load[cpu] for cpu in came), default=0) <= empty, plan


@case
def spreads(bench):
    """Before, after; the attributes have it. A second time there is nothing to do."""
    tree = bench.tree("loop-6.1.1")
    one_cpu(tree, SCSI, 2)
    said = [bench.run("--root", tree.path, "--spread", SCSI, "--dry-run")]
    assert set(cpus_of(tree, SCSI).values()) == {2}, "--dry-run writes"
    for wanted in (SCSI.upper(), f"{{{SCSI}}}", SCSI[:2]):
        said.append(bench.run("--root", tree.path, "--spread", wanted))
        assert sorted(cpus_of(tree, SCSI).values()) == [0, 1, 2, 3], cpus_of(tree, SCSI)
    bench.golden("spread", "\n".join(said))


@case
def takes_online_cpus_only(bench):
    """CPUs that are offline or isolated get none, and lose those they have."""
    tree = bench.tree("loop-6.1.1")
    tree.write("devices/system/cpu/online", "0-1,3")
    bench.run("--root", tree.path, "--spread", SCSI)
    assert sorted(Counter(cpus_of(tree, SCSI).values()).items())[-1][0] == 3 and 2 not in cpus_of(tree, SCSI).values()
    tree.write("devices/system/cpu/isolated", "1,3")
    assert "CPUs 0\n" in bench.run("--root", tree.path, "--spread", SCSI)
    assert set(cpus_of(tree, SCSI).values()) == {0}
    tree.write("devices/system/cpu/isolated", "0-3")
    assert "CPUs 0-1,3\n" in bench.run("--root", tree.path, "--spread", SCSI), "all are isolated: then any"
    (tree / "devices/system/cpu/online").unlink()
    bench.run("--root", tree.path, "--spread", SCSI, status=1, said=re.compile("online names no CPU"))


@case
def refusals(bench):
    """A channel that refuses is named, the others are moved; the status tells."""
    tree = bench.tree("loop-6.1.1")
    for fault, said in (("EBUSY", "refused: Device or resource busy"), ("EINVAL", "refused: Invalid argument"),
                        ("EIO", "refused: Input/output error"),
                        ("EPERM", "refused: Operation not permitted (only root may)")):
        one_cpu(tree, SCSI)
        planted = f"""
write = tool.write
def refuses(path, value):
    if "/7/" in path:
        raise OSError(errno.{fault}, os.strerror(errno.{fault}))
    write(path, value)
tool.write = refuses
"""
        table = bench.run("--root", tree.path, "--spread", SCSI, planted=planted, status=3,
                          said="vmbusstat: 1 of 4 channels did not move\n")
        row = [line for line in table.splitlines() if line.split()[0] == "7"][0]
        assert row.endswith(f"0        0  {said}"), table
        assert Counter(cpus_of(tree, SCSI).values()) == {0: 2, 1: 1, 3: 1}, cpus_of(tree, SCSI)


@case
def goes_meanwhile(bench):
    """A channel that goes before it is moved is no failure."""
    tree = bench.tree("loop-6.1.1")
    one_cpu(tree, SCSI)
    planted = f"""
write = tool.write
def goes(path, value):
    if "/7/" in path:
        shutil.rmtree({str(tree / 'bus/vmbus/devices' / SCSI)!r} + "/channels/7")
    write(path, value)
tool.write = goes
"""
    table = bench.run("--root", tree.path, "--spread", SCSI, planted=planted)
    assert re.search(r"(?m)^ +7 +0 +-  gone$", table), table


@case
def needs_root(bench):
    """Who may not write is told so; all that can be read is shown."""
    tree = bench.tree("loop-6.1.1")
    one_cpu(tree, SCSI)
    for path in tree.files("*/channels/*/cpu"):
        path.chmod(0o444)
    for path in (bench.where, tree.path):
        path.chmod(0o755)
    user = NOBODY if os.geteuid() == 0 else None
    table = bench.run("--root", tree.path, "--spread", SCSI, user=user, status=3,
                      said="vmbusstat: 3 of 4 channels did not move\n")
    assert table.count("refused: Permission denied (only root may)") == 3, table
    assert set(cpus_of(tree, SCSI).values()) == {0}
    assert bench.run("--root", tree.path, user=user) == bench.run("--root", tree.path)


@case
def names_devices(bench):
    """By GUID, its beginning, interface; else an error that says what there is."""
    tree = bench.tree("loop-6.1.1")
    tree.write(f"bus/vmbus/devices/{NIC}/net/eth0/address", "")
    for wanted in ("eth0", "4e1c0000"):
        assert NIC in bench.run("--root", tree.path, "--spread", wanted, "--dry-run")
    both = f"{NIC}, 4e1c0001{NIC[8:]}"
    bench.run("--root", tree.path, "--spread", "4e1c", status=1, said=f"vmbusstat: '4e1c' may be any of: {both}\n")
    for wanted, name in (("eth1", "eth1"), ("", ""), ("Synthetic", "Synthetic"), ("\x1b[2J", "?[2J")):
        bench.run("--root", tree.path, "--spread", wanted, status=1,
                  said=f"vmbusstat: no device {name!r}: vmbusstat without options lists them\n")


@case
def closed_channels_stay(bench):
    """Nobody can move a channel that is not open."""
    tree = bench.tree("loop-6.1.1")
    one_cpu(tree, SCSI)
    tree.unreadable(f"bus/vmbus/devices/{SCSI}/channels/8/read_avail")
    table = bench.run("--root", tree.path, "--spread", SCSI)
    assert re.search(r"(?m)^ +8 +0 +0  not open, left as it is$", table), table
    assert len(set(cpus_of(tree, SCSI).values())) == 3 and cpus_of(tree, SCSI)[8] == 0
    keyboard = "51000009-cb4d-4c58-5a20-2ce8d04098e3"
    bench.run("--root", tree.path, "--spread", keyboard, status=1, said=re.compile(f"{keyboard} has no open channel"))
