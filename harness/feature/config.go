package feature

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"sync"
)

// builtWith tells how the running kernel was built: "y", "m" for a module, "n", or "" where that is not known.
func builtWith(option string) string {
	options := kernelConfig()
	if options == nil {
		return ""
	}
	if value, ok := options[option]; ok {
		return value
	}
	return "n"
}

// kernelConfig is the configuration that the running kernel was built with, from the first place that has it; nil where none does.
var kernelConfig = sync.OnceValue(func() map[string]string {
	release, err := Release()
	if err != nil {
		return nil
	}
	for _, name := range []string{"/proc/config.gz", "/boot/config-" + release, "/lib/modules/" + release + "/config"} {
		if options := readConfig(name); options != nil {
			return options
		}
	}
	return nil
})

func readConfig(name string) map[string]string {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	var text io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			return nil
		}
	}
	return parseConfig(text)
}

// parseConfig reads lines such as CONFIG_VXLAN=y; options that are not set stand in comments.
func parseConfig(text io.Reader) map[string]string {
	options := map[string]string{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		if option, value, ok := strings.Cut(lines.Text(), "="); ok && strings.HasPrefix(option, "CONFIG_") {
			options[option] = value
		}
	}
	return options
}
