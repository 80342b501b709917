"""Side by side: the sysfs trees of the distribution's driver and of ours, in the same guest."""

import difflib

import side_by_side
from hostlib.guest import Guest
from hostlib.testing import OURS, STOCK, case, note
from side_by_side import bus_with_rings, tree, without_bus

# Tracepoints of system hyperv whose names begin with vmbus: as many in 6.1 as in 6.12.
TRACEPOINTS = 22


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
    wrong = []
    for state in seen[STOCK].trees:
        stock, ours = (seen[which].trees[state] for which in (STOCK, OURS))
        assert len(stock) > 60, f"only {len(stock)} entries found with stock"
        found = differences(stock, ours)
        wrong += [f"{state}: {line}" for line in found]
        note(f"{guest.kernel.name}: {state}: {len(stock)} entries with stock, {len(ours)} with ours, {len(found)} differ")
    assert not wrong, "\n".join(wrong)


@case(setup=side_by_side.SETUP, drivers=(OURS,))
def tracepoints_equal_stock(guest: Guest) -> None:
    """Each tracepoint of the distribution's is there, with the same fields (type, offset, size, sign) and print format."""
    seen = side_by_side.observe(guest)
    stock, ours = seen[STOCK].formats, seen[OURS].formats
    assert len(stock) == TRACEPOINTS, f"stock has {sorted(stock)}"
    found = [f"only {whose} has {name}" for whose, mine, other in (("stock", stock, ours), ("ours", ours, stock))
             for name in sorted(mine.keys() - other.keys())]
    for name in sorted(stock.keys() & ours.keys()):
        found += [f"{name}: {line}" for line in difflib.unified_diff(stock[name], ours[name], "stock", "ours", "", "", 0)]
    equal = sum(stock[name] == ours.get(name) for name in stock)
    note(f"{guest.kernel.name}: tracepoints equal: {equal} of {len(stock)}")
    assert not found, "\n".join(found)
