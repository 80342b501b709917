"""Documentation/debugging.rst: a guest broken in each of the ways that it is about, and what its commands print there."""

import re

from looplib import LOOP, NIC, case
from test_nic import instance
from test_storm import CPUS

B = "/sys/bus/vmbus/devices"
D = "/sys/kernel/debug/vmbus"
UNKNOWN = "11112222-3333-4444-5555-666677778888"
DEADLINE_MS = 6000


def said(loop, command, *words):
    """What a recipe's command prints has these words."""
    output = loop.guest.run(command)[1]
    for word in words:
        assert re.search(word, output), f"{command}: no '{word}' in\n{output}"
    loop.notes.append(f"{command}: " + "; ".join(output.splitlines()[-3:]))
    return output


def column(loop, instance, name):
    """An attribute of the device, of its primary channel, as a number."""
    return int(loop.sh(f"cat {B}/{instance}/{name}"))


def link(loop, state):
    """Its interface up or down, in the background: the driver sends a message and waits for the answer."""
    name = loop.sh(f"ls {B}/{loop.nic}/net")
    loop.sh(f"rm -f /tmp/done; (/t/ip link set {name} {state}; echo $? >/tmp/done) </dev/null >/dev/null 2>&1 &")


def done(loop):
    loop.wait(lambda: loop.guest.run("grep -qx 0 /tmp/done")[0] == 0, "the interface does not change")


@case
def recipe_device_is_missing(loop):
    """A device whose VSC is not loaded, and one that nobody knows."""
    # Nothing of other cases.
    loop.sh("for module in uio_hv_generic hv_sock hv_utils hv_netvsc hv_storvsc; do rmmod $module; done; rmmod hv_vmbus_loop", 120)
    loop.start()
    nic = loop.nic = instance(0)
    loop.host("nic", "offer 0")
    loop.wait(lambda: loop.guest.run(f"test -d {B}/{nic}")[0] == 0, "no device")
    said(loop, f"for d in {B}/*; do echo ${{d##*/}} $(cat $d/class_id) $(readlink $d/driver); done", rf"(?m)^{nic} \{{{NIC}\}}\s*$")
    said(loop, f"cat {B}/{nic}/modalias", "^vmbus:635161f8")
    loop.host("offer", UNKNOWN)
    loop.wait(lambda: "Unknown GUID" in loop.guest.dmesg(), "no line about a class that nobody knows")
    said(loop, "dmesg | grep hv_vmbus | tail -n 2", "Unknown GUID: 1111")


@case
def recipe_probe_failed(loop):
    """The host does not answer the opening of its channel."""
    before = loop.sh(f"cat {LOOP}/deadline")
    loop.host("deadline", DEADLINE_MS)
    loop.host("rule", "open drop times=1")
    loop.sh("echo 1 >/sys/kernel/tracing/tracing_on; echo 1 >/sys/kernel/tracing/events/hyperv/enable")
    loop.load("hv_netvsc")
    loop.wait(lambda: "probe failed" in loop.guest.dmesg(), "no probe has failed", 60)
    said(loop, "dmesg | grep -E 'probe failed|no .* from the host|Failed to establish GPADL'",
         f"no OPENCHANNEL_RESULT from the host in {DEADLINE_MS} ms", rf"probe failed for device {loop.nic} \(-110\)")
    said(loop, "grep -E 'vmbus_(open|establish_gpadl|close)' /sys/kernel/tracing/trace | tail -n 3", "vmbus_open")
    loop.sh("echo 0 >/sys/kernel/tracing/events/hyperv/enable")
    loop.host("rule", "none")
    loop.host("deadline", before)
    loop.sh(f"echo {loop.nic} >/sys/bus/vmbus/drivers/hv_netvsc/bind")
    loop.wait(lambda: loop.guest.run(f"ls {B}/{loop.nic}/net")[0] == 0, "the cause is gone, and the NIC does not come")


@case
def recipe_channel_hangs(loop):
    """The host does not read: its index stays behind ours."""
    relid = int(loop.sh(f"cat {B}/{loop.nic}/id"))
    loop.host("freeze", relid)
    link(loop, "up")
    indices = lambda: [column(loop, loop.nic, f"out_{which}_index") for which in ("write", "read")]  # noqa: E731
    loop.wait(lambda: len({*indices()}) == 2, f"both are the same: {indices()}")
    written, read = indices()
    command = f"cd {B}/{loop.nic}; grep . out_*_index in_*_index channels/{relid}/* 2>/dev/null"
    output = said(loop, command, f"out_write_index:{written}", f"out_read_index:{read}")
    assert output == loop.sh(f"sleep 2; {command}") + "\n"
    loop.host("thaw", relid)
    loop.wait(lambda: column(loop, loop.nic, "out_write_index") == column(loop, loop.nic, "out_read_index"), "the host does not read")
    done(loop)


@case
def recipe_slow(loop):
    """The ring is full, and channels are all on one CPU."""
    relid = int(loop.sh(f"cat {B}/{loop.nic}/id"))
    full = lambda: int(loop.sh(f"cat {B}/{loop.nic}/channels/{relid}/out_full_total"))  # noqa: E731
    before = full()
    loop.host("fill", relid)
    link(loop, "down")
    loop.wait(lambda: full() > before, "the ring was never full")
    loop.host("thaw", relid)
    done(loop)
    said(loop, f"cat {B}/{loop.nic}/channels/*/out_full_total", r"[1-9]")
    loop.sh(f"for channel in {B}/{loop.nic}/channels/*; do echo 1 >$channel/cpu; done")
    said(loop, f"grep . {B}/{loop.nic}/channels/*/cpu", r"(?s)cpu:1.*cpu:1")


@case
def recipe_what_the_driver_knows(loop):
    """Files of debugfs, of a stock VSC that is at work."""
    loop.sh(f"echo 1 >{D}/latency")
    # The first may have nothing to tell the host: where the closing before found the ring full, the filter is as it was.
    for state in ("up", "down", "up"):
        link(loop, state)
        done(loop)
    relid = int(loop.sh(f"cat {B}/{loop.nic}/id"))
    loop.sh(f"echo 0 >{D}/latency")
    said(loop, f"cat {D}/channels", rf"(?m)^relid {relid} instance {loop.nic} sub 0 driver hv_netvsc state open cpu \d+ "
         r"answer \w+ status 0x0 parked_kib 0\n  high out \d+ in [1-9]\d*\n  latency .*[<m]\S+:[1-9].*\n  duration .*[<m]\S+:[1-9]")
    said(loop, f"cat {D}/connection", r"(?m)^version 5\.3\n", r"(?m)^state connected\n", r"(?m)^sent OPENCHANNEL [1-9]",
         r"(?m)^waiting_requests 0\n")
    said(loop, f"cat {D}/events", rf"(?m)^\d{{4}}-\d\d-\d\dT[\d:.]+Z \[[\d. ]+\] -> OPENCHANNEL relid {relid} id 0x")


@case
def recipe_will_not_hibernate(loop):
    """A device whose driver cannot."""
    loop.sh("rmmod hv_netvsc")
    loop.load("uio_hv_generic")
    loop.sh(f"echo {NIC} >/sys/bus/vmbus/drivers/uio_hv_generic/new_id")
    # It sends back what it gets, which is enough for this driver.
    _, other = loop.offer_nic()
    loop.bind_uio(other)
    # As deep as where drivers of the bus are asked.
    loop.sh("echo platform >/sys/power/pm_test; echo shutdown >/sys/power/disk")
    assert loop.guest.run("echo disk >/sys/power/state")[0], "it hibernates"
    said(loop, "dmesg | grep 'cannot hibernate'", f"{other}: its driver uio_hv_generic cannot hibernate")
    said(loop, "cat /sys/bus/vmbus/hibernation", r"^[01]")
    loop.sh("echo none >/sys/power/pm_test; rmmod uio_hv_generic")


@case
def recipe_cpu_stays(loop):
    """CPU 0 has the host's messages; on a host before 4.1 no channel can leave its CPU."""
    assert loop.guest.run("echo 0 >/sys/devices/system/cpu/cpu0/online")[0], "CPU 0 goes"
    loop.sh("rmmod hv_vmbus_loop", 120)
    loop.start("version=4.0 nics=1")
    loop.load("hv_netvsc")
    loop.wait(lambda: loop.guest.run(f"ls {B}/*/net")[0] == 0, "no NIC")
    # Sub-channels come once it is there.
    loop.wait(lambda: len(loop.sh(f"cat {B}/*/channels/*/cpu").split()) == CPUS, "sub-channels are missing")
    cpus = {int(cpu) for cpu in loop.sh(f"cat {B}/*/channels/*/cpu").split()} - {0}
    assert cpus, "all channels are on CPU 0"
    cpu = min(cpus)
    assert loop.guest.run(f"echo 0 >/sys/devices/system/cpu/cpu{cpu}/online")[0], f"CPU {cpu} goes"
    said(loop, f'dmesg | grep "CPU {cpu}"', f"keeps CPU {cpu} online: ")
    said(loop, f'grep -l "^{cpu}$" {B}/*/channels/*/cpu', "cpu")
    loop.sh("rmmod hv_netvsc; rmmod hv_vmbus_loop", 120)
    loop.start()
