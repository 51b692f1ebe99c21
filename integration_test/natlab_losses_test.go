//go:build linux

package integration_test

import (
	"fmt"
	"strings"

	"github.com/parley-voice/parley/integration_test/chatlab"
)

// tellLosses says in words where speech wasn't heard as it was said: the gaps of
// the recording, and the seconds in which the listener counted some as missing,
// concealed or discarded. For whoever reads why a row failed.
func (h *heard) tellLosses() string {
	if len(h.report) == 0 {
		return ""
	}
	var b strings.Builder
	began := h.report[0].At
	for _, g := range h.report.Gaps() {
		fmt.Fprintf(&b, "\n  recording: %v of what was said at %.2f s", g.Length(), g.From.Sub(began).Seconds())
	}
	var before chatlab.Peer
	for _, l := range h.lines {
		p, ok := l.Peers[h.talker.id]
		if !ok || l.Final {
			continue
		}
		at := chatlab.At(l.T).Sub(began)
		if p.Concealed > before.Concealed || p.Discarded > before.Discarded || p.Late > before.Late {
			fmt.Fprintf(&b, "\n  counted to %.2f s: %+.1f ms concealed, %+.1f ms discarded, %+d missing, %+d late; buffer %.0f of %.0f ms, rtt %.0f ms, path change %d (%+d)",
				at.Seconds(), p.Concealed-before.Concealed, p.Discarded-before.Discarded, int64(p.Missing-before.Missing), int64(p.Late-before.Late),
				p.Buffer, p.Target, p.RTT, p.PathChanges, int64(p.PathChanges-before.PathChanges))
		}
		before = p
	}
	if b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s:%s", h.listener.name, h.talker.name, b.String())
}

// tell logs where speech of either wasn't heard.
func (s *stage) tell(both [2]*heard) {
	s.t.Helper()
	for _, h := range both {
		if text := h.tellLosses(); text != "" {
			s.t.Log(text)
		}
	}
}
