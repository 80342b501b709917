# SPDX-License-Identifier: GPL-2.0-only
# What a round of test_rounds.py does, each a function; behind storm.sh. Disk and network are at work meanwhile, and are
# so again in the end. Numbers that are random come as arguments.

# Of the disk and the NICs; sockets come and go.
CHANNELS="$BUS/drivers/hv_[sn]*vsc/*-*/channels/*"

# Those that the host has.
open_channels() {
	while read -r relid type instance sub state rest; do
		[ $state = open ] && case $type in $SCSI|$NIC) echo $relid; esac
	done <$LOOP/channels
}

# nth N WORD...: the word at that place, as often as it goes round
nth() {
	at=$(($1 % ($# - 1) + 2))
	eval echo \${$at}
}

# ---- CPUs ----

# Each channel to the next of these CPUs.
do_move() {
	for channel in $CHANNELS; do
		echo $1 >$channel/cpu || fail "$channel to CPU $1"
		[ $(cat $channel/cpu) = $1 ] || fail "$channel is not on CPU $1"
		set -- "$@" $1
		shift
	done
}

do_cpu() {
	online=/sys/devices/system/cpu/cpu$1/online
	echo 0 >$online || fail "CPU $1 stays"
	for channel in $CHANNELS; do
		[ "$(cat $channel/cpu)" != $1 ] || fail "$channel is on CPU $1, which is off"
	done
	check
	echo 1 >$online || fail "CPU $1 stays off"
}

# ---- devices come and go ----

do_rescind_disk() {
	touch /tmp/errors
	host controller rescind
	await 60 not disk
	disk_rest
	umount /mnt || umount -l /mnt || fail umount
	await 60 no_controller
	host controller offer
	disk_up
	disk_work
}

# Its link is down first, and the host waits until nothing is on its way: hv_netvsc waits for ever for that.
do_rescind_nic() {
	host nic "down $1"
	await 30 not carrier $1
	host nic "rescind $1"
	await 60 not test -d $BUS/devices/$(nic $1)
	# As long as the guest has it.
	await 60 sh -c "echo offer $1 >$LOOP/nic"
	host nic "up $1"
	nic_up $1
}

do_lun() {
	host lun "add $1 $2"
	await 60 readable $1
	host lun "remove $1"
	await 60 not disk $1
}

do_unbind_disk() {
	disk_rest
	umount /mnt || fail umount
	device=$(controller)
	echo $device >$BUS/drivers/hv_storvsc/unbind || fail unbind
	! disk || fail "the disk stays"
	echo $device >$BUS/drivers/hv_storvsc/bind || fail bind
	disk_up
	disk_work
}

do_unbind_nic() {
	echo $(nic $1) >$BUS/drivers/hv_netvsc/unbind || fail unbind
	echo $(nic $1) >$BUS/drivers/hv_netvsc/bind || fail bind
	nic_up $1
}

do_reload_disk() {
	disk_rest
	umount /mnt || fail umount
	rmmod hv_storvsc || fail rmmod
	modules hv_storvsc
	disk_up
	disk_work
}

do_reload_net() {
	rmmod hv_netvsc || fail rmmod
	modules hv_netvsc
	nic_up 0
	nic_up 1
}

# do_reload_all VERSION SEED: all of it, and another host
do_reload_all() {
	disk_rest
	umount /mnt || fail umount
	# Sockets may be on their way out.
	await 60 rmmod hv_sock
	rmmod hv_storvsc && rmmod hv_netvsc && rmmod hv_vmbus_loop || fail rmmod
	dmesg | grep 'violations in the end' | tail -n 1 | grep -q ' 0 violations' || fail violations
	insmod /m/hv_vmbus_loop.ko version=$1 seed=$2 || fail insmod
	all_up
	disk_work
}

# ---- the host's moods ----

do_flap() {
	host nic "down $1"
	await 30 not carrier $1
	host nic "up $1"
	await 30 carrier $1
}

do_reset() {
	host disk_delay 200
	sleep 0.1
	sg reset /dev/$(disk) >/dev/null || fail reset
	host disk_delay 0
}

do_delay() {
	host disk_delay $1
	check_disk
	host disk_delay 0
}

do_silent() {
	host silent $1
	check_disk
}

# do_lose N [flags]: of one channel, then the host interrupts for it once more
do_lose() {
	relid=$(nth $1 $(open_channels))
	host lose_interrupts "$relid $2"
	sleep 0.4
	host lose_interrupts none
	host interrupt $relid
}

# do_stand freeze|fill N: a channel
do_stand() {
	relid=$(nth $2 $(open_channels))
	await 10 eval "echo $relid >$LOOP/$1"
	sleep 0.6
	host thaw $relid
}

do_busy() {
	host busy $1
	do_lun 3 2
	do_sockets 8
	host busy 25
}

# ---- what the guest does ----

do_mtu() {
	for at in 0 1; do
		ip -n n$at link set nic$at mtu $1 || fail "mtu $1"
	done
	await 30 ping_once
	for at in 0 1; do
		ip -n n$at link set nic$at mtu 1500 || fail "mtu 1500"
	done
}

do_channels() {
	for count in $2 4; do
		ip netns exec n$1 /t/ethtool -L nic$1 combined $count || fail "ethtool -L $count"
	done
}

do_sockets() {
	vsock storm 1 $1 4 >/dev/null || fail vsock
}

# do_sleep LEVEL: hibernation that turns round there
do_sleep() {
	echo $1 >/sys/power/pm_test
	echo shutdown >/sys/power/disk
	echo disk >/sys/power/state || fail "hibernation: $1"
	echo none >/sys/power/pm_test
}

# Meanwhile channels move, if the host can do that: also those that come and go.
moves() {
	seed=$1
	while [ ! -e /tmp/halt ]; do
		for channel in $CHANNELS; do
			seed=$(((seed * 1103515245 + 12345) % 2147483648))
			echo $((seed / 65536 % 4)) >$channel/cpu
		done
		sleep 0.2
	done
}

# round MOVES ACTION ARGUMENT...: what has to hold behind each
round() {
	rm -f /tmp/halt
	[ $1 = 0 ] || moves $1 </dev/null >/dev/null 2>&1 &
	moving=$!
	shift
	echo "round: $*" >/dev/kmsg
	"$@"
	check
	touch /tmp/halt
	wait $moving
}
