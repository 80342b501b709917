"""The stock hv_sock: AF_VSOCK between programs of the guest and services of the host."""

import re

from looplib import LOOP, case

LISTENER = 7000     # a port of the guest
BYTES = 3_000_000
CLIENTS = 8
LEAK_SHOWS = 2000   # connections, below which what others allocate hides it
STACKS = 6000       # pages: idle workers, of which a storm makes hundreds, stay for minutes


@case
def sockets_load(loop):
    """hv_sock loads."""
    loop.load("hv_sock")
    assert loop.sh("ls -d /sys/bus/vmbus/drivers/hv_sock")


@case
def connect_and_echo(loop):
    """A connection to the host; data goes both ways at once."""
    loop.run(f"vsock echo 1 {BYTES}")
    counts = loop.sockets()
    assert counts["requests"] == counts["opened"] == 1, counts


@case
def guest_closes_half(loop):
    """The guest shuts down its half after sending; the host has all of it, and still answers."""
    loop.run(f"vsock sink 2 {BYTES}")


@case
def host_closes_half(loop):
    """The host's FIN comes behind its data; the guest's half still works."""
    loop.run(f"vsock source 3 {BYTES}")


@case
def host_connects(loop):
    """The guest listens; connections from the host, with the same services."""
    for service in ("echo", "sink", "source"):
        loop.run(f"vsock accept {LISTENER} {service} {BYTES} 'echo {LISTENER} {service} >{LOOP}/connect'")
    assert loop.sockets()["from_host"] == 3, loop.sockets()


@case
def nobody_listens(loop):
    """A connection from the host to a port without a listener is never opened, and goes when the host gives up."""
    patience = loop.sh(f"cat {LOOP}/patience")
    loop.host("patience", 300)
    loop.host("connect", f"{LISTENER} echo")
    loop.wait(lambda: loop.sockets()["unopened"] == 1, "the channel was opened, or never taken back")
    loop.no_sockets()
    loop.host("patience", patience)


@case
def refused(loop):
    """The host refuses, or does not answer: connect() fails after its time, and the log says nothing of it."""
    mark = loop.guest.log_mark()
    for port in (5, 6, 99):
        said = loop.run(f"vsock refused {port} 1000")
        assert "timed out" in said or "reset" in said or "refused" in said, said
    # The guest may have lost its patience before the host saw what it asked for.
    counts = lambda: tuple(loop.sockets()[name] for name in ("refused", "unanswered"))  # noqa: E731
    loop.wait(lambda: counts() == (2, 1), f"refused, unanswered: {counts()}")
    # Others may write to it: a slow machine's clocks.
    said = re.findall(r"(?m)^.*(?:hv_|vmbus|vsock).*$", loop.guest.log_since(mark))
    assert not said, said


@case
def gone_with_data_left(loop):
    """The host takes a channel away that has data; the guest finds an end, not a hang."""
    loop.run("vsock abrupt 4 8192")
    loop.no_sockets()


@case
def closed_with_data_left(loop):
    """The guest closes and does not read."""
    loop.run("vsock unread 3 20000")
    loop.no_sockets()


@case
def dropped_under_traffic(loop):
    """The host takes the channel away while both sides send."""
    for _ in range(3):
        loop.run(f"(sleep 1; echo all >{LOOP}/drop) & vsock drop 1 0; wait")
    loop.no_sockets()


@case
def connections_at_a_time(loop):
    """Many connections at a time."""
    loop.run("vsock many 1 64")
    loop.no_sockets()


@case
def connection_storm(loop):
    """Many connections, by several clients: all are opened, none is left, and nothing of them is."""
    count = loop.options.connections
    # What is allocated once, or kept for later, is there after these.
    loop.run(f"vsock storm 1 {4 * CLIENTS} {CLIENTS}")
    loop.no_sockets()
    before, held = loop.sockets(), loop.memory() if count >= LEAK_SHOWS else {}
    loop.run(f"vsock storm 1 {count} {CLIENTS}", 300 + count)
    loop.no_sockets()
    counts = loop.sockets()
    for name in ("requests", "opened", "rescinded"):
        assert counts[name] - before[name] == count, f"{before} {counts}"
    assert counts["wrong_bytes"] == counts["unopened"] - before["unopened"] == 0, f"{before} {counts}"
    # A device is without its driver before its channel is closed and its relid released.
    left = lambda: [row for row in loop.channels().values() if row[3] != "released"]  # noqa: E731
    loop.wait(lambda: not left(), f"left: {left()}")
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
    # The host takes the lowest relid that is free.
    loop.notes.append(f"never more than {max(loop.channels())} channels at a time")
    if count >= LEAK_SHOWS:
        grown = {name: value - held.get(name, 0) for name, value in loop.memory().items()}
        most = sorted(grown.items(), key=lambda item: -item[1])[:4]
        loop.notes.append(f"after {count} connections: {', '.join(f'{name} {value:+}' for name, value in most)}")
        lost = {name: value for name, value in grown.items()
                if value > count / 4 + (STACKS if "pages" in name else 0)}
        assert not lost, f"after {count} connections there is more of {lost}"


@case
def sockets_unload(loop):
    """hv_sock goes while a connection from the host waits for it."""
    patience = loop.sh(f"cat {LOOP}/patience")
    loop.host("patience", 5000)
    loop.host("connect", f"{LISTENER} echo")
    loop.sh("rmmod hv_sock", 120)
    loop.wait(lambda: loop.sockets()["now"] == 0, "a socket is left")
    loop.host("patience", patience)
    assert loop.sockets()["wrong_bytes"] == 0
