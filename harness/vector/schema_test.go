package vector

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
)

var update = flag.Bool("update", false, "write suite.schema.json anew")

// The schema is what the Go types say, comments included.
func TestSchemaSaysWhatTheTypesSay(t *testing.T) {
	if _, err := os.Stat("suite.go"); err != nil {
		t.Skip("the sources are not here: run this where they are")
	}
	b := schemaBuilder{comments: comments(t, ".", "../packet"), defs: map[string]any{}}
	schema := object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "skbench vectors",
		"description": "A suite of vectors. A file may hold several, as documents of their own.",
		"$ref":        "#/$defs/Suite",
	}
	b.of(reflect.TypeFor[Suite]())
	schema["$defs"] = b.defs
	want, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.WriteFile("suite.schema.json", want, 0o644))
	}
	got, err := os.ReadFile("suite.schema.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./harness/vector -run Schema -update")
}

// Every suite that we wrote holds to the schema.
func TestSuitesHoldToTheSchema(t *testing.T) {
	text, err := os.ReadFile("suite.schema.json")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(text, &schema))
	v := validator{defs: schema["$defs"].(map[string]any)}
	var files []string
	for _, folder := range []string{"testdata", "../../bpf/testdata"} {
		found, err := filepath.Glob(folder + "/*.yaml")
		require.NoError(t, err)
		require.NotEmpty(t, found)
		files = append(files, found...)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		documents, err := parse(file, content)
		require.NoError(t, err)
		for _, d := range documents {
			require.Empty(t, v.check(d, schema), file)
		}
	}
	wrong, err := parse("x.yaml", []byte("object: a\nvectors: [{packet: {tcp: {dts: 10.0.0.1}}}]"))
	require.NoError(t, err)
	require.Contains(t, v.check(wrong[0], schema), "dts")
}

type object = map[string]any

// schemaBuilder makes schemas of types.
type schemaBuilder struct {
	comments map[string]string // "Type" and "Type.Field" → what the source says
	defs     object
}

// column stands for a name that a row of each gives.
var column = object{`^\$\w+$`: object{}}

func scalars(types ...string) object { return object{"type": append([]string{"string"}, types...)} }

func ref(name string) object { return object{"$ref": "#/$defs/" + name} }

// of is the schema of a type. A text may stand for everything that is no mapping or list: $name in what says each.
func (b *schemaBuilder) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[any]():
		return object{}
	case reflect.TypeFor[packet.Template]():
		return b.layers()
	case reflect.TypeFor[[]byte](), reflect.TypeFor[Bytes](), reflect.TypeFor[packet.Raw]():
		return b.define("Bytes", func() object {
			return object{"oneOf": []any{scalars("number", "boolean"), choice(object{"hex": scalars("number"), "base64": scalars(), "zeros": scalars("integer")})}}
		})
	case reflect.TypeFor[Packet]():
		return b.define("Packet", b.packet)
	case reflect.TypeFor[Base64]():
		return scalars()
	case reflect.TypeFor[Fixtures]():
		list := object{"type": "array", "items": b.of(reflect.TypeFor[Fixture]())}
		return b.define("Fixtures", func() object { return object{"oneOf": []any{list, scalars()}} })
	case reflect.TypeFor[Table]():
		entries := object{"type": "array", "items": b.of(reflect.TypeFor[Entry]())}
		return b.define("Table", func() object { return object{"oneOf": []any{entries, b.properties(t)}} })
	case reflect.TypeFor[packet.Option]():
		return object{"type": "object", "properties": object{"kind": scalars("integer"), "data": b.of(reflect.TypeFor[Bytes]())}, "additionalProperties": false}
	case reflect.TypeFor[Verdict](), reflect.TypeFor[netip.AddrPort]():
		return scalars("integer")
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix](), reflect.TypeFor[net.HardwareAddr](), reflect.TypeFor[packet.Flags]():
		return scalars()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.of(t.Elem())
	case reflect.Struct:
		return b.define(t.Name(), func() object { return b.properties(t) })
	case reflect.Map:
		return object{"type": "object", "additionalProperties": b.of(t.Elem())}
	case reflect.Slice:
		items := b.of(t.Elem())
		list := object{"type": "array", "items": items}
		if _, simple := items["type"].([]string); simple {
			return object{"oneOf": []any{list, items}}
		}
		return list
	case reflect.Bool:
		return scalars("boolean")
	case reflect.String:
		return scalars("integer")
	}
	return scalars("integer")
}

// define gives a schema a name, once.
func (b *schemaBuilder) define(name string, make func() object) object {
	if b.defs[name] == nil {
		b.defs[name] = object{} // it may lead to itself
		schema := make()
		if said := b.comments[name]; said != "" {
			schema["description"] = said
		}
		b.defs[name] = schema
	}
	return ref(name)
}

// properties are those of a struct that is written.
func (b *schemaBuilder) properties(t reflect.Type) object {
	properties := object{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("yaml")
		if tag == "" {
			continue
		}
		properties[tag] = b.said(b.owner(t, f), f.Name, b.of(f.Type))
	}
	if t == reflect.TypeFor[Vector]() || t == reflect.TypeFor[Step]() {
		properties["each"] = object{
			"description": "One for every row of this table, with $name replaced by the row's value.",
			"type":        "array", "items": object{"type": "object"},
		}
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// owner is the type that declares a field.
func (b *schemaBuilder) owner(t reflect.Type, f reflect.StructField) string {
	for _, i := range f.Index[:len(f.Index)-1] {
		t = t.Field(i).Type
	}
	return t.Name()
}

// said adds what the source says of a field.
func (b *schemaBuilder) said(owner, name string, schema object) object {
	if said := b.comments[owner+"."+name]; said != "" {
		schema["description"] = said
	}
	return schema
}

// layers is a mapping of layers, or a list of such mappings.
func (b *schemaBuilder) layers() object {
	return b.define("Layers", func() object {
		byName := object{"type": "object", "properties": b.layerProperties(), "patternProperties": column, "additionalProperties": false}
		return object{"oneOf": []any{byName, object{"type": "array", "items": byName}}}
	})
}

func (b *schemaBuilder) layerProperties() object {
	properties := object{}
	for name, t := range layerTypes {
		if t.Kind() != reflect.Struct {
			properties[name] = b.of(t)
			continue
		}
		properties[name] = b.define(t.Name(), func() object {
			fields := object{}
			for i := range t.NumField() {
				f := t.Field(i)
				fields[snake(f.Name)] = b.said(t.Name(), f.Name, b.of(f.Type))
			}
			return object{"type": []string{"object", "null"}, "properties": fields, "patternProperties": column, "additionalProperties": false}
		})
	}
	return properties
}

func (b *schemaBuilder) packet() object {
	b.layers()
	properties := b.layerProperties()
	properties["exact"] = b.said("Packet", "Exact", scalars("boolean"))
	properties["hex"], properties["base64"] = scalars("number"), scalars()
	properties["mask"] = b.said("Packet", "Mask", b.of(reflect.TypeFor[Bytes]()))
	properties["frame"] = b.of(reflect.TypeFor[Frame]())
	properties["layers"] = b.layers()
	whole := object{"type": "object", "properties": properties, "patternProperties": column, "additionalProperties": false}
	return object{"oneOf": []any{object{"type": "string", "pattern": `^(unchanged|\$\w+)$`}, whole}}
}

// choice is a mapping of one of several fields.
func choice(properties object) object {
	return object{"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1, "maxProperties": 1}
}

// comments are what sources say of types and fields.
func comments(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(folder + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			require.NoError(t, err)
			for _, d := range parsed.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
					for _, s := range g.Specs {
						addComments(said, s.(*ast.TypeSpec), g.Doc)
					}
				}
			}
		}
	}
	return said
}

func addComments(said map[string]string, s *ast.TypeSpec, doc *ast.CommentGroup) {
	body, ok := s.Type.(*ast.StructType)
	if !ok || !s.Name.IsExported() {
		return
	}
	said[s.Name.Name] = oneLine(doc.Text())
	for _, f := range body.Fields.List {
		for _, name := range f.Names {
			said[s.Name.Name+"."+name.Name] = oneLine(strings.TrimSpace(f.Doc.Text() + " " + f.Comment.Text()))
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// validator holds values against a schema, as far as ours go.
type validator struct{ defs object }

// check says what does not hold; nothing if all does.
func (v *validator) check(w *written, schema object) string {
	if name, ok := schema["$ref"].(string); ok {
		return v.check(w, v.defs[strings.TrimPrefix(name, "#/$defs/")].(object))
	}
	if options, ok := schema["oneOf"].([]any); ok {
		var wrong []string
		for _, o := range options {
			if text := v.check(w, o.(object)); text != "" {
				wrong = append(wrong, text)
			}
		}
		if len(options)-len(wrong) != 1 {
			return w.at.errorf("fits %d of %d: %s", len(options)-len(wrong), len(options), wrong).Error()
		}
		return ""
	}
	if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(w.text) {
		return w.at.errorf("is not %s", pattern).Error()
	}
	if types, ok := schema["type"]; ok && !slices.ContainsFunc(typesOf(w), func(name string) bool { return contains(types, name) }) {
		return w.at.errorf("%s is none of %v", w, types).Error()
	}
	if items, ok := schema["items"].(object); ok {
		for _, item := range w.items {
			if text := v.check(item, items); text != "" {
				return text
			}
		}
	}
	return v.checkFields(w, schema)
}

func (v *validator) checkFields(w *written, schema object) string {
	properties, _ := schema["properties"].(object)
	if most, ok := schema["maxProperties"].(float64); ok && len(w.fields) > int(most) {
		return w.at.errorf("too many fields").Error()
	}
	for _, f := range w.fields {
		part, ok := properties[f.name].(object)
		if !ok {
			part, ok = schema["additionalProperties"].(object)
		}
		if schema["patternProperties"] != nil && strings.HasPrefix(f.name, "$") {
			continue
		}
		if !ok && schema["additionalProperties"] == false {
			return f.at.errorf("no field %s", f.name).Error()
		}
		if text := v.check(f.value, part); ok && text != "" {
			return text
		}
	}
	return ""
}

// typesOf are the types of JSON that a value may be taken for.
func typesOf(w *written) []string {
	switch w.kind {
	case null:
		return []string{"null"}
	case list:
		return []string{"array"}
	case mapping:
		return []string{"object"}
	}
	return []string{"string", "number", "integer", "boolean"}
}

func contains(types any, name string) bool {
	if some, ok := types.([]any); ok {
		return slices.Contains(some, any(name))
	}
	return types == name
}
