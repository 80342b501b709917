"""The kernels of the cache: their images, their modules, and the module under test built against them."""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

HOST = Path(__file__).resolve().parent.parent
TOP = HOST.parent.parent
SETUP = TOP / "tests" / "setup"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hv_vmbus"


# The ELF note XEN_ELFNOTE_PHYS32_ENTRY: QEMU's -kernel takes a vmlinux that has it.
PVH_ENTRY = re.compile(rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0")


def setup(script: str, *args: str, **environ: str) -> str:
    """Run a script of tests/setup and return its last line; its progress lines go to the terminal."""
    result = subprocess.run([str(SETUP / script), *args], stdout=subprocess.PIPE, text=True, check=False,
                            env=os.environ | environ)
    if result.returncode:
        raise SystemExit(result.returncode)
    lines = result.stdout.strip().splitlines()
    return lines[-1] if lines else ""


def module_bytes(path: Path) -> bytes:
    """A module's contents, unpacked: busybox insmod takes plain ones only."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


def unpacked_kernel(image: bytes) -> bytes:
    """The ELF file in a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length)."""
    start, length = struct.unpack_from("<II", image, 0x248)
    start += (image[0x1F1] + 1) * 512
    packed = image[start : start + length]
    if packed.startswith(b"\x1f\x8b"):
        return zlib.decompress(packed, 31)
    # The last four bytes are the length that it will have, which gzip's format has anyway.
    packed = packed[:-4]
    if packed.startswith(b"\xfd7zXZ"):
        return lzma.decompress(packed)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dcq"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    return b""


def module_name(path: str) -> str:
    """The name a module has once loaded, from its file name."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


@dataclass
class Kernel:
    """One kernel of the cache (layout: tests/setup/kernels)."""

    name: str
    path: Path

    @classmethod
    def get(cls, name: str) -> Kernel:
        """Prepare and return kernel "6.1", "6.12", either with "-rt", or "debug", also "debug-6.12" and the like."""
        first, *words = name.split("-")
        where = setup("debug-kernel", *words) if first == "debug" else setup("kernels", first, *words)
        return cls(name, Path(where))

    @property
    def release(self) -> str:
        return (self.path / "kver").read_text().strip()

    @property
    def arm64(self) -> bool:
        """Is it for that architecture, and not for the machine's own?"""
        return (self.path / "arch").exists()

    @property
    def vmlinuz(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def image(self) -> Path:
        """What to boot: the kernel unpacked if it has an entry for that, which spares emulated processors the unpacking."""
        if self.arm64:
            return self.vmlinuz
        unpacked = self.path / "vmlinux"
        if not unpacked.exists():
            contents = unpacked_kernel(self.vmlinuz.read_bytes())
            if not PVH_ENTRY.search(contents):
                return self.vmlinuz
            new = unpacked.with_suffix(f".{os.getpid()}")
            new.write_bytes(contents)
            new.rename(unpacked)
        return unpacked

    def _dependencies(self) -> dict[str, tuple[str, list[str]]]:
        table = {}
        for line in (self.path / "modules" / "modules.dep").read_text().splitlines():
            path, needs = line.split(":")
            table[module_name(path)] = (path, [module_name(need) for need in needs.split()])
        return table

    def load_order(self, names: list[str]) -> list[str]:
        """The modules and all they need, in an order in which insmod takes them; built-in ones left out."""
        table = self._dependencies()
        order: list[str] = []
        for name in names:
            if name in table:
                # modules.dep lists the needs of a module last first.
                order += [item for item in [*reversed(table[name][1]), name] if item not in order]
        return order

    def users(self, name: str) -> list[str]:
        """The modules that need this one."""
        return sorted(user for user, (_, needs) in self._dependencies().items() if name in needs)

    def module(self, name: str) -> Path:
        """The file of one of the kernel's own modules."""
        return self.path / "modules" / self._dependencies()[name][0]

    def build_dir(self, name: str) -> Path:
        """A directory for what is built from this source tree for this kernel."""
        return CACHE / "build" / re.sub(r"\W+", "_", str(TOP)).strip("_") / self.name / name

    def built_modules(self, out: Path, subdir: str = "", stock: bool = False, gcov: bool = False,
                      flags: str = "") -> list[Path]:
        """Build the driver (or the modules in subdir) for this kernel in out, with flags of make; return the .ko files.

        With gcov they count what is executed. SystemExit 3: its compiler is not to be had now.
        """
        out.mkdir(parents=True, exist_ok=True)
        with open(out.parent / f"{out.name}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            args = [str(self.path), str(out)] + ([subdir] if subdir else [])
            environ = ({"MODULE_GCOV": "1"} if gcov else {}) | ({"MODULE_FLAGS": flags} if flags else {})
            where = setup("module", *(["--stock"] if stock else []), *args, **environ)
        return sorted(Path(where).glob("*.ko"))
