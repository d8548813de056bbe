#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# accept_hotset.sh CONTENDER HOTSET-ARGUMENT...
#
# Run the generator beside one contender, marking #ready for the emulator's scope:
#   ember    the installed service with its default policy
#   nothing  the kernel alone, without automatic NUMA balancing
#   numab2   kernel.numa_balancing=2 with demotion
# Ends with what emberctl and the kernel say.
set -u
contender=$1
shift
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
/usr/lib/ember/tests/hotset "$@"
status=$?
if [ "$contender" = ember ]; then
	emberctl status || status=1
	systemctl is-active --quiet emberd || { echo "emberd is not running"; status=1; }
	journalctl -u emberd --no-pager -o cat | tail -n 20
	systemctl stop emberd
fi
grep -E '^(pgpromote_success|pgdemote_kswapd|pgscan_kswapd|pgmigrate_success|numa_hint_faults) ' /proc/vmstat
exit $status
