#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare the tables of Documentation/testing.rst that map messages, states and errors to test cases with the sources.
Cases that it or compatibility.rst names as "suite.case" elsewhere have to exist, too.

Prints what is wrong; with --skeleton, rows for what has none.
"""
import ast
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
TABLES = TOP / "Documentation/testing.rst"
HEADER = TOP / "include/vmbus_private.h"
ABI = TOP / "Documentation/ABI/sysfs-bus-vmbus"
# What a kernel-doc says of a failure: an errno, or another value "if ...".
FAILURES = re.compile(r"-E[A-Z]+\b|\b(?:false|NULL|VMBUS_\w+)(?=\s(?:\*\s)?if\b)")


def messages():
    """Each type of message that the driver sends or handles; the table of names has more."""
    found = set()
    for path in TOP.glob("*.c"):
        text = re.sub(r"message_names\[\w+\] = \{.*?\n\};", "", path.read_text(), flags=re.S)
        found |= set(re.findall(r"\bCHANNELMSG_\w+", text))
    return found - {"CHANNELMSG_COUNT"}


def states_and_events():
    """The two enums of the state machine."""
    enums = re.findall(r"enum vmbus_chan_(?:state|event) \{(.*?)\n\};", HEADER.read_text(), re.S)
    return set(re.findall(r"^\t(VMBUS_\w+)", "\n".join(enums), re.M))


def errors():
    """Each failure that a kernel-doc names, as "function() -ERRNO" or with another value."""
    found = set()
    for path in TOP.glob("*.c"):
        for function, doc in re.findall(r"^/\*\*\n \* (\w+)\(\)(.*?)\*/", path.read_text(), re.M | re.S):
            returns = re.search(r"Return: .*", doc, re.S)
            if returns:
                found |= {f"{function}() {failure}" for failure in FAILURES.findall(returns[0])}
    return found


def attribute_errors():
    """Each errno that the ABI's description names, as "attribute -ERRNO"; the first of those described together."""
    found = set()
    for block in re.split(r"^What:\s+", ABI.read_text(), flags=re.M)[1:]:
        name = block.split()[0].rstrip("/").rpartition("/")[2]
        found |= {f"{name} -{errno}" for errno in re.findall(r"\bE[A-Z]{2,}\b", block.partition("Description:")[2])}
    return found


def known_cases():
    """Cases of the suites as "suite.case", of the real host by their names."""
    found = set()
    for path in (TOP / "tests/kunit").glob("*_kunit.c"):
        suite = path.name.removesuffix("_kunit.c")
        found |= {f"{suite}.{name}" for name in re.findall(r"\bKUNIT_CASE(?:_\w+)?\((\w+)", path.read_text())}
    for path in (TOP / "tests/host").glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", [])]
            if any(mark.startswith("case(") for mark in marks):
                found.add(node.name)
    return found


def rows():
    """Item -> cases, of all simple tables headed "item  cases". A line that begins with blanks continues a row."""
    found = {}
    for table in re.findall(r"^=+ +=+\nitem +cases\n=+ +=+\n(.*?)^=+ +=+$", TABLES.read_text(), re.M | re.S):
        item = None
        for line in filter(str.strip, table.splitlines()):
            if not line.startswith(" "):
                item, _, line = line.partition("  ")
                found.setdefault(item, [])
            found[item] += re.findall(r"[\w.]+", line)
    return found


def named_cases():
    """What the two documents name as suite.case, and is no file: the name -> the document."""
    suites = {path.name.removesuffix("_kunit.c") for path in (TOP / "tests/kunit").glob("*_kunit.c")}
    found = {}
    for path in (TABLES, TABLES.with_name("compatibility.rst")):
        for suite, name in re.findall(r"(?<![\w/.])(\w+)\.(\w+)", path.read_text()):
            if suite in suites and name not in ("c", "h", "rst", "pml"):
                found[f"{suite}.{name}"] = path.name
    return found


def findings():
    """What is wrong, one line each."""
    table, cases = rows(), known_cases()
    items = messages() | states_and_events() | errors() | attribute_errors()
    return ([f"{item}: no row" for item in sorted(items - set(table))]
            + [f"{item}: not in the sources" for item in sorted(set(table) - items)]
            + [f"{item}: no case" for item in sorted(table) if not table[item]]
            + [f"{item}: no such case: {case}" for item in sorted(table) for case in table[item] if case not in cases]
            + [f"{name}: no such case: {case}" for case, name in sorted(named_cases().items()) if case not in cases])


def main():
    if "--skeleton" in sys.argv:
        for group in (messages(), states_and_events(), errors(), attribute_errors()):
            print("\n".join(sorted(group - set(rows()))), end="\n\n")
        return 0
    found = findings()
    print("\n".join(found) or f"{len(rows())} items, each with its cases")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
