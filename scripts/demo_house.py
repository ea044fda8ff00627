"""What `scripts/demo --keep` adds to the demo's house: sensors to set off, a doorbell camera and a dashboard."""

import asyncio
from pathlib import Path

from PIL import Image, ImageDraw

from tests.real_home import Json, RealHome

PATH = "texting-demo"  # of the dashboard; Home Assistant wants a hyphen in it

# What a person can set off by a click. The leak stays until it is switched off, the doorbell rings for two seconds.
SENSORS = """
media_source:
input_boolean:
  leak:
    name: Water under the sink
    icon: mdi:water
  garage_door:
    name: Garage door
    icon: mdi:garage
input_button:
  ring:
    name: Ring the doorbell
    icon: mdi:gesture-tap-button
template:
  - binary_sensor:
      - name: Kitchen sink
        default_entity_id: binary_sensor.kitchen_sink
        device_class: moisture
        state: "{{ is_state('input_boolean.leak', 'on') }}"
      - name: Garage door
        default_entity_id: binary_sensor.garage_door
        device_class: garage_door
        state: "{{ is_state('input_boolean.garage_door', 'on') }}"
  - triggers:
      - trigger: homeassistant
        event: start
      - trigger: state
        id: ring
        entity_id: input_button.ring
        not_from: unavailable
    binary_sensor:
      - name: Doorbell
        default_entity_id: binary_sensor.doorbell
        state: "{{ trigger.id == 'ring' }}"
        auto_off: 2
"""


async def furnish(home: RealHome, phone: str) -> str:
    """Add the camera and the dashboard, or update the phone's address on it; return the dashboard's address."""
    if not await home.entries("local_file"):
        picture = home.config_dir / "www" / "Doorbell.png"
        await asyncio.to_thread(_draw, picture)
        flow = await home.start_flow("local_file")
        await home.flow_step(flow["flow_id"], {"file_path": str(picture)})
    if PATH not in [row["url_path"] for row in await home.command("lovelace/dashboards/list")]:
        await home.command(
            "lovelace/dashboards/create", url_path=PATH, title="Texting demo", icon="mdi:message-text", mode="storage"
        )
    await home.command("lovelace/config/save", url_path=PATH, config=dashboard(phone))
    return f"{home.url}/{PATH}/house"


def dashboard(phone: str) -> dict[str, Json]:
    """Return the dashboard: the phone, Ann, and what can be set off."""
    return {
        "views": [
            {
                "title": "House",
                "path": "house",
                "type": "sections",
                "max_columns": 3,
                "sections": [
                    _section(
                        "The phone",
                        {
                            "type": "markdown",
                            "content": f"[Open the simulated phone]({phone})\n\n"
                            "It shows the texts that Ann, Ben and the "
                            "plumber get, and you can reply there.",
                        },
                        {"type": "entities", "entities": ["event.ann_messages", "notify.ann"], "title": "Ann"},
                    ),
                    _section(
                        "Leak sensor",
                        _tile("binary_sensor.kitchen_sink"),
                        _button("input_boolean.leak", "Make it leak, or dry it", "toggle"),
                    ),
                    _section(
                        "Garage door",
                        _tile("binary_sensor.garage_door"),
                        _button("input_boolean.garage_door", "Open or close it", "toggle"),
                    ),
                    _section(
                        "Doorbell",
                        _tile("binary_sensor.doorbell"),
                        _button("input_button.ring", "Ring the doorbell", "ring"),
                        {"type": "picture-entity", "entity": "camera.doorbell", "show_state": False},
                    ),
                ],
            }
        ]
    }


def _section(heading: str, *cards: Json) -> dict[str, Json]:
    return {"type": "grid", "cards": [{"type": "heading", "heading": heading}, *cards]}


def _tile(entity: str) -> dict[str, Json]:
    return {"type": "tile", "entity": entity, "grid_options": {"columns": 6}}


def _button(entity: str, name: str, action: str) -> dict[str, Json]:
    press = {"action": "toggle"}
    if action == "ring":
        press = {"action": "perform-action", "perform_action": "input_button.press", "target": {"entity_id": entity}}
    return {
        "type": "button",
        "entity": entity,
        "name": name,
        "show_state": False,
        "tap_action": press,
        "grid_options": {"columns": 6, "rows": 2},
    }


def _draw(path: Path) -> None:
    """Draw what the doorbell's camera sees: a door, a window and a parcel."""
    image = Image.new("RGB", (640, 420), "#c9b8a3")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 320, 640, 420), fill="#8c8378")
    draw.rectangle((230, 50, 410, 325), fill="#2f4a4a")
    draw.rectangle((255, 75, 385, 165), fill="#9fc3cf")
    draw.ellipse((383, 188, 397, 202), fill="#d9b45b")
    draw.rectangle((70, 70, 170, 200), fill="#86a9b6")
    draw.rectangle((420, 265, 540, 350), fill="#b98a54")
    draw.rectangle((472, 265, 488, 350), fill="#8f6a3f")
    path.parent.mkdir(exist_ok=True)
    image.save(path)
