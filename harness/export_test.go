package harness

// HoldRecording has whatever reports to the lab wait until release is called.
func HoldRecording(l *Lab) (release func()) {
	l.recording.mu.Lock()
	return l.recording.mu.Unlock
}
