"""The stock hv_utils: integration services, offered by name."""

from looplib import case

RESCINDED = ("9527e630-d0ae-497b-adce-e80ab0175caf", "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6")   # time, key-value pairs
FAILED = "0x80004005"       # HV_E_FAIL
DAEMON = "/tmp/daemon"
# Registers (100), reads what it is told, and answers nothing more.
DAEMON_TEXT = """exec 3<>/dev/vmbus/hv_kvp
(printf '\\144'; head -c 16383 /dev/zero) >/tmp/register
dd bs=16384 if=/tmp/register >&3
dd bs=16384 count=1 <&3 >/dev/null
exec sleep 1000"""


def services(loop):
    """name -> (state, version of the frame, of the service, requests, answers, late, status)"""
    rows = [line.split() for line in loop.sh("cat /sys/kernel/debug/hv_vmbus_loop/ics").splitlines()]
    return {row[0]: (*row[1:4], *map(int, row[4:7]), row[7]) for row in rows}


def answers(loop, name):
    return services(loop)[name][4]


def ready(loop, name):
    loop.wait(lambda: services(loop)[name][0] == "ready", f"{name} is not ready: {services(loop)}")


@case
def heartbeat(loop):
    """It takes the newest versions of all that the host speaks, and answers each beat."""
    loop.load("hv_utils")
    loop.host("beat", 100)
    loop.host("offer", "heartbeat")
    ready(loop, "heartbeat")
    assert services(loop)["heartbeat"][1:3] == ("3.0", "3.0"), services(loop)
    # The first is the negotiation's.
    loop.wait(lambda: answers(loop, "heartbeat") >= 4, "no three beats")
    status, said = loop.guest.run("echo heartbeat >/sys/kernel/debug/hv_vmbus_loop/offer")
    assert status and "exists" in said, said


@case
def heartbeat_comes_back(loop):
    """Rescinded by name, and offered again."""
    loop.host("rescind", "heartbeat")
    relid = next(relid for relid, row in loop.channels().items() if row[0].startswith("57164f39"))
    loop.wait(lambda: loop.channels()[relid][3] == "released", "the relid was not given back")
    loop.host("offer", loop.channels()[relid][1])
    ready(loop, "heartbeat")
    before = answers(loop, "heartbeat")
    loop.wait(lambda: answers(loop, "heartbeat") > before + 2, "no beats")


@case
def shutdown(loop):
    """The guest says that it will, and runs what is to be run for it."""
    loop.host("offer", "shutdown")
    ready(loop, "shutdown")
    assert services(loop)["shutdown"][1:3] == ("3.0", "3.2"), services(loop)
    loop.sh("echo /bin/touch /tmp/off >/proc/sys/kernel/poweroff_cmd")
    loop.host("shutdown", "shutdown")
    loop.wait(lambda: loop.guest.run("test -e /tmp/off")[0] == 0, "it does not go off")
    loop.wait(lambda: answers(loop, "shutdown") == 2, "no answer")
    assert services(loop)["shutdown"][6] == "0x0", services(loop)


@case
def timesync(loop):
    """The guest takes a sample and a time to set itself to; there is no clock of Hyper-V's, which it does not mind."""
    loop.host("offer", "timesync")
    ready(loop, "timesync")
    assert services(loop)["timesync"][1:3] == ("3.0", "4.0"), services(loop)
    for number, what in enumerate(("sample", "sync"), 2):
        loop.host("timesync", what)
        loop.wait(lambda number=number: answers(loop, "timesync") == number, f"no answer to {what}")
        assert services(loop)["timesync"][6] == "0x0", services(loop)
    loop.host("rescind", "timesync")


@case
def kvp(loop):
    """Nothing is negotiated without a daemon; with one it is; a question is answered when the daemon has gone."""
    loop.host("offer", "kvp")
    loop.wait(lambda: services(loop)["kvp"][0] == "negotiating", "it is not open")
    loop.sh(f"cat >{DAEMON} <<'EOF'\n{DAEMON_TEXT}\nEOF\n")
    loop.sh(f"sh {DAEMON} >/dev/null 2>&1 & echo $! >{DAEMON}.pid")
    ready(loop, "kvp")
    assert services(loop)["kvp"][1:3] == ("3.0", "4.0"), services(loop)
    loop.host("kvp", 0)
    assert answers(loop, "kvp") == 1, services(loop)
    loop.sh(f"kill $(cat {DAEMON}.pid)")
    loop.wait(lambda: answers(loop, "kvp") == 2, "no answer")
    assert services(loop)["kvp"][6] == FAILED, services(loop)
    loop.host("rescind", "kvp")


@case
def hv_utils_unloads(loop):
    """All are closed, and work again with the next hv_utils."""
    loop.sh("rmmod hv_utils", 120)
    assert {row[0] for row in services(loop).values()} == {"closed"}, services(loop)
    left = lambda: loop.sh("cat /sys/bus/vmbus/devices/*/class_id 2>/dev/null || true")  # noqa: E731
    loop.wait(lambda: not any(kind in left() for kind in RESCINDED), f"what was rescinded is left: {left()}")
    loop.load("hv_utils")
    ready(loop, "heartbeat")
    ready(loop, "shutdown")
