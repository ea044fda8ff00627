"""Sending that waits a fraction of what is waited in life."""

from homeassistant.core import HomeAssistant
import pytest

from custom_components.netsapiens.delivery import queue as queue_module
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitTiming
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, ThrottleTiming


def send_quickly(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, answer_within: float = 0.6) -> None:
    """Wait a twentieth of what is waited in life when texts are sent; the order of things stays."""
    monkeypatch.setattr(queue_module, "_LOOKS", (0.05, 0.15, 0.3, 0.5))
    monkeypatch.setattr(queue_module, "_ANSWER_WITHIN", answer_within)
    monkeypatch.setattr(queue_module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(queue_module, "_TIDY_DELAY", 0.02)
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=Backoff(0.05, 0.2)))
