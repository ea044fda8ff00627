"""The client's contacts."""

from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.netsapiens.api import Contact, ContactAPI, NetsapiensAPI, NetsapiensError, NetsapiensRequestError
from tests.simulator import Simulator


@pytest.fixture
def contacts(api: NetsapiensAPI) -> ContactAPI:
    """The contacts of the first account."""
    return ContactAPI(api)


async def test_contacts(pbx: Simulator, contacts: ContactAPI) -> None:
    """Names, companies and numbers, whatever the PBX makes of digits; a single row comes bare."""
    pbx.bare_single = True
    pbx.add_contact("Ann", "Acme", company="Acme", work="18585550123", cell="(858) 555-0124")
    assert await contacts.get_contacts() == [Contact("c0", "Ann Acme", "Acme", ("(858) 555-0124", "18585550123"))]
    assert pbx.requests[-1].path.endswith("/domains/acme.example/users/1001/contacts")
    pbx.add_contact(company="Pizza", fax="8585550125")
    assert (await contacts.get_contacts())[1].name == "Pizza"


async def test_pages(pbx: Simulator, contacts: ContactAPI) -> None:
    """A page at a time."""
    for number in range(1500):
        pbx.add_contact(str(number), "X", cell=f"1858555{number:04}")
    assert len(await contacts.get_contacts()) == 1000
    assert [one.name for one in await contacts.get_contacts(limit=2, start=1499)] == ["1499 X"]


async def test_none_yet_and_refused(pbx: Simulator, contacts: ContactAPI) -> None:
    """None is an empty list, a refusal an error."""
    assert await contacts.get_contacts() == []
    pbx.fault("status", path="/contacts", code=404, message="No contacts found")
    assert await contacts.get_contacts() == []
    pbx.fault("no_route", path="/contacts")
    with pytest.raises(NetsapiensRequestError):
        await contacts.get_contacts()
    pbx.contacts_refusal = 403
    with pytest.raises(NetsapiensRequestError):
        await contacts.get_contacts()
    pbx.fault("body", path="/contacts", body="[7]")
    pbx.contacts_refusal = None
    with pytest.raises(NetsapiensError):
        await contacts.get_contacts()


KEYS = ("unique-id", "uid", "name-first-name", "name-last-name", "company", "phonenumber-cell", "phonenumber-work")
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.lists(st.text(), max_size=2)


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_row_is_a_contact(row: dict[str, Any]) -> None:
    """Whatever stands in it: names and numbers are short, and one line each."""
    contact = Contact.from_row(row)
    for text in (contact.name, contact.company, *contact.numbers):
        assert len(text) <= 100
        assert text.isprintable()
        assert text == text.strip()
    assert "" not in contact.numbers
