//go:build !linux

package agent

// Ancestors is empty where /proc does not tell: marks in the environment must do.
func Ancestors() []Process { return nil }

// Identity is not known on this system.
func (p Process) Identity() string { return "" }

// Gone reports whether the process with this identity has ended, which is not known on this system.
func Gone(string) bool { return false }
