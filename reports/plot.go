package reports

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawing is a chart with what its layout needs. From the top: title, notes, bars,
// axis; from the left: names, then bars, each followed by its label. Words are cut
// to the room they have.
type drawing struct {
	chart
	scale scale
	notes []string  // the lines below the title
	names vg.Length // the width of the names
	plot  *plot.Plot
}

func newDrawing(c chart) *drawing {
	_, most := c.extent()
	d := &drawing{chart: c, scale: scaleOf(most, c.unit), notes: wrap(c.shared)}
	for b := range c.bars() {
		d.names = max(d.names, nameStyle.Width(fit(nameStyle, b.name, maxNameWidth))+labelGap)
	}
	d.plot = d.newPlot()
	return d
}

// fit cuts words that are wider than the room for them.
func fit(style text.Style, words string, room vg.Length) string {
	if style.Width(words) <= room {
		return words
	}
	letters := []rune(words)
	for len(letters) > 0 && style.Width(string(letters)+"…") > room {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

// wrap sets phrases into as few lines as the plot's width allows.
func wrap(phrases []string) (lines []string) {
	for _, phrase := range phrases {
		if n := len(lines); n > 0 {
			longer := lines[n-1] + " · " + phrase
			if noteStyle.Width(longer) <= contentWidth {
				lines[n-1] = longer
				continue
			}
		}
		lines = append(lines, fit(noteStyle, phrase, contentWidth))
	}
	return lines
}

// newPlot sets up axis and grid for the bars. Figures run along X, and Y is hidden.
func (d *drawing) newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.HideY()
	p.Y.Min, p.Y.Max = 0, 1

	least, most := d.extent()
	p.X.Min, p.X.Max = least, d.rightEdge(least)
	p.X.Padding = 0
	p.X.LineStyle.Width = 0
	p.X.Tick.LineStyle.Width = 0
	p.X.Tick.Length = 2
	p.X.Tick.Label = tickStyle
	p.X.Tick.Marker = plot.ConstantTicks(ticksOf(least, most, d.scale))

	grid := plotter.NewGrid()
	grid.Vertical, grid.Horizontal = gridStyle, draw.LineStyle{}
	p.Add(grid, d)
	return p
}

// rightEdge is the figure at the right end of the axis: so far right that each
// bar has room for its label.
func (d *drawing) rightEdge(least float64) (edge float64) {
	room := contentWidth - d.names
	for _, g := range d.groups {
		for _, b := range g.bars {
			label := valueStyle.Width(d.value(b)) + ratioStyle.Width(d.ratio(b, g)) + 3*labelGap
			edge = max(edge, least+(max(b.High, 0)-least)*float64(room/(room-label)))
		}
	}
	if edge <= least {
		return least + 1 // every figure is zero
	}
	return edge
}

// headHeight is that of title and notes.
func (d *drawing) headHeight() vg.Length {
	return titleHeight + lineHeight*vg.Length(len(d.notes)) + headGap
}

// size is that of the whole plot.
func (d *drawing) size() (width, height vg.Length) {
	for _, g := range d.groups {
		height += d.groupHeight(g)
	}
	tall := draw.Canvas{Rectangle: vg.Rectangle{Max: vg.Point{X: plotWidth, Y: 1000}}}
	axis := d.plot.DataCanvas(tall).Min.Y
	return plotWidth, 2*margin + d.headHeight() + height + axis + lineHeight
}

func (d *drawing) groupHeight(g group) vg.Length {
	height := rowHeight * vg.Length(len(g.bars))
	if g.name != "" {
		height += lineHeight + groupGap
	}
	return height
}

// draw draws everything on a canvas of the drawing's size.
func (d *drawing) draw(on vg.CanvasSizer) {
	all, _ := drawHead(on, d.title(), d.notes)
	d.plot.Draw(draw.Crop(all, d.names, 0, lineHeight, -d.headHeight()))
}

// drawHead clears a canvas and writes title and notes. It returns what lies within the
// margins, and where the next line begins.
func drawHead(on vg.CanvasSizer, title string, notes []string) (all draw.Canvas, at vg.Point) {
	all = draw.New(on)
	all.SetColor(paper.Light)
	all.Fill(all.Rectangle.Path())
	all = draw.Crop(all, margin, -margin, margin, -margin)

	at = vg.Point{X: all.Min.X, Y: all.Max.Y}
	all.FillText(titleStyle, at, fit(titleStyle, title, contentWidth))
	at.Y -= titleHeight
	for _, note := range notes {
		all.FillText(noteStyle, at, note)
		at.Y -= lineHeight
	}
	return all, at
}
