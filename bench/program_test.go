package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgramsAreMeasuredAlone(t *testing.T) {
	r := little()
	require.NoError(t, r.programs(t.Context()))
	require.NoError(t, r.verifier())
	timed, exact := map[[2]string]bool{}, map[string]float64{}
	for _, result := range r.results.Results {
		if result.Unit == "ns/packet" {
			require.Len(t, result.Samples, r.rounds/r.fewer)
			timed[[2]string{result.Params["program"], result.Params["case"]}] = true
			continue
		}
		require.Len(t, result.Samples, 1)
		exact[result.Params["program"]+" "+result.Unit] = result.Median
	}
	for _, p := range programs {
		for _, c := range p.cases {
			require.Contains(t, timed, [2]string{p.name, c.name})
		}
		require.Positive(t, exact[p.name+" instructions"])
		require.Positive(t, exact[p.name+" states"])
	}
}
