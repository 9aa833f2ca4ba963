"""What helps a person to understand a call: its verdict in words, its messages as a capture file, strangers' text made readable."""
