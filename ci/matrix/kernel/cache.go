package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cache holds kernels ready to boot, in a folder each. A folder is there whole or not at all, and its files are checked by hash each time.
type Cache struct {
	Dir    string
	Mirror Mirror
	// Progress is told what takes long; may be nil.
	Progress func(string)
}

// Ready is a kernel that can be booted.
type Ready struct {
	Name    string `json:"name"`
	Release string `json:"release"` // as uname -r says it
	Origin  string `json:"origin"`  // packages and versions, or the folder
	// Image is what boots quickest: the ELF where it can be booted as such, else the bzImage. Modules is an archive for the initramfs.
	Image   string `json:"image"`
	Modules string `json:"modules"`
	// Hashes are the SHA-256 of the files.
	Hashes map[string]string `json:"hashes"`
}

// UserCache is where kernels are kept unless the user says otherwise.
func UserCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep kernels in: %w: set XDG_CACHE_HOME", err)
	}
	return filepath.Join(dir, "skbench"), nil
}

const manifest = "kernel.json"

// Get returns a kernel ready to boot: from the cache if its files are what they were, else fetched and unpacked anew.
func (c *Cache) Get(ctx context.Context, k Kernel) (*Ready, error) {
	ready, err := c.get(ctx, k)
	if errors.Is(err, unix.ENOSPC) {
		err = fmt.Errorf("%w: make room in %s, or choose another folder with XDG_CACHE_HOME", err, c.Dir)
	}
	return ready, err
}

func (c *Cache) get(ctx context.Context, k Kernel) (*Ready, error) {
	key, err := k.key()
	if err != nil {
		return nil, err
	}
	kernels := filepath.Join(c.Dir, "kernels")
	if err := os.MkdirAll(kernels, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(c.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()

	folder := filepath.Join(kernels, key)
	ready, err := open(folder)
	if err == nil {
		used(folder)
		return ready, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.say("the cached kernel %s is broken (%v): fetching it again", k.Name, err)
	}
	if ready, err = c.make(ctx, k, folder); err != nil {
		return nil, err
	}
	return ready, c.prune(time.Now())
}

func (c *Cache) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// make makes the kernel's folder beside its place and then moves it there. Folders that an interrupted run left half-made go first; whoever has the
// lock makes the only one.
func (c *Cache) make(ctx context.Context, k Kernel, folder string) (*Ready, error) {
	if err := removeAll(filepath.Join(filepath.Dir(folder), ".partial-*")); err != nil {
		return nil, err
	}
	partial, err := os.MkdirTemp(filepath.Dir(folder), ".partial-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(partial)
	var unpacked *unpacked
	if k.Folder != "" {
		unpacked, err = fromFolder(k.Folder)
	} else {
		unpacked, err = c.fromPackages(ctx, k, partial)
	}
	if err != nil {
		return nil, err
	}
	if err := unpacked.write(k, partial); err != nil {
		return nil, err
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	if err := os.Rename(partial, folder); err != nil {
		return nil, err
	}
	return open(folder)
}

// open reads what make wrote, and checks it.
func open(folder string) (*Ready, error) {
	text, err := os.ReadFile(filepath.Join(folder, manifest))
	if err != nil {
		return nil, err
	}
	ready := &Ready{}
	if err := json.Unmarshal(text, ready); err != nil {
		return nil, fmt.Errorf("%s: %w", manifest, err)
	}
	for name, want := range ready.Hashes {
		got, err := hashFile(filepath.Join(folder, name))
		if err != nil {
			return nil, fmt.Errorf("file %s: %v", name, err)
		}
		if got != want {
			return nil, fmt.Errorf("file %s has another hash than when it was written", name)
		}
	}
	ready.Image, ready.Modules = filepath.Join(folder, ready.Image), filepath.Join(folder, ready.Modules)
	return ready, nil
}

// fromPackages fetches the kernel's packages into a folder, checks and unpacks them.
func (c *Cache) fromPackages(ctx context.Context, k Kernel, into string) (*unpacked, error) {
	c.say("fetching kernel %s", k.Name)
	// The indexes of one suite are all that is asked for, so that one that is out of reach hinders no other.
	defer used(filepath.Join(c.Dir, "apt", k.Suite))
	source := &apt{dir: filepath.Join(c.Dir, "apt", k.Suite), mirror: c.Mirror, suites: []string{k.Suite}}
	if err := source.prepare(ctx); err != nil {
		return nil, err
	}
	all := newUnpacked()
	all.modules.unsigned = true // Debian's kernels insist on signatures only where the firmware does.
	for _, p := range k.Packages {
		file, err := source.download(ctx, p, k.Suite, into)
		if err != nil {
			return nil, err
		}
		got, err := hashFile(file)
		if err != nil {
			return nil, err
		}
		if got != p.SHA256 {
			return nil, fmt.Errorf("package %s %s has the hash %s, not %s: if it was rebuilt, write the new sha256 into ci/kernels.yaml; if not, someone is between you and Debian",
				p.Name, p.Version, got, p.SHA256)
		}
		if err := unpackPackage(file, all.take); err != nil {
			return nil, err
		}
		all.origin = append(all.origin, p.Name+" "+p.Version)
		if err := os.Remove(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// unpacked is what a kernel consists of.
type unpacked struct {
	origin  []string
	bzImage []byte
	modules modules
}

func newUnpacked() *unpacked {
	return &unpacked{modules: modules{byName: map[string]*module{}, spare: map[string]spare{}}}
}

// take takes from a file what is needed of it. Paths are /boot/vmlinuz-RELEASE, or /usr/lib/modules/RELEASE/vmlinuz, and …/kernel/….
func (u *unpacked) take(name string, content io.Reader) (err error) {
	if strings.HasPrefix(filepath.Base(name), "vmlinuz") {
		u.bzImage, err = io.ReadAll(content)
		return err
	}
	if _, file, ok := strings.Cut(name, "/kernel/"); ok && strings.Contains(file, ".ko") {
		return u.modules.take(file, content)
	}
	return nil
}

// fromFolder takes the kernel and the modules of a user's folder, wherever in it they lie.
func fromFolder(folder string) (*unpacked, error) {
	all := newUnpacked()
	all.origin = []string{folder}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		return all.take(name, file)
	})
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", folder, err)
	}
	return all, nil
}

// write writes the kernel's files and last their manifest.
func (u *unpacked) write(k Kernel, folder string) error {
	if len(u.bzImage) == 0 {
		return fmt.Errorf("there is no vmlinuz in %s: a kernel needs one, and its modules", strings.Join(u.origin, ", "))
	}
	release, err := releaseOf(u.bzImage)
	if err != nil {
		return err
	}
	if err := u.modules.complete(); err != nil {
		return err
	}
	if err := u.modules.check(release); err != nil {
		return err
	}
	ready := Ready{Name: k.Name, Release: release, Origin: strings.Join(u.origin, ", "), Image: "vmlinuz", Modules: "modules.cpio", Hashes: map[string]string{}}
	content := map[string][]byte{"vmlinuz": u.bzImage}
	if image, ok := elfOf(u.bzImage); ok && bootsAsELF(image) {
		ready.Image = "vmlinux"
		content = map[string][]byte{"vmlinux": image}
	}
	var archive bytes.Buffer
	if err := u.modules.write(&archive); err != nil {
		return err
	}
	content[ready.Modules] = archive.Bytes()
	for name, bytes := range content {
		hash := sha256.Sum256(bytes)
		ready.Hashes[name] = hex.EncodeToString(hash[:])
		if err := os.WriteFile(filepath.Join(folder, name), bytes, 0o644); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(ready, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, manifest), append(text, '\n'), 0o644)
}

// releaseOf reads the kernel's release from the header of a bzImage, where it stands as the beginning of a text.
func releaseOf(bzImage []byte) (string, error) {
	const versionAt, versionFrom = 0x20e, 0x200
	if len(bzImage) > versionAt+2 && string(bzImage[0x202:0x206]) == "HdrS" {
		at := versionFrom + int(bzImage[versionAt]) + int(bzImage[versionAt+1])<<8
		if at > versionFrom && at < len(bzImage) {
			text, _, _ := bytes.Cut(bzImage[at:], []byte{0})
			release, _, _ := strings.Cut(string(text), " ")
			return release, nil
		}
	}
	return "", errors.New("its vmlinuz is no bzImage: take the compressed kernel as a distribution installs it in /boot")
}

// bootsAsELF looks for the note that names the kernel's entry for PVH (XEN_ELFNOTE_PHYS32_ENTRY), without which QEMU refuses an ELF.
func bootsAsELF(image []byte) bool {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return false
	}
	for _, program := range file.Progs {
		if program.Type != elf.PT_NOTE {
			continue
		}
		notes, err := io.ReadAll(program.Open())
		// Length of the name, of the content, type: 18, then the name.
		if err == nil && bytes.Contains(notes, []byte("\x12\x00\x00\x00Xen\x00")) {
			return true
		}
	}
	return false
}

// key names the kernel's folder in the cache. A folder of the user's is known by its files' sizes and times.
func (k Kernel) key() (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "format 4 %v\n", wantedFiles)
	fmt.Fprintf(hash, "%v %v %v\n", wantedFolders, k.Suite, k.Packages)
	if k.Folder != "" {
		err := filepath.WalkDir(k.Folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().IsRegular() {
				fmt.Fprintln(hash, name, info.Size(), info.ModTime().UnixNano())
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("folder %s: %w: give one that has vmlinuz and modules", k.Folder, err)
		}
	}
	return k.Name + "-" + hex.EncodeToString(hash.Sum(nil))[:16], nil
}

func hashFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// lock takes the cache's lock, which ends with the process if nobody gives it back.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	taken := make(chan error, 1)
	go func() { taken <- unix.Flock(int(file.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-taken:
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return func() { file.Close() }, nil
	case <-ctx.Done():
		go func() {
			<-taken
			file.Close()
		}()
		return nil, ctx.Err()
	}
}

func removeAll(pattern string) error {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range found {
		errs = append(errs, os.RemoveAll(name))
	}
	return errors.Join(errs...)
}
