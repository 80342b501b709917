# SPDX-License-Identifier: GPL-2.0-only
"""An installed system on a disk of a guest: as L2 on a real VMBus host, or as a machine without Hyper-V."""
import pathlib
import re
import shutil
import subprocess
import tempfile

from hostlib.guest import PLAIN_CLOCK, PLAIN_MACHINE, Setup, boot
from hostlib.kernel import Kernel
from hostlib.machine import QEMU, Machine
from hostlib.testing import until_booted

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = "/usr/src/hv-vmbus-*/packaging"
# Of a machine that is emulated, and shared with others.
PLAIN_PATIENCE = 900
# What such a machine says of itself, as its init, before it goes off.
PLAIN_INIT = f"""#!/bin/sh
exec >/dev/ttyS0 2>&1
echo "bus: $(ls -d /sys/bus/vmbus 2>&1)"
echo "log: $(dmesg | grep -i vmbus)"
echo "by name: $(modprobe hv_storvsc 2>&1)"
echo "loaded: $(lsmod | grep hv_)"
echo "log: $(dmesg | grep -i vmbus)"
{SCRIPTS}/package reboot
echo "notices: $(ls /run | grep reboot)"
echo "all said"
busybox poweroff -f
"""

# The same of a machine whose root is a disk of the bus, after some work on it.
DISK_INIT = """#!/bin/sh
exec >/dev/ttyS0 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug
echo "root: $(awk '$2 == "/" { print $1 }' /proc/mounts)"
echo "driver: $(ls /sys/bus/vmbus/drivers)"
echo "disk: $(readlink -f /sys/block/sda)"
dd if=/dev/urandom of=/file bs=1M count=16 2>/dev/null
written=$(md5sum </file)
sync
echo 3 >/proc/sys/vm/drop_caches
[ "$(md5sum </file)" != "$written" ] || echo "file: as it was written"
echo "wrong: $(cat /sys/kernel/debug/hv_vmbus_loop/violations)"
echo "log: $(dmesg | grep -E 'Vmbus version|hv_storvsc|EXT4-fs|WARNING|BUG')"
echo "all said"
mount -o remount,ro /
busybox poweroff -f
"""
# Programs of that disk that a guest may have for its init.
INITS = {"agent": (TOP / "tests/host/guest/l2-init.sh").read_text(), "plain": PLAIN_INIT, "from-disk": DISK_INIT}


class Installed:
    """The system as it is now, on a disk, and its kernels and initramfs beside it."""

    def __init__(self, system):
        self.system = system
        self.machine = Machine()

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hv_vmbus."))
        for name, text in INITS.items():
            path = self.system.root / name
            path.write_text(text)
            path.chmod(0o755)
        shutil.copy("/bin/busybox", self.system.root / "bin/busybox")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", self.system.root, self.dir / "disk", "3G"],
                       stdout=subprocess.DEVNULL, check=True)
        return self

    def __exit__(self, *_):
        self.machine.close()
        shutil.rmtree(self.dir)
        for name in (*INITS, "bin/busybox"):
            (self.system.root / name).unlink()

    def kernel(self, kver):
        where = self.dir / kver
        if not where.exists():
            where.mkdir()
            (where / "kver").write_text(kver)
            shutil.copy(self.system.root / f"boot/vmlinuz-{kver}", where / "vmlinuz")
            shutil.copy(self.system.root / f"boot/initrd.img-{kver}", where / "initrd")
        return Kernel("installed", where)

    def boots(self, kver, ours, append=""):
        """On the real host: hv_vmbus was loaded by the initramfs and is ours, or the kernel's own; its device is there."""
        system, kernel = self.system, self.kernel(kver)
        want = Setup(append=f"root=/dev/vda rw init=/agent {append}", memory=1200,
                     qemu=("-drive", f"if=virtio,format=raw,snapshot=on,file={self.dir}/disk"))
        guest = until_booted(lambda _: boot(self.machine, want, None, kernel, kernel.path / "initrd"), self.machine.stop)
        try:
            # Only ours has one.
            assert (guest.run("test -e /sys/module/hv_vmbus/version")[0] == 0) == ours, guest.sh("ls /sys/module/hv_vmbus")
            if ours:
                loaded = guest.sh("cat /sys/module/hv_vmbus/srcversion")
                file = system.sh(f"modinfo -k {kver} -F srcversion hv_vmbus").strip()
                assert loaded == file, f"loaded: {loaded}, on the disk: {file}"
            guest.wait_for(lambda: guest.run("ls /sys/bus/vmbus/devices | grep -- -")[0] == 0, 60, "no device on the bus")
            said = guest.dmesg("[Vv][Mm][Bb]us")
            assert "Vmbus version" in said, said
            assert ("vmbus=intree: the kernel's own module" in said) == (append == "vmbus=intree"), said
            if ours:
                # With the processor's own leaves, and no Secure Boot.
                guest.sh(f"{SCRIPTS}/check {kver} /var/lib/dkms/hv-vmbus/symvers-{kver}", 120)
            if system.state() == "installed":
                # What is at work is what the next boot loads, but for this once.
                guest.sh(f"{SCRIPTS}/package reboot", 120)
                asked = guest.run("test -e /run/reboot-required")[0] == 0
                assert asked == (append == "vmbus=intree"), guest.sh("ls -la /run")
            assert not guest.complaints(), guest.complaints()
            system.notes.append(f"{kver}{' ' + append if append else ''}: " + "; ".join(re.findall(r"hv_vmbus: (.*)", said)))
        finally:
            guest.close()

    def boots_plain(self, kver, root="/dev/vda", init="/plain"):
        """On a machine without Hyper-V; what it said."""
        kernel = self.kernel(kver)
        argv = [QEMU, *PLAIN_MACHINE, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "1200", "-smp", "2",
                "-kernel", str(kernel.image), "-initrd", str(kernel.path / "initrd"), "-serial", "stdio",
                "-append", f"console=ttyS0 panic=-1 quiet mitigations=off {PLAIN_CLOCK} root={root} rw init={init}",
                "-drive", f"if=virtio,format=raw,snapshot=on,file={self.dir}/disk"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=PLAIN_PATIENCE, check=False)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"not off after {PLAIN_PATIENCE} s:\n{(late.stdout or b'')[-3000:]!r}") from None
        assert "all said" in done.stdout, done.stdout[-3000:]
        return done.stdout.replace("\r", "")
