package packet

// Match compares p with what t says; nil means that it matches.
func Match(t Template, p *Packet) *Mismatch { return &Mismatch{Packet: p} }

// A Mismatch says how a packet differs from a template.
type Mismatch struct {
	Packet *Packet
	// Rows are the fields that the template names, outermost first.
	Rows []Row
}

// A Row compares one field.
type Row struct {
	Field     string // as in the template: "TCP.Flags"; of the second TCP layer, "TCP(2).Flags"
	Want, Got any
	Differs   bool
}

// Error names the first field that differs.
func (m *Mismatch) Error() string { return "" }

// String returns the packet, and a table of the fields with those that differ
// marked by an arrow.
func (m *Mismatch) String() string { return "" }
