#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# emberctl as a program: its exit statuses, its messages, where colours appear. The daemon is
# played by a few lines of Python that give canned answers.
set -u
failed=0
dir=$(mktemp -d)
sock=$dir/sock
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT

expect() { # WHAT EXPECTED SEEN
	if [ "$2" = "$3" ]; then
		echo "ok: $1: $3"
	else
		echo "FAILED: $1: expected \"$2\", saw \"$3\""
		failed=1
	fi
}
holds() { # WHAT TEXT FILE
	if grep -qF -- "$2" "$3"; then
		echo "ok: $1: has \"$2\""
	else
		echo "FAILED: $1: expected \"$2\" in:"
		sed 's/^/    /' "$3"
		failed=1
	fi
}
run() { # ARGUMENT...: $status, $dir/out, $dir/err
	timeout 60 emberctl "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}
play() { # ANSWER: answer every request on every connection with it; "hang": never; "close": hang up
	[ -z "${server:-}" ] || { kill "$server"; wait "$server" 2>/dev/null; rm -f "$sock"; }
	python3 - "$sock" "$1" <<-'PYTHON' &
		import os, socket, sys, threading
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1] + ".new")
		listener.listen()
		os.rename(sys.argv[1] + ".new", sys.argv[1])  # who finds it finds somebody that listens
		def serve(link):
		    data = b""
		    while chunk := link.recv(4096):
		        data += chunk
		        while b"\0" in data:
		            _, data = data.split(b"\0", 1)
		            if sys.argv[2] == "close":
		                link.close()
		                return
		            if sys.argv[2] != "hang":
		                link.sendall(sys.argv[2].encode() + b"\0")
		while True:
		    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
	PYTHON
	server=$!
	until [ -S "$sock" ]; do sleep 0.1; done
}

object='{"version":"0.1.0","uptime_ns":1,"policy":{"age_ns":1,"rejected":false},"tiers":[],"nodes":[],
"processes_followed":0,"processes":[],"plan":{"plans":7,"why":[],"why_not":[]},"moves":[],"cost":{"events_lost":0},
"numa_balancing":{"mode":0,"reason_sentence":"is off"},
"damon_stat":{"borrowed":false,"reason":"absent","reason_sentence":"is not in this kernel"}}'
good="{\"parameters\":{\"status\":$object}}"

echo "# usage"
run
expect "no command" 2 $status
run nothing
expect "unknown command" 2 $status
holds "unknown command" 'no command "nothing"' "$dir/err"
run status --nothing
expect "unknown option" 2 $status
run status more
expect "unknown argument" 2 $status
for seconds in 0 -1 x 1x nan inf 3601 ""; do
	run status --watch="$seconds"
	expect "--watch=$seconds" 2 $status
done
run help
expect "help" 0 $status
holds "help" "3 emberd is not running" "$dir/out"
run status --help
expect "status --help" 0 $status
run version
expect "version" "0 emberctl $(/usr/libexec/ember/ember-helper --version | cut -d' ' -f2)" "$status $(cat "$dir/out")"

for words in frobnicate "list 1" "add" "add 0x80000000" "add 0x80000000 2M 3" "remove" "remove 1 2" "remove x" "remove 15" \
	"add 1M 2M" "add 0x80000000 0" "add x 2M" "add 0x80000000 2X" "add 0x80000000 2M --node=x" "list --force" "remove 1 --node=1"; do
	# shellcheck disable=SC2086 # words
	run pool $words
	expect "pool $words" 2 $status
done
run pool --help
expect "pool --help" 0 $status
holds "pool --help" "emberctl pool remove ID" "$dir/out"

echo "# no module"
was_loaded=$(lsmod | grep '^ember ')
[ -z "$was_loaded" ] || rmmod ember
for words in list "add 0x80000000 2M" "remove 14"; do
	# shellcheck disable=SC2086
	run pool $words
	expect "pool $words" 1 $status
	holds "pool $words" "modprobe ember" "$dir/err"
done
[ -z "$was_loaded" ] || modprobe ember

echo "# no daemon"
run status --socket="$sock"
expect "no socket" 3 $status
holds "no socket" "systemctl start emberd" "$dir/err"
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$sock"
run status --socket="$sock" --json
expect "a socket that nobody listens at" 3 $status
expect "nothing on standard output" 0 "$(stat -c %s "$dir/out")"
rm "$sock"
run status --socket="$(printf 'x%.0s' {1..200})"
expect "a name that is too long" 1 $status

echo "# answers"
play "$good"
run status --socket="$sock"
expect "status" 0 $status
holds "status" "LAST PLAN  number 7" "$dir/out"
expect "no colour in a file" 0 "$(grep -c $'\033' "$dir/out")"
run status --socket="$sock" --json
expect "--json" 0 $status
expect "--json is the daemon's own object" 7 "$(python3 -c 'import json,sys; print(json.load(sys.stdin)["plan"]["plans"])' <"$dir/out")"
timeout 10 emberctl status --socket="$sock" --json --watch=0.2 2>/dev/null | head -n 3 >"$dir/out"
expect "--json --watch: one object a line" 3 "$(python3 -c 'import json,sys; print(sum(json.loads(l)["plan"]["plans"] == 7 for l in sys.stdin))' <"$dir/out")"
emberctl status --socket="$sock" >/dev/full 2>"$dir/err"
expect "a full disk" 1 $?
tty() { script -qec "$*" /dev/null </dev/null >"$dir/out"; }
TERM=xterm tty emberctl status --socket="$sock"
expect "colour on a terminal" yes "$(grep -q $'\033\[1m' "$dir/out" && echo yes)"
TERM=xterm NO_COLOR=1 tty emberctl status --socket="$sock"
expect "none with NO_COLOR" 0 "$(grep -c $'\033' "$dir/out")"
TERM=dumb tty emberctl status --socket="$sock"
expect "none on a dumb terminal" 0 "$(grep -c $'\033' "$dir/out")"

echo "# answers that are none"
play '{"parameters":{"status":{"version":"9"}}}'
run status --socket="$sock"
expect "another shape" 1 $status
holds "another shape" "of another version" "$dir/err"
play '{"parameters":{}}'
run status --socket="$sock"
expect "no object" 1 $status
play '{"error":"io.ember.Daemon.Odd"}'
run status --socket="$sock"
expect "an error" 1 $status
holds "an error" "io.ember.Daemon.Odd" "$dir/err"
play 'no JSON'
run status --socket="$sock"
expect "no JSON" 1 $status
play hang
run status --socket="$sock"
expect "no answer" 1 $status
holds "no answer" "has not answered for 5 seconds" "$dir/err"
play close
run status --socket="$sock"
expect "the daemon goes away" 3 $status

echo "# completion"
complete_as() { # WORD...: the last is completed
	bash -c '. /usr/share/bash-completion/completions/emberctl; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _emberctl 2>/dev/null; echo "${COMPREPLY[*]}"' x "$@"
}
expect "commands" "status pool version help" "$(complete_as emberctl "")"
expect "options" "--json" "$(complete_as emberctl status --j)"
expect "verbs" "list add remove --json --help" "$(complete_as emberctl pool "")"
expect "a verb" "remove" "$(complete_as emberctl pool rem)"
expect "options of a verb" "--node= --force --json --help" "$(complete_as emberctl pool add "")"
expect "none of another" "" "$(complete_as emberctl pool list --n)"
exit $failed
