# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the checks that use tools of the guest root, so that every machine checks with the same
# versions. Source it; it builds the root if there is none.
# shellcheck shell=bash

# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"
need_root
CHECK_ROOT=$("$EMBER_VM/build-root") || exit 1

# git_files [PATHSPEC]...: what is or would be committed, and exists.
git_files() {
	git -C "$EMBER_TOP" ls-files -co --exclude-standard --deduplicate -- "$@" |
		while read -r file; do [ -f "$EMBER_TOP/$file" ] && printf '%s\n' "$file"; done
}

# in_checkout COMMAND...: in the root, in this checkout itself.
in_checkout() {
	IN_ROOT_SRC=$EMBER_TOP in_root "$CHECK_ROOT" sh -c 'cd /src && exec "$@"' in_checkout "$@"
}

# in_build SCRIPT [ARGUMENT]...: in the root, at the checkout's copy that is built there (objects
# in /src/obj): for what needs generated files.
in_build() {
	local work script=$1
	shift
	work=$("$EMBER_VM/build-ember" --tree) || exit 1
	IN_ROOT_SRC=$work in_root "$CHECK_ROOT" sh -c "cd /src/src && $script" in_build "$@"
}
