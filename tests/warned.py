"""What a build says that speaks of a problem."""

import re

PROBLEM = re.compile(r"\b(warning|error|WARNING|ERROR)\b:")
# Not about our files: what is said on machines whose compiler is not the one of the kernel's maker, and locks that inline
# functions of the kernel's headers drop by __attribute__((cleanup)), which sparse does not know.
OTHERS = re.compile(r"the compiler differs|/include/linux/\S+ warning: context imbalance")


def problems(lines):
    """The lines of a build's output that do."""
    return [line for line in lines if PROBLEM.search(line) and not OTHERS.search(line)]
