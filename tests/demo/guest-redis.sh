#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest-redis.sh KEYS VALUE_BYTES ZIPF BEFORE_S WITH_S LAST_S
#
# The guest's part of the demo: fill Redis, read from it for BEFORE_S seconds without ember and
# for WITH_S with it. Marks in the scope file (tests/tierscope/README.md):
#   #load  #before  #ember  #after (LAST_S before the end)  #end
# Lines for tests/demo/draw and tests/demo/summary on standard output: those of zipf_client, and
#   demo NAME VALUE
set -euo pipefail
keys=$1 value_bytes=$2 zipf=$3 before_s=$4 with_s=$5 last_s=$6
client=/usr/lib/ember/tests/zipf_client
socket=/run/demo-redis.sock
# Server and client share a CPU: on two they fight for the lock of their socket, which an emulator
# makes dearer than what the second CPU brings. The other one is ember's.
cpu=1

tell() { printf 'demo %s %s\n' "$1" "$2"; }

mark() {
	/usr/lib/ember/vm-mark "$1"
	tell phase "$1"
}

# No address randomisation and the old layout, bottom up: Redis' memory, and nobody else's,
# begins at 0x2aaaaaaab000. That is what tests/demo/run counts. Everything else is Redis'
# default, with persistence and TCP left out.
start_redis() {
	taskset -c $cpu setarch x86_64 --addr-no-randomize --addr-compat-layout \
		redis-server --save '' --appendonly no --port 0 --unixsocket $socket --loglevel warning \
		--logfile /run/demo-redis.log --dir /run &
	redis=$!
	until [ -S $socket ]; do
		kill -0 $redis || { cat /run/demo-redis.log; exit 1; }
		sleep 0.1
	done
}

run_client() { # COMMAND OPTION...
	exec taskset -c $cpu $client "$@" --socket $socket --keys "$keys" --size "$value_bytes" --pipeline 64
}

redis_bytes() { # NODE: how much of Redis lies there
	awk -v node="N$1=" '{ for (i = 3; i <= NF; i++) if (index($i, node) == 1) pages += substr($i, length(node) + 1) }
		END { printf "%.0f\n", pages * 4096 }' /proc/$redis/numa_maps
}

free_bytes() { # NODE
	awk '$3 == "MemFree:" { printf "%.0f\n", $4 * 1024 }' "/sys/devices/system/node/node$1/meminfo"
}

sleep_until() { # SECONDS, counted from the start of this shell
	[ $SECONDS -ge "$1" ] || sleep $(($1 - SECONDS))
}

start_ember() {
	systemctl start emberd || {
		journalctl -u emberd --no-pager -o cat | tail -n 20
		exit 1
	}
}

systemd-sysusers
mark load
start_redis
(run_client load)
tell redis_fast_bytes "$(redis_bytes 0)"
tell redis_slow_bytes "$(redis_bytes 1)"
tell free_fast_bytes "$(free_bytes 0)"

(run_client read --zipf "$zipf") &
reader=$!
trap 'kill $reader 2>/dev/null; wait $reader; kill $redis' EXIT
sleep 1
mark before
sleep "$before_s"

began=$SECONDS
mark ember
start_ember
sleep_until $((began + with_s - last_s))
mark after
sleep_until $((began + with_s))
mark end
tell status "$(emberctl status --json | tr -d "\n")"
kill $reader
wait $reader # not 0 if a value was wrong
trap 'kill $redis' EXIT
systemctl is-active --quiet emberd || { echo "emberd is not running"; exit 1; }
tell finished 1
