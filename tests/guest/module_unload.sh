#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The module can be unloaded while it works for a client, and a client can be killed while
# the module works for it: again and again, and nothing is left behind.
#
#   module_unload.sh [ROUNDS]     of each (8)
dir=$(dirname "$0")
rounds=${1:-8}
status=0

bad() {
	echo "FAIL $*"
	status=1
}

refcount() { cat /sys/module/ember/refcnt; }

# Seconds with a fraction, another one each round: the unload hits another phase of the work.
pause() { sleep "0.$((1 + $1 * 7 % 9))"; }

unload() {
	start=$(cut -d. -f1 /proc/uptime)
	timeout 30 rmmod ember || bad "round $1: rmmod failed, refcount $(refcount)"
	took=$(($(cut -d. -f1 /proc/uptime) - start))
	[ "$took" -le 20 ] || bad "round $1: rmmod took $took s"
	[ ! -e /sys/module/ember ] || bad "round $1: the module is still there"
}

under_load() {
	modprobe ember || { bad "modprobe"; return; }
	"$dir/migrate_races" --load >/tmp/load.out 2>&1 &
	client=$!
	sleep 0.5
	pause "$1"
	kill -0 $client 2>/dev/null || bad "round $1: the client ended early: $(cat /tmp/load.out)"
	unload "$1"
	wait $client || bad "round $1: the client failed"
	cat /tmp/load.out
}

killed() {
	modprobe ember || { bad "modprobe"; return; }
	"$dir/migrate_races" --load >/tmp/load.out 2>&1 &
	client=$!
	sleep 0.5
	pause "$1"
	kill -9 $client || bad "round $1: the client ended early: $(cat /tmp/load.out)"
	wait $client 2>/dev/null
	unload "$1"
}

lsmod | grep -q '^ember ' && rmmod ember
# The first load leaves what every module leaves once: not counted.
under_load 1
"$dir/settled" save /tmp/settled || status=1
for i in $(seq "$rounds"); do under_load "$i"; done
for i in $(seq "$rounds"); do killed "$i"; done
"$dir/settled" check /tmp/settled || status=1
[ $status = 0 ] && echo "ok   $rounds unloads under load and $rounds killed clients: want 0 failures, saw 0"
exit $status
