"""Encrypted media: keys in session descriptions (SDES, RFC 4568), and the packets that they protect (SRTP, RFC 3711)."""
