"""Side by side: the sysfs trees of the distribution's driver and of ours, in the same guest kernel."""

import re

from hostlib.guest import Guest, Setup
from hostlib.testing import OURS, STOCK, Environment, case
from test_device import device, with_balloon

# Path, type, mode and (for a readable file) what it holds.
COLLECT = r"""
walk() {
	find "$1" ! -path '*/power/*' ! -path '*/notes/*' ! -path '*/sections/*' | while read -r path; do
		kind=$(stat -c '%F %a' "$path" | tr ' ' _)
		value=
		[ -f "$path" ] && { value=$(cat "$path" 2>&1) || value="error: $value"; }
		[ -L "$path" ] && value=$(readlink "$path")
		echo "$path|$kind|$(echo "$value" | tr '\n' ' ')"
	done
}
for top in /sys/bus/vmbus/devices/* ; do walk "$top/"; done
walk /sys/bus/vmbus
walk /sys/module/hv_vmbus
walk /sys/bus/acpi/drivers/hv_vmbus 2>/dev/null
ls -d /sys/kernel/tracing/events/hyperv/vmbus* /sys/kernel/debug/hyperv 2>/dev/null | sed 's/$/|event|/'
"""
# Out-of-tree and built apart: these differ between any two builds of anything.
BUILD = re.compile(r"/sys/module/hv_vmbus/(sections|notes|srcversion|taint|coresize|initsize|refcnt|version|scmversion)")


def shape(value: str) -> str:
    """The format of a value: numbers, GUIDs and texts as such."""
    value = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID", value)
    value = re.sub(r"0x[0-9a-f]+", "HEX", value)
    return re.sub(r"-?\b\d+\b", "N", value).strip()


def tree(guest: Guest) -> dict[str, tuple[str, str]]:
    """Path -> (type and mode, format), with what names this boot's device taken out."""
    result = {}
    for line in guest.sh(COLLECT, 180).splitlines():
        path, kind, value = line.split("|", 2)
        path = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID", path)
        if not BUILD.match(path):
            result[path] = (kind, shape(value))
    return result


@case(setup=None, drivers=(OURS,))
def sysfs_equals_stock(env: Environment) -> None:
    """Names, modes and value formats below the bus, the device and the module are the distribution's."""
    trees = {}
    for which in (STOCK, OURS):
        guest = env.boot(Setup(modules=("hv_balloon",)), which)
        with_balloon(guest)
        device(guest)
        trees[which] = tree(guest)
        assert len(trees[which]) > 60, f"only {len(trees[which])} entries found with {which}"
    stock, ours = trees[STOCK], trees[OURS]
    different = [f"only stock has {path}" for path in sorted(stock.keys() - ours.keys())]
    different += [f"only ours has {path}" for path in sorted(ours.keys() - stock.keys())]
    different += [f"{path}: stock {stock[path]}, ours {ours[path]}"
                  for path in sorted(stock.keys() & ours.keys()) if stock[path] != ours[path]]
    assert not different, "\n".join(different)


@case(setup=None, drivers=(STOCK,))
def sysfs_is_the_same_twice(env: Environment) -> None:
    """The comparison itself: two boots of the distribution's driver give the same tree."""
    trees = []
    for _ in range(2):
        guest = env.boot(Setup(modules=("hv_balloon",)), STOCK)
        with_balloon(guest)
        trees.append(tree(guest))
        assert len(trees[-1]) > 60, f"only {len(trees[-1])} entries found"
    assert trees[0] == trees[1], set(trees[0].items()) ^ set(trees[1].items())
