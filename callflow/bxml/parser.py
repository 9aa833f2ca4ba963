"""Parse a whole document, or refuse the whole document, which ends the call with `invalid-bxml`.

Documents come from customers' servers and are not trusted. Size is checked before the parser sees a byte;
the parser loads no DTD, resolves no entity and opens no network; a document type is refused outright, so
there is nothing to expand; depth is bounded twice, by libxml2 at 256 and by our own limit, and so is the number of elements,
before one of them is read.

A byte order mark names the character set, else the Content-Type does, else the XML declaration (RFC 7303 section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from lxml.etree import XMLParser, XMLSyntaxError, _Element, fromstring

from callflow.bxml.element import ElementReader, line_of
from callflow.bxml.errors import BxmlError
from callflow.bxml.limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ELEMENTS
from callflow.bxml.registry import VERBS, Verb
from voiceapps.rules.http.charsets import charset_of, decoded

ROOTS = ("Response", "Bxml")


@dataclass(frozen=True, slots=True)
class Document:
    """The verbs of one document in order; none means hang up."""

    verbs: tuple[Verb, ...]
    octets: int
    elements: int


def parse_document(data: bytes, charset: str = "") -> Document:
    """Parse one document; `charset` is that of its Content-Type. Raises BxmlError with the line and the broken rule."""
    root = read_root(data, charset)
    return Document(tuple(read_verb(child) for child in root), len(data), sum(1 for _ in root.iter()))


def read_root(data: bytes, charset: str = "") -> _Element:
    """Return a document's root, its verbs still unread; raises BxmlError."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BxmlError(f"The document is {len(data)} bytes long; at most {MAX_DOCUMENT_BYTES} are allowed.")
    if not data.strip():
        raise BxmlError("The document is empty; a document that only hangs up is <Response/>.")
    root = _parse_xml(data, charset)
    _check_number(root)
    _check_depth(root)
    reader = ElementReader(root)
    if reader.name not in ROOTS:
        reader.fail("cannot be the root; it must be <Response> or <Bxml>")
    reader.finish(leaf=False)
    return root


def read_verb(element: _Element) -> Verb:
    """Return the verb that one child of the root stands for; raises BxmlError."""
    reader = ElementReader(element)
    verb = VERBS.get(reader.name)
    if verb is None:
        raise BxmlError(f"<{reader.name}> is not a verb of this system; it knows {', '.join(VERBS)}.", reader.line)
    return verb.parse(reader)


def _in_utf8(data: bytes, charset: str) -> tuple[bytes, str | None]:
    """Return the document and the encoding that the parser shall take it for, None for that of its declaration."""
    try:
        if not charset_of(data, charset):
            return data, None
        return decoded(data, charset).encode(errors="surrogatepass"), "utf-8"
    except ValueError as error:
        raise BxmlError(str(error), 1) from error


def _parse_xml(data: bytes, charset: str) -> _Element:
    data, encoding = _in_utf8(data, charset)
    # A parser is made for each document: lxml's parsers keep the errors of earlier documents.
    parser = XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = fromstring(data, parser)
    except XMLSyntaxError as error:
        text = (error.msg or "the text is not XML").partition(", line ")[0]
        raise BxmlError(f"Not well-formed XML: {text}.", error.lineno) from error
    except (LookupError, ValueError) as error:
        raise BxmlError("Not well-formed XML: the encoding is unknown.", 1) from error
    if getattr(root.getroottree().docinfo, "doctype", ""):  # lxml-stubs do not know it
        raise BxmlError("A document type (<!DOCTYPE>) is not allowed.", 1)
    return root


def _check_number(root: _Element) -> None:
    beyond = next(islice(root.iter(), MAX_ELEMENTS, None), None)
    if beyond is not None:
        raise BxmlError(f"The document has more than {MAX_ELEMENTS} elements.", line_of(beyond))


def _check_depth(root: _Element) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise BxmlError(f"Elements are nested more than {MAX_DEPTH} deep.", line_of(level[0]))
