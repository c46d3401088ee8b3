"""Text → words as BERT splits them, by ops that every TF Serving image has."""

import tensorflow as tf
import tensorflow_text as tf_text

MAX_WORD_CHARACTERS = 100
"""A longer word is unknown to BERT."""

UNKNOWN_CHARACTER = "\ue000"
"""Of the private use area, so that no vocabulary holds it."""

_MAX_BYTES_PER_PIECE = 32
"""Bytes of a raw text that are looked at for each piece that is kept: a huge text costs no more than a long one."""

_IDEOGRAPHS = (
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}"
    r"\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
)
_SINGLE = rf"[!-/:-@\[-`{{-~\p{{P}}{_IDEOGRAPHS}]"
_DELIMITER = rf"[\s\p{{Z}}]+|{_SINGLE}"


def split_bert_words(text: tf.Tensor, max_len: int, lowercase: bool) -> tf.RaggedTensor:
    """Cleans text and splits it as BERT's basic tokenizer does (Devlin et al. 2019, `tokenization.py`).

    Control characters vanish; ideographs and punctuation stand alone; an uncased model reads no accents either.
    tensorflow-text's own `FastBertTokenizer` reads `ß` as `ss` and full-width letters as narrow ones, which the models
    that are around have not seen in their training.

    Args:
        text: string `(batch,)`.
        max_len: no more than so many words are wanted of one text.
        lowercase: whether the model is uncased.

    Returns:
        string `(batch, words)`.
    """
    text = tf.strings.substr(tf.strings.strip(text), 0, max_len * _MAX_BYTES_PER_PIECE)
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD)
    text = tf.strings.regex_replace(text, r"[\t\n\r]", " ")
    text = tf.strings.regex_replace(text, r"[\x{FFFD}\p{C}]+", "")
    if lowercase:
        # Some ideographs are composed, and would fall apart before they could stand alone.
        text = tf.strings.regex_replace(text, f"([{_IDEOGRAPHS}])", r" \1 ")
        text = tf.strings.regex_replace(tf_text.normalize_utf8(text, "NFD"), r"\p{Mn}+", "")
        text = tf.strings.lower(tf.strings.regex_replace(text, "Σ", "σ"), "utf-8")  # never a final sigma
    words = tf_text.regex_split(text, delim_regex_pattern=_DELIMITER, keep_delim_regex_pattern=_SINGLE)[:, :max_len]
    is_long = tf.strings.length(words.flat_values, "UTF8_CHAR") > MAX_WORD_CHARACTERS
    return words.with_flat_values(tf.where(is_long, UNKNOWN_CHARACTER, words.flat_values))
