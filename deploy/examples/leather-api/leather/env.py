"""Reads a .env file as python-dotenv does, with nothing to install.

Values come from the file alone. A process goes on with the environment it was started
in, whatever a reload does; so what is to change by a reload must not come from there.
"""

import re

_BINDING = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([^=\#\s]+)[ \t]*=[ \t]*('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|[^\r\n]*)""",
    re.MULTILINE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(path):
    """The variables of the file, by name. The last assignment wins."""
    with open(path, encoding="utf-8") as f:
        return {m.group(1): _value(m.group(2)) for m in _BINDING.finditer(f.read())}


def _value(text):
    if len(text) > 1 and text[0] == text[-1] == "'":
        return re.sub(r"\\([\\'])", r"\1", text[1:-1])
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"""\\([\\'"nrt])""", lambda m: _ESCAPES.get(m.group(1), m.group(1)), text[1:-1])
    return re.sub(r"\s+#.*", "", text).strip()
