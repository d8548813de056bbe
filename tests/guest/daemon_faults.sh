#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What keeps emberd from running gives one clear line and its own exit status; what ends it leaves
# nothing behind. Needs two tiers, except for "one-tier", which needs one:
#
#   daemon_faults.sh            all but one-tier
#   daemon_faults.sh one-tier   on a machine with one memory
# shellcheck disable=SC2317 # soon calls them
set -u
failed=0
ok() { echo "ok: $*"; }
bad() {
	echo "not ok: $*"
	failed=1
}

export PYTHONPATH=${0%/*}
say() { # EXPRESSION of Python about emberd.py; nothing if it cannot be told now
	python3 -c "import emberd; print($1)" 2>/dev/null
}
# Until COMMAND succeeds, at the latest after 60 s: all that is waited for here comes soon, but on a loaded machine.
soon() { # COMMAND...
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}
says() { [ "$(say "$2")" = "$1" ]; } # VALUE EXPRESSION

# expect STATUS PATTERN WHAT COMMAND...: COMMAND ends with STATUS and says one line with PATTERN.
expect() {
	local want=$1 pattern=$2 what=$3 out status
	shift 3
	out=$(timeout 60 "$@" 2>&1)
	status=$?
	if [ $status != "$want" ]; then
		bad "$what: expected exit status $want, saw $status: $out"
	elif ! grep -qE "$pattern" <<<"$out"; then
		bad "$what: expected a line like \"$pattern\", saw: $out"
	elif [ "$(grep -c 'error' <<<"$out")" -gt 1 ]; then
		bad "$what: expected one line, saw: $out"
	else
		ok "$what: $status: $(grep error <<<"$out")"
	fi
}

nothing_left() { # WHAT
	local progs modref
	progs=$(bpftool prog list 2>/dev/null | grep -c 'name ember_')
	modref=$(cat /sys/module/ember/refcnt 2>/dev/null || echo 0)
	if [ "$progs" = 0 ] && [ "$modref" = 0 ] && ! pgrep -x emberd >/dev/null; then
		ok "$1: no program attached, no module reference"
	else
		bad "$1: $progs programs, module references $modref, $(pgrep -xc emberd) daemons"
	fi
}

nr_programs() { bpftool prog list | grep -c 'name ember_'; }
has_programs() { [ "$(nr_programs)" -gt 0 ]; }
has_ended() { [ "$(nr_programs)" = 0 ] && [ "$(cat /sys/module/ember/refcnt)" = 0 ]; }
wait_ended() { soon has_ended; } # the kernel frees programs a little after the last descriptor is closed

balancing() { cat /proc/sys/kernel/numa_balancing; }
is_balancing() { [ "$(balancing)" = "$1" ]; }
balancing_is() { # VALUE WHAT
	local now
	now=$(balancing)
	if [ "$now" = "$1" ]; then ok "$2"; else bad "$2: kernel.numa_balancing is $now, expected $1"; fi
}

wait_balancing() { # VALUE: the helper is started on demand and takes its time
	soon is_balancing "$1"
}

systemd-sysusers
systemctl daemon-reload

if [ "${1-}" = one-tier ]; then
	modprobe ember
	expect 14 'one memory tier' "a machine with one memory" emberd
	nothing_left "after one-tier"
	# As a service: it fails, for that reason, says why in one line, and is not started again.
	if systemctl start emberd; then
		bad "systemctl start says that emberd runs on a machine with one memory"
	else
		ok "systemctl start fails"
	fi
	sleep 5 # RestartSec= twice
	state=$(systemctl show emberd -p ActiveState -p Result -p ExecMainStatus -p NRestarts | sort | paste -sd' ')
	if [ "$state" = "ActiveState=failed ExecMainStatus=14 NRestarts=0 Result=exit-code" ]; then
		ok "the service: $state"
	else
		bad "the service: expected failed, exit-code, 14, no restart; saw $state"
	fi
	journalctl --sync
	said=$(journalctl -b -o cat -p err _SYSTEMD_UNIT=emberd.service)
	if [ "$(wc -l <<<"$said")" = 1 ] && grep -q 'one memory tier' <<<"$said"; then
		ok "the journal: $said"
	else
		bad "the journal: expected one line about the one memory tier, saw: $said"
	fi
	nothing_left "after the service on one tier"
	exit $failed
fi

# The policy, before anything else is touched.
mkdir -p /tmp/policy
echo '{"version": 1, "rules": [{"match": {"min_rss": "64"}}]}' >/tmp/policy/10-bad.json
expect 10 '10-bad.json: /rules/0.*' "a policy with an error" emberd --policy-dir /tmp/policy
echo '{"version": 1, "rules": []}' >/tmp/policy/10-bad.json
chmod 666 /tmp/policy/10-bad.json
expect 10 '10-bad.json' "a policy that others may write" emberd --policy-dir /tmp/policy
rm -r /tmp/policy
expect 2 'usage' "an unknown option" emberd --nonsense
expect 0 'ok' "checking the policy" emberd --check

# The module.
rmmod ember 2>/dev/null
expect 11 'not loaded.*modprobe ember' "no module" emberd
modprobe ember
expect 16 'missing: CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_SYS_NICE, CAP_NET_ADMIN\. Start emberd with' "no capabilities" \
	setpriv --reuid 65534 --clear-groups --inh-caps=-all --bounding-set=-all emberd --runtime-dir /tmp
expect 16 'missing: CAP_SYS_NICE\. Start emberd with' "one capability missing" setpriv --bounding-set=-sys_nice emberd
nothing_left "after refusals"

# As a service.
echo 1 >/proc/sys/kernel/numa_balancing
mkdir -p /run/ember/policy.d
echo '{"version": 1, "rules": [{"name": "from run", "match": {"comm": "hotset"}}]}' >/run/ember/policy.d/10-run.json
systemctl start emberd || bad "the service does not start: $(journalctl -u emberd -o cat | tail -n 3)"
expect 15 'another emberd' "a second emberd" emberd
expect 15 'another emberd' "a second emberd with a directory of its own" emberd --runtime-dir /tmp/other
if systemctl is-active -q emberd && emberctl status >/dev/null; then
	ok "the first one goes on"
else
	bad "the first emberd suffered"
fi
wait_balancing 0
balancing_is 0 "automatic NUMA balancing is off while it is in the way"

# A reload with an error keeps the old policy and says so; a good one takes effect.
mkdir -p /etc/ember/policy.d
echo '{"version": 1, "global": {"period": "2"}}' >/etc/ember/policy.d/90-test.json
systemctl reload emberd
if soon says True 'emberd.status()["policy"]["rejected"]' && systemctl is-active -q emberd; then
	ok "a bad policy is rejected, the service goes on"
else
	bad "a bad policy at reload"
fi
# The first look at the settings is over (it writes the status text): what follows needs another.
has_status_text() { [ -n "$(systemctl show -P StatusText emberd)" ]; }
soon has_status_text
ok "status text: $(systemctl show -P StatusText emberd)"
echo '{"version": 1, "global": {"numa_balancing": "leave"}}' >/etc/ember/policy.d/90-test.json
systemctl reload emberd
wait_balancing 1
balancing_is 1 "a good policy (\"leave\") takes effect: the sysctl is given back"
rm /etc/ember/policy.d/90-test.json
systemctl reload emberd
wait_balancing 0

# The administrator's policy in /run: in force (below, by the rule's name), and no service takes it away.
systemctl restart emberd
in_run=$(stat -c '%U %a' /run/ember /run/ember/policy.d /run/ember/policy.d/10-run.json | paste -sd,)
if [ "$in_run" = 'root 755,root 755,root 644' ]; then
	ok "/run/ember/policy.d outlives a restart and belongs to root"
else
	bad "/run/ember, policy.d and the file after a restart: expected root's, saw $in_run"
fi
wait_balancing 0

# Stop, and kill at any moment.
systemctl stop emberd
wait_ended
nothing_left "after stop"
balancing_is 1 "stop restores the sysctl"
# Populated first and slow after that: attaching a program patches code of the page fault path, and an
# emulated CPU that runs through it at that moment may trip over the half-written instruction
# ("Oops: int3"), which real ones do not.
/usr/lib/ember/tests/hotset --size 900MiB --hot 100MiB --duration 0 --mark none --rate 5000 >/tmp/load.out &
load=$!
soon grep -q READY /tmp/load.out || bad "the load is not ready: $(cat /tmp/load.out)"
# DAMON_STAT takes accessed bits: off while somebody is followed, put back whatever happens.
damon=/sys/module/damon_stat/parameters/enabled
is_damon() { [ "$(cat "$damon") $(pgrep -c kdamond)" = "$1 $([ "$1" = Y ] && echo 1 || echo 0)" ]; }
wait_damon() { # VALUE WHAT
	if soon is_damon "$1"; then
		ok "$2"
	else
		bad "$2: expected DAMON_STAT $1, saw $(cat $damon), $(pgrep -c kdamond) threads"
	fi
}
nr_put_back() { journalctl --sync && journalctl -b -u ember-helper.service -o cat | grep -c 'damon_stat.enabled: Y, put back'; }
put_back_since() { [ "$(nr_put_back)" -gt "$1" ]; }
if [ -e $damon ]; then
	echo Y >$damon
	systemctl start emberd
	wait_damon N "DAMON_STAT is off while a process is followed"
	if soon says True 'emberd.status()["damon_stat"]["borrowed"]'; then
		ok "status says that DAMON_STAT is borrowed"
	else
		bad "status does not know that DAMON_STAT is borrowed"
	fi
	echo '{"version": 1, "global": {"damon_stat": "leave"}}' >/etc/ember/policy.d/90-test.json
	systemctl reload emberd
	wait_damon Y "a policy that says leave: DAMON_STAT is given back"
	if is_balancing 0; then
		ok "and automatic NUMA balancing is not"
	else
		bad "giving DAMON_STAT back gave kernel.numa_balancing back too"
	fi
	rm /etc/ember/policy.d/90-test.json
	systemctl reload emberd
	wait_damon N "and off again"
	before=$(nr_put_back)
	systemctl kill -s KILL ember-helper
	if soon put_back_since "$before"; then
		ok "the helper is killed: it is put back"
	else
		bad "a killed helper left DAMON_STAT off"
	fi
	wait_damon N "and taken again"
	systemctl kill -s KILL emberd
	wait_damon Y "emberd is killed: it is put back"
	systemctl stop emberd
	systemctl reset-failed emberd 2>/dev/null
	wait_ended
else
	ok "no DAMON_STAT in this kernel: nothing of it to borrow"
fi
rule_of_load='[p["rule"] for p in emberd.status()["processes"] if p["comm"] == "hotset"]'
# First by time alone, which hits it while it starts; then when it is at work, which is asserted.
for delay in 0.3 1.1 attached moving; do
	systemctl start --no-block emberd
	case $delay in
	attached)
		if soon has_programs; then
			ok "programs are attached before the kill: $(nr_programs)"
		else
			bad "no program attached within 60 s"
		fi
		;;
	moving)
		if soon says True 'emberd.applied_pages() > 0'; then
			ok "pages moved before the kill: $(say 'emberd.applied_pages()')"
		else
			bad "no page moved within 60 s"
		fi
		if soon says "['from run']" "$rule_of_load"; then
			ok "the rule in /run/ember/policy.d is in force"
		else
			bad "the rule in force: expected \"from run\", saw $(say "$rule_of_load")"
		fi
		;;
	*) sleep "$delay" ;;
	esac
	systemctl kill -s KILL emberd
	systemctl stop emberd
	systemctl reset-failed emberd 2>/dev/null
	wait_ended
	nothing_left "after kill -9, at $delay"
	wait_balancing 1
	is_balancing 1 || bad "kill -9 at $delay left the sysctl changed"
	[ ! -e $damon ] || wait_damon Y "kill -9 at $delay leaves DAMON_STAT on"
done
kill $load
rm -r /run/ember/policy.d
exit $failed
