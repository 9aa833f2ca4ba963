"""What the proxy writes into headers and reads from them again: route tokens, Contacts, the edits of each hop."""
