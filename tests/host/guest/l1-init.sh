#!/bin/busybox sh
# L1: mounts this machine's file system, then starts and stops L2 as the control port says.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
	insmod "/m/$module.ko" $(cat "/m/$module.args" 2>/dev/null) || echo "l1: no $module"
done </m/order

mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /host || exec poweroff -f
mount -t proc proc /host/proc
mount -t sysfs sys /host/sys
mount -t devtmpfs dev /host/dev
# The one place that can be written to and hides nothing: kernels and modules may be anywhere, also below /tmp.
mkdir /host/dev/run
mount -t 9p -o rw,trans=virtio,version=9p2000.L,msize=262144,cache=none run /host/dev/run || exec poweroff -f
ip link set lo up 2>/dev/null

# The ports are named for the order in which devices were found: give them their own names, in L2's /dev too.
for port in /sys/class/virtio-ports/*; do
	ln -s "${port##*/}" "/host/dev/$(cat "$port/name")"
done
exec 3<>/host/dev/hv-control
echo "l1 ready" >&3
while read -r verb run; do
	case $verb in
	start)
		# Its own shell writes its pid, so that stop hits this QEMU and no other.
		(
			chroot /host /bin/sh -c "cd /dev/run/$run && echo \$\$ >pid && exec sh ./qemu.sh" >/dev/null 2>&1
			echo "ended $run $?" >&3
		) &
		;;
	stop)
		kill -9 "$(cat "/host/dev/run/$run/pid")"
		;;
	quit)
		poweroff -f
		;;
	esac
done <&3
poweroff -f
