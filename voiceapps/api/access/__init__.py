"""Who may ask: tokens, clients, scopes, rates."""
