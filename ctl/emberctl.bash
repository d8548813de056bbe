# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of emberctl
_emberctl() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'status check-node version help' -- "$cur")
		return
	fi
	local options
	case ${COMP_WORDS[1]} in
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
