"""Mixing: shares, order, epochs, ranks and resuming, all pure functions of the seed, the epoch and the place."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.training.data import BadRecord, BadRecords, Epochs, Mix, Record, Turn, Words
from mmagent.training.data.permutation import Permutation


class Numbers:
    """Records that say a number; those in `bad` cannot be used."""

    def __init__(self, name: str, length: int, bad: frozenset[int] = frozenset()) -> None:
        self.name, self.length, self.bad = name, length, bad

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Record:
        if index in self.bad:
            raise BadRecord(f"{self.name}:{index}", "it is bad")
        return Record("text", (Turn("assistant", (Words(f"{self.name}{index}", True),)),), place=f"{self.name}:{index}")


def said(record: Record) -> str:
    return record.conversation().messages[0].text


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=4)


def mix_of(found: list[int], **options: object) -> Mix:
    return Mix([Numbers("abcd"[i], n) for i, n in enumerate(found)], **options)  # type: ignore[arg-type]  # options vary


@given(n=st.integers(1, 3000), seed=st.integers(0, 2**40))
@settings(max_examples=40)
def test_a_permutation_has_every_number_once(n: int, seed: int) -> None:
    order = Permutation(n, seed)
    assert sorted(order[place] for place in range(n)) == list(range(n))


def test_a_permutation_moves_nearly_everything_and_follows_its_key() -> None:
    orders = [[Permutation(1000, "key", number)[place] for place in range(1000)] for number in range(20)]
    assert len({tuple(order) for order in orders}) == 20
    fixed = sum(order[place] == place for order in orders for place in range(1000))
    assert fixed < 60  # 20 are expected
    halves = [sum(value < 500 for value in order[:500]) for order in orders]
    assert all(180 < count < 320 for count in halves)
    with pytest.raises(IndexError):
        Permutation(3)[3]


def test_a_large_permutation_takes_no_memory() -> None:
    order = Permutation(10**12, 7)
    assert len({order[place] for place in range(2000)}) == 2000 and order[10**12 - 1] < 10**12


@given(found=lengths, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_epoch_without_weights_has_every_record_once(found: list[int], seed: int) -> None:
    mix = mix_of(found, seed=seed)
    epochs = Epochs(mix, prepare=said)
    first, second = list(epochs), list(epochs)
    wanted = sorted(f"{'abcd'[i]}{n}" for i, length in enumerate(found) for n in range(length))
    assert sorted(first) == sorted(second) == wanted


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    epochs = Epochs(mix_of([50, 50]), prepare=said)
    first, second = list(epochs), list(epochs)
    assert first != second and first == list(Epochs(mix_of([50, 50]), prepare=said))
    assert first != list(Epochs(mix_of([50, 50], seed=1), prepare=said))
    assert 10 < sum(name[0] == "a" for name in first[:50]) < 40


@given(found=lengths, shares=st.lists(st.floats(0.1, 9), min_size=4, max_size=4), size=st.integers(200, 400))
@settings(max_examples=30, deadline=None)
def test_weights_hold_to_within_one_record_in_every_epoch(found: list[int], shares: list[float], size: int) -> None:
    shares = shares[: len(found)]
    epochs = Epochs(mix_of(found, weights=shares, size=size), prepare=said)
    for _ in range(2):
        counts = Counter(name[0] for name in epochs)
        for letter, share in zip("abcd", shares):
            assert abs(counts[letter] - size * share / sum(shares)) < 1


@given(length=st.integers(1, 30), other=st.integers(1, 30), size=st.integers(4, 60))
@settings(max_examples=30, deadline=None)
def test_a_source_is_gone_through_before_any_of_it_comes_again(length: int, other: int, size: int) -> None:
    epochs = Epochs(mix_of([length, other], weights=[1, 1], size=size), prepare=said)
    counts: Counter[str] = Counter()
    for _ in range(3):
        counts.update(list(epochs))
    for letter, n in (("a", length), ("b", other)):
        seen = [counts[f"{letter}{index}"] for index in range(n)]
        assert max(seen) - min(seen) <= 1


@given(found=lengths, seed=st.integers(0, 9), data=st.data())
@settings(max_examples=40, deadline=None)
def test_going_on_anywhere_is_as_if_nothing_had_been_stopped(found: list[int], seed: int, data: st.DataObject) -> None:
    def fresh() -> Epochs[str]:
        return Epochs(mix_of(found, seed=seed), prepare=said)

    total = sum(found)
    whole = fresh()
    uninterrupted = [*whole, *whole]
    parts: list[str] = []
    left, state = 2 * total, fresh().state()
    while left:
        epochs = fresh()
        epochs.resume(state)
        some = list(islice(epochs, data.draw(st.integers(1, left))))
        parts, left = [*parts, *some], left - len(some)
        state = epochs.state()
        if state["taken"] == total:
            epochs.resume(state)
            assert list(epochs) == []  # what is left of an epoch that is over
            state = epochs.state()
    assert parts == uninterrupted


@given(found=lengths, world=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_processes_share_an_epoch_without_overlap_or_loss(found: list[int], world: int) -> None:
    if world > sum(found):
        with pytest.raises(IntakeError, match="cannot be split"):
            Epochs(mix_of(found), world=world)
        return
    readers = [Epochs(mix_of(found), prepare=said, rank=rank, world=world) for rank in range(world)]
    for _ in range(2):
        parts = [list(reader) for reader in readers]
        together = [name for part in parts for name in part]
        assert len(together) == len(set(together)) == sum(found)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert [len(part) for part in parts] == [len(reader) for reader in readers]


def test_a_state_of_another_mix_is_refused() -> None:
    state = Epochs(mix_of([30])).state()
    with pytest.raises(IntakeError, match="of another mix"):
        Epochs(mix_of([31])).resume(state)
    with pytest.raises(IntakeError, match="of another rank, world"):
        Epochs(mix_of([30]), rank=1, world=2).resume(state)


def test_bad_records_are_passed_over_counted_and_do_not_move_the_others() -> None:
    good = list(Epochs(mix_of([20]), prepare=said))
    bad = BadRecords("skip")
    found = list(Epochs(Mix([Numbers("a", 20, frozenset({3, 7}))]), bad, said))
    assert found == [name for name in good if name not in ("a3", "a7")] and bad.count == 2
    with pytest.raises(BadRecord, match=r"a:(3|7): it is bad"):
        list(Epochs(Mix([Numbers("a", 20, frozenset({3, 7}))])))


def test_what_cannot_be_prepared_is_a_bad_record_too() -> None:
    def prepare(record: Record) -> str:
        raise IntakeError("its picture is damaged")

    with pytest.raises(BadRecord, match=r"^a:\d: its picture is damaged"):
        list(Epochs(mix_of([5]), prepare=prepare))


def test_an_epoch_of_nothing_but_bad_records_is_an_error() -> None:
    with pytest.raises(IntakeError, match="all 2 records of the epoch are bad"):
        list(Epochs(Mix([Numbers("a", 2, frozenset({0, 1}))]), BadRecords("skip")))


def test_a_mix_that_cannot_be_is_refused() -> None:
    with pytest.raises(IntakeError, match="different names"):
        Mix([Numbers("a", 1), Numbers("a", 2)])
    with pytest.raises(IntakeError, match="source a is empty"):
        Mix([Numbers("a", 0)])
    with pytest.raises(IntakeError, match="weights above 0"):
        mix_of([3, 3], weights=[1, 0])
    with pytest.raises(IntakeError, match="has none of b"):
        mix_of([3, 3], weights=[100, 1], size=10)
