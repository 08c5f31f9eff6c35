package reports

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// write writes the whole report into a folder.
func (r *Report) write(dir string) error {
	for _, c := range r.allCharts() {
		if err := savePlot(dir, c.name, c.sketch()); err != nil {
			return err
		}
	}
	if r.profile != nil {
		if err := savePlot(dir, "profile", r.profile); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		write func(*bytes.Buffer) error
	}{
		{"bench.txt", func(b *bytes.Buffer) error { return WriteBench(b, r.Results) }},
		{"junit.xml", r.writeJUnit},
		{"summary.md", r.writeSummary},
		{"index.html", func(b *bytes.Buffer) error { return r.WriteHTML(b) }},
	} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := replace(filepath.Join(dir, f.name), b.Bytes()); err != nil {
			return err
		}
	}
	if err := r.mark(dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, resultsFile)); errors.Is(err, os.ErrNotExist) {
		return r.Results.Write(dir)
	}
	return nil
}

// allCharts are those that are files beside the page.
func (r *Report) allCharts() []chart {
	all := append([]chart{}, r.charts...)
	all = append(all, articleCharts(r.Results)...)
	return append(all, r.trends()...)
}

// savePlot writes a plot as SVG and PNG.
func savePlot(dir, name string, s sketch) error {
	svg, err := svgOf(name, s)
	if err != nil {
		return err
	}
	png, err := pngOf(name, s)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, name+".svg"), svg); err != nil {
		return err
	}
	return replace(filepath.Join(dir, name+".png"), png)
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
