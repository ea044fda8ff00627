"""How much time a text has left after a restart.

Its time is counted in time that passed. After a restart only clocks can say how much did: ours, which may be wrong at a
start until it is set, and the PBX's, which is the better witness once it is known.
"""

from typing import NamedTuple


class Deadline(NamedTuple):
    """When a text's time is up, as it is kept on disk.

    Attributes:
        until: by our wall clock, seconds since 1970.
        left: seconds that were left when this was written.
        until_pbx: by the PBX's clock, seconds since 1970; None where that was not known.
        reprieved: whether it was given the time that was left once more, since our clock said that it had passed.
    """

    until: float
    left: float
    until_pbx: float | None = None
    reprieved: bool = False


def time_left(deadline: Deadline, wall: float, pbx: float | None) -> tuple[float, bool]:
    """Return how many seconds a text has left, at most what it had when that was written, and whether it is reprieved.

    Parameters:
        deadline: what was kept.
        wall: our wall clock, seconds since 1970.
        pbx: the PBX's clock, seconds since 1970; None where it is not known for sure.
    """
    if pbx is not None and deadline.until_pbx is not None:
        return min(deadline.left, deadline.until_pbx - pbx), deadline.reprieved
    left = min(deadline.left, deadline.until - wall)
    if left > 0 or deadline.left <= 0 or deadline.reprieved:
        return left, deadline.reprieved
    return deadline.left, True
