"""A host that damages what it sends: the bus stays, whatever becomes of the VSC. Here damage that stock VSCs survive;
run --hostile N has the rest."""

import hostile
from hostile import BUS, KINDS, Disk, Ic, Neighbour, Nic, one_round
from looplib import case

CORRUPT = "the host corrupted the"
# What takes nothing from a VSC that it waits for: storvsc and netvsc would wait for ever, see Documentation/loop-host.rst.
HARMLESS = ("pending", "read_index", "unasked", "again")
SECONDS = 2
TRIES = 12


def attack(loop, device, kinds, percent, others=False):
    """Each round leaves it as it was; what there was of damage is a note."""
    damage, recorded, good = one_round(loop, device, kinds, percent, SECONDS, loop.neighbour, others, sure=True)
    assert good and not recorded, f"{damage}: {recorded}"
    loop.notes.append(f"{device.name}: " + ", ".join(f"{kind} {count}" for kind, count in damage.items()))


def start(loop, device):
    loop.attacked.append(device)
    device.load(loop)
    device.offer(loop)
    device.works(loop)
    return device


@case
def hostile_services(loop):
    """hv_utils gets damaged requests; afterwards its devices go, come back and work. A neighbour lacks no byte."""
    loop.load("hv_sock")
    loop.attacked = []
    loop.neighbour = Neighbour()
    loop.neighbour.start(loop)
    loop.host("deadline", hostile.DEADLINE_MS)
    loop.beat = start(loop, Ic("heartbeat", "57164f39", "true"))
    attack(loop, loop.beat, [kind for kind in KINDS if kind not in BUS], 50, others=True)


@case
def hostile_rings(loop):
    """A ring that the host has corrupted is of no use, says so in one line, and works once its driver has bound again."""
    where = "/sys/bus/vmbus/drivers/hv_utils"

    for kind in BUS:
        mark = loop.guest.log_mark()
        said = lambda: [line for line in loop.guest.log_since(mark).splitlines() if CORRUPT in line]  # noqa: E731,B023
        # Damage may, by chance, leave a packet that is sound for the bus; hv_utils may never answer that.
        for _ in range(TRIES):
            loop.host("hostile", f"heartbeat percent=100 kinds={kind}")
            # Some fifty beats.
            loop.sh("sleep 1")
            loop.host("hostile", "heartbeat percent=0")
            loop.sh(f"echo {loop.beat.seen} >{where}/unbind; echo {loop.beat.seen} >{where}/bind")
            loop.beat.works(loop)
            if said():
                break
        ring = "outbound" if kind == "room" else "inbound"
        assert len(said()) == 1 and loop.beat.seen in said()[0] and ring in said()[0], f"{kind}: {said()}"
    loop.host("hostile", "none")
    loop.neighbour.check(loop)


@case
def hostile_disk(loop):
    """hv_storvsc under I/O: what nobody has asked for, answers twice, indices that move."""
    attack(loop, start(loop, Disk()), HARMLESS, 20)


@case
def hostile_nic(loop):
    """The same of hv_netvsc, under a flood of pings."""
    attack(loop, start(loop, Nic()), HARMLESS, 20)


@case
def hostile_ends(loop):
    """All goes."""
    loop.neighbour.stop(loop)
    loop.guest.run("/t/ip netns del n0; /t/ip netns del n1")
    loop.host("deadline", 60000)
    for device in loop.attacked:
        device.take(loop)
    loop.host("nic", "rescind 1")
    loop.wait(lambda: not loop.sh("ls /sys/bus/vmbus/devices"), "devices are left", 60)
    loop.sh("for name in hv_storvsc hv_netvsc hv_utils hv_sock; do ! test -d /sys/module/$name/holders || rmmod $name; done", 120)
