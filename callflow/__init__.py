"""The call flow: SIP endpoint, voice engine and audio of BXML applications, and a phone that tests them."""
