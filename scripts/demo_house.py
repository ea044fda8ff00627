"""What `scripts/demo --keep` adds to the demo's house: sensors to set off, a doorbell camera and a dashboard."""

import asyncio
from pathlib import Path
import struct
import zlib

from tests.real_home import Json, RealHome

PATH = "texting-demo"  # of the dashboard; Home Assistant wants a hyphen in it

# What a person can set off by a click. The leak stays until it is switched off, the doorbell rings for two seconds.
SENSORS = """
history:
logbook:
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
    cover:
      - name: Garage
        default_entity_id: cover.garage
        device_class: garage
        state: "{{ 'open' if is_state('input_boolean.garage_door', 'on') else 'closed' }}"
        open_cover:
          - action: input_boolean.turn_on
            target:
              entity_id: input_boolean.garage_door
        close_cover:
          - action: input_boolean.turn_off
            target:
              entity_id: input_boolean.garage_door
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


# Left, top, right, bottom and colour: a wall, the ground, a door with its window and knob, a window, a parcel.
SCENE = (
    (0, 0, 640, 420, 0xC9B8A3),
    (0, 320, 640, 420, 0x8C8378),
    (230, 50, 410, 325, 0x2F4A4A),
    (255, 75, 385, 165, 0x9FC3CF),
    (384, 190, 396, 202, 0xD9B45B),
    (70, 70, 170, 200, 0x86A9B6),
    (420, 265, 540, 350, 0xB98A54),
    (472, 265, 488, 350, 0x8F6A3F),
)


def _draw(path: Path) -> None:
    """Draw what the doorbell's camera sees, as a PNG."""
    width, height = SCENE[0][2:4]
    rows = [bytearray(width * 3) for _ in range(height)]
    for left, top, right, bottom, colour in SCENE:
        for row in rows[top:bottom]:
            row[left * 3 : right * 3] = colour.to_bytes(3) * (right - left)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
