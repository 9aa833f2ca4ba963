"""Read text with SSML tags in it, and refuse every tag that is not documented.

The vendor's SDKs turn `&lt;break/&gt;` in a sentence into real tags, so speech arrives as text with elements inside. Tags
that are not documented are refused, because some speech engines read local files on request of such a tag.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from lxml.etree import _Element

from callflow.bxml.element import line_of
from callflow.bxml.errors import BxmlError
from callflow.bxml.limits import MAX_BREAK_SECONDS

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "break": ("strength", "time"),
    "emphasis": ("level",),
    "lang": (_XML_LANG,),
    "p": (_XML_LANG,),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("pitch", "rate", "volume"),
    "s": (_XML_LANG,),
    "say-as": ("interpret-as", "format"),
    "sub": ("alias",),
}
_TIME = re.compile(r"\+?([0-9]{1,6}(?:\.[0-9]{1,6})?)(s|ms)")


def read_speech(element: _Element) -> tuple[str, str]:
    """Return an element's content as SSML markup and as plain text; raises BxmlError."""
    pieces = [escape(element.text or "")]
    plain = [element.text or ""]
    for child in element:
        markup, text = _read_tag(child)
        pieces += [markup, escape(child.tail or "")]
        plain += [text, child.tail or ""]
    return "".join(pieces), "".join(plain)


def _read_tag(element: _Element) -> tuple[str, str]:
    name = str(element.tag)
    allowed = _ATTRIBUTES.get(name)
    if allowed is None:
        tags = ", ".join(_ATTRIBUTES)
        raise BxmlError(f"<SpeakSentence> cannot hold <{name}>; the SSML tags are {tags}.", line_of(element))
    attributes = "".join(_write_attribute(element, str(key), allowed) for key in element.attrib)
    if name == "break":
        _check_break(element)
    markup, text = read_speech(element)
    return f"<{name}{attributes}>{markup}</{name}>", text


def _write_attribute(element: _Element, key: str, allowed: tuple[str, ...]) -> str:
    shown = "xml:lang" if key == _XML_LANG else key
    if key not in allowed:
        raise BxmlError(f"<{element.tag}> has no attribute {shown!r}.", line_of(element))
    return f" {shown}={quoteattr(str(element.get(key)))}"


def _check_break(element: _Element) -> None:
    value = element.get("time")
    if value is None:
        return
    match = _TIME.fullmatch(str(value))
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else None
    if seconds is None or seconds > MAX_BREAK_SECONDS:
        rule = f"must be a time such as 500ms or 2s, at most {MAX_BREAK_SECONDS:g}s, not {value!r}"
        raise BxmlError(f"<break> attribute 'time' {rule}.", line_of(element))
