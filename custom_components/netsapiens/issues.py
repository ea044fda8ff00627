"""Repair issues, where there is something that a person can do."""

from collections.abc import Collection, Iterable
import hashlib
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN, SUBENTRY_RECIPIENT
from .markdown import plain
from .pbx.facts import AccountFacts
from .phone import mask
from .recipients import is_damaged
from .settings import read_settings

_STOPS_TEXTS = {"sender_not_listed", "recipient_damaged"}
# There is nothing to do but to know of them.
_READ_ONCE = {"outbox_damaged", "inbox_damaged", "opt_outs_damaged", "text_dropped", "texts_dropped"}
_PUSH_ISSUES = ("push_without_url", "push_refused")
_FIXABLE = {*_READ_ONCE, "push_without_url", "opted_out"}


@callback
def raise_hourly_limit(hass: HomeAssistant, entry: ConfigEntry, limit: int) -> None:
    """Create the issue of an account whose hourly limit was reached, most likely by an automation in a loop."""
    _raise(hass, entry, "hourly_limit", {"account": entry.title, "limit": str(limit)})


@callback
def clear_hourly_limit(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete that issue, once texts are sent again."""
    issue_id = _id("hourly_limit", entry)
    if ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None:  # asked for each text
        ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def check_hourly_limit(hass: HomeAssistant, entry: ConfigEntry, taken: int) -> None:
    """Delete that issue where texts would be taken again: the limit is another one, or the hour has passed.

    Parameters:
        taken: how many texts were taken within the last hour.
    """
    limit = read_settings(entry).hourly_limit
    if not limit or taken < limit:
        clear_hourly_limit(hass, entry)


@callback
def check_sender(hass: HomeAssistant, entry: ConfigEntry, facts: AccountFacts) -> None:
    """Create an issue if the PBX no longer lists the number that texts are sent from, else delete it.

    Numbers are read, so the metadata has to be loaded.
    """
    sender = read_settings(entry).from_number
    if sender is None or not facts.numbers or facts.listed(sender, hass.config.country):
        ir.async_delete_issue(hass, DOMAIN, _id("sender_not_listed", entry))
        return
    _raise(hass, entry, "sender_not_listed", {"account": entry.title, "number": mask(sender)})


@callback
def check_options(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Create an issue if options cannot be read and their defaults are used, else delete it."""
    if damaged := read_settings(entry).damaged:
        _raise(hass, entry, "options_damaged", {"account": entry.title, "options": ", ".join(damaged)})
    else:
        ir.async_delete_issue(hass, DOMAIN, _id("options_damaged", entry))


@callback
def raise_outbox_damaged(hass: HomeAssistant, entry: ConfigEntry, aside: str) -> None:
    """Create the issue of waiting messages that could not be read, with the name of the file that is left."""
    _raise(hass, entry, "outbox_damaged", {"account": entry.title, "file": aside}, persistent=True)


@callback
def raise_inbox_damaged(hass: HomeAssistant, entry: ConfigEntry, aside: str) -> None:
    """Create the issue of a checkpoint that could not be read, with the name of the file that is left."""
    _raise(hass, entry, "inbox_damaged", {"account": entry.title, "file": aside}, persistent=True)


@callback
def raise_opt_outs_damaged(hass: HomeAssistant, entry: ConfigEntry, aside: str) -> None:
    """Create the issue of opt-outs that could not be read, with the name of the file that is left."""
    _raise(hass, entry, "opt_outs_damaged", {"account": entry.title, "file": aside}, persistent=True)


@callback
def raise_texts_dropped(hass: HomeAssistant, entry: ConfigEntry, count: int) -> None:
    """Create the issue of waiting messages that were deleted with their account."""
    key = "text_dropped" if count == 1 else "texts_dropped"
    _raise(hass, entry, key, {"account": entry.title, "count": str(count)}, persistent=True)


@callback
def check_recipients(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Create an issue for each recipient that cannot be read, which gets and reports nothing; delete the others'."""
    damaged = {
        f"recipient_damaged_{recipient.subentry_id}": recipient.title
        for recipient in entry.get_subentries_of_type(SUBENTRY_RECIPIENT)
        if is_damaged(recipient)
    }
    _clear_several(hass, entry, "recipient_damaged", but=damaged)
    for key, name in damaged.items():
        _raise(hass, entry, "recipient_damaged", {"account": entry.title, "recipient": name}, issue=key)


class OptedOutIssue(NamedTuple):
    """What the issue of somebody who opted out of texts says.

    Attributes:
        ours: our number, as it is kept.
        theirs: the other's number.
        who: the name under which they are shown.
        number: our number as it is shown.
    """

    ours: str
    theirs: str
    who: str
    number: str

    @property
    def key(self) -> str:
        """Its id among the account's: a fingerprint, since ids of issues are stored and logged."""
        return f"opted_out_{hashlib.sha256(f'{self.ours} {self.theirs}'.encode()).hexdigest()[:16]}"


@callback
def check_opt_outs(hass: HomeAssistant, entry: ConfigEntry, opted_out: Iterable[OptedOutIssue]) -> None:
    """Create an issue for each person who opted out of texts; delete those of people who opted in again."""
    issues = {one.key: one for one in opted_out}
    _clear_several(hass, entry, "opted_out", but=issues)
    for key, one in issues.items():
        placeholders = {"account": entry.title, "recipient": one.who, "number": one.number}
        numbers = {"ours": one.ours, "theirs": one.theirs}
        _raise(hass, entry, "opted_out", placeholders, issue=key, data=numbers)


def _clear_several(hass: HomeAssistant, entry: ConfigEntry, kind: str, *, but: Collection[str]) -> None:
    """Delete the issues of a kind of which there may be several, such as those of recipients that are gone."""
    kept = {_id(key, entry) for key in but}
    for issue_id in _issues_of(hass, entry):
        if issue_id.startswith(f"{kind}_") and issue_id not in kept:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


def _issues_of(hass: HomeAssistant, entry: ConfigEntry) -> list[str]:
    """Return the ids of an account's issues."""
    issues = ir.async_get(hass).issues
    return [issue_id for domain, issue_id in issues if domain == DOMAIN and issue_id.endswith(f"_{entry.entry_id}")]


@callback
def raise_push_issue(hass: HomeAssistant, entry: ConfigEntry, key: str) -> None:
    """Create the issue of a PBX that cannot push messages: ``push_without_url`` or ``push_refused``."""
    clear_push_issues(hass, entry, but=key)
    _raise(hass, entry, key, {"account": entry.title})


@callback
def clear_push_issues(hass: HomeAssistant, entry: ConfigEntry, *, but: str | None = None) -> None:
    """Delete those issues."""
    for key in _PUSH_ISSUES:
        if key != but:
            ir.async_delete_issue(hass, DOMAIN, _id(key, entry))


@callback
def check_conversations(hass: HomeAssistant, entry: ConfigEntry, cut: bool) -> None:
    """Create an issue if the PBX cuts its list of conversations, so that messages may be missed, else delete it."""
    if cut:
        _raise(hass, entry, "conversations_cut", {"account": entry.title})
    else:
        ir.async_delete_issue(hass, DOMAIN, _id("conversations_cut", entry))


@callback
def clear_all(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete all issues of an account that is gone."""
    for issue_id in _issues_of(hass, entry):
        ir.async_delete_issue(hass, DOMAIN, issue_id)


def _id(key: str, entry: ConfigEntry) -> str:
    """Return the id of an account's issue."""
    return f"{key}_{entry.entry_id}"


@callback
def _raise(
    hass: HomeAssistant,
    entry: ConfigEntry,
    key: str,
    placeholders: dict[str, str],
    *,
    persistent: bool = False,
    issue: str | None = None,
    data: dict[str, str] | None = None,
) -> None:
    """Raise an account's issue, under another name than its kind's where there may be several.

    Parameters:
        data: what its dialog has to know beside the account.
    """
    ir.async_create_issue(
        hass,
        DOMAIN,
        _id(issue or key, entry),
        data={"entry_id": entry.entry_id, **(data or {})},
        is_fixable=key in _FIXABLE,
        is_persistent=persistent,
        severity=ir.IssueSeverity.ERROR if key in _STOPS_TEXTS else ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders={name: plain(value) for name, value in placeholders.items()},
    )
