package policy

import (
	"testing"
)

func TestModelsFor(t *testing.T) {
	const anywhere = "[[model]]\nid = \"acme/any\"\nstatus = \"approved\"\n"
	const onWip = "[[model]]\nid = \"acme/new\"\nstatus = \"approved\"\nrefs = [\"refs/heads/wip/**\"]\n"
	const notOnMain = "[[model]]\nid = \"acme/old\"\nstatus = \"denied\"\nrefs = [\"refs/heads/main\"]\n"
	const main, wip, topic = "refs/heads/main", "refs/heads/wip/x", "refs/heads/topic"
	of := func(text, ref string) string { return parse(t, "schema = 1\n"+text).Rule(ref).Models }
	for _, c := range []struct {
		name string
		a, b string
		same bool
	}{
		{"no entry names refs", of(anywhere, main), of("", wip), true},
		{"an approval for one of them", of(onWip, main), of(onWip, wip), false},
		{"an approval for neither", of(onWip, main), of(onWip, topic), true},
		{"a denial for one of them", of(notOnMain, main), of(notOnMain, topic), false},
		{"entries for all refs do not count", of(anywhere+onWip, wip), of(onWip, wip), true},
		{"the lines do not count", of("\n\n"+onWip, wip), of(onWip, wip), true},
		{"a policy that names refs is not like one that does not", of(anywhere, main), of(onWip, main), false},
		{"an entry of more", of(onWip, wip), of(onWip+notOnMain, main), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if (c.a == c.b) != c.same {
				t.Errorf("%q and %q", c.a, c.b)
			}
			if !KnownModels(c.a) || !KnownModels(c.b) {
				t.Errorf("%q and %q are not known", c.a, c.b)
			}
		})
	}
}

func TestModelsOfAnotherListProveNothing(t *testing.T) {
	for _, c := range []struct {
		accepted, now string
		weaker        bool
	}{
		{"", "", false},
		{"", "a", false}, // every ref was alike when it was accepted
		{"a", "", true},  // it may have been welcome there alone
		{"a", "a", false},
		{"a", "b", true},
		{"a+b", "b", false}, // a symbolic ref is judged under both names
		{"a", "a+b", true},
		{noModels, "a", true},
		{noModels, "", true},
	} {
		if got := (Rule{Models: c.accepted}).WeakerThan(Rule{Models: c.now}); got != c.weaker {
			t.Errorf("%q weaker than %q: %v", c.accepted, c.now, got)
		}
	}
}

func TestCommon(t *testing.T) {
	rules := someRules()
	rules[0].Models, rules[7].Models = "", ""
	for _, a := range rules {
		for _, b := range rules {
			c := Common(a, b)
			if a.WeakerThan(c) || b.WeakerThan(c) {
				t.Fatalf("%+v and %+v gave %+v, which asks for more", a, b, c)
			}
			for _, asked := range rules {
				if !c.WeakerThan(asked) && (a.WeakerThan(asked) || b.WeakerThan(asked)) {
					t.Fatalf("%+v and %+v gave %+v, which is good enough for %+v", a, b, c, asked)
				}
			}
			if !b.WeakerThan(a) && c.WeakerThan(a) {
				t.Fatalf("%+v and %+v gave %+v, which asks for too little", a, b, c)
			}
		}
	}
}
