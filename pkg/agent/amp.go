package agent

// amp is a native program; its name stands in the package's package.json. Its
// plugins are TypeScript of a kind the project calls experimental, so it
// is seen by its process alone. It was not run.
func amp() agent {
	return agent{name: "amp", programs: []string{"amp"}}
}
