#!/bin/sh
# test.sh [FLAGS] -- PACKAGES runs go test on packages: first those that don't
# mind company, then, one at a time, those whose tests measure real time on real
# devices and links and would judge the other tests instead.
set -eu

flags=
while [ "$1" != -- ]; do
	flags="$flags $1"
	shift
done
shift

all=$("${GO:=go}" list "$@")
alone=$(printf '%s\n' "$all" | grep -E '/(integration_test(/(linkem|natlab))?|audio/portaudio)$' || true)
rest=$(printf '%s\n' "$all" | grep -vE '/(integration_test(/(linkem|natlab))?|audio/portaudio)$' || true)

status=0
# The lists are words: package paths have no spaces.
# shellcheck disable=SC2086
if [ -n "$rest" ]; then
	"$GO" test $flags $rest || status=1
fi
# shellcheck disable=SC2086
if [ -n "$alone" ]; then
	"$GO" test -p 1 $flags $alone || status=1
fi
exit $status
