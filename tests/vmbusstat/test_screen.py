"""--watch on a terminal: what is drawn, what keys do, and how the terminal is left."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from bench import PYTHON, TOOL, case

PATIENCE = 120      # seconds, of a machine that has others to serve
ENTER, EXIT, HIDE, SHOW = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A terminal with vmbusstat --watch on it."""

    def __init__(self, root, *arguments, lines=24, columns=140, interval="0.2"):
        self.master, self.slave = pty.openpty()
        self.resize(lines, columns)
        self.modes = termios.tcgetattr(self.slave)
        self.output = ""

        def control():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
        self.process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
            [PYTHON, "-B", str(TOOL), "--watch", "-i", interval, "--root", str(root), *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True, preexec_fn=control,
            env=environment)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, lines, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        """What is there now; not for ever, as more comes all the time."""
        until = time.monotonic() + 0.5
        while select.select([self.master], [], [], 0.05)[0]:
            self.output += os.read(self.master, 65536).decode()
            if time.monotonic() > until:
                break

    def key(self, pressed):
        """Press it; what was drawn before is forgotten."""
        self.read()
        self.output = ""
        os.write(self.master, pressed.encode())

    def frame(self):
        """The lines of the last picture that is whole."""
        pictures = re.findall(r"\x1b\[H(.*?\x1b\[K)(?=\x1b\[H|$)", self.output, re.S)
        if not pictures:
            return [""]
        # The cursor goes to the last line for what is happening.
        table, foot = re.split(r"\r*\n\x1b\[J\x1b\[\d+;1H", pictures[-1])
        return [re.sub(r"\x1b\[[\d?]*[a-zA-Z]", "", line).rstrip("\r") for line in (*table.split("\n"), foot)]

    def until(self, condition, what):
        """Wait for a picture."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.read()
            frame = self.frame()
            if condition(frame):
                return frame
            assert self.process.poll() is None and time.monotonic() < deadline, f"{what}: {self.output[-2000:]!r}"

    def ended(self):
        """Its status; the terminal is as it was."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, "it does not end"
        self.read()
        self.check_left()
        return self.process.returncode

    def check_left(self):
        assert termios.tcgetattr(self.slave) == self.modes, "the terminal's modes are others"
        assert self.output.rindex(EXIT) > self.output.rfind(ENTER), repr(self.output[-300:])
        assert self.output.rindex(SHOW) > self.output.rfind(HIDE), repr(self.output[-300:])
        assert "Traceback" not in self.output, self.output


@contextlib.contextmanager
def terminal(*arguments, **more):
    screen = Terminal(*arguments, **more)
    try:
        yield screen
    finally:
        screen.close()


def headed(frame):
    return frame[0].startswith("DEVICE") and len(frame) > 3


@case
def screen_is_drawn(bench):
    """The table as it is printed, cut to the screen, and what is happening in the last line."""
    tree = bench.tree("loop-6.12.1")
    table = bench.run("--root", tree.path, "-i", "0.01").splitlines()
    with terminal(tree.path, lines=50, columns=200) as screen:
        frame = screen.until(headed, "nothing is drawn")
        assert frame[: len(table)] == table and "q quit" in frame[-1] and "1-20 of 20" in frame[-1], frame
        assert termios.tcgetattr(screen.slave)[3] & (termios.ECHO | termios.ICANON) == 0
        screen.key("q")
        assert screen.ended() == 0
    with terminal(tree.path, lines=10, columns=60) as screen:
        frame = screen.until(headed, "nothing is drawn")
        # A head that says that there is more.
        assert frame[:9] == [f"{table[0][:59]}>", *(line[:60] for line in table[1:9])] and len(frame) == 10, frame
        assert frame[9].startswith("1-8 of 20"), frame


@case
def screen_ends_by_signals(bench):
    """^C, ^\\, SIGTERM, SIGHUP at any moment: the terminal is as it was, and who waits sees the signal."""
    tree = bench.tree("loop-6.12.1")
    for step, signum in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) * 2):
        with terminal(tree.path, interval="0.01") as screen:
            screen.until(lambda frame: ENTER in screen.output, "no screen")  # noqa: B023
            if step > 2:
                screen.until(headed, "nothing is drawn")
                time.sleep(0.013 * step)
            if signum == signal.SIGINT:
                os.write(screen.master, b"\x03")
            elif signum == signal.SIGQUIT:
                os.write(screen.master, b"\x1c")
            else:
                screen.process.send_signal(signum)
            assert screen.ended() == -signum, f"status {screen.process.returncode}"


@case
def screen_ends_with_its_terminal(bench):
    """A terminal that is closed: it ends, too."""
    tree = bench.tree("loop-6.12.1")
    with terminal(tree.path) as screen:
        screen.until(headed, "nothing is drawn")
        os.close(screen.master)
        assert screen.process.wait(PATIENCE) == -signal.SIGHUP
        screen.master = os.open("/dev/null", os.O_RDONLY)


@case
def screen_stops_and_goes_on(bench):
    """^Z gives the terminal back; fg draws again."""
    tree = bench.tree("loop-6.12.1")
    with terminal(tree.path) as screen:
        screen.until(headed, "nothing is drawn")
        screen.key("\x1a")
        deadline = time.monotonic() + PATIENCE
        while "T" not in open(f"/proc/{screen.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0]:
            screen.read()
            assert time.monotonic() < deadline, "it does not stop"
        screen.read()
        screen.check_left()
        screen.output = ""
        screen.process.send_signal(signal.SIGCONT)
        screen.until(headed, "it does not go on")
        assert ENTER in screen.output and HIDE in screen.output
        screen.key("q")
        assert screen.ended() == 0


@case
def screen_takes_keys(bench):
    """Sorting by each column, both ways, backwards, CPUs, scrolling; others do nothing."""
    tree = bench.tree("loop-6.12.1")
    columns = ("device", "ch", "driver", "cpu", "node", "state", "intr", "sig", "in", "out", "full", "fullpkt", "infull",
               "outempty", "id")
    with terminal(tree.path, lines=50, columns=220) as screen:
        screen.until(headed, "nothing is drawn")
        for column in (*columns, "relid"):
            screen.key(">" if len(column) % 2 else "\x1b[C")
            frame = screen.until(lambda frame: f"sorted by {column}  " in frame[-1], f"not by {column}")  # noqa: B023
            order = ("--sort", column) if column != "relid" else ()
            assert frame[:21] == bench.run("--root", tree.path, "-i", "0.01", *order).splitlines(), frame
        screen.key("<\x1b[D")
        screen.until(lambda frame: "sorted by outempty  " in frame[-1], "not back")
        screen.key("r")
        screen.until(lambda frame: "sorted by outempty, reversed" in frame[-1], "not reversed")
        screen.key("c")
        frame = screen.until(lambda frame: frame[0].startswith("CPU"), "no CPUs")
        assert "sorted by cpu, reversed" in frame[-1], frame
        assert [line.split()[0] for line in frame[1:5]] == ["3", "2", "1", "0"], frame
        screen.key("<")
        screen.until(lambda frame: "sorted by intr, reversed" in frame[-1], "CPUs are not sorted")
        screen.key("crxyz\x1b[99~\t")
        screen.until(lambda frame: headed(frame) and "sorted by relid  " in frame[-1], "not back")
    with terminal(tree.path, lines=10, columns=200) as screen:
        screen.until(headed, "nothing is drawn")
        for keys, first in (("j", 2), ("\x1b[B", 3), ("k", 2), (" ", 9), ("\x1b[6~", 13), ("jjj", 13),
                            ("\x1b[5~", 6), ("\x1b[A" * 20, 1), ("k", 1)):
            screen.key(keys)
            there = lambda frame: frame[-1].startswith(f"{first}-")  # noqa: E731,B023
            frame = screen.until(there, f"{keys!r} does not lead to {first}")
            assert headed(frame), frame


@case
def screen_explains_itself(bench):
    """A page that has each column and fits in 80 columns; the last line of the table fits there, too."""
    tree = bench.tree("loop-6.12.1")
    with terminal(tree.path, lines=40, columns=80) as screen:
        frame = screen.until(headed, "nothing is drawn")
        assert frame[0].endswith(">") and frame[-1].endswith("c CPUs"), frame
        heads = bench.run("--root", tree.path, "-i", "0.01").split("\n")[0].lower().split()
        screen.key("h")
        frame = screen.until(lambda frame: frame[0].startswith("What the columns say"), "no help")
        assert [line.split()[0] for line in frame[1 : 1 + len(heads)]] == heads and not frame[0].endswith(">"), frame
        screen.key("?")
        screen.until(headed, "not back")


@case
def screen_follows_the_terminal(bench):
    """Another size is drawn at once, long before the next reading; even a tiny one."""
    tree = bench.tree("loop-6.12.1")
    with terminal(tree.path, "--cpu", interval="0.2") as screen:
        screen.until(lambda frame: frame[0].startswith("CPU"), "nothing is drawn")
    with terminal(tree.path, "--root", str(tree.path), interval="3600", lines=24, columns=140) as screen:
        # The second tree is there at once: it is drawn, and then nothing for an hour.
        screen.until(headed, "nothing is drawn")
        for lines, columns in ((12, 50), (60, 240), (1, 1), (2, 10), (24, 80)):
            screen.read()
            screen.output = ""
            screen.resize(lines, columns)
            frame = screen.until(lambda frame: frame[0], "not drawn anew")
            assert all(len(line) <= columns for line in frame) and len(frame) <= max(lines, 2), frame
        screen.key("q")
        assert screen.ended() == 0


@case
def screen_shows_what_goes(bench):
    """Devices vanish and come while it watches; without a bus it ends, with a line."""
    tree = bench.tree("loop-6.12.1")
    device, away = tree / "bus/vmbus/devices/4e1c0001-4e1c-4e1c-1c4e-1c4e1c4e1c4e", bench.where / "away"
    with terminal(tree.path, lines=50, columns=200) as screen:
        screen.until(lambda frame: any(device.name in line for line in frame), "the device is not there")
        device.rename(away)
        screen.until(lambda frame: headed(frame) and not any(device.name in line for line in frame), "the device stays")
        away.rename(device)
        screen.until(lambda frame: any(device.name in line for line in frame), "the device does not come back")
        (tree / "bus").rename(bench.where / "bus")
        assert screen.ended() == 1
        assert screen.output.rpartition(EXIT)[2].rstrip().endswith("hv_vmbus loaded?)"), screen.output[-300:]
