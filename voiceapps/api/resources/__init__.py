"""What customers manage, one module a resource (`/v2/accounts/{accountId}/…`)."""
