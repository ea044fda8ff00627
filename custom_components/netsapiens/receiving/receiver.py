"""The way in of a loaded account, as its options say: live, polled, pushed, or off."""

import asyncio
from collections.abc import Callable
from datetime import datetime
import logging

from homeassistant.components import webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_WEBHOOK_ID, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, restore_state
from homeassistant.helpers.start import async_at_started

from ..api.values import as_time
from ..const import CONF_CLOUDHOOK_URL, EVENT_RECEIVED, INCOMING_LIVE, INCOMING_OFF, INCOMING_PUSH
from ..issues import check_conversations, clear_push_issues, raise_inbox_damaged
from ..pbx.coordinator import NetsapiensCoordinator
from ..pbx.facts import shared_senders
from ..phone import is_same_number
from ..settings import read_settings, webhook_id_of
from .announcer import Announcer
from .inbox import Inbox
from .live import Live
from .opt_outs import OptOuts
from .pictures import Pictures
from .poller import Poller
from .push import Push, async_end_push
from .received import ReceivedMessage
from .store import CheckpointStore
from .timing import timing_of

_LOGGER = logging.getLogger(__name__)


class Receiver:
    """Starts, stops and changes an account's way in.

    Parameters:
        coordinator: the account.
        report: called with each message, once.
        opt_outs: learns also from what is too old to be reported, and is on disk before anything counts as reported.
        pictures: likewise has on disk what is still to be fetched.

    Attributes:
        poller: what polls for messages; None where that is switched off.
    """

    def __init__(
        self,
        coordinator: NetsapiensCoordinator,
        report: Callable[[ReceivedMessage], None],
        opt_outs: OptOuts,
        pictures: Pictures,
    ) -> None:
        self._hass = coordinator.hass
        self._coordinator = coordinator
        self._entry = coordinator.config_entry
        self._report = report
        self._opt_outs = opt_outs
        self._pictures = pictures
        self._mode: str | None = None  # as it was started
        self._announcer: Announcer | None = None
        self._ends: list[CALLBACK_TYPE] = []
        self._changing = asyncio.Lock()
        self._forgetting: asyncio.Task[None] | None = None
        self.poller: Poller | None = None

    @callback
    def async_start(self) -> None:
        """Poll for messages, in the way that the options say, once automations listen."""
        entry = self._entry
        self._mode = read_settings(entry).incoming
        if self._mode != INCOMING_PUSH:
            self._forget_push()
        if self._mode == INCOMING_OFF:
            check_conversations(self._hass, entry, cut=False)
            self._forgetting = self._hass.async_create_task(self._forget_checkpoint(), "netsapiens end of polling")
            return
        timing = timing_of(self._hass)
        inbox = Inbox(
            self._coordinator,
            CheckpointStore(self._hass, entry.entry_id, self._save_first),
            self._received,
            self._opt_outs.received,
            lambda cut: check_conversations(self._hass, entry, cut),
            self._report_damaged,
            timing.poll,
        )
        poller = self.poller = Poller(self._coordinator, inbox, timing.poll)
        announcer = self._announcer = poller.announcer = self._create_announcer(self._mode, poller)

        @callback
        def start_polling(_hass: HomeAssistant) -> None:
            """Poll, now that automations listen."""
            poller.async_start()
            if announcer is not None:
                announcer.async_start()

        async def stop(_event: Event) -> None:
            """Leave what comes in from now on to the next start: automations do not run any more."""
            if forget_stop in self._ends:
                self._ends.remove(forget_stop)
            await self.async_stop()

        forget_stop = self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)
        self._ends = [async_at_started(self._hass, start_polling), forget_stop]

    async def async_stop(self) -> None:
        """Stop polling; what was reported is on disk first."""
        async with self._changing:
            self._mode = None
            await self._stop()

    async def _stop(self) -> None:
        """Stop polling."""
        for end in self._ends:
            end()
        self._ends = []
        if self._announcer is not None:
            await self._announcer.async_stop()
            self._announcer = None
        if self.poller is not None:
            await self.poller.async_stop()
            self.poller = None
        if self._forgetting is not None:
            await self._forgetting
            self._forgetting = None

    async def async_apply(self) -> None:
        """Take over what the options say now."""
        async with self._changing:
            if self._mode is None:
                return
            if read_settings(self._entry).incoming != self._mode:
                await self._stop()
                self.async_start()
            elif self._announcer is not None:
                self._announcer.async_check()

    @callback
    def async_text_went_out(self) -> None:
        """Learn that a text went out, to which an answer is likely."""
        if self.poller is not None:
            self.poller.async_text_went_out()
        if self._announcer is not None:
            self._announcer.async_text_went_out()

    @property
    def diagnostics(self) -> dict[str, dict[str, int | str]]:
        """What helps to find a fault of what announces messages."""
        if self._mode is None or self._announcer is None:
            return {}
        return {self._mode: self._announcer.diagnostics}

    def _create_announcer(self, mode: str, poller: Poller) -> Announcer | None:
        """Return what has the PBX announce messages, as the options say."""
        timing = timing_of(self._hass)
        if mode == INCOMING_LIVE:
            return Live(self._coordinator, poller, timing.live)
        if mode == INCOMING_PUSH:
            return Push(self._coordinator, poller, self._webhook_id(), timing.push)
        return None

    def _received(self, received: ReceivedMessage) -> None:
        """Report a message. One to a number of others in the domain is not expected to be announced."""
        if self._announcer is not None:
            region = self._hass.config.country
            others = shared_senders(self._entry, self._coordinator.data, region).values()
            if not any(is_same_number(received.to_number, one, region) for numbers in others for one in numbers):
                self._announcer.async_found(received)
        self._report(received)

    async def _save_first(self) -> None:
        """Have on disk what follows from messages, before these count as reported.

        Raises:
            HomeAssistantError: it could not be written.
        """
        await self._opt_outs.async_save()
        await self._pictures.async_save()

    def _report_damaged(self, aside: str) -> datetime | None:
        """Report that the checkpoint was lost; return up to when the events show what was reported."""
        raise_inbox_damaged(self._hass, self._entry, aside)
        return _newest_reported(self._hass, self._entry)

    def _webhook_id(self) -> str:
        """Return where the PBX posts to, which is kept with the account."""
        if (known := webhook_id_of(self._entry.data)) is not None:
            return known
        made = webhook.async_generate_id()
        self._hass.config_entries.async_update_entry(self._entry, data={**self._entry.data, CONF_WEBHOOK_ID: made})
        return made

    async def _forget_checkpoint(self) -> None:
        """Forget how far the inbox is: what comes in while nothing is received is not reported later."""
        try:
            await CheckpointStore(self._hass, self._entry.entry_id).async_remove()
        except OSError as err:
            _LOGGER.warning("It could not be forgotten how far the poller was: %s", err.strerror)

    def _forget_push(self) -> None:
        """Take back what the PBX was asked to do."""
        entry = self._entry
        clear_push_issues(self._hass, entry)
        if CONF_WEBHOOK_ID not in entry.data:
            return
        ending = async_end_push(self._hass, entry.data, self._coordinator.throttle)
        entry.async_create_background_task(self._hass, ending, "netsapiens end of push")
        data = {key: value for key, value in entry.data.items() if key not in {CONF_WEBHOOK_ID, CONF_CLOUDHOOK_URL}}
        self._hass.config_entries.async_update_entry(entry, data=data)


@callback
def _newest_reported(hass: HomeAssistant, entry: ConfigEntry) -> datetime | None:
    """Return the time of the newest message that the account's event entities are known to have shown."""
    entities = {entity.entity_id for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)}
    stored = restore_state.async_get(hass).async_get_stored_states()
    times = [_reported_at(one.extra_data) for one in stored if one.state.entity_id in entities]
    return max((time for time in times if time is not None), default=None)


def _reported_at(extra_data: restore_state.ExtraStoredData | None) -> datetime | None:
    """Return the time of the message that an event entity showed last; None where it showed none."""
    kept: object = None if extra_data is None else extra_data.as_dict()
    match kept:  # it comes from a file as well, which may be damaged
        case {"last_event_type": event_type, "last_event_attributes": {"timestamp": timestamp}}:
            return as_time(timestamp) if event_type == EVENT_RECEIVED else None
    return None
