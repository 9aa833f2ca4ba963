"""What stands in the column of the transport where a sentence stands among a call's SIP messages."""

MEDIA = "RTP"
"""A relay's notice."""
DOCUMENT = "XML"
"""A call flow's notice."""
NOTICES = (MEDIA, DOCUMENT)
