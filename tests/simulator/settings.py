"""The knobs: in what ways this PBX differs from the next one. All can be turned while it runs."""

from dataclasses import dataclass, fields
from typing import Any, Literal

API_45 = (45,)


@dataclass
class Settings:
    """Where the vendor's documents and live hosts contradict each other, or hosts differ, there is a knob here."""

    token_life: float = 3600
    lag: float = 0.0
    file_under_own_id: bool = False
    cast_numbers: bool = True
    newest_first: bool = True
    most_rows: int = 1000  # that one page has, whatever limit says
    knows_start: bool = True  # else each page is the first
    bare_single: bool = False
    key_suffix: Literal["datetime", "timestamp"] = "datetime"
    api_version: str = "45.0"
    accept_body: Literal["accepted", "message", "list", "empty", "text"] = "accepted"
    send_status: int | None = None
    clock_offset: float = 0.0
    shows_clock: bool = True  # in its answers' Date
    bare_offset: float = 0.0  # seconds that times without a zone are ahead of UTC
    push_form: Literal["array", "object"] = "array"
    push_names: Literal["v1", "v2"] = "v1"
    push_delay: float = 0.0
    subscription_refusal: int | None = None
    describes_keys: bool = True
    hostname: str = "core1.pbx.example"
    jwt_life: float = 86400
    jwt_refusal: int | None = None
    live_event: str = "chat"
    live_deaf: bool = False  # for what comes in
    live_refuses: bool = False
    live_silent: bool = False  # a subscription never completes
    loses_mms_text: bool = False
    listed_text: Literal["usual", "marks", "crlf", "escaped"] = "usual"  # "marks": question marks for an emoji
    names_our_number: bool = True  # lists say which of our numbers was texted
    names_sender: bool = True  # a text that came in says from which number; else only its conversation does
    message_times: Literal["usual", "null", "empty", "zeros", "seconds", "milliseconds", "slashes", "utc"] = "usual"
    message_types: Literal["usual", "missing", "null", "empty", "upper"] = "usual"
    plain_media_type: str | int = ""  # what lists say where there is no media
    last_shown: Literal["usual", "user", "nobody", "cut"] = "usual"  # what lists say of a session's last message
    gives_direction: bool = True  # else only the numbers say who sent a text
    contacts_refusal: int | None = None  # the status with which contacts are not shown
    link_life: float = 600.0  # seconds that a link to media serves
    media_link: str = ""  # where such links lead instead

    @property
    def is_45(self) -> bool:
        """Whether the routes that came with 45 are there."""
        return tuple(int(part) for part in self.api_version.split(".")[:1]) >= API_45

    def knobs(self) -> dict[str, Any]:
        """Every knob as it stands."""
        return {knob.name: getattr(self, knob.name) for knob in fields(Settings)}

    def turn(self, values: dict[str, Any]) -> None:
        """Set several knobs by name; nothing changes when one of them does not exist."""
        unknown = values.keys() - self.knobs().keys()
        if unknown:
            raise ValueError(f"No such setting: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self, name, value)
