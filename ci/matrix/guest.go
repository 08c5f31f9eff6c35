package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/skbench/skbench/ci/matrix/initramfs"
	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/kernel"
)

// commands are what suites call. Those that this machine lacks are left out, and their features are then missing in the guest too.
var commands = []string{
	"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore", "iptables-legacy-restore",
	"ip6tables-legacy-restore", "nft", "ipvsadm", "ip", "tc", "bridge", "wg", "tcpdump", "ethtool", "xdp-filter",
	"sh", "cat", "sleep", "true", "false", "ls", "ping", "sysctl", "mount", "umount", "nsenter",
}

// pluginFolders hold what commands load while they run.
var pluginFolders = []string{"/usr/lib/x86_64-linux-gnu/xtables", "/usr/lib64/xtables", "/usr/lib/xtables"}

// tables are files that programs expect of any machine.
var tables = []string{"/etc/protocols", "/etc/services", "/etc/ethertypes"}

// Where things are in a guest.
const (
	guestSuites   = "/suites"
	guestPrograms = "/skbench"
	guestObjects  = "/objects"
	guestPlainly  = "/sbin/plainly" // runs a command that does not tell, see package guest
)

// base writes the part of the root file system that all guests of a run share: first process, programs, suites, objects.
func (p *plan) base(to io.Writer) error {
	archive := initramfs.NewArchive(to)
	archive.Device("/dev/console", 5, 1)
	archive.Copy("/init", p.guest)
	archive.Link("/sbin/modprobe", "/init")
	archive.Link(guestPlainly, "/init")
	archive.File("/etc/passwd", 0o644, []byte("root:x:0:0::/root:/bin/sh\n"))
	archive.File("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))
	archive.Folder(job.Artefacts)
	for _, program := range []string{p.probe, p.test2json} {
		archive.Copy(filepath.Join(guestPrograms, filepath.Base(program)), program)
	}
	for _, s := range p.suites {
		if s.binary == "" {
			archive.Tree(inGuest().suite(s), s.folder)
			for _, object := range s.objects {
				if filepath.IsAbs(object) {
					archive.Copy(object, object)
				} else {
					archive.Copy(filepath.Join(inGuest().suite(s), object), filepath.Join(s.folder, object))
				}
			}
			continue
		}
		archive.Copy(inGuest().binary(s), s.binary)
		if s.testdata != "" {
			archive.Tree(filepath.Join(inGuest().suite(s), "testdata"), s.testdata)
			objects, _ := filepath.Glob(filepath.Join(s.folder, "*.o"))
			for _, object := range objects {
				archive.Copy(filepath.Join(inGuest().suite(s), filepath.Base(object)), object)
			}
		}
	}
	for _, object := range p.objects {
		archive.Copy(filepath.Join(guestObjects, filepath.Base(object)), object)
	}
	for _, command := range commands {
		if path, err := exec.LookPath(command); err == nil {
			archive.Program(path)
		}
	}
	archive.Link("/bin/sh", "/usr/bin/sh") // unless it is there already
	for _, folder := range pluginFolders {
		if _, err := os.Stat(folder); err == nil {
			archive.Tree(folder, folder)
		}
	}
	for _, name := range tables {
		if _, err := os.Stat(name); err == nil {
			archive.Copy(name, name)
		}
	}
	return archive.Close()
}

// initramfs puts a guest's root file system together: the kernel's modules, what all guests share, the job.
func (p *plan) initramfs(k *kernel.Ready, left job.Job, into string) error {
	text, err := json.Marshal(left)
	if err != nil {
		return err
	}
	var last bytes.Buffer
	archive := initramfs.NewArchive(&last)
	archive.File(job.Path, 0o644, text)
	if err := archive.Close(); err != nil {
		return err
	}
	file, err := os.Create(into)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, part := range []string{k.Modules, p.shared} {
		if err := appendFile(file, part); err != nil {
			return fmt.Errorf("initramfs: %w", err)
		}
	}
	if _, err := last.WriteTo(file); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	return file.Close()
}

func appendFile(to io.Writer, name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}

// places tell where a plan's files are: in a guest, or on the machine itself.
type places struct {
	suite           func(suite) string // the folder that it runs in
	binary          func(suite) string
	object, program func(string) string
	plainly         []string // goes before what is tested
}

func inGuest() places {
	// As deep as any relative path of a file goes up.
	folder := func(s suite) string { return filepath.Join(guestSuites, flat(s.name), "0/1/2/3/4") }
	return places{
		suite:   folder,
		binary:  func(s suite) string { return filepath.Join(folder(s), filepath.Base(s.binary)) },
		object:  func(file string) string { return filepath.Join(guestObjects, filepath.Base(file)) },
		program: func(file string) string { return filepath.Join(guestPrograms, filepath.Base(file)) },
		plainly: []string{guestPlainly},
	}
}

func onHost() places {
	same := func(file string) string { return file }
	return places{
		suite:  func(s suite) string { return s.folder },
		binary: func(s suite) string { return s.binary },
		object: same, program: same,
	}
}
