#!/bin/sh
# test.sh [FLAGS] -- PACKAGES runs go test on packages: first those that don't
# mind company; then those whose tests measure real time on real devices and links,
# and would judge the other tests instead, but leave each other a processor; and at
# last, alone, whole calls. Of those between real programs three are held at a time.
set -eu

flags=
while [ "$1" != -- ]; do
	flags="$flags $1"
	shift
done
shift

all=$("${GO:=go}" list "$@")
calls='/integration_test$'
timed='/(integration_test/(linkem|natlab)|audio/portaudio)$'
status=0

# run FLAGS PACKAGES tests packages, if there are any.
run() {
	# Flags and packages are words: package paths have no spaces.
	# shellcheck disable=SC2086
	[ -z "$2" ] || "$GO" test $flags $1 $2 || status=1
}

run '' "$(printf '%s\n' "$all" | grep -vE "$calls|$timed")"
run '-p 2' "$(printf '%s\n' "$all" | grep -E "$timed")"
run '-parallel 3' "$(printf '%s\n' "$all" | grep -E "$calls")"
exit $status
