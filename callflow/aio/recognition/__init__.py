"""Recognition of speech, by processes of their own."""
