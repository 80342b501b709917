"""The guest in which hv_vmbus_loop.ko and stock VSCs are loaded: an emulated machine that is not Hyper-V."""

import pathlib
import shutil
import subprocess

from hostlib.guest import DISK_MODULES, Setup, boot_plain
from hostlib.images import BUSYBOX, libraries
from hostlib.kernel import Kernel
from hostlib.testing import until_booted
from loads import disk_loads

TOP = pathlib.Path(__file__).resolve().parents[2]
# The VSCs, and what stands on them.
VSCS = ("hv_utils", "hv_sock", "hv_netvsc", "hv_storvsc", "sd_mod", "ext4", "crc32c_generic", "uio_hv_generic", "hv_balloon",
        *DISK_MODULES)
PROGRAMS = ("vsock", "uio", "sg")
FIO = "fio"
VMBUSSTAT = "vmbusstat"
# With 220 MB of libraries, which are on a disk of their own: only who runs them has them in memory.
TRACERS = ("bpftrace", "perf")
PYTHON = pathlib.Path("/usr/bin/python3")
# The modules that a program with argparse loads, compiled into a directory: file in the guest, file here.
COMPILE = """
import importlib.machinery, importlib.util, os, py_compile, sys
known = set(sys.modules)
loader = importlib.machinery.SourceFileLoader("program", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("program", loader))
sys.modules["program"] = module
loader.exec_module(module)
import contextlib, encodings.ascii, io, site
# Some are loaded as they are needed.
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    module.main(["--help"])
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None)
    if not file or name == "program" or not os.path.isabs(file):
        continue
    if file.endswith(".py"):
        to = os.path.join(sys.argv[2], name + ".pyc")
        py_compile.compile(file, to, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
        print(file + "c", to, sep="\\t")
    else:
        print(file, file, sep="\\t")
"""
NETWORK = ("ip", "ping", "iperf3", "ethtool")
# The distribution's, for cases of these files.
TOOLS = {"test_nic": NETWORK, "test_scsi": (FIO,), "test_storm": (*NETWORK, FIO), "test_rounds": (*NETWORK, FIO),
         "test_hostile": ("ip", "ping"), "test_versions": ("ip", "ping"), "test_vmbusstat": (*NETWORK, VMBUSSTAT),
         "test_recipes": ("ip",), "test_tracing": TRACERS}
SHELL = ("storm.sh", "rounds.sh")
IMAGE_MEGABYTES = 1024
TRACERS_MEGABYTES = 600
APPEND = "panic_on_warn=1 log_buf_len=4M"
# hv_balloon balloons only where the firmware cannot hibernate.
NO_S4 = ("-global", "ICH9-LPC.disable_s4=1")


def programs(out):
    """Compile the programs; the compiler's warnings are errors."""
    out.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(out / name),
                        str(TOP / f"tests/loop/{name}.c")], check=True)
    return tuple((f"bin/{name}", out / name) for name in PROGRAMS)


def tools(names):
    """Programs of this machine as /t/NAME, since busybox has some of that name, and libraries where they are looked for."""
    found = [pathlib.Path(shutil.which(name, path="/usr/sbin:/usr/bin")) for name in sorted(names)]
    needed = sorted({library for program in found for library in libraries(program)})
    return (*((f"t/{program.name}", program) for program in found),
            *((str(library).lstrip("/"), library) for library in needed))


def python(program, out):
    """A Python program as /t/NAME, and of Python what it takes to run it."""
    out.mkdir(parents=True, exist_ok=True)
    listing = subprocess.run([PYTHON, "-ISB", "-c", COMPILE, program, out], stdout=subprocess.PIPE, text=True, check=True)
    found = {file: pathlib.Path(source) for file, source in (line.split("\t") for line in listing.stdout.splitlines())}
    binaries = [PYTHON, *(source for source in found.values() if ".so" in source.suffixes)]
    needed = {str(library): library for binary in binaries for library in libraries(binary)}
    found |= needed | {str(PYTHON): PYTHON.resolve(), f"/t/{program.name}": program}
    return tuple((file.lstrip("/"), source) for file, source in found.items())


def tracers(where):
    """A disk with the tracers, their libraries, and a shell for what they start: /dev/vdb of the guest."""
    tree, disk = where / "tracers", where / "tracers.ext4"
    found = [pathlib.Path(shutil.which(name, path="/usr/sbin:/usr/bin")) for name in TRACERS]
    for file in {BUSYBOX, *found, *(library for program in found for library in libraries(program))}:
        target = tree / str(file).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for name in ("sh", "sleep"):
        (tree / "bin" / name).symlink_to(BUSYBOX)
    for name in ("dev", "proc", "sys", "tmp"):
        (tree / name).mkdir()
    with open(disk, "wb") as file:
        file.truncate(TRACERS_MEGABYTES << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk], check=True)
    shutil.rmtree(tree)
    return ("-drive", f"if=virtio,format=raw,readonly=on,file={disk}")


def boot(name, needed, where):
    """A guest with the bus, all VSCs, and these tools; raises BootLost if it does not boot in several tries."""
    kernel = Kernel.get(name)
    out = kernel.build_dir("loop")
    modules = kernel.built_modules(out, "tests/loop")
    fragments = [path for path in kernel.built_modules(kernel.build_dir("stock"), "tests/guest", stock=True)
                 if path.name == "vmbus_frag.ko"]
    samples = kernel.built_modules(kernel.build_dir("stock"), "samples", stock=True)
    vscs = [kernel.module(name) for name in kernel.load_order(list(VSCS)) if name != "hv_vmbus"]
    files = (*programs(out / "programs"), *tools(needed - {FIO, VMBUSSTAT, *TRACERS}),
             *((name, TOP / "tests/loop" / name) for name in SHELL))
    if VMBUSSTAT in needed:
        files += python(TOP / "tools/vmbusstat", out / "python")
    if FIO in needed:
        files += disk_loads(out / "programs")
    # A disk of the machine, on which init looks for an image of hibernation.
    where.mkdir(exist_ok=True)
    disk, early = where / "disk", where / "early"
    with open(disk, "wb") as file:
        file.truncate(IMAGE_MEGABYTES << 20)
    early.write_text("".join(f"{name}\n" for name in kernel.load_order(DISK_MODULES)))
    files = (*files, ("m/disk", early))
    want = Setup(kernel=name, modules=(), extra_modules=(*modules, *fragments, *samples, *vscs), append=APPEND, smp=4, memory=2048, reboots=True,
                 qemu=(*NO_S4, "-drive", f"if=virtio,format=raw,cache=unsafe,file={disk}",
                       *(tracers(where) if needed & set(TRACERS) else ())), files=files)
    return until_booted(lambda number: boot_plain(want, None, where / f"boot{number}"))
