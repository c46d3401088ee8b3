"""Decodes text so that damaged bytes spoil their own row only."""

import codecs
import contextlib
import io
import re
from collections.abc import Iterator

from components.example_gen.files import open_bytes

_ESCAPE = "example_gen_escape"
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Maps each damaged byte to U+DC00 + byte: lone surrogates, which sound text never holds."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_ESCAPE, _escape)


def sniff_encoding(head: bytes, named: str | None) -> str:
    """Tells the encoding from a byte order mark, then the user's word, then UTF-16's zero bytes; else UTF-8."""
    for mark, encoding in _BOMS.items():
        if head.startswith(mark):
            return encoding
    if named is not None:
        return named
    even, odd = head[0::2].count(0), head[1::2].count(0)
    pairs = max(1, len(head) // 2)
    if odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.05 * pairs:
        return "utf-16-be"
    return "utf-8"


@contextlib.contextmanager
def open_text(path: str, compression: str | None, encoding: str, newline: str) -> Iterator[io.TextIOWrapper]:
    """Opens decompressed, decoded text; only `newline` ends a line and nothing is translated."""
    with open_bytes(path, compression) as stream:
        yield io.TextIOWrapper(stream, encoding, _ESCAPE, newline)


def decode(data: bytes, encoding: str) -> str:
    """Decodes a sample of a file, cut anywhere."""
    return codecs.getincrementaldecoder(encoding)(_ESCAPE).decode(data)


def is_damaged(text: str) -> bool:
    """Whether the text holds bytes that did not decode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def readable(text: str) -> str:
    """Spells damaged bytes as `\\xff`, so that the text can be written as UTF-8."""
    if not is_damaged(text):
        return text
    spelt = re.sub("[\udc00-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return spelt.encode("utf-8", "backslashreplace").decode()
