package lobbywire

import "google.golang.org/protobuf/proto"

// AppendMembers appends the frames of a member list to frames, as many as it
// takes: at least one, the last one marked as such.
func AppendMembers(frames [][]byte, members []*Member) ([][]byte, error) {
	part, size := &Members{}, 0
	flush := func(last bool) error {
		part.Last = last
		frame, err := AppendFrame(nil, &Message{Kind: &Message_Members{Members: part}})
		if err == nil {
			frames = append(frames, frame)
		}
		part, size = &Members{}, 0
		return err
	}
	for _, m := range members {
		n := proto.Size(m) + 4
		if len(part.Members) > 0 && size+n > MembersBytes {
			if err := flush(false); err != nil {
				return frames, err
			}
		}
		part.Members, size = append(part.Members, m), size+n
	}
	err := flush(true)
	return frames, err
}
