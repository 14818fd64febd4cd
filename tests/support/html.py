"""The elements of a page, as a browser would read them."""

from __future__ import annotations

from html.parser import HTMLParser


class Tags(HTMLParser):
    """Tags that are open when the page ends, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[str] = []
        self.loads: list[str] = []
        self.parts: list[str] = []
        self.feed(page)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            f"{tag} {value}"
            for name, value in attrs
            if name in ("src", "href", "action") and not (value or "").startswith("#")
        ]
        self.all.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
