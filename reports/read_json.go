package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// jsonFile is a results.json that is being read. It is taken apart by its brackets
// first and decoded piece by piece, so that a piece that is spoilt costs no other.
type jsonFile struct {
	*Results
	path   string
	text   []byte
	places map[string]int // the line of each result
}

// fileResult is a result as written. Pointers tell what is missing from what is zero.
type fileResult struct {
	Benchmark *string           `json:"benchmark"`
	Params    map[string]string `json:"params"`
	Unit      *string           `json:"unit"`
	Laps      *int              `json:"laps"`
	Samples   []*float64        `json:"samples"`
	Median    *float64          `json:"median"`
	Low       *float64          `json:"low"`
	High      *float64          `json:"high"`
	Empty     []*float64        `json:"empty"`
}

// readJSON reads the text of a results.json. The schema is judged before the
// fields, since another schema has other fields.
func readJSON(path string, text []byte) (*Results, error) {
	f := &jsonFile{Results: &Results{}, path: path, text: text, places: map[string]int{}}
	body := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	if body == len(text) || text[body] != '{' {
		return nil, Problem{path, f.line(body), "not a JSON object: the file was not written by skbench bench, or not wholly: measure again"}
	}
	members, end, whole := f.parts(body)
	fields := map[string]span{}
	for _, member := range members {
		if key, value, err := f.member(member); err == nil {
			fields[key] = value
		} else {
			f.refuse(member, err)
		}
	}
	if err := f.takeSchema(fields["schema"]); err != nil {
		return nil, err
	}
	for key, take := range map[string]func(span){
		"environment": f.takeEnvironment,
		"checks":      func(s span) { f.each(s, f.takeCheck) },
		"absent":      func(s span) { f.each(s, f.takeAbsence) },
		"problems":    func(s span) { f.take(s, &f.Problems) },
	} {
		if value, there := fields[key]; there {
			take(value)
		}
		delete(fields, key)
	}
	if value, there := fields["results"]; there {
		f.each(value, f.takeResult)
	}
	delete(fields, "schema")
	delete(fields, "results")
	for key, value := range fields {
		f.complain(path, f.line(value.from), "unknown field %q: write only what results.schema.json names", key)
	}
	if !whole {
		f.complain(path, f.line(len(bytes.TrimRight(text, " \t\r\n"))), "JSON is cut short, and what followed is lost: the run was interrupted, measure again")
	} else if rest := bytes.TrimLeft(text[end:], " \t\r\n"); len(rest) > 0 {
		f.complain(path, f.line(len(text)-len(rest)), "something follows the end of the results: write one document into a file")
	}
	f.checkEnvironment()
	slices.SortStableFunc(f.Problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return f.Results, nil
}

// span is a piece of the text.
type span struct{ from, to int }

func (f *jsonFile) bytes(s span) []byte { return f.text[s.from:s.to] }

// line is that of an offset, from 1.
func (f *jsonFile) line(offset int) int { return 1 + bytes.Count(f.text[:offset], []byte("\n")) }

// parts takes the object or array that opens at an offset apart at its commas, and
// tells where it ends and whether it does. The last part of one that does not end may
// be cut anywhere.
func (f *jsonFile) parts(open int) (all []span, end int, whole bool) {
	depth, from, quoted := 0, open+1, false
	add := func(to int) {
		piece := f.text[from:to]
		trimmed := bytes.TrimLeft(piece, " \t\r\n")
		if s := (span{to - len(trimmed), from + len(bytes.TrimRight(piece, " \t\r\n"))}); s.from < s.to {
			all = append(all, s)
		}
		from = to + 1
	}
	for i := open; i < len(f.text); i++ {
		switch c := f.text[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				add(i)
				return all, i + 1, true
			}
		case c == ',' && depth == 1:
			add(i)
		}
	}
	add(len(f.text))
	return all, len(f.text), false
}

// member takes "key": value apart.
func (f *jsonFile) member(s span) (key string, value span, err error) {
	decoder := json.NewDecoder(bytes.NewReader(f.bytes(s)))
	token, err := decoder.Token()
	if err != nil {
		return "", s, err
	}
	key, isText := token.(string)
	at := s.from + int(decoder.InputOffset())
	rest := bytes.TrimLeft(f.text[at:s.to], " \t\r\n")
	if !isText || len(rest) == 0 || rest[0] != ':' {
		return "", s, errors.New(`not as in "key": value`)
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	return key, span{s.to - len(rest), s.to}, nil
}

func (f *jsonFile) takeSchema(s span) error {
	var schema string
	if s.to > s.from && json.Unmarshal(f.bytes(s), &schema) == nil && schema == Schema {
		f.Schema = schema
		return nil
	}
	return Problem{f.path, f.line(s.from), fmt.Sprintf("schema is %q, and this skbench reads %s: render with the skbench that wrote the file, or measure again", schema, Schema)}
}

func (f *jsonFile) takeEnvironment(s span) {
	f.Environment = map[string]string{}
	if f.text[s.from] != '{' {
		f.complain(f.path, f.line(s.from), "environment is no object: write it as results.schema.json says")
		return
	}
	members, _, _ := f.parts(s.from)
	for _, member := range members {
		var text string
		key, value, err := f.member(member)
		if err == nil && json.Unmarshal(f.bytes(value), &text) != nil {
			err = fmt.Errorf("environment.%s is %s: write it as text, between quotes", key, f.bytes(value))
		}
		if err == nil {
			err = checkEntry(key, text)
		}
		if err != nil {
			f.refuse(member, err)
			continue
		}
		f.Environment[key] = text
	}
}

// take decodes a field whole.
func (f *jsonFile) take(s span, target any) {
	if err := f.decode(s, target); err != nil {
		f.refuse(s, err)
	}
}

// each takes the elements of an array one by one.
func (f *jsonFile) each(s span, take func(span) error) {
	if f.text[s.from] != '[' {
		f.complain(f.path, f.line(s.from), "this should be an array: write it as results.schema.json says")
		return
	}
	elements, _, whole := f.parts(s.from)
	if last := len(elements) - 1; !whole && last >= 0 && !json.Valid(f.bytes(elements[last])) {
		elements = elements[:last] // cut short, which is said of the whole file
	}
	for _, element := range elements {
		if err := take(element); err != nil {
			f.refuse(element, err)
		}
	}
}

func (f *jsonFile) takeCheck(s span) error {
	var c Check
	if err := f.decode(s, &c); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	f.Checks = append(f.Checks, c)
	return nil
}

func (f *jsonFile) takeAbsence(s span) error {
	var a Absence
	if err := f.decode(s, &a); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	f.Absent = append(f.Absent, a)
	return nil
}

// takeResult decodes one result.
func (f *jsonFile) takeResult(s span) error {
	var written fileResult
	if err := f.decode(s, &written); err != nil {
		return err
	}
	r, err := written.check()
	if err != nil {
		return err
	}
	if first, twice := f.places[r.identity()]; twice {
		return fmt.Errorf("%s is there already, in line %d: put its samples into one result", r.identity(), first)
	}
	f.places[r.identity()] = f.line(s.from)
	f.Results.Results = append(f.Results.Results, r)
	return nil
}

// identity tells a result from all others of its run.
func (r Result) identity() string { return r.goName() + " in " + r.Unit }

func (f *jsonFile) decode(s span, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(f.bytes(s)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(target)
}

// noNumber finds what other programs write for a figure that is none.
var noNumber = regexp.MustCompile(`[-+]?\b(NaN|nan|Infinity|Inf|inf)\b`)

// refuse names the place of an error and its mend.
func (f *jsonFile) refuse(s span, err error) {
	line := func(offset int64) int { return f.line(s.from + min(int(offset), s.to-s.from)) }
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	place := noNumber.FindIndex(f.bytes(s))
	switch {
	case errors.As(err, &syntax) && place != nil:
		f.complain(f.path, line(int64(place[0])), "%s is no figure: what it belongs to was not measured, measure again", f.bytes(s)[place[0]:place[1]])
	case errors.As(err, &syntax):
		f.complain(f.path, line(syntax.Offset), "not JSON: %v: measure again", err)
	case errors.As(err, &kind):
		f.complain(f.path, line(kind.Offset), "%s does not take this %s: write it as results.schema.json says", cmp.Or(kind.Field, "the field"), kind.Value)
	case strings.HasPrefix(err.Error(), "json: "):
		f.complain(f.path, f.line(s.from), "%v: write only what results.schema.json names", err)
	default:
		f.complain(f.path, f.line(s.from), "%v", err)
	}
}
