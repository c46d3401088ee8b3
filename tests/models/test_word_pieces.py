import collections

import pytest
import tensorflow as tf

from models.word_pieces import SPECIAL_PIECES, learn_word_pieces, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World! don't", ["hello", ",", "world", "!", "don", "'", "t"]),
        ("", []),
        (" \t\r\n", []),
        ("我爱北京 hello", ["我", "爱", "北", "京", "hello"]),
        ("great👍🏽👨‍👩‍👧", ["great", "👍", "🏽", "👨", "👩", "👧"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("e\u0301 ﬁne ①", ["é", "fine", "1"]),
        ("a\u0000b\u200bc \ufeffd", ["a", "bc", "d"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("x" * 3_000_000, ["x" * 32 * 32]),
        (" " * 3_000_000 + "end", ["end"]),
    ],
)
def test_splits_cleaned_text(text, words):
    assert [word.decode() for word in split_words(tf.constant([text]), 32, lowercase=True)[0].numpy()] == words


def test_broken_utf8_is_white_space():
    assert split_words(tf.constant([b"bad \xff\xfe utf"]), 8, lowercase=True).to_list() == [[b"bad", b"utf"]]


def test_keeps_case_when_asked():
    assert split_words(tf.constant(["Not HERE"]), 8, lowercase=False).to_list() == [[b"Not", b"HERE"]]


def test_keeps_no_more_words_than_wanted():
    assert split_words(tf.constant(["a b c d"]), 2, lowercase=True).to_list() == [[b"a", b"b"]]


def test_learns_frequent_words_whole_and_every_character():
    counts = collections.Counter({b"dress": 90, b"dresses": 60, b"pretty": 50, b"prettiest": 3, b"!": 40})
    pieces = learn_word_pieces(counts, 120)
    assert pieces[: len(SPECIAL_PIECES)] == [piece.encode() for piece in SPECIAL_PIECES]
    assert {b"!", b"dress", b"dresses", b"pretty", b"d", b"##t"} <= set(pieces)
    assert len(pieces) == len(set(pieces)) <= 120


def test_order_of_words_does_not_matter():
    words = [(b"word%d" % i, 1 + i % 7) for i in range(300)]
    assert learn_word_pieces(collections.Counter(dict(words)), 150) == learn_word_pieces(
        collections.Counter(dict(reversed(words))), 150
    )


def test_never_learns_more_than_asked():
    counts = collections.Counter({f"{chr(97 + i % 26)}{i}q{chr(0x4E00 + i)}".encode(): 2 for i in range(2000)})
    counts.update({chr(0x4E00 + i).encode(): 5 for i in range(2000)})
    assert len(learn_word_pieces(counts, 300)) <= 300


def test_chinese_alone_fills_the_room_with_characters():
    counts = collections.Counter({chr(0x4E00 + i).encode(): 1 + i for i in range(500)})
    pieces = learn_word_pieces(counts, 100)
    assert len(pieces) == 100
    assert pieces[len(SPECIAL_PIECES)].decode() == chr(0x4E00 + 499)


def test_no_word_at_all_leaves_the_special_pieces():
    assert learn_word_pieces(collections.Counter(), 100) == [piece.encode() for piece in SPECIAL_PIECES]
