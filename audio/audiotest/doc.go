// Package audiotest makes sound with known content, finds it again in a
// recording, and judges how well it arrived: chirps and speech, sources and
// sinks in memory, delays by cross-correlation, intelligibility by STOI.
//
// It is support for tests, measurements and the demo. All PCM is 48 kHz float32
// mono unless said otherwise. Nothing here starts a goroutine, reads a clock or
// depends on package testing, and everything is deterministic.
package audiotest
