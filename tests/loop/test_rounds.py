"""
Rounds by seed, behind storm_load: each does something to the bus, its devices or the host under disk and network at work.

A round is one of rounds.sh's functions; behind it the disk has what was written, a ping is answered, and the host finds
nothing wrong. Each round's choice comes from the seed and its number alone.
"""

import random

from looplib import LOOP, case

# The host's, from one life of the module to the next.
VERSIONS = ("4.0", "4.1", "5.0", "5.2", "5.3")
CANNOT_MOVE = "4.0"
CPUS = 4
TIMEOUT = 180
LAST = 8

# weight (less for what takes long), name, what makes its arguments
ACTIONS = (
    (8, "do_move", lambda pick: [pick.randrange(CPUS) for _ in range(5)]),
    (3, "do_cpu", lambda pick: [pick.randrange(1, CPUS)]),
    (2, "do_rescind_disk", lambda pick: []),
    (4, "do_rescind_nic", lambda pick: [pick.randrange(2)]),
    (3, "do_lun", lambda pick: [pick.randrange(1, 8), pick.randrange(1, 5)]),
    (2, "do_unbind_disk", lambda pick: []),
    (4, "do_unbind_nic", lambda pick: [pick.randrange(2)]),
    (2, "do_reload_disk", lambda pick: []),
    (1, "do_reload_net", lambda pick: []),
    (0.5, "do_reload_all", lambda pick: [pick.choice(VERSIONS), pick.randrange(1, 1 << 30)]),
    (2, "do_flap", lambda pick: [pick.randrange(2)]),
    (0.2, "do_reset", lambda pick: []),
    (5, "do_delay", lambda pick: [pick.choice((1, 10, 100))]),
    (4, "do_silent", lambda pick: [pick.randrange(50, 1500)]),
    (6, "do_lose", lambda pick: [pick.randrange(64), *pick.choice(([], ["flags"]))]),
    (6, "do_stand", lambda pick: [pick.choice(("freeze", "fill")), pick.randrange(64)]),
    (0.5, "do_busy", lambda pick: [pick.choice((50, 90))]),
    (1, "do_mtu", lambda pick: [pick.choice((600, 4000, 9000, 65521))]),
    (3, "do_channels", lambda pick: [pick.randrange(2), pick.randrange(1, CPUS)]),
    (5, "do_sockets", lambda pick: [pick.choice((1, 8, 32))]),
    (0.2, "do_sleep", lambda pick: [pick.choice(("devices", "core"))]),
)


def choose(seed, number, version):
    """What this round does, and how channels move meanwhile: words for the shell."""
    pick = random.Random(f"{seed}:{number}")
    moves = pick.randrange(1, 1 << 30)
    possible = [row for row in ACTIONS if version != CANNOT_MOVE or row[1] not in ("do_move", "do_cpu")]
    _, name, arguments = pick.choices(possible, [row[0] for row in possible])[0]
    # One that looks where channels are has them to itself.
    alone = version == CANNOT_MOVE or name in ("do_move", "do_reload_all")
    return [0 if alone else moves, name, *arguments(pick)]


@case
def storm_rounds(loop):
    """So many of them."""
    seed, version, done = loop.options.seed or random.randrange(1, 1 << 30), "5.3", []
    loop.sh(". /storm.sh; disk_work; net_work")
    for number in range(loop.options.first_round, loop.options.first_round + loop.options.rounds):
        words = choose(seed, number, version)
        done.append(" ".join(map(str, words)))
        status, said = loop.guest.run(f". /storm.sh; . /rounds.sh; round {done[-1]}", TIMEOUT)
        assert not status, (f"round {number} of seed {seed}: {said}\nthe last ones: {'; '.join(done[-LAST:])}\n" +
                            loop.sh("ls -l /tmp; ps | tail -n 40"))
        if words[1] == "do_reload_all":
            version = words[2]
    loop.sh(". /storm.sh; disk_rest; touch /tmp/netstop")
    names = [line.split()[1] for line in done]
    counts = {name: names.count(name) for _, name, _ in ACTIONS}
    loop.notes.append(f"{len(done)} rounds of seed {seed}: {', '.join(f'{name} {count}' for name, count in counts.items() if count)}")


@case
def storm_unload(loop):
    """All of it goes; nothing is left but the bus."""
    loop.sh("umount /mnt; rmmod hv_storvsc && rmmod hv_netvsc && rmmod hv_sock; /t/ip netns del n0; /t/ip netns del n1", TIMEOUT)
    loop.host("controller", "rescind")
    for nic in (0, 1):
        loop.host("nic", f"rescind {nic}")
    loop.wait(lambda: not loop.sh("ls /sys/bus/vmbus/devices"), "devices are left")
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
