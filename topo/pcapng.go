package topo

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Block types, options and constants of pcapng (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3).
const (
	sectionHeader        = 0x0a0d0d0a
	interfaceDescription = 1
	enhancedPacket       = 6

	byteOrderMagic = 0x1a2b3c4d
	unknownLength  = 0xffffffffffffffff
	linkEthernet   = 1
	snapLength     = 16384

	optionEnd         = 0
	optionName        = 2 // of an interface
	optionMAC         = 6
	optionResolution  = 9
	optionPacketFlags = 2

	nanoseconds = 9 // a resolution: ten to the power of minus nine
)

// WritePcapng writes frames as a pcapng file with one interface for every device, named as Device.String does, with
// directions, and times of the wall clock in nanoseconds.
func WritePcapng(w io.Writer, devices []Device, frames []Frame) error {
	out := bufio.NewWriter(w)
	out.Write(block(sectionHeader, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
		b = append(b, 1, 0, 0, 0) // version 1.0
		return binary.LittleEndian.AppendUint64(b, unknownLength)
	}))
	interfaces := map[int]uint32{}
	for i, d := range devices {
		interfaces[d.Index] = uint32(i)
		out.Write(interfaceBlock(d))
	}
	offset := wallClockOffset()
	for i, f := range frames {
		id, ok := interfaces[f.Device.Index]
		if !ok {
			return fmt.Errorf("topo: frame %d was seen at %s, which is not among the devices: write all devices of its network", i, f.Device)
		}
		out.Write(packetBlock(id, f, offset))
	}
	if err := out.Flush(); err != nil { // the first error of all writes
		return fmt.Errorf("topo: writing frames: %w", err)
	}
	return nil
}

func interfaceBlock(d Device) []byte {
	return block(interfaceDescription, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint16(b, linkEthernet)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, snapLength)
		b = option(b, optionName, []byte(d.String()))
		b = option(b, optionMAC, d.MAC)
		b = option(b, optionResolution, []byte{nanoseconds})
		return option(b, optionEnd, nil)
	})
}

// packetBlock holds one frame; offset is what CLOCK_MONOTONIC lacks to the wall clock, in nanoseconds.
func packetBlock(id uint32, f Frame, offset uint64) []byte {
	return block(enhancedPacket, func(b []byte) []byte {
		at := f.Time + offset
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(at>>32))
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(f.Len))
		b = pad(append(b, f.Data...))
		b = option(b, optionPacketFlags, binary.LittleEndian.AppendUint32(nil, uint32(f.Direction))) // 1 inbound, 2 outbound
		return option(b, optionEnd, nil)
	})
}

// block frames a body: type and length before, length after.
func block(kind uint32, body func([]byte) []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = body(binary.LittleEndian.AppendUint32(b, 0))
	length := uint32(len(b) + 4)
	binary.LittleEndian.PutUint32(b[4:], length)
	return binary.LittleEndian.AppendUint32(b, length)
}

func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad fills up to four bytes. Whatever stands before in the block is padded, too.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// wallClockOffset is what CLOCK_MONOTONIC lacks to the wall clock, in nanoseconds.
func wallClockOffset() uint64 { return uint64(time.Now().UnixNano()) - monotonic() }

// monotonic is the time of CLOCK_MONOTONIC in nanoseconds.
func monotonic() uint64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail with a valid clock
	return uint64(now.Nano())
}
