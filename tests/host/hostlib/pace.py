"""How slow this machine is, which its boots tell: deadlines grow with that, up to a bound.

A test says how long something may take on a machine like the one that it was written on, with two of its parts at a time.
A machine that was quick at a boot may be slow later, as others begin to work on it: each deadline has a reserve for that.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Seconds of a boot there, by its kind.
USUAL = {"L1": 12, "plain": 15, "checking": 30}
# Whatever takes longer than so many times its deadline is lost on any machine.
SLOWEST = 4.0
# So many times as slow may it become after any boot.
RESERVE = 3.0
# Where tests/run reads how many seconds a minute of its deadline for the whole part is.
TOLD_IN = "HV_VMBUS_PACE"

_slower = 1.0       # pylint: disable=invalid-name


def booted(kind: str, seconds: float) -> None:
    """A boot of this kind took so long. The slowest one counts."""
    global _slower      # pylint: disable=global-statement
    _slower = max(_slower, min(SLOWEST, seconds / USUAL[kind]))
    if _slower > 1 and TOLD_IN in os.environ:
        Path(os.environ[TOLD_IN]).write_text(f"{_slower * 60:.0f}\n", encoding="ascii")


def longest(timeout: float) -> float:
    """How long something may take here that may take so long there."""
    return timeout * max(_slower, RESERVE)


def deadline(timeout: float) -> float:
    """When something that may take so many seconds has to be over, by time.monotonic()."""
    return time.monotonic() + longest(timeout)


def said() -> str:
    """For a message about something that was not over in time."""
    return f" (this machine: {_slower:.1f} times as slow as deadlines were made for, of {SLOWEST:.0f} at most)" if _slower > 1 else ""
