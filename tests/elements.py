"""The elements of a page, and what it holds in itself."""

import base64
import io
from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text without scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words, self._inside = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.words.append(data)

    def all(self, tag, **wanted):
        return [
            attributes
            for name, attributes in self.found
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def content(uri):
    return io.BytesIO(base64.b64decode(uri.partition(",")[2]))
