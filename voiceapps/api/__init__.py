"""The REST API: OAuth 2.0, Voice Application Management in `{links, data, errors}`, and call control in the shapes of its vendor."""
