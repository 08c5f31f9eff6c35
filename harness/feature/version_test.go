package feature

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	for release, want := range map[string]Version{
		"6.18.44-fc-v669":             {6, 18, 44},
		"6.1.0-28-amd64":              {6, 1, 0},
		"4.18.0-553.el8_10.x86_64":    {4, 18, 0},
		"7.3-rc1":                     {7, 3, 0},
		"5.10":                        {5, 10, 0},
		"5.15.0-1071.azure":           {5, 15, 0},
		"6.6.87.2-microsoft-standard": {6, 6, 87},
	} {
		got, err := ParseVersion(release)
		require.NoError(t, err)
		require.Equal(t, want, got, release)
	}
	for _, release := range []string{"", "6", "linux", "-rc1", "6..1", "99999999999999999999.1"} {
		_, err := ParseVersion(release)
		require.Error(t, err, release)
	}
}

func TestVersionsInOrder(t *testing.T) {
	inOrder := []Version{{4, 18, 0}, {5, 4, 0}, {5, 10, 0}, {5, 10, 262}, {6, 1, 0}, {6, 12, 0}, {7, 2, 0}}
	for i, v := range inOrder {
		for j, w := range inOrder {
			require.Equal(t, i < j, v.Less(w), "%v before %v", v, w)
		}
	}
}

func TestParseConfig(t *testing.T) {
	got := parseConfig(strings.NewReader("# Linux/x86\nCONFIG_VXLAN=m\n# CONFIG_IP_VS is not set\nCONFIG_BPF_SYSCALL=y\n\n"))
	require.Equal(t, map[string]string{"CONFIG_VXLAN": "m", "CONFIG_BPF_SYSCALL": "y"}, got)
}
