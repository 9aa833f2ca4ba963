"""The format of requests and answers of every resource: envelope, errors, forms, paging, guarding headers."""
