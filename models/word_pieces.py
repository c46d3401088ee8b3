"""Text → word pieces, inside the graph: what is served splits text by the very ops that training used."""

import functools

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.fast_wordpiece_tokenizer import pywrap_fast_wordpiece_tokenizer_model_builder
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib

from models.vocabulary import Counts, learn_vocabulary

VOCABULARY_FILE = "word_pieces"
"""Name of the asset with the word pieces of all text features."""

PAD, UNKNOWN, EMPTY = "[PAD]", "[UNK]", "[EMPTY]"
SPECIAL_PIECES = (PAD, UNKNOWN, EMPTY, "[CLS]", "[SEP]", "[MASK]")
"""Pieces at fixed ids; `[EMPTY]` is the one token of a text without words."""

PAD_ID, EMPTY_ID = SPECIAL_PIECES.index(PAD), SPECIAL_PIECES.index(EMPTY)

CONTINUATION = "##"
"""Begins a piece that continues a word."""

_MAX_BYTES_PER_PIECE = 32
"""Bytes of a raw text that are looked at for each piece that is kept: a huge text costs no more than a long one."""

_MAX_WORD_BYTES = 100
_MAX_WORDS_LEARNT = 50_000

_INVISIBLE = r"[\p{Cc}\p{Cf}\x{FE00}-\x{FE0F}]+"
_SINGLE = r"[\p{P}\p{S}\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
"""Punctuation, symbols, and the scripts that put no space between words: each character stands alone."""

_DELIMITER = rf"[\s\p{{Z}}]+|{_SINGLE}"


def split_words(text: tf.Tensor, max_len: int, lowercase: bool) -> tf.RaggedTensor:
    """Cleans text and splits it on white space and around punctuation, symbols and CJK characters.

    Broken UTF-8 and control characters count as white space; formatting characters vanish; the rest is NFKC.

    Args:
        text: string `(batch,)`.
        max_len: no more than so many words are wanted of one text.
        lowercase: whether to fold case.

    Returns:
        string `(batch, words)`.
    """
    text = tf.strings.substr(tf.strings.strip(text), 0, max_len * _MAX_BYTES_PER_PIECE)
    text = tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace", replacement_char=ord(" "), replace_control_characters=True
    )
    text = tf_text.normalize_utf8(tf.strings.regex_replace(text, _INVISIBLE, ""), "NFKC")
    if lowercase:
        text = tf_text.case_fold_utf8(text)
    return tf_text.regex_split(text, delim_regex_pattern=_DELIMITER, keep_delim_regex_pattern=_SINGLE)[:, :max_len]


def learn_tokenizer(words: tf.Tensor, vocabulary_size: int) -> tf_text.FastWordpieceTokenizer:
    """Learns word pieces from the split that Transform analyses (by TFX's default: train alone).

    Args:
        words: string `(words,)`; all words of a batch.
        vocabulary_size: the most pieces to learn.

    Returns:
        the tokenizer of single words.
    """
    learn = functools.partial(learn_word_pieces, vocabulary_size=vocabulary_size)
    _, model = learn_vocabulary(words, VOCABULARY_FILE, learn, {tf.uint8: _build_model})
    # While Transform looks for the pieces, a zero stands in for the model, and on that the tokenizer would crash.
    stand_in = tf.constant(_build_model([UNKNOWN.encode()]))
    model = tf.cond(tf.size(model) > 1, lambda: model, lambda: stand_in)
    return tf_text.FastWordpieceTokenizer(model_buffer=model)


def learn_word_pieces(counts: Counts, vocabulary_size: int) -> list[bytes]:
    """Chooses a vocabulary of at most `vocabulary_size` word pieces; the same counts give the same pieces.

    Characters that always stand alone (punctuation, CJK) are pieces by themselves and take up to half of the room;
    longer words go through tensorflow-text's learner. Every character of a learnt word is a piece, so that an unseen
    word of known characters is never unknown.

    Args:
        counts: how often each word occurred.
        vocabulary_size: must leave room for the special pieces.

    Returns:
        special pieces, single characters by frequency, learnt pieces.
    """
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [(word.decode(), count) for word, count in by_count if word]
    singles = [word for word, _ in words if len(word) == 1]
    room = vocabulary_size - len(SPECIAL_PIECES)
    learnt = _learn_long_words([item for item in words if len(item[0]) > 1], room - min(len(singles), room // 2))
    singles = [single for single in singles if single not in learnt][: room - len(learnt)]
    return [piece.encode() for piece in (*SPECIAL_PIECES, *singles, *learnt)]


def _learn_long_words(words: list[tuple[str, int]], room: int) -> list[str]:
    if not words:
        return []
    pieces = wordpiece_tokenizer_learner_lib.learn(
        words,
        vocab_size=room,
        reserved_tokens=[],
        lower_thresh=2,
        num_iterations=2,  # 4 took 17 s instead of 8 on the 14,749 different words of the demo table
        max_input_tokens=_MAX_WORDS_LEARNT,
        max_token_length=_MAX_WORD_BYTES // 4,
        max_unique_chars=room // 4,
        slack_ratio=0.1,
        joiner=CONTINUATION,
    )
    characters = [piece for piece in pieces if len(piece.removeprefix(CONTINUATION)) == 1]
    longer = [piece for piece in pieces if len(piece.removeprefix(CONTINUATION)) > 1]
    return characters + longer[: room - len(characters)]


def _build_model(pieces: list[bytes]) -> np.ndarray:
    """Compiles the tokenizer's model: uint8 `(bytes,)`."""
    model = pywrap_fast_wordpiece_tokenizer_model_builder.build_fast_wordpiece_model(
        [piece.decode() for piece in pieces],
        _MAX_WORD_BYTES,
        CONTINUATION,
        UNKNOWN,
        True,  # words are split already
        False,  # no way back from pieces to text
    )
    return np.frombuffer(model, np.uint8)
