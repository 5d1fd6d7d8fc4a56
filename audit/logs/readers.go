package logs

// Readers bounds how many blocks are searched at once by all the readings that share
// it: several logs of one audit, several audits. A thread that searches stands back for
// all others, but as long as the kernel lets it wait it keeps one of the runtime's
// processors (GOMAXPROCS). With at least one more of those than readers, a scan does not
// slow down whatever else the process does.
//
// It is safe for concurrent use. A nil one bounds nothing.
type Readers struct{ places chan struct{} }

// NewReaders answers room for n readers.
func NewReaders(n int) *Readers { return &Readers{places: make(chan struct{}, max(1, n))} }

// enter waits for room. It is held while one block is searched and never while a
// consumer is waited for, who may himself be waiting for another reading's block.
func (r *Readers) enter() {
	if r != nil {
		r.places <- struct{}{}
	}
}

func (r *Readers) leave() {
	if r != nil {
		<-r.places
	}
}
