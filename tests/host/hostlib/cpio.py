"""Initramfs images, written directly so that device nodes need no root and nothing needs cpio."""

from __future__ import annotations

import stat
from pathlib import Path


class Image:
    """A cpio archive (newc) under construction. Not compressed: an emulated guest unpacks faster than it inflates."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes = b"", rdev: tuple[int, int] = (0, 0)) -> None:
        raw = name.encode() + b"\0"
        fields = (len(self._known) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        head += b"\0" * (-len(head) % 4)
        self._parts += [head, data, b"\0" * (-len(data) % 4)]
        self._known.add(name)

    def _parents(self, name: str) -> None:
        for parent in reversed(Path(name).parents):
            if str(parent) != ".":
                self.directory(str(parent))

    def directory(self, name: str) -> None:
        """Add a directory and its parents; one that is there already is left alone."""
        name = name.strip("/")
        if name not in self._known:
            self._parents(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file with these contents."""
        name = name.strip("/")
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, source: Path, name: str | None = None) -> None:
        """Add a file of this machine, under its own path unless told another."""
        self.file(name or str(source), source.read_bytes(), stat.S_IMODE(source.stat().st_mode))

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        name = name.strip("/")
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        name = name.strip("/")
        self._parents(name)
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path: Path) -> None:
        """Close the archive and write it."""
        self._entry("TRAILER!!!", 0)
        path.write_bytes(b"".join(self._parts))
