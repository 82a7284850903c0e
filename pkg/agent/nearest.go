package agent

// Nearest finds the process of the agent that stands nearest above, among ancestors,
// nearest first.
func Nearest(environ []string, ancestors []Process) (p Process, name string, ok bool) {
	env := environment(environ)
	known := agents()
	for _, p := range ancestors {
		for _, a := range known {
			if a.is(p, env) {
				return p, a.name, true
			}
		}
	}
	return Process{}, "", false
}
