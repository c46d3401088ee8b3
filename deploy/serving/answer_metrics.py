"""What a version answers, so that a dashboard sees drift: labels, confidence, numbers, and words it does not know.

The original has nothing of the kind. Measured is what the answers hold anyway; nothing more is computed for it. Of each
head (its outputs bear its name before them: `stars_label`; without a name it is the head `label`):

- labels, from the output `label` (Predict) or the best of `classes` (Classify); where any number of them is given at
  once, each, and `NO_LABEL` where none is,
- confidence, the largest of a row's `probabilities` or `scores`; where any number of labels is given at once, the
  probability of each, and where none is, 1 less the largest,
- numbers, from the output `value` (Predict) or `outputs` (Regress).

Of the version: tokens and unknown ones among them (`[UNK]`), from the output `tokens` of calls to `explain`. Only those
show tokens, so that the share of unknown words is that of explained texts, not of all.
"""

import functools
from collections import Counter as Tally
from collections.abc import Mapping, Sequence

import numpy as np

from deploy.serving.metric_types import Counter, Histogram, Metric
from deploy.serving.tensors import Array

UNKNOWN_TOKEN = b"[UNK]"

NO_LABEL = "(none)"

MAX_LABELS = 100
"""Different labels that are counted per version and head; more are counted together as `…`, or the page grows without
end."""

_CONFIDENCE_BUCKETS = tuple(round(0.05 * step, 2) for step in range(1, 21))

_MAGNITUDES = tuple(step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5))

VALUE_BUCKETS = (*(-magnitude for magnitude in reversed(_MAGNITUDES)), 0.0, *_MAGNITUDES)
"""1, 2 and 5 of each power of ten from a thousandth to millions, on both sides of 0: any unit finds its place in them,
and all versions the same, so that quantiles can be compared."""

_PARTS = {
    "label": "label",
    "classes": "classes",
    "probabilities": "scores",
    "scores": "scores",
    "value": "value",
    "outputs": "value",
}
"""What an output is by the end of its name."""


class AnswerMetrics:
    """Counts answers per version and head."""

    def __init__(self) -> None:
        self.label_count = Counter("/attention/serving/label_count")
        self.confidence = Histogram("/attention/serving/confidence", _CONFIDENCE_BUCKETS)
        self.value = Histogram("/attention/serving/value", VALUE_BUCKETS)
        self.token_count = Counter("/attention/serving/token_count")
        self.unknown_token_count = Counter("/attention/serving/unknown_token_count")

    def metrics(self) -> list[Metric]:
        """All of them, as the page shows them."""
        return [self.label_count, self.confidence, self.value, self.token_count, self.unknown_token_count]

    def record(self, model_name: str, version: int, aliases: Sequence[str], outputs: Sequence[Array]) -> None:
        """Notes the answer to one call.

        Args:
            model_name: As the server knows it.
            version: That answered.
            aliases: Names of the outputs; those of other models are passed over.
            outputs: Of each head `label` string `(batch,)`, `probabilities` float `(batch, classes)`, `classes` string
                `(batch, classes)`, or `value` float `(batch,)`; `tokens` and `token_features` string `(batch, tokens)`.
        """
        of_version = {"model_name": model_name, "version": str(version)}
        for head, places in _heads(tuple(aliases)):
            of_head = {**of_version, "head": head}
            found = {part: outputs[place] for part, place in places.items()}
            value = _if(found.get("value"), "f", 1)
            if value is not None:
                self.value.observe_many(value.tolist(), **of_head)
            label, scores, classes = (
                _if(found.get(part), kind, rank)
                for part, kind, rank in (("label", "O", 1), ("scores", "f", 2), ("classes", "O", 2))
            )
            self._record_classes(label, scores, classes, of_head)
        by_alias = dict(zip(aliases, outputs, strict=False))
        tokens, features = (_if(by_alias.get(name), "O", 2) for name in ("tokens", "token_features"))
        if tokens is not None and features is not None and tokens.shape == features.shape:
            real = tokens[features != b""].tolist()
            self.token_count.add(len(real), **of_version)
            self.unknown_token_count.add(real.count(UNKNOWN_TOKEN), **of_version)

    def _record_classes(
        self, answered: Array | None, scores: Array | None, classes: Array | None, labels: Mapping[str, str]
    ) -> None:
        if scores is None or not scores.size:
            if answered is not None:
                self._count_labels(answered.tolist(), labels)
            return
        best = scores.max(axis=1).tolist()
        if classes is None or classes.shape != scores.shape:
            self.confidence.observe_many(best, **labels)
            if answered is not None:
                self._count_labels(answered.tolist(), labels)
            return
        if answered is None:
            answered = classes[np.arange(len(classes)), scores.argmax(axis=1)]
        given: list[bytes] = []
        sure: list[float] = []
        rows = zip(answered.tolist(), scores.tolist(), classes.tolist(), best, strict=False)
        for label, row_scores, row_classes, row_best in rows:
            if label in row_classes:
                given.append(label)
                sure.append(row_best)
            elif parts := split_label(label, row_classes, row_scores):
                given += parts
                sure += sorted(row_scores, reverse=True)[: len(parts)]
            else:
                given.append(label or NO_LABEL.encode())
                sure.append(row_best if label else 1 - row_best)
        self.confidence.observe_many(sure, **labels)
        self._count_labels(given, labels)

    def _count_labels(self, answered: Sequence[bytes], labels: Mapping[str, str]) -> None:
        for label, count in Tally(answered).items():
            text = label.decode("utf-8", "replace")
            if not self.label_count.has(**labels, label=text):
                known = self.label_count.values_of("label", **labels)
                text = text if len(known) < MAX_LABELS else "…"
            self.label_count.add(count, **labels, label=text)


def split_label(label: bytes, classes: Sequence[bytes], scores: Sequence[float]) -> list[bytes]:
    """The classes that were joined into one label.

    Those that hold are the most probable ones, joined in their own order by a separator that only the model knows. So
    their number is the one with which the rest of the label's length falls to the separators in equal parts.

    Args:
        label: Of one row, of two classes or more.
        classes: In their order.
        scores: Of the classes.

    Returns:
        The classes in their order; none if the label is no such join.
    """
    by_score = sorted(range(len(classes)), key=lambda place: -scores[place])
    length = 0
    for count, place in enumerate(by_score, 1):
        length += len(classes[place])
        if length >= len(label):
            break
        width, rest = divmod(len(label) - length, count - 1) if count > 1 else (0, 1)
        if rest:
            continue
        held = [classes[place] for place in sorted(by_score[:count])]
        separator = label[len(held[0]) : len(held[0]) + width]
        if separator.join(held) == label:
            return held
    return []


@functools.lru_cache(maxsize=256)  # a client may ask for the same outputs in any order
def _heads(aliases: tuple[str, ...]) -> list[tuple[str, dict[str, int]]]:
    """The heads that a call's outputs belong to: their names, and the place of each of their parts."""
    heads: dict[str, dict[str, int]] = {}
    for place, alias in enumerate(aliases):
        head, _, end = alias.rpartition("_")
        if end in _PARTS:
            heads.setdefault(head or "label", {})[_PARTS[end]] = place
    return list(heads.items())


def _if(array: Array | None, kind: str, rank: int) -> Array | None:
    """An array, if it is of this kind and rank."""
    return array if array is not None and array.ndim == rank and array.dtype.kind == kind else None
