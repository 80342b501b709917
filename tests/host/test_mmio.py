"""Address space for devices: what the driver finds in ACPI, and the VSCs that ask for it."""

import re
import struct

from hostlib.guest import Setup
from hostlib.testing import OURS, Environment, case
from test_load import FOOTPRINT, difference, windows

MEMORY, PORTS = 0, 1


def package(opcode: bytes, body: bytes) -> bytes:
    """A package of AML; its length counts itself."""
    length = len(body) + 2
    return opcode + bytes([0x40 | length & 15, length >> 4]) + body


def dword(kind: int, start: int, end: int) -> bytes:
    """A DWord address space descriptor."""
    return struct.pack("<BHBBBIIIII", 0x87, 23, kind, 0x0C, 1, 0, start, end, 0, max(0, end - start + 1))


def qword(kind: int, start: int, end: int) -> bytes:
    """A QWord address space descriptor."""
    return struct.pack("<BHBBBQQQQQ", 0x8A, 43, kind, 0x0C, 1, 0, start, end, 0, max(0, end - start + 1))


def ssdt(resources: bytes) -> bytes:
    """A table with a VMBus device below a module device that has these resources, as in generation 2 VMs."""
    template = resources + b"\x79\x00"
    crs = b"\x08_CRS" + package(b"\x11", b"\x0b" + struct.pack("<H", len(template)) + template)
    hid = b"\x08_HID\x0d%s\x00"
    vmbus = package(b"\x5b\x82", b"VMB2" + hid % b"VMBus")
    module = package(b"\x5b\x82", b"VMOD" + hid % b"ACPI0004" + crs + vmbus)
    body = package(b"\x10", b"\\_SB_" + module)
    header = struct.pack("<4sIBB6s8sI4sI", b"SSDT", 36 + len(body), 2, 0, b"VMTEST", b"WINDOWS ", 1, b"TEST", 1)
    table = bytearray(header + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)


RESOURCES = b"".join((
    qword(MEMORY, 0x1100000000, 0x11FFFFFFFF),
    dword(MEMORY, 0xF8000000, 0xFFFFFFFF),      # across the TPM
    dword(PORTS, 0xC0000000, 0xC0FFFFFF),       # no memory
    qword(MEMORY, 0x1000000000, 0x10FFFFFFFF),  # touches the first
    dword(MEMORY, 0xA0000, 0xBFFFF),            # below 1 MiB
    dword(MEMORY, 0xD0001000, 0xD0000000),      # ends before it starts
))
WINDOWS = "[mem 0xf8000000-0xfed3ffff],[mem 0x1000000000-0x11ffffffff]"
# The modules that ask for address space, and their drivers.
VSCS = {"hyperv_drm": "hyperv_drm", "pci_hyperv": "hv_pci"}


@case(setup=None, drivers=(OURS,))
def finds_windows_in_acpi(env: Environment) -> None:
    """Windows of a VMBus device's parent: sorted, merged, cut; Debian's hyperv_drm and pci-hyperv load; all go again."""
    (env.machine.dir / "windows.aml").write_bytes(ssdt(RESOURCES))
    guest = env.boot(Setup(modules=tuple(VSCS), qemu=("-acpitable", "file=../windows.aml")))
    before = guest.sh(FOOTPRINT)
    guest.load("hv_vmbus")
    # QEMU's own VMBus device has none.
    found = windows(guest)
    assert len(found) == 2 and found[1] == f"{WINDOWS} fb=(null)", found
    refused = re.findall(r"hv_vmbus: MMIO window (.*) is not used: (-\d+)", guest.dmesg())
    assert refused == [("0xd0001000 to 0xd0000000", "-22")], refused
    assert guest.sh("ls /sys/bus/vmbus/devices"), "no device on the bus"

    memory = guest.sh("cat /proc/iomem")
    for module, driver in VSCS.items():
        guest.load(module)
        assert guest.run(f"test -d /sys/bus/vmbus/drivers/{driver}")[0] == 0, f"{module} has registered no {driver}"
        assert f"registering driver {driver}" in guest.dmesg()
    for module, driver in VSCS.items():
        guest.unload(module)
        assert guest.run(f"test -d /sys/bus/vmbus/drivers/{driver}")[0] != 0, f"{driver} is still there"
    assert guest.sh("cat /proc/iomem") == memory

    for need in reversed([*guest.order["hyperv_drm"], *guest.order["pci_hyperv"]]):
        guest.unload(need)
    after = guest.sh(FOOTPRINT)
    assert after == before, f"left behind:\n{difference(before, after)}"
    # The same a second time, not more.
    guest.load("hv_vmbus")
    assert windows(guest)[2:] == found
    guest.unload("hv_vmbus")
