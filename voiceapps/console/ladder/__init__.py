"""The ladder of a call: what happened as steps, the steps as rows, the rows as SVG or as a list. It reads no row and knows no request."""

from voiceapps.console.ladder.drawing import MAX_ROWS, as_list, svg
from voiceapps.console.ladder.folding import GAP_SECONDS, MIN_KEEPALIVES, REPEAT_SECONDS, Folded, Gap, Row, rows
from voiceapps.console.ladder.reading import Kind, Lane, Step, proxy_addresses, step_of, steps, webhook_step
from voiceapps.console.ladder.text import MAX_LABEL

__all__ = [
    "GAP_SECONDS",
    "MAX_LABEL",
    "MAX_ROWS",
    "MIN_KEEPALIVES",
    "REPEAT_SECONDS",
    "Folded",
    "Gap",
    "Kind",
    "Lane",
    "Row",
    "Step",
    "as_list",
    "proxy_addresses",
    "rows",
    "step_of",
    "steps",
    "svg",
    "webhook_step",
]
