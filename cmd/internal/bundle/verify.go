package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrNoBundle reports a file that is none.
var ErrNoBundle = errors.New("this is no evidence bundle of rekey")

// longest is how much of one file is unpacked at most: three kinds of lines with their
// JSON around them stay far below it, and a crafted archive must not fill the memory.
const longest = 1 << 30

// Verify holds every file of a bundle against its manifest. problems names what differs,
// in words; a nil error and no problem mean that the bundle is as it was packed. The
// manifest itself is pinned by the hash of the whole file, which the security log has.
func Verify(r io.ReaderAt, size int64) (m Manifest, problems []string, err error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	there := map[string]*zip.File{}
	for _, f := range z.File {
		if there[f.Name] != nil {
			problems = append(problems, f.Name+" is there twice.")
		}
		there[f.Name] = f
	}
	list := there[ManifestName]
	if list == nil {
		return m, nil, fmt.Errorf("%w: it has no %s", ErrNoBundle, ManifestName)
	}
	if err := manifest(list, &m); err != nil {
		return m, nil, err
	}
	delete(there, ManifestName)
	for _, want := range m.Files {
		f := there[want.Name]
		delete(there, want.Name)
		if f == nil {
			problems = append(problems, want.Name+" is missing.")
			continue
		}
		hash, n, err := digest(f)
		switch {
		case err != nil:
			problems = append(problems, want.Name+" cannot be unpacked: it is damaged.")
		case n != want.Size || hash != want.SHA256:
			problems = append(problems, fmt.Sprintf("%s was changed: it has %d bytes with SHA-256 %s, the manifest says %d bytes and %s.", want.Name, n, hash, want.Size, want.SHA256))
		}
	}
	for _, f := range z.File {
		if there[f.Name] == f {
			problems = append(problems, f.Name+" was added: the manifest does not know it.")
		}
	}
	return m, problems, nil
}

func manifest(f *zip.File, m *Manifest) error {
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: its manifest cannot be unpacked", ErrNoBundle)
	}
	defer content.Close()
	if err := json.NewDecoder(io.LimitReader(content, 16<<20)).Decode(m); err != nil {
		return fmt.Errorf("%w: its manifest cannot be read", ErrNoBundle)
	}
	if m.Format != Format {
		return fmt.Errorf("%w: its format is %.60q, not %q", ErrNoBundle, m.Format, Format)
	}
	return nil
}

func digest(f *zip.File) (hash string, n int64, err error) {
	content, err := f.Open()
	if err != nil {
		return "", 0, err
	}
	defer content.Close()
	h := sha256.New()
	n, err = io.Copy(h, io.LimitReader(content, longest))
	return hex.EncodeToString(h.Sum(nil)), n, err
}
