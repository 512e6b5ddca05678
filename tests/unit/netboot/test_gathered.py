"""A change that many ask for at once is made as often as it has to be, and never too early."""

from __future__ import annotations

import asyncio

import pytest

from bringup.netboot.hub import Gathered


def test_who_asks_while_a_change_is_made_shares_the_next_one() -> None:
    asyncio.run(_who_asks_shares())


async def _who_asks_shares() -> None:
    boots: list[int] = []
    served: list[list[int]] = []

    async def change() -> None:
        seen = list(boots)
        await asyncio.sleep(0.01)
        served.append(seen)

    gathered = Gathered(change, asyncio.Lock())

    async def come(number: int) -> None:
        boots.append(number)
        await gathered.brought_up_to_date()
        assert number in served[-1]

    first = asyncio.create_task(come(0))
    await asyncio.sleep(0.005)
    await asyncio.gather(first, *(come(number) for number in range(1, 60)))
    assert served == [[0], list(range(60))]


def test_a_change_that_fails_is_told_to_all_who_asked_and_made_again_for_the_next() -> None:
    asyncio.run(_a_change_fails())


async def _a_change_fails() -> None:
    problems = [OSError("no port"), None]

    async def change() -> None:
        if (problem := problems.pop(0)) is not None:
            raise problem

    gathered = Gathered(change, asyncio.Lock())
    asked = [gathered.brought_up_to_date() for _ in range(3)]
    assert [str(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == ["no port"] * 3
    await gathered.brought_up_to_date()


def test_one_who_leaves_does_not_end_the_change_of_the_others() -> None:
    asyncio.run(_one_leaves())


async def _one_leaves() -> None:
    made = asyncio.Event()

    async def change() -> None:
        await asyncio.sleep(0.01)
        made.set()

    gathered = Gathered(change, asyncio.Lock())
    leaving = asyncio.create_task(gathered.brought_up_to_date())
    staying = asyncio.create_task(gathered.brought_up_to_date())
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert made.is_set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
