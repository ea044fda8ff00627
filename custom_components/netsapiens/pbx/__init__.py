"""The only way to the client: the login, the account, and when the next request may go."""
