#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# emberd is killed with SIGKILL while it moves pages, again and again, and nothing is left behind: no program,
# no reference on the module, no page, no address space; and the process whose pages moved goes on.
#
#   daemon_killed.sh [ROUNDS]
# shellcheck disable=SC2317 # soon calls them
set -u
dir=$(dirname "$0")
rounds=${1:-3} failed=0 moving=0
bad() {
	echo "FAIL $*"
	failed=1
}

nr_moved() { sed -n 's/^pgmigrate_success //p' /proc/vmstat; }
nr_programs() { bpftool prog list | grep -c 'name ember_'; }
has_ended() { [ "$(nr_programs)" = 0 ] && [ "$(cat /sys/module/ember/refcnt)" = 0 ]; }

soon() { # COMMAND...: until it succeeds, at the latest after 120 s
	local end=$((SECONDS + 120))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# Several times in a row: it is in the middle of it.
is_moving() {
	local before now
	before=$(nr_moved)
	for _ in 1 2 3; do
		sleep 0.05
		now=$(nr_moved)
		[ "$now" -gt "$before" ] || return 1
		before=$now
	done
}

# The hot pages back to slow memory, while no emberd is there: the next one has its work to do.
to_slow() { migratepages "$load" 0 1 || bad "migratepages"; }

round() {
	to_slow
	systemctl start emberd || bad "round $1: the service does not start"
	if soon is_moving; then moving=$((moving + 1)); else bad "round $1: no page moved within 120 s"; fi
	systemctl kill -s KILL emberd
	systemctl stop emberd
	systemctl reset-failed emberd 2>/dev/null
	soon has_ended || bad "round $1: $(nr_programs) programs, module references $(cat /sys/module/ember/refcnt)"
	echo "round $1: $SECONDS s, $(nr_moved) pages migrated since boot"
	kill -0 "$load" 2>/dev/null || bad "round $1: the load has ended"
}

start_load() {
	"$dir/hotset" --size 256MiB --hot 128MiB --duration 0 --mark none --rate 20000 >/tmp/load.out &
	load=$!
	soon grep -q READY /tmp/load.out || bad "the load is not ready: $(cat /tmp/load.out)"
}

stop_load() {
	kill "$load"
	wait "$load" 2>/dev/null
}

systemd-sysusers
systemctl daemon-reload
modprobe ember
# The first round leaves what every first one leaves: not counted.
start_load
round 0
stop_load
"$dir/settled" save /tmp/settled || failed=1
start_load
moving=0
for i in $(seq "$rounds"); do round "$i"; done
stop_load
"$dir/settled" check /tmp/settled || failed=1
[ "$moving" = "$rounds" ] || bad "want $rounds kills while pages moved, saw $moving"
[ $failed = 0 ] && echo "ok   emberd killed $moving times while pages moved"
exit $failed
