"""The stock hv_storvsc: disks of the simulated host, with a file system and with swap on them."""

import re

from looplib import LOOP, MODULE, SCSI, case

DRIVER = "/sys/bus/vmbus/drivers/hv_storvsc"
MEGABYTES = 96
PATIENCE = 60       # seconds, for what must not hang


def counters(loop, file="scsi"):
    return loop.counters(file)


def disk_of(loop, lun=0):
    """Its name; "" while there is none."""
    return loop.guest.run(f"ls /sys/bus/scsi/devices/*:0:0:{lun}/block 2>/dev/null | head -n 1")[1].strip()


def wait_disk(loop, lun=0):
    loop.wait(lambda: disk_of(loop, lun), f"no disk for LUN {lun}", PATIENCE)
    name = f"/dev/{disk_of(loop, lun)}"
    # The kernel reads partitions before it lets anybody have it.
    loop.wait(lambda: loop.guest.run(f"test -b {name} && dd if={name} of=/dev/null bs=4096 count=1")[0] == 0,
              f"{name} cannot be read")
    return name


def wait_gone(loop, lun=0):
    loop.wait(lambda: not disk_of(loop, lun), f"the disk of LUN {lun} is still there", PATIENCE)


def costs(loop):
    """Signals, interrupts, requests and bytes of the controller so far."""
    device = next(row[1] for row in loop.channels().values() if row[0] == SCSI and row[3] == "open")
    media = counters(loop, "media")
    return loop.signals(device) | {"requests": counters(loop)["requests"], "bytes": media["read"] + media["written"]}


def by_channel(loop):
    """Packets from the guest by each of the open channels of the controller."""
    return {relid: int(row[4]) for relid, row in loop.channels().items() if row[0] == SCSI and row[3] == "open"}


def mount(loop, disk):
    loop.sh(f"mkdir -p /mnt && mount -t ext4 {disk} /mnt", PATIENCE)


def fio(options, repeat=1):
    """A load that verifies what it wrote; with repeat=0 another each time."""
    return (f"env LD_PRELOAD=/lib/preload.so fio --name=load --directory=/mnt --ioengine=libaio --direct=1 --verify=crc32c "
            f"--verify_fatal=1 --group_reporting --randrepeat={repeat} --fallocate=none --minimal {options}")


def requested(count):
    """Shell commands that wait until the host has had so many requests."""
    return ("requests() { awk '/^requests/ { print $2 }' " + LOOP + "/scsi; }; i=0; "
            f"while [ $(requests) -lt {count} ] && [ $i -lt 300 ]; do i=$((i+1)); sleep 0.1; done")


@case
def scsi_load(loop):
    """hv_storvsc finds the controller and asks for sub-channels; the disk has its size and its names."""
    # ext4 asks for crc32c by its name, which is in no list of dependencies.
    for module in ("sd_mod", "crc32c_generic", "ext4", "hv_storvsc"):
        loop.load(module)
    loop.host("lun", f"add 0 {MEGABYTES}")
    loop.host("controller", "offer")
    loop.disk = wait_disk(loop)
    name = loop.disk.removeprefix("/dev/")
    assert loop.sh(f"cat /sys/block/{name}/size") == str(MEGABYTES * 2048)
    said = loop.sh(f"cd /sys/block/{name}/device; cat vendor model; cat /sys/block/{name}/queue/discard_max_bytes")
    assert said.split() == ["Msft", "Virtual", "Disk", said.split()[-1]] and said.split()[-1] != "0", said
    loop.wait(lambda: counters(loop)["subs"] == 3, f"sub-channels: {counters(loop)}")
    assert counters(loop)["version"] == 0x602 and len(by_channel(loop)) == 4, counters(loop)


@case
def scsi_commands(loop):
    """Each command is answered as it must, or refused with the sense that says why."""
    def refused():
        rows = map(str.split, loop.sh(f"cat {LOOP}/commands").splitlines())
        return {code: int(count) for code, _, count in rows}

    before = refused()
    said = loop.sh(f"sg commands {loop.disk} {MEGABYTES}", 120)
    loop.notes.append(f"sg: {said.count(': answered')} commands answered, {said.count(': refused')} refused, "
                      f"{said.count(': hidden')} refused by the host and hidden by the VSC")
    now = refused()
    assert [now[code] - before.get(code, 0) for code in ("12", "1a", "16", "42")] == [2, 2, 1, 2], f"{before} {now}"
    said = loop.sh(f"sg stop {loop.disk}", 120)
    assert said.count(": refused") == 2, said


@case
def scsi_shapes(loop):
    """Direct I/O from and to memory of any shape: vectors that begin and end anywhere in their pages."""
    loop.run(f"sg shapes {loop.disk}")


@case
def scsi_unmap(loop):
    """What is discarded reads as zeros; the host was told by UNMAP."""
    loop.sh(f"dd if=/dev/urandom of={loop.disk} bs=1M count=8 seek=32 conv=fsync")
    before = counters(loop, "media")["unmapped"]
    loop.sh(f"blkdiscard -o {33 << 20} -l {2 << 20} {loop.disk}; echo 3 >/proc/sys/vm/drop_caches")
    assert counters(loop, "media")["unmapped"] - before == 2 << 20, counters(loop, "media")
    part = f"dd if={loop.disk} bs=1M count=2 skip=33"
    assert loop.sh(f"{part} 2>/dev/null | tr -d '\\000' | wc -c") == "0"
    assert loop.sh(f"dd if={loop.disk} bs=1M count=1 skip=35 2>/dev/null | tr -d '\\000' | wc -c") != "0"


@case
def scsi_files(loop):
    """ext4, and fio with several jobs and depths: each byte is verified, all channels have had their part."""
    loop.sh(f"/bin/mke2fs -q -t ext4 -F {loop.disk}", 120)
    mount(loop, loop.disk)
    before, scsi = by_channel(loop), counters(loop)
    for jobs, depth, size, block in ((4, 8, "2M", "4k"), (2, 32, "4M", "4k-64k"), (1, 1, "4M", "512k")):
        at_first = costs(loop)
        loop.sh(fio(f"--numjobs={jobs} --iodepth={depth} --size={size} --{'bsrange' if '-' in block else 'bs'}={block} "
                    f"--rw=randwrite --loops={loop.options.fio_loops}"), 250 * loop.options.fio_loops)
        cost = {name: value - at_first[name] for name, value in costs(loop).items()}
        megabytes, requests = cost["bytes"] / 1e6, cost["requests"]
        loop.notes.append(
            f"fio, {jobs} jobs, depth {depth}, {block}: {megabytes:.0f} MB, {requests} requests; for each MB "
            f"{cost['events'] / megabytes:.1f} signals, {cost['interrupts'] / megabytes:.1f} interrupts; for each request "
            f"{cost['events'] / requests:.2f}, {cost['interrupts'] / requests:.2f}")
        loop.sh("rm /mnt/load*")
    after, now = by_channel(loop), counters(loop)
    assert len([relid for relid in after if after[relid] > before[relid] + 20]) > 1, f"{before} {after}"
    assert now["overtaken"] > scsi["overtaken"], now
    loop.notes.append(f"packets by channel: {sorted(after.values())}; {now['requests']} requests, "
                      f"{now['overtaken']} overtaken, {now['most']} waiting at most")


@case
def scsi_mounts_again(loop):
    """A file is the same behind umount and mount, with the page cache empty."""
    loop.sh("dd if=/dev/urandom of=/mnt/file bs=64k count=160; sync")
    loop.file = loop.sh("md5sum </mnt/file")
    loop.sh("umount /mnt; echo 3 >/proc/sys/vm/drop_caches")
    mount(loop, loop.disk)
    assert loop.sh("md5sum </mnt/file") == loop.file
    loop.sh("umount /mnt")


@case
def scsi_root(loop):
    """The disk has the root file system: what runs there, and what it loads, is read from it, with I/O beside."""
    mount(loop, loop.disk)
    loop.sh("cd / && for dir in bin lib lib64; do [ ! -e $dir ] || cp -a $dir /mnt/; done; "
            "cd /mnt && mkdir dev proc tmp mnt; cd /; umount /mnt; echo 3 >/proc/sys/vm/drop_caches", 120)
    mount(loop, loop.disk)
    loop.sh("mount -t devtmpfs dev /mnt/dev; mount -t proc proc /mnt/proc")
    before = counters(loop, "media")["read"]
    said = loop.sh(f"chroot /mnt {fio('--numjobs=2 --iodepth=8 --size=1M --bs=4k --rw=randwrite')}; echo status $?; "
                   "chroot /mnt /bin/sh -c 'ls -i / | head -n 1; df / | tail -n 1'", 250)
    assert "status 0" in said and loop.disk in said, said
    assert counters(loop, "media")["read"] - before > 1 << 20, counters(loop, "media")
    loop.sh("umount /mnt/dev /mnt/proc; rm -rf /mnt/bin /mnt/lib* /mnt/dev /mnt/proc /mnt/tmp /mnt/mnt; umount /mnt")


@case
def scsi_hot_luns(loop):
    """Disks come and go one by one; the other says that something has changed."""
    loop.host("lun_quiet", "add 2 16")
    loop.run(f"sg attention {loop.disk}")
    loop.host("lun", "add 3 8")
    for lun, size in ((2, 16), (3, 8)):
        name = wait_disk(loop, lun).removeprefix("/dev/")
        assert loop.sh(f"cat /sys/block/{name}/size") == str(size * 2048)
    for lun in (2, 3):
        loop.host("lun", f"remove {lun}")
        wait_gone(loop, lun)
    loop.sh(f"dd if={loop.disk} of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null || "
            f"dd if={loop.disk} of=/dev/null bs=1M count=1")


@case
def scsi_reset(loop):
    """A reset of the bus while I/O runs: what is aborted is done again, nothing is lost."""
    mount(loop, loop.disk)
    loop.host("disk_delay", 20)
    before = counters(loop)
    said = loop.sh("(" + fio("--numjobs=2 --iodepth=16 --size=2M --bs=4k --rw=randwrite") +
                   f"; echo status $?) & {requested(before['requests'] + 200)}; "
                   # Long enough that some are there when the reset comes.
                   f"echo 1000 >{LOOP}/disk_delay; sleep 0.5; sg reset {loop.disk}; echo 20 >{LOOP}/disk_delay; "
                   "wait", 250)
    loop.host("disk_delay", 0)
    now = counters(loop)
    assert "status 0" in said and now["resets"] > before["resets"] and now["aborted"] > before["aborted"], f"{said} {now}"
    loop.notes.append(f"{now['aborted'] - before['aborted']} requests aborted")
    loop.sh("rm /mnt/load*; umount /mnt")


@case
def scsi_rescind(loop):
    """The controller is taken away under fio: I/O errors reach it, nothing hangs; offered again, the files are there."""
    for delay in (0, 30):
        mount(loop, loop.disk)
        loop.host("disk_delay", delay)
        before = counters(loop)
        said = loop.sh("(timeout 100 " + fio("--numjobs=3 --iodepth=16 --size=8M --bs=4k --rw=randwrite --time_based "
                                             "--runtime=90") + f" >/dev/null 2>&1; echo status $?) & "
                       f"{requested(before['requests'] + 500)}; echo rescind >{LOOP}/controller; wait", 150)
        assert "status" in said and not {"status 0", "status 124", "status 143"} & {said.strip()}, said
        loop.host("disk_delay", 0)
        wait_gone(loop)
        loop.sh("umount /mnt || umount -l /mnt", PATIENCE)
        loop.wait(lambda: not [row for row in loop.channels().values() if row[0] == SCSI and row[3] != "released"],
                  f"channels are left: {loop.channels()}", PATIENCE)
        loop.host("controller", "offer")
        loop.disk = wait_disk(loop)
        mount(loop, loop.disk)
        loop.sh("rm -f /mnt/load*; md5sum </mnt/file >/tmp/sum; umount /mnt")
        assert loop.sh("cat /tmp/sum") == loop.file


@case
def scsi_swap(loop):
    """Memory is short, and is reclaimed through this very disk: what was swapped out comes back as it was."""
    loop.host("lun", f"add 1 {2 * MEGABYTES}")
    swap = wait_disk(loop, 1)
    loop.sh(f"mkswap {swap} && swapon {swap} && mkdir -p /big && mount -t tmpfs -o size=90% big /big")
    loop.sh("dd if=/dev/urandom of=/tmp/seed bs=1M count=8; for i in 1 2 3 4 5; do cat /tmp/seed; done >/big/first")
    sums = loop.sh("md5sum </big/first")
    # The host takes it, as memory that cannot be swapped; in steps, since KASAN takes its part of each.
    taken = {}
    for lun in (7, 6, 5, 4):
        free = int(re.search(r"MemAvailable: +(\d+)", loop.sh("cat /proc/meminfo"))[1]) // 1024
        if free > 60:
            taken[lun] = (free - 40) * 7 // 8
            loop.sh(f"echo 'add {lun} {taken[lun]}' >{LOOP}/lun_quiet", 250)
    for piece in range(16):
        loop.sh(f"cat /tmp/seed /tmp/seed >/big/{piece}", 250)
        used = int(loop.sh("tail -n 1 /proc/swaps").split()[3]) // 1024
        if used > 20:
            break
    assert loop.sh("md5sum </big/first", 250) == sums
    loop.sh("cat /tmp/seed /tmp/seed | md5sum >/tmp/sum; for file in /big/[0-9]*; do "
            "md5sum <$file | cmp - /tmp/sum || exit 1; done", 250)
    loop.notes.append(f"{used} MB were on the disk with {sum(taken.values())} MB taken")
    for lun in taken:
        loop.host("lun_quiet", f"remove {lun}")
    assert used > 20, f"{used} MB of swap"
    loop.sh(f"rm /big/*; umount /big; swapoff {swap}", 250)
    loop.host("lun", "remove 1")
    wait_gone(loop, 1)


@case
def scsi_in_use(loop):
    """With a disk mounted neither the VSC nor the bus can be removed; the VSC can be unbound, and bound again."""
    mount(loop, loop.disk)
    for module in (MODULE, "hv_storvsc"):
        status, said = loop.guest.run(f"rmmod {module}")
        assert status, f"rmmod {module}: {said}"
    loop.sh("umount /mnt")
    device = next(row[1] for row in loop.channels().values() if row[0] == SCSI and row[3] == "open")
    loop.sh(f"echo {device} >{DRIVER}/unbind", PATIENCE)
    wait_gone(loop)
    loop.sh(f"echo {device} >{DRIVER}/bind", PATIENCE)
    loop.disk = wait_disk(loop)
    loop.wait(lambda: len(by_channel(loop)) == 4, f"sub-channels: {loop.channels()}")
    mount(loop, loop.disk)
    loop.sh("test -s /mnt/file; umount /mnt")


@case
def scsi_unload(loop):
    """hv_storvsc goes and comes back, then goes for good, and the controller with it; nothing of them is left."""
    loop.sh("rmmod hv_storvsc", PATIENCE)
    wait_gone(loop)
    loop.load("hv_storvsc")
    wait_disk(loop)
    loop.sh("rmmod hv_storvsc", PATIENCE)
    assert loop.sh(f"cat {LOOP}/gpadls") == "0"
    loop.host("lun_quiet", "remove 0")
    loop.host("controller", "rescind")
    loop.wait(lambda: SCSI not in loop.sh("cat /sys/bus/vmbus/devices/*/class_id 2>/dev/null || true"), "the device is left")
