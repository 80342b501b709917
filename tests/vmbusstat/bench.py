"""What cases of vmbusstat have in common: trees that they may break, and the program."""

import difflib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
TOOL = TOP / "tools/vmbusstat"
# What its first line asks for.
PYTHON = "/usr/bin/python3"
CASES = []
# Loads the program as a module of the name tool; what is planted there comes between, then it runs.
PLANT = f"""
import errno, importlib.machinery, importlib.util, os, shutil, sys
loader = importlib.machinery.SourceFileLoader("tool", {str(TOOL)!r})
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
sys.modules["tool"] = tool
loader.exec_module(tool)
"""


def case(function):
    """A case gets a Bench of its own."""
    CASES.append(function)
    return function


class Tree:
    """A captured tree in a directory."""

    def __init__(self, where, name=None):
        self.path = where
        for line in (HERE / "trees" / name).read_text().splitlines() if name else ():
            file, value = line.split("\t")
            if value.startswith("!"):
                self.unreadable(file)
            elif value.startswith("-> "):
                self.link(file, value.removeprefix("-> "))
            else:
                self.write(file, value)

    def __truediv__(self, file):
        return self.path / file

    def write(self, file, value, end="\n"):
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes((value + end).encode() if isinstance(value, str) else value)

    def link(self, file, target):
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def unreadable(self, file):
        """It is there and can be opened, but each read of it fails."""
        self.link(file, "/proc/self/mem")

    def device(self, number, class_id="f8615163-df3e-46c5-913f-f2d2f965ed0e", driver="hv_netvsc", channels=1, cpus=4):
        """One more device, made up: its relids begin with its number, its channels are open. Returns its GUID."""
        ident = f"{number:08x}-0000-0000-0000-000000000000"
        base = f"bus/vmbus/devices/{ident}"
        for name, value in {"class_id": f"{{{class_id}}}", "id": number, "state": 3, "numa_node": 0,
                            "out_read_bytes_avail": 0, "out_write_bytes_avail": 8192}.items():
            self.write(f"{base}/{name}", str(value))
        if driver:
            self.link(f"{base}/driver", f"../../drivers/{driver}")
        for sub in range(channels):
            path = self.path / base / f"channels/{number + sub}"
            path.mkdir(parents=True)
            for name, value in {"cpu": sub % cpus, "subchannel_id": sub, "interrupts": 10 * (sub + 1), "events": sub + 1,
                                "read_avail": 0, "write_avail": 8192, "out_full_first": 0, "out_full_total": 0,
                                "intr_in_full": 0, "intr_out_empty": 0}.items():
                with open(path / name, "w", encoding="ascii") as file:
                    file.write(f"{value}\n")
        return ident

    def machine(self, online="0-3", isolated=""):
        self.write("devices/system/cpu/online", online)
        self.write("devices/system/cpu/isolated", isolated)
        (self.path / "bus/vmbus/devices").mkdir(parents=True, exist_ok=True)
        return self

    def files(self, pattern):
        return sorted(self.path.glob(f"bus/vmbus/devices/{pattern}"))


class Bench:
    """A directory, trees in it, and the program run on them."""

    def __init__(self, where, update=False):
        self.where = where
        self.update = update
        self._count = 0

    def tree(self, name=None):
        self._count += 1
        path = self.where / f"tree{self._count}"
        path.mkdir()
        return Tree(path, name)

    def run(self, *arguments, status=0, planted=None, user=None, said=""):
        """Run it, perhaps with faults; returns stdout. Status and stderr have to be these. Another user has a copy of it."""
        command = [PYTHON, "-B", shutil.copy(TOOL, self.where) if user else TOOL] if planted is None else \
            [PYTHON, "-B", "-c", f"{PLANT}{planted}\nsys.exit(tool.main())"]
        done = subprocess.run([*map(str, (*command, *arguments))], capture_output=True, text=True, timeout=120, user=user,
                              env={**os.environ, "COLUMNS": "100", "LC_ALL": "C"}, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == status and "Traceback" not in done.stderr, \
            f"status {done.returncode}: {done.stderr}{done.stdout}"
        assert done.stderr == said if isinstance(said, str) else said.search(done.stderr), f"stderr: {done.stderr}"
        return done.stdout

    def golden(self, name, text):
        """What it printed is what is in this file."""
        text = text.replace(str(self.where), "WHERE")
        path = HERE / "golden" / name
        if self.update:
            path.write_text(text)
        wanted = path.read_text() if path.exists() else ""
        difference = difflib.unified_diff(wanted.splitlines(), text.splitlines(), name, "printed", "", "", 1)
        assert text == wanted, "\n".join(difference)
