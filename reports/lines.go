package reports

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// sketch is a plot that knows its size.
type sketch interface {
	size() (width, height vg.Length)
	draw(on vg.CanvasSizer)
}

// sketch lays the chart out for drawing.
func (c chart) sketch() sketch {
	if c.axis != nil {
		return newLineDrawing(c)
	}
	return newDrawing(c)
}

// lineDrawing is a chart of lines with what its layout needs. From the top: title,
// notes, the lines' names, the lines, their axis.
type lineDrawing struct {
	chart
	scale  scale
	notes  []string
	legend [][]key
	plot   *plot.Plot
}

// key is a line's name in the legend, and where it stands.
type key struct {
	name string
	look look
	x    vg.Length
}

// look is how a line is drawn. Its shape and dashes tell it apart where colours cannot.
type look struct {
	line  draw.LineStyle
	glyph draw.GlyphStyle
}

const (
	linesHeight = vg.Length(150) // of the lines alone
	keyLength   = vg.Length(20)
	keyGap      = vg.Length(10)
	capWidth    = vg.Length(5)
)

func lookOf(s series, i int) look {
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.PyramidGlyph{}, draw.BoxGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{}, draw.RingGlyph{}}
	dashes := [][]vg.Length{nil, {6, 2}, {2, 2}, {7, 2, 1.5, 2}, {4, 4}}
	tone := seriesTones[i%len(seriesTones)]
	if rank := rankOf(s.value); rank < len(datapaths) {
		tone = datapaths[rank].tone
	}
	return look{
		draw.LineStyle{Color: tone.Light, Width: 1.6, Dashes: dashes[i%len(dashes)]},
		draw.GlyphStyle{Color: tone.Light, Radius: 3, Shape: shapes[i%len(shapes)]},
	}
}

// yLogarithmic is how far figures must span for a logarithmic axis, on which the small
// ones can be told apart.
const yLogarithmic = 30

func newLineDrawing(c chart) *lineDrawing {
	d := &lineDrawing{chart: c}
	least, most := math.Inf(1), math.Inf(-1)
	for _, s := range c.lines {
		for _, p := range s.points {
			least, most = min(least, p.Low), max(most, p.High)
		}
	}
	d.scale = scaleOf(most, c.unit)
	logarithmic := least > 0 && most/least > yLogarithmic
	d.notes = wrap(append(slices.Clone(c.shared), d.axisNote(logarithmic)))
	d.setLegend()
	d.plot = d.newPlot(least, most, logarithmic)
	return d
}

// axisNote says what both axes are.
func (d *lineDrawing) axisNote(logarithmic bool) string {
	note := d.scale.word + d.unit.words
	switch {
	case logarithmic && d.axis.noted == "logarithmic":
		return note + ", both axes logarithmic"
	case logarithmic:
		return note + ", logarithmic"
	}
	return note
}

func (d *lineDrawing) setLegend() {
	x := contentWidth
	for i, s := range d.lines {
		width := keyLength + labelGap + nameStyle.Width(fit(nameStyle, s.name, contentWidth-keyLength-labelGap)) + keyGap
		if x+width-keyGap > contentWidth {
			d.legend, x = append(d.legend, nil), 0
		}
		row := &d.legend[len(d.legend)-1]
		*row = append(*row, key{s.name, lookOf(s, i), x})
		x += width
	}
}

func (d *lineDrawing) newPlot(least, most float64, logarithmic bool) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	yAt := func(y float64) float64 { return y }
	if logarithmic {
		yAt = math.Log10
		p.Y.Min, p.Y.Max = math.Floor(yAt(least)), yAt(most)+0.05
		p.Y.Tick.Marker = plot.ConstantTicks(decades(p.Y.Min, p.Y.Max, d.scale))
	} else {
		p.Y.Min, p.Y.Max = min(least, 0), max(most, 0)
		if p.Y.Max <= p.Y.Min {
			p.Y.Max = p.Y.Min + 1
		}
		p.Y.Max += (p.Y.Max - p.Y.Min) * 0.04
		p.Y.Tick.Marker = plot.ConstantTicks(ticksOf(p.Y.Min, p.Y.Max, d.scale))
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Width, axis.Tick.LineStyle.Width, axis.Padding = 0, 0, 0
		axis.Tick.Length = 2
	}
	p.X.Tick.Label, p.Y.Tick.Label = tickStyle, yTickStyle
	d.setX(p)

	grid := plotter.NewGrid()
	grid.Vertical, grid.Horizontal = gridStyle, gridStyle
	p.Add(grid)
	for i, s := range d.lines {
		p.Add(&plottedLine{s, lookOf(s, i), d.axis.at, yAt})
	}
	return p
}

// setX sets the range and a tick at each value, as far as their words have room.
func (d *lineDrawing) setX(p *plot.Plot) {
	var values []float64
	for _, s := range d.lines {
		for _, point := range s.points {
			values = append(values, point.x)
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	first, last := d.axis.at(values[0]), d.axis.at(values[len(values)-1])
	if last <= first {
		first, last = first-0.5, last+0.5
	}
	p.X.Min, p.X.Max = first-(last-first)*0.04, last+(last-first)*0.06
	where := func(x float64) vg.Length {
		return vg.Length((d.axis.at(x)-p.X.Min)/(p.X.Max-p.X.Min)) * (contentWidth - 40)
	}
	var ticks []plot.Tick
	taken := vg.Length(-1000)
	for i, x := range values {
		label := d.axis.label(x)
		half := tickStyle.Width(label) / 2
		room := where(x) - half
		end := where(values[len(values)-1]) - tickStyle.Width(d.axis.label(values[len(values)-1]))/2
		if room < taken || i < len(values)-1 && where(x)+half+labelGap > end {
			continue // the last one is always written
		}
		ticks = append(ticks, plot.Tick{Value: d.axis.at(x), Label: label})
		taken = where(x) + half + labelGap
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
}

// decades sets ticks at the powers of ten.
func decades(from, to float64, s scale) (ticks []plot.Tick) {
	for power := math.Ceil(from); power <= to; power++ {
		ticks = append(ticks, plot.Tick{Value: power, Label: significant(math.Pow(10, power)/s.divisor, 1)})
	}
	return ticks
}

func (d *lineDrawing) headHeight() vg.Length {
	return titleHeight + lineHeight*vg.Length(len(d.notes)+len(d.legend)) + headGap*2
}

func (d *lineDrawing) size() (width, height vg.Length) {
	return plotWidth, 2*margin + d.headHeight() + linesHeight + 2*lineHeight
}

func (d *lineDrawing) draw(on vg.CanvasSizer) {
	all, at := drawHead(on, d.title(), d.notes)
	at.Y -= headGap
	for _, row := range d.legend {
		for _, k := range row {
			y := at.Y - lineHeight/2
			all.StrokeLine2(k.look.line, at.X+k.x, y, at.X+k.x+keyLength, y)
			all.DrawGlyph(k.look.glyph, vg.Point{X: at.X + k.x + keyLength/2, Y: y})
			all.FillText(nameStyle, vg.Point{X: at.X + k.x + keyLength + labelGap, Y: y + textLift}, fit(nameStyle, k.name, contentWidth-keyLength-labelGap))
		}
		at.Y -= lineHeight
	}
	all.FillText(axisStyle, vg.Point{X: all.Max.X, Y: all.Min.Y + lineHeight}, fit(axisStyle, d.axis.words, contentWidth))
	d.plot.Draw(draw.Crop(all, 0, 0, lineHeight, -d.headHeight()))
}

// plottedLine draws one line with its intervals.
type plottedLine struct {
	series
	look
	xAt, yAt func(float64) float64
}

// Plot makes a line a plot.Plotter.
func (l *plottedLine) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	var line []vg.Point
	for _, point := range l.points {
		at := vg.Point{X: x(l.xAt(point.x)), Y: y(l.yAt(point.Median))}
		low, high := y(l.yAt(point.Low)), y(l.yAt(point.High))
		whiskers := [][]vg.Point{
			{{X: at.X, Y: low}, {X: at.X, Y: high}},
			{{X: at.X - capWidth/2, Y: low}, {X: at.X + capWidth/2, Y: low}},
			{{X: at.X - capWidth/2, Y: high}, {X: at.X + capWidth/2, Y: high}},
		}
		canvas.StrokeLines(draw.LineStyle{Color: l.line.Color, Width: 0.9}, whiskers...)
		line = append(line, at)
	}
	canvas.StrokeLines(l.line, line)
	for _, at := range line {
		canvas.DrawGlyph(l.glyph, at)
	}
}

// value writes a figure with its unit, by itself: "1.01 M", "66.0 ns".
func (c chart) value(v float64) string {
	scale := scaleOf(v, c.unit)
	return scale.format(v) + scale.letter + c.unit.short
}

// course says in one sentence how the lines run.
func (c chart) course() string {
	var clauses []string
	for _, s := range c.lines {
		first, last := s.points[0], s.points[len(s.points)-1]
		clause := s.name + " " + c.value(first.Median)
		if len(s.points) > 1 {
			clause += " to " + c.value(last.Median)
		}
		if first.Low > 0 && last.Low > 0 && len(s.points) > 1 {
			if grown := last.Median / first.Median; first.High < last.Low || last.High < first.Low {
				clause += " (" + times(grown) + " times)"
			} else {
				clause += " (alike)"
			}
		}
		clauses = append(clauses, clause)
	}
	return strings.Join(clauses, ", ")
}

// stretch says from where to where the lines run: "From 1 to 10,000 services".
func (c chart) stretch() string {
	first, last := math.Inf(1), math.Inf(-1)
	for _, s := range c.lines {
		first, last = min(first, s.points[0].x), max(last, s.points[len(s.points)-1].x)
	}
	words := " " + c.axis.words
	if c.over == quantile {
		words = ""
	}
	return "From " + c.axis.label(first) + " to " + c.axis.label(last) + words
}
