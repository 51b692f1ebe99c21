#!/usr/bin/env bash
# Builds and vets, without C, every package that needs none, for the systems
# that the tests don't run on, and links the tests of package session there.
set -euo pipefail

cd "$(dirname "$0")/.."
go=${GO:-go}
module=$("$go" list -m)

# Packages that hold C, and those that exist to bring C and network together.
with_c="^$module(/(codec/opus|audio/portaudio|audio/speex)|/examples/.*|/integration_test(/.*)?)?\$"

for target in windows/amd64 darwin/arm64; do
	export GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0
	# -e: the packages that need C have nothing to build here.
	packages=$("$go" list -e ./... | grep -Ev "$with_c")
	# shellcheck disable=SC2086 # import paths are words
	"$go" vet $packages
	# shellcheck disable=SC2086
	"$go" build $packages
	"$go" test -c -o /dev/null ./session
	printf 'cross: %s: %d packages build and vet without C, session links its tests\n' "$target" "$(wc -w <<<"$packages")"
done
