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

// good is the smallest file that has everything; spoilt tests spoil its line 6.
const good = `{
  "schema": "skbench/results/v1",
  "environment": {"time": "2026-03-14T02:17:45Z", "goos": "linux", "goarch": "amd64", "kernel": "6.18.2", "cpu": "Xeon", "cpus": "2"},
  "results": [
    {"benchmark": "pps", "params": {"datapath": "iptables"}, "unit": "packets/s", "samples": [4, 4, 4], "median": 4, "low": 4, "high": 4},
    {"benchmark": "pps", "params": {"datapath": "xdp"}, "unit": "packets/s", "samples": [1, 2, 3], "median": 2, "low": 1, "high": 3},
    {"benchmark": "pps", "params": {"datapath": "tc"}, "unit": "packets/s", "samples": [5, 5, 5], "median": 5, "low": 5, "high": 5}
  ]
}
`

// What is spoilt is named by file and line, and everything else is read.
func TestSpoiltResults(t *testing.T) {
	t.Parallel()
	lines := strings.Split(good, "\n")
	tail := "\n  ]\n"
	for _, test := range []struct {
		name     string
		old, new string   // in good
		want     []string // problems, each as in "5: text"; none is told from what is not read at all
		left     string   // datapaths whose results are read
	}{
		{"nothing", "", "", nil, "iptables xdp tc"},
		{"truncated in a result", good, good[:strings.Index(good, "[1, 2")+5], []string{"6: JSON is cut short, and what followed is lost"}, "iptables"},
		{"truncated between results", good, strings.Join(lines[:6], "\n"), []string{"6: JSON is cut short"}, "iptables xdp"},
		{"truncated after the results", good, strings.Join(lines[:8], "\n"), []string{"8: JSON is cut short"}, "iptables xdp tc"},
		{"NaN", "[1, 2, 3]", "[1, NaN, 3]", []string{"6: NaN is no figure"}, "iptables tc"},
		{"minus infinity", `"low": 1`, `"low": -Infinity`, []string{"6: -Infinity is no figure"}, "iptables tc"},
		{"no JSON within", `"samples": [1`, `"samples" [1`, []string{"6: not JSON"}, "iptables tc"},
		{"a number that is none", "[1, 2, 3]", "[1, 1e999, 3]", []string{"6: samples does not take this number 1e999"}, "iptables tc"},
		{"text for a number", `"median": 2`, `"median": "2"`, []string{"6: median does not take this string"}, "iptables tc"},
		{"a number for text", `"cpus": "2"`, `"cpus": 2`, []string{"3: environment.cpus is 2: write it as text"}, "iptables xdp tc"},
		{"a second document", good, good + good, []string{"10: something follows the end of the results"}, "iptables xdp tc"},
		{"an unknown field of a result", `"xdp"}, "unit"`, `"xdp"}, "color": "blue", "unit"`, []string{`6: json: unknown field "color": write only what results.schema.json names`}, "iptables tc"},
		{"an unknown field", `  "results"`, `  "colors": {}, "results"`, []string{`4: unknown field "colors"`}, "iptables xdp tc"},
		{"no kernel", `"kernel": "6.18.2", `, "", []string{"0: environment.kernel is missing"}, "iptables xdp tc"},
		{"an environment key that is no configuration", `"kernel"`, `"Git Commit": "0", "kernel"`, []string{`3: environment has the key "Git Commit"`}, "iptables xdp tc"},
		{"an environment line that is two", "6.18.2", `6.18\n2`, []string{`3: environment.kernel is "6.18\n2": write one line`}, "iptables xdp tc"},
		{"CPUs that are no count", `"cpus": "2"`, `"cpus": "two"`, []string{`3: environment.cpus is "two"`}, "iptables xdp tc"},
		{"a time of day", "2026-03-14T02:17:45Z", "02:17", []string{`3: environment.time is "02:17": write it as in 2026-01-31T23:59:00Z`}, "iptables xdp tc"},
		{"no benchmark", `{"benchmark": "pps", "params": {"datapath": "xdp"`, `{"params": {"datapath": "xdp"`, []string{"6: benchmark is missing"}, "iptables tc"},
		{"a benchmark that leaves the folder", `"pps", "params": {"datapath": "xdp"`, `"../pps", "params": {"datapath": "xdp"`, []string{`6: benchmark is "../pps"`}, "iptables tc"},
		{"no params", `"params": {"datapath": "xdp"}, `, "", []string{"6: params is missing: write {}"}, "iptables tc"},
		{"a param name with a slash", `{"datapath": "xdp"}`, `{"data/path": "xdp"}`, []string{`6: params has the name "data/path"`}, "iptables tc"},
		{"a param value with a slash", `"xdp"`, `"x/dp"`, []string{`6: params.datapath is "x/dp"`}, "iptables tc"},
		{"no unit", `"xdp"}, "unit": "packets/s", `, `"xdp"}, `, []string{"6: unit is missing"}, "iptables tc"},
		{"a unit of two words", `"xdp"}, "unit": "packets/s"`, `"xdp"}, "unit": "packets per s"`, []string{`6: unit is "packets per s"`}, "iptables tc"},
		{"no samples", "[1, 2, 3]", "[]", []string{"6: samples is missing or empty"}, "iptables tc"},
		{"a sample that is null", "[1, 2, 3]", "[1, null, 3]", []string{"6: samples[1] is null"}, "iptables tc"},
		{"no median", `"median": 2, `, "", []string{"6: median is missing or null"}, "iptables tc"},
		{"no low", `"low": 1, `, "", []string{"6: low is missing or null"}, "iptables tc"},
		{"no high", `"high": 3`, `"high": null`, []string{"6: high is missing or null"}, "iptables tc"},
		{"the median of other samples", `"median": 2`, `"median": 2.5`, []string{"6: median is 2.5, and that of the samples is 2"}, "iptables tc"},
		{"low above the median", `"low": 1`, `"low": 2.5`, []string{"6: low 2.5, median 2, high 3 do not lie in this order within the samples, 1 to 3"}, "iptables tc"},
		{"high beyond the samples", `"high": 3`, `"high": 30`, []string{"6: low 1, median 2, high 30 do not lie"}, "iptables tc"},
		{"laps of several lengths", `"high": 3`, `"high": 3, "laps": 2`, []string{"6: laps is 2, and there are 3 samples"}, "iptables tc"},
		{"no laps", `"high": 3`, `"high": 3, "laps": 0`, []string{"6: laps is 0, and there are 3 samples"}, "iptables tc"},
		{"too few of the empty path", `"high": 3`, `"high": 3, "empty": [4, 4]`, []string{"6: empty has 2 figures, and there are 3 samples"}, "iptables tc"},
		{"an empty path that costs nothing", `"high": 3`, `"high": 3, "empty": [4, 0, 4]`, []string{"6: empty[1] is not above zero"}, "iptables tc"},
		{"an empty path that is null", `"high": 3`, `"high": 3, "empty": [4, 4, null]`, []string{"6: empty[2] is not above zero"}, "iptables tc"},
		{"a check without a name", tail, "\n  ],\n\"checks\": [{\"passed\": true, \"says\": \"good\"}]\n", []string{`9: the check's name is ""`}, "iptables xdp tc"},
		{"a check that says nothing", tail, "\n  ],\n\"checks\": [{\"name\": \"a-a\", \"passed\": true}]\n", []string{`9: says of the check a-a is "": write one line`}, "iptables xdp tc"},
		{"an absence of nothing", tail, "\n  ],\n\"absent\": [{\"benchmark\": \"PPS\", \"params\": {}, \"reason\": \"x\"}]\n", []string{`9: benchmark is "PPS"`}, "iptables xdp tc"},
		{"an absence without a reason", tail, "\n  ],\n\"absent\": [{\"benchmark\": \"pps\", \"params\": {}}]\n", []string{`9: reason is "": write one line`}, "iptables xdp tc"},
		{"a result twice", `"tc"`, `"xdp"`, []string{"7: PPS/datapath=xdp in packets/s is there already, in line 6"}, "iptables xdp"},
		{"two things", "[1, 2, 3]", `[], "cpus": "two"`, []string{`6: json: unknown field "cpus"`}, "iptables tc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, test.old)
			path := write(t, strings.Replace(good, test.old, test.new, 1))
			results, err := ReadResults(path)
			require.NoError(t, err)
			require.Len(t, results.Problems, len(test.want), "%v", results.Problems)
			for i, want := range test.want {
				line, text, _ := strings.Cut(want, ": ")
				place := path + ":" + line
				if line == "0" {
					place = path
				}
				require.ErrorContains(t, results.Problems[i], place+": "+text)
			}
			var left []string
			for _, r := range results.Results {
				left = append(left, r.Params["datapath"])
			}
			require.Equal(t, test.left, strings.Join(left, " "))
		})
	}
}

// A file of which nothing can be used is an error.
func TestReadResultsRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"an empty file", "", ":1: not a JSON object"},
		{"something else", "[]", ":1: not a JSON object"},
		{"another schema", strings.Replace(good, "results/v1", "results/v2", 1), `:2: schema is "skbench/results/v2", and this skbench reads skbench/results/v1: render with`},
		{"no schema", strings.Replace(good, `"schema": "skbench/results/v1",`, "", 1), `:1: schema is ""`},
		{"no results", good[:strings.Index(good, `    {"bench`)], " holds no figure that can be read: measure again"},
		{"nothing but spoilt results", strings.ReplaceAll(good, `"unit"`, `"u"`), `:5: json: unknown field "u"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, test.text)
			_, err := ReadResults(path)
			require.ErrorContains(t, err, path+test.want)
		})
	}
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
		{"problem", Problem{}, *schema.Properties["problems"].Items},
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
