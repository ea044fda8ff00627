"""A PBX that lists numbers as people in its country write them: without the country code, and maybe with a zero."""

from datetime import UTC, datetime

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.netsapiens.api import Account, Message, MessageSession
from custom_components.netsapiens.phone import international, national
from custom_components.netsapiens.receiving.received import received_message
from tests.conftest import AddAccount, EntityEvents, recipient
from tests.delivery.test_queue import _quick, send  # noqa: F401
from tests.helpers import until
from tests.simulator import Simulator, SmsNumber

HOMES = [
    ("US", "8585550199", "18585550199"),
    ("GB", "07700900199", "447700900199"),
    ("AU", "412340199", "61412340199"),
    ("FR", "612345699", "33612345699"),
    ("SG", "91230199", "6591230199"),
]

pytestmark = [pytest.mark.usefixtures("quick_inbox"), pytest.mark.parametrize(("country", "listed", "digits"), HOMES)]


@pytest.fixture(autouse=True)
def _at_home(hass: HomeAssistant, pbx: Simulator, country: str, listed: str) -> None:
    """Live where the PBX is."""
    hass.config.country = country
    pbx.cast_numbers = False
    pbx.first_user.numbers = [SmsNumber(listed)]


async def test_the_sender_goes_out_as_it_is_listed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, country: str, listed: str, digits: str
) -> None:
    """However it is kept, which is with the country code once options were saved, or written."""
    spellings = [digits, f"+{digits}", international(digits), national(digits, country), listed]
    ann = recipient("Ann", "18585550123", from_number=digits)
    await add_account(ann, options={"from_number": digits, "incoming": "off"})
    rows = [await send(hass), await send(hass, destination=[], entity_id="notify.ann")]
    rows += [await send(hass, from_number=spelling) for spelling in spellings]
    assert {row["from_number"] for row in rows} == {international(digits)}
    assert {message.from_number for message in pbx.messages} == {listed}
    assert len({row["messagesession"] for row in rows}) == 1
    assert not ir.async_get(hass).issues


async def test_replies_to_a_shared_number_come_in(
    hass: HomeAssistant,
    pbx: Simulator,
    add_account: AddAccount,
    entity_events: EntityEvents,
    listed: str,
    digits: str,
) -> None:
    """It is known whose number it is, and that no other of that user's is meant."""
    pbx.first_user.scope = "Office Manager"
    pbx.first_user.numbers.clear()
    pbx.add_user("1002@acme.example", numbers=[listed, "18585550188"])
    entry = await add_account(options={"from_number": digits})
    await until(entry.runtime_data.poller.ready.is_set)
    await send(hass)
    assert [(message.user, message.from_number) for message in pbx.messages] == [("1002", listed)]
    await pbx.receive(from_number="18585550123", text="Private", to_number="18585550188")
    await pbx.receive(from_number="18585550123", text="To the desk", to_number=listed)
    await until(entity_events.texts)
    assert entity_events.texts() == ["To the desk"]


def test_we_are_no_other_one_in_a_conversation(country: str, listed: str, digits: str) -> None:
    """Some PBXs list both of two people, each number in another spelling."""
    us = Account("1001@acme.example", "1001", "acme.example", "ann", "", "")
    for ours, participant in ((listed, digits), (digits, listed)):
        row = Message.from_row({"type": "sms", "messagesession-participants": f"18585550123,{participant}"})
        session = MessageSession.from_row({"messagesession-id": "p", "messagesession-sms-number": ours})
        assert received_message(row, session, datetime.now(UTC), us, "entry", country).participants == ()
