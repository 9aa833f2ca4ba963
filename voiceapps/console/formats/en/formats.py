"""Times as the filter `moment` writes them: ISO 8601 date, seconds, zone."""

DATETIME_FORMAT = "Y-m-d H:i:s e"
DATE_FORMAT = "Y-m-d"
