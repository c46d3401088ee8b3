"""Rows to tensors and tensors to predictions: what the client says between a caller's words and the wire."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deploy.serving.tensors import BY_NUMBER, STRING, Array, ElementType, fill_proto, to_array

Value = str | bytes | float | int | None
Row = Mapping[str, Value] | str
"""Value per input of the model; a plain string where the model reads one text only."""


@dataclass(frozen=True)
class Word:
    """A word that the model read, and how much of its attention went there (all of a row's sum to 1)."""

    text: str
    weight: float
    feature: str


@dataclass(frozen=True)
class Answer:
    """What one head says of a row.

    Attributes:
        label: the class; of a head with any number of classes all of them, joined; `""` where a number is predicted.
        probability: of the label; NaN where it is no single class.
        probabilities: by class; of a head with any number of classes each stands by itself.
        value: the number; None where classes are predicted.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    value: float | None = None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.value:.6g}"
        return self.label if math.isnan(self.probability) else f"{self.label} ({self.probability:.1%})"


@dataclass(frozen=True)
class Prediction(Answer):
    """The model's answer to one row.

    Where there are several heads, this is the answer of the one called `label`, else of the first by the alphabet, and
    `heads` holds those of all by their names.
    """

    version: int = 0
    words: tuple[Word, ...] = ()
    heads: dict[str, Answer] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.heads:
            return ", ".join(f"{name}: {answer}" for name, answer in self.heads.items())
        return super().__str__()


@dataclass(frozen=True)
class Inputs:
    """What a signature reads: element type per input, in the order of their names."""

    types: dict[str, ElementType]
    optional: frozenset[str]

    @classmethod
    def of(cls, signature: Any) -> "Inputs":
        """Reads a SignatureDef.

        Raises:
            ValueError: An input is of a type that rows cannot hold.
        """
        types = {}
        for name in sorted(signature.inputs):
            element_type = BY_NUMBER.get(signature.inputs[name].dtype)
            if element_type is None:
                raise ValueError(f"Input `{name}` of the model has a type that a row cannot hold.")
            types[name] = element_type
        return cls(types, frozenset(signature.defaults))

    @property
    def only_text(self) -> str | None:
        """The input that a plain string goes to: the only one of type string, if there is exactly one."""
        texts = [name for name, element_type in self.types.items() if element_type is STRING]
        return texts[0] if len(texts) == 1 else None

    def fill(self, rows: Sequence[Row], request: Any) -> None:
        """Writes rows into a PredictRequest; a value that is missing or None is sent as "" or NaN.

        Raises:
            ValueError: A row names an input that the model does not have, or holds a value of the wrong kind.
        """
        named = [self._named(row, number) for number, row in enumerate(rows)]
        for name, element_type in self.types.items():
            fill_proto(self._column(name, element_type, named), request.inputs[name])

    def _named(self, row: Row, number: int) -> Mapping[str, Value]:
        if isinstance(row, str):
            if self.only_text is None:
                raise ValueError(
                    f"Row {number} is a plain string, but the model reads {_listed(self.types)}; "
                    "give a dict with a value for each."
                )
            return {self.only_text: row}
        unknown = set(row) - set(self.types)
        if unknown:
            raise ValueError(f"Row {number} has {_listed(unknown)}, but the model reads {_listed(self.types)}.")
        return row

    def _column(self, name: str, element_type: ElementType, rows: Sequence[Mapping[str, Value]]) -> Array:
        if element_type is STRING:
            column = np.empty(len(rows), object)
            column[:] = [_text(row.get(name)) for row in rows]
            return column
        values = [self._number(name, row.get(name), element_type, number) for number, row in enumerate(rows)]
        return np.array(values, element_type.dtype)

    def _number(self, name: str, value: Value, element_type: ElementType, number: int) -> float:
        if value is None or value == "":
            if element_type.dtype.kind != "f":
                raise ValueError(f"Row {number} needs a value for `{name}`: {element_type.name} has none for missing.")
            return math.nan
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"`{name}` of row {number} must be a number. Received: {value!r}") from None


def read_predictions(response: Any) -> list[Prediction]:
    """Reads what the heads answer, and the words where the signature explains.

    Args:
        response: PredictResponse with, for each head, `label` string `(batch,)`, `probabilities` float and `classes`
            string `(batch, classes)`, or `value` float `(batch,)`, the head's name and `_` before them unless it is
            `label`; if explained also `tokens`, `token_features` string and `attention` float `(batch, tokens)`.

    Raises:
        ValueError: The model's outputs are others.
    """
    arrays = {name: to_array(tensor) for name, tensor in response.outputs.items()}
    answers = {prefix.removesuffix("_"): answer for prefix in _prefixes(arrays) if (answer := _answers(arrays, prefix))}
    if not answers:
        raise ValueError(
            f"The model answers {_listed(response.outputs)}, without `label`, `probabilities` and `classes` or "
            "`value` of any head: it was not made by this pipeline. Use a plain TF Serving client for it."
        )
    version = response.model_spec.version.value
    explained = {"tokens", "token_features", "attention"} <= set(arrays)
    predictions = []
    for row, first in enumerate(next(iter(answers.values()))):
        words: tuple[Word, ...] = ()
        if explained:
            words = merge_pieces(
                _decoded(arrays["tokens"][row]), _decoded(arrays["token_features"][row]), arrays["attention"][row]
            )
        heads = {name or "label": of_head[row] for name, of_head in answers.items()} if len(answers) > 1 else {}
        predictions.append(Prediction(**vars(first), version=version, words=words, heads=heads))
    return predictions


def _prefixes(outputs: Iterable[str]) -> list[str]:
    """What stands before `classes` or `value` in the names of the outputs: `""` first, then by the alphabet."""
    parts = ("classes", "value")
    return sorted(
        {name.removesuffix(part) for name in outputs for part in parts if name == part or name.endswith(f"_{part}")}
    )


def _answers(arrays: Mapping[str, Array], prefix: str) -> list[Answer]:
    """The answers of one head to all rows; none if an output is missing."""
    if f"{prefix}value" in arrays:
        return [Answer("", math.nan, {}, float(value)) for value in arrays[f"{prefix}value"]]
    found = [arrays.get(f"{prefix}{part}") for part in ("label", "probabilities", "classes")]
    if any(array is None for array in found):
        return []
    answers = []
    for label, scores, classes in zip(*found, strict=True):
        probabilities = dict(zip(_decoded(classes), map(float, scores), strict=True))
        name = label.decode("utf-8", "replace")
        answers.append(Answer(name, probabilities.get(name, math.nan), probabilities))
    return answers


def merge_pieces(tokens: Iterable[str], features: Iterable[str], attention: Iterable[float]) -> tuple[Word, ...]:
    """Puts word pieces (`##x` continues) together again; a word's weight is the sum of its pieces'.

    Padding has no feature and is left out; `[…]` tokens keep their names.
    """
    words: list[Word] = []
    for token, feature, weight in zip(tokens, features, attention, strict=True):
        if not feature:
            continue
        if token.startswith("##") and words and words[-1].feature == feature:
            last = words.pop()
            words.append(Word(last.text + token[2:], last.weight + float(weight), feature))
        else:
            words.append(Word(token, float(weight), feature))
    return tuple(words)


def _text(value: Value) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode()


def _decoded(array: Array) -> list[str]:
    return [value.decode("utf-8", "replace") for value in array.tolist()]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
