"""What the debug kernel finds on its own: kmemleak, lockdep, and reports on the console."""

from __future__ import annotations

import re

from .guest import BAD, Guest

KMEMLEAK = "/sys/kernel/debug/kmemleak"
# 6.1.192 itself: the reason is lost when a driver comes while a device is being added, whatever the bus.
KERNELS_OWN = re.compile("device_set_deferred_probe_reason")


def forget_leaks(guest: Guest) -> None:
    """What was lost until now is not ours to judge."""
    guest.sh(f"sleep 6; echo scan >{KMEMLEAK}; sleep 1; echo scan >{KMEMLEAK}; echo clear >{KMEMLEAK}", 300)


def leaks(guest: Guest) -> str:
    """
    What kmemleak reports. An object counts once it is old enough (5 s) and two scans missed it.

    A scan does not stop the guest: it misses what moves meanwhile, and the report has no more what a later one finds in use.
    """
    guest.sh(f"sleep 6; echo scan >{KMEMLEAK}", 300)
    for _ in range(4):
        guest.sh(f"sleep 1; echo scan >{KMEMLEAK}", 300)
        found = re.split(r"(?m)^(?=unreferenced object)", guest.sh(f"cat {KMEMLEAK}"))
        left = "".join(leak for leak in found if not KERNELS_OWN.search(leak))
        if not left:
            break
    return left


def lockdep_is_on(guest: Guest) -> bool:
    """It turns itself off at its first report, and when its tables are full."""
    return bool(re.search(r"debug_locks: +1$", guest.sh("cat /proc/lockdep_stats"), re.M))


def reports(console: str, before: int = 3, after: int = 60, most: int = 200) -> list[str]:
    """What the console says that no guest may say, with the lines around it."""
    lines = console.splitlines()
    wanted = sorted({near for number, line in enumerate(lines) if BAD.search(line)
                     for near in range(max(0, number - before), min(len(lines), number + after + 1))})
    shown: list[str] = []
    for index, number in enumerate(wanted):
        shown += ["..."] * bool(index and number != wanted[index - 1] + 1) + [lines[number]]
    return shown[:most] + ["..."] * (len(shown) > most)
