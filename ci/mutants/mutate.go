package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A mutant is one change of one line.
type mutant struct {
	File string // below the folder of sources
	Line int
	Kind string
	Old  string // the line, and what becomes of it
	New  string
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d %s: %s  →  %s", m.File, m.Line, m.Kind, strings.TrimSpace(m.Old), strings.TrimSpace(m.New))
}

// A rule changes what its pattern finds, once for each place.
type rule struct {
	kind    string
	pattern *regexp.Regexp
	with    string         // in which $1 is the first group
	unless  *regexp.Regexp // lines that it leaves alone; nil: none
}

func replace(kind, pattern, with string) rule {
	return rule{kind: kind, pattern: regexp.MustCompile(pattern), with: with}
}

func (r rule) not(pattern string) rule {
	r.unless = regexp.MustCompile(pattern)
	return r
}

// The whole of a statement on a line of its own.
const statement = `^(\s*)`

var rules = []rule{
	replace("comparison turned", ` == `, ` != `),
	replace("comparison turned", ` != `, ` == `),
	replace("comparison turned", ` < `, ` >= `),
	replace("comparison turned", ` > `, ` <= `),
	replace("comparison turned", ` <= `, ` > `),
	replace("comparison turned", ` >= `, ` < `),
	replace("comparison turned", `\(!([a-z])`, `($1`),
	replace("comparison turned", `(&&|\|\|) !([a-z])`, `$1 $2`),
	replace("comparison turned", `if \(([a-z_]+)\)`, `if (!$1)`),
	replace("comparison turned", ` && `, ` || `),
	replace("comparison turned", ` \|\| `, ` && `),
	replace("bound off by one", ` < `, ` <= `),
	replace("bound off by one", ` > `, ` >= `),
	replace("bound off by one", ` <= `, ` < `),
	replace("bound off by one", ` >= `, ` > `),
	replace("sum turned", ` \+ `, ` - `),
	replace("sum turned", ` - `, ` + `),
	replace("sum turned", ` \+= `, ` -= `),
	replace("sum turned", ` -= `, ` += `),
	replace("checksum update left out", statement+`.*\bcsum_\w+\(.*;`, `$1;`).not(`return|^\s*(const |static |struct |__u|__s|int )`),
	replace("checksum update left out", statement+`\S*check(sum)? = .*;`, `$1;`),
	replace("checksum update left out", `csum_update\((\S+?), `, `($1) + 0 * csum_update($1, `),
	replace("map update left out", `bpf_map_(update|delete)_elem\(`, `!&bpf_map_${1}_elem && bpf_map_${1}_elem(`),
	replace("byte swap removed", `\bbpf_(htons|ntohs|htonl|ntohl|cpu_to_be64|be64_to_cpu)\(`, `(`),
	replace("return code changed", `return true;`, `return false;`),
	replace("return code changed", `return false;`, `return true;`),
	replace("return code changed", `return 0;`, `return 1;`),
	replace("return code changed", `return DROP_NONE;`, `return DROP_INVALID;`),
	replace("return code changed", `return DROP_([A-MO-Z]\w*|N[A-NP-Z]\w*|NO_\w+);`, `return DROP_NONE;`),
	replace("return code changed", `return KIND_FLOW;`, `return KIND_OTHER_IP;`),
	replace("return code changed", `return KIND_([A-EG-Z]\w*|FRAGMENT);`, `return KIND_FLOW;`),
	replace("return code changed", `return drop\(ctx, (\w+), .*\);`, `return pass(ctx, $1);`),
	replace("return code changed", `return pass\(ctx, (\w+)\);`, `return drop(ctx, $1, DROP_INVALID);`),
	replace("return code changed", `return SK_PASS;`, `return SK_DROP;`),
	replace("return code changed", `return CALL_GOES_ON;`, `return CALL_FAILS;`),
	replace("return code changed", `return CALL_FAILS;`, `return CALL_GOES_ON;`),
	replace("flag cleared", `\b(CT_(?:REPLY|TRANSLATE|LOCAL|EGRESS|ENCAP)|SERVICE_[A-Z_]+|BPF_F_[A-Z_]+|BPF_FIB_LOOKUP_[A-Z]+|TCP_[A-Z]+|IP_MF)\b`, `0`),
	replace("flag cleared", `\bBPF_NOEXIST\b`, `BPF_ANY`),
	replace("step left out", statement+`[\w.>\[\]()*-]+ [|&^]?= .*;`, `$1;`),
	replace("step left out", statement+`(__builtin_mem\w+|[a-z]\w+)\(.*\);`, `$1;`).not(`^\s*return|csum_|bpf_map_(update|delete)`),
}

// leftOut are the names of steps that undo a translation: leaving one out is what happens most easily.
var reverse = regexp.MustCompile(`reply|reverse`)

// mutate lists what can be made of a line.
func mutate(file string, number int, line string) (all []mutant) {
	code := codeOf(line)
	if strings.HasPrefix(strings.TrimSpace(code), "#") || strings.Contains(code, "asm volatile") {
		return nil
	}
	for _, r := range rules {
		if r.unless != nil && r.unless.MatchString(code) {
			continue
		}
		for _, at := range r.pattern.FindAllStringSubmatchIndex(code, -1) {
			with := r.pattern.ExpandString(nil, r.with, code, at)
			kind := r.kind
			if kind == "step left out" && reverse.MatchString(code) {
				kind = "reverse-NAT step left out"
			}
			m := mutant{file, number, kind, line, code[:at[0]] + string(with) + code[at[1]:]}
			if m.New != code && !slices.ContainsFunc(all, func(o mutant) bool { return o.New == m.New }) {
				all = append(all, m)
			}
		}
	}
	return all
}

// codeOf is the line without comments; a line that goes on with one has no code.
func codeOf(line string) string {
	if at := strings.Index(line, "/*"); at >= 0 {
		line = line[:at]
	}
	if strings.HasPrefix(strings.TrimSpace(line), "*") && !strings.Contains(line, "=") {
		return ""
	}
	return strings.TrimRight(line, " \t")
}
