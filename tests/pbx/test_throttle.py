"""The one way to the PBX: how many requests go, in which order, and who waits for whom."""

import asyncio
from collections import Counter
from pathlib import Path
import random
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.netsapiens.api import NetsapiensConnectionError, NetsapiensServerError
from custom_components.netsapiens.pbx.backoff import Backoff
from custom_components.netsapiens.pbx.circuit_breaker import CircuitState, CircuitTiming
from custom_components.netsapiens.pbx.fair_queue import READING
from custom_components.netsapiens.pbx.rate_limiter import RateLimit
from custom_components.netsapiens.pbx.throttle import THROTTLE_TIMING, Throttle, ThrottleTiming
from tests.conftest import AddAccount, close
from tests.helpers import until, until_idle
from tests.simulator import FaultKind, Simulator

AT_ONCE = Backoff(0.0, 0.0)


def throttle_of(*, per_second: float = 10_000.0, burst: int = 30, probe_within: float = 5.0) -> Throttle:
    """Return a throttle that asks a PBX that is away again at once."""
    rate = RateLimit(burst=burst, per_second=per_second, spare=min(5, burst - 1))
    return Throttle(ThrottleTiming(rate, CircuitTiming(away=AT_ONCE, probe_within=probe_within)))


async def away() -> None:
    """Fail as a request does while the PBX is away."""
    raise NetsapiensConnectionError("away")


async def answer() -> float:
    """Succeed at once; return when."""
    return asyncio.get_running_loop().time()


async def test_the_burst_goes_at_once_and_the_others_at_the_rate() -> None:
    """A PBX gets no more than it is meant to take."""
    throttle = Throttle()
    started = await answer()
    times = sorted([when - started for when in await asyncio.gather(*(throttle.run(answer) for _ in range(36)))])
    assert times[29] < times[30]
    assert times[35] - times[29] >= 0.5


async def test_the_others_wait_for_the_probe() -> None:
    """Of a PBX that was away one request finds out whether it is back."""
    throttle = throttle_of()
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)
    assert throttle.is_away
    back, order = asyncio.Event(), []

    async def probe() -> None:
        order.append("probe")
        await back.wait()

    async def other() -> None:
        order.append("other")

    probing = asyncio.create_task(throttle.run(probe, "a"))
    await until(lambda: order)
    others = [asyncio.create_task(throttle.run(other, caller)) for caller in ("b", "c", READING)]
    await asyncio.sleep(0.1)
    assert order == ["probe"]
    back.set()
    await asyncio.gather(probing, *others)
    assert order == ["probe", "other", "other", "other"]
    assert throttle.breaker.state is CircuitState.CLOSED


async def test_nobody_waits_for_an_upload_that_is_the_probe() -> None:
    """A slow upload does not hold up all."""
    throttle = throttle_of(probe_within=0.05)
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)
    never, started = asyncio.Event(), asyncio.Event()

    async def upload() -> None:
        started.set()
        await never.wait()

    uploading = asyncio.create_task(throttle.run(upload, "a"))
    await started.wait()
    async with asyncio.timeout(20):
        await asyncio.gather(*(throttle.run(answer, f"caller {number}") for number in range(10)))
    assert not uploading.done()
    assert throttle.breaker.state is CircuitState.CLOSED, "what the second probe found holds for all"
    uploading.cancel()
    await asyncio.wait([uploading])


async def test_a_probe_that_is_cancelled_makes_room() -> None:
    """Another one finds out then."""
    throttle = throttle_of(probe_within=1000.0)
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    probing = asyncio.create_task(throttle.run(hang))
    await started.wait()
    other = asyncio.create_task(throttle.run(answer))
    probing.cancel()
    async with asyncio.timeout(20):
        await other


async def test_a_token_call_of_the_probe_is_the_probe() -> None:
    """A request that waits for its token must not keep the token call from going."""
    throttle = throttle_of(probe_within=1000.0)
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)

    async def needs_token() -> None:
        assert throttle.breaker.state is CircuitState.HALF_OPEN
        await throttle.run(answer)

    async with asyncio.timeout(20):
        await throttle.run(needs_token)
    assert throttle.breaker.state is CircuitState.CLOSED


async def test_a_shared_token_call_that_fails_counts_once() -> None:
    """Many requests share one token call; its failure says no more of the PBX than that of one request."""
    throttle = throttle_of()
    shared = NetsapiensServerError("no token")

    async def needs_token() -> None:
        raise shared

    for _ in range(20):
        with pytest.raises(NetsapiensServerError):
            await throttle.run(needs_token)
    assert not throttle.is_away


async def test_a_request_that_may_fail_holds_nobody_up() -> None:
    """Such as one for a JWT: its failure is raised, and says nothing of the PBX's health."""
    throttle = throttle_of()
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away, may_fail=True)
    assert not throttle.is_away
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)
    assert throttle.is_away


async def test_hurry_ends_the_wait() -> None:
    """Somebody who presses Reload does not wait."""
    throttle = Throttle(ThrottleTiming(circuit=CircuitTiming(away=Backoff(3000.0, 3000.0, jitter=0))))
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)
    waiting = asyncio.create_task(throttle.run(answer))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    throttle.hurry()
    async with asyncio.timeout(20):
        await waiting


async def _run_all(seed: int, count: int, *, is_away: bool) -> None:
    """Make many requests, of which some fail and some are cancelled at any moment; all of the others must go."""
    dice = random.Random(seed)
    throttle = throttle_of(burst=3, per_second=2000.0, probe_within=1000.0)
    if is_away:
        with pytest.raises(NetsapiensConnectionError):
            await throttle.run(away)
    ended: Counter[str] = Counter()

    async def request() -> None:
        await asyncio.sleep(dice.choice((0, 0, 0.001)))
        if dice.random() < 0.3:
            raise NetsapiensConnectionError("away")

    async def caller(name: str) -> None:
        try:
            await throttle.run(request, name, fresh=dice.random() < 0.5)
        except NetsapiensConnectionError:
            ended["failed"] += 1
        else:
            ended["answered"] += 1

    tasks = [asyncio.create_task(caller(dice.choice(("a", "b", READING)))) for _ in range(count)]
    cancelled = dice.sample(tasks, count // 3)
    for task in cancelled:
        await asyncio.sleep(dice.choice((0, 0, 0.0005)))
        task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ended.total() >= count - len(cancelled)
        while True:  # and the next one goes: no turn was lost, and no probe left behind
            try:
                await throttle.run(answer)
            except NetsapiensConnectionError:
                continue
            break
    assert not throttle._turns


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 40), is_away=st.booleans())
def test_every_waiter_has_its_turn_and_none_that_is_cancelled_keeps_it(seed: int, count: int, is_away: bool) -> None:
    """Whoever gives up at whatever moment holds up nobody."""
    asyncio.run(_run_all(seed, count, is_away=is_away))


# --- with a PBX ----------------------------------------------------------------------


async def test_a_text_does_not_wait_for_a_slow_upload(
    hass: HomeAssistant, pbx: Simulator, add_account: AddAccount, files: Path
) -> None:
    """A picture is the first to find out whether the PBX is back, and takes its time."""
    hass.data[THROTTLE_TIMING] = ThrottleTiming(circuit=CircuitTiming(away=AT_ONCE, probe_within=0.2))
    entry = await add_account(options={"from_number": pbx.numbers[0], "incoming": "off"})
    await until_idle(pbx)
    throttle = entry.runtime_data.coordinator.throttle
    with pytest.raises(NetsapiensConnectionError):
        await throttle.run(away)

    async def send(**data: Any) -> None:
        await hass.services.async_call("netsapiens", "send_message", data, blocking=True)

    slow = pbx.fault(FaultKind.HANG, path="/messages", method="POST")
    uploading = asyncio.create_task(send(destination="18585550123", media=str(files / "red.jpg")))
    await until(lambda: slow.struck)
    assert throttle.breaker.state is CircuitState.HALF_OPEN
    await send(destination="18585550124", message="Alarm")
    await until(lambda: [message.text for message in pbx.messages] == ["Alarm"])
    await until(lambda: throttle.breaker.state is CircuitState.CLOSED)
    assert len(pbx.messages) == 1, "the upload is still under way"
    uploading.cancel()
    await asyncio.wait([uploading])
    await pbx.stop()  # with the request that takes its time
    await close(hass, entry)
