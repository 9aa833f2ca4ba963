"""The resources that customers manage, one module each (`/v2/accounts/{accountId}/…`)."""
