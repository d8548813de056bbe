#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# accept_hotset.sh CONTENDER [--on-each-socket] HOTSET-ARGUMENT...
#
# Run the generator beside one contender, marking #ready for the emulator's scope:
#   ember    the installed service with its default policy
#   nothing  the kernel alone, without automatic NUMA balancing
#   numab2   kernel.numa_balancing=2 with demotion
# With --on-each-socket one generator for each node with CPUs, bound to these; #ready when all are.
# Ends with what emberctl and the kernel say.
set -u
contender=$1
shift
address=0x100000000000
next_address=0x100000000 # from one generator to the next

on_each_socket() {
	local list cpus pids=() status=0 out
	out=$(mktemp -d)
	for list in /sys/devices/system/node/node[0-9]*/cpulist; do
		cpus=$(cat "$list")
		[ -n "$cpus" ] || continue
		taskset -c "$cpus" /usr/lib/ember/tests/hotset --mark none \
			--address "$(printf '0x%x' $((address + ${#pids[@]} * next_address)))" "$@" \
			>"$out/${#pids[@]}" &
		pids+=($!)
	done
	until [ "$(cat "$out"/* | grep -c '^READY')" = ${#pids[@]} ]; do
		kill -0 "${pids[@]}" 2>/dev/null || break # the first that is gone has said why
		sleep 0.1
	done
	/usr/lib/ember/vm-mark ready
	wait_all "${pids[@]}" || status=1
	cat "$out"/*
	return $status
}

wait_all() {
	local pid status=0
	for pid; do
		wait "$pid" || status=1
	done
	return $status
}
echo 0 >/proc/sys/kernel/numa_balancing
case $contender in
ember)
	systemd-sysusers
	systemctl daemon-reload
	systemctl start emberd || { journalctl -u emberd --no-pager | tail -n 20; exit 1; }
	;;
nothing) ;;
numab2)
	echo 2 >/proc/sys/kernel/numa_balancing
	echo 1 >/sys/kernel/mm/numa/demotion_enabled
	;;
*)
	echo "unknown contender $contender" >&2
	exit 2
	;;
esac
if [ "${1-}" = --on-each-socket ]; then
	shift
	on_each_socket "$@"
else
	/usr/lib/ember/tests/hotset "$@"
fi
status=$?
if [ "$contender" = ember ]; then
	emberctl status || status=1
	systemctl is-active --quiet emberd || { echo "emberd is not running"; status=1; }
	journalctl -u emberd --no-pager -o cat | tail -n 20
	systemctl stop emberd
fi
grep -E '^(pgpromote_success|pgdemote_kswapd|pgscan_kswapd|pgmigrate_success|numa_hint_faults) ' /proc/vmstat
exit $status
