#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ember-helper: starts by its socket, borrows kernel.numa_balancing and DAMON_STAT, gives them back
# whatever happens, refuses everything else. The clients are tests/guest/helper_ask.c.
set -u
ask=/usr/lib/ember/tests/helper_ask
sysctl=/proc/sys/kernel/numa_balancing
saved=/run/ember-helper/saved.numa_balancing
damon=/sys/module/damon_stat/parameters/enabled
damon_saved=/run/ember-helper/saved.damon_stat
failed=0

[ -e "$sysctl" ] || { echo "SKIP: this kernel has no kernel.numa_balancing"; exit 77; }

expect() { # WHAT EXPECTED SEEN
	if [ "$2" = "$3" ]; then
		echo "ok: $1: $3"
	else
		echo "FAILED: $1: expected \"$2\", saw \"$3\""
		failed=1
	fi
}
until_is() { # VALUE [FILE]: the setting, at the latest after 30 s
	for _ in {1..300}; do
		[ "$(cat "${2:-$sysctl}")" = "$1" ] && break
		sleep 0.1
	done
	cat "${2:-$sysctl}"
}
hold() { # REQUEST: a client that asks once and stays; sets $client
	rm -f /tmp/answer
	setpriv --reuid=ember --regid=ember --clear-groups $ask --hold "$1" >/tmp/answer &
	client=$!
	for _ in {1..300}; do
		[ "$(wc -l 2>/dev/null </tmp/answer || echo 0)" -gt "$(tr -cd , <<<"$1" | wc -c)" ] && break
		sleep 0.1
	done
}
answers() { paste -sd' ' /tmp/answer; }
release() { kill -9 "$client" 2>/dev/null; wait "$client" 2>/dev/null; }
# What a client's end makes the helper do, it has done before it looks at the next client.
await_helper() { $ask ping >/dev/null; }
helper_pid() { systemctl show -P MainPID ember-helper.service; }
file_state() { [ -e $saved ] && echo there || echo gone; }

systemd-sysusers || exit 1
systemctl daemon-reload
systemctl stop emberd.service ember-helper.service ember-helper.socket
systemctl start ember-helper.socket || exit 1
expect "mode and owner of the socket" "600 ember" "$(stat -c '%a %U' /run/ember-helper/socket)"
expect "not running before it is asked" 0 "$(helper_pid)"

echo 1 >$sysctl
expect "ping" "ok" "$($ask ping)"
expect "as the user ember" "ok" "$(setpriv --reuid=ember --regid=ember --clear-groups $ask ping)"
expect "version" "ok $(/usr/libexec/ember/ember-helper --version | cut -d' ' -f2)" "$($ask version)"

echo "# refused"
for request in reboot " " "numa_balancing" "numa_balancing 1" "numa_balancing 00" "numa_balancing -1" \
	"numa_balancing 0 0" \
	"numa_balancing backs" "damon_stat" "damon_stat Y" "damon_stat 0" "damon_stat N " "ping 1" "PING" "$(printf 'x%.0s' {1..64})" "$(printf 'x%.0s' {1..4000})" "numa_balancing 0;reboot"; do
	answer=$($ask "$request")
	expect "request \"${request:0:24}\" is an error" "error" "${answer%% *}"
done
expect "an empty packet is a goodbye" "call: Broken pipe" "$($ask "")"
expect "nothing was changed by them" 1 "$(cat $sysctl)"
expect "another user cannot connect" "connect: Permission denied" \
	"$(setpriv --reuid=nobody --regid=nogroup --clear-groups $ask ping 2>&1)"
chmod 666 /run/ember-helper/socket
expect "another user is refused even if it can" "error not permitted" \
	"$(setpriv --reuid=nobody --regid=nogroup --clear-groups $ask ping 2>&1)"
chmod 600 /run/ember-helper/socket

echo "# the peer is killed"
hold "numa_balancing 0"
expect "answer: the original" "ok 1" "$(cat /tmp/answer)"
expect "set" 0 "$(cat $sysctl)"
expect "remembered" "kernel.numa_balancing original 1 set 0" "$(cat $saved)"
# ten times, for it may be turned away before or after it has asked
expect "a second client is turned away" "10 error busy: another client is connected" \
	"$(for _ in {1..10}; do $ask ping; done | sort | uniq -c | sed 's/^ *//')"
release
expect "put back after kill -9 of the peer" 1 "$(until_is 1)"
await_helper
expect "file" gone "$(file_state)"

echo "# asking twice on one connection"
echo 2 >$sysctl
hold "numa_balancing 0,numa_balancing 0,version"
expect "both answers" "ok 2 ok 2" "$(head -n 2 /tmp/answer | paste -sd' ')"
release
expect "put back to what it was" 2 "$(until_is 2)"
await_helper
echo 1 >$sysctl

echo "# the helper is killed"
hold "numa_balancing 0"
expect "set" 0 "$(cat $sysctl)"
kill -9 "$(helper_pid)"
expect "put back after kill -9 of the helper" 1 "$(until_is 1)"
release
expect "and it serves again" "ok" "$($ask ping)"

echo "# the helper is stopped"
hold "numa_balancing 0"
expect "set" 0 "$(cat $sysctl)"
systemctl stop ember-helper.service
expect "put back by SIGTERM" 1 "$(cat $sysctl)"
expect "file" gone "$(file_state)"
release

echo "# a predecessor died with the whole service manager's help missing"
echo 0 >$sysctl
echo "kernel.numa_balancing original 1 set 0" >$saved
expect "the next start puts back before it answers" "ok" "$($ask ping)"
expect "put back" 1 "$(cat $sysctl)"
systemctl stop ember-helper.service
echo 0 >$sysctl
echo "kernel.numa_balancing original 1 set 0" >$saved
/usr/libexec/ember/ember-helper --restore
expect "put back by hand" 1 "$(cat $sysctl)"
echo "kernel.numa_balancing orig" >$saved
/usr/libexec/ember/ember-helper --restore
expect "a file that is no such file changes nothing" 1 "$(cat $sysctl)"
expect "and is removed" gone "$(file_state)"

echo "# the administrator changes the setting meanwhile"
hold "numa_balancing 0"
echo 2 >$sysctl
release
await_helper
expect "left alone" 2 "$(cat $sysctl)"
expect "file" gone "$(file_state)"
journalctl --sync
expect "and said so" 1 "$(journalctl -b -u ember-helper.service -o cat | grep -c 'is 2, not the 0 that was set: left alone')"
hold "numa_balancing 0"
echo 1 >$sysctl
release
await_helper

echo "# given back by request"
hold "numa_balancing 0,numa_balancing back,numa_balancing back"
expect "answers: the original, then twice done" "ok 1 ok ok" "$(answers)"
expect "put back while the client is there" "1 gone" "$(cat $sysctl) $(file_state)"
release

echo "# off already"
echo 0 >$sysctl
hold "numa_balancing 0"
expect "nothing to remember" "ok 0 gone" "$(cat /tmp/answer) $(file_state)"
release
await_helper
expect "still off" 0 "$(cat $sysctl)"
echo 1 >$sysctl

echo "# DAMON_STAT"
damon_state() { echo "$(cat $damon) $(pgrep -c kdamond) $([ -e $damon_saved ] && echo saved || echo gone)"; }
if [ -e $damon ]; then
	echo Y >$damon
	hold "damon_stat N,numa_balancing 0"
	expect "answers: the originals" "ok Y ok 1" "$(answers)"
	expect "its thread has ended" "N 0 saved" "$(damon_state)"
	expect "remembered" "damon_stat.enabled original Y set N" "$(cat $damon_saved)"
	release
	expect "both put back after kill -9 of the peer" "Y 1" "$(until_is Y $damon) $(until_is 1)"
	await_helper
	expect "its thread runs" "Y 1 gone" "$(damon_state)"
	hold "damon_stat N,numa_balancing 0,damon_stat back"
	expect "one is given back, the other stays" "Y 1 gone 0" "$(damon_state) $(cat $sysctl)"
	release
	expect "until the end" 1 "$(until_is 1)"
	await_helper
	hold "damon_stat N"
	kill -9 "$(helper_pid)"
	expect "put back after kill -9 of the helper" Y "$(until_is Y $damon)"
	release
	hold "damon_stat N"
	systemctl stop ember-helper.service
	expect "put back by SIGTERM" "Y 1 gone" "$(damon_state)"
	release
	hold "damon_stat N"
	echo Y >$damon
	release
	await_helper
	expect "left alone where the administrator changed it" "Y 1 gone" "$(damon_state)"
	echo N >$damon
	hold "damon_stat N"
	expect "off already: nothing to remember" "ok N N 0 gone" "$(answers) $(damon_state)"
	release
	await_helper
	expect "still off" "N 0 gone" "$(damon_state)"
	echo Y >$damon
	# what a helper left behind that died with everything
	systemctl stop ember-helper.service
	echo "kernel.numa_balancing original 1 set 0" >$damon_saved
	/usr/libexec/ember/ember-helper --restore
	expect "a file of another setting changes nothing" "Y 1 gone" "$(damon_state)"
else
	echo "# not in this kernel"
	expect "asked for all the same" "error damon_stat.enabled: No such file or directory" "$($ask "damon_stat N")"
	expect "nothing to put back" "ok" "$($ask "damon_stat back")"
fi

echo "# what the helper may do"
hold "ping"
expect "capabilities" "cap_sys_admin" "$(capsh --decode="$(sed -n 's/^CapBnd:\t//p' "/proc/$(helper_pid)/status")" | cut -d= -f2)"
expect "other settings are out of reach" "refused" \
	"$(nsenter -m -t "$(helper_pid)" sh -c 'echo 0 >/proc/sys/vm/swappiness' 2>/dev/null || echo refused)"
expect "of the module parameters too" "refused" \
	"$(nsenter -m -t "$(helper_pid)" sh -c 'echo 1 >/sys/module/printk/parameters/time' 2>/dev/null || echo refused)"
release

echo "# idle"
for _ in {1..60}; do
	[ "$(helper_pid)" = 0 ] && break
	sleep 1
done
expect "ends when nobody has come for a while" "0 success" "$(helper_pid) $(systemctl show -P Result ember-helper.service)"
expect "the socket stays" active "$(systemctl is-active ember-helper.socket)"
exit $failed
