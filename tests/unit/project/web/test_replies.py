"""Answers that wait for their clients."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from sipuri_project.web.limits import MAX_IN_MEMORY
from sipuri_project.web.replies import FilePart, Reply


def content(reply: Reply) -> bytes:
    return b"".join(
        os.pread(part.file.fileno(), part.count, part.offset) if isinstance(part, FilePart) else bytes(part) for part in reply.parts
    )


def test_a_short_answer_stays_in_memory_in_one_piece(tmp_path: Path) -> None:
    reply = Reply(str(tmp_path))
    reply.sendall(b"head")
    reply.sendall(b"body")
    assert reply.parts == [bytearray(b"headbody")]


def test_of_a_long_answer_only_the_beginning_is_in_memory(tmp_path: Path) -> None:
    reply = Reply(str(tmp_path))
    sent = [bytes([number]) * 10_000 for number in range(100)]
    for data in sent:
        reply.sendall(data)
    assert content(reply) == b"".join(sent)
    assert sum(len(part) for part in reply.parts if isinstance(part, bytearray)) <= MAX_IN_MEMORY
    assert len(reply.parts) == 2
    assert list(tmp_path.iterdir()) == [], "the file has no name, so nothing is left of it if the process dies"
    reply.close()


def test_a_file_is_sent_from_where_it_lies_though_its_owner_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    path.write_bytes(b"0123456789")
    reply = Reply()
    reply.sendall(b"head ")
    with path.open("rb") as file:
        reply.sendfile(file, offset=2, count=5)
    reply.sendall(b" tail")
    assert content(reply) == b"head 23456 tail"
    assert [type(part) for part in reply.parts] == [bytearray, FilePart, bytearray]
    (part,) = (part for part in reply.parts if isinstance(part, FilePart))
    reply.close()
    assert part.file.closed


def test_a_disk_that_is_full_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_options: Full())
    reply = Reply()
    with pytest.raises(OSError, match="No space left"):
        reply.sendall(b"x" * (MAX_IN_MEMORY + 1))
