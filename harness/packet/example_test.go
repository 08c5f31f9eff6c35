package packet_test

import (
	"fmt"

	"github.com/skbench/skbench/harness/packet"
)

func Example() {
	syn, err := packet.Build(packet.TCP{Dst: web4, Flags: packet.SYN}, defaults)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(syn)
	synACK, err := packet.Build(syn.Reply(packet.SYN|packet.ACK), packet.Defaults{Cookie: 18})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(synACK)
	fmt.Print(packet.Match(packet.TCP{Src: web4, Flags: packet.ACK}, synACK))
	// Output:
	// IPv4 172.31.0.1:20017 > 10.0.3.1:80 TCP SYN ttl 64 len 16 #17
	// IPv4 10.0.3.1:80 > 172.31.0.1:20017 TCP SYN|ACK ttl 64 len 16 #18
	// want TCP{Src 10.0.3.1:80, Flags ACK}
	// got  IPv4 10.0.3.1:80 > 172.31.0.1:20017 TCP SYN|ACK ttl 64 len 16 #18
	//    field      want         got
	//    TCP.Src    10.0.3.1:80  10.0.3.1:80
	// -> TCP.Flags  ACK          SYN|ACK
}

// An ICMP error quotes the packet that it is about, and goes to its source.
func ExampleICMP() {
	p, err := packet.Build(packet.ICMP{
		Type:     packet.ICMPDestinationUnreachable,
		Code:     packet.ICMPPortUnreachable,
		Embedded: packet.UDP{Src: addrPort("10.0.1.1:5353"), Dst: web4},
	}, defaults)
	fmt.Println(p, err)
	// Output:
	// IPv4 172.31.0.1 > 10.0.1.1 ICMP destination unreachable code 3 ttl 64 len 44 | about IPv4 10.0.1.1:5353 > 10.0.3.1:80 UDP ttl 64 len 16 #17 <nil>
}

func ExampleLayers() {
	tunnel := packet.Layers{packet.IPv4{Dst: node4}, packet.VXLAN{VNI: 5}, packet.IPv4{TTL: 3}, packet.TCP{Dst: web4}}
	p, err := packet.Build(tunnel, defaults)
	fmt.Println(p, err)
	// Output:
	// IPv4 172.31.0.1:20017 > 172.16.0.2:8472 UDP ttl 64 len 78 | VXLAN 5 | IPv4 172.31.0.1:20017 > 10.0.3.1:80 TCP SYN ttl 3 len 16 #17 <nil>
}
