"""Captured trees, and what is printed of them to the letter."""

import json

from bench import HERE, case

# Of the host in a module: two readings some 10 s apart, under load. Of the real host: before hv_balloon, then with it.
LOOP = ("loop-6.1", "loop-6.12")
HOST = sorted({path.name.rpartition(".")[0] for path in (HERE / "trees").glob("host-*")})
NUMBERS = ("intr", "sig", "in", "out", "full", "fullpkt", "infull", "outempty")
COLUMNS = ("device", "ch", "driver", "cpu", "node", "state", *NUMBERS, "id")


def pair(bench, name):
    """--root twice, 10 s apart."""
    return "--root", bench.tree(f"{name}.1").path, "--root", bench.tree(f"{name}.2").path, "-i", "10"


@case
def trees_are_small(_):
    for path in (HERE / "trees").iterdir():
        assert path.stat().st_size < 60_000, path
    assert len(HOST) == 4, HOST


@case
def loop_counts(bench):
    """One tree: counts."""
    for name in LOOP:
        bench.golden(f"{name}.counts", bench.run("--root", bench.tree(f"{name}.1").path))


@case
def loop_rates(bench):
    """Two trees: rates."""
    for name in LOOP:
        bench.golden(f"{name}.rates", bench.run(*pair(bench, name)))


@case
def loop_cpus(bench):
    """The bars, of rates and of counts, in the order of CPUs and of interrupts."""
    for name in LOOP:
        trees = pair(bench, name)
        said = [bench.run(*trees, "--cpu"), bench.run(*trees, "-c", "-s", "intr"), bench.run(*trees, "-crs", "intr"),
                bench.run(*trees[:2], "--cpu", "--sort", "ch")]
        bench.golden(f"{name}.cpus", "\n".join(said))


@case
def loop_json(bench):
    """The document, and the same in a line; it has what the table has."""
    for name in LOOP:
        trees = pair(bench, name)
        said = bench.run(*trees, "--watch", "--json")
        bench.golden(f"{name}.json", said)
        assert said.count("\n") == 1, said
        document = json.loads(bench.run(*trees, "--json"))
        assert json.loads(said) == document
        rows = [line.split() for line in bench.run(*trees).splitlines()]
        for device in document["devices"]:
            events = sum(channel["intr_out_empty"] for channel in device["channels"])
            assert [row for row in rows if row[-1] == device["id"]][0][-2] == str(events), device
        assert json.loads(bench.run(*trees[:2], "--json"))["devices"][0]["channels"][0]["per_second"] == {}


@case
def host_trees(bench):
    """The real host's balloon with both drivers: not used, in use, over 2 s."""
    for name in HOST:
        trees = [bench.tree(f"{name}.{number}").path for number in range(3)]
        said = [bench.run("--root", trees[0]), bench.run("--root", trees[1]), bench.run("--root", trees[1], "--json"),
                bench.run("--root", trees[1], "--root", trees[2], "-i", "2"),
                bench.run("--root", trees[1], "--root", trees[2], "-i", "2", "--cpu"),
                bench.run("--root", trees[1], "--root", trees[2], "-i", "2", "--json")]
        bench.golden(name, "\n".join(said))


@case
def both_drivers_look_alike(bench):
    """Of the distribution's driver and ours the same is seen, but for counts of events."""
    for kernel in ("6.1", "6.12"):
        shapes = []
        for driver in ("ours", "stock"):
            said = bench.run("--root", bench.tree(f"host-{kernel}-{driver}.1").path, "--json")
            shapes.append([(device["id"], device["name"], device["driver"], channel["relid"], channel["cpu"],
                            channel["state"], [name for name in channel if channel[name] is None])
                           for device in json.loads(said)["devices"] for channel in device["channels"]])
        assert shapes[0] == shapes[1] and len(shapes[0]) == 1, shapes


def split(table):
    """Groups of lines, a device's first."""
    groups = []
    for line in table.splitlines()[1:]:
        if line.startswith("  "):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


@case
def sorts_by_each_column(bench):
    """Devices are in order, their channels with them; --reverse is that backwards; nothing is lost."""
    tree = bench.tree("loop-6.12.1")
    number = len(split(bench.run("--root", tree.path)))
    said = []
    for column in COLUMNS:
        for order in ((), ("--reverse",)):
            table = bench.run("--root", tree.path, "--sort", column, *order)
            groups = split(table)
            assert sorted(line for group in groups for line in group) == \
                sorted(bench.run("--root", tree.path).splitlines()[1:]), table
            assert len(groups) == number
            if column in NUMBERS:
                # From the right: id, outempty ... intr.
                place = -2 - NUMBERS[::-1].index(column)
                values = [group[0].split()[place] for group in groups]
                known = [int(value) for value in values if value != "-"]
                assert known == sorted(known, reverse=not order) and "-" not in values[: len(known)], values
            if column in ("intr", "state", "ch"):
                said.append(f"{column} {' '.join(order)}\n{table}")
    bench.golden("loop-6.12.sorted", "\n".join(said))


@case
def wide_machine(bench):
    """Channels on many CPUs and nodes are told in a few letters; bars have the room that there is."""
    tree = bench.tree().machine("0-127")
    for node in range(4):
        tree.write(f"devices/system/node/node{node}/cpulist", f"{node * 32}-{node * 32 + 31}")
    tree.device(1, channels=64, cpus=64)
    tree.device(100, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "hv_storvsc", channels=16, cpus=16)
    for place, file in enumerate(tree.files("00000064*/channels/*/cpu")):
        file.write_text(f"{place * 8}\n")
    bench.golden("wide", bench.run("--root", tree.path) + "\n" + bench.run("--root", tree.path, "--cpu", "--sort", "intr"))
