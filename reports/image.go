package reports

import (
	"bytes"
	"fmt"
	"html/template"
	"regexp"
	"strings"

	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pngDPI is twice what a screen of old has, so that a PNG stays sharp on a new one.
const pngDPI = 192

func (c chart) png() ([]byte, error) { return pngOf(c.name, c.sketch()) }

func (c chart) svg() ([]byte, error) { return svgOf(c.name, c.sketch()) }

func pngOf(name string, s sketch) ([]byte, error) {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(s.size()), vgimg.UseDPI(pngDPI))}
	s.draw(canvas)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("plot %s not drawn as PNG: %w", name, err)
	}
	return b.Bytes(), nil
}

// svgOf draws a plot with its letters as text, not as outlines, in the fonts that
// have the widths of the one it was laid out with.
func svgOf(name string, s sketch) ([]byte, error) {
	canvas := vgsvg.New(s.size())
	s.draw(canvas)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("plot %s not drawn as SVG: %w", name, err)
	}
	const family = "font-family:Liberation Sans"
	return bytes.ReplaceAll(b.Bytes(), []byte(family), []byte(family+",Arial,Helvetica,sans-serif")), nil
}

// svgHead is all before the drawing itself; its group is the canvas.
var svgHead = regexp.MustCompile(`(?s)^.*<svg[^>]*viewBox="([^"]*)"[^>]*>`)

// inline makes a plot part of a page: without the prologue of a file, as wide as
// there is room, and in the page's colours, which follow the reader's choice of
// light or dark. The label is for those who cannot see it.
func inline(svg []byte, label string) template.HTML {
	head := svgHead.FindSubmatch(svg)
	var colours []string
	for _, t := range palette {
		colours = append(colours, t.Light.String(), "var(--"+t.Name+")")
	}
	body := strings.NewReplacer(colours...).Replace(string(svg[len(head[0]):]))
	return template.HTML(fmt.Sprintf(`<svg viewBox="%s" role="img" aria-label="%s">%s`, head[1], template.HTMLEscapeString(label), body))
}
