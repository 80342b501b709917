"""The stock hv_balloon, whose module cannot be removed again: after all that needs the bus to go."""

from looplib import LOOP, case

MB = 32
PAGES = MB * 256


def state(loop):
    return dict(map(str.split, loop.sh(f"cat {LOOP}/balloon").splitlines()))


@case
def balloon_negotiates(loop):
    """The newest version, capabilities, then reports."""
    loop.start("balloon=1")
    # As ever, it would report from the 45th second on.
    loop.sh("insmod /m/hv_balloon.ko pressure_report_delay=0")
    loop.wait(lambda: state(loop)["state"] == "ready", "not ready")
    assert state(loop)["version"] == "2.0", state(loop)
    loop.wait(lambda: int(state(loop)["reports"]) >= 2, "no reports")


@case
def balloon_both_ways(loop):
    """The guest gives 32 MB, which it then lacks; it gets back just these pages."""
    # Without what the kernel frees by and by, of the modules before.
    # What CPUs keep of freed pages for themselves counts, too.
    free = lambda: int(loop.sh("echo 3 >/proc/sys/vm/drop_caches; awk '/MemFree/ { kb += $2 } "  # noqa: E731
                               "/^ *count:/ { kb += 4 * $2 } END { print kb }' /proc/meminfo /proc/zoneinfo"))
    loop.sh("echo 3 >/proc/sys/vm/drop_caches; sleep 2")
    before = free()
    loop.host("inflate", MB)
    loop.wait(lambda: state(loop)["state"] == "ready", "it goes on for ever")
    now = state(loop)
    assert now["pages"] == now["given"] == str(PAGES), now
    loop.notes.append(f"{now['pages']} pages in {now['ranges']} ranges")
    taken = before - free()
    assert taken > MB * 1024 * 0.8, f"{taken} kB less are free"
    loop.host("deflate", "all")
    loop.wait(lambda: state(loop)["state"] == "ready", "it goes on for ever")
    assert state(loop)["pages"] == "0", state(loop)
    loop.wait(lambda: before - free() < MB * 1024 * 0.2, "they are not free again")
    loop.notes.append(f"{before - free()} kB less are free in the end")
