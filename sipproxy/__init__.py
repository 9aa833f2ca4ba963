"""The SIP proxy: it decides which calls may enter and carries their signalling between the caller and the call flow."""
