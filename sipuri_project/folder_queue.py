"""Celery's queue as a folder, for an installation without Redis (D15).

kombu's own filesystem transport opens a message's file under its final name and fills it afterwards: a worker that looks in between
takes an empty file and ends with a JSON error (celery/kombu issue 1551). Here a message appears complete or not at all.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME = "folder"


class FolderChannel(filesystem.Channel):
    """Puts messages into the folder by renaming complete files into place."""

    def _put(self, queue: str, payload: Any, **_options: Any) -> None:  # type: ignore[override]  # its bases disagree on a name
        # A name that begins with a dot belongs to no queue.
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        draft = folder / f".{name}"
        draft.write_text(dumps(payload), encoding="utf-8")
        draft.rename(folder / name)


class FolderTransport(filesystem.Transport):
    """The transport behind `folder://`."""

    Channel = FolderChannel


TRANSPORT_ALIASES[SCHEME] = "sipuri_project.folder_queue:FolderTransport"
