"""Side by side: the sysfs trees of the distribution's driver and of ours, in the same guest."""

import re

import side_by_side
from hostlib.guest import Guest
from hostlib.testing import OURS, STOCK, case, note
from side_by_side import bus_with_rings, tree, without_bus

# Differences that are known, each with its reason. One that is gone makes the test fail: take it out then.
KNOWN = {
    r"only stock has kernel/tracing/events/hyperv/vmbus_\w+": "not there yet, see README",
}


def differences(stock: dict, ours: dict) -> list[str]:
    """A line for each entry that the two have not in common."""
    return ([f"only stock has {path}" for path in sorted(stock.keys() - ours.keys())]
            + [f"only ours has {path}" for path in sorted(ours.keys() - stock.keys())]
            + [f"{path}: stock {stock[path]}, ours {ours[path]}"
               for path in sorted(stock.keys() & ours.keys()) if stock[path] != ours[path]])


# The reload comes first: the cases after it leave the distribution's driver loaded.
@case(setup=side_by_side.SETUP, drivers=(OURS,))
def sysfs_is_the_same_twice(guest: Guest) -> None:
    """The comparison itself: the same driver gives the same tree again."""
    found = []
    for _ in range(2):
        bus_with_rings(guest)
        found.append(tree(guest))
        without_bus(guest)
    assert found[0] == found[1], differences(*found)


@case(setup=side_by_side.SETUP, drivers=(OURS,))
def sysfs_equals_stock(guest: Guest) -> None:
    """Names, modes and value formats below the bus, the device and the module are the distribution's."""
    seen = side_by_side.observe(guest)
    assert seen[OURS].trees["open"] != seen[OURS].trees["closed"], "the channel was never open"
    for state in ("closed", "open"):
        stock, ours = (seen[which].trees[state] for which in (STOCK, OURS))
        assert len(stock) > 60, f"only {len(stock)} entries found with stock"
        found = differences(stock, ours)
        unknown = [line for line in found if not any(re.fullmatch(known, line) for known in KNOWN)]
        stale = [known for known in KNOWN if not any(re.fullmatch(known, line) for line in found)]
        assert not unknown, f"channel {state}:\n" + "\n".join(unknown)
        assert not stale, f"known differences that are none: {stale}"
        note(f"{guest.kernel.name}: channel {state}: {len(stock)} entries with stock, {len(ours)} with ours, "
             f"{len(found)} known differences")
