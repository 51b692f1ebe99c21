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

# fuzz PACKAGE NAME runs one target. Until Go 1.27 the end of FUZZTIME itself can
# be reported as a failure (golang/go#75804): a run that complains of nothing but
# the deadline, and wrote no failing input, is made again, twice at most. What a
# run says after its progress is shown once it is known which of the two it is.
fuzz() {
	local try output status
	output=$(mktemp)
	for try in 1 2 3; do
		status=0
		"$go" test -run='^$' -fuzz="^$2\$" -fuzztime="$time" -fuzzminimizetime=100x "$1" 2>&1 |
			tee "$output" | { grep --line-buffered '^fuzz: elapsed' || true; } || status=$?
		if [ "$status" != 0 ] && [ "$try" -lt 3 ] && grep -q '^    context deadline exceeded$' "$output" &&
			! grep -Eq 'Failing input|panic|_test.go:' "$output"; then
			printf 'fuzz: stopped by its own deadline, not by a finding (attempt %d)\n' "$try"
			continue
		fi
		grep -v '^fuzz: elapsed' "$output" || true
		break
	done
	rm -f "$output"
	return "$status"
}

failed=()
count=0
for target in ${targets[@]+"${targets[@]}"}; do
	read -r package name <<<"$target"
	count=$((count + 1))
	printf 'fuzz %d/%d: %s %s for %s\n' "$count" "${#targets[@]}" "$package" "$name" "$time"
	fuzz "$package" "$name" || failed+=("$target")
done

if [ ${#failed[@]} -gt 0 ]; then
	printf 'fuzz: FAILED %s\n' "${failed[@]}"
	exit 1
fi
printf 'fuzz: %d targets passed, %s each\n' "${#targets[@]}" "$time"
