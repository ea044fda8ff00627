"""Sending that waits a fraction of what is waited in life."""

from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.netsapiens.delivery.timing import QUEUE_TIMING, QueueTiming
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming

QUICK: dict[str, Any] = {
    "answer_within": 0.6,
    "looks": (0.05, 0.15, 0.3, 0.5),
    "retry": Backoff(0.05, 10.0),
    "tidy_delay": 0.02,
}


def set_timing(hass: HomeAssistant, **timing: Any) -> None:
    """Set the timing of queues that are created from now on."""
    hass.data[QUEUE_TIMING] = QueueTiming(**timing)


def send_quickly(hass: HomeAssistant, **timing: Any) -> None:
    """Wait a twentieth of what is waited in life when texts are sent; the order of things stays."""
    set_timing(hass, **QUICK | timing)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(0.05, 0.2)))
