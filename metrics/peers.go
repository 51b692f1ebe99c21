package metrics

import "github.com/parley-voice/parley/session"

var ofPeers = join(aboutPeers, aboutMessages, whatPeersHear, whatIsHeard, aboutLinks)

func join(lists ...[]metric[session.PeerStats]) (all []metric[session.PeerStats]) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var aboutPeers = []metric[session.PeerStats]{
	{"parley_peer_reachable", "1 if there is a way and both sides greeted.", gauge, func(p *session.PeerStats) float64 { return yes(p.Reachable) }},
	{"parley_peer_muted", "1 if the peer muted itself.", gauge, func(p *session.PeerStats) float64 { return yes(p.Muted) }},
	{"parley_peer_deafened", "1 if the peer deafened itself.", gauge, func(p *session.PeerStats) float64 { return yes(p.Deafened) }},
	{"parley_peer_recording", "1 while the peer says that it records.", gauge, func(p *session.PeerStats) float64 { return yes(p.Recording) }},
	{"parley_peer_moderated", "1 while a moderator has muted the peer for all.", gauge, func(p *session.PeerStats) float64 { return yes(p.Moderated) }},
	{"parley_peer_speaking", "1 while the peer is heard.", gauge, func(p *session.PeerStats) float64 { return yes(p.Speaking) }},
	{"parley_peer_level_dbfs", "Level of the peer's voice: RMS in dB below full scale.", gauge, func(p *session.PeerStats) float64 { return p.Level }},
	{"parley_peer_joined_timestamp_seconds", "When the peer joined, in Unix time.", gauge, func(p *session.PeerStats) float64 { return timestamp(p.Joined) }},
	{"parley_peer_rtt_seconds", "Round trip to the peer; 0 until measured.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Path.RTT) }},
	{"parley_peer_lanes", "Lanes that voice is striped over.", gauge, func(p *session.PeerStats) float64 { return float64(p.Path.Lanes) }},
	{"parley_peer_ordered", "1 if all comes in the order in which it was sent, as through a relay: what is lost holds up the rest.", gauge, func(p *session.PeerStats) float64 { return yes(p.Path.Ordered) }},
}

var aboutMessages = []metric[session.PeerStats]{
	{"parley_peer_messages_sent_total", "Texts and data given to the link.", counter, func(p *session.PeerStats) float64 { return count(p.Messages.Sent) }},
	{"parley_peer_messages_waiting", "Texts and data that wait to be.", gauge, func(p *session.PeerStats) float64 { return float64(p.Messages.Waiting) }},
	{"parley_peer_messages_dropped_total", "Texts and data that the peer missed: too many waited, it came anew in the middle of one, or takes none.", counter, func(p *session.PeerStats) float64 { return count(p.Messages.Dropped) }},
	{"parley_peer_messages_received_total", "Texts and data of the peer that the application was told of.", counter, func(p *session.PeerStats) float64 { return count(p.Messages.Received) }},
	{"parley_peer_messages_refused_total", "Texts and data of the peer that it was not: the peer is blocked, may not speak, or spoke where we don't listen.", counter, func(p *session.PeerStats) float64 { return count(p.Messages.Refused) }},
	{"parley_peer_messages_flooded_parts_total", "Parts of texts and data that came faster than they are taken.", counter, func(p *session.PeerStats) float64 { return count(p.Messages.Flooded) }},
}

var whatPeersHear = []metric[session.PeerStats]{
	{"parley_peer_addressed", "1 while what we say reaches the peer: nobody blocks, and it listens where we speak.", gauge, func(p *session.PeerStats) float64 { return yes(p.Addressed) }},
	{"parley_peer_packets_sent_total", "Voice packets given to the link.", counter, func(p *session.PeerStats) float64 { return count(p.Sent) }},
	{"parley_peer_packets_send_dropped_total", "Voice packets that the link refused, since it could not send them in time.", counter, func(p *session.PeerStats) float64 { return count(p.SendDropped) }},
	{"parley_peer_copies_sent_total", "Copies of earlier packets sent along.", counter, func(p *session.PeerStats) float64 { return count(p.Copies) }},
	{"parley_peer_copy_offset_packets", "How many packets back a copy is sent now; 0 for none.", gauge, func(p *session.PeerStats) float64 { return float64(p.CopyOffset) }},
	{"parley_peer_voice_sent_bytes_total", "Bytes of voice packets sent.", counter, func(p *session.PeerStats) float64 { return count(p.BytesOut) }},
	{"parley_peer_lean", "1 while the peer gets an encoding with a lower bitrate.", gauge, func(p *session.PeerStats) float64 { return yes(p.Lean) }},
	{"parley_peer_thin", "1 while it is the one with the lowest.", gauge, func(p *session.PeerStats) float64 { return yes(p.Thin) }},
	{"parley_peer_fec", "1 while the peer gets in-band FEC.", gauge, func(p *session.PeerStats) float64 { return yes(p.FEC) }},
	{"parley_peer_packet_frames", "Frames in each packet that the peer gets, copies apart.", gauge, func(p *session.PeerStats) float64 { return float64(p.FramesPerPacket) }},
	{"parley_peer_reported_loss_ratio", "Share of packets, 0 to 1, that the network lost on the first try, as the peer last reported.", gauge, func(p *session.PeerStats) float64 { return p.ReportedLoss }},
	{"parley_peer_reported_unrecovered_ratio", "Share of packets, 0 to 1, that the peer had to conceal, as it last reported.", gauge, func(p *session.PeerStats) float64 { return p.ReportedUnrecovered }},
}

var whatIsHeard = []metric[session.PeerStats]{
	{"parley_peer_packets_received_total", "Packets that reached the jitter buffer, copies included.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Received) }},
	{"parley_peer_packets_duplicate_total", "Packets that were there already.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Duplicate) }},
	{"parley_peer_packets_late_total", "Packets whose time had passed.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Late) }},
	{"parley_peer_packets_rejected_total", "Packets that contradict others.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Rejected) }},
	{"parley_peer_heard_gain_ratio", "Gain that the peer asks for, of the ways through which it was heard last.", gauge, func(p *session.PeerStats) float64 { return float64(p.Heard.Gain) }},
	{"parley_peer_heard_priority", "Priority of those ways.", gauge, func(p *session.PeerStats) float64 { return float64(p.Heard.Priority) }},
	{"parley_peer_heard_positional", "1 if all of those ways are positional.", gauge, func(p *session.PeerStats) float64 { return yes(p.Heard.Positional) }},
	{"parley_peer_packets_refused_total", "Voice packets that were not looked at: the peer is blocked, may not speak, or spoke where we don't listen.", counter, func(p *session.PeerStats) float64 { return count(p.Refused) }},
	{"parley_peer_packets_malformed_total", "Voice packets that made no sense.", counter, func(p *session.PeerStats) float64 { return count(p.Malformed) }},
	{"parley_peer_packets_undecodable_total", "Packets that the decoder refused.", counter, func(p *session.PeerStats) float64 { return count(p.DecodeFailed) }},
	{"parley_peer_packets_expected_total", "Packets that were sent, by their numbers.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Expected) }},
	{"parley_peer_packets_lost_total", "Of those, lost by the network on the first try.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Lost) }},
	{"parley_peer_loss_bursts_total", "Runs of lost packets.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.LossBursts) }},
	{"parley_peer_loss_burst_packets", "Mean length of recent runs of lost packets.", gauge, func(p *session.PeerStats) float64 { return p.Jitter.Burst }},
	{"parley_peer_packets_missing_total", "Packets that had to be concealed: what was lost after recovery.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Missing) }},
	{"parley_peer_packets_recovered_copy_total", "Packets played from a copy.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.RecoveredCopy) }},
	{"parley_peer_packets_recovered_fec_total", "Packets played from the in-band FEC of the next.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.RecoveredFEC) }},
	{"parley_peer_skips_total", "Times speech was dropped to come back to live.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Skips) }},
	{"parley_peer_interruptions_total", "Times nothing came for so long that a talk spurt was given up.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Interruptions) }},
	{"parley_peer_resyncs_total", "Times the stream was taken up anew.", counter, func(p *session.PeerStats) float64 { return count(p.Jitter.Resyncs) }},
	{"parley_peer_voice_received_bytes_total", "Bytes of voice packets received.", counter, func(p *session.PeerStats) float64 { return count(p.BytesIn) }},
	{"parley_peer_played_seconds_total", "Speech that was played as it was said.", counter, func(p *session.PeerStats) float64 { return duration(p.Jitter.PlayedSamples) }},
	{"parley_peer_concealed_seconds_total", "Speech that was missing and guessed at.", counter, func(p *session.PeerStats) float64 { return duration(p.Jitter.ConcealedSamples) }},
	{"parley_peer_discarded_seconds_total", "Speech that was there and never played.", counter, func(p *session.PeerStats) float64 { return duration(p.Jitter.DiscardedSamples) }},
	{"parley_peer_inserted_seconds_total", "Time added by stretching.", counter, func(p *session.PeerStats) float64 { return duration(p.Jitter.InsertedSamples) }},
	{"parley_peer_removed_seconds_total", "Time taken away by stretching.", counter, func(p *session.PeerStats) float64 { return duration(p.Jitter.RemovedSamples) }},
	{"parley_peer_buffer_delay_sum_seconds_total", "Delay in the jitter buffer, added up for each second played: divided by parley_peer_played_seconds_total it is the mean.", counter, func(p *session.PeerStats) float64 { return delaySum(p.Jitter.DelaySum) }},
	{"parley_peer_buffer_wait_sum_seconds_total", "The same for whole packets, from arrival to when their first sample is heard.", counter, func(p *session.PeerStats) float64 { return delaySum(p.Jitter.WaitSum) }},
	{"parley_peer_buffer_wait_seconds", "How long packets waited last.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Jitter.Wait) }},
	{"parley_peer_buffer_target_seconds", "Delay that the jitter buffer aims at.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Jitter.Target) }},
	{"parley_peer_buffer_delay_seconds", "Delay that the fastest packet has now; 0 between talk spurts.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Jitter.Delay) }},
	{"parley_peer_buffer_held_packets", "Packets in the jitter buffer.", gauge, func(p *session.PeerStats) float64 { return float64(p.Jitter.Held) }},
	{"parley_peer_jitter_seconds", "Interarrival jitter as in RFC 3550.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Jitter.Jitter) }},
	{"parley_peer_fixed_delay_seconds", "What of the delay from mouth to ear neither network nor jitter buffer changes.", gauge, func(p *session.PeerStats) float64 { return seconds(p.FixedDelay) }},
	{"parley_peer_mouth_to_ear_seconds", "Estimated delay from the peer's microphone to our speaker; 0 until known.", gauge, func(p *session.PeerStats) float64 { return seconds(p.MouthToEar) }},
	{"parley_peer_r_factor", "Estimated R of ITU-T G.107, 0 to 100; 0 until the peer was heard.", gauge, func(p *session.PeerStats) float64 { return p.Rating }},
	{"parley_peer_mos", "Estimated mean opinion score, 1 to 5; 0 until the peer was heard.", gauge, func(p *session.PeerStats) float64 { return p.MOS }},
}

var aboutLinks = []metric[session.PeerStats]{
	{"parley_peer_link_voice_sent_total", "Voice messages written to the network.", counter, func(p *session.PeerStats) float64 { return count(p.Link.VoiceSent) }},
	{"parley_peer_link_voice_dropped_total", "Voice messages given to the link and not written.", counter, func(p *session.PeerStats) float64 { return count(p.Link.VoiceDropped) }},
	{"parley_peer_link_voice_received_total", "Voice messages delivered.", counter, func(p *session.PeerStats) float64 { return count(p.Link.VoiceReceived) }},
	{"parley_peer_link_voice_duplicate_total", "Voice messages that had been delivered before.", counter, func(p *session.PeerStats) float64 { return count(p.Link.VoiceDuplicate) }},
	{"parley_peer_link_voice_unacknowledged_messages", "Voice messages written and not yet acknowledged.", gauge, func(p *session.PeerStats) float64 { return float64(p.Link.VoiceUnacked) }},
	{"parley_peer_link_queue_seconds", "How long packets wait on the way; 0 where that isn't known.", gauge, func(p *session.PeerStats) float64 { return seconds(p.Link.Queue) }},
	{"parley_peer_link_malformed_total", "Messages of the peer that could not be parsed.", counter, func(p *session.PeerStats) float64 { return count(p.Link.Malformed) }},
	{"parley_peer_link_lane_resets_total", "Lanes reset because what they carried was too late.", counter, func(p *session.PeerStats) float64 { return count(p.Link.LaneResets) }},
	{"parley_peer_link_path_changes_total", "Changes between two ways, or to and from none.", counter, func(p *session.PeerStats) float64 { return count(p.Link.PathChanges) }},
	{"parley_peer_link_sent_bytes_total", "Bytes written: voice, control, acknowledgements, probes.", counter, func(p *session.PeerStats) float64 { return count(p.Link.BytesSent) }},
	{"parley_peer_link_received_bytes_total", "Bytes read.", counter, func(p *session.PeerStats) float64 { return count(p.Link.BytesReceived) }},
	{"parley_peer_link_control_sent_total", "Control messages written.", counter, func(p *session.PeerStats) float64 { return count(p.Link.ControlSent) }},
	{"parley_peer_link_control_received_total", "Control messages delivered.", counter, func(p *session.PeerStats) float64 { return count(p.Link.ControlReceived) }},
}
