# SPDX-License-Identifier: GPL-2.0-only
"""What the guest tells a host of each version, as text that is checked in: exchanges/VERSION.txt, and a paravisor.

The suite hv_vmbus_exchange prints the messages. What differs from run to run (addresses, handles, ids of openings,
the connection that a host of 5.0 or later gives out) is dots; every other byte that the guest sends is there. Of what the host answers
there is the name: its bytes are the simulated host's.
"""
import difflib
import itertools
import pathlib
import re

RECORDS = pathlib.Path(__file__).resolve().parent / "exchanges"
HEARD = re.compile(r"exchange (\d\.\d[-a-z]*) (guest|host) (\d+) ([0-9a-f]+)\r?$", re.M)
SKIPPED = re.compile(r"\bok \d+ (\d\.\d) # SKIP (.*?)\r?$", re.M)
NAMES = {1: "OFFERCHANNEL", 2: "RESCIND_CHANNELOFFER", 3: "REQUESTOFFERS", 4: "ALLOFFERS_DELIVERED", 5: "OPENCHANNEL",
         6: "OPENCHANNEL_RESULT", 7: "CLOSECHANNEL", 8: "GPADL_HEADER", 9: "GPADL_BODY", 10: "GPADL_CREATED",
         11: "GPADL_TEARDOWN", 12: "GPADL_TORNDOWN", 13: "RELID_RELEASED", 14: "INITIATE_CONTACT",
         15: "VERSION_RESPONSE", 16: "UNLOAD", 17: "UNLOAD_RESPONSE"}
END = 240
# By type, bytes from .. to that are dots.
VARIES = {5: [(12, 20)], 8: [(12, 16), (28, END)], 9: [(12, 16), (16, END)], 11: [(12, 16)], 14: [(24, 40)]}
CONTACT, VERSION_RESPONSE = 14, 15
GIVES_CONNECTION = 0x50000


def number(data, at):
    """The little-endian u32 there."""
    return int.from_bytes(data[at:at + 4], "little")


def masked(data):
    """Its bytes as text, of which some are dots; 16 a line, lines that are all dots as one."""
    kind = number(data, 0)
    varies = list(VARIES.get(kind, []))
    if kind == CONTACT and number(data, 8) < GIVES_CONNECTION:
        varies.append((16, 24))     # the interrupt page
    text = [".." if any(begin <= at < end for begin, end in varies) else f"{byte:02x}" for at, byte in enumerate(data)]
    lines = [" ".join(text[at:at + 16]) for at in range(0, len(text), 16)]
    shown = []
    for dots, group in itertools.groupby(lines, lambda line: set(line) == {".", " "}):
        shown += [f"..  {len(list(group))} lines"] if dots else group
    return shown


def texts(console):
    """Version -> the text of its exchange, of a console that may have none."""
    found = {}
    given = {}
    for version, who, connection, payload in HEARD.findall(console):
        data = bytes.fromhex(payload)
        kind = number(data, 0)
        lines = found.setdefault(version, [])
        if who == "host":
            lines.append(f"host: {NAMES.get(kind, kind)}")
            if kind == VERSION_RESPONSE and len(data) >= 16:
                given[version] = number(data, 12)
            continue
        on = "given" if kind != CONTACT and int(connection) == given.get(version) != 1 else connection
        lines.append(f"guest: {NAMES.get(kind, kind)} of {len(data)} bytes, connection {on}")
        lines += [f"\t{line}" for line in masked(data)]
    return {version: "\n".join(lines) + "\n" for version, lines in found.items()}


def record(console):
    """Keep them."""
    RECORDS.mkdir(exist_ok=True)
    for version, text in texts(console).items():
        (RECORDS / f"{version}.txt").write_text(text, encoding="ascii")


def judge(console, results):
    """A result for each version, if the suite was run."""
    if "hv_vmbus_exchange" not in console:
        return
    now = texts(console)
    skipped = dict(SKIPPED.findall(console))
    kept = {file.stem: file.read_text(encoding="ascii") for file in RECORDS.glob("*.txt")}
    for version in sorted(now.keys() | kept.keys()):
        if version in skipped and version not in now:
            results.skip(f"exchange {version} is as recorded", skipped[version])
            continue
        before, after = (text.get(version, "").splitlines() for text in (kept, now))
        changes = difflib.unified_diff(before, after, f"exchanges/{version}.txt", "this run", lineterm="")
        results.case(before == after, f"exchange {version} is as recorded", list(changes))
