#!/bin/busybox sh
# L2: the agent. Runs what the test sends over the second serial port, of which agent= of the command line may tell the
# name, and answers with exit status and output.
# A line "ID =COMMAND" or "ID COMMAND-in-base64" is answered by "ID STATUS plain|gzip LENGTH", a newline and LENGTH bytes.
# Both processes and bytes on the line are slow in a nested guest: few of either.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
echo 8 >/proc/sys/kernel/printk

exec 3<>"/dev/${agent:-ttyS1}"
stty raw -echo <&3
# A guest that has a disk for it: if there is an image, nothing of this life goes on. The kernel hands us early= of its
# command line, modules that are there before.
if [ -e /m/disk ]; then
	for module in $(echo "$early" | tr , ' ') $(cat /m/disk); do
		insmod "/m/$module.ko"
	done
	echo "agent restores" >&3
	cat /sys/block/vda/dev >/sys/power/resume
fi
echo "agent ready $(uname -r)" >&3

agent() {
	while read -r id command <&3; do
		case $command in
		+*)
			# A long command comes in pieces: a terminal takes 4095 bytes a line.
			echo -n "${command#+}" >>/tmp/pieces
			echo "$id 0 plain 0" >&3
			continue
			;;
		=*)
			printf '%s\n' "${command#=}" >/tmp/command
			;;
		*)
			{ cat /tmp/pieces 2>/dev/null; echo -n "$command"; } | base64 -d >/tmp/command
			rm -f /tmp/pieces
			;;
		esac
		sh /tmp/command </dev/null >/tmp/output 2>&1
		status=$?
		if ! [ -s /tmp/output ]; then
			echo "$id $status plain 0" >&3
			continue
		fi
		kind=plain output=/tmp/output length=$(stat -c %s /tmp/output)
		if [ "$length" -gt 1000 ]; then
			kind=gzip output=/tmp/output.gz
			gzip -c /tmp/output >$output
			length=$(stat -c %s $output)
		fi
		{
			echo "$id $status $kind $length"
			cat $output
		} >&3
	done
}

# Not init itself: each orphan that ends would interrupt its read, and busybox forgets what it has of the line then.
agent &
wait $!
