"""Whose fault it is: what the console of a guest that died says, and the stacks of tasks that hang."""

import re

from hostlib.guest import BAD
from looplib import MODULE

# What a VSC stands on, as modules or in the kernel: it is the VSC that gave it what it fell over.
FRAME = re.compile(r"(?:RIP: 0010:|BUG: KASAN: \S+ in |^\s*)(?P<function>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>\w+)[^]]*\])?")
STACK = re.compile(r"^(?:\[<0>\] )?(?P<function>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>\w+)\])?")
TIME = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
# Those that cannot be interrupted, and those in the bus's calls of a driver.
# Several times: of a task that runs, since it is woken all the time, there is no stack.
HUNG = ("for i in 1 2 3 4 5 6 7 8; do for pid in $(cd /proc; grep -lE '^State:.D' [0-9]*/status; grep -lE 'vmbus_(probe|remove|rescind_told)' [0-9]*/stack); "
        "do pid=${pid%/*}; echo \"task $pid $(cat /proc/$pid/comm)\"; cat /proc/$pid/stack; done; "
        "sleep 0.2; done 2>/dev/null")


class Verdict:
    """The first module from where it happened outwards; "" if there is none, "?" if nothing is known."""

    def __init__(self, what, module, function, lines):
        self.what, self.module, self.function, self.lines = what, module, function, lines

    def ours(self):
        return self.module in (MODULE, "?")

    def __str__(self):
        return f"{self.module or 'the kernel'}: {self.function}: {self.what}"


def of_console(console):
    """What the first report on the console is about; None if there is no report."""
    lines = [TIME.sub("", line) for line in console.splitlines()]
    first = next((number for number, line in enumerate(lines) if BAD.search(line)), None)
    if first is None:
        return None
    report = lines[first:first + 80]
    # Of the report itself, not of what follows it: where the object was allocated, what the panic says of itself.
    ends = [number for number, line in enumerate(report[1:], 1)
            if re.search(r"</TASK>|Allocated by task|---\[ end trace|Kernel panic", line)]
    report = report[:ends[0]] if ends else report
    frames = [match for line in report if not re.match(r"\s*\? ", line) and (match := FRAME.search(line))]
    # What prints reports is not what they are about.
    frames = [frame for frame in frames if not re.match(r"(dump_stack|print_|kasan_|__asan|report_bug|asm_|exc_|__warn)",
                                                        frame["function"])]
    if not frames:
        return Verdict(lines[first], "?", "?", report)
    inner = next((frame for frame in frames if frame["module"]), None)
    where = frames[0]["function"] + (f" < {inner['function']}" if inner and inner is not frames[0] else "")
    return Verdict(lines[first], inner["module"] if inner else "", where, report)


def _waiting(guest):
    """pid -> (name, its stack)"""
    found = {}
    for task in re.split(r"(?m)^task ", guest.run(HUNG, 60)[1])[1:]:
        first, *lines = task.splitlines()
        pid, _, name = first.partition(" ")
        if any("[" in line.split("]", 1)[-1] for line in lines):
            found.setdefault(pid, (name, lines))
    return found


def of_hang(guest):
    """A verdict for each task that waits for long, by the innermost module in its stack."""
    before = _waiting(guest)
    guest.run("sleep 3")
    found = []
    for pid, (name, lines) in _waiting(guest).items():
        frames = [match for line in lines if (match := STACK.search(line))]
        inner = next((frame for frame in frames if frame["module"]), None)
        # Others come and go: a connection that is being made.
        if pid not in before or not inner or not any(inner["function"] in line for line in before[pid][1]):
            continue
        outer = [frame["function"] for frame in frames if frame["module"] == MODULE]
        found.append(Verdict(f"task {name} waits" + (f", called by {outer[0]}" if outer else ""), inner["module"],
                             inner["function"], lines))
    return found
