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

    Attributes:
        version: that answered.
        words: what was attended to.
        heads: see above.
        rollout: the words again, with the weights of the attention rollout; only of a model that was told to give it.
        layer_tokens: the word pieces and other tokens that the encoder's layers read; only of such a model.
        layer_attention: float32 `(layers, heads, tokens, tokens)`: how much of each token (last axis) each token read.
    """

    version: int = 0
    words: tuple[Word, ...] = ()
    heads: dict[str, Answer] = field(default_factory=dict)
    rollout: tuple[Word, ...] = ()
    layer_tokens: tuple[str, ...] = ()
    layer_attention: Array | None = field(default=None, compare=False, repr=False)

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
            `label`; if explained also `tokens`, `token_features` string and `attention` float `(batch, tokens)`, and
            where the model gives them `rollout`, `layer_tokens` and `layer_attention`.

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
        further = _explanation({name: array[row] for name, array in arrays.items()}) if explained else {}
        heads = {name or "label": of_head[row] for name, of_head in answers.items()} if len(answers) > 1 else {}
        predictions.append(Prediction(**vars(first), version=version, heads=heads, **further))
    return predictions


def read_embeddings(responses: Iterable[Any]) -> Array:
    """Reads the rows of PredictResponses with the output `embedding`: float32 `(rows, embedding_dim)`.

    Raises:
        ValueError: The model's outputs are others.
    """
    parts = [np.zeros((0, 0), np.float32)]
    for response in responses:
        if "embedding" not in response.outputs:
            raise ValueError(f"The model's signature `embed` answers {_listed(response.outputs)}, without `embedding`.")
        parts.append(to_array(response.outputs["embedding"]))
    return np.concatenate(parts[1:] or parts)


def _explanation(row: Mapping[str, Array]) -> dict[str, Any]:
    """Words and layers of one row; what is padding is left out."""
    tokens, features = _decoded(row["tokens"]), _decoded(row["token_features"])
    told: dict[str, Any] = {"words": merge_pieces(tokens, features, row["attention"])}
    if "rollout" in row:
        told["rollout"] = merge_pieces(tokens, features, row["rollout"])
    if {"layer_tokens", "layer_attention"} <= set(row):
        real = row["layer_tokens"] != b""
        told["layer_tokens"] = tuple(_decoded(row["layer_tokens"][real]))
        told["layer_attention"] = row["layer_attention"][:, :, real][..., real]
    return told


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
