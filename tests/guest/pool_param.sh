#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pool_param.sh ADDRESS: the module's parameter. 16 MiB from ADDRESS on are set apart.
# shellcheck source=tests/guest/pool_lib.sh
. "$(dirname "$0")/pool_lib.sh"
reserved=$1

# Each range that can be used is, each that cannot is said.
load "$reserved+2M,nonsense,$((reserved + 0x400000))+0x200000:1,$((reserved + 0x800000))+3M,0x10000000+2M,,$reserved+2M,1M:0,$((reserved + 0xc00000))+2M:x"
expect "first range" "ready 0" "$(settled "$reserved")"
expect "third range" "ready 0" "$(settled $((reserved + 0x400000)))"
expect "its node" 1 "$(value "$(pool_at $((reserved + 0x400000)))" node)"
expect "its length" 2097152 "$(value "$(pool_at $((reserved + 0x400000)))" bytes)"
expect "ordinary memory" "failed -6" "$(settled 0x10000000)"
expect "pools" 3 "$(find "$pools" -name 'pool*' | wc -l)"
expect "not understood" 4 "$(said 'ember: pools: cannot understand')"
expect "by name" 1 "$(said 'cannot understand "nonsense"')"
expect "wrong length" 1 "$(said 'ember: pools: 3145728 bytes at .* error -22')"
expect "said twice" 1 "$(said 'ember: pools: 2097152 bytes at .* error -17')"
expect "cannot be added" 1 "$(said 'cannot be added: -6')"
rmmod ember || { echo "FAIL rmmod"; status=1; }
expect "the range is free" 0 "$(grep -c 'ember pool' /proc/iomem)"
exit "$status"
