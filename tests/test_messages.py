"""From what is asked for to the messages: what the doors' own tests do not reach."""

from homeassistant.exceptions import ServiceValidationError
from hypothesis import given, settings as hypothesis, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.netsapiens.api.messages import is_session_id
from custom_components.netsapiens.messages import compose
from custom_components.netsapiens.outgoing import stable_session_id
from custom_components.netsapiens.request import SendRequest
from custom_components.netsapiens.senders import SendingAccount
from custom_components.netsapiens.settings import read_settings
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"


def account_of(entry: MockConfigEntry) -> SendingAccount:
    """Return what the rules need to know of a loaded account."""
    return SendingAccount(entry.runtime_data.coordinator.data, read_settings(entry).from_number, "US")


@pytest.mark.parametrize("text", ["half \ud83d", "\udc00", "a\ud800b"])
def test_half_a_pair_cannot_be_sent(pbx: Simulator, entry: MockConfigEntry, text: str) -> None:
    """Half of an emoji, in text or title, is told before anything is sent."""
    for request in (
        SendRequest(destinations=[ANN], message=text),
        SendRequest(destinations=[ANN], message="Hi", title=text),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            compose(account_of(entry), request)
        assert caught.value.translation_key == "invalid_text"


@pytest.mark.parametrize(
    "unseen", ["", " \n", "\u200b", "\ufeff", "\u2060\u200d", "\u202e \u00ad", "\ufe0f", "\u2800", "\u3164", "\x00"]
)
def test_what_no_phone_shows_is_nothing_to_send(pbx: Simulator, entry: MockConfigEntry, unseen: str) -> None:
    """A text that nobody could see is not sent."""
    with pytest.raises(ServiceValidationError) as caught:
        compose(account_of(entry), SendRequest(destinations=[ANN], message=unseen, title=unseen))
    assert caught.value.translation_key == "nothing_to_send"
    (one,) = compose(account_of(entry), SendRequest(destinations=[ANN], message="\u200bHi", title=unseen))
    assert one.words is not None
    assert one.words.text == "\u200bHi"


@pytest.mark.parametrize("text", ["\U0001f468\u200d\U0001f469", "\u2764\ufe0f", "a\u200b", "\U000e0041!", "\U0001faef"])
def test_what_joins_emoji_is_kept(pbx: Simulator, entry: MockConfigEntry, text: str) -> None:
    """What is unseen by itself but belongs to an emoji stays."""
    (one,) = compose(account_of(entry), SendRequest(destinations=[ANN], message=text))
    assert one.words is not None
    assert one.words.text == text


def test_a_recipients_bad_number_is_told(pbx: Simulator, entry: MockConfigEntry) -> None:
    """A number that was stored long ago and is none is an error, not somebody else's."""
    (ann,) = entry.subentries.values()
    object.__setattr__(ann, "data", {"destination": ["5550123"], "group": False})
    with pytest.raises(ServiceValidationError) as caught:
        compose(account_of(entry), SendRequest(recipients=[ann], message="Hi"))
    assert caught.value.translation_key == "invalid_number"


def test_whom_a_message_is_for(pbx: Simulator, entry: MockConfigEntry) -> None:
    """Each message knows its recipient, or the end of its number."""
    (ann,) = entry.subentries.values()
    request = SendRequest(destinations=[BOB, "1002"], recipients=[ann], message="Hi")
    messages = [one.words for one in compose(account_of(entry), request) if one.words]
    assert [(message.destination, message.label, message.recipient_id) for message in messages] == [
        ((BOB,), "…0124", None),
        (("1002",), "…1002", None),
        ((ANN,), "Ann", ann.subentry_id),
    ]


def test_a_recipient_who_is_also_a_destination_is_texted_once_and_by_name(
    pbx: Simulator, entry: MockConfigEntry
) -> None:
    """However the number is written."""
    (ann,) = entry.subentries.values()
    request = SendRequest(destinations=["858 555 0123"], recipients=[ann], message="Hi")
    ((message, _),) = [(one.words, one.media) for one in compose(account_of(entry), request)]
    assert message is not None
    assert (message.label, message.recipient_id) == ("Ann", ann.subentry_id)


NUMBERS = st.lists(st.from_regex(r"[0-9]{3,15}", fullmatch=True), min_size=1, max_size=8, unique=True)


@hypothesis(max_examples=50, deadline=None, database=None)
@given(st.text(max_size=40), st.one_of(st.none(), st.from_regex(r"[0-9]{5,15}", fullmatch=True)), NUMBERS, st.randoms())
def test_a_conversations_id(uid: str, sender: str | None, listed: list[str], dice: object) -> None:
    """It is the same for the same people, whatever their order, and one that the PBX takes."""
    numbers = tuple(listed)
    uid = uid.encode(errors="ignore").decode()
    found = stable_session_id(uid, sender, numbers)
    shuffled = tuple(sorted(numbers, key=lambda _: dice.random()))  # type: ignore[attr-defined]
    assert stable_session_id(uid, sender, shuffled) == found
    assert is_session_id(found)
    assert found[0].isalpha()
    assert found not in {
        stable_session_id(f"{uid}x", sender, numbers),
        stable_session_id(uid, f"{sender}1", numbers),
        stable_session_id(uid, sender, (*numbers, "1" * 16)),
        stable_session_id(uid, sender, (f"{numbers[0]}{'1' * 16}", *numbers[1:])),
    }
