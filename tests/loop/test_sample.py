"""The sample driver, samples/vmbus_echo.c, as it was built for the stock bus: files whose text the host sends back."""

from looplib import LOOP, case

ECHO = "6c3f2a14-58e0-4b7d-9a41-0e5d7c2b9f63"
DRIVER = "/sys/bus/vmbus/drivers/vmbus_echo"
MAX_TEXT = 8192
PATIENCE = 10           # seconds that a write waits for the host
# ask FILE BYTES [NAME]: another text each time; says what is wrong.
ASK = """
ask() {
	head -c $2 /dev/urandom >/tmp/text$3
	exec 3<>$1 || return 1
	dd bs=$2 count=1 if=/tmp/text$3 >&3 2>/tmp/said$3 || { cat /tmp/said$3; return 1; }
	dd bs=65536 <&3 2>/dev/null | cmp - /tmp/text$3
}
"""
WAITERS = 70            # for 64 request ids
WRITERS, ROUNDS = 10, 5


def file(loop):
    return f"/dev/vmbus_echo-{loop.echo}"


def there(loop):
    loop.wait(lambda: loop.guest.run(f"test -c {file(loop)}")[0] == 0, "there is no file")


def ask(loop, size=100):
    loop.sh(f"{ASK}ask {file(loop)} {size}")


def relid(loop):
    """Of the echo device as the guest has it now."""
    found = [relid for relid, row in loop.channels().items() if row[1] == loop.echo and row[3] in ("open", "offered")]
    assert found, "there is no device"
    return found[0]


def write_waits(loop, name):
    """A write to which the host has no answer, in the background, its file open ever since."""
    loop.sh(f"(exec 3<>{file(loop)}; cat /proc/uptime >/tmp/{name}.opened; cd /tmp; echo hello >&3; echo $? >{name}.ended; exec sleep 1000) "
            f"</dev/null >/dev/null 2>/tmp/{name}.said & echo $! >/tmp/{name}.pid")
    loop.wait(lambda: loop.guest.run(f"test -e /tmp/{name}.opened")[0] == 0, "it does not open the file")
    loop.sh(f"sleep 1; ! test -e /tmp/{name}.ended")


def write_ends(loop, name, error, timeout=PATIENCE / 2):
    """It fails, and so says why; sooner than it would for the host's silence."""
    loop.wait(lambda: loop.guest.run(f"test -s /tmp/{name}.ended")[0] == 0, "the write does not end", timeout)
    said = loop.sh(f"cat /tmp/{name}.said")
    assert error in said, said


def end_writer(loop, name):
    loop.sh(f"kill $(cat /tmp/{name}.pid)")


@case
def sample_echoes(loop):
    """Texts of several sizes come back as they were; one that is too long is refused."""
    loop.sh("insmod /m/vmbus_echo.ko")
    loop.host("offer", ECHO)
    loop.wait(lambda: loop.guest.run(f"ls {DRIVER}/*/channels")[0] == 0, "the driver does not take the device")
    loop.echo = loop.sh(f"cd {DRIVER}; echo *-*-*-*-*")
    there(loop)
    for size in (1, 4, 5, 7, 8, 1000, 4096, MAX_TEXT - 1, MAX_TEXT):
        ask(loop, size)
    status, said = loop.guest.run(f"{ASK}ask {file(loop)} {MAX_TEXT + 1}")
    assert status and "too long" in said, said
    loop.run(f"exec 3<>{file(loop)}; head -c 3 <&3; echo hello >&3; head -n 1 <&3")


def served(loop, count, each):
    """So many at a time do this, with their number as i, and all of it works, the host being frozen as they begin."""
    # All of them begin when the last one is there: the first would not wait for the others longer than for the host.
    loop.sh(f"""rm -f /tmp/served /tmp/failed /tmp/ready /tmp/go; : >/tmp/ready; mkfifo /tmp/go; exec 8<>/tmp/go
{ASK}for i in $(seq {count}); do
    (echo >>/tmp/ready; read line <&8; {each} || echo $i >>/tmp/failed; echo $i >>/tmp/served) &
done </dev/null >/dev/null 2>&1
until [ $(wc -l </tmp/ready) = {count} ]; do sleep 0.1; done
echo {relid(loop)} >{LOOP}/freeze; seq {count} >&8; sleep 1; echo {relid(loop)} >{LOOP}/thaw""", 120)
    loop.wait(lambda: loop.guest.run(f"test $(wc -l </tmp/served) = {count}")[0] == 0, "they do not end", 120)
    assert loop.guest.run("test -e /tmp/failed")[0], f"{loop.sh('wc -l </tmp/failed')} of {count} fail"


@case
def sample_serves_many(loop):
    """More requests at a time than there are ids: some wait for one; then texts on several files, each has its own."""
    before = int(loop.channels()[relid(loop)][4])
    served(loop, WAITERS, f"echo hello >{file(loop)}")
    served(loop, WRITERS, f"for j in $(seq {ROUNDS}); do ask {file(loop)} $((i * j * 40)) .$i || echo $i >>/tmp/failed; done")
    assert int(loop.channels()[relid(loop)][4]) - before == WAITERS + WRITERS * ROUNDS, loop.channels()


@case
def sample_host_is_silent(loop):
    """A write ends in time; what comes late does no harm; so does a full ring, another device's at the same time."""
    first = loop.echo
    loop.host("offer", ECHO)
    others = lambda: set(loop.sh(f"cd {DRIVER}; echo *-*-*-*-*").split()) - {first}  # noqa: E731
    loop.wait(others, "the driver does not take another device")
    devices = {"freeze": first, "fill": others().pop()}
    for command, loop.echo in devices.items():
        there(loop)
        loop.host(command, relid(loop))
        write_waits(loop, command)
    for command, loop.echo in devices.items():
        write_ends(loop, command, "timed out", PATIENCE * 3)
        loop.host("thaw", relid(loop))
        ask(loop)
        end_writer(loop, command)
    loop.host("rescind", relid(loop))
    loop.wait(lambda: loop.guest.run(f"test -e {file(loop)}")[0], "the file is still there")
    loop.echo = first


@case
def sample_write_is_interrupted(loop):
    """A signal ends it at once."""
    loop.host("freeze", relid(loop))
    write_waits(loop, "killed")
    end_writer(loop, "killed")
    said = loop.sh("while kill -0 $(cat /tmp/killed.pid) 2>/dev/null; do sleep 0.1; done; cat /tmp/killed.opened /proc/uptime")
    opened, ended = (float(line.split()[0]) for line in said.splitlines())
    # By the guest's clock, however long it takes to look.
    assert ended - opened < PATIENCE, f"it waits as long as the host is silent: {said}"
    loop.host("thaw", relid(loop))
    ask(loop)


@case
def sample_rescinded(loop):
    """The device goes while a write waits, which fails at once; offered again it works, and the old file fails still."""
    old = relid(loop)
    loop.host("freeze", old)
    write_waits(loop, "rescinded")
    loop.host("rescind", old)
    write_ends(loop, "rescinded", "No such device")
    loop.wait(lambda: loop.channels()[old][3] == "released", "the relid was not given back")
    assert loop.guest.run(f"test -e {file(loop)}")[0], "the file is still there"
    loop.host("offer", loop.echo)
    there(loop)
    # The same relid, which stands still as before.
    loop.host("thaw", relid(loop))
    ask(loop)
    end_writer(loop, "rescinded")


@case
def sample_unbound(loop):
    """Unbound while a write waits, and bound again."""
    loop.host("freeze", relid(loop))
    write_waits(loop, "unbound")
    loop.sh(f"echo {loop.echo} >{DRIVER}/unbind")
    write_ends(loop, "unbound", "No such device")
    loop.host("thaw", relid(loop))
    loop.sh(f"echo {loop.echo} >{DRIVER}/bind")
    there(loop)
    ask(loop)
    end_writer(loop, "unbound")


@case
def sample_sleeps(loop):
    """The guest turns round on its way to hibernation while a write waits: it is asked again, and answered."""
    loop.host("freeze", relid(loop))
    write_waits(loop, "slept")
    loop.sh("echo devices >/sys/power/pm_test; echo shutdown >/sys/power/disk; echo disk >/sys/power/state; "
            "echo none >/sys/power/pm_test", 120)
    loop.host("thaw", relid(loop))
    loop.wait(lambda: loop.guest.run("grep -qx 0 /tmp/slept.ended")[0] == 0, "the write has no answer")
    ask(loop)
    end_writer(loop, "slept")


@case
def sample_host_lies(loop):
    """Answers that are too short, or anything: a write fails or a wrong text comes back, and it works again."""
    loop.host("hostile", f"{relid(loop)} percent=100 kinds=short,bits,noise times=40")
    loop.sh(f"for i in $(seq 40); do {{ exec 3<>{file(loop)}; echo hello $i >&3; head -n 1 <&3; }} >/dev/null 2>/tmp/lies || true; done", 120)
    # An id that nobody has: that write has no answer.
    loop.host("hostile", f"{relid(loop)} percent=100 kinds=id times=1")
    assert loop.guest.run(f"timeout 3 sh -c 'echo hello >{file(loop)}'", 60)[0], "it has an answer"
    loop.host("hostile", "none")
    ask(loop)


@case
def sample_unloads(loop):
    """Not while a file is open; then all is given back, and it loads again."""
    loop.sh(f"exec 3<>{file(loop)}; ! rmmod vmbus_echo")
    loop.wait(lambda: loop.guest.run("rmmod vmbus_echo")[0] == 0, "it cannot be unloaded")
    assert loop.guest.run(f"test -e {file(loop)}")[0], "the file is still there"
    loop.sh("insmod /m/vmbus_echo.ko")
    there(loop)
    ask(loop)
    loop.host("rescind", relid(loop))
    loop.wait(lambda: loop.guest.run(f"test -e {file(loop)}")[0], "the file is still there")
    loop.sh("rmmod vmbus_echo")
