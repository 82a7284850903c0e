package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-git/gatekeeper/pkg/policy"
)

// Controls is what guards a repository, as far as the index knows: the policies that were in
// force, and what its server decided.
type Controls struct {
	Repository string        `json:"repository"`
	Default    string        `json:"default"`  // the ref that HEAD points at
	Policies   []InForce     `json:"policies"` // in the order of time
	Receipts   *ReceiptsKept `json:"receipts"` // null: none are known
	Refused    []RuleCount   `json:"refused"`  // what refused commits, most first
	Overrides  []Override    `json:"overrides"`
	Keys       []StolenKey   `json:"compromised"` // that the policy in force at the time of the view calls compromised

	Policy *policy.Policy `json:"-"` // in force at the time of the view; nil for none
}

// InForce is a policy and since when it counts.
type InForce struct {
	Since  string `json:"since"` // RFC 3339; "" for the first one known, which counts for all before it
	Digest string `json:"digest"`
}

// ReceiptsKept is what the receipts of a server say, between two times.
type ReceiptsKept struct {
	First     string           `json:"first"` // date of the first decision
	Last      string           `json:"last"`
	Seq       int64            `json:"seq"` // of the last line of a decision
	Hash      string           `json:"hash"`
	Decisions map[string]int64 `json:"decisions"` // by verdict: accepted, warned, refused, unchecked
	Happened  int64            `json:"happened"`  // of these, those of which an update happened
	Commits   int64            `json:"commits"`   // that refs reach, and of which a decision tells that the server let them in
}

// A RuleCount is how often a rule spoke in pushes that were refused.
type RuleCount struct {
	Rule    string `json:"rule"`
	Pushes  int64  `json:"pushes"`
	Commits int64  `json:"commits"`
}

// An Override is a push that was let in although something spoke against it.
type Override struct {
	Time    string   `json:"time"` // RFC 3339
	Pusher  string   `json:"-"`    // a person: not for everybody
	Reason  string   `json:"reason"`
	Refs    []string `json:"refs"`
	Rules   []string `json:"rules"`
	Commits int64    `json:"commits"`
}

// A StolenKey signed commits, some of which may be by somebody else.
type StolenKey struct {
	Key     string `json:"key"`
	Holder  string `json:"-"` // a person
	Class   string `json:"class"`
	Since   string `json:"since"`   // RFC 3339
	Commits int64  `json:"commits"` // that it signed
	After   int64  `json:"after"`   // of these, those that came to the server or, without receipts, were made after that
}

// Controls tells of every repository, by name, and of the decisions of a period.
func (v *View) Controls(ctx context.Context, during Period) ([]Controls, error) {
	list := []Controls{}
	for _, r := range v.Repositories {
		c := Controls{Repository: r.Name, Default: r.Default, Policies: []InForce{}, Refused: []RuleCount{}, Overrides: []Override{}, Keys: []StolenKey{}}
		for i, e := range r.Law {
			in := InForce{Digest: e.Digest()}
			if i > 0 {
				in.Since = e.since.Format(time.RFC3339)
			}
			c.Policies = append(c.Policies, in)
		}
		at := time.Now()
		if v.AsOf != nil {
			at = *v.AsOf
		}
		c.Policy = r.Law.at(at)
		if err := errors.Join(v.decided(ctx, r.ID, during, &c), v.stolen(ctx, r.ID, &c)); err != nil {
			return nil, fmt.Errorf("read receipts of %s: %w", r.Name, err)
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Controls) int { return cmp.Compare(a.Repository, b.Repository) })
	return list, nil
}

// decided sums up decisions.
func (v *View) decided(ctx context.Context, repo int64, during Period, c *Controls) error {
	since, until := during.seconds()
	kept := ReceiptsKept{Decisions: map[string]int64{}}
	var first, last, seq sql.NullInt64
	err := v.Store.QueryRowContext(ctx, "SELECT min(time), max(time), max(seq) FROM decision WHERE repo = ? AND run <= ?", repo, v.Run).Scan(&first, &last, &seq)
	if err != nil || !seq.Valid {
		return err
	}
	kept.First, kept.Last, kept.Seq = dateOf(first.Int64), dateOf(last.Int64), seq.Int64
	if err := v.Store.QueryRowContext(ctx, "SELECT hash FROM decision WHERE repo = ? AND seq = ?", repo, kept.Seq).Scan(&kept.Hash); err != nil {
		return err
	}
	rows, err := v.Store.QueryContext(ctx, `SELECT verdict, count(*), sum(EXISTS (SELECT 1 FROM outcome o WHERE o.decision = d.id AND o.run <= ?1))
		FROM decision d WHERE repo = ?2 AND run <= ?1 AND time >= ?3 AND time < ?4 GROUP BY verdict`, v.Run, repo, since, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var verdict string
		var n, happened int64
		if err := rows.Scan(&verdict, &n, &happened); err != nil {
			return err
		}
		kept.Decisions[verdict] = n
		kept.Happened += happened
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := v.Store.QueryRowContext(ctx, `SELECT count(*) FROM commits c WHERE repo = ?1 AND run <= ?2 AND received IS NOT NULL
		AND coalesce((SELECT present FROM presence p WHERE p.commit_id = c.id AND p.run <= ?2 ORDER BY p.run DESC LIMIT 1), 1)`, repo, v.Run).Scan(&kept.Commits); err != nil {
		return err
	}
	c.Receipts = &kept
	if c.Refused, err = v.refused(ctx, repo, since, until); err != nil {
		return err
	}
	c.Overrides, err = v.overrides(ctx, repo, since, until)
	return err
}

// refused counts rules in decisions that refused.
func (v *View) refused(ctx context.Context, repo, since, until int64) ([]RuleCount, error) {
	rows, err := v.Store.QueryContext(ctx, `SELECT r.rules, r.decision, count(DISTINCT r.oid) FROM ruling r JOIN decision d ON d.id = r.decision
		WHERE d.repo = ? AND d.run <= ? AND d.time >= ? AND d.time < ? AND d.verdict = 'refused' AND r.verdict = 'refused' GROUP BY r.rules, r.decision`,
		repo, v.Run, since, until)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	pushes, commits := map[string]map[int64]bool{}, map[string]int64{}
	for rows.Next() {
		var rules string
		var decision, n int64
		if err := rows.Scan(&rules, &decision, &n); err != nil {
			return nil, err
		}
		for rule := range strings.SplitSeq(rules, ",") {
			if rule == "" {
				continue
			}
			if pushes[rule] == nil {
				pushes[rule] = map[int64]bool{}
			}
			pushes[rule][decision] = true
			commits[rule] += n
		}
	}
	list := []RuleCount{}
	for rule, of := range pushes {
		list = append(list, RuleCount{rule, int64(len(of)), commits[rule]})
	}
	slices.SortFunc(list, func(a, b RuleCount) int {
		return cmp.Or(cmp.Compare(b.Pushes, a.Pushes), cmp.Compare(a.Rule, b.Rule))
	})
	return list, rows.Err()
}

// overrides lists pushes that were let in by somebody who may do so, in the order of time.
func (v *View) overrides(ctx context.Context, repo, since, until int64) ([]Override, error) {
	rows, err := v.Store.QueryContext(ctx, `SELECT d.time, d.pusher, d.override, d.commits,
		coalesce((SELECT group_concat(ref, char(10)) FROM (SELECT DISTINCT ref FROM decided_ref WHERE decision = d.id ORDER BY ref)), ''),
		coalesce((SELECT group_concat(rules) FROM (SELECT DISTINCT rules FROM ruling WHERE decision = d.id AND rules <> '' ORDER BY rules)), '')
		FROM decision d WHERE d.repo = ? AND d.run <= ? AND d.time >= ? AND d.time < ? AND d.override <> '' ORDER BY d.seq`, repo, v.Run, since, until)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Override{}
	for rows.Next() {
		var o Override
		var at int64
		var refs, rules string
		if err := rows.Scan(&at, &o.Pusher, &o.Reason, &o.Commits, &refs, &rules); err != nil {
			return nil, err
		}
		o.Time = time.Unix(at, 0).UTC().Format(time.RFC3339)
		o.Refs, o.Rules = distinct(refs, "\n"), distinct(rules, ",")
		list = append(list, o)
	}
	return list, rows.Err()
}

// distinct splits, sorts, and says nothing twice.
func distinct(list, separator string) []string {
	found := []string{}
	for _, w := range strings.Split(list, separator) {
		if w != "" {
			found = append(found, w)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// stolen finds what keys signed that the policy calls compromised.
func (v *View) stolen(ctx context.Context, repo int64, c *Controls) error {
	if c.Policy == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, s := range c.Policy.Signers().All() {
		key := s.Key.Fingerprint()
		if s.CompromisedSince.IsZero() || seen[key] {
			continue
		}
		seen[key] = true
		k := StolenKey{Key: key, Holder: s.Principal, Class: s.Class.String(), Since: s.CompromisedSince.UTC().Format(time.RFC3339)}
		err := v.Store.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(at >= ?), 0) FROM (SELECT DISTINCT x.id, coalesce(x.received, x.committed) at
			FROM signer g JOIN judgement j ON j.id = g.judgement JOIN commits x ON x.id = j.commit_id
			WHERE g.key = ? AND x.repo = ? AND `+counts("j")+`)`, s.CompromisedSince.Unix(), key, repo, v.Run, v.Run).Scan(&k.Commits, &k.After)
		if err != nil {
			return err
		}
		c.Keys = append(c.Keys, k)
	}
	return nil
}

// Held counts the commits that refs reach, merges among them, by repository.
func (v *View) Held(ctx context.Context) (map[int64]int64, error) {
	readers := make([]map[int64]int64, Readers())
	for i := range readers {
		readers[i] = map[int64]int64{}
	}
	err := v.Entries(ctx, false, func(n int, e *Entry) { readers[n][e.Repo]++ })
	for _, r := range readers[1:] {
		for repo, n := range r {
			readers[0][repo] += n
		}
	}
	return readers[0], err
}

// LastKnown is when the index last learned something: by a run that was completed, or of an
// artifact. It is zero when it never did.
func (v *View) LastKnown(ctx context.Context) (time.Time, error) {
	until := int64(1<<63 - 1)
	if v.AsOf != nil {
		until = v.AsOf.Unix()
	}
	var at sql.NullInt64
	if err := v.Store.QueryRowContext(ctx, `SELECT max(at) FROM (SELECT max(ended) at FROM run_end WHERE run <= ?1 AND killed = 0
		UNION ALL SELECT max(at) FROM artifact WHERE at <= ?2 UNION ALL SELECT max(at) FROM artifact_link WHERE at <= ?2)`, v.Run, until).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read index: %w", err)
	}
	if !at.Valid {
		return time.Time{}, nil
	}
	return time.Unix(at.Int64, 0).UTC(), nil
}
