"""The one path in: when to poll, what is new, what is kept."""
