#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# emberd, as the service with its capabilities, promotes memory that several processes map.
set -u
policy=/etc/ember/policy.d/90-test.json
failed=0
systemd-sysusers
systemctl daemon-reload
mkdir -p "${policy%/*}"
echo '{"version": 1, "global": {"numa_balancing": "off"}, "rules": [{"match": {"comm": "shared_memory"}}]}' >$policy
systemctl start emberd || { echo "not ok: the service does not start"; failed=1; }
/usr/lib/ember/tests/shared_memory --seconds 120 || failed=1

promoted() { # shared pages, by the books; these are brought up to date every few seconds
	emberctl status --json | python3 -c '
import json, sys
print(sum(m["applied_pages"] for m in json.load(sys.stdin)["moves"]
          if m["mover"] == "move_pages_all" and m["direction"] == "promote"))'
}

for _ in $(seq 60); do
	moved=$(promoted)
	[ "${moved:-0}" -ge 1900 ] && break
	sleep 0.5
done
if [ "${moved:-0}" -ge 1900 ]; then
	echo "ok: the books: $moved shared pages were promoted"
else
	echo "not ok: the books: expected 1900 promoted shared pages or more, saw ${moved:-none}"
	emberctl status
	failed=1
fi
systemctl stop emberd
rm $policy
exit $failed
