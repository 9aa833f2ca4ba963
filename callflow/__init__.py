"""Answer calls as BXML says: SIP endpoint, voice engine, audio and the phone that tests them."""
