"""Shows what a model attended to: words shaded in a terminal, or a page for a browser."""

import html
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.text import Text

from deploy.serving.rows import Prediction, Word

EVEN_SHARES = 2
_COLOUR = (255, 140, 0)

_STYLE = """
:root { color-scheme: light dark; --ink: 255, 140, 0; }
body { font: 16px/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid #8884; padding: 1rem 0; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
h3 { font-size: .8rem; font-weight: normal; opacity: .7; margin: .5rem 0 0; }
span.word { border-radius: .2rem; padding: .05rem .15rem; }
meter { width: 8rem; vertical-align: middle; }
table { border-collapse: collapse; font-size: .9rem; } td { padding: 0 .8rem 0 0; }
"""


def shades(words: Sequence[Word]) -> list[float]:
    """How strongly to shade each word: 0 to 1, relative to the one with the greatest weight.

    Full shade takes twice an even share, so that a model which attends to all words alike looks like one.
    """
    full = max(
        [EVEN_SHARES * sum(word.weight for word in words) / max(len(words), 1), *(word.weight for word in words)]
    )
    return [word.weight / full if full > 0 else 0.0 for word in words]


def by_feature(words: Sequence[Word]) -> list[tuple[str, list[tuple[str, float, float]]]]:
    """Each feature with its words, in their order: text without the feature's name, shade, weight."""
    pairs = zip(words, shades(words), strict=True)
    return [
        (feature, [(word.text.removeprefix(f"{feature}="), shade, word.weight) for word, shade in of_feature])
        for feature, of_feature in groupby(pairs, key=lambda pair: pair[0].feature)
    ]


def shaded(prediction: Prediction) -> Text:
    """The words with a background that grows stronger with attention, each feature on a line of its own.

    The weight is not told by colour alone: words above half of the strongest are bold, above a fifth underlined.
    """
    lines = []
    for feature, words in by_feature(prediction.words):
        shown = (Text(word, style=_terminal_style(shade)) for word, shade, _ in words)
        lines.append(Text(f"{feature}: ", style="dim").append_text(Text(" ").join(shown)))
    return Text("\n").join(lines)


def most_attended(prediction: Prediction, count: int = 5) -> str:
    """The words with the greatest weights in a line of text: a pipe shows no shades."""
    strongest = sorted(prediction.words, key=lambda word: -word.weight)[:count]
    return f"most attended: {', '.join(f'{word.text} {word.weight:.0%}' for word in strongest)}"


def _terminal_style(shade: float) -> str:
    if shade < 0.05:
        return ""
    red, green, blue = (round(255 + (channel - 255) * shade) for channel in _COLOUR)
    emphasis = " bold" if shade > 0.5 else " underline" if shade > 0.2 else ""
    return f"black on rgb({red},{green},{blue}){emphasis}"


def heat_map_page(predictions: Iterable[Prediction], title: str) -> str:
    """A page of HTML that needs nothing but itself; texts are escaped.

    Args:
        predictions: With words.
        title: Of the page.
    """
    body = "\n".join(_article(number, prediction) for number, prediction in enumerate(predictions, 1))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _article(number: int, prediction: Prediction) -> str:
    parts = [f"<h2>{number}. {html.escape(str(prediction))}</h2>"]
    for answer in prediction.heads.values() or [prediction]:
        parts.append("<table>")
        for label, probability in sorted(answer.probabilities.items(), key=lambda item: -item[1]):
            parts.append(
                f'<tr><td>{html.escape(label)}</td><td><meter value="{probability:.4f}"></meter></td>'
                f"<td>{probability:.1%}</td></tr>"
            )
        parts.append("</table>")
    feature = None
    for word, shade in zip(prediction.words, shades(prediction.words), strict=True):
        if word.feature != feature:
            feature = word.feature
            parts.append(f"<h3>{html.escape(feature)}</h3>")
        parts.append(
            f'<span class="word" style="background: rgba(var(--ink), {shade:.2f})" '
            f'title="{word.weight:.1%}">{html.escape(word.text)}</span>'
        )
    return "<article>\n" + "\n".join(parts) + "\n</article>"
