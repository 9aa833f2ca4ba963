"""Messages of real devices and of the RFCs against the running proxy; the messages are not ours and are kept elsewhere."""
