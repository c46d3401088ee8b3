import json
import pathlib

import pytest
import tensorflow as tf

from models.bert_words import UNKNOWN_CHARACTER, split_bert_words

GOLDEN = pathlib.Path(__file__).parent / "golden_bert_words.json"
"""Texts, and the words that Hugging Face's uncased BERT tokenizer splits them into."""


def words(text, max_len=64, lowercase=True):
    return [word.decode() for word in split_bert_words(tf.constant([text]), max_len, lowercase)[0].numpy()]


@pytest.mark.parametrize(("text", "expected"), json.loads(GOLDEN.read_text(encoding="utf-8")))
def test_splits_as_berts_own_tokenizer(text, expected):
    assert words(text) == expected


def test_a_cased_model_reads_case_and_accents():
    assert words("Zażółć Ünï", lowercase=False) == ["Zażółć", "Ünï"]


def test_a_word_of_more_than_100_characters_is_unknown():
    assert words("x" * 100 + " " + "x" * 101) == ["x" * 100, UNKNOWN_CHARACTER]


def test_marks_in_a_text_are_no_marks():
    assert words("[SEP] [CLS]") == ["[", "sep", "]", "[", "cls", "]"]


def test_broken_utf8_vanishes():
    assert words(b"bad \xff\xfe utf") == ["bad", "utf"]


def test_a_huge_text_is_cut():
    assert len(words("a " * 3_000_000, max_len=32)) == 32
