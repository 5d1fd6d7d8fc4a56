package awstest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// held is one secret.
type held struct {
	name, arn string
	rotation  bool
	deleted   bool
	versions  map[string]*version
	stages    map[string]string // label: version id
}

// version never changes once it has a value. AWS makes one without a value for a
// rotation that begins.
type version struct {
	text, binary *string
	created      time.Time
}

// Create adds a secret whose AWSCURRENT version holds text, and answers its ARN.
func (s *Server) Create(name, text string) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &held{
		name: name, versions: map[string]*version{}, stages: map[string]string{},
		arn: fmt.Sprintf("arn:aws:secretsmanager:%s:123456789012:secret:%s-AbCdEf", s.cfg.Region, name),
	}
	s.secrets[name] = h
	s.edit(h, text)
	return h.arn
}

// Edit saves text as a person would in the console: a new AWSCURRENT version.
func (s *Server) Edit(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edit(s.secrets[name], text)
}

func (s *Server) edit(h *held, text string) {
	id := strings.ToLower(rand.Text() + rand.Text())[:36]
	h.versions[id] = &version{text: &text, created: s.cfg.Now()}
	h.attach("AWSCURRENT", id)
}

// Binary makes the AWSCURRENT version one of bytes.
func (s *Server) Binary(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.secrets[name].versions[s.secrets[name].stages["AWSCURRENT"]]
	encoded := "AAEC"
	v.text, v.binary = nil, &encoded
}

// Delete schedules a secret for deletion.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name].deleted = true
}

// Rotate begins a rotation as AWS does: rotation is turned on and the version named
// token exists, without a value, labelled AWSPENDING.
func (s *Server) Rotate(name, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.secrets[name]
	h.rotation = true
	h.versions[token] = &version{created: s.cfg.Now()}
	h.attach("AWSPENDING", token)
}

// StopRotation turns rotation off.
func (s *Server) StopRotation(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name].rotation = false
}

// Text answers what the version with a label holds; "" when there is none.
func (s *Server) Text(name, stage string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.secrets[name]
	if v := h.versions[h.stages[stage]]; v != nil && v.text != nil {
		return *v.text
	}
	return ""
}

// Stages answers which version each label is on.
func (s *Server) Stages(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.secrets[name].stages)
}

// Versions counts the versions that exist, the deprecated ones included.
func (s *Server) Versions(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.secrets[name].versions)
}

// Move puts a label on a version whatever it was on before, as a person may.
func (s *Server) Move(name, stage, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name].attach(stage, version)
}

// attach moves a label; AWSPREVIOUS follows AWSCURRENT.
func (h *held) attach(stage, id string) {
	if from := h.stages[stage]; stage == "AWSCURRENT" && from != "" && from != id {
		h.stages["AWSPREVIOUS"] = from
	}
	h.stages[stage] = id
	if stage == "AWSCURRENT" && h.stages["AWSPREVIOUS"] == id {
		delete(h.stages, "AWSPREVIOUS")
	}
}

// of answers the labels of a version, sorted.
func (h *held) of(id string) []string {
	out := []string{}
	for stage, at := range h.stages {
		if at == id {
			out = append(out, stage)
		}
	}
	slices.Sort(out)
	return out
}

// prune removes the oldest versions without labels when there are too many, and never
// one that is younger than a day.
func (h *held) prune(now time.Time) {
	for len(h.versions) > MaxVersions-1 {
		oldest := ""
		for id, v := range h.versions {
			if len(h.of(id)) == 0 && now.Sub(v.created) > youth && (oldest == "" || v.created.Before(h.versions[oldest].created)) {
				oldest = id
			}
		}
		if oldest == "" {
			return
		}
		delete(h.versions, oldest)
	}
}
