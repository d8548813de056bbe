#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pool_soft.sh ADDRESS MIB: soft-reserved memory as a pool, by itself and out of the hands of
# device-dax. The range is a whole entry of the SRAT, or device-dax would make one of more than
# that; at the end of all memory; and soft-reserved by memmap=SIZE%ADDRESS-1+0xefffffff.
# shellcheck source=tests/guest/pool_lib.sh
. "$(dirname "$0")/pool_lib.sh"
soft=$1 mib=$2 dax=dax0.0
soft_text=$(printf '%x' $((soft)))

unbind() { # the driver of $dax, if it has one
	[ ! -e "/sys/bus/dax/devices/$dax/driver" ] || echo "$dax" >"/sys/bus/dax/devices/$dax/driver/unbind"
}

# A machine that has just come up may be about to load the drivers by itself; memhp_default_state=offline
# keeps kmem from making memory of it that cannot be taken back.
udevadm settle
# kmem would make ordinary memory of it at once.
echo offline >/sys/devices/system/memory/auto_online_blocks
unbind
load "$soft+${mib}M"
expect "soft-reserved memory, no driver" "ready 0" "$(settled "$soft")"
expect "in the map of memory" 1 "$(grep -c "^ *$soft_text-.*: ember pool" /proc/iomem)"
load "$soft+$((mib + 2))M"
expect "with nothing behind it" "failed -6" "$(settled "$soft")"
load "$soft+64M,$((soft + 0x10000000))+64M"
expect "a part of it" "ready 0" "$(settled "$soft")"
expect "and another" "ready 0" "$(settled $((soft + 0x10000000)))"
rmmod ember

for module in dax_hmem device_dax kmem; do modprobe $module; done
for _ in $(seq 50); do
	[ -e "/sys/bus/dax/devices/$dax" ] && break
	sleep 0.1
done
expect "device-dax has it" $((soft)) "$(($(cat "/sys/bus/dax/devices/$dax/resource")))"
for driver in device_dax kmem; do
	unbind
	# A device that firmware has set apart is kmem's unless another driver is told its name.
	[ $driver = kmem ] || echo "$dax" >/sys/bus/dax/drivers/$driver/new_id 2>/dev/null
	[ -e "/sys/bus/dax/devices/$dax/driver" ] || echo "$dax" >/sys/bus/dax/drivers/$driver/bind
	expect "$dax belongs to" $driver "$(basename "$(readlink -f "/sys/bus/dax/devices/$dax/driver")")"
	load "$soft+${mib}M"
	expect "$driver uses it" "failed -16" "$(settled "$soft")"
	unbind
	load "$soft+${mib}M"
	expect "let go of by $driver" "ready 0" "$(settled "$soft")"
	echo "$dax" >/sys/bus/dax/drivers/$driver/bind 2>/dev/null
	[ -e "/sys/bus/dax/devices/$dax/driver" ]
	expect "$driver cannot have it while it is a pool" 1 $?
	rmmod ember
done
exit "$status"
