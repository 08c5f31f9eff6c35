package job

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Run runs the steps one after the other and calls emit with what they tell, one record at a time. What steps leave in the folder of artefacts
// becomes records and goes.
func (j Job) Run(ctx context.Context, artefacts string, emit func(Record)) error {
	var one sync.Mutex
	r := runner{artefacts: artefacts, emit: func(record Record) {
		one.Lock()
		defer one.Unlock()
		emit(record)
	}}
	for _, step := range j.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.run(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	return nil
}

type runner struct {
	artefacts string
	emit      func(Record)
}

func (r runner) run(ctx context.Context, s Step) error {
	temporary := filepath.Join(r.artefacts, "tmp")
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return err
	}
	r.emit(Record{Kind: Start, Step: s.Name})
	limited, stop := context.WithTimeout(ctx, s.Limit)
	defer stop()
	cmd := exec.CommandContext(limited, s.Command[0], s.Command[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "SKBENCH_CAPTURES="+filepath.Join(r.artefacts, "captures"))
	cmd.Env = append(cmd.Env, s.Env...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // with the processes that it started
	err := r.follow(cmd, s.Name)
	if err := r.collect(s.Name); err != nil {
		return err
	}
	end := Record{Kind: End, Step: s.Name}
	if err != nil {
		end.Text = err.Error()
		if limited.Err() != nil && ctx.Err() == nil {
			end.Limited = true
			end.Text = fmt.Sprintf("it did not end within %v", s.Limit)
		}
	}
	r.emit(end)
	return nil
}

// follow runs the command and tells what it prints.
func (r runner) follow(cmd *exec.Cmd, step string) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	complaints, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var readers sync.WaitGroup
	readers.Go(func() { r.lines(out, Line, step) })
	readers.Go(func() { r.lines(complaints, Stderr, step) })
	readers.Wait()
	return cmd.Wait()
}

// lines tells each line, however long.
func (r runner) lines(from io.Reader, kind Kind, step string) {
	var named []string // files, by the tests that have not ended yet
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.emit(Record{Kind: kind, Step: step, Text: line})
			named = append(named, fileName.FindAllString(line, -1)...)
		}
		if strings.Contains(line, `"Action":"fail"`) {
			r.collectNamed(step, named)
			named = nil
		}
		if err != nil {
			return
		}
	}
}

// collectNamed tells the files that a failed test has named, which it wrote before:
// the next test may be the guest's last.
func (r runner) collectNamed(step string, named []string) {
	for _, name := range named {
		name = strings.TrimRight(name, ".")
		below, inside := strings.CutPrefix(name, r.artefacts+"/")
		if !inside || !filepath.IsLocal(below) {
			continue
		}
		if content, err := os.ReadFile(name); err == nil && os.Remove(name) == nil {
			r.emit(Record{Kind: File, Step: step, Text: below, Data: Compress(content)})
		}
	}
}

// fileName is that of a file, by its whole path, in a line of text or of JSON.
var fileName = regexp.MustCompile(`/[A-Za-z0-9._+/-]+`)

// collect tells the files that the step left, and removes them.
func (r runner) collect(step string) error {
	return filepath.WalkDir(r.artefacts, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(r.artefacts, name)
		if err != nil {
			return err
		}
		r.emit(Record{Kind: File, Step: step, Text: below, Data: Compress(content)})
		return os.Remove(name)
	})
}

// Compress makes a file's data smaller for its way: with what Go itself brings, since a library that does better takes an emulated processor
// longer to start than most files to send, in each process that has it.
func Compress(content []byte) []byte {
	var small bytes.Buffer
	writer, err := zlib.NewWriterLevel(&small, zlib.BestSpeed)
	if err != nil {
		panic(err) // only a wrong level fails
	}
	_, _ = writer.Write(content) // a buffer takes all
	_ = writer.Close()
	return small.Bytes()
}

// maxFile bounds what a guest may make the host unpack.
const maxFile = 256 << 20

// Content is the data of a file's record as it was.
func (r Record) Content() ([]byte, error) {
	content, err := r.inflate()
	if err != nil {
		return nil, fmt.Errorf("file %s came back broken: %w", r.Text, err)
	}
	return content, nil
}

func (r Record) inflate() ([]byte, error) {
	reader, err := zlib.NewReader(bytes.NewReader(r.Data))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(reader, maxFile+1))
	if len(content) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return content, err
}
