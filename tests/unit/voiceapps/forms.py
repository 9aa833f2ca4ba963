"""What a browser would send of a form that it was shown."""

from __future__ import annotations

from html.parser import HTMLParser


class FormReader(HTMLParser):
    """Gathers the fields of the form with a button of that text; HTML's rules for what is sent, as far as our pages need them."""

    def __init__(self, button: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._button = button
        self._current: dict[str, list[str]] = {}
        self._open = ""
        self._select = ""
        self._off = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name, value = given.get("name") or "", given.get("value")
        match tag:
            case "form":
                self._current = {}
            case "fieldset":
                self._off = "disabled" in given
            case "input" if name and not self._off and (given.get("type") != "checkbox" or "checked" in given):
                self._add(name, value if value is not None else "on" if given.get("type") == "checkbox" else "")
            case "textarea":
                self._add(name, "")
                self._open = name
            case "select":
                self._select = name
            case "option" if self._select and ("selected" in given or self._select not in self._current):
                self._current[self._select] = [value or ""]
            case "button":
                self._open = "button"

    def handle_data(self, data: str) -> None:
        if self._open == "button" and data.strip() == self._button:
            self.fields = self._current
        elif self._open in self._current:
            self._current[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("textarea", "button"):
            # A browser drops the first line end of a text area.
            if tag == "textarea":
                self._current[self._open][-1] = self._current[self._open][-1].removeprefix("\n")
            self._open = ""
        elif tag == "select":
            self._select = ""

    def _add(self, name: str, value: str) -> None:
        self._current.setdefault(name, []).append(value)


def form_of(page: str, button: str) -> dict[str, list[str]]:
    """Return the fields that pressing a button sends."""
    reader = FormReader(button)
    reader.feed(page)
    assert reader.fields, f"There is no button {button!r}."
    return reader.fields
