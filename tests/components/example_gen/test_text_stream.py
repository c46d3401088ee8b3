import pytest

from components.example_gen.text_stream import decode, is_damaged, open_text, readable, sniff_encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_encoding_is_told_from_the_bytes(encoding):
    text = "text,label\nnaïve 🙂 مرحبا,1\n"
    found = sniff_encoding(text.encode(encoding), None)
    assert decode(text.encode(encoding), found) == text


def test_a_named_encoding_holds_unless_a_mark_says_otherwise():
    assert sniff_encoding("ä".encode("latin-1"), "latin-1") == "latin-1"
    assert sniff_encoding(b"\xef\xbb\xbfa", "latin-1") == "utf-8-sig"


def test_zero_bytes_in_text_are_not_taken_for_utf16():
    assert sniff_encoding(b"text,label\na\0b,1\n\0\0,0\n", None) == "utf-8"


@pytest.mark.parametrize("data", [b"ok\nb\xffd\n\xe2\x82\nend", "ok\n".encode("utf-16-le") + b"\x00\xdc" + b"\n\0e\0"])
def test_damaged_bytes_spoil_their_own_line(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    encoding = "utf-16-le" if b"\0" in data else "utf-8"
    with open_text(str(tmp_path / "a"), None, encoding, "\n") as text:
        first, *rest = list(text)
    assert not is_damaged(first)
    assert is_damaged(rest[0])
    assert not is_damaged(rest[-1])


def test_damaged_bytes_are_spelt():
    assert readable("caf\udce9 \ud800 ok") == "caf\\xe9 \\ud800 ok"
