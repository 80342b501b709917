"""What one does by hand to play a field report: debugfs files of controls.c."""

import time

from hostlib import pace
from looplib import LOOP, NIC, case

BYTES = 4_000_000           # more than rings and the socket's buffers hold
SILENT_MS = 600000  # until it is told to go on
DEADLINE_MS = 6000

# Of what is wrong with it; the devices are those that test_ic leaves, and none has a NIC.
REFUSED = {
    "Invalid argument": ("rule nonsense drop", "rule open", "rule open nonsense", "rule open delay", "rule open drop=1",
                         "rule open drop relid", "rule open drop nonsense=1", "rule 0 drop", "rule 99 drop",
                         "rule open refuse=x",
                         "silent x", "deaf x", "freeze nonsense", "thaw 1x", "fill nonsense", "offer nonsense",
                         "rescind nonsense", "lose_interrupts nonsense", "lose_interrupts heartbeat nonsense",
                         "lose_interrupts none flags", "interrupt nonsense", "inflate x", "shutdown nonsense",
                         "timesync nonsense", "kvp x", "sub x", "poke 1", "hostile heartbeat", "hostile nonsense percent=1",
                         "hostile heartbeat percent", "hostile heartbeat percent=1 kinds=nonsense"),
    "Operation not supported": ("rule close drop", "rule 13 drop", "rule unload refuse"),
    "Numerical result out of range": ("rule open delay=0", "rule open delay=600001", "rule open drop relid=2048",
                                      "silent 600001", "deaf 2", "hostile heartbeat percent=101", "busy 100", "inflate 0"),
    "No such device": ("freeze nic", "thaw 2000", "fill nic", "rescind nic", f"rescind {NIC}", "interrupt 2000", "hostile nic percent=1",
                       "lose_interrupts nic", "sub 2000"),
    "not connected": ("inflate 32", "deflate all", "timesync sync", "kvp 0"),
}


def channel(loop, kind):
    """The relid and the row of the open channel whose type begins with KIND."""
    found = [(relid, row) for relid, row in loop.channels().items() if row[0].startswith(kind) and row[3] == "open"]
    assert found, f"no open channel of {kind}: {loop.channels()}"
    return found[0]


def stream(loop, name, service):
    """BYTES to or from the host, in the background: a channel that the guest learns of at release; its relid."""
    loop.host("rule", "open hold times=1")
    loop.sh(f"rm -f /tmp/{name}; "
            f"(vsock {service} {BYTES} >/tmp/{name} 2>&1; echo status $? >>/tmp/{name}) >/dev/null 2>&1 &")
    service_type = f"{int(service.split()[1]):08x}-facb"
    found = lambda: [relid for relid, row in loop.channels().items()  # noqa: E731
                     if row[0].startswith(service_type) and row[3] == "open"]
    loop.wait(found, f"no channel: {loop.channels()}")
    return found()[0]


def ends(loop, name):
    loop.wait(lambda: "status" in loop.sh(f"cat /tmp/{name}"), f"{name} does not end", 120)
    said = loop.sh(f"cat /tmp/{name}")
    assert "status 0" in said, said
    loop.no_sockets()


def stands_still(loop, name, relid, what):
    """No packet is read or written; the program waits."""
    first = loop.channels()[relid]
    assert first[-1] == what, first
    time.sleep(1)
    second = loop.channels()[relid]
    assert first[4:6] == second[4:6], f"{first} {second}"
    assert "status" not in loop.sh(f"cat /tmp/{name}"), "it has ended"


@case
def controls_refuse(loop):
    """Each says what is wrong with its input, and does nothing."""
    for error, commands in REFUSED.items():
        for command in commands:
            file, text = command.split(" ", 1)
            status, said = loop.guest.run(f"echo '{text}' >{LOOP}/{file}")
            assert status and error in said, f"{command}: {status} {said}"
    assert loop.sh(f"cat {LOOP}/rules; cat {LOOP}/silent; cat {LOOP}/deaf; cat {LOOP}/busy").split() == ["0", "0", "25"]
    # As many rules as there is room for; used ones make room.
    said = loop.sh(f"for i in $(seq 20); do echo open drop times=1 2>&1 >{LOOP}/rule; done 2>&1 || true")
    assert "No space" in said, said
    assert len(loop.sh(f"cat {LOOP}/rules").splitlines()) == 16
    loop.host("rule", "none")
    assert not loop.sh(f"cat {LOOP}/rules")


@case
def answer_to_open_withheld(loop):
    """The open fails at its deadline; so does one that is refused, at once; the next one works."""
    _, row = channel(loop, "57164f39")
    drivers = "/sys/bus/vmbus/drivers/hv_utils"
    deadline = loop.sh(f"cat {LOOP}/deadline")
    loop.host("deadline", DEADLINE_MS)
    loop.sh(f"echo {row[1]} >{drivers}/unbind")
    for action, least in (("drop", DEADLINE_MS), ("refuse", 0)):
        loop.host("rule", f"open {action} times=1")
        mark, started = loop.guest.log_mark(), time.monotonic()
        assert loop.guest.run(f"echo {row[1]} >{drivers}/bind", 60)[0], f"it is bound in spite of {action}"
        took, said = (time.monotonic() - started) * 1000, loop.guest.log_since(mark)
        assert least <= took < pace.longest(DEADLINE_MS + 20000), f"{action}: {took:.0f} ms"
        # How long it took to be refused tells about the machine; that nobody waited to the end tells about the driver.
        assert (f"no OPENCHANNEL_RESULT from the host in {DEADLINE_MS} ms" in said) == (action == "drop"), f"{action}: {said}"
        assert loop.guest.run(f"test -e {drivers}/{row[1]}")[0], f"it is bound in spite of {action}"
    loop.host("deadline", deadline)
    loop.sh(f"echo {row[1]} >{drivers}/bind")
    loop.wait(lambda: loop.sh(f"grep 'heartbeat ready' {LOOP}/ics || true"), "it does not work again")


@case
def answers_delayed_and_held(loop):
    """A connection comes about when its answers do."""
    loop.load("hv_sock")
    loop.host("rule", "open delay=1500 times=1")
    started = time.monotonic()
    loop.run("vsock echo 1 1000")
    assert time.monotonic() - started > 1.5, "it did not wait"
    loop.host("rule", "gpadl hold times=1")
    loop.sh("rm -f /tmp/held; (vsock echo 1 1000 >/tmp/held 2>&1; echo status $? >>/tmp/held) >/dev/null 2>&1 &")
    loop.wait(lambda: not loop.sh(f"cat {LOOP}/rules"), "nothing is held")
    time.sleep(1)
    assert "status" not in loop.sh("cat /tmp/held"), "it did not wait"
    loop.host("release", "now")
    ends(loop, "held")


@case
def frozen_ring(loop):
    """The guest's sends find a full ring, and go on when the host does; likewise what it reads."""
    for name, service in (("sink", "sink 2"), ("echo", "echo 1")):
        relid = stream(loop, name, service)
        loop.host("freeze", relid)
        loop.host("release", "now")
        stands_still(loop, name, relid, "frozen")
        loop.host("thaw", relid)
        ends(loop, name)


@case
def full_ring(loop):
    """Full at once; then all goes on, and no byte is wrong."""
    relid = stream(loop, "full", "sink 2")
    loop.host("fill", relid)
    loop.host("release", "now")
    stands_still(loop, "full", relid, "full")
    loop.host("thaw", relid)
    # In the middle, as long as it lasts.
    rounds = 0
    while rounds < 3 and loop.guest.run(f"echo {relid} >{LOOP}/fill")[0] == 0:
        # It may have said all and be about to go.
        if "status" in loop.sh("sleep 0.2; cat /tmp/full"):
            loop.host("thaw", "all")
            break
        stands_still(loop, "full", relid, "full")
        loop.host("thaw", relid)
        rounds += 1
    loop.notes.append(f"full again in the middle: {rounds} times")
    ends(loop, "full")
    assert loop.sockets()["wrong_bytes"] == 0, loop.sockets()


@case
def host_is_silent(loop):
    """For some time nothing comes; then all goes on as if nothing had been, also what was asked meanwhile."""
    relid = stream(loop, "silent", "sink 2")
    loop.host("silent", SILENT_MS)
    loop.host("release", "now")
    before = loop.channels()[relid][4:6]
    loop.host("offer", NIC)
    time.sleep(1)
    assert loop.sh(f"cat {LOOP}/silent") == "1" and loop.channels()[relid][4:6] == before, loop.channels()
    assert not loop.sh("grep -l f8615163 /sys/bus/vmbus/devices/*/class_id || true"), "an offer of a silent host"
    assert "status" not in loop.sh("cat /tmp/silent"), "it has ended"
    loop.host("silent", 0)
    ends(loop, "silent")
    assert loop.sh(f"cat {LOOP}/silent") == "0"
    loop.wait(lambda: loop.sh("grep -l f8615163 /sys/bus/vmbus/devices/*/class_id || true"), "no NIC")
    loop.host("rescind", "nic")


@case
def lost_interrupts(loop):
    """A beat that the guest is not told of waits for the next interrupt; then there are beats as before."""
    beats = lambda: [int(word) for word in loop.sh(f"grep heartbeat {LOOP}/ics").split()[4:7]]  # noqa: E731
    loop.host("lose_interrupts", "heartbeat flags")
    late = beats()[2]
    loop.wait(lambda: beats()[2] > late, "the beats are answered")

    def unanswered():
        """An interrupt from before may be on its way to a processor that stands still."""
        _, answered, late = beats()
        loop.wait(lambda: beats()[2] > late + 3, "the beats are answered")
        return beats()[1] == answered
    loop.wait(unanswered, "the beats are answered")
    answered = beats()[1]
    loop.host("lose_interrupts", "none")
    loop.host("interrupt", "heartbeat")
    loop.wait(lambda: beats()[1] > answered + 2, "no beats")
    loop.sh("rmmod hv_utils")
    loop.host("rescind", "heartbeat")
    loop.host("rescind", "shutdown")
    loop.wait(lambda: not loop.sh("ls /sys/bus/vmbus/devices"), "devices are left")
    loop.sh("rmmod hv_sock")
