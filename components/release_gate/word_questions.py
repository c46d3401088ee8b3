"""Texts with some words taken away, and what a model says of them."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components.release_gate.sample import Model, Sample

_WORD = re.compile(r"\w+|[^\w\s]")
Word = tuple[str, str]
"""(feature, word)."""
Change = Callable[[bytes, Sequence[Word], str], bytes]
"""Of a text by some words and the feature's name."""


def without(text: bytes, words: Sequence[Word], feature: str) -> bytes:
    """A text without all occurrences of some words."""
    gone = {word for name, word in words if name == feature}
    return _WORD.sub(lambda match: "" if fold(match.group()) in gone else match.group(), text.decode()).encode()


def only(text: bytes, words: Sequence[Word], feature: str) -> bytes:
    """A text without all other words."""
    kept = {word for name, word in words if name == feature}
    return _WORD.sub(lambda match: match.group() if fold(match.group()) in kept else "", text.decode()).encode()


def fold(word: str) -> str:
    """A word as vocabularies spell it: folded in case, and without accents."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", word).casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")


def ranked_words(sample: Sample, outputs: Mapping[str, np.ndarray], row: int) -> list[Word]:
    """The different words of a row's texts, most attended first; what stands in no text by its name is left out."""
    there = {name: {fold(word) for word in _WORD.findall(sample.columns[name][row].decode())} for name in sample.texts}
    weights: dict[Word, float] = {}
    last: tuple[str, list[str], float] = ("", [], 0.0)
    pieces: list[tuple[str, list[str], float]] = []
    for token, feature, weight in zip(
        outputs["tokens"][row], outputs["token_features"][row], outputs["attention"][row], strict=True
    ):
        name, piece = feature.decode(), token.decode()
        if piece.startswith("##") and pieces and pieces[-1][0] == name:
            last = pieces.pop()
            pieces.append((name, [*last[1], piece[2:]], last[2] + float(weight)))
        else:
            pieces.append((name, [piece], float(weight)))
    for name, parts, weight in pieces:
        word = (name, fold("".join(parts)))
        if name in there and word[1] in there[name]:
            weights[word] = weights.get(word, 0.0) + weight
    return sorted(weights, key=lambda word: (-weights[word], word))


class WordQuestions:
    """Asks a model about rows with words taken away.

    Args:
        model: that answers.
        sample: the rows, with texts.
        outputs: what the model's signature `explain` says of the rows.

    Attributes:
        head: the first that predicts classes, or the first; of it all is told.
        is_number: whether it predicts one.
        words: of each row, most attended first.
    """

    def __init__(self, model: Model, sample: Sample, outputs: Mapping[str, np.ndarray]):
        answers = model.answers(outputs)
        self.head = next((each for each in answers if not answers[each].is_number), next(iter(answers)))
        self.words = [ranked_words(sample, outputs, row) for row in range(sample.num_rows)]
        self._model, self._sample, before = model, sample, answers[self.head]
        self.is_number = before.is_number
        places = {name: place for place, name in enumerate(before.classes)}
        if before.is_number:
            self._said, self._scale = np.zeros(sample.num_rows, int), before.scores.std() or 1.0
        elif before.head.type == "multi_label":
            self._said, self._scale = before.scores.argmax(axis=1), 1.0
        else:
            self._said, self._scale = np.array([places[label] for label in before.labels]), 1.0
        self._before = before.scores[np.arange(sample.num_rows), self._said]

    def gains(self, rows: Sequence[int], words: Sequence[Sequence[Word]], change: Change = without) -> np.ndarray:
        """How much more is said of changed rows than of the rows as they are.

        Args:
            rows: their numbers; a row may come several times.
            words: for each of them those by which it is changed.
            change: of its texts.

        Returns:
            float `(len(rows),)`: of the probability of what was said of the row; of a number in standard deviations of
            the answers.

        Raises:
            QuestionError: the model does not answer.
        """
        asked = np.asarray(rows, int)
        columns = {name: column[asked] for name, column in self._sample.columns.items()}
        for name in self._sample.texts:
            texts = [change(text, some, name) for text, some in zip(columns[name], words, strict=True)]
            columns[name] = np.array(texts, object)
        after = self._model.answers(self._model.outputs(columns))[self.head].scores
        return (after[np.arange(len(asked)), self._said[asked]] - self._before[asked]) / self._scale
