"""The outer two levels: QEMU on this machine (L0) and the Linux with KVM inside it (L1) that runs VMBus hosts."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import pace
from .agent import BootLost, Lost, Stream
from .images import l1_image
from .kernel import Kernel

QEMU = "qemu-system-x86_64"
L1_BOOT_TIMEOUT = 300
PORTS = ("control", "agent", "monitor")
# Page tables of five levels have an emulated processor walk them for L1 and L2 alike, after each exit; "rep movsb", which
# ERMS and FSRM speak for, goes byte by byte there. What instructions are counted by keeps them.
CPU, CHEAPER = "max,+svm,+npt", ",-la57,-erms,-fsrm"
# What costs an emulated boot time and shows nothing: a console line alone is some 40 ms in a nested guest.
QUIET = "quiet mitigations=off cryptomgr.notests no_timer_check random.trust_cpu=on audit=0 apparmor=0"


def spawn(argv: list[str], log: Path, fds: list[int]) -> subprocess.Popen:
    """Start a QEMU with its output in a log, passing it the descriptors it is told about."""
    with open(log, "ab") as out:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=fds)


def end(process: subprocess.Popen | None) -> None:
    """End a process that we started, and collect it."""
    if process and process.poll() is None:
        process.kill()
        process.wait()


class Machine:
    """L0 and L1. Runs one L2 at a time, any number in a row."""

    def __init__(self, icount: bool = False, smp: int = 1, memory: int = 3072) -> None:
        self.icount = icount
        # One: with two, in two threads, guests die without a word now and then, before their init or after. The
        # guest has two processors all the same, and two tests at a time use both of the machine's.
        self.smp = smp
        self.memory = memory
        self.dir = Path(tempfile.mkdtemp(prefix="hv_vmbus."))
        self.process: subprocess.Popen | None = None
        self.streams: dict[str, Stream] = {}
        self._runs = 0
        self._ended: dict[str, int] = {}

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End L0, and everything in it."""
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self) -> None:
        """End L0; the next run boots it again."""
        end(self.process)
        self.process = None

    def alive(self) -> bool:
        """Does L0 still run?"""
        return self.process is not None and self.process.poll() is None

    def ensure_booted(self) -> None:
        """Boot L1 unless it runs. Raises BootLost if L1 does not come up."""
        if self.alive():
            return
        initrd = self.dir / "l1.cpio"
        kernel = Kernel.get("6.1")
        if not initrd.exists():
            l1_image(kernel, initrd)
        argv = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", str(self.memory),
            "-smp", str(self.smp), "-machine", "q35", "-cpu", CPU + ("" if self.icount else CHEAPER),
            "-kernel", str(kernel.image), "-initrd", str(initrd),
            "-append", f"console=ttyS0 panic=-1 nowatchdog {QUIET}",
            "-serial", f"file:{self.dir}/l1.console",
            "-fsdev", "local,id=host,path=/,security_model=none,multidevs=remap,readonly=on",
            "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
            "-fsdev", f"local,id=run,path={self.dir},security_model=none,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=run,mount_tag=run",
            "-device", "virtio-serial-pci",
        ]
        argv += ["-accel", "tcg,thread=single"]
        if self.icount:
            argv += ["-icount", "shift=0,sleep=off"]
        theirs = []
        for number, name in enumerate(PORTS, 1):
            ours, other = socket.socketpair()
            theirs.append(other)
            self.streams[name] = Stream(ours, self.alive)
            argv += ["-chardev", f"socket,id={name},fd={other.fileno()}",
                     "-device", f"virtserialport,nr={number},chardev={name},name=hv-{name}"]
        self.process = spawn(argv, self.dir / "l0.log", [sock.fileno() for sock in theirs])
        for sock in theirs:
            sock.close()
        started = time.monotonic()
        try:
            while self.streams["control"].line(L1_BOOT_TIMEOUT) != "l1 ready":
                pass
        except Lost as lost:
            self.stop()
            raise BootLost(f"L1: {lost}") from lost
        if not self.icount:
            pace.booted("L1", time.monotonic() - started)

    def new_run(self) -> Path:
        """A directory for the next L2, which L1 sees as /dev/run/NAME."""
        self._runs += 1
        path = self.dir / str(self._runs)
        path.mkdir()
        return path

    def start(self, run: Path, argv: list[str], before: str = "") -> None:
        """Start an L2 QEMU in its run directory, after a command of L1's shell."""
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in argv)
        (run / "qemu.sh").write_text(f"{before}\nexec {quoted} >qemu.log 2>&1\n")
        for name in ("agent", "monitor"):
            self.streams[name].drain()
        self.streams["control"].send(f"start {run.name}\n".encode())

    def _read_ends(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        try:
            # QEMU 10 loses a timer interrupt of L1 now and then, while L2 runs. Nothing arms L1's timer again then: it has
            # no ticks, and the processor of L2 that runs goes on alone. Any other interrupt has the lost one seen, so
            # whoever waits for a guest sends an empty line, which l1-init.sh reads and forgets.
            self.streams["control"].send(b"\n")
            while True:
                words = self.streams["control"].line(max(0.0, deadline - time.monotonic())).split()
                if words and words[0] == "ended":
                    self._ended[words[1]] = int(words[2])
        except Lost:
            pass

    def ended(self, run: Path, timeout: float = 0) -> int | None:
        """The exit status of an L2's QEMU; None while it runs."""
        deadline = pace.deadline(timeout)
        while self.alive() and run.name not in self._ended:
            self._read_ends(min(1.0, timeout))
            if time.monotonic() >= deadline:
                break
        return self._ended.get(run.name, None if self.alive() else -1)

    def stop_run(self, run: Path) -> None:
        """End an L2. An L1 that cannot do that any more is ended too."""
        if self.ended(run) is None:
            self.streams["control"].send(f"stop {run.name}\n".encode())
            if self.ended(run, 20) is None:
                self.stop()


