"""Run the simulator by itself: `python -m tests.simulator --port 8090`."""

import argparse
import asyncio
import json
import signal

from . import Simulator


def main() -> None:
    """Read the command line and run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--tls", action="store_true", help="https with a certificate of its own")
    parser.add_argument("--token-life", type=float, default=3600, help="seconds that an access token lives")
    parser.add_argument("--live-port", type=int, help="where the live server listens; 0: on any port; default: nowhere")
    asyncio.run(_run(parser.parse_args()))


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(tls=options.tls, host=options.host, port=options.port, live_port=options.live_port) as pbx:
        pbx.token_life = options.token_life
        print(json.dumps(_greeting(pbx)), flush=True)  # noqa: T201
        await stop.wait()


def _greeting(pbx: Simulator) -> dict[str, object]:
    greeting: dict[str, object] = {"url": pbx.url, "phone": f"{pbx.url}/phone", **pbx.account, "numbers": pbx.numbers}
    if pbx.live is not None:
        greeting["live_url"] = pbx.live.url
    if pbx.ssl_cafile:
        greeting["ssl_cafile"] = pbx.ssl_cafile
    return greeting


if __name__ == "__main__":
    main()
