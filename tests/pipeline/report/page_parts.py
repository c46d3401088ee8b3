"""What a browser would make of a page, by a parser."""

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "br", "path", "use", "link", "img", "input"}


class Page(HTMLParser):
    """Tags, ids, references and text of a page.

    Raises:
        ValueError: a tag is closed that is not open, or the other way round.
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.references, self.text = Counter(), Counter(), [], []
        self._open = []
        self.feed(html)
        self.close()
        if self._open:
            raise ValueError(f"not closed: {self._open}")

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids[value] += 1
            elif name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.references.append(value)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            raise ValueError(f"closed and not open: {tag}")

    def handle_data(self, data):
        self.text.append(data)
