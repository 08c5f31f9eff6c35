package vector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ReadFile reads the suites of a YAML file: one for each of its documents.
func ReadFile(path string) ([]*Suite, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &InputError{File: path, Text: "there is no such suite", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("vector: suite: %w", err)
	}
	return ReadSuites(path, content)
}

// ReadSuites is ReadFile for a file that is in memory already. Names of other files in it are relative to the folder of path.
func ReadSuites(path string, content []byte) ([]*Suite, error) {
	if filepath.Ext(path) == ".json" {
		content = plainJSON(content)
	}
	documents, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	var suites []*Suite
	for _, document := range documents {
		if document == nil || document.kind == null {
			continue
		}
		suite := &Suite{dir: filepath.Dir(path)}
		if document, err = extend(document, suite.dir); err != nil {
			return nil, err
		}
		if document.kind == list && filepath.Ext(path) == ".json" {
			return nil, document.at.errorf("these are fixtures, which say no program: name them in a suite, as fixtures: %s", filepath.Base(path))
		}
		if err := read(document, suite); err != nil {
			return nil, err
		}
		if err := suite.addFixtures(); err != nil {
			return nil, err
		}
		if suite.Name == "" {
			suite.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		}
		suites = append(suites, suite)
	}
	if suites == nil {
		return nil, &InputError{File: path, Text: "there is no suite in this file: it wants an object and vectors"}
	}
	return suites, nil
}

// path is where a file lies that the suite names.
func (s *Suite) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}
