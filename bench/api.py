"""Lists of a huge account compared with those of a small one, in one database, turn by turn.

The small account has 100 applications and calls, the huge one 100,000 applications and 1,000,000 calls. A page has 100
entries in both; in the huge account it starts at a random place. What counts is the ratio of the 95th percentiles.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile

SMALL, HUGE = 100, 1_000_000


def main() -> None:
    """Fill a database of its own, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=HUGE)
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipuri-bench-") as directory:
        os.environ |= {"SIPURI_VAR_DIR": directory, "SIPURI_API_RATE": "0", "DJANGO_SETTINGS_MODULE": "sipuri_project.settings"}
        # Django reads the environment at its first import.
        from bench.api_lists import Lists  # noqa: PLC0415

        lists = Lists()
        lists.fill("1", applications=SMALL, calls=SMALL)
        lists.fill("2", applications=sizes.applications, calls=sizes.calls)
        print(json.dumps({"bench": "api", **lists.measure(small="1", huge="2")}))  # noqa: T201  # its last line is its result


if __name__ == "__main__":
    main()
