"""Coverage: gcov's counters out of a guest."""

from __future__ import annotations

import base64
from pathlib import Path

from .guest import Guest

# The kernel keeps the counters of modules that are gone. Its files have no size, and so no contents for tar.
COLLECT = """
cd /sys/kernel/debug/gcov && find . -name '*.gcda' >/tmp/counters || exit 1
while read -r file; do
	mkdir -p /tmp/gcov/${file%/*}
	cat $file >/tmp/gcov/$file
done </tmp/counters
tar -C /tmp/gcov -cz . | base64
rm -r /tmp/gcov
"""


def fetch_counters(guest: Guest, into: Path) -> None:
    """What was counted in the guest so far: a tar file of .gcda files, by the paths of their objects."""
    packed = guest.sh(COLLECT, 300)
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_bytes(base64.b64decode(packed))
