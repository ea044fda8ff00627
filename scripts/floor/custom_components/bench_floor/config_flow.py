"""Nothing to ask."""

from homeassistant.config_entries import ConfigFlow

from . import DOMAIN


class FloorFlow(ConfigFlow, domain=DOMAIN):
    """Home Assistant sets no entry up without one."""
