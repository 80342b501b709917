"""Test cases: how they are declared, and how they are run and reported.

A case is a function in a test_*.py, marked by @case(). It gets a booted Guest; cases in a row that ask for the same
Setup share one boot. A case that fails takes its guest with it, and the next one boots anew.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .agent import BootLost, Lost
from .guest import Guest, Setup, boot, boot_plain
from .gcov import fetch_counters
from .images import l2_image, libraries
from .kernel import CACHE, Kernel, module_bytes, setup
from .machine import Machine

KEXEC = Path("/sbin/kexec")
BOOT_TRIES = 3
OURS, STOCK = "ours", "stock"
T = TypeVar("T")
# The series that have a kernel of the distribution with VMBus as a module, and the one of which there is only its source.
EACH_SERIES = ("6.1", "6.12", "debug-7")


def until_booted(boot_once: Callable[[int], T], lost: Callable[[], object] = lambda: None) -> T:
    """Call boot_once, with a number of its own each time, until a guest's init is reached; lost after each time that it is not."""
    for left in reversed(range(BOOT_TRIES)):
        try:
            return boot_once(left)
        except BootLost:
            lost()
            if not left:
                raise
    raise AssertionError("not reached")


class Skip(Exception):
    """The case does not apply here; says why."""


@dataclass(frozen=True)
class Case:
    """One case and where it applies."""

    run: Callable
    setup: Setup | None
    kernels: tuple[str, ...]
    drivers: tuple[str, ...]
    beside: bool

    @property
    def name(self) -> str:
        return self.run.__name__


CASES: list[Case] = []


def note(text: str) -> None:
    """Say something in the output that is no result."""
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)


def case(setup: Setup | None = Setup(extras=("vscs",)), kernels: tuple[str, ...] = ("6.1", "6.12"),
         drivers: tuple[str, ...] = (OURS, STOCK), beside: bool = False) -> Callable:
    """Declare a test case. With setup=None the function gets the Environment and boots what it likes.

    With beside=True the present guest lives on meanwhile: such a case boots by boot_plain() alone.
    """
    def declare(function: Callable) -> Callable:
        CASES.append(Case(function, setup, kernels, drivers, beside))
        return function
    return declare


def applies(item: Case, kernel: str, driver: str) -> bool:
    """Whether a case is for a kernel: a checking kernel of any series is "debug", one with PREEMPT_RT has its series' cases."""
    names = {kernel, kernel.removesuffix("-rt"), kernel.partition("-")[0] if kernel.startswith("debug") else kernel}
    return bool(names & {*item.kernels}) and driver in item.drivers


class Environment:
    """The machine, and the drivers built for the kernels. Boots guests, keeps the last one for the next case.

    With coverage, our driver has gcov's counters, which are left in that directory when a guest ends.
    """

    def __init__(self, kernel: str, driver: str, icount: bool = False, coverage: Path | None = None) -> None:
        self.kernel = kernel
        self.driver = driver
        self.coverage = coverage
        self.machine = Machine(icount=icount)
        self.guest: Guest | None = None
        self.plain: Guest | None = None
        self._setup: Setup | None = None
        self._plain = 0

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        self.machine.close()

    def _ours(self, kernel: Kernel) -> Path:
        return kernel.build_dir("driver-gcov" if self.coverage else "driver")

    def driver_file(self, which: str = "") -> Path:
        """The hv_vmbus.ko to test; built if it is ours."""
        kernel = Kernel.get(self.kernel)
        if (which or self.driver) == STOCK:
            return kernel.module("hv_vmbus")
        return kernel.built_modules(self._ours(kernel), gcov=bool(self.coverage))[0]

    def test_modules(self, subdir: str, which: str = "") -> tuple[Path, ...]:
        """The test modules of a directory of the project, built against the driver to test."""
        stock = (which or self.driver) == STOCK
        kernel = Kernel.get(self.kernel)
        if not stock:
            self.driver_file(OURS)
        out = kernel.build_dir(STOCK) if stock else self._ours(kernel)
        return tuple(kernel.built_modules(out, subdir, stock))

    def _with_extras(self, want: Setup, which: str) -> Setup:
        kernel = Kernel.get(self.kernel)
        modules, files, names = list(want.extra_modules), list(want.files), list(want.modules)
        if "vscs" in want.extras:
            names += kernel.users("hv_vmbus")
            modules += self.test_modules("samples", which)
        if "test-modules" in want.extras:
            modules += self.test_modules("tests/guest", which)
        if "stock" in want.extras:
            stock = self.machine.dir / f"stock-{self.kernel}.ko"
            stock.write_bytes(module_bytes(kernel.module("hv_vmbus")))
            files.append(("m/stock.ko", stock))
        if "kexec" in want.extras:
            inner = self.machine.dir / f"inner-{self.kernel}.cpio"
            needs = {name: kernel.module(name) for name in kernel.load_order(["hv_vmbus", "hv_balloon"])}
            l2_image(needs | {"hv_vmbus": self.driver_file(which)}, {}, inner)
            files += [("sbin/kexec", KEXEC), ("boot/vmlinuz", kernel.vmlinuz), ("boot/initrd", inner)]
            files += [(str(path).lstrip("/"), path) for path in libraries(KEXEC)]
        return dataclasses.replace(want, kernel=self.kernel, modules=tuple(names), extra_modules=tuple(modules),
                                   files=tuple(files))

    def boot(self, want: Setup, which: str = "") -> Guest:
        """Boot a guest in place of the present one."""
        self.drop()
        want = self._with_extras(want, which)
        self.guest = boot(self.machine, want, self.driver_file(which))
        return self.guest

    def boot_plain(self, want: Setup) -> Guest:
        """Boot a machine that is not Hyper-V, beside the present guest."""
        self.drop_plain()
        self._plain += 1
        want = self._with_extras(want, "")
        self.plain = boot_plain(want, self.driver_file(), self.machine.dir / f"plain{self._plain}")
        return self.plain

    def guest_for(self, want: Setup) -> Guest:
        """The present guest if it was booted so, else a new one."""
        if not self.guest or self._setup != want or not self.guest.alive():
            self.boot(want)
            self._setup = want
        assert self.guest is not None
        return self.guest

    def drop(self) -> None:
        """End the present guest."""
        self.drop_plain()
        if self.guest:
            if self.coverage and self.guest.alive():
                fetch_counters(self.guest, self.coverage / f"host-{self.guest.dir.name}.tgz")
            self.guest.close()
        self.guest = self._setup = None

    def drop_plain(self) -> None:
        """End the machine of boot_plain()."""
        if self.plain:
            self.plain.close()
        self.plain = None


def _processors(guest: Guest, into: Path) -> list[str]:
    """Where those of a guest that does not answer are, and what interrupts wait for them; all of it goes to a file."""
    try:
        said = "\n".join(guest.monitor(line) for line in ("info registers -a", "info lapic", "info pic", "info irq"))
    except Lost as error:
        return [f"the monitor gives none, either: {error}"]
    into.write_text(said)
    return re.findall(r"^RIP=.*", said, re.M)


class Report:
    """Prints one line a case, keeps the counts and the logs."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.number = self.passed = self.failed = self.skipped = 0

    def line(self, verdict: str, kernel: str, name: str, seconds: float, note: str = "") -> None:
        """Print the line of a case that ended, at once."""
        self.number += 1
        print(f"{verdict} {self.number} - {kernel} {name} ({seconds:.0f} s){note}", flush=True)

    def keep(self, env: Environment, label: str, text: str, shown: bool = True, lost: Path | None = None) -> None:
        """Keep what explains a failure, and show the end of it."""
        into = self.logs / f"{self.number + 1:02d}-{env.kernel}-{label}"
        into.mkdir(parents=True, exist_ok=True)
        (into / "failure").write_text(text)
        lines = text.rstrip().splitlines()
        if len(lines) > 40:
            lines = [*lines[:40], f"... {len(lines) - 40} more lines"]
        guest = env.plain or env.guest
        where = lost or (guest and guest.dir)
        for name in ("console", "trace", "qemu.log"):
            if where and (where / name).exists():
                shutil.copy(where / name, into / name)
        if guest:
            lines += ["-- end of the guest's console:", *guest.console().splitlines()[-25:]]
            if "no answer in time" in text or "did not go off" in text:
                lines += ["-- its processors (RIP, flags; HLT=1: asleep):", *_processors(guest, into / "processors")]
            status = guest.machine.ended(guest.dir) if guest.machine else None
            if status is not None:
                lines.append(f"-- the guest's QEMU ended, status {status} (0: its firmware or kernel did it, or a triple fault)")
            if (into / "qemu.log").exists():
                # Every UNLOAD is followed by a message that this host does not know; it says so each time.
                said = [line for line in (into / "qemu.log").read_text(errors="replace").splitlines()
                        if "unknown message type 0xd" not in line]
                lines += ["-- the host's QEMU said:", *said[-5:]] if said else []
        if (env.machine.dir / "l1.console").exists():
            shutil.copy(env.machine.dir / "l1.console", into / "l1.console")
        if shown:
            print("".join(f"#   {line}\n" for line in [*lines, f"-- logs: {into}"]), end="", flush=True)


def _attempt(env: Environment, item: Case) -> None:
    if item.setup is None:
        if not item.beside:
            env.drop()
        item.run(env)
    else:
        guest = env.guest_for(item.setup)
        guest.expected = []
        item.run(guest)
    for guest in (env.plain, env.guest):
        complaints = guest.complaints() if guest else []
        if complaints:
            raise AssertionError("the guest's console has:\n" + "\n".join(complaints))
    env.drop_plain()
    if item.setup is None and not item.beside:
        env.drop()


def run_case(env: Environment, item: Case, report: Report) -> None:
    """Run a case and report it. Only a boot that never reached init is tried again."""
    started = time.monotonic()
    took = lambda: time.monotonic() - started  # noqa: E731
    for attempt in range(1, BOOT_TRIES + 1):
        try:
            _attempt(env, item)
        except Skip as skip:
            report.skipped += 1
            report.line("ok", env.kernel, item.name, took(), f" # SKIP {skip}")
            return
        except BootLost as lost:
            if attempt < BOOT_TRIES:
                report.keep(env, f"{item.name}-boot{attempt}", str(lost), shown=False, lost=lost.dir)
                print(f"# {env.kernel} {item.name}: boot retried ({lost})", flush=True)
            else:
                report.keep(env, item.name, f"no boot reached init in {BOOT_TRIES} tries: {lost}", lost=lost.dir)
            # A machine whose L2 is lost may itself be ill: start over from the outermost level.
            env.drop()
            env.machine.stop()
            if attempt < BOOT_TRIES:
                continue
        except (AssertionError, Lost, RuntimeError, OSError, ValueError, LookupError) as error:
            expected = isinstance(error, (AssertionError, Lost))
            text = "".join(traceback.format_exception(error))
            if expected:
                where = traceback.extract_tb(error.__traceback__)
                at = next((f for f in reversed(where) if "hostlib" not in f.filename), where[-1])
                text = f"{at.filename}:{at.lineno}: {at.line}\n{type(error).__name__}: {error}"
            report.keep(env, item.name, text)
            env.drop()
        else:
            report.passed += 1
            report.line("ok", env.kernel, item.name, took())
            return
        report.failed += 1
        report.line("not ok", env.kernel, item.name, took())
        return


def run_cases(kernels: list[str], driver: str, pattern: str, logs: Path, coverage: Path | None = None) -> Report:
    """Run the cases that apply; return the counts. The plan line at the end tells what should have been run."""
    shutil.rmtree(logs, ignore_errors=True)
    report = Report(logs)
    wanted = {kernel: [item for item in CASES if applies(item, kernel, driver) and re.search(pattern, item.name)]
              for kernel in kernels}
    print("KTAP version 1", flush=True)
    try:
        for kernel, items in wanted.items():
            if not items:
                continue
            setup("tools")
            with Environment(kernel, driver, coverage=coverage) as env:
                for item in items:
                    run_case(env, item, report)
    finally:
        counts = f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped"
        print(f"# real host, {driver} hv_vmbus: {counts}")
        print(f"1..{sum(map(len, wanted.values()))}", flush=True)
    return report
