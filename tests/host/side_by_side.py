"""The distribution's driver and ours in one guest: what both do is observed once, and judged by several cases.

Ours goes first, and the other stays: the distribution's 6.12 driver crashes in its interrupt handler when removed.
"""

import re
from dataclasses import dataclass, field

from hostlib.guest import Guest, Setup
from hostlib.testing import OURS, STOCK

SETUP = Setup(modules=("uio_hv_generic",), extras=("test-modules", "stock"), memory=400)
FILES = {OURS: "hv_vmbus", STOCK: "stock"}
RINGS = "/sys/module/vmbus_rings/parameters"
FRAG = "/sys/module/vmbus_frag/parameters"
SIZES = (8, 16, 64, 128, 512, 1024, 2048)
# The distribution's driver takes both rings in one block. For one of up to 32 KiB (PAGE_ALLOC_COSTLY_ORDER) the kernel
# kills processes rather than fail, the tests' own too.
BLOCK_MAY_FAIL = 64
TRIES = 20

# Paths with type, mode and a link's target; then contents. Few processes: each is some 20 ms in a nested guest.
COLLECT = r"""
cd /sys
find bus/vmbus/devices/*/ bus/vmbus module/hv_vmbus $(ls -d bus/acpi/drivers/hv_vmbus 2>/dev/null) \
	! -path '*/power/*' ! -path '*/notes/*' ! -path '*/sections/*' >/tmp/paths
ls -d kernel/tracing/events/hyperv/vmbus* kernel/debug/hyperv >>/tmp/paths 2>/dev/null
xargs stat -c '%F %a|%N' </tmp/paths
echo "== contents"
xargs stat -c '%F %n' </tmp/paths | sed -n 's/^regular \(empty \)\?file //p' | xargs grep -H '' 2>&1
true
"""
FORMATS = "grep -H '' /sys/kernel/tracing/events/hyperv/vmbus*/format 2>/dev/null | grep -v '/format:ID:'"
# Out-of-tree and built apart: these differ between any two builds of anything.
BUILD = re.compile(r"module/hv_vmbus/(sections|notes|srcversion|taint|coresize|initsize|refcnt|version|scmversion)")


GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def shape(value: str) -> str:
    """The format of a value: numbers, GUIDs and texts as such."""
    value = re.sub(GUID, "GUID", value)
    value = re.sub(r"0x[0-9a-f]+", "HEX", value)
    return re.sub(r"-?\b\d+\b", "N", value).strip()


def tree(guest: Guest) -> dict[str, tuple[str, str]]:
    """Path -> (type and mode, format), with what names this boot's device taken out."""
    about, contents = guest.sh(COLLECT, 180).split("== contents\n")
    kinds, values = {}, {}
    for line in about.splitlines():
        kind, name = line.split("|", 1)
        path, _, target = name.partition(" -> ")
        path = path.strip("'\"")
        kinds[path], values[path] = kind, target.strip("'\"")
    for line in contents.splitlines():
        # A file that cannot be read: its error is what it holds.
        line = line.removeprefix("grep: ")
        ends = [at.start() for at in re.finditer(":", line) if line[: at.start()] in kinds]
        assert ends, f"of which file is this: {line}"
        values[line[: ends[0]]] += line[ends[0] + 1 :] + "\n"
    return {re.sub(GUID, "GUID", path): (kind, shape(values[path]))
            for path, kind in kinds.items() if not BUILD.match(path)}


def formats(guest: Guest) -> dict[str, list[str]]:
    """Tracepoint -> the lines of its format file (fields with type, offset, size, sign; what it prints), but for its id."""
    found: dict[str, list[str]] = {}
    for line in guest.run(FORMATS)[1].splitlines():
        path, _, text = line.partition("/format:")
        found.setdefault(path.rsplit("/", 1)[-1], []).append(text)
    return found


def without_bus(guest: Guest) -> None:
    """No bus driver, and nothing on top."""
    guest.unload("uio_hv_generic")
    guest.unload("vmbus_rings")
    guest.unload("hv_vmbus")


def bus_with_rings(guest: Guest, which: str = OURS) -> None:
    """A bus driver and the rings module, and nothing else that drives a device."""
    for name, args in ((FILES[which], ""), ("vmbus_rings", "talk=1")):
        status, output = guest.insmod(name, args)
        assert not status, f"insmod {name}: {output}"
    guest.wait_for(lambda: guest.run("ls /sys/bus/vmbus/drivers/vmbus_rings/*-*/state")[0] == 0, 20, "nothing bound")


def open_rings(guest: Guest, kbytes: int, tries: int) -> dict[str, int]:
    """Open and close rings of this size each way; what it came to."""
    guest.sh(f'echo "{kbytes * 1024} {tries}" >{RINGS}/run', 180)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", guest.sh(f"cat {RINGS}/result"))}


@dataclass
class Observed:
    """What one driver does: its trees in sysfs, its tracepoints; by ring size in kB, how opening went, what the host saw."""

    trees: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    formats: dict[str, list[str]] = field(default_factory=dict)
    rings: dict[int, dict[str, int]] = field(default_factory=dict)
    traces: dict[int, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


def _observe(guest: Guest, which: str, sizes: tuple[int, ...]) -> Observed:
    seen = Observed()
    bus_with_rings(guest, which)
    seen.trees["closed"] = tree(guest)
    seen.formats = formats(guest)
    guest.sh(f"echo 65536 >{RINGS}/keep")
    seen.trees["open"] = tree(guest)
    guest.sh(f"echo 0 >{RINGS}/keep")
    guest.sh(f"sync; echo 3 >/proc/sys/vm/drop_caches; test -e {FRAG} || insmod /m/vmbus_frag.ko")
    for kbytes in sizes:
        # One block that came together since is enough for the stock module: it takes what it has just given back.
        for _ in range(6 if which == STOCK and kbytes == sizes[-1] else 1):
            guest.sh(f"cd {FRAG}; echo 0 >hold; echo 3 >/proc/sys/vm/drop_caches; echo 1 >hold")
            mark = guest.mark()
            seen.rings[kbytes] = open_rings(guest, kbytes, TRIES)
            seen.traces[kbytes] = guest.trace(mark)
            if seen.rings[kbytes]["opened"] < TRIES:
                break
    # It stays: under the distribution's driver of 6.12 rt a grace period of RCU, which removal waits for, takes minutes.
    guest.sh(f"echo 0 >{FRAG}/hold")
    seen.complaints = guest.complaints()
    return seen


def observe(guest: Guest) -> dict[str, Observed]:
    """What ours and the distribution's do in this guest; observed by the first case that asks, kept with the guest."""
    if not guest.memo:
        ours = _observe(guest, OURS, SIZES)
        without_bus(guest)
        guest.expected.append("page allocation failure")
        large = tuple(kbytes for kbytes in SIZES if 2 * kbytes >= BLOCK_MAY_FAIL)
        guest.memo.update({OURS: ours, STOCK: _observe(guest, STOCK, large)})
    return guest.memo
