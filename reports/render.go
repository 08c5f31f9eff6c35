package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Render reads results.json in dir and writes beside it index.html, bench.txt
// and each plot as NAME.svg and NAME.png. A file is there whole or as it was
// before. Nothing is written when the results cannot be trusted.
func Render(dir string) error {
	results, err := ReadResults(filepath.Join(dir, "results.json"))
	if err != nil {
		return err
	}
	for _, c := range chartsOf(results) {
		if err := c.save(dir); err != nil {
			return err
		}
	}
	if err := save(filepath.Join(dir, "bench.txt"), results, WriteBench); err != nil {
		return err
	}
	return save(filepath.Join(dir, "index.html"), results, WriteHTML)
}

// save writes the plot as SVG and PNG.
func (c chart) save(dir string) error {
	svg, err := c.svg()
	if err != nil {
		return err
	}
	png, err := c.png()
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, c.name+".svg"), svg); err != nil {
		return err
	}
	return replace(filepath.Join(dir, c.name+".png"), png)
}

func save(path string, results *Results, write func(io.Writer, *Results) error) error {
	var b bytes.Buffer
	if err := write(&b, results); err != nil {
		return err
	}
	return replace(path, b.Bytes())
}

// replace puts text at path in one step: a reader sees the old file or the new one.
func replace(path string, text []byte) error {
	if err := swapIn(path, text); err != nil {
		return fmt.Errorf("%s not written: %w: make room, or choose another folder", path, err)
	}
	return nil
}

// swapIn writes text to a new file, which then takes the name.
func swapIn(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	// Temporary files are private, and reports are to be read.
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
