package bpf

import (
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprints are the first 12 hexadecimal digits of the SHA-256 of each object that is built in, by the name of its source without
// "bpf_" and ".c": two runs with the same fingerprints ran the same programs.
func Fingerprints() map[string]string {
	prints := map[string]string{}
	for name, object := range map[string][]byte{
		"xdp": _XdpBytes, "host": _HostBytes, "lxc": _LxcBytes, "ct": _CtBytes,
		"sock": _SockBytes, "sockops": _SockopsBytes, "redir": _RedirBytes, "network": _NetworkBytes,
	} {
		sum := sha256.Sum256(object)
		prints[name] = hex.EncodeToString(sum[:6])
	}
	return prints
}
