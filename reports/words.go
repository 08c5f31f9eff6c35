package reports

import (
	"strconv"
	"strings"
)

// benchmark is what a report says about a kind of benchmark. One that is not
// among those below is shown under its own name.
type benchmark struct {
	goName string // as a Go benchmark, without the prefix
	words  string // within a sentence; "" for the title in small letters
	title  string // of its plot; what the bars stand for is added to it
	what   string // one sentence: what a figure of it is
}

var benchmarks = map[string]benchmark{
	"pps": {
		goName: "PPS",
		words:  "packets per second",
		title:  "Packets per second",
		what:   "The packets that get through in a second when more are sent than can be forwarded.",
	},
	"cost": {
		goName: "Cost",
		words:  "cost per packet",
		title:  "Cost per packet of the datapath alone",
		what:   "The time that a datapath adds to each packet: the whole way less the empty path.",
	},
	"cpu": {
		goName: "CPU",
		words:  "CPU use",
		title:  "CPU use of the datapath alone",
		what:   "The part of a CPU that a datapath takes at a fixed rate: the whole way less the empty path.",
	},
	"services": {
		goName: "Services",
		words:  "cost per packet against services",
		title:  "Cost per packet of the datapath alone, against services",
		what: "The time that a datapath adds to the first packet of a flow, for which it must find the service, " +
			"and to later ones, while it serves so many services that the flows are spread over.",
	},
	"backends": {
		goName: "Backends",
		words:  "cost per packet against backends",
		title:  "Cost per packet of the datapath alone, against backends",
		what: "The time that a datapath adds to the first packet of a flow, for which it must choose a backend, " +
			"and to later ones, while its one service has so many backends.",
	},
	"loss": {
		goName: "Loss",
		title:  "Packets lost under overload",
		what:   "The part of the packets that is lost when more are sent than can be forwarded.",
	},
	"ndr": {
		goName: "NDR",
		title:  "Highest rate without loss",
		what:   "The highest rate at which no packet is lost, by binary search as RFC 2544 has it, with short trials.",
	},
	"latency": {
		goName: "Latency",
		title:  "Latency",
		what: "The time of one transaction over TCP: a byte there and a byte back on an open connection (rr), " +
			"or connecting, a byte there, a byte back and closing (crr).",
	},
	"throughput": {
		goName: "Throughput",
		title:  "Throughput of one TCP stream",
		what:   "The bytes that one TCP connection carries when the sender has always more.",
	},
	"program": {
		goName: "Program",
		words:  "cost of a run",
		title:  "Cost of one program",
		what: "What one run of a program takes on a packet that is restored before each run, without anything around it; " +
			"and what the program costs the verifier when it is loaded.",
	},
	"lab": {
		goName: "Lab",
		title:  "Time to bring a lab up and down",
		what:   "The time until a lab of so many nodes stands with the datapath on it, and until all of it is gone.",
	},
	"generator": {
		goName: "Generator",
		title:  "The generator's ceiling",
		what:   "The packets per second that the generator makes when the far end drops all of them at once.",
	},
}

// benchmarkIn is the benchmark as it is called when it counts something.
func benchmarkIn(name, unit string) benchmark {
	b := benchmarkOf(name)
	if unitOf(unit).isCount() {
		b.title, b.words = b.title+": "+unit+" verified", unit+" verified"
	}
	return b
}

// capital begins with a capital letter.
func capital(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// brief is what the benchmark is called within a sentence.
func (b benchmark) brief() string {
	if b.words != "" {
		return b.words
	}
	return strings.ToLower(b.title[:1]) + b.title[1:]
}

// checkTitles are what the checks that every run makes of itself are called.
var checkTitles = map[string]string{
	"a-a":          "Told from itself (A/A)",
	"generator":    "The generator's ceiling",
	"ceiling":      "The generator's ceiling",
	"steal":        "Time taken by other machines (steal)",
	"foreign-load": "Foreign load",
}

func checkTitle(name string) string {
	if title, known := checkTitles[name]; known {
		return title
	}
	title := strings.ReplaceAll(name, "-", " ")
	return capital(title)
}

// Title is what the page calls the check.
func (c Check) Title() string { return checkTitle(c.Name) }

// State is its outcome in a word.
func (c Check) State() string {
	if c.Passed {
		return "passed"
	}
	return "failed"
}

func benchmarkOf(name string) benchmark {
	if b, known := benchmarks[name]; known {
		return b
	}
	title := strings.ToUpper(name[:1]) + name[1:]
	return benchmark{goName: title, title: strings.ReplaceAll(title, "-", " ")}
}

// phrase says a parameter and its value in words: "1,024 flows".
func phrase(param, value string) string {
	count := value
	if n, err := strconv.Atoi(value); err == nil {
		count = grouped(float64(n), 0)
	}
	switch param {
	case "datapath":
		if i := rankOf(value); i < len(datapaths) {
			return datapaths[i].name
		}
		return value
	case "family":
		return strings.Replace(value, "ip", "IP", 1)
	case program, "case":
		return value
	case "transaction":
		return strings.ToUpper(value)
	case "busy":
		if value == "1" {
			return "one service busy"
		}
		return value + " services busy"
	case quantile:
		return "p" + strings.TrimPrefix(value, "p")
	case "mode":
		return value + " mode"
	case "backend":
		return value + " backend"
	case "offered":
		return count + " packets/s offered"
	case "packets":
		return value + " packets"
	case "path":
		return strings.Replace(value, "-node", " node", 1)
	case "offloads":
		return "offloads " + value
	case "size":
		if value == "imix" {
			return "IMIX"
		}
		return count + " bytes"
	case "flows", "services", "backends", "nodes":
		if value == "1" {
			return "1 " + strings.TrimSuffix(param, "s")
		}
		return count + " " + param
	}
	return param + " " + value
}
