"""Rings of many sizes in fragmented memory: ours beside the distribution's driver, in one guest."""

import re

import side_by_side
from hostlib.guest import Guest
from hostlib.testing import OURS, STOCK, case, note
from side_by_side import SIZES, TRIES

PAGE = 4
# Page numbers that fit the first message of a GPADL, and each further one.
HEADER, BODY = 26, 28


def messages(kbytes: int) -> tuple[int, int]:
    """Header and body messages that make a GPADL of two rings of this size."""
    pages = 2 * kbytes // PAGE
    return 1, max(0, -(-(pages - HEADER) // BODY))


@case(setup=side_by_side.SETUP, drivers=(OURS,))
def rings_open_in_fragmented_memory(guest: Guest) -> None:
    """20 of 20 rings of each size open, are answered and close; what the stock module opens of the large ones."""
    seen = side_by_side.observe(guest)
    ours, stock = seen[OURS], seen[STOCK]
    for kbytes in SIZES:
        line = f"{guest.kernel.name}: rings of {kbytes:4} KiB each way: ours {ours.rings[kbytes]['opened']} of {TRIES}"
        if kbytes in stock.rings:
            line += f", stock {stock.rings[kbytes]['opened']} of {TRIES}"
        note(line)
    assert not ours.complaints, "the guest's console has:\n" + "\n".join(ours.complaints)
    for kbytes in SIZES:
        result, trace = ours.rings[kbytes], ours.traces[kbytes]
        assert result["opened"] == result["answered"] == TRIES, f"{kbytes} KiB: {result}"
        for number, each in zip((8, 9), messages(kbytes)):
            count = len(re.findall(rf"vmbus_process_incoming_message type {number}\b", trace))
            assert count == TRIES * each, f"{kbytes} KiB: {count} messages of type {number}, not {TRIES} x {each}"
        for what in ("gpadl_created gpadl", "gpadl_torndown gpadl"):
            count = len(set(re.findall(rf"vmbus_{what} #(-?\d+)", trace)))
            assert count == TRIES, f"{kbytes} KiB: the host did {count} of {TRIES}: {what}"
        assert not re.search(r"vmbus_channel_open channel #1 status [^0]", trace)
    # Else the memory was not fragmented, and ours showed nothing.
    assert stock.rings[SIZES[-1]]["opened"] < TRIES, "the stock module opened all of the largest rings"
