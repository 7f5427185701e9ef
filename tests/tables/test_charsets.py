"""Character sets: told by marks and zero bytes, or named, or taken and said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import OptionError, TableError
from autometa.tables.charsets import decode

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda text: not text.startswith("\ufeff")
)


@given(TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_any_text_is_read_back(text: str, encoding: str) -> None:
    """Text in Unicode comes back as it was, its mark gone, and there is nothing to say."""
    assert decode(text.encode(encoding), "f") == (text, ())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_a_named_encoding_drops_the_mark_too(encoding: str) -> None:
    """The mark at the front is no part of the first column's name."""
    text = "a,b\n1,é\n"
    marked = "" if encoding in ("utf-16", "utf-8-sig") else "\ufeff"
    assert decode((marked + text).encode(encoding), "f", encoding) == (text, ())
    if marked:  # and without a mark zero bytes tell
        assert decode(text.encode(encoding), "f") == (text, ())


def test_western_text_is_taken_and_said() -> None:
    """Bytes that are no UTF-8 are Windows-1252, or Latin-1 where that has no such character."""
    text, notes = decode("naïve “café”".encode("cp1252"), "f")
    assert text == "naïve “café”"
    assert "Windows-1252" in notes[0]
    text, notes = decode(b"caf\xe9 \x81", "f")
    assert text == "café \x81"
    assert "Latin-1" in notes[0]


@pytest.mark.parametrize("name", ["utf-99", "undefined", "base64", "rot13", "", "\x00"])
def test_what_decodes_no_text_is_no_encoding(name: str) -> None:
    """Names unknown, empty or of something else are refused with some that do."""
    with pytest.raises(OptionError, match=r"unknown encoding.*utf-8"):
        decode(b"a,b\n", "f", name)


def test_the_wrong_encoding_is_said_with_its_byte() -> None:
    """Bytes that the named encoding cannot have are an error that says where."""
    with pytest.raises(TableError, match="f is not ascii: byte 4 cannot"):
        decode("a,b\né".encode(), "f", "ascii")


@pytest.mark.parametrize("data", [b"a,b\n1\x002\n3", bytes(range(1, 32)) * 9])
def test_control_characters_are_no_text(data: bytes) -> None:
    """A zero byte amid text, or many other controls, are binary data."""
    with pytest.raises(TableError, match="binary data"):
        decode(data, "f")
