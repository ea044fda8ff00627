"""Contacts: names for unknown senders, and recipients that are made of them."""

import asyncio
from pathlib import Path
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.contacts import CONTACT_TIMING, ContactTiming
from custom_components.netsapiens.phone_metadata import async_load_metadata
from tests.config_flow.conftest import options_of, required, shown
from tests.conftest import AddAccount, recipient
from tests.helpers import until
from tests.simulator import Simulator

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
MESSAGES = "event.1001_acme_example_messages"


def reads(pbx: Simulator) -> int:
    """Return how often contacts were asked for."""
    return len(pbx.requests_to("/contacts"))


async def contact_of(hass: HomeAssistant, pbx: Simulator, number: str, text: str, **kwargs: Any) -> Any:
    """Let somebody text; return the contact and the recipient of the event."""
    receive = pbx.receive_chat(number, text) if len(number) < 7 else pbx.receive(number, text, **kwargs)
    await receive
    await until(lambda: hass.states.get(MESSAGES).attributes.get("message") == text)
    attributes = hass.states.get(MESSAGES).attributes
    return attributes["contact"], attributes["recipient"]


async def account(hass: HomeAssistant, add_account: AddAccount, *recipients: Any, **kwargs: Any) -> MockConfigEntry:
    """Add an account, and wait until it has looked once and read its contacts."""
    entry = await add_account(*recipients, **kwargs)
    if entry.runtime_data.poller is not None:
        await until(entry.runtime_data.poller.ready.is_set)
    await until(lambda: entry.runtime_data.contacts._reading is None)
    return entry


async def form_of(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Open the dialog to add a recipient."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "recipient"), context={"source": SOURCE_USER}
    )


async def submit(hass: HomeAssistant, form: Any, data: dict[str, Any]) -> Any:
    """Fill in a form."""
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], data)
    await hass.async_block_till_done()
    return result


@pytest.mark.usefixtures("quick_inbox")
async def test_an_unknown_sender_has_a_name(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Whatever way the number is written in the list; who is no contact has none."""
    pbx.add_contact("Eve", "Evans", work="(858) 555-0125")
    pbx.add_contact("Bob", "Brown", cell=BOB)
    pbx.add_contact("Carl", "Chat", work="1002")
    pbx.add_contact(company="No number")
    pbx.add_contact(home="8585550111")
    await account(hass, add_account, recipient("Ann", ANN), recipient("Bobby", BOB))
    assert await contact_of(hass, pbx, EVE, "1") == ("Eve Evans", None)
    assert await contact_of(hass, pbx, BOB, "2") == ("Bob Brown", "Bobby")
    assert await contact_of(hass, pbx, ANN, "3") == (None, "Ann")
    assert await contact_of(hass, pbx, "1002", "4") == ("Carl Chat", None)
    assert await contact_of(hass, pbx, "18585550111", "5") == (None, None)
    assert await contact_of(hass, pbx, "AMAZON.EXAMPLE", "6") == (None, None)
    assert reads(pbx) == 1


@pytest.mark.usefixtures("quick_inbox")
async def test_numbers_that_end_alike(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """In another area, or no number at all: only the contact with the very number is the sender."""
    pbx.add_contact("Wrong", "Number", work="+999 555 0125")
    pbx.add_contact("Far", "Away", work="(415) 555-0125")
    pbx.add_contact("Eve", "Evans", work="(858) 555-0125")
    await account(hass, add_account)
    assert await contact_of(hass, pbx, EVE, "1") == ("Eve Evans", None)
    assert await contact_of(hass, pbx, "12125550125", "2") == (None, None)


@pytest.mark.usefixtures("quick_inbox")
async def test_numbers_of_another_country(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A national number with its leading zero is the one that texts from there."""
    hass.config.country = "DE"
    pbx.add_contact("Eva", "Ernst", cell="089 1234567")
    pbx.add_contact("Udo", "Ulm", cell="+49 151 12345678")
    await account(hass, add_account)
    assert await contact_of(hass, pbx, "49891234567", "1") == ("Eva Ernst", None)
    assert await contact_of(hass, pbx, "4915112345678", "2") == ("Udo Ulm", None)


@pytest.mark.usefixtures("quick_inbox")
async def test_contacts_are_read_now_and_then(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """When a text comes in and they are older than half an hour; never on disk."""
    hass.data[CONTACT_TIMING] = ContactTiming(interval=0.8)
    entry = await account(hass, add_account)
    pbx.add_contact("Eve", "Unforgettable", cell=EVE)
    assert await contact_of(hass, pbx, EVE, "1") == (None, None)
    assert reads(pbx) == 1
    await asyncio.sleep(1)
    assert reads(pbx) == 1
    await contact_of(hass, pbx, EVE, "2")
    await until(lambda: reads(pbx) == 2 and entry.runtime_data.contacts._reading is None)
    assert await contact_of(hass, pbx, EVE, "3") == ("Eve Unforgettable", None)
    assert await hass.config_entries.async_unload(entry.entry_id)
    for file in Path(hass.config.path(".storage")).glob("netsapiens.*"):
        assert "Unforgettable" not in file.read_text()


@pytest.mark.usefixtures("quick_inbox")
@pytest.mark.parametrize("status", [400, 401, 403, None])
async def test_a_pbx_that_refuses_is_asked_again_by_dialogs_only(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by texts, until a dialog had an answer; the form is as without contacts."""
    hass.data[CONTACT_TIMING] = ContactTiming(interval=0.0, ask_again=0.0)
    pbx.contacts_refusal = status
    if status is None:  # a version that has none
        pbx.fault("no_route", path="/contacts", times=None)
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    assert required(form) == {"name", "destination"}
    assert "contact" not in form["data_schema"].schema
    asked = reads(pbx)
    assert await contact_of(hass, pbx, EVE, "1") == (None, None)
    await asyncio.sleep(0.4)
    assert reads(pbx) == asked
    assert [one for one in caplog.records if one.levelname in {"WARNING", "ERROR"} and "contact" in one.message] == []
    pbx.contacts_refusal = None
    pbx.clear_faults()
    pbx.add_contact("Bob", "Brown", work=BOB)
    assert "contact" in (await form_of(hass, entry))["data_schema"].schema


async def test_after_a_failure_it_is_asked_again(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """A failure that passes is no refusal."""
    hass.data[CONTACT_TIMING] = ContactTiming(ask_again=0.0)
    pbx.add_contact("Eve", "Evans", cell=EVE)
    pbx.fault("status", path="/contacts", code=500)
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    assert options_of(form, "contact") == ["Eve Evans · (858) 555-0125"]


async def test_a_contact_alone_makes_a_recipient(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The field stands first; each number is a choice of its own, and what cannot be texted is none."""
    pbx.add_contact("Eve", "Evans", work="8585550125", cell="+1 858 555 0124", fax="none")
    pbx.add_contact("Ann", "Acme", cell=ANN)
    pbx.add_contact(cell="8585550111")
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    assert str(next(iter(form["data_schema"].schema))) == "contact"
    assert required(form) == set()
    assert options_of(form, "contact") == [
        "(858) 555-0111",
        "Ann Acme · (858) 555-0123",
        "Eve Evans · (858) 555-0124",
        "Eve Evans · (858) 555-0125",
    ]
    result = await submit(hass, form, {"contact": "Eve Evans · (858) 555-0124"})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Eve Evans")
    (eve,) = entry.subentries.values()
    assert dict(eve.data) == {"destination": ["+1 858-555-0124"], "group": False}
    assert hass.states.get("notify.eve_evans") is not None


async def test_bare_digits_of_a_contact_have_their_country_code(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """As the PBX writes numbers: they are not read as a number of the home's country."""
    hass.config.country = "DE"
    pbx.add_contact("Udo", "Ulm", cell="4915112345678")
    pbx.add_contact("Eva", "Ernst", cell="089 1234567")
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    assert options_of(form, "contact") == ["Eva Ernst · 089 1234567", "Udo Ulm · 01511 2345678"]
    await submit(hass, form, {"contact": "Udo Ulm · 01511 2345678"})
    assert [one.data["destination"] for one in entry.subentries.values()] == [["+49 1511 2345678"]]


@pytest.mark.parametrize(
    ("typed", "title", "numbers"),
    [
        ({"name": " Sis ", "destination": [""]}, "Sis", ["+1 858-555-0125"]),
        ({"destination": ["858 555 0111", ""]}, "Eve Evans", ["+1 858-555-0111"]),
        ({"name": "Both", "destination": "858 555 0111"}, "Both", ["+1 858-555-0111"]),
    ],
)
async def test_what_is_filled_in_counts(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, typed: dict[str, Any], title: str, numbers: list[str]
) -> None:
    """A contact fills what is left empty, and nothing else."""
    pbx.add_contact("Eve", "Evans", work="8585550125")
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    result = await submit(hass, form, {"contact": "Eve Evans · (858) 555-0125", **typed})
    assert result["title"] == title
    (made,) = entry.subentries.values()
    assert made.data["destination"] == numbers


async def test_mistakes_beside_a_contact(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The form comes back with what was chosen; nothing at all is no recipient, nor is a contact of nobody's."""
    pbx.add_contact("Eve", "Evans", work="8585550125")
    entry = await account(hass, add_account)
    form = await form_of(hass, entry)
    form = await submit(hass, form, {})
    assert form["errors"] == {"name": "name_required", "destination": "invalid_number"}
    with pytest.raises(InvalidData):
        await submit(hass, form, {"contact": "Nobody"})
    typed = {"contact": "Eve Evans · (858) 555-0125", "destination": ["nobody"]}
    form = await submit(hass, form, typed)
    assert form["errors"] == {"destination": "invalid_number"}
    assert shown(form)["contact"] == typed["contact"]
    result = await submit(hass, form, {"contact": typed["contact"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (eve,) = entry.subentries
    context = {"source": SOURCE_RECONFIGURE, "subentry_id": eve}
    form = await hass.config_entries.subentries.async_init((entry.entry_id, "recipient"), context=context)
    assert "contact" not in form["data_schema"].schema  # it would change nothing: all is filled in


async def test_a_new_contact_is_offered_at_once(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Each dialog asks anew; where the PBX does not answer, it offers those that are known."""
    entry = await account(hass, add_account)
    assert "contact" not in (await form_of(hass, entry))["data_schema"].schema
    pbx.add_contact("Eve", "Evans", work="8585550125")
    assert len(options_of(await form_of(hass, entry), "contact")) == 1
    pbx.add_contact("Bob", "Brown", work=BOB)
    assert len(options_of(await form_of(hass, entry), "contact")) == 2
    assert reads(pbx) == 4
    pbx.fault("status", path="/contacts", times=None, code=500)
    assert len(options_of(await form_of(hass, entry), "contact")) == 2


async def test_a_slow_pbx_holds_no_dialog(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The form opens without contacts; the next one has them."""
    hass.data[CONTACT_TIMING] = ContactTiming(within=0.3)
    pbx.add_contact("Eve", "Evans", work="8585550125")
    pbx.fault("slow", path="/contacts", seconds=1.5)
    entry = await add_account()
    await async_load_metadata(hass)
    began = hass.loop.time()
    form = await form_of(hass, entry)
    assert hass.loop.time() - began < 1.2
    assert "contact" not in form["data_schema"].schema
    await until(lambda: entry.runtime_data.contacts._reading is None)
    pbx.clear_faults()
    assert "contact" in (await form_of(hass, entry))["data_schema"].schema


async def test_thousands_of_contacts(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Five thousand at the most, a thousand a request; the event loop goes on meanwhile."""
    for number in range(6000):
        pbx.add_contact("Person", str(number), cell=f"1858{2000000 + number}", work=f"1619{2000000 + number}")
    entry = await account(hass, add_account)
    assert reads(pbx) == 5
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = hass.loop.time()
            await asyncio.sleep(0.005)
            longest = max(longest, hass.loop.time() - before)

    watching = hass.async_create_background_task(watch(), "watch")
    form = await form_of(hass, entry)
    watching.cancel()
    assert len(options_of(form, "contact")) == 10_000
    assert longest < 1.0


async def test_an_account_that_receives_nothing_asks_for_none(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Only its dialog does."""
    entry = await account(hass, add_account, options={"from_number": pbx.numbers[0], "incoming": "off"})
    assert reads(pbx) == 0
    await form_of(hass, entry)
    assert reads(pbx) == 1


async def test_an_account_that_is_not_loaded(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Its dialog opens without contacts; one that is unloaded while they are read stops reading."""
    pbx.fault("hang", path="/contacts", times=None)
    entry = await add_account()
    await until(lambda: reads(pbx) == 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    form = await form_of(hass, entry)
    assert required(form) == {"name", "destination"}
