"""`make demo`: everything from nothing to a finished call; `DEMO_ONCE=1` ends after the call."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from demo.lab import Lab, LabError
from demo.narrator import Narrator


def main() -> int:
    """Run the tour; the exit code is 0 only if everything in it happened."""
    # Whoever ends the tour from outside wants the roles ended, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    narrator = Narrator(sys.stdout)
    lab = Lab()
    once = os.environ.get("DEMO_ONCE") == "1"
    try:
        narrator.say("Preparing the database and starting every role (about half a minute)")
        lab.prepare()
        from demo.story import tell  # noqa: PLC0415  # it needs the settings that the lab has just prepared

        lab.start()
        asyncio.run(tell(lab, narrator, stay=not once))
    except LabError as error:
        narrator.failure(str(error))
        return 1
    except KeyboardInterrupt:
        narrator.say("Stopping.")
    finally:
        lab.stop()
    return 0


sys.exit(main())
