"""What is on the bus, and the distribution's unmodified VSCs working on it."""

import re
import time

from hostlib.guest import NO_REPORTS, REPORT_DELAY, Guest, Setup
from hostlib.testing import EACH_SERIES, OURS, Environment, case, note
from test_load import FOOTPRINT, difference

BALLOON_CLASS = "525074dc-8985-46e2-8057-a307dc18a502"
DRIVER = "/sys/bus/vmbus/drivers/hv_balloon"
# QEMU's hv-balloon takes no request in the first 50 s of its channel.
HOST_WAIT = 50
# So long before the end of that wait is no time to let the guest report (see REPORT_DELAY).
REPORTS_TAKE = 25
# Modules that need hv_vmbus: as many in 6.1 as in 6.12; the checking kernel of 7.3 has no display.
VSCS = {"debug-7": 9}
VSCS_OF_DISTRIBUTION = 10


def device(guest: Guest) -> str:
    """The balloon device's directory."""
    names = guest.sh("ls /sys/bus/vmbus/devices").split()
    assert len(names) == 1, f"devices on the bus: {names}"
    return f"/sys/bus/vmbus/devices/{names[0]}"


def with_balloon(guest: Guest) -> str:
    """hv_balloon loaded and its channel open; returns the device's directory."""
    guest.load("hv_balloon")
    path = device(guest)
    guest.wait_for(lambda: guest.sh(f"cat {path}/state") == "3", 20, "the channel never opened")
    return path


def host_listens(guest: Guest) -> None:
    """Wait until the host's wait after the opening of its channel is over, and what the guest reported is read."""
    states = lambda: re.findall(r"hv_balloon_state_change -> (\w+)", guest.trace())  # noqa: E731
    guest.wait_for(lambda: states()[-1:] == ["S_IDLE"], HOST_WAIT + 10, "the host waits for ever")
    time.sleep(1)


def pressure_is_reported(guest: Guest, path: str, times: int = 1) -> None:
    """The channel goes on: the balloon driver reports pressure once a second, and the host is signalled for each."""
    assert guest.opened_at is not None
    if time.monotonic() - guest.opened_at > HOST_WAIT - REPORTS_TAKE:
        host_listens(guest)
    events = lambda: int(guest.sh(f"cat {path}/channels/1/events"))  # noqa: E731
    before = events()
    guest.sh(f"echo 0 >{REPORT_DELAY}")
    guest.wait_for(lambda: events() >= before + times, 20, f"fewer than {times} events counted in 20 s")
    guest.sh(f"echo {NO_REPORTS} >{REPORT_DELAY}")


def memory_free(guest: Guest) -> int:
    """Free memory in MB."""
    return int(guest.sh("awk '/^MemFree:/ { print int($2 / 1024) }' /proc/meminfo"))


@case(kernels=EACH_SERIES)
def offer_becomes_device(guest: Guest) -> None:
    """The host's one offer is a device with its GUIDs, state, ids and channel directory."""
    guest.load("hv_vmbus")
    path = device(guest)
    guest.wait_trace(r"vmbus_send_offer channel #1\b")
    read = lambda name: guest.sh(f"cat {path}/{name}")  # noqa: E731
    assert read("class_id") == f"{{{BALLOON_CLASS}}}"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", path.rsplit("/", 1)[1])
    assert re.fullmatch(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}", read("device_id"))
    assert read("id") == "1"
    assert read("modalias") == "vmbus:dc7450528589e2468057a307dc18a502"
    assert read("vendor") == "0x1414"
    assert guest.sh(f"ls {path}/channels") == "1"
    assert "MODALIAS=vmbus:dc7450528589e2468057a307dc18a502" in read("uevent")


@case()
def sample_driver_opens(guest: Guest) -> None:
    """samples/vmbus_echo.ko is given the balloon's device: it opens the channel, nobody answers what is written, it closes."""
    guest.load("hv_vmbus")
    path = device(guest)
    name = path.rsplit("/", 1)[1]
    balloon = guest.run(f"echo {name} >{DRIVER}/unbind")[0] == 0
    mark = guest.mark()
    guest.load("vmbus_echo")
    # It is no device of the sample's, so it has to be told.
    guest.sh(f"echo {BALLOON_CLASS} >/sys/bus/vmbus/drivers/vmbus_echo/new_id")
    guest.wait_trace(r"vmbus_channel_open channel #1 status 0\b", mark)
    guest.wait_for(lambda: guest.run(f"test -c /dev/vmbus_echo-{name}")[0] == 0, 20, "there is no file")
    status, said = guest.run(f"echo hello >/dev/vmbus_echo-{name}")
    assert status and "timed out" in said, said
    mark = guest.mark()
    guest.unload("vmbus_echo")
    guest.wait_trace(r"vmbus_close_channel channel #1\b", mark)
    assert guest.run(f"ls /dev/vmbus_echo-{name}")[0], "the file is still there"
    if balloon:
        guest.sh(f"echo {name} >{DRIVER}/bind")
        guest.opened_at = time.monotonic()


@case(kernels=EACH_SERIES)
def balloon_driver_binds(guest: Guest) -> None:
    """Debian's hv_balloon.ko binds and opens its channel: GPADL created, open answered with status 0."""
    guest.load("hv_vmbus")
    mark = 0 if guest.loaded("hv_balloon") else guest.mark()
    path = with_balloon(guest)
    gpadl = guest.wait_trace(r"vmbus_gpadl_created gpadl #(-?\d+)", mark).group(1)
    guest.wait_trace(rf"vmbus_open_channel channel #1 gpadl #{gpadl} ", mark)
    guest.wait_trace(r"vmbus_channel_open channel #1 status 0\b", mark)
    guest.wait_trace(r"hv_balloon_state_change -> S_POST_INIT_WAIT", mark)
    assert guest.sh(f"readlink {path}/driver").endswith("/hv_balloon")
    assert guest.dmesg("Using Dynamic Memory protocol version 2\\.0")


@case()
def utils_load(guest: Guest) -> None:
    """Debian's hv_utils.ko and what it needs load on the bus."""
    guest.load("hv_utils")
    assert guest.sh("ls /sys/bus/vmbus/drivers | grep -c hv_utils") == "1"


# This one and the next here, because the host's wait goes on meanwhile, which reports have to avoid.
@case(setup=None, beside=True)
def refuses_other_machines(env: Environment) -> None:
    """On a machine that is not Hyper-V: ENODEV, one line at most in the log, nothing left behind."""
    guest = env.boot_plain(Setup(vmbus=False))
    before = guest.sh(FOOTPRINT)
    mark = guest.log_mark()
    status, output = guest.insmod("hv_vmbus")
    # busybox insmod tries a second system call after a failure: the same line twice is one.
    said = {re.sub(r"^\[[ .0-9]+\] ", "", line) for line in guest.log_since(mark).splitlines()
            if "hv_vmbus" in line and "taint" not in line}
    assert status != 0, "insmod succeeded"
    assert "No such device" in output, f"insmod said: {output}"
    assert len(said) == 1, f"the log says: {said}"
    assert guest.sh(FOOTPRINT) == before, f"left behind:\n{difference(before, guest.sh(FOOTPRINT))}"


def load_vsc(guest: Guest, name: str) -> list[str]:
    """Load a module with what it needs; return what went wrong."""
    for need in guest.order[name]:
        if guest.loaded(need):
            continue
        status, output = guest.insmod(need)
        if status:
            lacks = sorted(set(re.findall(r"Unknown symbol (\w+)", guest.dmesg(f"{need}: Unknown symbol"))))
            return [f"{need}: {output.strip()}", *(f"{need} lacks {symbol}" for symbol in lacks)]
    return []


@case(kernels=EACH_SERIES)
def every_vsc_loads(guest: Guest) -> None:
    """All modules that need hv_vmbus load with what they need and register a driver: sysfs and the log have it."""
    names = guest.kernel.users("hv_vmbus")
    assert len(names) == VSCS.get(guest.kernel.name, VSCS_OF_DISTRIBUTION), f"modules that need hv_vmbus: {names}"
    wrong = [line for name in names for line in load_vsc(guest, name)]
    drivers = dict(re.findall(r"(\w+)/drivers/vmbus:(\w+)", guest.sh("cd /sys/module; ls -d */drivers/vmbus:*")))
    on_bus = guest.sh("ls /sys/bus/vmbus/drivers").split()
    logged = re.findall(r"registering driver (\S+)$", guest.dmesg("hv_vmbus: registering driver"), re.M)
    good = [name for name in names if drivers.get(name) in on_bus and drivers.get(name) in logged]
    note(f"{guest.kernel.name}: VSC modules loaded and registered: {len(good)} of {len(names)}: {' '.join(good)}")
    assert good == names and not wrong, "\n".join([*wrong, f"drivers: {drivers}", f"on the bus: {on_bus}", f"logged: {logged}"])


@case(kernels=EACH_SERIES)
def interrupts_are_counted(guest: Guest) -> None:
    """The channel's interrupt and event counts follow what the host and guest signalled."""
    path = with_balloon(guest)
    count = lambda name: int(guest.sh(f"cat {path}/channels/1/{name}"))  # noqa: E731
    guest.wait_for(lambda: count("interrupts") >= 2, 20, "fewer than 2 interrupts counted")
    told = len(re.findall(r"vmbus_channel_notify_guest channel #1", guest.trace()))
    assert count("interrupts") >= min(2, told)
    pressure_is_reported(guest, path)
    hyp = guest.sh("awk '$1 == \"HYP:\" { print $2 }' /proc/interrupts")
    assert int(hyp) > 0


CPU1 = "/sys/devices/system/cpu/cpu1/online"
GO_AND_COME = 3


@case(kernels=EACH_SERIES)
def cpu_goes_and_comes_back(guest: Guest) -> None:
    """CPU 1, which no channel interrupts, goes offline and online; the channel on CPU 0 goes on all the time."""
    path = with_balloon(guest)
    assert guest.sh(f"cat {path}/channels/1/cpu") == "0"
    mark = guest.mark()
    for _ in range(GO_AND_COME):
        for online, cpus in (("0", "0"), ("1", "0-1")):
            guest.sh(f"echo {online} >{CPU1}")
            assert guest.sh("cat /sys/devices/system/cpu/online") == cpus
            pressure_is_reported(guest, path)
    assert guest.sh(f"cat {path}/state") == "3"
    trace = guest.trace(mark)
    assert not re.search(r"vmbus_process_incoming_message type (7|22)\b", trace), "the channel was closed or moved"


def thread_of(guest: Guest, cpu: int) -> tuple[int, dict[str, str]]:
    """The pid of vmbus_irq/CPU; its state, CPU, priority and policy (proc(5))."""
    found = guest.sh(f"grep -lx 'vmbus_irq/{cpu}' /proc/[0-9]*/comm")
    pid = int(found.split("/")[2])
    row = guest.sh(f"cat /proc/{pid}/stat").rsplit(")", 1)[1].split()
    return pid, {"state": row[0], "cpu": row[36], "priority": row[37], "policy": row[38]}


FIFO = "1"


@case(kernels=("6.1-rt", "6.12-rt"), drivers=(OURS,))
def threads_take_interrupts(guest: Guest) -> None:
    """PREEMPT_RT: vmbus_irq/N on each CPU, SCHED_FIFO, parked with its CPU; it does the work."""
    path = with_balloon(guest)
    for cpu in (0, 1):
        assert thread_of(guest, cpu)[1] | {"state": "S"} == \
            {"state": "S", "cpu": str(cpu), "priority": "50", "policy": FIFO}, thread_of(guest, cpu)
    pid = thread_of(guest, 0)[0]
    host_listens(guest)
    ran = lambda: int(guest.sh(f"awk '/^nr_switches/ {{ print $3 }}' /proc/{pid}/sched 2>/dev/null || "  # noqa: E731
                               f"awk '/ctxt_switches/ {{ sum += $2 }} END {{ print sum }}' /proc/{pid}/status"))
    before, interrupts = ran(), int(guest.sh(f"cat {path}/channels/1/interrupts"))
    guest.balloon(384)
    guest.wait_for(lambda: int(guest.sh(f"cat {path}/channels/1/interrupts")) > interrupts, 60, "no interrupt")
    assert ran() > before, "interrupts were counted, and the thread did not run"
    guest.balloon(512)
    guest.sh(f"echo 0 >{CPU1}")
    assert thread_of(guest, 1)[1]["state"] == "P", thread_of(guest, 1)
    guest.sh(f"echo 1 >{CPU1}")
    guest.wait_for(lambda: thread_of(guest, 1)[1]["state"] == "S", 20, "the thread stays parked")
    pressure_is_reported(guest, path)


@case(kernels=EACH_SERIES)
def balloon_moves_memory(guest: Guest) -> None:
    """`balloon 384` takes 128 MB from the guest, `balloon 512` gives them back; host and guest agree."""
    with_balloon(guest)
    host_listens(guest)
    before = memory_free(guest)
    guest.balloon(384)
    guest.wait_for(lambda: "actual=384" in guest.monitor("info balloon"), 60, "the host never had its memory")
    guest.wait_for(lambda: 120 <= before - memory_free(guest) <= 140, 20,
                   f"free memory went from {before} to {memory_free(guest)} MB, not by 128")
    guest.balloon(512)
    guest.wait_for(lambda: "actual=512" in guest.monitor("info balloon"), 60, "the host never gave its memory back")
    guest.wait_for(lambda: abs(before - memory_free(guest)) <= 8, 20,
                   f"free memory was {before} and is {memory_free(guest)} MB again")
    guest.wait_trace(r"hv_balloon_state_change -> S_BALLOON")
    guest.wait_trace(r"hv_balloon_state_change -> S_UNBALLOON")


REBINDS = 20


@case()
def rebinds(guest: Guest) -> None:
    """unbind/bind 20 times: the host sees each close, each GPADL torn down and each open."""
    path = with_balloon(guest)
    name = path.rsplit("/", 1)[1]
    mark = guest.mark()
    guest.sh(f"i=0; while [ $i -lt {REBINDS} ]; do echo {name} >{DRIVER}/unbind || exit 1; "
             f"echo {name} >{DRIVER}/bind || exit 2; i=$((i+1)); done", 240)
    guest.opened_at = time.monotonic()
    guest.wait_for(lambda: guest.sh(f"cat {path}/state") == "3", 20, "the channel is not open in the end")
    trace = guest.trace(mark)
    # The host tries again when the guest's slot is busy, and traces that too: count what it received.
    for number, what in ((7, "close"), (11, "GPADL teardown"), (8, "GPADL"), (5, "open")):
        seen = len(re.findall(rf"vmbus_process_incoming_message type {number}\b", trace))
        assert seen == REBINDS, f"the host saw {seen} of {REBINDS}: {what}"
    for what in ("gpadl_created gpadl", "gpadl_torndown gpadl"):
        seen = len(set(re.findall(rf"vmbus_{what} #(-?\d+)", trace)))
        assert seen == REBINDS, f"the host did {seen} of {REBINDS}: {what}"
    assert not re.search(r"vmbus_channel_open channel #1 status [^0]", trace)
    complaint = guest.dmesg("Close failed|Failed to establish")
    assert not complaint, complaint


# A boot of its own: here, since the next cases need another one anyway.
@case(setup=Setup(vmbus=False), drivers=(OURS,))
def refuses_hosts_without_vmbus(guest: Guest) -> None:
    """Hyper-V without a VMBus in ACPI: ENODEV, the reason in the log, nothing left behind."""
    before = guest.sh(FOOTPRINT)
    status, output = guest.insmod("hv_vmbus")
    assert status != 0, "insmod succeeded"
    assert "No such device" in output, f"insmod said: {output}"
    assert guest.dmesg("hv_vmbus: no VMBus device in ACPI")
    assert guest.sh(FOOTPRINT) == before, f"left behind:\n{difference(before, guest.sh(FOOTPRINT))}"
