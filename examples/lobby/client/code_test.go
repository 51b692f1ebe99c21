package client

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// The words of arXiv 0901.4016's own examples: 127.0.0.1, 63.84.220.193 and
// 216.68.232.21.
func TestWordsAreProquints(t *testing.T) {
	for n, want := range map[uint16]string{
		0x7f00: "lusab", 0x0001: "babad", 0x3f54: "gutih", 0xdcc1: "tugad", 0xd844: "todah", 0xe815: "vobij",
		0x0000: "babab", 0xffff: "zuzuz",
	} {
		if got := word(n); got != want {
			t.Errorf("%#04x is %q, want %q", n, got, want)
		}
	}
}

func TestNewCodes(t *testing.T) {
	form := regexp.MustCompile(`^([bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]-?){3}$`)
	seen := map[string]bool{}
	for range 2000 {
		code := NewCode()
		if !form.MatchString(code) || len(code) != 17 || seen[code] {
			t.Fatalf("%q, seen %t", code, seen[code])
		}
		seen[code] = true
		if back, err := NormalizeCode(code); err != nil || back != code {
			t.Fatalf("%q is normalised to %q, %v", code, back, err)
		}
		if WeakCode(code) {
			t.Errorf("%q is weak", code)
		}
	}
}

func TestNormalizeCode(t *testing.T) {
	for in, want := range map[string]string{
		"lusab-babad-gutih":             "lusab-babad-gutih",
		" LUSAB Babad\tgutih\n":         "lusab-babad-gutih",
		"lusabbabadgutih":               "lusab-babad-gutih",
		"lusab.babad_gutih":             "lusab-babad-gutih",
		"lus-abba-badg-utih":            "lusab-babad-gutih",
		"lusab--babad--gutih":           "lusab-babad-gutih",
		"lusab-babad":                   "lusab-babad", // another code: two words
		"lusab-babad-gutie":             "lusab-babad-gutie",
		"lusab+babad+gutih":             "lusab+babad+gutih",
		"game":                          "game",
		" Our Game ":                    "our game",
		"Übung":                         "übung",
		strings.Repeat("x", 64):         strings.Repeat("x", 64),
		"550E8400-e29b-41d4-a716-44665": "550e8400-e29b-41d4-a716-44665",
	} {
		if got, err := NormalizeCode(in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "abc", "  abc  ", strings.Repeat("x", 65), strings.Repeat("x", 10000), "bad\xff", strings.Repeat(" ", 1000)} {
		if got, err := NormalizeCode(in); !errors.Is(err, ErrCode) || got != "" {
			t.Errorf("%.20q: %q, %v; want ErrCode", in, got, err)
		}
	}
}

func TestWeakCodes(t *testing.T) {
	for code, want := range map[string]bool{
		"lusab-babad-gutih":                    false,
		"LUSAB BABAD GUTIH":                    false,
		"550e8400-e29b-41d4-a716-446655440000": false,
		"babab-babab-babab":                    true,
		"game":                                 true,
		"lusab-babad":                          true,
		"aaaaaaaaaaaaaaaaaaaaaaaa":             true,
		"":                                     true,
	} {
		if got := WeakCode(code); got != want {
			t.Errorf("%q is weak: %t", code, got)
		}
	}
}

func FuzzNormalizeCode(f *testing.F) {
	for _, s := range []string{"lusab-babad-gutih", " LUSAB Babad gutih", "game", "bad\xff", "İİİİ", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, err := NormalizeCode(text)
		if err != nil {
			return
		}
		if len(code) < 4 || len(code) > 64 {
			t.Fatalf("%q is normalised to %d bytes", text, len(code))
		}
		if again, err := NormalizeCode(code); err != nil || again != code {
			t.Fatalf("%q, then %q, %v", code, again, err)
		}
	})
}
