package audio

// Downmix makes mono of stereo: the mean of left and right.
func Downmix(dst *Block, src *StereoBlock) {
	for i := range dst {
		dst[i] = (src[2*i] + src[2*i+1]) / 2
	}
}

// Upmix makes stereo of mono: both sides are equal to it.
func Upmix(dst *StereoBlock, src *Block) {
	for i, x := range src {
		dst[2*i], dst[2*i+1] = x, x
	}
}
