"""The actions by name in the notify domain."""

import base64
import logging
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceNotFound, ServiceValidationError, Unauthorized
from homeassistant.helpers.service import async_get_all_descriptions
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
import voluptuous as vol

from custom_components.netsapiens.const import DOMAIN
from tests.conftest import AddAccount, recipient
from tests.simulator import Simulator

ANN, BOB, EVE = "18585550123", "18585550124", "18585550125"
OWN = "18585550199"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def names(hass: HomeAssistant) -> set[str]:
    """Return our actions' names."""
    return {name for name in hass.services.async_services_for_domain("notify") if name.startswith(DOMAIN)}


async def call(hass: HomeAssistant, name: str, **data: Any) -> None:
    """Call one."""
    data.setdefault("message", "Hi")
    await hass.services.async_call("notify", name, data, blocking=True)


# --- sending ------------------------------------------------------------------------


async def test_the_account_texts_numbers(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Each number privately."""
    await call(hass, "netsapiens", title="Laundry", message="Done", target=["858 555 0123", 8585550124])
    assert sorted(message.destination for message in pbx.messages) == [[ANN], [BOB]]
    assert {(message.text, message.from_number, message.type) for message in pbx.messages} == {
        ("Laundry\nDone", OWN, "sms")
    }


async def test_a_recipient_and_further_numbers(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The target joins the recipient's own."""
    await add_account(recipient("Both", ANN, BOB, group=True))
    await call(hass, "netsapiens_both")
    assert [sorted(message.destination) for message in pbx.messages] == [[ANN, BOB]]
    await call(hass, "netsapiens_both", target=EVE)
    assert sorted(len(message.destination) for message in pbx.messages[1:]) == [1, 2]


async def test_data_holds_the_fields_of_the_big_action(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry
) -> None:
    """And they mean the same."""
    data = {"group": True, "messagesession": "a" * 32, "from_number": "858 555 0199", "destination": ANN}
    await call(hass, "netsapiens", target=BOB, data=data)
    (message,) = pbx.messages
    assert (sorted(message.destination), message.messagesession) == ([ANN, BOB], "a" * 32)
    await call(hass, "netsapiens_ann", message="", data={"data": "AAEC", "mime_type": "image/png"})
    assert (pbx.messages[1].type, pbx.messages[1].media) == ("mms", b"\x00\x01\x02")


@pytest.mark.parametrize(
    "data", [None, {}, {"tag": "door", "priority": "high", "actions": [{"action": "OPEN"}], "ttl": 0}]
)
async def test_what_is_meant_for_others_is_ignored(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, data: dict[str, Any] | None
) -> None:
    """Automations that text several services pass fields of the others."""
    await call(hass, "netsapiens_ann", data=data)
    assert [message.destination for message in pbx.messages] == [[ANN]]


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("netsapiens", {}, "nobody_to_send_to"),
        ("netsapiens", {"target": "555"}, None),
        ("netsapiens", {"target": [ANN, "5550123"]}, "invalid_number"),
        ("netsapiens_ann", {"target": "nobody"}, "sender_without_number"),
        ("netsapiens_ann", {"target": "8585550124,,123"}, "invalid_number"),
        ("netsapiens_ann", {"data": {"destination": "8585550124,,123"}}, "invalid_number"),
        ("netsapiens_ann", {"message": ""}, "nothing_to_send"),
        ("netsapiens_ann", {"data": {"message_type": "bogus"}}, "invalid_message_type"),
        ("netsapiens_ann", {"data": {"from_number": "8585550177"}}, "foreign_sender"),
    ],
)
async def test_rules(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, name: str, data: dict[str, Any], key: str | None
) -> None:
    """The same rules as everywhere, with the same words."""
    if key is None:  # three digits are an extension
        await call(hass, name, **data)
        assert pbx.messages[0].type == "chat"
        return
    with pytest.raises(ServiceValidationError) as caught:
        await call(hass, name, **data)
    assert caught.value.translation_key == key
    assert pbx.messages == []


async def test_an_unknown_field_is_refused(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """A mistake in the call itself is told."""
    with pytest.raises(vol.Invalid):
        await call(hass, "netsapiens_ann", nonsense=1)
    with pytest.raises(vol.Invalid):
        await call(hass, "netsapiens_ann", data=["group"])
    assert pbx.messages == []


@pytest.mark.parametrize(("group", "texts"), [("doors", 2), ("no", 2), ("yes", 1), (True, 1)])
async def test_data_that_is_meant_for_the_app_as_well(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, group: Any, texts: int
) -> None:
    """Its `group` is a name."""
    data = {"group": group, "tag": "door", "destination": [BOB, EVE]}
    await call(hass, "netsapiens", data=data)
    assert len(pbx.messages) == texts


def render(hass: HomeAssistant, value: Any) -> Any:
    """Return what Home Assistant makes of templates, in a list or not, in the data of an action."""
    if isinstance(value, list):
        return [render(hass, one) for one in value]
    return Template(value, hass).async_render(parse_result=True)


@pytest.mark.parametrize(
    "numbers",
    [
        "{{ '+18585550124' }}, {{ '+18585550125' }}",
        "{{ '+18585550124, +18585550125' }}",
        "{{ ('+18585550124', '+18585550125') }}",
        "{{ ['+1 858-555-0124', '+1 858-555-0125', none, ''] }}",
        "{{ [8585550124, 8585550125] }}",
        ["{{ ['+18585550124', '+18585550125'] }}"],
        ["{{ '+18585550124' }}", ["{{ ('858 555 0125',) }}"]],
    ],
)
async def test_numbers_as_templates_make_them(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, numbers: Any
) -> None:
    """Each gets the text, in whatever list they are, and with the same words as by the other action."""
    rendered = render(hass, numbers)
    await call(hass, "netsapiens_ann", data={"destination": rendered})
    assert sorted(message.destination for message in pbx.messages) == [[ANN], [BOB], [EVE]]
    pbx.messages.clear()
    await call(hass, "netsapiens", target=rendered)
    await hass.services.async_call(DOMAIN, "send_message", {"message": "Hi", "destination": rendered}, blocking=True)
    assert sorted(message.destination for message in pbx.messages) == [[BOB], [BOB], [EVE], [EVE]]


async def test_media_and_a_conversation_as_templates_make_them(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, files: Path
) -> None:
    """Several pictures, and an id of nothing but digits, which is an int."""
    pictures = [str(files / "red.jpg"), str(files / "blue.jpg")]
    conversation = "12" * 16
    data = {
        "media": render(hass, f"{{{{ {tuple(pictures)} }}}}"),
        "messagesession": render(hass, f"{{{{ '{conversation}' }}}}"),
    }
    assert isinstance(data["messagesession"], int)
    await call(hass, "netsapiens_ann", message="", data=data)
    assert [(message.type, message.messagesession) for message in pbx.messages] == [("mms", conversation)] * 2


# What other notifiers take under the name of one of our fields.
OTHERS = {
    "group": ["family"],
    "data": {"ttl": 0},
    "media": {"url": "https://example.com/secret.jpg"},
    "mime_type": 7,
    "from_number": {"name": "Secret"},
    "destination": [{"name": "Secret"}],
    "message_type": ["sms"],
    "messagesession": True,
    "keep_for": "soon",
}


@pytest.mark.parametrize("key", OTHERS)
async def test_a_field_of_the_same_name_but_another_type_is_passed_over(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    """An alert gives the same data to all its notifiers, and must not end with this one."""
    caplog.set_level(logging.DEBUG, "custom_components.netsapiens.notify_actions")
    await call(hass, "netsapiens_ann", data={key: OTHERS[key], "tag": "leak"})
    assert [message.destination for message in pbx.messages] == [[ANN]]
    (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("netsapiens.notify_actions")]
    assert key in line
    assert not any(value in line for value in ("ttl", "secret", "Secret", "family", "soon"))


@pytest.mark.parametrize("value", [True, [True], {}, 5.5j, ["", {}]])
async def test_no_truth_value_is_a_number_or_a_text(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, value: Any
) -> None:
    """What another integration has under the same name, and is neither, is not taken for ours."""
    keys = OTHERS.keys() - {"group", "keep_for"}
    await call(hass, "netsapiens_ann", data=dict.fromkeys(keys, value))
    assert [message.destination for message in pbx.messages] == [[ANN]]


async def test_several_numbers_in_a_text(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Commas and semicolons separate them."""
    await call(hass, "netsapiens", target=f"{ANN}, {BOB}", data={"destination": f"{BOB};{EVE}"})
    assert sorted(message.destination for message in pbx.messages) == [[ANN], [BOB], [EVE]]


@pytest.mark.parametrize("nothing", ["", None, " \n"])
async def test_an_empty_field_is_not_given(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, nothing: str | None
) -> None:
    """A template that finds nothing leaves the field out."""
    await call(hass, "netsapiens_ann", title=nothing, target=nothing, data=nothing)
    await call(hass, "netsapiens_ann", target=[nothing], data=dict.fromkeys(OTHERS, nothing))
    assert [(message.destination, message.text) for message in pbx.messages] == [([ANN], "Hi")] * 2


@pytest.mark.parametrize(
    ("data", "pictures"),
    [
        ({"image": "/local/red.gif"}, ["red"]),
        ({"image": "/media/local/blue.gif", "attachment": {"content-type": "gif"}}, ["blue"]),
        ({"attachment": {"url": "/local/red.gif", "hide-thumbnail": False}}, ["red"]),
        ({"attachment": {"url": "/local/red.gif"}, "image": "/media/local/blue.gif"}, ["blue"]),
        ({"image": "", "attachment": {"url": "/local/red.gif"}, "media": []}, ["red"]),
        ({"image": "/local/red.gif", "media": "/media/local/blue.gif"}, ["blue"]),
        ({"image": "/local/red.gif", "media": {"url": "https://example.com/x.jpg"}}, ["red"]),
        ({"image": None, "attachment": None}, []),
        ({"image": 7, "attachment": "red"}, []),
        ({"image": ["/local/red.gif"], "attachment": {"url": {}}}, []),
    ],
)
@pytest.mark.parametrize("name", ["netsapiens", "netsapiens_ann"])
async def test_the_apps_picture(
    hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry, data: dict[str, Any], pictures: list[str], name: str
) -> None:
    """What the mobile app takes for a picture is taken."""
    folders = {"red": Path(hass.config.path("www")), "blue": Path(hass.config.path("media"))}
    hass.config.media_dirs = {"local": str(folders["blue"])}
    for colour, folder in folders.items():
        folder.mkdir(exist_ok=True)
        (folder / f"{colour}.gif").write_bytes(PIXEL)
    await call(hass, name, data=data, **({"target": ANN} if name == "netsapiens" else {}))
    assert [(one.destination, one.text, bool(one.media)) for one in pbx.messages] == [
        ([ANN], "Hi", False),
        *(([ANN], colour, True) for colour in pictures),
    ]


async def test_the_apps_picture_that_is_not_there(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """The words go, and the error names the picture."""
    with pytest.raises(HomeAssistantError, match=r"/local/door\.jpg"):
        await call(hass, "netsapiens_ann", data={"image": "/local/door.jpg"})
    assert [message.text for message in pbx.messages] == ["Hi"]


@pytest.mark.parametrize(
    ("picture", "named"),
    [
        ("/local/../secrets.yaml", "/local/../secrets.yaml"),
        ("/etc/../etc/hostname", "/etc/../etc/hostname"),
        ("https://www.example.com/door.jpg", "www.example.com"),
        ("http://192.168.1.7/snap.jpg", "192.168.1.7"),
    ],
)
@pytest.mark.parametrize("picture_text", ["separate", "together"])
async def test_a_picture_that_is_not_allowed(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, picture: str, named: str, picture_text: str
) -> None:
    """Of the app's, the words go and the error names it; one of ours keeps them back."""
    await add_account(recipient("Ann", ANN), options={"from_number": OWN, "picture_text": picture_text})
    for data in ({"image": picture}, {"attachment": {"url": picture}}):
        with pytest.raises(HomeAssistantError) as caught:
            await call(hass, "netsapiens_ann", data=data)
        assert caught.value.translation_key == "words_without_picture"
        assert named in str(caught.value)
    assert [(one.text, one.type, one.media) for one in pbx.messages] == [("Hi", "sms", None)] * 2
    for words, data in (("", {"image": picture}), ("Hi", {"media": picture}), ("Hi", {"media": picture, "image": "x"})):
        with pytest.raises(ServiceValidationError) as refused:
            await call(hass, "netsapiens_ann", message=words, data=data)
        assert named in str(refused.value)
    assert len(pbx.messages) == 2


@pytest.mark.parametrize("data", [{"image": "camera.door"}, {"attachment": {"url": "/api/camera_proxy/camera.door"}}])
async def test_a_picture_that_the_caller_may_not_see(
    hass: HomeAssistant, pbx: Simulator, camera: Any, data: dict[str, Any]
) -> None:
    """Nothing goes out, whomever the picture was meant for."""
    user = MockUser().add_to_hass(hass)
    user.mock_policy({"entities": {"entity_ids": {"notify.ann": True}}})
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            "notify", "netsapiens_ann", {"message": "Hi", "data": data}, blocking=True, context=Context(user_id=user.id)
        )
    assert not pbx.messages


async def test_a_refusal_reaches_the_caller(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """No action swallows an error."""
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination")
    with pytest.raises(HomeAssistantError, match="Invalid destination"):
        await call(hass, "netsapiens_ann")


# --- names --------------------------------------------------------------------------


async def test_names(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Recipients of equal or odd names have actions of their own."""
    await add_account(
        recipient("Ann", ANN, recipient_id="1"),
        recipient("ann", BOB, recipient_id="2"),
        recipient("Ann!", EVE, recipient_id="3"),
        recipient("Älter & Söhne", ANN, recipient_id="4"),
        recipient("🙂", BOB, recipient_id="5"),
        recipient("***", EVE, recipient_id="6"),
    )
    assert names(hass) == {
        "netsapiens",
        "netsapiens_ann",
        "netsapiens_ann_2",
        "netsapiens_ann_3",
        "netsapiens_alter_sohne",
        "netsapiens_2",
        "netsapiens_3",
    }
    for name, number in {"netsapiens_ann": ANN, "netsapiens_ann_2": BOB, "netsapiens_2": BOB}.items():
        pbx.messages.clear()
        await call(hass, name)
        assert [message.destination for message in pbx.messages] == [[number]]


async def test_names_are_kept(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Whatever else comes and goes: a name never texts somebody else."""
    entry = await add_account(
        recipient("Ann", ANN, recipient_id="1"), recipient("Ann", BOB, recipient_id="2"), recipient("🙂", EVE)
    )
    before = {"netsapiens", "netsapiens_ann", "netsapiens_ann_2", "netsapiens_2"}
    assert names(hass) == before
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert names(hass) == before

    hass.config_entries.async_remove_subentry(entry, "1")
    await hass.async_block_till_done()
    assert names(hass) == before - {"netsapiens_ann"}
    await call(hass, "netsapiens_ann_2")
    assert [message.destination for message in pbx.messages] == [[BOB]]

    _add(hass, entry, "Ann", EVE)
    await hass.async_block_till_done()
    assert names(hass) == before
    await call(hass, "netsapiens_ann")
    assert pbx.messages[1].destination == [EVE]
    await call(hass, "netsapiens_ann_2")
    assert pbx.messages[2].destination == [BOB]

    _add(hass, entry, "Ann", "18585550126")
    await hass.async_block_till_done()
    assert names(hass) == before | {"netsapiens_ann_3"}
    for name, number in (("", EVE), ("_2", BOB), ("_3", "18585550126")):
        await call(hass, f"netsapiens_ann{name}")
        assert pbx.messages[-1].destination == [number]


def _add(hass: HomeAssistant, entry: MockConfigEntry, name: str, number: str) -> None:
    new = ConfigSubentry(
        data={"destination": [number], "group": False}, subentry_type="recipient", title=name, unique_id=None
    )
    hass.config_entries.async_add_subentry(entry, new)


async def test_names_over_a_restart(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The same stored entry, loaded by a Home Assistant that knows nothing else of it."""
    entry = await add_account(recipient("Ann", ANN, recipient_id="1"), recipient("Ann", BOB, recipient_id="2"))
    hass.config_entries.async_remove_subentry(entry, "1")
    await hass.async_block_till_done()
    stored, recipients = dict(entry.data), [dict(one.as_dict()) for one in entry.subentries.values()]
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert names(hass) == set()
    again = MockConfigEntry(
        domain=DOMAIN,
        title=entry.title,
        unique_id=entry.unique_id,
        data=stored,
        options=dict(entry.options),
        subentries_data=recipients,  # type: ignore[arg-type]
    )
    again.add_to_hass(hass)
    assert await hass.config_entries.async_setup(again.entry_id)
    assert names(hass) == {"netsapiens", "netsapiens_ann_2"}


async def _add_by_form(hass: HomeAssistant, pbx: Simulator, login: str) -> Any:
    menu = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    form = await hass.config_entries.flow.async_configure(menu["flow_id"], {"next_step_id": "sign_in"})
    typed = {**pbx.account_of(pbx.users[login]), "verify_ssl": True}
    result = await hass.config_entries.flow.async_configure(form["flow_id"], typed)
    await hass.async_block_till_done()
    return result["result"]


async def test_later_accounts(hass: HomeAssistant, pbx: Simulator) -> None:
    """A second account's actions do not take the first one's names."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    pbx.add_user("1002.acme@example", numbers=["18585550197"])
    first = await _add_by_form(hass, pbx, "1001@acme.example")
    second = await _add_by_form(hass, pbx, "1002@acme.example")
    third = await _add_by_form(hass, pbx, "1002.acme@example")
    for entry in (first, second, third):
        _add(hass, entry, "Ann", ANN)
        await hass.async_block_till_done()
    later = {
        "netsapiens_1002_acme_example",
        "netsapiens_1002_acme_example_ann",
        "netsapiens_1002_acme_example_2",
        "netsapiens_1002_acme_example_2_ann",
    }
    assert names(hass) == {"netsapiens", "netsapiens_ann"} | later
    for name, number in {
        "netsapiens_ann": OWN,
        "netsapiens_1002_acme_example_ann": "18585550198",
        "netsapiens_1002_acme_example_2_ann": "18585550197",
    }.items():
        pbx.messages.clear()
        await call(hass, name)
        assert [message.from_number for message in pbx.messages] == [number]

    assert await hass.config_entries.async_remove(first.entry_id)
    await hass.async_block_till_done()
    assert names(hass) == later
    for entry in (second, third):
        assert await hass.config_entries.async_reload(entry.entry_id)
    assert names(hass) == later


async def test_a_recipient_does_not_take_a_later_accounts_name(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """The later one has another."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    first = await add_account(recipient("1002 acme example", ANN))
    second = await _add_by_form(hass, pbx, "1002@acme.example")
    assert names(hass) == {"netsapiens", "netsapiens_1002_acme_example", "netsapiens_1002_acme_example_2"}
    assert second.data["action"] == "netsapiens_1002_acme_example_2"
    # Nor does it lose its own while its account is not loaded.
    assert await hass.config_entries.async_unload(first.entry_id)
    _add(hass, second, "Bob", BOB)
    await hass.async_block_till_done()
    assert names(hass) == {"netsapiens_1002_acme_example_2", "netsapiens_1002_acme_example_2_bob"}


async def test_another_integrations_action_is_not_replaced(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """What was there first stays."""
    calls: list[Any] = []
    hass.services.async_register("notify", "netsapiens_ann", calls.append)
    await add_account(recipient("Ann", ANN))
    await call(hass, "netsapiens_ann")
    assert len(calls) == 1
    await call(hass, "netsapiens_ann_2")
    assert [message.destination for message in pbx.messages] == [[ANN]]


async def test_renaming(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """The action follows the name, and nobody else's changes."""
    entry = await add_account(recipient("Ann", ANN, recipient_id="1"), recipient("Ann", BOB, recipient_id="2"))
    hass.config_entries.async_update_subentry(entry, entry.subentries["1"], title="Eve")
    await hass.async_block_till_done()
    assert names(hass) == {"netsapiens", "netsapiens_eve", "netsapiens_ann_2"}
    hass.config_entries.async_update_subentry(entry, entry.subentries["1"], title="Ann")
    await hass.async_block_till_done()
    assert names(hass) == {"netsapiens", "netsapiens_ann", "netsapiens_ann_2"}
    await call(hass, "netsapiens_ann")
    assert [message.destination for message in pbx.messages] == [[ANN]]


async def test_renaming_the_account_keeps_its_actions(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount
) -> None:
    """Automations that use them go on."""
    entry = await add_account(recipient("Ann", ANN), action="netsapiens_work")
    assert names(hass) == {"netsapiens_work", "netsapiens_work_ann"}
    hass.config_entries.async_update_entry(entry, title="The office")
    await hass.async_block_till_done()
    assert names(hass) == {"netsapiens_work", "netsapiens_work_ann"}


async def test_an_entry_without_names_gets_them(
    hass: HomeAssistant, pbx: Simulator, account: dict[str, Any], add_account: AddAccount
) -> None:
    """One that was restored from elsewhere, or made by a script."""
    pbx.add_user("1002@acme.example", numbers=["18585550198"])
    bare = []
    for login in ("1001@acme.example", "1002@acme.example"):
        data = {**account, "username": login}
        subentries = [recipient("Ann", ANN)]
        made = MockConfigEntry(domain=DOMAIN, title=login, unique_id=login, data=data, subentries_data=subentries)
        made.add_to_hass(hass)
        assert await hass.config_entries.async_setup(made.entry_id)  # one after the other: the first has the short name
        await hass.async_block_till_done()
        bare.append(made)
    later = {"netsapiens_1002_acme_example", "netsapiens_1002_acme_example_ann"}
    assert names(hass) == {"netsapiens", "netsapiens_ann"} | later
    assert [entry.data["action"] for entry in bare] == ["netsapiens", "netsapiens_1002_acme_example"]


async def test_gone_with_the_entry(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """And only then."""
    assert names(hass) == {"netsapiens", "netsapiens_ann"}
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert names(hass) == set()
    with pytest.raises(ServiceNotFound):
        await call(hass, "netsapiens_ann")
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert names(hass) == {"netsapiens", "netsapiens_ann"}
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert names(hass) == set()


# --- what Home Assistant does with them ----------------------------------------------


async def test_described(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Each has a name and fields in the developer tools."""
    # Core's own files need what is not installed for tests; ours come from code.
    with patch("homeassistant.helpers.service._load_services_files", return_value={}):
        descriptions = (await async_get_all_descriptions(hass))["notify"]
    account, ann = descriptions["netsapiens"], descriptions["netsapiens_ann"]
    assert "1001@acme.example" in account["name"]
    assert "Ann" in ann["name"]
    for description in (account, ann):
        assert description["description"]
        assert set(description["fields"]) == {"message", "title", "target", "data"}
        for field in description["fields"].values():
            assert field["name"]
            assert field["description"]
            assert field["selector"]


async def test_described_in_the_language_of_home_assistant(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Also after a reload."""

    async def described() -> list[str]:
        with patch("homeassistant.helpers.service._load_services_files", return_value={}):
            descriptions = (await async_get_all_descriptions(hass))["notify"]
        fields = descriptions["netsapiens_ann"]["fields"]
        return [descriptions["netsapiens"]["name"], descriptions["netsapiens_ann"]["name"], fields["message"]["name"]]

    assert await described() == ["Send a text with 1001@acme.example", "Text Ann", "Message"]
    await hass.config.async_update(language="de")
    await hass.async_block_till_done()
    german = ["Nachricht mit 1001@acme.example senden", "Nachricht an Ann", "Nachricht"]
    assert await described() == german
    await hass.config_entries.async_reload(entry.entry_id)
    assert await described() == german


async def test_an_alert(hass: HomeAssistant, pbx: Simulator, entry: MockConfigEntry) -> None:
    """Home Assistant's own alerts can use them."""
    hass.states.async_set("binary_sensor.leak", STATE_OFF)
    alert = {
        "name": "Leak",
        "entity_id": "binary_sensor.leak",
        "state": "on",
        "repeat": 30,
        "notifiers": ["netsapiens_ann"],
        "message": "Water!",
        "title": "Cellar",
        "data": {"tag": "leak"},
        "done_message": "Dry again",
    }
    assert await async_setup_component(hass, "alert", {"alert": {"leak": alert}})
    hass.states.async_set("binary_sensor.leak", STATE_ON)
    await hass.async_block_till_done()
    assert [(message.text, message.destination) for message in pbx.messages] == [("Cellar\nWater!", [ANN])]
    hass.states.async_set("binary_sensor.leak", STATE_OFF)
    await hass.async_block_till_done()
    assert pbx.messages[1].text == "Cellar\nDry again"


async def test_a_notify_group_in_yaml(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """So can notify groups."""
    group = {
        "platform": "group",
        "name": "everybody",
        "services": [
            {"action": "netsapiens_ann", "data": {"title": "Laundry"}},
            {"action": "netsapiens", "data": {"target": [EVE], "data": {"from_number": OWN}}},
        ],
    }
    assert await async_setup_component(hass, "group", {})
    assert await async_setup_component(hass, "notify", {"notify": [group]})
    await hass.async_block_till_done()
    await add_account(recipient("Ann", ANN), recipient("Bob", BOB))
    await call(hass, "everybody", message="Done")
    assert sorted((message.destination, message.text) for message in pbx.messages) == [
        ([ANN], "Laundry\nDone"),
        ([EVE], "Done"),
    ]
