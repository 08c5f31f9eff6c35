package vector

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// written is a value as it stands in a file: YAML without its anchors, aliases, tags and merge keys, and with the place of
// everything in it.
type written struct {
	kind   kind
	text   string // of a scalar
	quoted bool   // a scalar that can be nothing but text
	items  []*written
	fields []field // in the order of the file; names are unique
	at     place
}

type kind uint8

const (
	null kind = iota
	scalar
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping"}[k]
}

// field is one key of a mapping, and its value.
type field struct {
	name  string
	at    place
	value *written
}

// get returns the value of a field, nil if the mapping has none of that name.
func (w *written) get(name string) *written {
	for _, f := range w.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// child is get, of nothing too.
func (w *written) child(name string) *written {
	if w == nil {
		return nil
	}
	return w.get(name)
}

// maxValues bounds what aliases can make of a small file.
const maxValues = 1 << 20

// parse reads all documents of a YAML file. An empty document is nil.
func parse(file string, content []byte) (documents []*written, err error) {
	// The scanner of the library is not made for hostile input.
	defer func() {
		if r := recover(); r != nil {
			err = &InputError{File: file, Text: fmt.Sprintf("this is not YAML: %v", r)}
		}
	}()
	parsed, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, syntaxError(file, err)
	}
	for _, document := range parsed.Docs {
		r := resolver{file: file, anchors: map[string]*written{}}
		value, err := r.resolve(document.Body)
		if err != nil {
			return nil, err
		}
		documents = append(documents, value)
	}
	return documents, nil
}

// syntaxError says what the parser says in one sentence, without its excerpt of the file.
func syntaxError(file string, err error) error {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		return &InputError{File: file, Text: err.Error()}
	}
	text, _, _ := strings.Cut(syntax.GetMessage(), "\n")
	return placeOf(file, syntax.GetToken()).errorf("%s", text)
}

func placeOf(file string, t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{file: file}
	}
	return place{file, t.Position.Line, t.Position.Column}
}

// resolver turns syntax into values.
type resolver struct {
	file    string
	anchors map[string]*written
	values  int
}

func (r *resolver) resolve(n ast.Node) (*written, error) {
	if n == nil {
		return nil, nil
	}
	at := placeOf(r.file, n.GetToken())
	if r.values++; r.values > maxValues {
		return nil, at.errorf("this file holds more than %d values", maxValues)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(at, n)
	case *ast.MappingValueNode:
		return r.mapping(at, &ast.MappingNode{Values: []*ast.MappingValueNode{n}})
	case *ast.SequenceNode:
		w := &written{kind: list, at: at}
		for _, item := range n.Values {
			value, err := r.resolve(item)
			if err != nil {
				return nil, err
			}
			w.items = append(w.items, value)
		}
		return w, nil
	case *ast.AnchorNode:
		value, err := r.resolve(n.Value)
		if err == nil {
			r.anchors[n.Name.GetToken().Value] = value
		}
		return value, err
	case *ast.AliasNode:
		return r.alias(at, n)
	case *ast.TagNode:
		return nil, at.errorf("tags like %s mean nothing here", n.Start.Value)
	case *ast.NullNode:
		return &written{at: at}, nil
	case *ast.LiteralNode:
		return &written{kind: scalar, text: n.Value.Value, quoted: true, at: at}, nil
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		return &written{kind: scalar, text: n.Value, quoted: quoted, at: at}, nil
	case ast.ScalarNode:
		return &written{kind: scalar, text: n.GetToken().Value, at: at}, nil
	}
	return nil, at.errorf("this kind of YAML is not understood here")
}

// alias stands for what its anchor names, which counts as often as it is used.
func (r *resolver) alias(at place, n *ast.AliasNode) (*written, error) {
	name := n.Value.GetToken().Value
	value := r.anchors[name]
	if value == nil {
		return nil, at.errorf("no anchor &%s stands before this alias", name)
	}
	if r.values += value.size(maxValues); r.values > maxValues {
		return nil, at.errorf("the aliases make more than %d values of this file", maxValues)
	}
	return value, nil
}

// size counts the values within one, as far as most.
func (w *written) size(most int) int {
	count := 1
	for _, item := range w.items {
		if count > most {
			break
		}
		count += item.size(most - count)
	}
	for _, f := range w.fields {
		if count > most {
			break
		}
		count += f.value.size(most - count)
	}
	return count
}

func (r *resolver) mapping(at place, n *ast.MappingNode) (*written, error) {
	w := &written{kind: mapping, at: at}
	if len(n.Values) > 0 && n.Start == nil || len(n.Values) > 0 && n.Start.Value != "{" {
		w.at = placeOf(r.file, n.Values[0].Key.GetToken()) // a block starts at its first key
	}
	var merged []field
	for _, pair := range n.Values {
		value, err := r.resolve(pair.Value)
		if err != nil {
			return nil, err
		}
		keyAt := placeOf(r.file, pair.Key.GetToken())
		if _, ok := pair.Key.(*ast.MergeKeyNode); ok {
			if value.kind != mapping {
				return nil, keyAt.errorf("<< takes over the fields of a mapping, not of %s", value.kind)
			}
			merged = append(merged, value.fields...)
			continue
		}
		scalar, ok := pair.Key.(ast.ScalarNode)
		if !ok {
			return nil, keyAt.errorf("a key is a plain word here")
		}
		name := scalar.GetToken().Value
		if w.get(name) != nil {
			return nil, keyAt.errorf("key %q is there twice", name)
		}
		w.fields = append(w.fields, field{name, keyAt, value})
	}
	for _, f := range merged { // what is written out wins over what is merged
		if w.get(f.name) == nil {
			w.fields = append(w.fields, f)
		}
	}
	return w, nil
}
