package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Specs returns the programs and maps of one node as Load would load them, for whoever wants to know what a verifier makes of each program.
func Specs(cfg Config) ([]*ebpf.CollectionSpec, error) {
	constants, err := cfg.raw()
	if err != nil {
		return nil, err
	}
	parsed, err := objects()
	if err != nil {
		return nil, err
	}
	var specs []*ebpf.CollectionSpec
	for _, spec := range parsed {
		spec = spec.Copy()
		if err := spec.Variables[hostVarConfig].Set(constants); err != nil {
			return nil, fmt.Errorf("bpf: constants: %w", err)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}
