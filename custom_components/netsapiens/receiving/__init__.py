"""The one path in: when to look, what is new, what is kept."""
