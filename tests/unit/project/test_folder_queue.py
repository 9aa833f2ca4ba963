"""Writers in other processes and a reader here: every message arrives once and whole."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path
from queue import Empty

from tests.support.queue_writer import channel, write

MESSAGES, WRITERS = 1_000, 2


def test_every_message_arrives_once_and_whole(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(tmp_path, number, MESSAGES)) for number in range(WRITERS)]
    for process in writers:
        process.start()
    queue = channel(tmp_path)
    got: Counter[str] = Counter()
    while True:
        over = not any(process.is_alive() for process in writers)
        try:
            got[queue._get("celery")["body"]] += 1
        except Empty:
            if over:
                break
    assert set(got.values()) == {1}
    assert len(got) == MESSAGES * WRITERS
