package estatetest

import (
	"os"
	"regexp"
	"strings"
)

// binding is an assignment as python-dotenv reads it. It is written anew here, and
// not shared with the code that writes such files, so that one checks the other.
var binding = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?([^=#\s]+)[ \t]*=[ \t]*('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|[^\r\n]*)`)

var (
	inlineComment = regexp.MustCompile(`\s+#.*`)
	singleEscapes = regexp.MustCompile(`\\([\\'])`)
	doubleEscapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t")
)

// loadEnv reads a .env file; the last assignment of a variable wins.
func loadEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, m := range binding.FindAllStringSubmatch(string(text), -1) {
		name, v := m[1], m[2]
		switch {
		case len(v) > 1 && v[0] == '\'' && v[len(v)-1] == '\'':
			v = singleEscapes.ReplaceAllString(v[1:len(v)-1], "$1")
		case len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"':
			v = doubleEscapes.Replace(v[1 : len(v)-1])
		default:
			v = strings.TrimSpace(inlineComment.ReplaceAllString(v, ""))
		}
		env[name] = v
	}
	return env, nil
}
