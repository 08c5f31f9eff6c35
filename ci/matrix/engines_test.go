package matrix

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/ci/matrix/kernel"
)

// TestEnginesRunEveryKernel holds the files for other engines against the list of kernels: a shard each, and all of them joined.
func TestEnginesRunEveryKernel(t *testing.T) {
	list, err := kernel.ReadList("../kernels.yaml")
	require.NoError(t, err)

	text, err := os.ReadFile("../github/matrix.yml")
	require.NoError(t, err)
	var workflow struct {
		Jobs map[string]struct {
			Needs    string
			Strategy struct {
				Matrix struct{ Shard []int }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &workflow))
	require.Len(t, workflow.Jobs["kernels"].Strategy.Matrix.Shard, len(list.Kernels))
	require.Equal(t, "kernels", workflow.Jobs["page"].Needs)

	text, err = os.ReadFile("../kubernetes/matrix.yaml")
	require.NoError(t, err)
	jobs := 0
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object struct {
			Kind string
			Spec struct {
				CompletionMode string `yaml:"completionMode"`
				Completions    int
				Template       struct {
					Spec struct {
						Containers []struct {
							Env []struct{ Name, Value string }
						}
					}
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		if object.Kind != "Job" {
			continue
		}
		jobs++
		if object.Spec.CompletionMode == "Indexed" {
			require.Equal(t, len(list.Kernels), object.Spec.Completions)
		}
		env := map[string]string{}
		for _, v := range object.Spec.Template.Spec.Containers[0].Env {
			env[v.Name] = v.Value
		}
		require.Equal(t, strconv.Itoa(len(list.Kernels)), env["SHARDS"])
	}
	require.Equal(t, 2, jobs)
}
