package reports

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Plot draws the bars from the top down, and the unit below the axis. It makes a
// drawing a plot.Plotter.
func (d *drawing) Plot(canvas draw.Canvas, p *plot.Plot) {
	left := canvas.Min.X - tickStyle.Width("0")/2
	unit := fit(noteStyle, d.scale.word+d.unit.words, plotWidth-left)
	canvas.FillText(noteStyle, vg.Point{X: left, Y: margin + lineHeight}, unit)

	y := canvas.Max.Y
	for _, g := range d.groups {
		if g.name != "" {
			y -= groupGap
			canvas.FillText(groupStyle, vg.Point{X: margin, Y: y}, fit(groupStyle, g.name, contentWidth))
			y -= lineHeight
		}
		for _, b := range g.bars {
			d.row(canvas, p, g, b, y-rowHeight/2)
			y -= rowHeight
		}
	}
}

// row draws one bar along the line y, its name on the left, its label on the right.
func (d *drawing) row(canvas draw.Canvas, p *plot.Plot, g group, b bar, y vg.Length) {
	x, _ := p.Transforms(&canvas)
	canvas.FillText(nameStyle, vg.Point{X: margin, Y: y + textLift}, fit(nameStyle, b.name, maxNameWidth))
	fill(canvas, toneOf(b), x(0), x(b.Median), y, barHeight)
	whisker(canvas, x(b.Low), x(b.High), y)

	at := x(max(b.High, 0)) + labelGap
	for _, part := range []struct {
		style text.Style
		words string
	}{{valueStyle, d.value(b)}, {ratioStyle, d.ratio(b, g)}} {
		if part.words == "" {
			continue
		}
		width := part.style.Width(part.words)
		fill(canvas, paper, at, at+width, y, lineHeight) // hides the grid
		canvas.FillText(part.style, vg.Point{X: at, Y: y + textLift}, part.words)
		at += width + labelGap
	}
}

// value is the median as a bar's label: "1.01 M".
func (d *drawing) value(b bar) string {
	return d.scale.format(b.Median) + d.scale.letter + d.unit.short
}

// ratio says how a bar compares with the baseline of its group: "2.1 × iptables".
func (d *drawing) ratio(b bar, g group) string {
	base, there := g.baseline()
	if !there || b.value == baseline || b.value == emptyPath {
		return ""
	}
	c := d.unit.compare(b, base)
	switch {
	case c.outcome == unclear:
		return ""
	case c.outcome == alike:
		return "≈ " + base.name
	case c.outcome == better && !d.unit.isRate():
		return c.times() + " × less than " + base.name
	default:
		return times(b.Median/base.Median) + " × " + base.name
	}
}

// fill fills a rectangle whose middle is the line y.
func fill(canvas draw.Canvas, t tone, from, to, y, height vg.Length) {
	canvas.FillPolygon(t.Light, []vg.Point{
		{X: from, Y: y - height/2}, {X: to, Y: y - height/2},
		{X: to, Y: y + height/2}, {X: from, Y: y + height/2},
	})
}

// whisker draws an interval along the line y, with its two ends.
func whisker(canvas draw.Canvas, low, high, y vg.Length) {
	lines := [][]vg.Point{
		{{X: low, Y: y}, {X: high, Y: y}},
		{{X: low, Y: y - whiskerEnd}, {X: low, Y: y + whiskerEnd}},
		{{X: high, Y: y - whiskerEnd}, {X: high, Y: y + whiskerEnd}},
	}
	canvas.StrokeLines(haloStyle, lines...)
	canvas.StrokeLines(whiskerStyle, lines...)
}
