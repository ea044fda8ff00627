"""The one path out: what waits, in order, each message once."""
