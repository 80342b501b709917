"""The bus goes, and comes back with other versions of the protocol: last, since nothing stays loaded."""

import re

from looplib import MODULE, case, violations


@case
def other_versions(loop):
    """Sockets on a host of 4.0, where they are new; below that hv_sock refuses to load, or 7.3's to connect."""
    refuses = loop.options.kernel != "debug-7"
    loop.sh(f"rmmod {MODULE}", 120)
    said = loop.guest.run(f"insmod /m/{MODULE}.ko version=5.4")[1]
    assert "Invalid argument" in said and "there is no such version" in loop.guest.dmesg(), said
    loop.start("version=0x40000")
    loop.load("hv_sock")
    loop.run("vsock echo 1 100000")
    loop.run("vsock refused 5 500")
    loop.no_sockets()
    violations(loop)
    loop.sh(f"rmmod hv_sock; rmmod {MODULE}", 120)
    loop.start("version=3.0")
    assert bool(loop.guest.insmod("hv_sock")[0]) == refuses, f"hv_sock on 3.0: {loop.guest.dmesg()[-300:]}"
    if not refuses:
        loop.run("vsock refused 5 500")


@case
def all_goes(loop):
    """The bus is removed; the host has seen its UNLOAD, and nothing wrong to the end."""
    loop.sh(f"for module in uio_hv_generic hv_sock uio vsock; do rmmod $module || true; done; rmmod {MODULE}", 120)
    ends = re.findall(rf"{MODULE}: (\d+) violations in the end", loop.guest.dmesg())
    assert ends and set(ends) == {"0"}, ends
