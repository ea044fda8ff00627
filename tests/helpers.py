"""What several test modules need."""


def shown(number: str) -> str:
    """Return a North American number, digits with country code, as people are shown it; others as they are."""
    if len(number) != 11 or not number.startswith("1"):
        return number
    return f"+1 {number[1:4]}-{number[4:7]}-{number[7:]}"
