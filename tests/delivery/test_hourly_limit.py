"""How many messages an hour are taken."""

from custom_components.netsapiens.delivery.hourly_limit import HourlyLimit


def test_only_the_last_hour_is_kept() -> None:
    """Where the option is off nobody asks how many were taken: years of texts must not fill the memory."""
    now = [0.0]
    limit = HourlyLimit(lambda: now[0])
    limit.take(1000)
    now[0] = 3601.0
    limit.take(1)
    assert len(limit._taken) == 1
    assert limit.taken == 1
