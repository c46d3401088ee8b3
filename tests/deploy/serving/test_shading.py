from html.parser import HTMLParser

from deploy.serving.rows import Prediction, Word, merge_pieces
from deploy.serving.shading import heat_map_page, most_attended, shaded, shades

WORDS = (
    Word("[START]", 0.0, "review"),
    Word("good", 0.6, "review"),
    Word("<b>&", 0.2, "review"),
    Word("age=34", 0.2, "age"),
)
PREDICTION = Prediction("ye<s>", 0.75, {"no": 0.25, "ye<s>": 0.75}, version=3, words=WORDS)


def test_pieces_become_words_within_a_feature_and_padding_goes():
    pieces = [
        ("[START]", "a", 0.1),
        ("dress", "a", 0.2),
        ("##es", "a", 0.3),
        ("##", "a", 0.0),
        ("##a", "b", 0.1),
        ("b", "b", 0.3),
        ("", "", 0.0),
    ]
    words = merge_pieces(*zip(*pieces, strict=True))
    assert [(w.text, w.feature) for w in words] == [("[START]", "a"), ("dresses", "a"), ("##a", "b"), ("b", "b")]
    assert [round(word.weight, 6) for word in words] == [0.1, 0.5, 0.1, 0.3]


def test_the_strongest_word_is_shaded_fully_and_no_attention_not_at_all():
    assert shades(WORDS) == [0.0, 1.0, 0.2 / 0.6, 0.2 / 0.6]
    assert shades([Word("a", 0.0, "x")]) == [0.0]
    assert shades([]) == []
    assert shades([Word(text, 0.25, "x") for text in "abcd"]) == [0.5] * 4, "attention to all alike"


def test_the_terminal_shows_each_feature_on_its_line():
    text = shaded(PREDICTION)
    assert text.plain == "review: [START] good <b>&\nage: 34"
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert styles["good"] == "black on rgb(255,140,0) bold"
    assert "underline" in styles["34"]
    assert "[START]" not in styles


def test_the_words_with_most_attention_are_told_without_shades():
    assert most_attended(PREDICTION, 3) == "most attended: good 60%, <b>& 20%, age=34 20%"
    assert most_attended(Prediction("yes", 1.0, {"yes": 1.0}, version=1)) == "most attended: "


def test_the_page_is_whole_and_escaped():
    page = heat_map_page([PREDICTION, PREDICTION], "A & B")

    class Reader(HTMLParser):
        tags: list[str] = []

        def handle_starttag(self, tag, attrs):
            self.tags.append(tag)
            assert not {"src", "href"} & dict(attrs).keys()

    reader = Reader()
    reader.feed(page)
    assert reader.tags.count("article") == 2
    assert reader.tags.count("span") == 8
    assert "b" not in reader.tags
    assert "<title>A &amp; B</title>" in page
    assert '<span class="word" style="background: rgba(var(--ink), 1.00)" title="60.0%">good</span>' in page
    assert "&lt;b&gt;&amp;" in page
