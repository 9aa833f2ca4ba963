"""What an application does, tried without a call."""
