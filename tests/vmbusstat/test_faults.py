"""What is missing, wrong, or goes while it is read."""

import json
import re
import subprocess
import time

from bench import PYTHON, TOOL, Tree, case

TREE = "loop-6.12.1"
GONE = "4e1c0001-4e1c-4e1c-1c4e-1c4e1c4e1c4e"
# Something happens between the two readings; SIGKILL would be the default if it did not come to that.
BETWEEN = "import time; time.sleep = lambda seconds: {}"


def shown(said):
    """(device, relid) -> channel, of a JSON document."""
    devices = json.loads(said)["devices"]
    return {(device["id"], channel["relid"]): channel for device in devices for channel in device["channels"]}


@case
def no_vmbus(bench):
    """Another machine: one line, status 1."""
    said = (f"vmbusstat: no VMBus: there is no {bench.where}/bus/vmbus/devices "
            "(is this a guest of Hyper-V, and hv_vmbus loaded?)\n")
    for arguments in ((), ("--json",), ("--watch",), ("--cpu",), ("--spread", "eth0")):
        assert bench.run("--root", bench.where, *arguments, status=1, said=said) == ""
    file = bench.where / "file"
    file.write_text("")
    assert bench.run("--root", file, status=1, said=re.compile("Not a directory")) == ""


@case
def empty_bus(bench):
    """A bus without devices is not an error."""
    tree = bench.tree().machine("0-1")
    said = [bench.run("--root", tree.path, *arguments) for arguments in ((), ("--cpu",), ("--json",))]
    bench.golden("empty", "\n".join(said))
    bench.run("--root", tree.path, "--spread", "eth0", status=1,
              said="vmbusstat: no device 'eth0': vmbusstat without options lists them\n")


@case
def any_attribute_missing(bench):
    """Each file that it reads taken away, made unreadable, emptied: that value is not known, all others are as they were."""
    tree = bench.tree(TREE)
    everything = shown(bench.run("--root", tree.path, "--json"))
    names = {"cpu": "cpu", "interrupts": "interrupts", "events": "events", "out_full_first": "out_full_first",
             "out_full_total": "out_full_total", "intr_in_full": "intr_in_full", "intr_out_empty": "intr_out_empty",
             "read_avail": "in", "write_avail": "out", "subchannel_id": "sub"}
    for name, key in names.items():
        for fault in (lambda path: tree.unreadable(path), lambda path: tree.write(path, "", ""),  # noqa: E731
                      lambda path: (tree / path).unlink()):
            for path in tree.files(f"{GONE}/channels/15/{name}"):
                text = path.read_bytes()
                fault(path.relative_to(tree.path))
                found = shown(bench.run("--root", tree.path, "--json"))
                tree.write(path.relative_to(tree.path), text)
                changed = {what: value for what, value in found[GONE, 15].items() if value != everything[GONE, 15][what]}
                assert changed.pop(key, "none") is None or everything[GONE, 15][key] is None, f"{name}: {found[GONE, 15]}"
                assert set(changed) <= {"cpu": {"node"}, "read_avail": {"state"}}.get(name, set()), f"{name}: {changed}"
                assert all(found[which] == everything[which] for which in everything if which != (GONE, 15)), name


@case
def bare_devices(bench):
    """Devices without attributes, channels, driver; with unreadable ones."""
    tree = bench.tree(TREE)
    ident = "10000000-0000-0000-0000-000000000000"
    tree.write(f"bus/vmbus/devices/{ident}/class_id", "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}")
    (tree / "bus/vmbus/devices/20000000-0000-0000-0000-000000000000").mkdir()
    (tree / "bus/vmbus/devices/30000000-0000-0000-0000-000000000000/channels/77").mkdir(parents=True)
    for path in tree.files(f"{GONE}/*[!r]") + tree.files(f"{GONE}/channels/16/*"):
        if path.is_file():
            tree.unreadable(path.relative_to(tree.path))
    (tree / "devices/system/cpu/online").unlink()
    tree.unreadable("devices/system/node/node0/cpulist")
    orders = ((), ("--cpu",), ("--sort", "cpu"), ("--sort", "ch"))
    bench.golden("bare", "\n".join(bench.run("--root", tree.path, *arguments) for arguments in orders))
    bench.run("--root", tree.path, "--json", "-i", "0.01")


@case
def weird_values(bench):
    """What no kernel writes: it ends up as unknown, and no control character gets to the terminal."""
    tree = bench.tree().machine("0-1,x,7-5,99999999999")
    ident = tree.device(1, channels=14)
    values = [b"", b"\n", b"-1\n", b"0x10\n", b"1e3\n", b"18446744073709551615\n", b"99999999999999999999999\n",
              b"\0" * 4096, b"\xff\xfe\n", b"\x1b[31m7\n", "\N{ARABIC-INDIC DIGIT SEVEN}\n".encode(), b" 12 \n",
              b"12\n13\n", b"9" * 100000]
    for place, value in enumerate(values):
        for path in tree.files(f"{ident}/channels/{place + 1}/*"):
            tree.write(path.relative_to(tree.path), value)
    (tree / f"bus/vmbus/devices/{ident}/channels/nonsense").mkdir()
    tree.write(f"bus/vmbus/devices/{ident}/channels/8888888888888888888/cpu", "1")
    other = tree.device(100, "\x1b]0;evil\x07", "\x1b[2Jdriver\n", 1)
    tree.write(f"bus/vmbus/devices/{other}/net/eth\x1b[7m0/address", "")
    for name in ("id", "state", "out_read_bytes_avail"):
        tree.write(f"bus/vmbus/devices/{other}/{name}", "nonsense")
    (tree / "bus/vmbus/devices/\x1b[5mname").mkdir()
    said = [bench.run("--root", tree.path, *arguments) for arguments in ((), ("--cpu",), ("--sort", "cpu"), ("--json",))]
    assert all(letter.isprintable() or letter == "\n" for letter in "".join(said))
    bench.golden("weird", "\n".join(said[:3]))
    known = {relid: channel["interrupts"] for (_, relid), channel in shown(said[3]).items()}
    assert {relid: count for relid, count in known.items() if count is not None} == \
        {6: 18446744073709551615, 12: 12, 13: 12, 100: 10}, known


@case
def device_goes_between_readings(bench):
    """It is left out; the rates of the others are there."""
    tree = bench.tree(TREE)
    everything = set(shown(bench.run("--root", tree.path, "--json")))
    remove = BETWEEN.format(f"shutil.rmtree({str(tree / 'bus/vmbus/devices' / GONE)!r})")
    found = shown(bench.run("--root", tree.path, "--json", "-i", "5", planted=remove))
    assert set(found) == {which for which in everything if which[0] != GONE} != everything
    assert all(channel["per_second"]["interrupts"] == 0 for channel in found.values()), found


@case
def channel_goes_between_readings(bench):
    tree = bench.tree(TREE)
    remove = BETWEEN.format(f"shutil.rmtree({str(tree / 'bus/vmbus/devices' / GONE)!r} + '/channels/16')")
    table = bench.run("--root", tree.path, "-i", "5", planted=remove)
    row = [line for line in table.splitlines() if line.endswith(GONE)][0]
    assert " x3 " in row and "16" not in [line.split()[2] for line in table.splitlines() if "sub-channel" in line], table


@case
def goes_while_it_is_read(bench):
    """A device, or a channel, is taken away after any number of its files was read: it is left out."""
    for what, steps in ((GONE, 45), (f"{GONE}/channels/15", 10)):
        for step in range(0, steps, 3):
            tree = bench.tree(TREE)
            path = str(tree / "bus/vmbus/devices" / what)
            planted = f"""
read, left = tool.text, [{step}]
def text(path):
    if path.startswith({path!r}):
        left[0] -= 1
        if left[0] == 0:
            shutil.rmtree({path!r})
    return read(path)
tool.text = text
"""
            found = shown(bench.run("--root", tree.path, "--json", planted=planted))
            there = {relid for ident, relid in found if ident == GONE}
            gone = {14, 15, 16, 17} if what == GONE else {15}
            assert there == {14, 15, 16, 17} - (gone if step else set()), f"{what} after {step} files: {there}"


@case
def device_comes_between_readings(bench):
    """It has no rates yet."""
    tree = bench.tree(TREE)
    away = bench.where / "away"
    (tree / "bus/vmbus/devices" / GONE).rename(away)
    back = BETWEEN.format(f"os.rename({str(away)!r}, {str(tree / 'bus/vmbus/devices' / GONE)!r})")
    found = shown(bench.run("--root", tree.path, "--json", "-i", "5", planted=back))
    rates = [rate for (ident, _), channel in found.items() if ident == GONE for rate in channel["per_second"].values()]
    assert len(rates) == 24 and set(rates) == {None}, found
    table = bench.run("--root", bench.tree().machine().path, "--root", tree.path, "-i", "1")
    assert all(line.split()[-1] == GONE for line in table.splitlines() if " - " in line and GONE in line), table


@case
def counters_go_back(bench):
    """A channel that was opened anew counts from 0 again: no negative rate."""
    trees = [bench.tree(TREE), bench.tree(TREE)]
    trees[1].write(f"bus/vmbus/devices/{GONE}/channels/16/interrupts", "1")
    arguments = ("--root", trees[0].path, "--root", trees[1].path, "-i", "2")
    found = shown(bench.run(*arguments, "--json"))
    assert found[GONE, 16]["per_second"]["interrupts"] is None and found[GONE, 16]["interrupts"] == 1, found[GONE, 16]
    assert found[GONE, 16]["per_second"]["events"] == 0, found[GONE, 16]
    assert not re.search(r" -\d", bench.run(*arguments)), bench.run(*arguments)


@case
def rates_are_per_second(bench):
    """By the time that went by, not by what was asked for."""
    tree = bench.tree().machine()
    ident = tree.device(1)
    path = str(tree / f"bus/vmbus/devices/{ident}/channels/1/interrupts")
    planted = f"import time; sleep = time.sleep; time.sleep = lambda seconds: (sleep(2), open({path!r}, 'w').write('210'))"
    document = json.loads(bench.run("--root", tree.path, "--json", "-i", "0.5", planted=planted))
    rate = document["devices"][0]["channels"][0]["per_second"]["interrupts"]
    assert document["seconds"] >= 2 and abs(rate * document["seconds"] - 200) < 1, document


@case
def thousands_of_channels(bench):
    """Many devices and channels: all of them, in seconds."""
    tree = bench.tree().machine("0-63")
    for number in range(20):
        tree.device(1000 * (number + 1), channels=100, cpus=64)
    started = time.monotonic()
    table = bench.run("--root", tree.path, "--sort", "intr")
    took = time.monotonic() - started
    assert len(table.splitlines()) == 1 + 20 * 101 and took < 60, took
    assert len(shown(bench.run("--root", tree.path, "--json"))) == 2000
    bars = bench.run("--root", tree.path, "--cpu").splitlines()
    assert len(bars) == 65 and sum(int(line.split()[2]) for line in bars[1:]) == 2000, bars


@case
def reader_goes(bench):
    """A pipe that nobody reads is no error worth a traceback."""
    tree = bench.tree(TREE)
    with subprocess.Popen([PYTHON, "-B", str(TOOL), "--root", str(tree.path), "--watch", "-i", "0.05"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) == -13 and process.stderr.read() == b""


@case
def wrong_options(bench):
    """Status 2, and a line that says why."""
    tree = Tree(bench.where, TREE)
    for arguments, why in (
            (["-i", "-1"], "--interval is 0 to 86400 seconds"), (["-i", "nan"], "--interval is 0 to"),
            (["-i", "x"], "invalid float"),
            (["--watch", "-i", "0"], "--watch needs an interval"), (["-n", "3"], "--count is for --watch"),
            (["-wn", "0"], "--count is 1 or more"), (["--sort", "nonsense"], "invalid choice"),
            (["--dry-run"], "--dry-run is for"), (["--spread", "eth0", "--json"], "--spread goes with"),
            (["--cpu", "--sort", "driver"], "--cpu has the columns"),
            (["--wat"], "unrecognized"), (["nonsense"], "unrecognized")):
        bench.run("--root", tree.path, *arguments, status=2, said=re.compile(re.escape(why)))


@case
def watches_a_file(bench):
    """--watch without a terminal: table after table, or document after document, so often as was said."""
    tree = bench.tree(TREE)
    once = bench.run("--root", tree.path, "-i", "0.01")
    assert bench.run("--root", tree.path, "-wn", "3", "-i", "0.01") == "\n".join([once] * 3)
    documents = bench.run("--root", tree.path, "-wj", "--count", "3", "-i", "0.01").splitlines()
    assert len(documents) == 3 and all(shown(line) for line in documents)
    trees = [part for number in (1, 2, 1) for part in ("--root", bench.tree(f"loop-6.12.{number}").path)]
    assert len(bench.run(*trees, "-wj", "-i", "10").splitlines()) == 2
