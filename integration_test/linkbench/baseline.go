package linkbench

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
)

// Baseline are the means that a commit had, by the name of the case.
type Baseline map[string]Means

// LoadBaseline reads a baseline from a file.
func LoadBaseline(path string) (b Baseline, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("linkbench: %w", err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("linkbench: %s: %w", path, err)
	}
	return b, nil
}

// Save writes the baseline to a file.
func (b Baseline) Save(path string) error {
	text, err := json.MarshalIndent(b, "", "\t")
	if err != nil {
		return fmt.Errorf("linkbench: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), fs.FileMode(0o644)) //nolint:gosec // everybody may read it
}

// worse are the figures whose growth is a loss, and by how much they may grow
// whatever the noise.
var worse = map[string]float64{"buffer": 2, "concealed": 0.05, "rate": 2, "stretched": 0.3, "age": 10}

// certain is how many standard errors a difference is taken for more than noise: 4,
// since some eighty figures are compared in each run.
const certain = 4

// Worse says in words which figures are worse than the baseline's by more than
// noise, which is the baseline's: what has become worse may have become noisier too,
// and that is no excuse. A case that the baseline hasn't isn't compared.
func (b Baseline) Worse(name string, now Means) (list []string) {
	for _, figure := range names {
		slack, counts := worse[figure]
		before, known := b[name][figure]
		if !counts || !known {
			continue
		}
		m := now[figure]
		noise := certain * before.SD * math.Sqrt(1/float64(max(1, before.N))+1/float64(max(1, m.N)))
		if m.Mean > before.Mean+noise+slack {
			list = append(list, fmt.Sprintf("%s: %s %.2f, was %.2f (noise %.2f)", name, figure, m.Mean, before.Mean, noise+slack))
		}
	}
	return list
}

// variance is that of the mean.
func (m Mean) variance() float64 { return m.SD * m.SD / float64(max(1, m.N)) }
