"""The commands behind the conversation card, over a real websocket."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.netsapiens.address_book import Addressee
from custom_components.netsapiens.feed import FEED_TIMING, FeedTiming
from custom_components.netsapiens.feeds import async_feed_of
from custom_components.netsapiens.outgoing_log import async_log_of
from tests.conftest import AddAccount, recipient
from tests.delivery.quick import send_quickly
from tests.helpers import shown, until
from tests.pictures import RED
from tests.receiving.test_pages import written_at
from tests.simulator import Simulator
from tests.simulator.checks import Draft

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"


class Card:
    """Holds what a card would show."""

    def __init__(self, client: Any, entity_id: str) -> None:
        self.client = client
        self.entity_id = entity_id
        self.rows: dict[str, dict[str, Any]] = {}
        self.about: dict[str, Any] = {}
        self.answers: dict[int, dict[str, Any]] = {}
        self.subscription = 0

    async def open(self, **fields: Any) -> dict[str, Any]:
        """Subscribe; return the answer."""
        command = {"type": "netsapiens/conversation/subscribe", "entity_id": self.entity_id, **fields}
        await self.client.send_json_auto_id(command)
        answer: dict[str, Any] = await self.client.receive_json()
        self.subscription = answer["id"]
        if answer["success"]:
            await self.until(lambda: self.about)
        return answer

    async def send_refused(self, pbx: Simulator, key: str = "k1") -> None:
        """Open the conversation and send a text that the PBX refuses; return once that shows."""
        await self.open()
        pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
        assert (await self.ask("send", key=key, message="Hi"))["success"]
        await self.until(lambda: self.lines == [("failed", "Hi")])

    async def take(self) -> None:
        """Take the next event or answer."""
        message = await self.client.receive_json()
        if message["type"] == "result":
            self.answers[message["id"]] = message
            return
        event = message["event"]
        self.rows = {key: row for key, row in self.rows.items() if key not in event.get("removed", ())}
        self.rows |= {row["key"]: row for row in event.get("messages", ())}
        self.about |= {key: value for key, value in event.items() if key not in {"messages", "removed"}}

    async def until(self, condition: Callable[[], Any]) -> None:
        """Take what comes until something is true."""
        async with asyncio.timeout(20):
            while not condition():
                await self.take()

    async def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send another command; return its answer."""
        await self.client.send_json_auto_id(
            {"type": f"netsapiens/conversation/{command}", "entity_id": self.entity_id, **fields}
        )
        self.asked = getattr(self, "asked", self.subscription) + 1
        await self.until(lambda: self.asked in self.answers)
        return self.answers[self.asked]

    @property
    def is_listed(self) -> bool:
        """Whether all that is shown is in the PBX's lists."""
        return all("reason" not in row for row in self.rows.values())

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What became of each message, and what it says, in order."""
        ordered = sorted(self.rows.values(), key=lambda row: row["order"])
        return [(row["status"], row["text"]) for row in ordered]


@pytest.fixture(autouse=True)
def quick(hass: HomeAssistant, quick_inbox: None) -> None:
    """Look often."""
    hass.data[FEED_TIMING] = FeedTiming(interval=0.3, soon=0.02, lag=0.2, together=0.01)
    send_quickly(hass)


@pytest.fixture
async def card(hass: HomeAssistant, entry: MockConfigEntry, hass_ws_client: Any) -> Card:
    """A card of Ann's conversation."""
    return Card(await hass_ws_client(hass), "notify.ann")


async def say(hass: HomeAssistant, text: str) -> None:
    """Let an automation text Ann."""
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": "notify.ann", "message": text}, blocking=True
    )


async def test_a_text_without_its_sender(pbx: Simulator, card: Card) -> None:
    """It is from the only other one in its conversation."""
    pbx.names_sender = False
    await pbx.receive(from_number=ANN, text="Hello")
    assert (await card.open())["success"]
    assert [row["sender"] for row in card.rows.values()] == ["Ann"]


async def test_a_conversation_and_all_that_happens_in_it(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """What was written shows at once; what comes in, and goes out by an automation or another phone, follows."""
    await pbx.receive(from_number=ANN, text="Hello")
    await pbx.receive(from_number=EVE, text="Somebody else")
    assert (await card.open())["success"]
    assert card.about == {
        "has_older": False,
        "name": "Ann",
        "is_group": False,
        "is_sms": True,
        "plain_characters": False,
        "can_send": True,
        "opted_out": False,
        "error": None,
    }
    assert card.lines == [("received", "Hello")]
    assert next(iter(card.rows.values()))["sender"] == "Ann"
    await say(hass, "The door is open.")
    await card.until(lambda: ("sent", "The door is open.") in card.lines)
    await pbx.receive(from_number=ANN, text="Thanks")
    await card.until(lambda: ("received", "Thanks") in card.lines)
    draft = Draft("sms", "From the desk", [ANN], pbx.first_user.numbers[0].number)
    pbx.send(pbx.first_user, draft, pbx.inbound[0].messagesession)
    await card.until(lambda: ("sent", "From the desk") in card.lines)
    await asyncio.sleep(1)  # some polls, and reads of the card, which find nothing new
    assert sorted(text for _, text in card.lines) == ["From the desk", "Hello", "Thanks", "The door is open."]


async def test_the_first_text_ever_begins_the_conversation(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """A conversation that the PBX did not know shows with its first message."""
    await card.open()
    assert card.lines == []
    await pbx.receive(from_number=ANN, text="Hello")
    await card.until(lambda: card.lines == [("received", "Hello")])


async def test_the_card_sends(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """What is written in the card goes to the recipient, and shows once: being sent, sent, then as the PBX lists it."""
    await card.open()
    assert (await card.ask("send", key="k1", message="Dinner!"))["success"]
    await card.until(lambda: card.rows and card.is_listed)
    assert card.lines == [("sent", "Dinner!")]
    assert [row.text for row in pbx.messages] == ["Dinner!"]


async def test_a_picture_of_the_clipboard(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """Words and picture go out as two messages, and show as two."""
    await card.open()
    data = base64.b64encode(RED).decode()
    assert (await card.ask("send", key="k1", message="Look", data=data, mime_type="image/png"))["success"]
    await card.until(lambda: card.is_listed and len(card.rows) == 2)
    assert [row.type for row in pbx.messages] == ["sms", "mms"]
    assert sorted(row["media_type"] is not None for row in card.rows.values()) == [False, True]


async def test_the_name_of_a_picture_is_no_words(
    hass: HomeAssistant, pbx: Simulator, card: Card, tmp_path: Path
) -> None:
    """The PBX wants some text beside a picture. It shows in none of the steps from waiting to being listed."""
    (tmp_path / "porch.jpg").write_bytes(RED)
    hass.config.media_dirs = {"local": str(tmp_path)}
    seen: set[tuple[str, str, str | None]] = set()

    def has_gone() -> bool:
        seen.update((row["status"], row["text"], row["media_name"]) for row in card.rows.values())
        return bool(card.rows) and card.is_listed

    await card.open()
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    assert (await card.ask("send", key="k1", media="/media/local/porch.jpg"))["success"]
    await card.until(lambda: has_gone() or ("waiting", "", "porch") in seen)
    pbx.clear_faults()
    await card.until(has_gone)
    assert [row.text for row in pbx.messages] == ["porch"]
    assert {text for _, text, _ in seen} == {""}
    assert ("sent", "", "porch") in seen


async def test_words_beside_a_picture_are_shown(
    hass: HomeAssistant, pbx: Simulator, card: Card, tmp_path: Path
) -> None:
    """Those that come in with it, and those that another phone of the account sends with it."""
    await pbx.receive(from_number=ANN, text="Picture", media=RED, mime_type="image/jpeg")
    await card.open()
    draft = Draft("mms", "Look at that", [ANN], pbx.first_user.numbers[0].number, RED, "image/jpeg")
    pbx.send(pbx.first_user, draft, pbx.inbound[0].messagesession)
    await card.until(lambda: len(card.rows) == 2)
    assert card.lines == [("received", "Picture"), ("sent", "Look at that")]
    assert [row["media_name"] for row in card.rows.values()] == [None, None]


async def test_names_of_pictures_that_went_before_a_restart(
    hass: HomeAssistant, pbx: Simulator, camera: Any, card: Card
) -> None:
    """Then it is known by what a camera is called, and by what a picture is that has no name."""
    await pbx.receive(from_number=ANN, text="Hello")
    for name in ("Door", "Picture"):
        draft = Draft("mms", name, [ANN], pbx.first_user.numbers[0].number, RED, "image/jpeg")
        pbx.send(pbx.first_user, draft, pbx.inbound[0].messagesession)
    await card.open()
    assert card.lines == [("received", "Hello"), ("sent", ""), ("sent", "")]
    assert [row["media_name"] for row in card.rows.values()] == [None, "Door", "Picture"]


async def test_a_text_waits_while_the_pbx_is_away_and_then_goes(
    hass: HomeAssistant, pbx: Simulator, card: Card
) -> None:
    """It is shown as waiting, and as sent once the PBX is back."""
    await card.open()
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    await card.client.send_json_auto_id(
        {"type": "netsapiens/conversation/send", "entity_id": "notify.ann", "key": "k1", "message": "Hi"}
    )
    await card.until(lambda: card.lines)
    assert card.lines in ([("sending", "Hi")], [("waiting", "Hi")])  # changes of one moment come together
    await card.until(lambda: card.lines == [("waiting", "Hi")])
    pbx.clear_faults()
    await card.until(lambda: card.lines == [("sent", "Hi")])
    assert [row.text for row in pbx.messages] == ["Hi"]


async def test_a_refused_text_is_tried_again(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """It says why it failed in words that are translated, and goes out when it is tried again."""
    await card.send_refused(pbx)
    (row,) = card.rows.values()
    assert (row["translation_key"], row["can_retry"]) == ("refused", True)
    assert (await card.ask("retry", key=row["key"]))["success"]
    await card.until(lambda: card.lines == [("sent", "Hi")])
    assert (await card.ask("retry", key=row["key"]))["success"]  # pressed twice
    assert len(pbx.messages) == 1


async def test_a_failed_text_is_dismissed(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """It is gone from every card."""
    await card.send_refused(pbx)
    await card.ask("dismiss", key="ck1")
    await card.until(lambda: card.lines == [])


async def test_a_text_of_an_automation_that_failed_in_the_queue(
    hass: HomeAssistant, pbx: Simulator, card: Card
) -> None:
    """What waited and was refused in the end is shown, also to a card that is opened later."""
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    await say(hass, "Leak!")
    pbx.clear_faults()
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await card.open()
    await card.until(lambda: [status for status, _ in card.lines] == ["failed"])
    (row,) = card.rows.values()
    assert (row["text"], row["reason"], row["can_retry"]) == ("Leak!", "refused", True)
    await card.ask("retry", key=row["key"])
    await card.until(lambda: card.lines == [("sent", "Leak!")])


async def test_older_messages_on_demand(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """Pages of older messages join those that are shown, each once."""
    for number in range(150):
        await pbx.receive(from_number=ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number - 200)
    await card.open()
    assert len(card.rows) == 30
    assert card.about["has_older"]
    has_older = True
    while has_older:
        before = min(card.rows.values(), key=lambda row: row["order"])["key"]
        result = (await card.ask("older", before=before, limit=50))["result"]
        card.rows |= {row["key"]: row for row in result["messages"]}
        has_older = result["has_older"]
    assert [text for _, text in card.lines] == [f"Text {number}!" for number in range(150)]


async def test_older_messages_where_the_pbx_fails(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """The card gets the reason in words that are translated; and nothing, where nobody looks at the conversation."""
    for number in range(40):
        await pbx.receive(from_number=ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number - 200)
    before = "k" * 32
    await card.client.send_json_auto_id(
        {"type": "netsapiens/conversation/older", "entity_id": "notify.ann", "before": before}
    )
    assert (await card.client.receive_json())["result"] == {"messages": [], "has_older": True}
    await card.open()
    before = min(card.rows.values(), key=lambda row: row["order"])["key"]
    pbx.fault("status", path="/messages", method="GET", code=500, times=None)
    assert (await card.ask("older", before=before))["error"]["translation_key"] == "pbx_failed"
    pbx.clear_faults()
    assert len((await card.ask("older", before=before))["result"]["messages"]) == 10


async def test_the_senders_of_a_group(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_ws_client: Any
) -> None:
    """Those who are recipients have their names, others their numbers; what one of them writes alone is not shown."""
    await add_account(recipient("Ann", ANN), recipient("Trip", ANN, BOB, group=True))
    trip = Card(await hass_ws_client(hass), "event.trip_messages")
    await trip.open()
    await trip.ask("send", key="k", message="Who is coming?")
    (sent,) = pbx.messages
    for number in (ANN, BOB):
        await pbx.receive(from_number=number, text="Me!", messagesession=sent.messagesession)
    await pbx.receive(from_number=ANN, text="Private")
    await trip.until(lambda: len([one for one in trip.lines if one[1] == "Me!"]) == 2)
    assert trip.about["is_group"]
    assert {row["sender"] for row in trip.rows.values()} == {None, "Ann", shown(BOB)}
    assert "Private" not in {text for _, text in trip.lines}


async def test_a_colleague_whose_domain_is_written_otherwise(
    pbx: Simulator, add_account: AddAccount, hass: HomeAssistant, hass_ws_client: Any
) -> None:
    """Case makes no difference to a domain: the conversation and its sender are found."""
    await add_account(recipient("Desk", "1002"))
    await pbx.receive_chat(from_user="1002@Acme.Example", text="Lunch?")
    desk = Card(await hass_ws_client(hass), "event.desk_messages")
    await desk.open()
    assert [row["sender"] for row in desk.rows.values()] == ["Desk"]


async def test_what_texts_cost(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_ws_client: Any
) -> None:
    """The card is told what it needs to count segments: nobody bills chats, and an option makes texts plain."""
    options = {"from_number": pbx.first_user.numbers[0].number, "plain_characters": True}
    await add_account(recipient("Desk", "1002"), recipient("Ann", ANN), options=options)
    desk, ann = Card(await hass_ws_client(hass), "notify.desk"), Card(await hass_ws_client(hass), "notify.ann")
    await desk.open()
    await ann.open()
    assert (desk.about["is_sms"], ann.about["is_sms"], ann.about["plain_characters"]) == (False, True, True)


async def test_the_pbx_is_away_when_the_card_opens(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """The card says so, and shows the conversation once the PBX is back."""
    await pbx.receive(from_number=ANN, text="Hello")
    pbx.fault("status", path="/messagesessions", method="GET", code=500, times=None)
    await card.open()
    assert card.about["error"]["translation_key"] == "pbx_failed"
    pbx.clear_faults()
    await card.until(lambda: card.lines == [("received", "Hello")] and not card.about["error"])


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({}, "unauthorized"),
        ({"entities": {"entity_ids": {"notify.bob": True}}}, "unauthorized"),
        ({"entities": {"entity_ids": {"notify.ann": {"read": True}}}}, None),
        ({"entities": {"entity_ids": {"notify.ann": True}}}, None),
    ],
)
async def test_who_may_read_and_send(
    hass: HomeAssistant,
    pbx: Simulator,
    card: Card,
    hass_admin_user: MockUser,
    policy: dict[str, Any],
    code: str | None,
) -> None:
    """The right to read the entity shows the conversation; the right to control it has a box."""
    await pbx.receive(from_number=ANN, text="Secret")
    hass_admin_user.groups = []
    hass_admin_user.mock_policy(policy)
    answer = await card.open()
    assert (answer.get("error") or {}).get("code") == code
    assert ("Secret" in str(card.rows)) is (code is None)
    may_send = policy == {"entities": {"entity_ids": {"notify.ann": True}}}
    assert card.about.get("can_send", False) is may_send
    for command, fields in (("send", {"message": "Hi"}), ("retry", {}), ("dismiss", {})):
        assert (await card.ask(command, key="k", **fields))["success"] is may_send, command
    assert len(pbx.messages) == may_send


@pytest.mark.parametrize("loses", ["the right", "the account"])
async def test_a_user_who_may_not_read_any_more(
    hass: HomeAssistant, pbx: Simulator, card: Card, hass_admin_user: MockUser, hass_ws_client: Any, loses: str
) -> None:
    """Rights that are taken away while somebody looks count at once, and for that user alone; given back, as well."""
    token = await hass.auth.async_create_refresh_token(
        MockUser(groups=hass_admin_user.groups).add_to_hass(hass), "https://example.com/"
    )
    other = Card(await hass_ws_client(hass, hass.auth.async_create_access_token(token)), "notify.ann")
    await card.open()
    await other.open()
    groups = hass_admin_user.groups
    if loses == "the right":
        hass_admin_user.groups = []
        hass_admin_user.mock_policy({"entities": {"entity_ids": {"notify.bob": True}}})
    else:
        hass_admin_user.is_active = False
    await pbx.receive(from_number=ANN, text="Secret")
    await card.until(lambda: card.about.get("ended"))
    await other.until(lambda: other.lines == [("received", "Secret")])
    await pbx.receive(from_number=ANN, text="More")
    await other.until(lambda: ("received", "More") in other.lines)
    again = Card(card.client, "notify.ann")
    answer = await again.open()  # nothing came before it
    assert (answer["type"], answer["error"]["code"], card.rows) == ("result", "unauthorized", {})
    hass_admin_user.is_active = True
    hass_admin_user.groups = groups
    assert (await again.open())["success"]
    assert again.lines == other.lines


async def test_who_opted_out_and_in(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """The card is told, so that it has no box; what is sent all the same fails and says why."""
    await card.open()
    await pbx.receive(from_number=ANN, text="STOP")
    await card.until(lambda: card.about["opted_out"])
    assert (await card.ask("send", key="k1", message="Hi"))["success"]
    await card.until(lambda: ("failed", "Hi") in card.lines)
    assert card.rows["ck1"]["translation_key"] == "opted_out"
    again = Card(card.client, "notify.ann")
    await again.open()
    assert again.about["opted_out"]
    await pbx.receive(from_number=ANN, text="START")
    await card.until(lambda: not card.about["opted_out"])
    assert pbx.messages == []


async def test_a_text_to_the_number_waits_in_the_conversation_too(
    hass: HomeAssistant, pbx: Simulator, card: Card
) -> None:
    """Whichever way it was sent: one to the bare number is as much for Ann as one to her entity."""
    await card.open()
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    data = {"destination": shown(ANN), "message": "By number"}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    data = {"destination": shown(BOB), "message": "To Bob"}
    await hass.services.async_call("netsapiens", "send_message", data, blocking=True)
    await card.until(lambda: card.lines == [("waiting", "By number")])
    pbx.clear_faults()
    await card.until(lambda: card.lines == [("sent", "By number")] and card.is_listed)


async def test_what_went_out_before_the_first_page_shows_once(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """What is known here of texts that are further back is no text of its own."""
    await say(hass, "Long ago")
    written_at(pbx.messages[0], -300)
    for number in range(40):
        await pbx.receive(from_number=ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number + 60)
    await card.open()
    assert [text for _, text in card.lines] == [f"Text {number}!" for number in range(10, 40)]
    before = min(card.rows.values(), key=lambda row: row["order"])["key"]
    result = (await card.ask("older", before=before))["result"]
    assert [row["text"] for row in result["messages"]] == ["Long ago", *(f"Text {number}!" for number in range(10))]


async def test_older_ones_of_another_card_are_no_news(
    hass: HomeAssistant, pbx: Simulator, card: Card, hass_ws_client: Any
) -> None:
    """Somebody else scrolls up: that sends nothing to those who do not."""
    for number in range(100):
        await pbx.receive(from_number=ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number - 200)
    await card.open()
    other = Card(await hass_ws_client(hass), "notify.ann")
    await other.open()
    before = min(other.rows.values(), key=lambda row: row["order"])["key"]
    assert len((await other.ask("older", before=before))["result"]["messages"]) == 70
    await pbx.receive(from_number=ANN, text="News")
    await card.until(lambda: ("received", "News") in card.lines)
    assert len(card.rows) == 31


async def test_the_pbx_is_known_to_be_away_when_the_card_opens(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry
) -> None:
    """What waits shows at once, with why the rest is missing; the rest, and what is older, once the PBX is back."""
    for number in range(60):
        await pbx.receive(from_number=ANN, text=f"Text {number}!")
        written_at(pbx.inbound[-1], number - 200)
    pbx.fault("drop_before", path="/", times=None)
    await say(hass, "Leak!")
    await until(lambda: entry.runtime_data.coordinator.throttle.is_away)
    await card.open()
    assert card.lines == [("waiting", "Leak!")]
    assert (card.about["error"]["translation_key"], card.about["has_older"]) == ("cannot_connect", False)
    answer = await card.ask("older", before=None)
    assert answer["success"] is False or answer["result"] == {"messages": [], "has_older": False}
    pbx.clear_faults()
    await card.until(lambda: card.about["has_older"] and not card.about["error"])
    await card.until(lambda: card.lines[-1] == ("sent", "Leak!"))
    assert [text for _, text in card.lines][-2:] == ["Text 59!", "Leak!"]


async def test_one_of_several_numbers_is_tried_again(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_ws_client: Any
) -> None:
    """Who got a text gets it no second time because somebody else did not."""
    await add_account(recipient("Family", ANN, BOB))
    family = Card(await hass_ws_client(hass), "notify.family")
    await family.open()
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    target = {"entity_id": "notify.family", "message": "Dinner!"}
    await hass.services.async_call("notify", "send_message", target, blocking=True)
    pbx.clear_faults()
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await family.until(lambda: sorted(status for status, _ in family.lines) == ["failed", "sent"])
    key = next(key for key, row in family.rows.items() if row["status"] == "failed")
    assert (await family.ask("retry", key=key))["success"]
    await family.until(lambda: [status for status, _ in family.lines] == ["sent", "sent"] and family.is_listed)
    assert sorted(row.destination for row in pbx.messages) == [[ANN], [BOB]]


async def test_a_conversation_that_begins_while_another_is_read(
    hass: HomeAssistant, pbx: Simulator, card: Card
) -> None:
    """A slow PBX is still asked for the last time about one conversation when another begins: that shows as well."""
    hass.data[FEED_TIMING] = FeedTiming(interval=1000, soon=0.02, lag=0.2, together=0.01)
    await pbx.receive(from_number=ANN, text="Hello")
    await card.open()
    await pbx.receive(from_number=ANN, text="Are you in?")
    await card.until(lambda: ("received", "Are you in?") in card.lines)
    path = f"/{pbx.inbound[0].messagesession}/messages"
    pbx.fault("slow", path=path, method="GET", times=None, seconds=1)
    await asyncio.sleep(0.4)  # until it is read for the last time
    assert pbx.fault_counts["slow"]
    await say(hass, "In a minute.")
    pbx.clear_faults()
    await card.until(lambda: ("sent", "In a minute.") in card.lines and card.is_listed)


async def test_words_that_went_go_out_once(hass: HomeAssistant, pbx: Simulator, camera: Any, card: Card) -> None:
    """Where only the picture cannot be had, to try again sends the picture alone: the words are there already."""
    await card.open()
    camera.sees = None
    assert (await card.ask("send", key="k1", message="Look", media="media-source://camera/camera.door"))["success"]
    await card.until(lambda: sorted(card.lines) == [("failed", ""), ("sent", "Look")])
    assert card.rows["ck1"]["media_type"] == "image/*"
    camera.sees = RED
    assert (await card.ask("retry", key="ck1"))["success"]
    await card.until(lambda: card.is_listed and len(card.rows) == 2)
    assert [(row.type, row.text == "Look") for row in pbx.messages] == [("sms", True), ("mms", False)]


async def test_who_got_a_text_gets_it_no_second_time(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, hass_ws_client: Any
) -> None:
    """Where the PBX refuses one of several numbers at once, to try again texts that one alone."""
    await add_account(recipient("Family", ANN, BOB))
    family = Card(await hass_ws_client(hass), "notify.family")
    await family.open()
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    assert (await family.ask("send", key="k1", message="Dinner!"))["success"]
    await family.until(lambda: sorted(status for status, _ in family.lines) == ["failed", "sent"])
    assert (await family.ask("retry", key="ck1"))["success"]
    await family.until(lambda: [status for status, _ in family.lines] == ["sent", "sent"] and family.is_listed)
    assert sorted(row.destination for row in pbx.messages) == [[ANN], [BOB]]


async def test_the_longest_key(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """What was sent under the longest key that is taken can be tried again by the key that it is shown under."""
    await card.send_refused(pbx, "k" * 64)
    assert (await card.ask("retry", key=next(iter(card.rows))))["success"]
    await card.until(lambda: card.lines == [("sent", "Hi")])


async def test_a_card_that_asks_twice_sends_once(
    hass: HomeAssistant, pbx: Simulator, card: Card, hass_ws_client: Any
) -> None:
    """A card whose connection was lost does not know whether its text was taken: it asks again with the same key."""
    await card.open()
    assert (await card.ask("send", key="k1", message="Dinner!"))["success"]
    other = Card(await hass_ws_client(hass), "notify.ann")
    await other.open()
    assert (await other.ask("send", key="k1", message="Dinner!"))["success"]
    assert [row.text for row in pbx.messages] == ["Dinner!"]


async def test_a_card_that_asks_again_for_what_failed(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """The same key for a text that failed tries it again: nothing is lost by a key that is known."""
    await card.send_refused(pbx)
    assert (await card.ask("send", key="k1", message="Hi"))["success"]
    await card.until(lambda: card.lines == [("sent", "Hi")])
    assert [row.text for row in pbx.messages] == ["Hi"]


async def test_a_picture_that_failed_in_the_queue(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """The picture was on disk alone and is gone: the text says that it failed, and cannot be tried again as it was."""
    await card.open()
    pbx.fault("status", path="/messages", method="POST", code=503, times=None)
    data = {"data": base64.b64encode(RED).decode(), "mime_type": "image/png"}
    await card.ask("send", key="k1", **data)
    await card.until(lambda: [status for status, _ in card.lines] == ["waiting"])
    pbx.clear_faults()
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    await card.until(lambda: [status for status, _ in card.lines] == ["failed"])
    (row,) = card.rows.values()
    assert (row["can_retry"], row["media_type"]) == (False, "image/png")
    assert (await card.ask("retry", key=row["key"]))["success"]
    await card.ask("dismiss", key=row["key"])
    await card.until(lambda: card.lines == [])


@pytest.mark.parametrize("entity_id", ["notify.nobody", "event.1001_acme_example_messages", "sun.sun"])
async def test_what_is_no_recipient(hass: HomeAssistant, card: Card, entity_id: str) -> None:
    """Only the entities of a recipient have a conversation."""
    card.entity_id = entity_id
    answer = await card.open()
    assert answer["error"]["code"] == "not_found"
    assert answer["error"]["translation_key"] == "not_a_recipient"


async def test_an_account_that_is_unloaded_ends_it(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry
) -> None:
    """The card is told, and can open the conversation again once the account is back."""
    await card.open()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await card.until(lambda: card.about.get("ended"))
    error = (await Card(card.client, "notify.ann").open())["error"]
    assert (error["code"], error["translation_key"]) == ("not_loaded", "account_not_loaded")
    assert error["translation_placeholders"] == {"account": entry.title}
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert (await Card(card.client, "notify.ann").open())["success"]


async def test_a_reload_keeps_what_failed_and_a_removal_does_not(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry, add_account: AddAccount
) -> None:
    """What failed is there until somebody deals with it, and gone with the account."""
    await card.send_refused(pbx)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await card.until(lambda: card.about.get("ended"))
    again = Card(card.client, "notify.ann")
    await again.open()
    assert again.lines == [("failed", "Hi")]
    await hass.config_entries.async_remove(entry.entry_id)
    await again.until(lambda: again.about.get("ended"))
    assert (await Card(card.client, "notify.ann").open())["error"]["code"] == "not_found"
    assert async_log_of(hass, entry.entry_id).to(Addressee("", frozenset({frozenset({ANN})}))) == []


async def test_who_looks_and_breaks_keeps_nobody_else_from_looking(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither from what is new nor from the end, and the log has none of what was said."""

    def broken(_newest: object) -> None:
        raise RuntimeError("Hello")

    (subentry,) = entry.subentries.values()
    async_feed_of(hass, entry, subentry).async_subscribe(broken)
    await card.open()
    await pbx.receive(from_number=ANN, text="Hello")
    await card.until(lambda: card.lines == [("received", "Hello")])
    assert await hass.config_entries.async_unload(entry.entry_id)
    await card.until(lambda: card.about.get("ended"))
    assert "Error: Hello" not in caplog.text


async def test_another_number_or_name_begins_anew(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry
) -> None:
    """Whoever looks is told that the recipient is another now, and is shown that one's conversation."""
    await pbx.receive(from_number=ANN, text="From Ann")
    await pbx.receive(from_number=BOB, text="From Bob")
    await card.open()
    assert card.lines == [("received", "From Ann")]
    (subentry,) = entry.subentries.values()
    data = {**subentry.data, "destination": [f"+{BOB}"]}
    hass.config_entries.async_update_subentry(entry, subentry, title="Bob", data=data)
    await card.until(lambda: card.about.get("ended"))
    again = Card(card.client, "notify.ann")
    await again.open()
    assert (again.about["name"], again.lines) == ("Bob", [("received", "From Bob")])


async def test_a_recipient_that_cannot_be_read(
    hass: HomeAssistant, pbx: Simulator, card: Card, entry: MockConfigEntry
) -> None:
    """Storage that was edited by hand breaks no card."""
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, data={"destination": "x"})
    answer = await card.open()
    assert answer["error"]["translation_key"] == "recipient_damaged"


async def test_nothing_is_asked_once_nobody_looks(hass: HomeAssistant, pbx: Simulator, card: Card) -> None:
    """A closed card costs the PBX nothing; two open ones cost as much as one."""
    await pbx.receive(from_number=ANN, text="Hello")
    await card.open()
    await card.client.send_json_auto_id({"type": "unsubscribe_events", "subscription": card.subscription})
    await card.until(lambda: card.subscription + 1 in card.answers)

    def reads() -> int:
        return len([one for one in pbx.requests_to("/messages") if one.query.get("limit") == "30"])

    before = reads()
    await say(hass, "Hi")
    await asyncio.sleep(1)
    assert reads() == before
