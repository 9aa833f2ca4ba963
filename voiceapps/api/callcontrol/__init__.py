"""Calls and recordings in the shapes of Programmable Voice (`/api/v2/accounts/{accountId}/…`)."""
