#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Print what vmbusstat reads of this machine, "path<TAB>value" lines as in trees/: a link is "-> target", a file that cannot
# be read "!why". Few processes, so that little changes meanwhile in a slow guest.
cd "${1:-/sys}" || exit

show() {
	if [ -L "$1" ]; then
		printf '%s\t-> %s\n' "$1" "$(readlink "$1")"
	elif value= && { read -r value <"$1"; } 2>/dev/null || value=$(cat "$1" 2>&1); then
		printf '%s\t%s\n' "$1" "$value"
	elif [ -e "$1" ]; then
		printf '%s\t!%s\n' "$1" "${value##*: }"
	fi
}

for device in bus/vmbus/devices/*; do
	for name in class_id device_id id state numa_node driver; do
		show "$device/$name"
	done
	for file in "$device"/in_* "$device"/out_* "$device"/net/*/address "$device"/channels/*/[!ru]* "$device"/channels/*/read_avail; do
		show "$file"
	done
done
for file in devices/system/cpu/online devices/system/cpu/isolated devices/system/node/node*/cpulist; do
	show "$file"
done
