#!/bin/sh
# concurrent.sh PACKAGES lists those of them in which something runs beside
# something else, or is meant to, in their code or in their tests. In the others
# the race detector could find nothing, and would take minutes for it.
set -eu

listed=$("${GO:=go}" list -f '{{.ImportPath}} {{.Dir}}' "$@")
found=$(printf '%s\n' "$listed" | while read -r package dir; do
	if grep -qE '(^|[[:space:]])go (func|[[:alnum:]_.]+)\(|\.Go\(|\.Parallel\(\)|"testing/synctest"' "$dir"/*.go ||
		find "$dir" -maxdepth 1 -name '*.go' ! -name '*_test.go' -exec grep -qE '"sync(/atomic)?"' {} +; then
		printf '%s\n' "$package"
	fi
done)
if [ -z "$found" ]; then
	echo "concurrent.sh: nothing is concurrent in $*" >&2
	exit 1
fi
printf '%s\n' "$found"
