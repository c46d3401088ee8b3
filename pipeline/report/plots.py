"""Charts as inline SVG: on transparent ground, in the page's own ink, readable in light and in dark."""

import io
import itertools
import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipeline.report.facts import CalibrationBin, DeletionFact, DistributionFact, WordCurveFact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#012345"
"""Stands for the page's own colour of text until the SVG is written."""

FIRST, SECOND, THIRD = "#3987c9", "#d9822b", "#3a9d6a"
ORDERS = {"attention": FIRST, "random": INK, "occlusion": SECOND, "shap": THIRD}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.2,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.transparent": True,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}


def training_curves(curve: Sequence[Mapping[str, float | None]], best_epoch: int) -> list[str]:
    """One chart for each metric, the loss first: train and eval split by epoch, and which epoch was kept.

    Args:
        curve: metric → value, one an epoch; those of the eval split begin with `val_`.
        best_epoch: from 1.
    """
    names = sorted(
        {name.removeprefix("val_") for epoch in curve for name in epoch}, key=lambda name: (name != "loss", name)
    )
    return [_training_curve(name, curve, best_epoch) for name in names]


def _training_curve(name: str, curve: Sequence[Mapping[str, float | None]], best_epoch: int) -> str:
    def draw(figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for key, label, colour in ((name, "train", SECOND), (f"val_{name}", "eval", FIRST)):
            points = [
                (epoch, value) for epoch, of_epoch in enumerate(curve, 1) if (value := of_epoch.get(key)) is not None
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=4, color=colour, label=label)
        axes.axvline(best_epoch, color=INK, alpha=0.4, linestyle=":", linewidth=1.5, label="kept")
        axes.set(title=name.replace("_", " "), xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.legend()

    return _svg(draw, (3.4, 2.8), f"training-{name}")


def shares(fact: DistributionFact) -> str:
    """How a label or feature is spread: a bar for each bin and split; the live version's is an outline."""
    height = 0.8 / len(fact.shares)
    colours = {"train": SECOND, "eval": FIRST, "test": THIRD}

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for place, (split, of_split) in enumerate(fact.shares.items()):
            centres = [at + (place + 0.5) * height - 0.4 for at in range(len(fact.bins))]
            colour, edge = colours.get(split, "none"), "none" if split in colours else INK
            axes.barh(centres, of_split, height, color=colour, edgecolor=edge, linewidth=0.8, label=split)
        axes.set_yticks(range(len(fact.bins)), [_short(each) for each in fact.bins], parse_math=False)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_title(_short(fact.name) + ", words" * (fact.kind == "words"), parse_math=False)
        figure.legend(loc="outside lower center", ncols=2)

    return _svg(draw, (4.2, 1.3 + 0.09 * len(fact.bins) * (len(fact.shares) + 1)), f"shares-{fact.name}")


def _short(text: str) -> str:
    """Cut to 24 columns. The font that texts are measured by lacks wide characters: each gets a space for its width."""
    text = " ".join(text.split())
    wide = [unicodedata.east_asian_width(character) in "WF" for character in text]
    columns = list(itertools.accumulate(1 + each for each in wide))
    kept = len(text) if not columns or columns[-1] <= 24 else sum(each < 24 for each in columns)
    return "\u00a0" * sum(wide[:kept]) + text[:kept] + "…" * (kept < len(text))


def calibration(bins: Sequence[CalibrationBin], name: str) -> str:
    """How often answers of a probability were right; the area of a point is the number of its rows.

    Args:
        bins: those with rows.
        name: of the head.
    """
    most = max(each.rows for each in bins)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.4, linestyle=":", linewidth=1.5)
        x, y = [each.probability for each in bins], [each.accuracy for each in bins]
        axes.plot(x, y, color=FIRST, alpha=0.6)
        axes.scatter(x, y, s=[12 + 150 * each.rows / most for each in bins], color=FIRST, alpha=0.8, linewidths=0)
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="probability of the answer", ylabel="share that was right")

    return _svg(draw, (4.2, 3.4), f"calibration-{name}")


def deletion(fact: DeletionFact) -> list[str]:
    """Two charts: how far the answer moves without the first words, and with them alone.

    What was measured of fewer rows is dashed, of the fewest dotted.
    """
    parts = (("deleted", "those words deleted"), ("inserted", "those words alone"))
    return [_deletion(fact, part, title) for part, title in parts]


def _deletion(fact: DeletionFact, part: str, title: str) -> str:
    numbers = sorted({curve.rows for curve in fact.curves}, reverse=True)
    start = [0] if part == "deleted" else []

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for curve in fact.curves:
            axes.plot(
                [*start, *fact.words],
                [*start, *getattr(curve, part)],
                label=_curve_label(curve),
                color=ORDERS.get(curve.order, INK),
                alpha=0.5 if curve.order == "random" else 1,
                linestyle=("-", "--", ":")[min(numbers.index(curve.rows), 2)],
                marker="o",
                markersize=4,
            )
        axes.set(title=title, xlabel="words", ylim=(0, None), xticks=[*start, *fact.words])
        figure.legend(loc="outside lower center", ncols=2, handlelength=3)

    return _svg(draw, (4.2, 3.6), f"words-{part}")


def _curve_label(curve: WordCurveFact) -> str:
    return f"{curve.order} ({curve.rows:,} rows)"


def over_time(points: Sequence[tuple[datetime, float, str]], name: str) -> str:
    """A metric run by run; what was pushed is filled.

    Args:
        points: start, value and verdict of each run, the oldest first.
        name: of the metric.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        places = range(len(points))
        axes.plot(places, [value for _, value, _ in points], color=FIRST, alpha=0.5)
        for verdict, colour in (("pushed", FIRST), ("", "none")):
            own = [place for place in places if (points[place][2] == "pushed") == bool(verdict)]
            values = [points[place][1] for place in own]
            axes.scatter(own, values, color=colour, edgecolors=FIRST, zorder=3, label=verdict or "not pushed")
        axes.set_title(name.replace("_", " "))
        shown = sorted({0, len(points) // 2, len(points) - 1})
        axes.set_xticks(shown, [points[place][0].strftime("%m-%d %H:%M") for place in shown])
        axes.legend()

    return _svg(draw, (8, 2.6), f"over-time-{name}")


def _svg(draw: Any, size: tuple[float, float], name: str) -> str:
    """Draws, and makes of the result a part of a page: names of its own, no links, the page's ink.

    Args:
        draw: gets the figure.
        size: width and height, inches.
        name: stands before every id.
    """
    import matplotlib  # takes a second
    from matplotlib.figure import Figure

    written = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)  # the browser has other fonts
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = written.getvalue()
    text = text[text.index("<svg") :]
    name = re.sub(r"[^a-z0-9_-]", lambda found: f"{ord(found[0]):x}", name)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", text)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    return text.replace(INK, "currentColor").replace("<svg ", '<svg aria-hidden="true" ', 1)
