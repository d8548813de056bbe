#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The checking program finds both kinds of a mover that was broken on purpose.
dir=$(dirname "$0")
status=0
for kind in flip drop; do
	"$dir/migrate_check" --seconds 15 --pages 4096 --break "$kind" || status=1
done
exit $status
