"""The cost of a call's audio: playing, recording, streaming and encrypting it, beside baresip."""
