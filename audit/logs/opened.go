package logs

// opened are events in order of arrival. The room of those that are gone is used again.
type opened struct {
	all  []*group
	head int // of those that are still there
}

func (o *opened) list() []*group { return o.all[o.head:] }

func (o *opened) add(g *group) {
	if len(o.all) == cap(o.all) && o.head > len(o.all)/2 {
		n := copy(o.all, o.list())
		clear(o.all[n:])
		o.all, o.head = o.all[:n], 0
	}
	o.all = append(o.all, g)
}

// drop takes out the oldest n.
func (o *opened) drop(n int) {
	clear(o.list()[:n])
	if o.head += n; o.head == len(o.all) {
		o.all, o.head = o.all[:0], 0
	}
}
