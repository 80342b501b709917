"""Documentation/debugging.rst, its last section: each command as it stands there, while devices of the sample driver are at work."""

import functools
import pathlib
import re
import textwrap

from looplib import LOOP, Skip, case
from test_sample import ECHO, PATIENCE

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOT = "/b"             # where the tracers' disk is mounted
TRACERS = ("bpftrace", "perf")
ASKS = 20
START = 120             # seconds: LLVM in an emulated processor


def traced(function):
    """A case for kernels on which all tracers run."""
    @case
    @functools.wraps(function)
    def run(loop):
        if loop.checking:
            raise Skip("the checking kernel is built without BPF")
        function(loop)
    return run


def command(*words):
    """The one command of the page that has these words."""
    text = (TOP / "Documentation/debugging.rst").read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?m)(?:^    .*\n)+", text)]
    found = [block for block in blocks if all(word in block for word in words)]
    assert len(found) == 1, f"{len(found)} commands have {words}"
    return found[0].strip()


def begin(loop, *words):
    """Run it in the background, until it says that it is ready."""
    loop.sh(f"cat >/tmp/traced.sh <<'EOF'\nexec {command('bpftrace -e', *words)}\nEOF\n"
            "sh /tmp/traced.sh </dev/null >/tmp/traced 2>&1 & echo $! >/tmp/traced.pid")
    loop.wait(lambda: loop.guest.run("grep ^Attaching /tmp/traced || ! kill -0 $(cat /tmp/traced.pid)")[0] == 0,
              "bpftrace does not start", START)
    assert loop.guest.run("kill -0 $(cat /tmp/traced.pid)")[0] == 0, loop.sh("cat /tmp/traced")
    # The line is there before the last probe is.
    loop.sh("sleep 2")


def end(loop):
    """As Ctrl-C does; what it has printed."""
    loop.sh("sleep 1; kill -INT $(cat /tmp/traced.pid)")
    loop.wait(lambda: loop.guest.run("kill -0 $(cat /tmp/traced.pid)")[0], "bpftrace does not end")
    said = loop.sh("cat /tmp/traced")
    loop.notes += said.splitlines()[:12]
    assert "ERROR" not in said and "Lost" not in said, said
    return said


def work(loop, count=ASKS):
    """The sample sends and is answered; signals and interrupts of it meanwhile."""
    before = loop.signals(loop.echo)
    loop.sh(f"exec 3<>/dev/vmbus_echo-{loop.echo}; for i in $(seq {count}); do echo hello $i >&3 || exit 1; done", count * PATIENCE)
    return {name: value - before[name] for name, value in loop.signals(loop.echo).items()}


def run_to_end(loop, text, meanwhile):
    """Run what ends by itself, and something as often as it takes."""
    loop.sh(f"({text}) </dev/null >/tmp/traced 2>&1 & echo $! >/tmp/traced.pid")
    while loop.guest.run("kill -0 $(cat /tmp/traced.pid)")[0] == 0:
        meanwhile()
    said = loop.sh("cat /tmp/traced")
    loop.notes += said.splitlines()[:5]
    return said


@traced
def recipe_trace_latency(loop):
    """From the interrupt to the callback: as many as there were interrupts, or there were more before a callback."""
    loop.sh("for module in uio_hv_generic hv_sock hv_utils hv_netvsc hv_storvsc vmbus_echo; do rmmod $module; done; "
            "! test -d /sys/module/hv_vmbus_loop || rmmod hv_vmbus_loop", 120)
    loop.start()
    loop.sh("insmod /m/vmbus_echo.ko")
    loop.host("offer", ECHO)
    loop.wait(lambda: loop.guest.run("ls /dev/vmbus_echo-*")[0] == 0, "the sample driver does not take the device")
    loop.echo = loop.sh("ls /dev/").split("vmbus_echo-")[1].split()[0]
    for name in ("crc32c_generic", "ext4"):
        loop.load(name)
    loop.sh(f"set -e; mkdir -p {ROOT}; mount -t ext4 -o ro /dev/vdb {ROOT}; mount -t tmpfs tmp {ROOT}/tmp; "
            f"for name in dev proc sys; do mount -o rbind /$name {ROOT}/$name; done; for name in {' '.join(TRACERS)}; do "
            f"printf '#!/bin/sh\nexec chroot {ROOT} /usr/bin/%s \"$@\"\n' $name >/bin/$name; chmod +x /bin/$name; done")
    begin(loop, "vmbus_chan_sched")
    interrupts = work(loop)["interrupts"]
    said = end(loop)
    relid = loop.sh(f"cat /sys/bus/vmbus/devices/{loop.echo}/id")
    counted = sum(int(count) for count in re.findall(r"(?m)^[\[(]\S.*[\])] +(\d+) \|", said.partition(f"@us[{relid}]:")[2]))
    assert interrupts / 2 <= counted <= interrupts, f"{interrupts} interrupts\n{said}"


@traced
def recipe_trace_signals(loop):
    """Who signals: the shell that writes, by way of the sample, as often as sysfs says."""
    begin(loop, "vmbus_setevent")
    events = work(loop)["events"]
    said = end(loop)
    relid = loop.sh(f"cat /sys/bus/vmbus/devices/{loop.echo}/id")
    assert f"@who[sh, {relid}]: {events}" in said and events, f"{events} signals\n{said}"
    assert re.search(r"(?s)@way\[.*vmbus_sendpacket.*echo_file_write", said), said


@traced
def recipe_trace_offers(loop):
    """A rescind and an offer, each as it comes."""
    begin(loop, "vmbus_onoffer_rescind")
    relid = loop.sh(f"cat /sys/bus/vmbus/devices/{loop.echo}/id")
    loop.host("rescind", loop.echo)
    loop.wait(lambda: loop.channels()[int(relid)][3] == "released", "the relid was not given back")
    loop.host("offer", loop.echo)
    loop.wait(lambda: loop.guest.run(f"test -c /dev/vmbus_echo-{loop.echo}")[0] == 0, "the device does not come back")
    said = end(loop)
    again = loop.sh(f"cat /sys/bus/vmbus/devices/{loop.echo}/id")
    assert re.search(rf"(?s)\d\d:\d\d:\d\d\s+relid {relid} rescinded.*relid {again} offered, sub-channel 0, "
                     rf"class {ECHO.split('-', maxsplit=1)[0]}", said), said


@traced
def recipe_trace_opens(loop):
    """What opening costs, and one that is refused."""
    driver = "/sys/bus/vmbus/drivers/vmbus_echo"
    begin(loop, "vmbus_onopen_result")
    relid = loop.sh(f"echo {loop.echo} >{driver}/unbind; echo {loop.echo} >{driver}/bind; cat {driver}/{loop.echo}/id")
    loop.host("rule", "open refuse=3 times=1")
    status, _ = loop.guest.run(f"echo {loop.echo} >{driver}/unbind; echo {loop.echo} >{driver}/bind")
    loop.host("rule", "none")
    assert status, "a device that the host does not open is bound"
    said = end(loop)
    assert re.search(rf"relid {relid} opened, status 0, [1-9]\d* us\n.*relid {relid} opened, status 3, ", said), said
    loop.sh(f"echo {loop.echo} >{driver}/bind")


@traced
def recipe_trace_perf(loop):
    """perf trace and perf script have the sample's packets."""
    relid = int(loop.sh(f"cat /sys/bus/vmbus/devices/{loop.echo}/id"))
    said = run_to_end(loop, command("perf trace"), lambda: work(loop, 3))
    for event in ("vmbus_setevent", "vmbus_chan_sched", "vmbus_on_event"):
        assert re.search(rf"\S/\d+ +hyperv:{event}\(relid: {relid}\)", said), said
    said = run_to_end(loop, command("perf record"), lambda: loop.sh(f"echo {ECHO} >{LOOP}/offer; sleep 2"))
    assert re.search(rf"vmbus_onoffer: child_relid 0x\w+, .* if_type {ECHO}, if_instance [-0-9a-f]+, chn_flags", said), said
    loop.host("rescind", loop.echo)
    loop.sh(f"rmmod vmbus_echo; umount -l {ROOT}; rm /bin/{' /bin/'.join(TRACERS)}")
