"""A person at a browser: needs `scripts/test --browser`."""
