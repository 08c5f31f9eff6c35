package kernel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/blakesmith/ar"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/xi2/xz"
)

// unpackPackage calls each for every regular file of a Debian package, with its path from the root of the machine that it would be installed on.
func unpackPackage(name string, each func(path string, content io.Reader) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	members := ar.NewReader(file)
	for {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s holds no data: it is no Debian package", name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !strings.HasPrefix(member.Name, "data.tar") {
			continue
		}
		content, err := decompress(members)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, member.Name, err)
		}
		if err := unpackTar(content, each); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
}

func unpackTar(content io.Reader, each func(path string, content io.Reader) error) error {
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := each(path.Clean("/"+header.Name), archive); err != nil {
			return err
		}
	}
}

// The beginnings by which the formats are told apart.
var formats = []struct {
	magic string
	open  func(io.Reader) (io.Reader, error)
}{
	{"\xfd7zXZ\x00", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, 0) }},
	{"\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderMaxWindow(1<<30)) }},
	{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"\x02\x21\x4c\x18", func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }}, // lz4's old format, which kernels use
}

// decompress reads what is compressed in a format that Debian's packages and kernels use; what begins like none of them is read as it is.
func decompress(r io.Reader) (io.Reader, error) {
	begin := make([]byte, 6)
	n, err := io.ReadFull(r, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(begin[:n]), r)
	for _, format := range formats {
		if strings.HasPrefix(string(begin), format.magic) {
			return format.open(r)
		}
	}
	return r, nil
}

// elfOf returns the ELF image within a bzImage (Documentation/arch/x86/boot.rst), which boots quicker: nothing in the guest decompresses it.
// ok is false where there is none that could be taken out.
func elfOf(bzImage []byte) (image []byte, ok bool) {
	const (
		setupSectorsAt  = 0x1f1
		magicAt         = 0x202
		payloadOffsetAt = 0x248 // from the protected-mode code on; the length follows
		sector          = 512
	)
	if len(bzImage) < payloadOffsetAt+8 || string(bzImage[magicAt:magicAt+4]) != "HdrS" {
		return nil, false
	}
	setup := int(bzImage[setupSectorsAt])
	if setup == 0 {
		setup = 4
	}
	offset := (setup+1)*sector + int(binary.LittleEndian.Uint32(bzImage[payloadOffsetAt:]))
	length := int(binary.LittleEndian.Uint32(bzImage[payloadOffsetAt+4:]))
	if offset < 0 || length < 4 || offset+length > len(bzImage) {
		return nil, false
	}
	content, err := decompress(bytes.NewReader(bzImage[offset : offset+length]))
	if err != nil {
		return nil, false
	}
	image, err = io.ReadAll(content)
	// The payload ends with its length as four bytes, which are no part of the compressed stream: whoever reads on complains after all of it is there.
	if len(image) == 0 || (err != nil && !complete(image, bzImage[offset+length-4:offset+length])) {
		return nil, false
	}
	return image, bytes.HasPrefix(image, []byte("\x7fELF"))
}

func complete(image, length []byte) bool {
	return uint32(len(image)) == binary.LittleEndian.Uint32(length)
}
