// Package speex takes echo and noise out of what a microphone recorded, by
// libspeexdsp: an [audio.Processor] for the chain of a session.
//
// The library works on 16 bit samples, so what is beyond full scale is cut and
// what is below -96 dBFS is lost. It writes a line to standard error should its
// echo canceller ever have to begin anew, which finite input doesn't lead to.
package speex
