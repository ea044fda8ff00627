"""A fixture for the modules that import it; apart, as helpers are the demo's and the benches' too."""

from typing import Any

import pytest


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Write to the disk for real, where the plugin would not, in each module that imports this."""
    return {}
