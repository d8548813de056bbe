# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of emberctl
_emberctl_pool() { # WORD
	local words='list add remove --json --help' pool
	case "$COMP_CWORD:${COMP_WORDS[2]}" in
	2:*) ;;
	*:add) words='--node= --force --json --help' ;;
	*:remove)
		words='--json --help'
		for pool in /sys/kernel/ember/pool*; do
			[ ! -d "$pool" ] || words+=" ${pool##*/pool}"
		done
		;;
	*) words='--json --help' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$1")
	[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
}
_emberctl() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'status pool check-node version help' -- "$cur")
		return
	fi
	local options
	case ${COMP_WORDS[1]} in
	pool) _emberctl_pool "$cur"; return ;;
	status) options='--json --watch --watch= --areas --socket= --help' ;;
	check-node) options='--json --socket= --help' ;;
	*) return ;;
	esac
	# bash takes "=" for a word of its own
	if [ "$cur" = = ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
		case "${COMP_WORDS[*]:1:COMP_CWORD}" in
		*--socket*=*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "${cur#=}") ;;
		esac
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
}
complete -F _emberctl emberctl
