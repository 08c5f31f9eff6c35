package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What a list of kernels no longer names is kept for a while, since other checkouts may name it, and then goes.
const (
	keepUnused = 14 * 24 * time.Hour
	keepOfName = 3 // versions of one kernel, those used last
)

// used notes that an entry of the cache was. Where it cannot be noted, the entry goes sooner.
func used(folder string) {
	now := time.Now()
	_ = os.Chtimes(folder, now, now)
}

// prune removes kernels, and suites' indexes, that nobody has used for long, and all but a few versions of each kernel. The caller has the
// cache's lock. Guests that run from an entry have it open, or read it moments after it was used.
func (c *Cache) prune(now time.Time) error {
	var errs []error
	ofName := map[string]int{}
	for _, e := range entries(filepath.Join(c.Dir, "kernels")) {
		name := nameOfKey(filepath.Base(e.path))
		ofName[name]++
		if now.Sub(e.used) > keepUnused || ofName[name] > keepOfName {
			errs = append(errs, os.RemoveAll(e.path))
		}
	}
	for _, e := range entries(filepath.Join(c.Dir, "apt")) {
		if now.Sub(e.used) > keepUnused {
			errs = append(errs, os.RemoveAll(e.path))
		}
	}
	return errors.Join(errs...)
}

type entry struct {
	path string
	used time.Time
}

// entries are the folders in a folder, the one used last first.
func entries(folder string) (found []entry) {
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil && e.IsDir() {
			found = append(found, entry{filepath.Join(folder, e.Name()), info.ModTime()})
		}
	}
	slices.SortStableFunc(found, func(a, b entry) int { return b.used.Compare(a.used) })
	return found
}

// nameOfKey is the kernel's name in what Kernel.key makes of it.
func nameOfKey(key string) string { return key[:max(0, strings.LastIndex(key, "-"))] }
