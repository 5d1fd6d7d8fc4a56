package logstest

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"time"
)

// Finding is what Naive finds in a line.
type Finding struct {
	Offset int64
	Addr   string
	At     time.Time
	Method string
	Path   string
	Status string // "" for a signature failure
	Agent  string
}

// Sum is the number and a digest of findings, to compare two readings of millions.
type Sum struct {
	Count  int
	Digest uint64
}

// Add takes the next finding.
func (s *Sum) Add(f Finding) {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%x|%d|%s|%d|%s|%s|%s|%s", s.Digest, f.Offset, f.Addr, f.At.UnixNano(), f.Method, f.Path, f.Status, f.Agent)
	s.Count, s.Digest = s.Count+1, h.Sum64()
}

// Naive reads a file that Write made in the plainest way there is: line by line, byte by
// byte, sharing nothing with the reader it is compared with.
func Naive(path string, kind Kind) (Sum, error) {
	var sum Sum
	f, err := os.Open(path)
	if err != nil {
		return sum, fmt.Errorf("reading naively: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 1<<20)
	for offset := int64(0); ; {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, fmt.Errorf("reading naively: %w", err)
		}
		judge := accessFinding
		if kind == Security {
			judge = securityFinding
		}
		if found, ok := judge(line); ok {
			found.Offset = offset
			sum.Add(found)
		}
		offset += int64(len(line))
	}
}

// accessFinding splits a line into the fields between spaces, quotes and brackets.
func accessFinding(line []byte) (Finding, bool) {
	var fields []string
	for i := 0; i < len(line) && line[i] != '\n'; {
		closing := byte(' ')
		switch line[i] {
		case ' ':
			i++
			continue
		case '"':
			closing = '"'
			i++
		case '[':
			closing = ']'
			i++
		}
		start := i
		for i < len(line) && line[i] != closing && line[i] != '\n' {
			if line[i] == '\\' {
				i++
			}
			i++
		}
		fields = append(fields, string(line[start:i]))
		i++
	}
	if len(fields) != 9 {
		return Finding{}, false
	}
	words := strings.Split(fields[4], " ")
	status := fields[5]
	if len(words) != 3 || status != "401" && status != "403" && (status != "200" || words[0] != "POST" || words[1] != Guarded) {
		return Finding{}, false
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", fields[3])
	return Finding{Addr: fields[0], At: at, Method: words[0], Path: words[1], Status: status, Agent: fields[8]}, err == nil
}

// securityFinding knows the one layout of a failure that Write writes.
func securityFinding(line []byte) (Finding, bool) {
	words := strings.Fields(string(line))
	if len(words) != 11 || words[4] != "Invalid" || words[5] != "signature" {
		return Finding{}, false
	}
	at, err := time.Parse("2006-01-02 15:04:05,000", words[1]+" "+words[2])
	return Finding{Addr: words[7], At: at, Method: words[9], Path: words[10]}, err == nil
}
