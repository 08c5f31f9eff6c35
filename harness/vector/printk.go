package vector

import (
	"bytes"
	"errors"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// printed collects the lines that programs print on the calling thread, as they would stand in the trace pipe.
type printed struct {
	collection *ebpf.Collection
	link       link.Link
	reader     *ringbuf.Reader
}

// prints tells whether one of the programs can print at all.
func prints(programs map[string]*ebpf.ProgramSpec) bool {
	for _, p := range programs {
		for _, ins := range p.Instructions {
			if ins.IsBuiltinCall() && (ins.Constant == int64(asm.FnTracePrintk) || ins.Constant == int64(asm.FnTraceVprintk)) {
				return true
			}
		}
	}
	return false
}

// collectPrinted starts to collect. It returns nil where that cannot be done: before Linux 5.9, and in a locked-down kernel.
func collectPrinted() *printed {
	spec, err := loadPrintk()
	if err != nil {
		return nil
	}
	p := &printed{}
	if err := spec.Variables[printkVarThread].Set(uint32(unix.Gettid())); err != nil {
		return nil
	}
	if p.collection, err = ebpf.NewCollection(spec); err != nil {
		return nil
	}
	p.link, err = link.AttachRawTracepoint(link.RawTracepointOptions{
		Name: "bpf_trace_printk", Program: p.collection.Programs[printkProgCollect],
	})
	if err == nil {
		p.reader, err = ringbuf.NewReader(p.collection.Maps[printkMapLines])
	}
	if err != nil {
		p.close()
		return nil
	}
	return p
}

func (p *printed) close() error {
	if p == nil {
		return nil
	}
	var errs []error
	if p.reader != nil {
		errs = append(errs, p.reader.Close())
	}
	if p.link != nil {
		errs = append(errs, p.link.Close())
	}
	p.collection.Close()
	return errors.Join(errs...)
}

// lines returns what was printed since the last time.
func (p *printed) lines() (lines []string) {
	if p == nil {
		return nil
	}
	for p.reader.AvailableBytes() > 0 {
		record, err := p.reader.Read()
		if err != nil {
			return lines
		}
		text, _, _ := bytes.Cut(record.RawSample, []byte{0})
		lines = append(lines, strings.TrimRight(string(text), "\n"))
	}
	return lines
}
