"""Fill a queue folder from a separate process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kombu import Connection

from sipuri_project import folder_queue


def channel(folder: Path) -> Any:
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder), "control_folder": str(folder / "control")}
    return Connection(f"{folder_queue.SCHEME}://localhost//", transport_options=options).channel()


def write(folder: Path, writer: int, messages: int) -> None:
    queue = channel(folder)
    for number in range(messages):
        queue._put("celery", {"body": f"{writer}-{number}", "ballast": "x" * 20_000})
