#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The checking program finds both kinds of a mover that was broken on purpose. Losing an update takes
# a writer in the very moment: up to three runs, as an emulated machine may be too slow for one.
dir=$(dirname "$0")
caught() { # KIND
	for _ in 1 2 3; do
		"$dir/migrate_check" --seconds 15 --pages 4096 --break "$1" && return
	done
	return 1
}
status=0
for kind in flip drop; do
	caught "$kind" || status=1
done
exit $status
