#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts about pools share.
# shellcheck shell=bash disable=SC2034
status=0
pools=/sys/kernel/ember

expect() { # TEXT WANTED SEEN
	if [ "$2" = "$3" ]; then
		echo "ok   $1: $3"
	else
		echo "FAIL $1: want $2, saw $3"
		status=1
	fi
}

value() { cat "$pools/$1/$2"; }

pool_at() { # ADDRESS: its name
	local at
	at=$(printf '0x%x' $(($1)))
	for pool in "$pools"/pool*; do
		[ "$(cat "$pool/start" 2>/dev/null)" = "$at" ] && basename "$pool" && return
	done
	echo none
}

settled() { # ADDRESS: the pool's state and error, once it is decided
	local pool
	pool=$(pool_at "$1")
	for _ in $(seq 500); do
		[ "$(value "$pool" state)" = adding ] || break
		sleep 0.02
	done
	echo "$(value "$pool" state) $(value "$pool" error)"
}

load() { # POOLS
	dmesg -C
	rmmod ember 2>/dev/null
	modprobe ember "pools=$1" || { echo "FAIL modprobe ember pools=$1"; exit 1; }
}

said() { dmesg | grep -c -- "$1"; }
