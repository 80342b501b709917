"""Talking to the guest's agent and to its QEMU."""

from __future__ import annotations

import base64
import gzip
import json
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from . import pace


class Lost(Exception):
    """The guest went away, or says nothing any more, in the middle of something."""


class BootLost(Lost):
    """A guest's init never printed its first line: the one thing that is tried again. What there is of it is in dir."""

    dir: Path | None = None


class Stream:
    """A byte stream with deadlines. `alive` tells whether the other end can still answer."""

    def __init__(self, sock: socket.socket, alive: Callable[[], bool] = lambda: True) -> None:
        self._sock = sock
        self._buffer = b""
        self.alive = alive

    def send(self, data: bytes) -> None:
        """Send all of data."""
        self._sock.settimeout(pace.longest(30))
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Lost(f"cannot send: {error}") from error

    def _fill(self, deadline: float) -> None:
        while True:
            left = deadline - time.monotonic()
            if select.select([self._sock], [], [], max(0.0, min(left, 0.5)))[0]:
                try:
                    data = self._sock.recv(65536)
                except OSError as error:
                    raise Lost(f"cannot receive: {error}") from error
                if not data:
                    raise Lost("the stream was closed")
                self._buffer += data
                return
            if not self.alive():
                raise Lost("the machine has ended")
            if left <= 0:
                raise Lost(f"no answer in time{pace.said()}")

    def line(self, timeout: float) -> str:
        """The next line, without its end."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            self._fill(deadline)
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def exactly(self, count: int, timeout: float) -> bytes:
        """The next count bytes."""
        deadline = time.monotonic() + timeout
        while len(self._buffer) < count:
            self._fill(deadline)
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def drain(self) -> None:
        """Forget what an earlier machine on this stream may have left."""
        self._buffer = b""
        while select.select([self._sock], [], [], 0)[0]:
            if not self._sock.recv(65536):
                break


class Agent:
    """The agent of guest/l2-init.sh."""

    PIECE = 3000

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._count = 0

    def wait_ready(self, timeout: float) -> str:
        """Wait for the first line of a guest's init; return its kernel release."""
        return self.wait_line("agent ready", timeout).split()[-1]

    def wait_line(self, text: str, timeout: float) -> str:
        """Wait for a line of a guest's init that has this text; return it."""
        deadline = pace.deadline(timeout)
        try:
            while True:
                # Firmware and boot loaders may have written before.
                line = self._stream.line(deadline - time.monotonic())
                if text in line:
                    return line
        except Lost as lost:
            raise BootLost(f"init not reached: {lost}") from lost

    def post(self, command: str) -> int:
        """Send a command and do not wait for its end (it may never come: reboots, crashes)."""
        # Each process is some 20 ms in a nested guest: what fits in a line and has but letters goes as it is.
        if len(command) < self.PIECE and command.isascii() and command.isprintable():
            self._count += 1
            self._stream.send(f"{self._count} ={command}\n".encode())
            return self._count
        coded = base64.b64encode(command.encode()).decode()
        while len(coded) > self.PIECE:
            piece, coded = coded[: self.PIECE], coded[self.PIECE :]
            self._count += 1
            self._stream.send(f"{self._count} +{piece}\n".encode())
            self.answer(self._count, 60)
        self._count += 1
        self._stream.send(f"{self._count} {coded}\n".encode())
        return self._count

    def answer(self, number: int, timeout: float) -> tuple[int, str]:
        """Wait for the end of the command that post() gave this number; return exit status and output."""
        deadline = pace.deadline(timeout)
        while True:
            words = self._stream.line(deadline - time.monotonic()).split()
            if len(words) == 4 and words[0] == str(number):
                data = self._stream.exactly(int(words[3]), deadline - time.monotonic())
                if words[2] == "gzip":
                    data = gzip.decompress(data)
                return int(words[1]), data.decode(errors="replace")
            if words[:2] == ["agent", "ready"]:
                raise Lost("the guest rebooted in the middle of a command")

    def run(self, command: str, timeout: float) -> tuple[int, str]:
        """Run a shell command; return exit status and output (stdout and stderr together)."""
        return self.answer(self.post(command), timeout)


class Monitor:
    """QEMU's machine protocol, used for human commands mostly."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ready = False
        self.events: list[dict] = []

    def _reply(self, timeout: float) -> object:
        deadline = pace.deadline(timeout)
        while True:
            message = json.loads(self._stream.line(deadline - time.monotonic()))
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise RuntimeError(message["error"]["desc"])
            elif "return" in message:
                return message["return"]

    def execute(self, verb: str, timeout: float = 60, **arguments: object) -> object:
        """Run a machine-protocol command."""
        if not self._ready:
            self._ready = True
            self._stream.send(b'{"execute":"qmp_capabilities"}\n')
            self._reply(timeout)
        self._stream.send(json.dumps({"execute": verb, "arguments": arguments}).encode() + b"\n")
        return self._reply(timeout)

    def human(self, line: str, timeout: float = 60) -> str:
        """Run a human-monitor command line and return what it prints."""
        return str(self.execute("human-monitor-command", timeout, **{"command-line": line})).strip()
