"""A picture from anywhere, as bytes that fit a message."""
