"""A predictor whose answers anyone can reckon, in the place of the process that holds a model."""

import re

import numpy as np
import pyarrow as pa

from components.data_gate.table import Table
from components.release_gate.options import HeadOptions
from components.release_gate.sample import Model, Sample

WIDTH = 4


class Predictor:
    """Answers `yes` or `no`, or a number, to the texts of a column `text`.

    Args:
        said: function of a text that gives the probability of `yes`, or the number.
        attention: word → its weight among those of a row; of the others 1.
        number: whether it gives the number.
        extra: more attention on the first token of each row, and on its padding.
        beside: function of all texts of a batch and a place in it that gives what this place gets on top.
    """

    def __init__(self, said, attention=None, number=False, extra=(0.0, 0.0), beside=lambda texts, place: 0.0):
        self.said, self.attention, self.number, self.extra, self.beside = said, attention or {}, number, extra, beside

    def ask(self, directory, signature, inputs, batches, outputs, at_once=1):
        answers = [self._answer([text.decode() for text in inputs["text"][rows]]) for rows in batches]
        return {"outputs": answers, "seconds": [0.0] * len(answers), "missing": [], "error": ""}

    def _answer(self, texts):
        given = np.array([self.said(text) + self.beside(texts, place) for place, text in enumerate(texts)])
        tokens, attention = np.full((len(texts), WIDTH), b"", object), np.zeros((len(texts), WIDTH))
        for row, text in enumerate(texts):
            own = re.findall(r"\w+", text)[:WIDTH]
            tokens[row, : len(own)] = [word.encode() for word in own]
            weights = np.array([self.attention.get(word, 1.0) for word in own])
            attention[row, : len(own)] = weights / weights.sum()
            attention[row, 0] += self.extra[0]
            attention[row, WIDTH - 1] += self.extra[1]
        explained = {"tokens": tokens, "token_features": np.where(tokens == b"", b"", b"text"), "attention": attention}
        if self.number:
            return {"value": given, **explained}
        labels = np.array([b"yes" if each > 0.5 else b"no" for each in given], object)
        classes = np.array([[b"no", b"yes"]] * len(texts), object)
        return {"label": labels, "probabilities": np.stack([1 - given, given], 1), "classes": classes, **explained}


def model_of(predictor, directory):
    """The predictor as gates ask it."""
    head = HeadOptions(type="regression" if predictor.number else "single_label")
    return Model(predictor, directory, {"label": head})


def sample_of(texts, labels=()):
    """Rows of one text and a label."""
    columns = {"text": np.array([text.encode() for text in texts], object)}
    table = Table({"text": pa.array(texts)}, len(texts))
    return Sample(columns, {"label": list(labels)}, {"text": "text"}, table, len(texts), list(range(len(texts))))
