package reports

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// fullRun is a made-up run that has every kind of benchmark, with figures in the shape of
// real ones. The XDP datapath takes slowed times what it should.
func fullRun(night int, slowed float64) *Results {
	random := rand.New(rand.NewPCG(uint64(night), 1))
	r := &Results{
		Schema: Schema,
		Environment: map[string]string{
			"time": fmt.Sprintf("2026-03-%02dT02:17:45Z", night), "kernel": "6.18.2", "goos": "linux", "goarch": "amd64", "cpus": "2",
			"cpu": "Intel(R) Xeon(R) Processor @ 2.80GHz", "commit": fmt.Sprintf("%040d", night), "pinning": "generator and datapath on CPU 1",
			"config": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "offloads": "off",
			"mitigations": "itlb_multihit: KVM: Mitigation: VMX unsupported; spectre_v1: usercopy/swapgs barriers and __user pointer sanitization; spectre_v2: Enhanced IBRS",
		},
		Checks: []Check{
			{"a-a", true, "0 of 40 comparisons of a side with itself differ, limit 1 of 100."},
			{"generator", true, "It makes 5.9 M packets per second, 1.6 times the fastest datapath, limit 1.5."},
			{"foreign-load", true, "Other processes took 0.3 % of the CPU, limit 2 %."},
		},
		Absent: []Absence{{"pps", map[string]string{"datapath": "ipvs"}, "this kernel has no IPVS"}},
	}
	add := func(benchmark, unit string, value float64, params ...string) {
		p := map[string]string{}
		for i := 0; i < len(params); i += 2 {
			p[params[i]] = params[i+1]
		}
		if p["datapath"] == "xdp" && value != 0 {
			if unitOf(unit).isRate() {
				value /= slowed
			} else {
				value *= slowed
			}
		}
		samples := make([]float64, 10)
		for i := range samples {
			samples[i] = value * (1 + 0.01*random.NormFloat64())
			if unitOf(unit).isCount() {
				samples[i] = float64(int(value))
			}
		}
		r.Results = append(r.Results, withSamples(benchmark, p, unit, samples))
	}
	cost := map[string]float64{"xdp": 66, "xdp-generic": 420, "tc": 718, "iptables": 1760, "nftables": 1590, "empty": 0}
	order := []string{"empty", "xdp", "xdp-generic", "tc", "iptables", "nftables"}
	for _, family := range []string{"ipv4", "ipv6"} {
		for i, size := range []string{"64", "512", "1500", "imix"} {
			for _, d := range order {
				path := 200 + cost[d] + 20*float64(i)
				params := []string{"datapath", d, "mode", "inline", "family", family, "size", size, "flows", "1024", "services", "1", "backend", "remote"}
				add("pps", "packets/s", 1e9/path, params...)
				if d != "empty" {
					add("cost", "ns/packet", cost[d]+5*float64(i), params...)
				}
			}
		}
	}
	for i, flows := range []string{"1", "64", "16384", "65536"} {
		for _, d := range order {
			params := []string{"datapath", d, "mode", "inline", "family", "ipv4", "size", "64", "flows", flows, "services", "1", "backend", "remote"}
			add("pps", "packets/s", 1e9/(200+cost[d]*(1+0.3*float64(i))), params...)
			if d != "empty" {
				add("cost", "ns/packet", cost[d]*(1+0.3*float64(i)), params...)
			}
		}
	}
	for i, load := range []string{"75000", "150000", "300000"} {
		for _, d := range order[1:] {
			add("cpu", "%", cost[d]*float64(int(1)<<i)*75000/1e7, "datapath", d, "mode", "inline", "family", "ipv4", "size", "64", "flows", "1024", "services", "1", "backend", "remote", "offered", load)
		}
	}
	for i, n := range []string{"1", "100", "1000", "10000"} {
		for _, packets := range []string{"first", "later"} {
			grow := map[string]float64{"xdp": 1 + 0.05*float64(i), "iptables": 1 + float64(i*i*i)}
			for _, d := range []string{"xdp", "iptables"} {
				add("services", "ns/packet", cost[d]*grow[d], "datapath", d, "services", n, "packets", packets, "family", "ipv4", "flows", "8192", "mode", "inline")
			}
		}
	}
	for i, q := range []string{"p50", "p90", "p99", "p99.9"} {
		for j, d := range []string{"empty", "ebpf", "iptables"} {
			for _, transaction := range []string{"rr", "crr"} {
				add("latency", "us", float64(12+6*j)*(1+0.8*float64(i*i)), "datapath", d, "transaction", transaction, "path", "same-node", "quantile", q, "mode", "inline")
			}
		}
	}
	for _, d := range []string{"ebpf", "iptables"} {
		add("throughput", "bit/s", 2.1e10, "datapath", d, "path", "same-node", "offloads", "on")
		add("throughput", "bit/s", 0.3e10, "datapath", d, "path", "same-node", "offloads", "off")
	}
	for i, name := range []string{"xdp_entry", "from_netdev", "from_container"} {
		slower := 1.0
		if i == 0 {
			slower = slowed
		}
		for _, c := range []string{"first-remote", "later-remote"} {
			add("program", "ns/packet", slower*(60+30*float64(i)), "program", name, "case", c)
		}
		add("program", "instructions", slower*(15000+1000*float64(i)), "program", name)
		add("program", "states", 850, "program", name)
	}
	add("ndr", "packets/s", 2.9e6, "datapath", "xdp", "mode", "split", "size", "64")
	add("ndr", "packets/s", 0.9e6, "datapath", "iptables", "mode", "split", "size", "64")
	for i, nodes := range []int{3, 30, 100} {
		for _, phase := range []string{"up", "down"} {
			add("lab", "s", 0.4*float64(1+i*i*10), "nodes", strconv.Itoa(nodes), "phase", phase)
		}
	}
	return r
}
