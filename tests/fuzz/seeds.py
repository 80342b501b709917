# SPDX-License-Identifier: GPL-2.0-only
"""Inputs made by hand, for "run --renew-corpus": what correct hosts and VSCs do, and a misdeed of each kind.

The bytes are those that the targets read; see operation() there and host_act() in host.c.
"""
import struct

# Operations of ring_read.c
SEND, WRONG, RAW, RECEIVE, FIRST, NEXT, CLOSE, DRAIN, DEBUG, REOPEN = 0, 3, 5, 7, 9, 10, 12, 13, 14, 15


def packet(seed, payload, kind=0x60, more=()):
    """A correct packet of type kind >> 4; bits 0 and 1 of kind: a length of two bytes, more before the payload."""
    length = struct.pack("<H", payload) if kind & 1 else bytes([payload])
    return bytes([SEND, seed, kind]) + length + bytes(more)


def ring_read():
    def ring(*operations, pages=0, buffer=4095, turns=0, host=b""):
        return struct.pack("<BHB", pages, buffer, turns) + b"".join(bytes(o) for o in operations) + host[::-1]

    receive, raw = bytes([RECEIVE, 1, 255, 15]), bytes([RAW, 1, 255, 15])
    every_type = [packet(n, n * 9, n << 4 | 2, [n]) for n in range(16)]
    yield ring(*every_type[:6], raw, receive, raw, receive, raw, receive, receive)
    yield ring(*every_type, [DRAIN, 0], [DEBUG])
    yield ring(*every_type[:3], [FIRST, FIRST, NEXT, CLOSE, NEXT, NEXT, CLOSE])
    yield ring(packet(1, 200), [RAW, 0, 8], [RECEIVE, 0, 8], raw)
    yield ring(packet(1, 200), packet(2, 0), [FIRST, NEXT, NEXT], buffer=63)
    # Around the end of the ring, again and again, with the host waiting for room.
    yield ring(*[packet(n, 1500, 0x65) + bytes([CLOSE]) + receive for n in range(9)])
    yield ring(*[packet(n, 3000, 0x65) * 2 + bytes([DRAIN, 1]) for n in range(9)], pages=3)
    yield ring(packet(1, 60000, 0x61), [FIRST, NEXT], pages=7, buffer=8191)
    yield ring(packet(1, 8), [REOPEN], receive, [FIRST, DEBUG, REOPEN, 0], packet(2, 16), receive)
    for failing in (1, 2, 3):
        yield ring([REOPEN, REOPEN, failing, REOPEN, 0], packet(2, 16), receive)
    descriptors = [(0x6, 2, 3), (0x6, 1, 3), (0x6, 4, 3), (0x6, 2, 0xffff), (0x6, 2, 0x1ff), (0, 0, 0)]
    for kind, offset8, len8 in descriptors:
        wrong = struct.pack("<BHHHHBB", WRONG, kind, offset8, len8, 0, 1, 1)
        yield ring(wrong, receive, receive, [FIRST, CLOSE])
        yield ring(packet(1, 40), wrong, [DRAIN, 0])
    # The packet is there, its trailer is not.
    yield ring(struct.pack("<BHHHHBBB", WRONG, 6, 2, 3, 0, 1, 0, 3), receive, [DRAIN, 0])
    for what in range(13):
        for wait in range(4):
            act = bytes([wait, what]) + bytes([255, 4, 6, 0, 0, 1, 2, 2])
            yield ring(packet(1, 100), packet(2, 100), [FIRST, CLOSE, NEXT], raw, receive, [CLOSE, DRAIN, 0],
                       turns=2, host=act * 2)


def ring_write():
    def ring(*operations, config=0, turns=0, host=b""):
        return bytes([config, 3, turns]) + b"".join(bytes(o) for o in operations) + host[::-1]

    def inband(length, flags=0):
        return bytes([0, length, 6, flags, length])

    def with_id(length):
        return bytes([2, length, 6, 1, length])

    gpa, read = bytes([4, 40, 1, 24, 1, 7]), bytes([8])
    for config in range(0, 256, 8):
        yield ring(inband(8), with_id(13), gpa, [13], inband(0), [12, 1], inband(5, 1), read * 5, config=config)
    yield ring(*[inband(155) + gpa + read * 2 for _ in range(40)])
    yield ring(*[inband(159) for _ in range(30)], read * 9, inband(7))
    yield ring(*[[6, 80] for _ in range(60)], read * 3, [6, 80])
    # The last one would fill the ring to the brim, and full is not empty.
    yield ring(*[[6, 80] for _ in range(39)], [6, 16], [6, 8], read * 2, [6, 16])
    yield ring([0, 250, 255, 255, 6, 0, 1], [0, 250, 0, 16, 6, 0, 1], [0, 200, 200, 15, 6, 0, 1], config=1)
    yield ring([0, 250, 0, 64, 6, 0, 1], [4, 250, 0, 128, 1, 9, 1, 1], read * 2, config=7)
    yield ring(inband(8), [15], inband(8), [15], inband(8), read, [14, 0], inband(8), [14, 1], inband(8))
    for what in range(10):
        for wait in range(3):
            act = bytes([wait, what, 255, 4, 6, 0])
            yield ring(inband(30), with_id(40), [6, 24], gpa, inband(9), turns=3, host=act * 3)


def message():
    def one(kind, length, body=b"", version=7, connected=1, claimed=None):
        header = bytes([version, connected, length if claimed is None else claimed])
        return header + (struct.pack("<II", kind, 0) + body).ljust(length, b"\0")

    relid = struct.pack("<I", 2047)
    for last in (relid, struct.pack("<I", 2048), struct.pack("<I", 0)):
        yield one(1, 196, bytes(176) + last + bytes([127, 1, 1, 0]))
        for kind, length in ((2, 12), (6, 20), (10, 20), (24, 16)):
            yield one(kind, length, last)
    yield one(1, 196, bytes(176) + relid + bytes([128, 1]))
    yield one(1, 240, bytes(176) + relid, connected=0)
    for kind, length in ((4, 8), (12, 12), (15, 12), (15, 16), (17, 8)):
        yield one(kind, length, bytes([1]))
        yield one(kind, length, claimed=length - 1)
    yield one(17, 8, version=0)
    yield one(24, 16, relid, version=6)
    yield one(25, 240)
    yield one(4, 240, claimed=241)
    yield bytes([7, 3]) + struct.pack("<I", 0xffffffff) + struct.pack("<II", 4, 0)


SEEDS = {"ring_read": ring_read, "ring_write": ring_write, "message": message}
