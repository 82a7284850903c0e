package gate

// A Witness is told of each commit that a push is judged by, as soon as it is settled:
// ref after ref, in the order in which commits were read, from one goroutine. So
// somebody can write down what came of every commit, and nothing grows with the push.
// An error of its ends the judgement.
//
// Refs that are judged together are told of under the first of them. When
// something is found, they are judged again one by one: then Back takes back what was
// told since Mark.
type Witness interface {
	Judged(c CommitVerdict) error
	Mark() error
	Back()
}
