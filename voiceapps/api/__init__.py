"""The REST API: Voice Application Management on `{links, data, errors}` (D16)."""
