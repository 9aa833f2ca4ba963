"""Files and parts of files: byte ranges (RFC 9110 section 14)."""

from __future__ import annotations

import io
import re
from pathlib import Path

from django.http import FileResponse
from rest_framework.request import Request

from voiceapps.api.wire.errors import Problem, ProblemError

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class NoSuchRangeError(ProblemError):
    """A range that begins behind the end of the file."""

    def __init__(self, size: int) -> None:
        super().__init__(Problem(416, f"The file has {size} bytes.", source={"header": "Range"}))
        self.headers = {"Content-Range": f"bytes */{size}"}


def answer_file(request: Request, path: Path, *, tag: str, media_type: str) -> FileResponse:
    """Return the file, or the one range of it that is asked for; `tag` is its entity tag. Raises NoSuchRangeError.

    Several ranges, and what is no range, are answered with the whole file; so is a range under an `If-Range` of another version.
    """
    size = path.stat().st_size
    wanted = _RANGE.fullmatch(request.headers.get("Range", "").strip()) if request.method == "GET" else None
    if request.headers.get("If-Range", tag).strip() != tag:
        wanted = None
    part = _part(wanted, size) if wanted else None
    file = path.open("rb")
    response = FileResponse(file if part is None else _Section(file, *part), content_type=media_type)
    response["Accept-Ranges"], response["ETag"] = "bytes", tag
    if part is not None:
        first, last = part
        response.status_code = 206
        response["Content-Range"], response["Content-Length"] = f"bytes {first}-{last}/{size}", str(last - first + 1)
    return response


class _Section(io.RawIOBase):
    """The bytes of a file from `first` to `last`."""

    def __init__(self, file: io.BufferedReader, first: int, last: int) -> None:
        super().__init__()
        self._file, self._left = file, last - first + 1
        file.seek(first)

    def readable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, which stands at the section's first octet until something is read: a server sends from it directly."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _part(wanted: re.Match[str], size: int) -> tuple[int, int] | None:
    """Return the first and last byte of a range, None for one that is no range; raises NoSuchRangeError."""
    first, last = wanted.groups()
    if not first and not last or first and last and int(last) < int(first):
        return None
    if not first:
        first, last = str(max(size - int(last), 0)) if int(last) else str(size), ""
    if int(first) >= size:
        raise NoSuchRangeError(size)
    return int(first), min(int(last or size - 1), size - 1)
