package topo_test

import (
	"context"
	"fmt"
	"net"

	"github.com/skbench/skbench/topo"
)

// Two nodes, a pod and a host, made real: what runs in Do is inside the machine.
func ExampleUp() {
	var t topo.Topology
	t.AddNode("worker1")
	t.AddNode("worker2")
	t.AddPod("web", "worker2")
	t.AddHost("client")

	network, err := topo.Up(context.Background(), t)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer network.Close()

	worker1, _ := network.Machine("worker1")
	web, _ := network.Machine("web")
	out, _, err := worker1.NextHop(web.IPv4())
	fmt.Println(web.IPv4(), "is behind", out, err)
	err = web.Do(func() error {
		interfaces, err := net.Interfaces()
		for _, i := range interfaces {
			fmt.Println("web has", i.Name, i.MTU)
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// 10.0.2.1 is behind worker1/eth0 <nil>
	// web has lo 65536
	// web has eth0 1500
	// <nil>
}

// Validate names the thing that is wrong and what to do.
func ExampleTopology_Validate() {
	t := topo.Cluster(2)
	t.Pods = append(t.Pods, topo.Pod{Name: "web", Node: "node9"})
	fmt.Println(t.Validate())
	// Output:
	// topo: pod web is on node "node9", which does not exist: add the node before the pod
}
