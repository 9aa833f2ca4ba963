"""The document form of each verb, one module each."""
