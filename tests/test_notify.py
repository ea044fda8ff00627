"""The notify entities, and the devices that they sit on."""

from datetime import datetime
from typing import Any

from homeassistant.components.notify import NotifyEntityFeature
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from tests.conftest import AddAccount, recipient
from tests.simulator import Simulator

ANN, BOB = "18585550123", "18585550124"


@pytest.fixture
async def family(add_account: AddAccount) -> MockConfigEntry:
    """An account with two recipients."""
    return await add_account(
        recipient("Ann Smith", ANN, recipient_id="ann"), recipient("All", ANN, BOB, recipient_id="all", group=True)
    )


async def say(hass: HomeAssistant, *names: str, **data: Any) -> None:
    """Call notify.send_message."""
    data = {"entity_id": [f"notify.{name}" for name in names], "message": "Hi", **data}
    await hass.services.async_call("notify", "send_message", data, blocking=True)


async def test_entities_and_devices(
    hass: HomeAssistant,
    family: MockConfigEntry,
    snapshot: SnapshotAssertion,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """One device and notify entity for each recipient, as they have always been."""
    entities = er.async_entries_for_config_entry(entity_registry, family.entry_id)
    for entity in sorted(entities, key=lambda one: one.entity_id):
        if entity.domain != "notify":
            continue
        known = {
            key: getattr(entity, key)
            for key in ("unique_id", "translation_key", "original_name", "supported_features", "config_subentry_id")
        }
        assert known == snapshot(name=f"{entity.entity_id}-entry")
        state = hass.states.get(entity.entity_id)
        assert state is not None
        assert {
            "state": state.state,
            "attributes": {str(key): value for key, value in state.attributes.items()},
        } == snapshot(name=entity.entity_id)
    devices = dr.async_entries_for_config_entry(device_registry, family.entry_id)
    names = {device.id: device.name for device in devices}
    found = {
        device.name: {
            "entry_type": device.entry_type,
            "identifiers": sorted(device.identifiers),
            "manufacturer": device.manufacturer,
            "sw_version": device.sw_version,
            "via": names.get(device.via_device_id or ""),
        }
        for device in devices
    }
    assert found == snapshot(name="devices")


async def test_the_registries(
    hass: HomeAssistant,
    family: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Their ids and devices are what they have to be."""
    ann, everybody = entity_registry.async_get("notify.ann_smith"), entity_registry.async_get("notify.all")
    assert ann is not None
    assert everybody is not None
    assert ann.unique_id != everybody.unique_id
    assert family.entry_id not in ann.unique_id
    assert ann.config_subentry_id == "ann"
    device = device_registry.async_get(str(ann.device_id))
    assert device is not None
    assert (device.name, device.entry_type) == ("Ann Smith", dr.DeviceEntryType.SERVICE)
    parent = device_registry.async_get(str(device.via_device_id))
    assert parent is not None
    assert (parent.name, parent.entry_type) == ("1001@acme.example", dr.DeviceEntryType.SERVICE)
    assert parent.sw_version == "NetSapiens API 45.0"
    assert parent.via_device_id is None
    state = hass.states.get("notify.ann_smith")
    assert state is not None
    assert state.state == STATE_UNKNOWN
    assert state.attributes["supported_features"] == NotifyEntityFeature.TITLE


async def test_one_person(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """The title is the first line."""
    await say(hass, "ann_smith", title="Laundry", message="Done")
    assert [(message.destination, message.text) for message in pbx.messages] == [([ANN], "Laundry\nDone")]


async def test_a_group_is_one_conversation(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Whatever a call says of it."""
    await say(hass, "all")
    await hass.services.async_call(
        "netsapiens", "send_message", {"entity_id": "notify.all", "message": "Hi", "group": False}, blocking=True
    )
    await hass.services.async_call("notify", "netsapiens_all", {"message": "Hi"}, blocking=True)
    assert [sorted(message.destination) for message in pbx.messages] == [[ANN, BOB]] * 3
    assert len({message.messagesession for message in pbx.messages}) == 1


async def test_no_group_is_private(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """Whatever a call says of it."""
    await add_account(recipient("Guards", ANN, BOB))
    await say(hass, "guards")
    await hass.services.async_call(
        "netsapiens", "send_message", {"entity_id": "notify.guards", "message": "Hi", "group": True}, blocking=True
    )
    assert sorted(message.destination for message in pbx.messages) == [[ANN], [ANN], [BOB], [BOB]]
    assert len({message.messagesession for message in pbx.messages}) == 2


async def test_several_entities(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Each of them gets it."""
    await say(hass, "ann_smith", "all")
    assert sorted(sorted(message.destination) for message in pbx.messages) == [[ANN], [ANN, BOB]]


async def test_a_recipients_own_sender(hass: HomeAssistant, pbx: Simulator, add_account: AddAccount) -> None:
    """It goes before the account's."""
    pbx.users.clear()
    pbx.add_user("1001@acme.example", numbers=["18585550199", "18585550198"])
    await add_account(recipient("Ann", ANN, from_number="18585550198"))
    await say(hass, "ann")
    assert pbx.messages[0].from_number == "18585550198"


@pytest.mark.parametrize(
    ("domain", "action", "data"),
    [
        ("notify", "send_message", {"entity_id": "notify.ann_smith"}),
        ("notify", "netsapiens_ann_smith", {}),
        ("netsapiens", "send_message", {"entity_id": "notify.ann_smith"}),
    ],
)
async def test_the_state_is_the_last_text_through_any_door(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry, domain: str, action: str, data: dict[str, Any]
) -> None:
    """Whichever action sent it."""
    before = dt_util.utcnow()
    await hass.services.async_call(domain, action, {"message": "Hi", **data}, blocking=True)
    await hass.async_block_till_done()
    state, other = hass.states.get("notify.ann_smith"), hass.states.get("notify.all")
    assert state is not None
    assert other is not None
    assert before <= datetime.fromisoformat(state.state) <= dt_util.utcnow()
    assert other.state == STATE_UNKNOWN


async def test_a_text_that_was_refused_is_not_shown(
    hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry
) -> None:
    """The state is no lie."""
    pbx.fault("status", path="/messages", method="POST", code=400, message="Invalid destination", times=None)
    for domain, action in (("notify", "netsapiens_ann_smith"), ("notify", "send_message")):
        data = {"entity_id": "notify.ann_smith"} if action == "send_message" else {}
        with pytest.raises(HomeAssistantError):
            await hass.services.async_call(domain, action, {"message": "Hi", **data}, blocking=True)
    state = hass.states.get("notify.ann_smith")
    assert state is not None
    assert state.state == STATE_UNKNOWN


async def test_nothing_to_say(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """An empty text is an error."""
    with pytest.raises(ServiceValidationError) as caught:
        await say(hass, "ann_smith", message="")
    assert caught.value.translation_key == "nothing_to_send"
    assert pbx.messages == []


async def test_available_while_the_pbx_is_away(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """Home Assistant would skip one that is not, and the text would be lost."""
    await pbx.stop()
    await family.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert not family.runtime_data.coordinator.last_update_success
    for name in ("ann_smith", "all"):
        state = hass.states.get(f"notify.{name}")
        assert state is not None
        assert state.state != STATE_UNAVAILABLE


async def test_restored_after_a_reload(hass: HomeAssistant, pbx: Simulator, family: MockConfigEntry) -> None:
    """The last text is still shown."""
    await say(hass, "ann_smith")
    before = hass.states.get("notify.ann_smith")
    assert await hass.config_entries.async_reload(family.entry_id)
    await hass.async_block_till_done()
    after = hass.states.get("notify.ann_smith")
    assert before is not None
    assert after is not None
    assert after.state == before.state
