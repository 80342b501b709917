# SPDX-License-Identifier: GPL-2.0-only
# Functions for the guest of test_storm.py and test_rounds.py, so that a step with all its looks takes few commands of the
# agent. One disk with ext4 on /mnt, two NICs as nic0 in namespace n0 and nic1 in n1, both at work all the time. What
# fails says so and ends the shell.

LOOP=/sys/kernel/debug/hv_vmbus_loop
BUS=/sys/bus/vmbus
SCSI=ba6163d9-04a1-4d29-b605-72e2ffb1dc7f
NIC=f8615163-df3e-46c5-913f-f2d2f965ed0e

# busybox has some of these names
ip() {
	/t/ip "$@"
}

fail() {
	echo "failed: $*"
	exit 1
}

# await SECONDS COMMAND...: until the command succeeds
await() {
	left=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || fail "in vain: $*"
		sleep 0.1
	done
}

not() {
	! "$@"
}

host() {
	echo "$2" >$LOOP/$1 || fail "echo $2 >$1"
}

# ---- the disk ----

disk() {
	ls /sys/bus/scsi/devices/*:0:0:${1:-0}/block 2>/dev/null | grep .
}

readable() {
	dd if=/dev/$(disk $1) of=/dev/null bs=4096 count=1
}

controller() {
	while read -r relid type instance sub state rest; do
		[ $type = $SCSI ] && [ $sub = 0 ] && [ $state != released ] && echo $instance
	done <$LOOP/channels
	true
}

no_controller() {
	[ -z "$(controller)" ]
}

disk_up() {
	await 60 readable
	mkdir -p /mnt
	mount -t ext4 /dev/$(disk) /mnt || fail mount
}

make_disk() {
	host lun "add 0 ${1:-64}"
	host controller offer
	await 60 readable
	/bin/mke2fs -q -t ext4 -F /dev/$(disk) || fail mke2fs
	disk_up
	dd if=/dev/urandom of=/tmp/kept bs=64k count=4 2>/dev/null
	cp /tmp/kept /mnt/kept
	sync
}

# Writes, reads, compares, until it is told to stop; an error that must not be is in a file.
disk_works() {
	while [ ! -e /tmp/stop ]; do
		dd if=/tmp/kept of=/mnt/work bs=64k oflag=direct && dd if=/mnt/work of=/tmp/work bs=32k iflag=direct &&
			cmp /tmp/work /tmp/kept || {
			[ -e /tmp/stop ] || [ -e /tmp/errors ] || echo "at work: wrong or an error" >/tmp/wrong
			break
		}
		sleep 0.2
	done 2>/dev/null
	rm /tmp/working
}

disk_work() {
	rm -f /tmp/stop /tmp/errors
	touch /tmp/working
	disk_works </dev/null >/dev/null 2>&1 &
}

disk_rest() {
	touch /tmp/stop
	await 60 not test -e /tmp/working
}

check_disk() {
	dd if=/dev/urandom of=/tmp/piece bs=16k count=1 2>/dev/null
	dd if=/tmp/piece of=/mnt/piece bs=16k oflag=direct 2>/dev/null || fail "no write"
	dd if=/mnt/piece bs=16k iflag=direct 2>/dev/null | cmp - /tmp/piece || fail "another piece"
	dd if=/mnt/kept bs=64k iflag=direct 2>/dev/null | cmp - /tmp/kept || fail "another file"
	[ ! -e /tmp/wrong ] || fail "$(cat /tmp/wrong)"
}

# ---- the network ----

nic() {
	echo 4e1c000$1-4e1c-4e1c-1c4e-1c4e1c4e1c4e
}

interface() {
	ls $BUS/devices/$(nic $1)/net | grep .
}

carrier() {
	ip -n n$1 link show nic$1 | grep -q "[<,]LOWER_UP[,>]"
}

# Its interface, once it is there, goes to its namespace.
nic_up() {
	await 60 interface $1
	ip link set $(interface $1) netns n$1 name nic$1 && ip -n n$1 addr add 10.0.0.$(($1 + 1))/24 dev nic$1 &&
		ip -n n$1 link set nic$1 up || fail "nic$1"
	await 30 carrier $1
}

ping_once() {
	ip netns exec n0 /t/ping -q -c 1 -W 1 10.0.0.2
}

# Frames all the time, whether there is an interface or not.
net_works() {
	while [ ! -e /tmp/netstop ]; do
		ip netns exec n$1 /t/ping -q -i 0.1 -s $((1400 - 1000 * $1)) -w 600 10.0.0.$((2 - $1)) || sleep 1
	done
}

net_work() {
	rm -f /tmp/netstop
	for at in 0 1; do
		net_works $at </dev/null >/dev/null 2>&1 &
	done
}

# ---- all of it ----

# insmod the modules with these names, unless they are there
modules() {
	for name; do
		[ -d /sys/module/$name ] || insmod /m/$name.ko || fail "insmod $name"
	done
}

vscs() {
	modules hv_storvsc hv_netvsc hv_sock
}

all_up() {
	vscs
	make_disk $1
	for at in 0 1; do
		host nic "offer $at"
		host nic "up $at"
	done
	nic_up 0
	nic_up 1
}

# All that was offered is open, all that was rescinded is gone.
settled() {
	! grep -qE ' (waiting|offered|rescinded) ' $LOOP/channels
}

check() {
	check_disk
	await 30 ping_once
	await 30 settled
	[ "$(cat $LOOP/violations)" = 0 ] || fail "$(dmesg | grep 'guest is wrong' | tail -n 5)"
}
