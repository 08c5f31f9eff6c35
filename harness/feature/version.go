package feature

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Version is a Linux release, 5.10 or 6.1.192. The patch is 0 where it does not matter.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads a kernel release such as "6.1.0-28-amd64", "4.18.0-553.el8_10.x86_64" or "7.3-rc1": what follows the numbers is the
// distributor's.
func ParseVersion(release string) (Version, error) {
	numbers := release
	if end := strings.IndexFunc(release, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		numbers = release[:end]
	}
	parts := strings.Split(strings.TrimRight(numbers, "."), ".")
	if len(parts) < 2 {
		return Version{}, fmt.Errorf("kernel release %q: want numbers such as 6.1", release)
	}
	var v Version
	for i, field := range []*int{&v.Major, &v.Minor, &v.Patch} {
		if i == len(parts) {
			break
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return Version{}, fmt.Errorf("kernel release %q: %w", release, err)
		}
		*field = n
	}
	return v, nil
}

// mustParse is for the releases in the table, which a test reads.
func mustParse(release string) Version {
	if release == "" {
		return Version{}
	}
	v, err := ParseVersion(release)
	if err != nil {
		panic(err)
	}
	return v
}

// Less tells whether v came out before w.
func (v Version) Less(w Version) bool {
	if v.Major != w.Major {
		return v.Major < w.Major
	}
	if v.Minor != w.Minor {
		return v.Minor < w.Minor
	}
	return v.Patch < w.Patch
}

func (v Version) String() string {
	if v.Patch == 0 {
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// MarshalText writes the version as it is said: 5.10.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Version) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVersion(string(text))
	return err
}

// Release is the running kernel's own name for itself, as uname -r prints it.
var Release = sync.OnceValues(func() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
})

// Kernel is the running kernel's version.
func Kernel() (Version, error) {
	release, err := Release()
	if err != nil {
		return Version{}, err
	}
	return ParseVersion(release)
}
