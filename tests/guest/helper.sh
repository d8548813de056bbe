#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ember-helper: starts by its socket, borrows kernel.numa_balancing, gives it back whatever
# happens, refuses everything else. The clients are tests/guest/helper_ask.c.
set -u
ask=/usr/lib/ember/tests/helper_ask
sysctl=/proc/sys/kernel/numa_balancing
saved=/run/ember-helper/saved
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
until_is() { # VALUE: the setting, at the latest after 10 s
	for _ in {1..100}; do
		[ "$(cat $sysctl)" = "$1" ] && break
		sleep 0.1
	done
	cat $sysctl
}
hold() { # REQUEST: a client that asks once and stays; sets $client
	rm -f /tmp/answer
	setpriv --reuid=ember --regid=ember --clear-groups $ask --hold "$1" >/tmp/answer &
	client=$!
	for _ in {1..100}; do
		[ -s /tmp/answer ] && break
		sleep 0.1
	done
}
release() { kill -9 "$client" 2>/dev/null; wait "$client" 2>/dev/null; }
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
	"numa_balancing 0 0" "ping 1" "PING" "$(printf 'x%.0s' {1..64})" "$(printf 'x%.0s' {1..4000})" "numa_balancing 0;reboot"; do
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
kill -9 "$client"
wait "$client" 2>/dev/null
expect "put back after kill -9 of the peer" 1 "$(until_is 1)"
sleep 0.2
expect "file" gone "$(file_state)"

echo "# asking twice on one connection"
echo 2 >$sysctl
hold "numa_balancing 0,numa_balancing 0,version"
expect "both answers" "ok 2 ok 2" "$(head -n 2 /tmp/answer | paste -sd' ')"
release
expect "put back to what it was" 2 "$(until_is 2)"
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
sleep 1
expect "left alone" 2 "$(cat $sysctl)"
expect "file" gone "$(file_state)"
expect "and said so" 1 "$(journalctl -b -u ember-helper.service -o cat | grep -c 'is 2, not the 0 that was set: left alone')"
hold "numa_balancing 0"
echo 1 >$sysctl
release
sleep 0.5

echo "# off already"
echo 0 >$sysctl
hold "numa_balancing 0"
expect "nothing to remember" "ok 0 gone" "$(cat /tmp/answer) $(file_state)"
release
sleep 0.5
expect "still off" 0 "$(cat $sysctl)"
echo 1 >$sysctl

echo "# what the helper may do"
hold "ping"
expect "capabilities" "cap_sys_admin" "$(capsh --decode="$(sed -n 's/^CapBnd:\t//p' "/proc/$(helper_pid)/status")" | cut -d= -f2)"
expect "other settings are out of reach" "refused" \
	"$(nsenter -m -t "$(helper_pid)" sh -c 'echo 0 >/proc/sys/vm/swappiness' 2>/dev/null || echo refused)"
release

echo "# idle"
for _ in {1..30}; do
	[ "$(helper_pid)" = 0 ] && break
	sleep 1
done
expect "ends when nobody has come for a while" "0 success" "$(helper_pid) $(systemctl show -P Result ember-helper.service)"
expect "the socket stays" active "$(systemctl is-active ember-helper.socket)"
exit $failed
