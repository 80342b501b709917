"""A guest under test: an L2 on a VMBus host, or a plain machine without Hyper-V."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import pace
from .agent import Agent, BootLost, Lost, Monitor, Stream
from .images import l2_image
from .kernel import Kernel, module_name
from .machine import QEMU, QUIET, Machine, end, spawn

# A boot takes 10 s, or 40 on a busy machine; with all checkers on, nested, minutes.
# Three times as long with the reserve (pace.py). A boot that is lost is tried again, and costs that.
BOOT_TIMEOUT = 100
# From "echo disk" to the end of QEMU, and from the search for the image to the life that it was made of.
OFF_TIMEOUT, RESTORE_TIMEOUT = 300, 300
# In L1's memory: it outlives the host's QEMU.
DISK = "/dev/hv-disk"
DISK_MODULES = ["virtio_pci", "virtio_blk"]
HYPERV = ("host,kvm=off,hv-relaxed,hv-vapic,hv-vpindex,hv-runtime,hv-time,hv-synic,hv-stimer,hv-tlbflush,hv-ipi,"
          "hv-crash,hv-reset,hv-frequencies")
MACHINE = "q35,accel=kvm,kernel-irqchip=on,i8042=off,sata=off,smbus=off"
PLAIN_MACHINE = ("-machine", "q35", "-cpu", "max")
# Linux trusts the TSCs of several processors if they are Intel's, or if told. By the HPET, which it takes instead, each look
# at the clock leaves the emulated processor and takes a lock of QEMU's: one tenth and more of a guest's time.
PLAIN_CLOCK = "tsc=reliable"
ARM64_QEMU = "qemu-system-aarch64"
# A processor without pointer authentication, which costs an emulator most of its time.
ARM64_MACHINE = ("-machine", "virt,gic-version=3", "-cpu", "cortex-a57")
# QEMU 10 aborts (gpadl_iter_seek: Assertion `iter->active') where a packet of the guest waits in the ring while it reads
# that outside of the channel's handler: at the monitor's balloon command, and at the end of its wait after an opening.
# hv_balloon reports pressure each second once this many of them are over; where a test is about that, it says so.
REPORT_DELAY = "/sys/module/hv_balloon/parameters/pressure_report_delay"
NO_REPORTS = 1000000
ARGS = {"hv_balloon": f"pressure_report_delay={NO_REPORTS}"}
# Else another one each time that QEMU starts: the device would not be there again after hibernation.
INSTANCE = "bea1100b-0001-4a5e-9d0e-000000000001"
# What no guest may say, whatever a test is about.
BAD = re.compile(
    r"Kernel panic|\bBUG:|\bWARNING:|KASAN|UBSAN|Oops:|general protection fault|possible (recursive|circular) locking|"
    r"INFO: possible|inconsistent lock state|suspicious RCU usage|sleeping function called|hung_task|"
    r"blocked for more than|unreferenced object|ODEBUG|list_(add|del) corruption|detected stalls|soft lockup|"
    r"refcount_t:|Bad page state|page allocation failure")


@dataclass
class Setup:
    """How to boot a guest. Two equal setups may share one boot."""

    kernel: str = "6.1"
    modules: tuple[str, ...] = ("hv_balloon", "hv_utils")
    # What Environment.boot() adds: "vscs" (all of the kernel's modules that need hv_vmbus, and samples), "test-modules"
    # (of tests/guest), "stock" (the distribution's driver as /m/stock.ko), "kexec" (the program, the kernel, and an
    # image for its next life).
    extras: tuple[str, ...] = ()
    extra_modules: tuple[Path, ...] = ()
    files: tuple[tuple[str, Path], ...] = ()
    append: str = ""
    qemu: tuple[str, ...] = ()
    # More options of -machine, such as "hpet=off,pit=off".
    machine: str = ""
    smp: int = 2
    memory: int = 512
    reboots: bool = False
    vmbus: bool = True
    # Megabytes of a disk for an image of hibernation, 0 for none: hibernate() needs one.
    disk: int = 0


class CommandFailed(AssertionError):
    """A command in the guest ended with a status that the test did not expect."""


@dataclass
class Guest:
    """A running guest. `driver` is the hv_vmbus.ko that load() takes, if there is one."""

    setup: Setup
    kernel: Kernel
    driver: Path | None
    dir: Path
    agent: Agent
    monitor_: Monitor | None
    machine: Machine | None = None
    process: object = None
    order: dict[str, list[str]] = field(default_factory=dict)
    # When the host began to wait: at the opening of its channel.
    opened_at: float | None = None
    expected: list[str] = field(default_factory=list)
    memo: dict = field(default_factory=dict)
    argv: list[str] = field(default_factory=list)
    _seen: int = 0

    # -- commands in the guest --

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Run a shell command in the guest; return (status, output)."""
        return self.agent.run(command, timeout)

    def sh(self, command: str, timeout: float = 60) -> str:
        """Run a shell command that must succeed; return its output, stripped."""
        status, output = self.run(command, timeout)
        if status:
            raise CommandFailed(f"in the guest: {command}\nstatus {status}, output:\n{output}")
        return output.strip()

    def insmod(self, name: str, args: str = "", timeout: float = 60) -> tuple[int, str]:
        """insmod one module of the image; return (status, output)."""
        if name == "hv_balloon":
            self.opened_at = time.monotonic()
        return self.run(f"insmod /m/{name}.ko {args or ARGS.get(name, '')}", timeout)

    def loaded(self, name: str) -> bool:
        """Is this module loaded?"""
        return self.run(f"test -d /sys/module/{name}/holders")[0] == 0

    def load(self, name: str, args: str = "") -> None:
        """Load a module and what it needs, unless it is loaded."""
        for need in self.order.get(name, [name]):
            if not self.loaded(need):
                status, output = self.insmod(need, args if need == name else "")
                if status:
                    raise CommandFailed(f"insmod {need} {args}: {output}\n{self.sh('dmesg | tail -n 20')}")

    def unload(self, name: str) -> None:
        """Remove a module if it is loaded."""
        if self.loaded(name):
            self.sh(f"rmmod {name}")

    def dmesg(self, pattern: str = "") -> str:
        """The guest's kernel log, or its lines that match. All of it takes seconds to come."""
        return self.sh(f"dmesg | grep -E '{pattern}' || true")

    def log_mark(self) -> int:
        """The present end of the kernel log."""
        return int(self.sh("dmesg | wc -l"))

    def log_since(self, mark: int) -> str:
        """The kernel log from mark on."""
        return self.sh(f"dmesg | tail -n +{mark + 1}")

    # -- the host's side --

    def monitor(self, line: str) -> str:
        """Run a human-monitor command of the guest's QEMU."""
        assert self.monitor_ is not None
        return self.monitor_.human(line)

    def balloon(self, megabytes: int) -> None:
        """Ask the guest to shrink or grow to this size."""
        self.monitor(f"balloon {megabytes}")

    def trace(self, mark: int = 0) -> str:
        """The host's account of what the guest did, from mark on."""
        path = self.dir / "trace"
        if not path.exists():
            return ""
        with open(path, "rb") as file:
            file.seek(mark)
            return file.read().decode(errors="replace")

    def mark(self) -> int:
        """The present end of the host's account."""
        path = self.dir / "trace"
        return path.stat().st_size if path.exists() else 0

    def wait_trace(self, pattern: str, mark: int = 0, timeout: float = 30) -> re.Match:
        """Wait until the host's account has a line that matches; return the match."""
        return self.wait_for(lambda: re.search(pattern, self.trace(mark)), timeout,
                             f"the host's trace never showed: {pattern}")

    def wait_for(self, condition, timeout: float, what: str):
        """Poll a condition until it holds; return its value."""
        deadline = pace.deadline(timeout)
        pause = 0.05
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(what + pace.said())
            if not self.alive():
                raise Lost("the guest has ended")
            time.sleep(pause)
            # What does not come soon may need the processors for it.
            pause = min(0.3, 1.5 * pause)

    # -- its life --

    def alive(self) -> bool:
        """Is its QEMU there?"""
        if self.machine:
            return self.machine.ended(self.dir) is None
        return self.process is not None and self.process.poll() is None

    def wait_reboot(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait for the init of the next kernel. Raises BootLost if it never prints its line.

        A crash with the driver still in the kernel is no lost boot: that raises AssertionError.
        """
        try:
            self.agent.wait_ready(timeout)
        except BootLost as lost:
            if re.search(r"Modules linked in:.*hv_vmbus", self.console()):
                raise AssertionError(f"the guest crashed instead of starting over ({lost})") from lost
            raise
        self.opened_at = None

    def hibernate(self) -> int:
        """Write an image to the disk and go off; returns what restore() wants."""
        self.sh("grep -q vda /proc/swaps || { mkswap /dev/vda && swapon /dev/vda; }; echo shutdown >/sys/power/disk")
        number = self.agent.post("echo disk >/sys/power/state")
        assert self.machine is not None
        status = self.machine.ended(self.dir, OFF_TIMEOUT)
        assert status is not None, "the machine did not go off"
        assert status == 0, f"the host's QEMU ended, status {status}"
        complaints = self.complaints()
        assert not complaints, "the guest's console has:\n" + "\n".join(complaints)
        return number

    def restore(self, number: int, early: tuple[str, ...] = ()) -> None:
        """Start the machine again, from the image; `early` are modules that the kernel of this boot loads before.

        A machine that does not get so far that it looks for the image is a lost boot. From here on console and trace
        are those of the new machine.
        """
        assert self.machine is not None
        run = self.machine.new_run()
        (self.dir / "initrd").rename(run / "initrd")
        argv = list(self.argv)
        if early:
            argv[argv.index("-append") + 1] += f" early={','.join(early)}"
        self.dir, self._seen, self.opened_at = run, 0, None
        self.machine.start(run, argv)
        try:
            self.agent.wait_line("agent restores", BOOT_TIMEOUT)
        except BootLost as lost:
            lost.dir = run
            raise
        status, output = self.agent.answer(number, RESTORE_TIMEOUT)
        self.opened_at = time.monotonic()
        assert status == 0, f"hibernation: status {status}, {output}"

    def console(self) -> str:
        """Everything on the guest's console so far."""
        path = self.dir / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def complaints(self) -> list[str]:
        """What the console says that no guest may say, since the last call. Expected lines are left out."""
        new, self._seen = self.console()[self._seen :], len(self.console())
        return [line for line in new.splitlines()
                if BAD.search(line) and not any(word in line for word in self.expected)]

    def close(self) -> None:
        """End the guest."""
        if self.machine:
            self.machine.stop_run(self.dir)
        else:
            end(self.process)


def _image(setup: Setup, kernel: Kernel, driver: Path | None, path: Path) -> dict[str, list[str]]:
    disk = kernel.load_order(DISK_MODULES) if setup.disk else []
    names = kernel.load_order([*(["hv_vmbus"] if driver else []), *setup.modules])
    modules = {name: kernel.module(name) for name in [*names, *disk]}
    if driver:
        modules["hv_vmbus"] = driver
    modules |= {module_name(extra.name): extra for extra in setup.extra_modules}
    l2_image(modules, dict(setup.files), path, disk, kernel.arm64)
    return {name: kernel.load_order([name]) for name in names}


def _common(setup: Setup, initrd: str, kernel: Kernel, console: str, params: str = "") -> list[str]:
    append = (f"{'console=ttyAMA0 agent=ttyAMA1' if kernel.arm64 else 'console=ttyS0'} panic=-1 oops=panic sysctl.kernel.watchdog_thresh=60 "
              f"rcupdate.rcu_cpu_stall_timeout=120 {QUIET} {params} {setup.append}")
    argv = [ARM64_QEMU if kernel.arm64 else QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-smp", str(setup.smp), "-m",
            str(setup.memory), "-kernel", str(kernel.image.resolve()), "-initrd", initrd, "-append", append.strip(),
            "-serial", f"file:{console}"]
    return argv + ([] if setup.reboots else ["-no-reboot"]) + list(setup.qemu)


def boot(machine: Machine, setup: Setup, driver: Path | None, kernel: Kernel | None = None,
         initrd: Path | None = None) -> Guest:
    """Boot an L2 with this driver in its image (loaded by the test, not by the boot). May raise BootLost.

    With an initrd it is that one, and the kernel is the one given; whatever it starts has to end in the agent.
    """
    kernel = kernel or Kernel.get(setup.kernel)
    machine.ensure_booted()
    run = machine.new_run()
    order = {} if initrd else _image(setup, kernel, driver, run / "initrd")
    # Without the clock's driver nobody has an alarm. Where the HPET stands in for it, its handler sets the next one until
    # that lies ahead: for ever where this takes longer than a period, as it may in an L1 whose only processor is shared.
    argv = _common(setup, str(initrd or "initrd"), kernel, "console", "initcall_blacklist=cmos_init") + [
        "-machine", ",".join(filter(None, (MACHINE, setup.machine))), "-cpu", HYPERV,
        "-global", "ICH9-LPC.disable_s4=1",
        "-chardev", "pipe,id=agent,path=/dev/hv-agent", "-serial", "chardev:agent",
        "-chardev", "pipe,id=monitor,path=/dev/hv-monitor", "-mon", "chardev=monitor,mode=control",
        "-trace", "vmbus*", "-trace", "hv_balloon*", "-D", "trace",
    ]
    if setup.vmbus:
        argv += ["-device", "vmbus-bridge", "-device", f"hv-balloon,id=hvb,instanceid={INSTANCE}"]
    if setup.disk:
        argv += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={DISK}"]
    # Where what is written to a disk that others have, too, is kept.
    before = "export TMPDIR=/dev"
    machine.start(run, argv, before + (f"; rm -f {DISK}; truncate -s {setup.disk}M {DISK}" if setup.disk else ""))
    agent_stream, monitor_stream = machine.streams["agent"], machine.streams["monitor"]
    guest = Guest(setup, kernel, driver, run, Agent(agent_stream), Monitor(monitor_stream), machine, order=order,
                  argv=argv)
    agent_stream.alive = monitor_stream.alive = guest.alive
    return _ready(guest)


def boot_plain(setup: Setup, driver: Path | None, run: Path) -> Guest:
    """Boot a kernel on an emulated machine that is not Hyper-V. May raise BootLost."""
    kernel = Kernel.get(setup.kernel)
    run.mkdir(parents=True)
    order = _image(setup, kernel, driver, run / "initrd")
    ours, theirs = socket.socketpair()
    argv = _common(setup, str(run / "initrd"), kernel, str(run / "console"), "" if kernel.arm64 else PLAIN_CLOCK) + [
        *(ARM64_MACHINE if kernel.arm64 else PLAIN_MACHINE), "-accel", "tcg",
        "-chardev", f"socket,id=agent,fd={theirs.fileno()}", "-serial", "chardev:agent",
    ]
    process = spawn(argv, run / "qemu.log", [theirs.fileno()])
    theirs.close()
    stream = Stream(ours)
    guest = Guest(setup, kernel, driver, run, Agent(stream), None, process=process, order=order)
    stream.alive = guest.alive
    started = time.monotonic()
    _ready(guest)
    pace.booted("checking" if setup.kernel.startswith("debug") else "plain", time.monotonic() - started)
    return guest


def _ready(guest: Guest) -> Guest:
    try:
        release = guest.agent.wait_ready(BOOT_TIMEOUT)
    except BootLost as lost:
        lost.dir = guest.dir
        guest.close()
        raise
    assert release == guest.kernel.release, f"booted {release}"
    return guest


