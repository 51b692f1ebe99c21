#!/usr/bin/env bash
# Makes testdata/speech/{anna,ben,clara}.wav: three short sentences by three
# synthetic voices, 24 kHz mono 16 bit, cut to where speech begins and ends,
# all about equally loud (-24 dBFS RMS). The demo and the tests speak them.
#
# The files are committed, so nobody needs to run this to build or test. It
# needs espeak-ng (made with 1.51) and sox (14.4.2). The same versions give the
# same bytes: sox runs without dither, espeak-ng has no randomness.
#
# usage: scripts/make-speech.sh [DIR]    (default: testdata/speech)
set -euo pipefail

cd "$(dirname "$0")/.."
dir=${1:-testdata/speech}
for tool in espeak-ng sox; do
	command -v "$tool" >/dev/null || {
		echo "make-speech: $tool is not installed (apt-get install $tool)" >&2
		exit 1
	}
done
mkdir -p "$dir"
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT

# speak NAME VOICE PITCH WORDS_PER_MINUTE PEAK_DBFS TEXT
speak() {
	espeak-ng -v "$2" -p "$3" -s "$4" --stdout "$6" >"$raw"
	# From the first sound of 1 % on to the last; reversed, cut, reversed
	# again. 5 ms ramps keep the ends from clicking.
	sox -D -R -t wav "$raw" -b 16 "$dir/$1.wav" \
		rate -v 24000 silence 1 0.005 1% fade 0.005 \
		reverse silence 1 0.005 1% fade 0.005 reverse norm "$5"
}

speak anna en-us+f3 60 178 -8 \
	'Hello, this is Anna. The weather was lovely today, so we walked along the river until the sun went down.'
speak ben en-us+m2 30 172 -3 \
	'Good evening, Ben speaking. I have five boxes of oranges here, and they are yours if you want them.'
speak clara en-gb-scotland+f4 78 160 -8 \
	'Clara here. Please meet me at the station at a quarter past nine, and do bring the yellow umbrella.'
