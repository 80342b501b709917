"""The distribution's programs that put load on disks, for the guest's image."""

import re
import shutil
import subprocess
from pathlib import Path

from hostlib.images import libraries

# What fio and its kind are linked with. The rest is for storage of others (Ceph, Gluster, RDMA ...), 80 MB of it, which
# these loads never call: fio finds empty functions in its place.
KEPT = re.compile(r"/(ld-linux-x86-64|libaio|libc|libm|libnuma|libz|libpthread|libdl|librt|libgcc_s)\.so")


def _lines(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def _needed(program):
    """The libraries it asks for itself -> the versions of names that it wants of them."""
    needed = {match[1]: set() for line in _lines("readelf", "-d", program)
              if (match := re.search(r"\(NEEDED\).*\[(.*)\]", line))}
    file = None
    for line in _lines("readelf", "-VW", program):
        if match := re.search(r"File: (\S+)", line):
            file = match[1]
        elif file in needed and (match := re.search(r"Name: (\S+)", line)):
            needed[file].add(match[1])
    return needed


def _stub(out, library, names, versions):
    """An empty function for each name, under its version."""
    source, script = out / f"{library}.c", out / f"{library}.map"
    source.write_text("".join(f"void {name}(void);\nvoid {name}(void) {{ __builtin_trap(); }}\n" for name, _ in names))
    script.write_text("".join(f"{version} {{ global: {' '.join(f'{name};' for name, of in names if of == version)} }};\n"
                              for version in sorted(versions)))
    subprocess.run(["gcc", "-shared", "-fPIC", "-fno-builtin", "-nostdlib", f"-Wl,-soname,{library}",
                    *([f"-Wl,--version-script={script}"] if versions else []), "-o", str(out / library), str(source)],
                   check=True)


def without_others(program, out):
    """Image files of a program, with stubs in place of the libraries that are not kept."""
    path = shutil.which(program)
    kept = [library for library in libraries(Path(path)) if KEPT.search(str(library))]
    there = {line.split()[-1].split("@")[0] for library in kept for line in _lines("nm", "-D", "--defined-only", library)}
    # Names without a version may come from any library.
    wanted = [(line.split()[-1].split("@") + [""])[:2] for line in _lines("nm", "-D", "--undefined-only", path)]
    loose = [name for name in wanted if not name[1] and name[0] not in there and not name[0].startswith("_")]
    files = [(f"bin/{program}", Path(path)), *((str(library).lstrip("/"), library) for library in kept)]
    for library, versions in _needed(path).items():
        if any(library == keep.name for keep in kept):
            continue
        names = [name for name in wanted if name[1] in versions]
        if not versions:
            names, loose = loose, []
        _stub(out, library, names, versions)
        files.append((f"lib/x86_64-linux-gnu/{library}", out / library))
    return files


def whole(program):
    """Image files of a program with all its libraries."""
    program = Path(shutil.which(program))
    return [(f"bin/{program.name}", program), *((str(path).lstrip("/"), path) for path in libraries(program))]


def disk_loads(out):
    """fio, what it needs and does not have, and mkfs.ext4."""
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(out / "preload.so"),
                    str(Path(__file__).parent / "preload.c")], check=True)
    return tuple(dict([*without_others("fio", out), *whole("mke2fs"), ("lib/preload.so", out / "preload.so")]).items())
