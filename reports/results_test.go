package reports

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadResults(t *testing.T) {
	t.Parallel()
	results := sample(t)
	require.Equal(t, Schema, results.Schema)
	require.Equal(t, "6.18.2", results.Environment["kernel"])
	require.Len(t, results.Results, 16)

	first := results.Results[0]
	require.Equal(t, "pps", first.Benchmark)
	require.Equal(t, "empty", first.Params["datapath"])
	require.Equal(t, "packets/s", first.Unit)
	require.Len(t, first.Samples, 10)
	require.Equal(t, 1390148.5, first.Median)
	require.Equal(t, 1387372.0, first.Low)
	require.Equal(t, 1398648.0, first.High)
}

func TestResultsSurviveWriting(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(sample(t))
	require.NoError(t, err)
	again, err := ReadResults(write(t, string(text)))
	require.NoError(t, err)
	require.Equal(t, sample(t), again)
}

func TestReadNotes(t *testing.T) {
	t.Parallel()
	results, err := ReadResults(write(t, strings.Replace(good, "\n  ]\n", `
  ],
  "checks": [{"name": "a-a", "passed": true, "says": "1.0 % apart, limit 5 %"}],
  "absent": [{"benchmark": "pps", "params": {"datapath": "ipvs"}, "reason": "this kernel has no IPVS"}]
`, 1)))
	require.NoError(t, err)
	require.Equal(t, []Check{{"a-a", true, "1.0 % apart, limit 5 %"}}, results.Checks)
	require.Equal(t, []Absence{{"pps", map[string]string{"datapath": "ipvs"}, "this kernel has no IPVS"}}, results.Absent)
}

// good is the smallest file that has everything.
const good = `{
  "schema": "skbench/results/v1",
  "environment": {"time": "2026-03-14T02:17:45Z", "goos": "linux", "goarch": "amd64", "kernel": "6.18.2", "cpu": "Xeon", "cpus": "2"},
  "results": [
    {"benchmark": "pps", "params": {"datapath": "xdp"}, "unit": "packets/s", "samples": [1, 2, 3], "median": 2, "low": 1, "high": 3}
  ]
}
`

func TestReadResultsRefuses(t *testing.T) {
	t.Parallel()
	result := good[strings.Index(good, `    {"bench`):strings.LastIndex(good, "\n  ]")]
	for _, test := range []struct {
		name     string
		old, new string // in good
		want     string
	}{
		{"an empty file", good, "", "line 1: JSON is cut short"},
		{"truncated JSON", good, good[:300], "line 5: JSON is cut short: the run was interrupted, measure again"},
		{"NaN", "[1, 2, 3]", "[1, NaN, 3]", "line 5: not JSON, which has no NaN and no Infinity"},
		{"a number that is none", "[1, 2, 3]", "[1, 1e999, 3]", "line 5: results.samples does not take this number 1e999"},
		{"text for a number", `"median": 2`, `"median": "2"`, "line 5: results.median does not take this string"},
		{"a number for text", `"cpus": "2"`, `"cpus": 2`, "line 3: environment does not take this number"},
		{"something else", good, "[]", "line 1: the file does not take this array"},
		{"a second document", good, good + good, "line 8: not JSON"},
		{"another schema", "results/v1", "results/v2", `schema is "skbench/results/v2", and this skbench reads skbench/results/v1: render with`},
		{"no schema", `"schema": "skbench/results/v1",`, "", `schema is ""`},
		{"an unknown field", `"unit"`, `"color": "blue", "unit"`, `json: unknown field "color": write only what results.schema.json names`},
		{"no results", result, "", "results is missing or empty: measure"},
		{"no environment", `"kernel": "6.18.2", `, "", "environment.kernel is missing"},
		{"an environment key that is no configuration", `"kernel"`, `"Git Commit": "0", "kernel"`, `environment has the key "Git Commit"`},
		{"an environment line that is two", "6.18.2", `6.18\n2`, `environment.kernel is "6.18\n2": write one line`},
		{"CPUs that are no count", `"cpus": "2"`, `"cpus": "two"`, `environment.cpus is "two"`},
		{"a time of day", "2026-03-14T02:17:45Z", "02:17", `environment.time is "02:17": write it as in 2026-01-31T23:59:00Z`},
		{"no benchmark", `"benchmark": "pps", `, "", "results[0].benchmark is missing"},
		{"a benchmark that leaves the folder", `"pps"`, `"../pps"`, `results[0].benchmark is "../pps"`},
		{"no params", `"params": {"datapath": "xdp"}, `, "", "results[0].params is missing: write {}"},
		{"a param name with a slash", `"datapath"`, `"data/path"`, `results[0].params has the name "data/path"`},
		{"a param value with a slash", `"xdp"`, `"x/dp"`, `results[0].params.datapath is "x/dp"`},
		{"no unit", `"unit": "packets/s", `, "", "results[0].unit is missing"},
		{"a unit of two words", `"packets/s"`, `"packets per s"`, `results[0].unit is "packets per s"`},
		{"no samples", "[1, 2, 3]", "[]", "results[0].samples is missing or empty"},
		{"a sample that is null", "[1, 2, 3]", "[1, null, 3]", "results[0].samples[1] is null"},
		{"no median", `"median": 2, `, "", "results[0].median is missing or null"},
		{"no low", `"low": 1, `, "", "results[0].low is missing or null"},
		{"no high", `"high": 3`, `"high": null`, "results[0].high is missing or null"},
		{"the median of other samples", `"median": 2`, `"median": 2.5`, "results[0].median is 2.5, and that of the samples is 2"},
		{"low above the median", `"low": 1`, `"low": 2.5`, "results[0].low 2.5, median 2, high 3 do not lie in this order within the samples, 1 to 3"},
		{"high beyond the samples", `"high": 3`, `"high": 30`, "results[0].low 1, median 2, high 30 do not lie"},
		{"a check without a name", "\n  ]\n", "\n  ],\n\"checks\": [{\"passed\": true, \"says\": \"good\"}]\n", `checks[0].name is ""`},
		{"a check that says nothing", "\n  ]\n", "\n  ],\n\"checks\": [{\"name\": \"a-a\", \"passed\": true}]\n", `checks[0].says is "": write one line`},
		{"an absence of nothing", "\n  ]\n", "\n  ],\n\"absent\": [{\"benchmark\": \"PPS\", \"params\": {}, \"reason\": \"x\"}]\n", `absent[0].benchmark is "PPS"`},
		{"an absence without a reason", "\n  ]\n", "\n  ],\n\"absent\": [{\"benchmark\": \"pps\", \"params\": {}}]\n", `absent[0].reason is ""`},
		{"a result twice", result, result + ",\n" + result, "results[0] and results[1] are both PPS/datapath=xdp in packets/s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, test.old)
			path := write(t, strings.Replace(good, test.old, test.new, 1))
			results, err := ReadResults(path)
			require.ErrorContains(t, err, path+": "+strings.TrimPrefix(test.want, path))
			require.Nil(t, results)
		})
	}
}

func TestReadResultsNamesEveryProblem(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(`"cpus": "2"`, `"cpus": "two"`, `"median": 2`, `"median": 3`).Replace(good)
	_, err := ReadResults(write(t, text))
	require.ErrorContains(t, err, "environment.cpus")
	require.ErrorContains(t, err, "results[0].median")
}

func TestReadResultsWithoutFile(t *testing.T) {
	t.Parallel()
	_, err := ReadResults(filepath.Join(t.TempDir(), "results.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "skbench bench --out DIR")
}

// The published schema and the reader must ask for the same.
func TestSchemaAgreesWithReader(t *testing.T) {
	t.Parallel()
	type node struct {
		Const         string          `json:"const"`
		Pattern       string          `json:"pattern"`
		Required      []string        `json:"required"`
		Properties    map[string]node `json:"properties"`
		PropertyNames *node           `json:"propertyNames"`
		Additional    json.RawMessage `json:"additionalProperties"`
		Items         *node           `json:"items"`
	}
	text, err := os.ReadFile("results.schema.json")
	require.NoError(t, err)
	var schema node
	require.NoError(t, json.Unmarshal(text, &schema))

	environment := schema.Properties["environment"]
	result := schema.Properties["results"].Items
	params := result.Properties["params"]
	rest := func(n node) (values node) {
		require.NoError(t, json.Unmarshal(n.Additional, &values))
		return values
	}
	require.Equal(t, Schema, schema.Properties["schema"].Const)
	for _, test := range []struct {
		name string
		of   any
		n    node
	}{
		{"file", Results{}, schema},
		{"result", Result{}, *result},
		{"check", Check{}, *schema.Properties["checks"].Items},
		{"absence", Absence{}, *schema.Properties["absent"].Items},
	} {
		fields, required := jsonFields(test.of)
		require.ElementsMatch(t, required, test.n.Required, test.name)
		require.ElementsMatch(t, fields, slices.Collect(maps.Keys(test.n.Properties)), test.name)
		require.Equal(t, "false", string(test.n.Additional), test.name)
	}
	require.Equal(t, environmentKeys, environment.Required)
	for _, test := range []struct{ want, got string }{
		{environmentKeyPattern.String(), environment.PropertyNames.Pattern},
		{lineOfTextPattern.String(), rest(environment).Pattern},
		{countPattern.String(), environment.Properties["cpus"].Pattern},
		{namePattern.String(), result.Properties["benchmark"].Pattern},
		{namePattern.String(), params.PropertyNames.Pattern},
		{valuePattern.String(), rest(params).Pattern},
		{unitPattern.String(), result.Properties["unit"].Pattern},
		{namePattern.String(), schema.Properties["checks"].Items.Properties["name"].Pattern},
		{lineOfTextPattern.String(), schema.Properties["checks"].Items.Properties["says"].Pattern},
		{namePattern.String(), schema.Properties["absent"].Items.Properties["benchmark"].Pattern},
		{lineOfTextPattern.String(), schema.Properties["absent"].Items.Properties["reason"].Pattern},
	} {
		require.Equal(t, test.want, test.got)
	}
}

// jsonFields lists the names under which a struct's fields stand in JSON, and
// those of them that are always there.
func jsonFields(of any) (names, required []string) {
	for field := range reflect.TypeOf(of).Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			required = append(required, name)
		}
	}
	return names, required
}

// write puts text into a results.json of its own and returns its path.
func write(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "results.json")
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o644))
	return path
}
