package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/skbench/skbench/reports"
)

type reportCommand struct {
	Compare compareCommand `cmd:"" help:"Tell what became worse or better from an old run to a new one."`
	Merge   mergeCommand   `cmd:"" help:"Join the shards of a run or of a matrix into one, with its page."`
	Render  renderCommand  `cmd:"" help:"Write the page of a run or of a matrix, with plots, benchmark text, JUnit and a summary."`
}

type compareCommand struct {
	Old   string `arg:"" help:"Folder of a run, its results.json, or Go benchmark text."`
	New   string `arg:"" help:"Likewise."`
	Again string `help:"A repetition of the new run, which must show a change for the worse, too." placeholder:"DIR"`
}

// Help is what --help says of the exit status.
func (compareCommand) Help() string {
	return "Exit status: 0 when nothing became worse, 1 when something did and --again shows it too, 3 when something seems to and was not measured again, " +
		"2 when a file cannot be read wholly. A change counts when it is more than 5 % and p < 0.01; of exact counts, any change. Runs that failed a check " +
		"of their own, and runs on different machines, decide nothing."
}

func (c *compareCommand) Run() error {
	diff, err := reports.ReadDiff(c.Old, c.New, c.Again)
	if err != nil {
		return err
	}
	if err := diff.WriteText(os.Stdout); err != nil {
		return err
	}
	return diff.Err()
}

type mergeCommand struct {
	Shards []string `arg:"" help:"Folders that skbench bench or skbench matrix wrote with --shard, or their files." placeholder:"DIR|FILE"`
	Out    string   `help:"Folder to write the report to." default:"out/report" type:"path"`
}

func (c *mergeCommand) Run() error {
	if reports.IsMatrix(c.Shards[0]) {
		merged, err := reports.MergeMatrix(c.Out, c.Shards)
		if err != nil {
			return err
		}
		return conclude(merged, c.Out)
	}
	merged, err := reports.Merge(c.Shards)
	if err != nil {
		return err
	}
	if err := merged.Write(c.Out); err != nil {
		return err
	}
	return render(c.Out, reports.Options{})
}

type renderCommand struct {
	Path    string `arg:"" help:"Folder of a run or matrix, its results.json, or Go benchmark text." placeholder:"DIR|FILE"`
	Against string `help:"The run to compare with; the last good one of --history otherwise." placeholder:"DIR"`
	Again   string `help:"A repetition of the run, which must show a change for the worse, too." placeholder:"DIR"`
	History string `help:"Folder with a folder for each earlier run, for the trend." placeholder:"DIR"`
	Out     string `help:"Folder to write to; the run's own otherwise." placeholder:"DIR"`
}

// Help is what --help says of the exit status.
func (renderCommand) Help() string { return "Exit status: that of skbench report compare." }

func (c *renderCommand) Run() error {
	if reports.IsMatrix(c.Path) {
		return c.matrix()
	}
	return render(c.Path, reports.Options{Against: c.Against, Again: c.Again, History: c.History, Out: c.Out})
}

// matrix writes a matrix's report. In another folder it is the matrix made of one shard, with all files that it names.
func (c *renderCommand) matrix() error {
	if c.Against != "" || c.Again != "" || c.History != "" {
		return fmt.Errorf("%s is a matrix, which is compared with no other: leave out --against, --again and --history", c.Path)
	}
	if c.Out != "" {
		matrix, err := reports.MergeMatrix(c.Out, []string{c.Path})
		if err != nil {
			return err
		}
		return conclude(matrix, c.Out)
	}
	matrix, err := reports.RenderMatrix(c.Path)
	if err != nil {
		return err
	}
	dir := c.Path
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	return conclude(matrix, dir)
}

// render writes a run's report, and says what it comes to and where it is.
func render(path string, o reports.Options) error {
	rendered, err := reports.Render(path, o)
	if err != nil {
		return err
	}
	dir := path
	switch info, err := os.Stat(path); {
	case o.Out != "":
		dir = o.Out
	case err == nil && !info.IsDir():
		dir = filepath.Dir(path)
	}
	fmt.Println(rendered.Verdict())
	fmt.Println(filepath.Join(dir, "index.html"))
	return rendered.Err()
}
