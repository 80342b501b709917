"""The initramfs images of the two levels."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .cpio import Image
from .kernel import HOST, Kernel, module_bytes, setup

BUSYBOX = Path("/bin/busybox")

# What L1 needs to reach this machine's file system and to be a hypervisor.
L1_MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "kvm_amd"]
L1_MODULE_ARGS = {"kvm_amd": "nested=0 avic=0"}


def _base(init: str, arm64: bool = False) -> Image:
    """With busybox of the guest's architecture; this machine's tells what applets it has."""
    image = Image()
    for name in ("proc", "sys", "dev", "tmp", "host", "root", "m"):
        image.directory(name)
    image.device("dev/console", 5, 1)
    image.copy(Path(setup("busybox", "arm64")) if arm64 else BUSYBOX, "bin/busybox")
    for applet in subprocess.run([str(BUSYBOX), "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        if applet != "busybox":
            image.symlink(f"bin/{applet}", "busybox")
    image.file("init", (HOST / "guest" / init).read_bytes(), 0o755)
    return image


def l1_image(kernel: Kernel, path: Path) -> None:
    """L1: busybox, the modules above, and the init that runs L2."""
    image = _base("l1-init.sh")
    order = kernel.load_order(L1_MODULES)
    for name in order:
        image.file(f"m/{name}.ko", module_bytes(kernel.module(name)))
    for name, args in L1_MODULE_ARGS.items():
        image.file(f"m/{name}.args", args.encode())
    image.file("m/order", "".join(f"{name}\n" for name in order).encode())
    image.write(path)


def l2_image(modules: dict[str, Path], files: dict[str, Path], path: Path, disk: Sequence[str] = (),
             arm64: bool = False) -> None:
    """L2: busybox, modules as /m/NAME.ko, files under the names given, and the agent.

    With names of modules that drive its disk, it looks for an image of hibernation there.
    """
    image = _base("l2-init.sh", arm64)
    if disk:
        image.file("m/disk", "".join(f"{name}\n" for name in disk).encode())
    for name, source in modules.items():
        image.file(f"m/{name}.ko", module_bytes(source))
    for name, source in files.items():
        image.copy(source, name)
    image.write(path)


def libraries(program: Path) -> list[Path]:
    """The shared objects a program needs."""
    listing = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listing)]
