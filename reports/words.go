package reports

import (
	"strconv"
	"strings"
)

// benchmark is what a report says about a kind of benchmark. One that is not
// among those below is shown under its own name.
type benchmark struct {
	goName string // as a Go benchmark, without the prefix
	title  string // of its plot; what the bars stand for is added to it
	what   string // one sentence: what a figure of it is
}

var benchmarks = map[string]benchmark{
	"pps": {
		goName: "PPS",
		title:  "Packets per second",
		what:   "The packets that get through in a second when more are sent than can be forwarded.",
	},
	"cost": {
		goName: "Cost",
		title:  "Cost per packet of the datapath alone",
		what:   "The time that a datapath adds to each packet: the whole way less the empty path.",
	},
	"cpu": {
		goName: "CPU",
		title:  "CPU use of the datapath alone",
		what:   "The part of a CPU that a datapath takes at a fixed rate: the whole way less the empty path.",
	},
	"services": {
		goName: "Services",
		title:  "Cost per packet of the datapath alone, against services",
		what: "The time that a datapath adds to the first packet of a flow, for which it must find the service, " +
			"and to later ones, while it serves so many services that the flows are spread over.",
	},
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
	case "mode":
		return value + " mode"
	case "backend":
		return value + " backend"
	case "offered":
		return count + " packets/s offered"
	case "packets":
		return value + " packets"
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
