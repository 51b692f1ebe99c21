#!/usr/bin/env bash
# Runs every fuzz target of the given packages, one after another, for
# FUZZTIME (default 60s) each, and says at the end which ones failed.
#
# usage: FUZZTIME=10s scripts/fuzz.sh [PACKAGE...]
set -euo pipefail

cd "$(dirname "$0")/.."
go=${GO:-go}
time=${FUZZTIME:-60s}
[ $# -gt 0 ] || set -- ./...

# `go test -list` compiles each test binary; its output names the targets of
# a package and then the package.
targets=()
pending=()
listing=$("$go" test -list '^Fuzz' "$@")
while read -r first second _; do
	case $first in
	Fuzz*) pending+=("$first") ;;
	ok)
		for name in ${pending[@]+"${pending[@]}"}; do targets+=("$second $name"); done
		pending=()
		;;
	esac
done <<<"$listing"

failed=()
count=0
for target in ${targets[@]+"${targets[@]}"}; do
	read -r package name <<<"$target"
	count=$((count + 1))
	printf 'fuzz %d/%d: %s %s for %s\n' "$count" "${#targets[@]}" "$package" "$name" "$time"
	if ! "$go" test -run='^$' -fuzz="^$name\$" -fuzztime="$time" "$package"; then
		failed+=("$target")
	fi
done

if [ ${#failed[@]} -gt 0 ]; then
	printf 'fuzz: FAILED %s\n' "${failed[@]}"
	exit 1
fi
printf 'fuzz: %d targets passed, %s each\n' "${#targets[@]}" "$time"
