"""How requests and answers look, whatever they are about: envelope, errors, strict fields, paging, preconditions."""
