#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare the tables of Documentation/testing.rst that map messages, states and errors to test cases with the sources.

Prints what is wrong; with --skeleton, rows for what has none.
"""
import ast
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
TABLES = TOP / "Documentation/testing.rst"
HEADER = TOP / "include/vmbus_private.h"
# Documented with errors of their own, though not exported.
ENTRIES = {"vmbus_start", "vmbus_connect"}


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
    """Each errno that the kernel-doc of a public function names, as "function() -ERRNO"."""
    found = set()
    for path in TOP.glob("*.c"):
        text = path.read_text()
        public = set(re.findall(r"^EXPORT_SYMBOL(?:_GPL)?\((\w+)\)", text, re.M)) | ENTRIES
        for function, doc in re.findall(r"^/\*\*\n \* (\w+)\(\)(.*?)\*/", text, re.M | re.S):
            returns = re.search(r"Return: .*", doc, re.S)
            if function in public and returns:
                found |= {f"{function}() {errno}" for errno in re.findall(r"-E[A-Z]+\b", returns[0])}
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


def findings():
    """What is wrong, one line each."""
    table, cases = rows(), known_cases()
    items = messages() | states_and_events() | errors()
    return ([f"{item}: no row" for item in sorted(items - set(table))]
            + [f"{item}: not in the sources" for item in sorted(set(table) - items)]
            + [f"{item}: no case" for item in sorted(table) if not table[item]]
            + [f"{item}: no such case: {case}" for item in sorted(table) for case in table[item] if case not in cases])


def main():
    if "--skeleton" in sys.argv:
        for group in (messages(), states_and_events(), errors()):
            print("\n".join(sorted(group - set(rows()))), end="\n\n")
        return 0
    found = findings()
    print("\n".join(found) or f"{len(rows())} items, each with its cases")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
