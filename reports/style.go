package reports

import (
	"fmt"
	"html/template"
	"image/color"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// tone is a colour of plots and page: one on light paper and one on dark.
type tone struct {
	Name  string // as a CSS variable, without the dashes
	Light rgb
	Dark  rgb
}

// rgb is 0xRRGGBB.
type rgb uint32

func (c rgb) RGBA() (r, g, b, a uint32) {
	return color.NRGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: 0xff}.RGBA()
}

// CSS writes the colour for the page.
func (c rgb) CSS() template.CSS { return template.CSS(c.String()) }

// String writes the colour as vgsvg does.
func (c rgb) String() string { return fmt.Sprintf("#%06X", uint32(c)) }

// The palette. Its colours are those of Okabe and Ito or near them, told apart with
// every kind of colour blindness; yet no plot needs
// its colours to be understood. No two tones may share their light colour.
var (
	paper = tone{"paper", 0xffffff, 0x14181d}
	ink   = tone{"ink", 0x1c2126, 0xe8ebee}
	muted = tone{"muted", 0x5c6670, 0x9aa4ae}
	line  = tone{"line", 0xdfe3e7, 0x313840}
	blue  = tone{"blue", 0x0072b2, 0x3d9be0}
	sky   = tone{"sky", 0x56b4e9, 0x8fcdf2}
	grey  = tone{"grey", 0x969ea6, 0x7b858f}
	pale  = tone{"pale", 0xc9cfd4, 0x48515a}
	green = tone{"green", 0x009e73, 0x2fbf96}
	amber = tone{"amber", 0xd98c00, 0xf0b340}
	plum  = tone{"plum", 0xa8497d, 0xd98bb5}
	rose  = tone{"rose", 0xf0b8a8, 0x7a3f33} // under letters
	red   = tone{"red", 0xb3261e, 0xff8a7a}  // for what goes wrong, which is said in words too
)

var palette = []tone{paper, ink, muted, line, blue, sky, grey, pale, green, amber, plum, rose, red}

// seriesTones are those of lines that are no known datapath.
var seriesTones = []tone{blue, green, amber, plum, sky, grey}

// Measures of a plot, in points. It is narrow so that its letters can still be
// read when a phone shrinks it to its own width.
const (
	plotWidth    = vg.Length(320)
	margin       = vg.Length(4)
	contentWidth = plotWidth - 2*margin
	maxNameWidth = contentWidth * 0.4

	titleSize = vg.Length(12)
	textSize  = vg.Length(10.5)
	smallSize = vg.Length(9)

	titleHeight = vg.Length(17)
	lineHeight  = vg.Length(12.5)
	headGap     = vg.Length(5) // between head and bars
	groupGap    = vg.Length(6) // before a group
	labelGap    = vg.Length(6) // before a bar's label, and between its parts
	rowHeight   = vg.Length(22)
	barHeight   = vg.Length(14)
	whiskerEnd  = barHeight * 0.3 // half of it
	textLift    = vg.Length(0.8)  // centres letters beside a bar, most of which have no descender
)

func lettering(size vg.Length, weight xfont.Weight, t tone, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color:   t.Light,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight, Size: size},
		XAlign:  x,
		YAlign:  y,
		Handler: plot.DefaultTextHandler,
	}
}

var (
	titleStyle = lettering(titleSize, xfont.WeightBold, ink, draw.XLeft, draw.YTop)
	noteStyle  = lettering(smallSize, xfont.WeightNormal, muted, draw.XLeft, draw.YTop)
	groupStyle = lettering(smallSize, xfont.WeightBold, muted, draw.XLeft, draw.YTop)
	nameStyle  = lettering(textSize, xfont.WeightNormal, ink, draw.XLeft, draw.YCenter)
	valueStyle = lettering(textSize, xfont.WeightBold, ink, draw.XLeft, draw.YCenter)
	ratioStyle = lettering(smallSize, xfont.WeightNormal, muted, draw.XLeft, draw.YCenter)
	tickStyle  = lettering(smallSize, xfont.WeightNormal, muted, draw.XCenter, draw.YTop)

	yTickStyle = lettering(smallSize, xfont.WeightNormal, muted, draw.XRight, draw.YCenter)
	axisStyle  = lettering(smallSize, xfont.WeightNormal, muted, draw.XRight, draw.YTop)

	flameStyle = lettering(7.5, xfont.WeightNormal, ink, draw.XLeft, draw.YCenter)

	gridStyle = draw.LineStyle{Color: line.Light, Width: 0.75}
	// The whisker lies on its halo, so that it shows on the bar as well as off it.
	haloStyle    = draw.LineStyle{Color: paper.Light, Width: 3}
	whiskerStyle = draw.LineStyle{Color: ink.Light, Width: 1.1}
)
