#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The unit files: systemd finds nothing to complain about, and they stay as closed as they were.
set -u
failed=0

for unit in emberd.service ember-helper.service ember-helper.socket; do
	if complaints=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$unit" 2>&1) && [ -z "$complaints" ]; then
		echo "ok: systemd-analyze verify $unit: nothing"
	else
		echo "FAILED: systemd-analyze verify $unit: expected nothing, saw: $complaints"
		failed=1
	fi
done

# Exposure in tenths; what remains is what the units say that they need.
for limit in "emberd.service 22" "ember-helper.service 12"; do
	read -r unit tenths <<<"$limit"
	seen=$(systemd-analyze security --offline=yes --no-pager "/usr/lib/systemd/system/$unit" | sed -n 's/^→ Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
	if [ -n "$seen" ] && [ "${seen/./}" -le "$tenths" ]; then
		echo "ok: exposure of $unit: $seen"
	else
		echo "FAILED: exposure of $unit: expected at most $tenths tenths, saw $seen"
		failed=1
	fi
done

caps=$(systemctl show -P AmbientCapabilities emberd.service | tr ' ' '\n' | sort | paste -sd' ')
if [ "$caps" = "cap_bpf cap_net_admin cap_perfmon cap_sys_nice cap_sys_ptrace" ]; then
	echo "ok: capabilities of emberd: $caps"
else
	echo "FAILED: capabilities of emberd: $caps"
	failed=1
fi
# What emberd itself calls hopeless must not be tried again; no condition may hide it.
hopeless=$(emberd --help | tr ';' '\n' | tr '\n' ' ' | grep -oE '\b1[0-9] [a-z]' | cut -d' ' -f1 | paste -sd' ')
prevented=$(systemctl show -P RestartPreventExitStatus emberd.service)
if [ -n "$hopeless" ] && [ "$hopeless" = "$prevented" ]; then
	echo "ok: not started again after: $prevented"
else
	echo "FAILED: emberd --help says \"$hopeless\", RestartPreventExitStatus= says \"$prevented\""
	failed=1
fi
conditions=$(systemctl cat emberd.service | grep -E '^(Condition|Assert)')
if [ -z "$conditions" ]; then
	echo "ok: no condition makes a start succeed without a word"
else
	echo "FAILED: conditions of emberd.service: $conditions"
	failed=1
fi
exit $failed
