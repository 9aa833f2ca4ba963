"""Authentication and authorisation: tokens, clients, scopes, rates."""
