#!/bin/sh
# Installs the system packages that Parley needs, with the system's own
# package manager. What is there already is left alone; nothing is removed.
#
# usage: scripts/setup.sh GROUP...
#   build  a C compiler, pkg-config, Opus, opusfile, PortAudio and SpeexDSP with headers
#   test   build, and a sound server, recorded phrases and network tools for
#          the tests that would skip without them
#   examples  build, and the headers of ALSA, for audio engines other than PortAudio
#   hear   test, and a program that recognises speech
#   lint   golangci-lint, by go install into ./bin
#
# On Linux: apt, dnf or pacman, with sudo unless run by root. On macOS: brew.
set -u

LINT_VERSION=2.13.1

cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/bin:$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
die() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
any_file() { for f in "$@"; do [ -e "$f" ] && return 0; done; return 1; }

# missing GROUP prints what of the group is not there, one name a line. The
# names are looked up in package_of.
missing() {
	case $1 in
	build)
		has_compiler || echo compiler
		have pkg-config || echo pkg-config
		for lib in opus opusfile portaudio-2.0 speexdsp; do
			have pkg-config && pkg-config --exists "$lib" 2>/dev/null || echo "$lib"
		done
		;;
	test)
		[ "$(uname -s)" = Linux ] || return 0
		# A second sound server would get in the way of a desktop's own.
		have pulseaudio || have pipewire-pulse || echo pulseaudio
		have pactl || echo pactl
		any_file /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so \
			/usr/lib64/alsa-lib/libasound_module_pcm_pulse.so \
			/usr/lib/alsa-lib/libasound_module_pcm_pulse.so || echo alsa-pulse
		any_file /usr/share/sounds/alsa/Front_Center.wav || echo alsa-utils
		have ip || echo ip
		have nft || echo nft
		;;
	examples)
		[ "$(uname -s)" = Linux ] || return 0 # elsewhere the engines need nothing
		have pkg-config && pkg-config --exists alsa 2>/dev/null || echo alsa
		;;
	hear)
		[ "$(uname -s)" = Linux ] || return 0 # the phrases to recognise are alsa-utils'
		have pocketsphinx_continuous || have pocketsphinx || echo pocketsphinx
		;;
	esac
}

# has_compiler: a compiler without the C library's headers is none.
has_compiler() {
	# shellcheck disable=SC2086 # CC may hold flags
	echo '#include <stdlib.h>' | ${CC:-cc} -E - >/dev/null 2>&1 ||
		{ [ -z "${CC:-}" ] && echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; }
}

manager() {
	case $(uname -s) in
	Darwin) echo brew ;;
	Linux) for m in apt-get dnf pacman; do have "$m" && { echo "$m"; return; }; done ;;
	esac
}

# package_of MANAGER NAME prints the packages that bring what is missing.
package_of() {
	case $1:$2 in
	apt-get:compiler) echo gcc libc6-dev ;;
	apt-get:opus) echo libopus-dev ;;
	apt-get:opusfile) echo libopusfile-dev ;;
	apt-get:portaudio-2.0) echo portaudio19-dev ;;
	apt-get:speexdsp) echo libspeexdsp-dev ;;
	apt-get:alsa) echo libasound2-dev ;;
	apt-get:pactl) echo pulseaudio-utils ;;
	apt-get:alsa-pulse) echo libasound2-plugins ;;
	apt-get:ip) echo iproute2 ;;
	apt-get:pocketsphinx) echo pocketsphinx pocketsphinx-en-us ;;
	dnf:compiler) echo gcc glibc-devel ;;
	dnf:pkg-config) echo pkgconf-pkg-config ;;
	dnf:opus) echo opus-devel ;;
	dnf:opusfile) echo opusfile-devel ;;
	dnf:portaudio-2.0) echo portaudio-devel ;;
	dnf:speexdsp) echo speexdsp-devel ;;
	dnf:alsa) echo alsa-lib-devel ;;
	dnf:pactl) echo pulseaudio-utils ;;
	dnf:alsa-pulse) echo alsa-plugins-pulseaudio ;;
	dnf:ip) echo iproute ;;
	dnf:pocketsphinx) echo pocketsphinx pocketsphinx-models ;;
	pacman:compiler) echo gcc ;;
	pacman:pkg-config) echo pkgconf ;;
	pacman:alsa) echo alsa-lib ;;
	pacman:pactl) echo libpulse ;;
	pacman:alsa-pulse) echo alsa-plugins ;;
	pacman:ip) echo iproute2 ;;
	brew:pkg-config) echo pkgconf ;;
	brew:compiler) ;; # see install_with
	*:portaudio-2.0) echo portaudio ;;
	*:nft) echo nftables ;;
	*) echo "$2" ;;
	esac
}

# root COMMAND... runs it as root, or fails with status 77 if that can't be.
root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 77
	fi
}

# apt ARGS...: another apt may be running, and mirrors may be slow.
apt() {
	root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 "$@"
}

apt_update() {
	say 'apt-get update'
	for wait in 3 10 0; do
		apt update >"$log" 2>&1
		status=$?
		[ $status = 0 ] || [ $status = 77 ] && return $status
		sleep $wait
	done
	return 1
}

apt_knows() {
	for p in "$@"; do
		apt-cache policy "$p" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
	done
}

install_with() {
	m=$1
	shift
	case $m in
	apt-get)
		if ! apt_knows "$@"; then
			apt_update || return
			apt_knows "$@" || return # what apt-get update said tells why
		fi
		say "apt-get install $*"
		apt install --no-install-recommends --no-remove "$@" >"$log" 2>&1
		status=$?
		[ $status = 0 ] || [ $status = 77 ] && return $status
		# The lists may be older than the mirror.
		apt_update && apt install --no-install-recommends --no-remove "$@" >"$log" 2>&1
		;;
	dnf)
		say "dnf install $*"
		root dnf -q -y --setopt=install_weak_deps=False install "$@" >"$log" 2>&1
		;;
	pacman)
		say "pacman -S $*"
		root pacman -S --needed --noconfirm "$@" >"$log" 2>&1 ||
			root pacman -Sy --needed --noconfirm "$@" >"$log" 2>&1
		;;
	brew)
		has_compiler || die 'no C compiler: run `xcode-select --install`, then this again'
		have brew || die "no Homebrew (https://brew.sh), which would install: $*"
		[ $# = 0 ] && return
		say "brew install $*"
		brew install -q "$@" >"$log" 2>&1
		;;
	esac
}

# by_hand MANAGER PACKAGE... says what a person has to type.
by_hand() {
	m=$1
	shift
	case $m in
	apt-get) echo "sudo apt-get install $*" ;;
	dnf) echo "sudo dnf install $*" ;;
	pacman) echo "sudo pacman -S $*" ;;
	brew) echo "brew install $*" ;;
	esac
}

# provide GROUP installs what the group lacks, in one go.
provide() {
	lacking=$(missing "$1")
	[ -z "$lacking" ] && return 0
	m=$(manager)
	# shellcheck disable=SC2086 # names are words
	if [ -z "$m" ]; then
		say "missing:" $lacking
		say 'no apt, dnf, pacman or brew here: install those with your own package manager, headers included'
		return 1
	fi
	packages=$(for name in $lacking; do package_of "$m" "$name"; done | tr '\n' ' ')
	packages=${packages% }
	log=$(mktemp) || return 1
	# shellcheck disable=SC2086
	install_with "$m" $packages
	status=$?
	[ $status = 0 ] || tail -n 15 "$log" >&2
	rm -f "$log"
	if [ $status = 77 ]; then
		say 'not root, and sudo is not there or wants a password'
	fi
	lacking=$(missing "$1")
	[ -z "$lacking" ] && return 0
	# shellcheck disable=SC2086
	say "still missing:" $lacking
	# shellcheck disable=SC2086
	say "install by hand: $(by_hand "$m" $packages)"
	return 1
}

lint_version() { golangci-lint version 2>/dev/null | sed -n 's/.*version v\{0,1\}\([0-9.]*\).*/\1/p'; }

provide_lint() {
	PATH=$PATH:$(go env GOPATH)/bin
	[ "$(lint_version)" = $LINT_VERSION ] && return 0
	say "go install golangci-lint v$LINT_VERSION into ./bin (a few minutes, once)"
	GOBIN=$PWD/bin GOFLAGS= go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$LINT_VERSION" ||
		die "could not install golangci-lint v$LINT_VERSION: see https://golangci-lint.run/docs/welcome/install/"
}

have go || die 'Go is not installed: see https://go.dev/doc/install'
[ $# -gt 0 ] || die "usage: scripts/setup.sh build|test|examples|hear|lint..."
for group in "$@"; do
	case $group in
	build) provide build || exit 1 ;;
	test)
		provide build || exit 1
		provide test || say 'going on without: the tests that need these will skip and say so'
		;;
	examples)
		provide build || exit 1
		provide examples || exit 1
		;;
	hear)
		provide build || exit 1
		provide test && provide hear || say 'going on without: what needs these is left out, and says so'
		;;
	lint) provide_lint ;;
	*) die "unknown group $group: want build, test, examples, hear or lint" ;;
	esac
done
say "$* ready"
