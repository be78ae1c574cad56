from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.conversation import Policy
from mmagent.errors import ModelError
from mmagent.model.borrowed import Borrowed, Saying
from mmagent.model.signals import SignalTable
from mmagent.model.spans import Rules, Span, SpanGrammar, TextRun, Vocabulary, parse, state_of

END, LINE, STOP, SPACE = 1, 3, 4, 5
VOCABULARY = Vocabulary.build(24, 20, controls={0, END, 2}, ends={END}, lines={LINE}, words=range(6, 20))
SIZES = {"image": 3, "audio": 1, "speech": 2}
TABLE = SignalTable(24, SIZES)


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """The rules of any policy that can be kept."""
    names = list(SIZES)
    force = draw(st.lists(st.sampled_from(names), max_size=3))
    forbid = [name for name in draw(st.lists(st.sampled_from(names), max_size=2)) if name not in force]
    most = [(name, max(force.count(name), draw(st.integers(0, 3)))) for name in names]
    least = sum(2 + SIZES[name] for name in force)
    policy = Policy(
        force=tuple(force), forbid=tuple(forbid), most=tuple(most), max_spans=len(force) + draw(st.integers(0, 3)),
        max_caption=draw(st.integers(1, 6)), max_tokens=max(1, least + draw(st.integers(0, 40))),
    )  # fmt: skip
    makeable = [name for name in names if name in force or draw(st.booleans())]
    wanted = draw(st.lists(st.sampled_from(makeable), max_size=3)) if makeable else []
    return Rules.of(policy, TABLE, makeable, wanted, draw(st.sets(st.sampled_from(names))))


def borrowed(grammar: SpanGrammar, parts: tuple[str, ...], said: frozenset[str] = frozenset()) -> Borrowed:
    closing = VOCABULARY.ends.clone()
    closing[LINE] = True
    saying = Saying(frozenset({LINE}), frozenset({STOP}), frozenset(range(6, 20)), SPACE)
    return Borrowed(grammar, parts, dict.fromkeys(SIZES, closing), dict.fromkeys(SIZES, 19), said, saying)


def write(
    grammars: list[SpanGrammar], seed: int, before: list[Borrowed] | None = None, spread: float = 4.0
) -> list[list[int]]:
    """Replies written under random logits, several at a time, each by its own grammar."""
    generator = torch.Generator().manual_seed(seed)
    rows: list[list[int]] = [[] for _ in grammars]
    going = set(range(len(grammars)))
    for _ in range(2 + max(grammar.rules.max_tokens for grammar in grammars)):
        for at in sorted(going):
            logits = spread * torch.randn(1, TABLE.end, generator=generator)
            if before is not None:
                logits = before[at]([rows[at]], logits)
            logits = grammars[at]([rows[at]], logits)
            assert torch.isfinite(logits).any(), rows[at]
            number = int(logits[0].argmax())
            if number == END:
                going.discard(at)
            else:
                rows[at].append(number)
    assert not going, "a reply has no end"
    return rows


def obeys(rules: Rules, ids: list[int]) -> None:
    """Everything that is promised of a finished reply."""
    parts = parse(TABLE, ids)
    spans = [part for part in parts if isinstance(part, Span)]
    assert len(ids) <= rules.max_tokens
    assert len(spans) <= rules.max_spans
    for name in SIZES:
        made = sum(span.modality == name for span in spans)
        assert rules.force.get(name, 0) <= made <= rules.limit[name]
    for span in spans:
        assert span.complete
        assert [ids[at] for at in span.signals] == list(span.row.signals)
        assert list(span.signals) == list(range(span.signals[0], span.signals[0] + span.row.k))
        assert 1 <= len(span.caption) <= rules.caption[span.modality]
        assert span.caption[0] in range(6, 20)
        assert all(VOCABULARY.caption[number] for number in span.caption)
    for part in parts:
        if isinstance(part, TextRun):
            assert all(VOCABULARY.text[number] for number in part.ids)


@settings(max_examples=300, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=4), st.integers(0, 10_000))
def test_every_reply_under_random_logits_keeps_its_rules(many: list[Rules], seed: int) -> None:
    grammars = [SpanGrammar(TABLE, VOCABULARY, item) for item in many]
    for item, ids in zip(many, write(grammars, seed)):
        obeys(item, ids)


@settings(max_examples=200, deadline=None)
@given(rules(), st.data(), st.integers(0, 10_000))
def test_borrowed_probabilities_keep_the_rules_too(item: Rules, data: st.DataObject, seed: int) -> None:
    open_to = [name for name, most in item.limit.items() if most]
    planned = data.draw(st.lists(st.sampled_from(["text", *open_to]), max_size=4))
    parts = (*planned, *(name for name, count in item.force.items() for _ in range(count)))
    grammar = SpanGrammar(TABLE, VOCABULARY, item)
    said = data.draw(st.sets(st.sampled_from(list(SIZES))))
    obeys(item, write([grammar], seed, [borrowed(grammar, parts, frozenset(said))])[0])


@settings(max_examples=50, deadline=None)
@given(rules(), st.integers(0, 10_000))
def test_a_mask_depends_on_the_ids_alone(item: Rules, seed: int) -> None:
    grammar = SpanGrammar(TABLE, VOCABULARY, item)
    ids = write([grammar], seed)[0]
    starts = list(range(len(ids) + 1))
    masks = [grammar.allowed(ids[:at]) for at in starts]
    random.Random(seed).shuffle(starts)
    other = SpanGrammar(TABLE, VOCABULARY, item)
    for at in starts:
        assert torch.equal(other.allowed(ids[:at]), masks[at])
        assert torch.equal(grammar([ids[:at], ids], torch.zeros(2, TABLE.end))[0] > -math.inf, masks[at])


def test_random_replies_do_hold_several_spans_of_several_kinds() -> None:
    found = Rules.of(Policy(max_tokens=60, max_caption=3), TABLE, list(SIZES))
    replies = write([SpanGrammar(TABLE, VOCABULARY, found)] * 20, seed=5)
    kinds = [{part.modality for part in parse(TABLE, ids) if isinstance(part, Span)} for ids in replies]
    assert max(len(item) for item in kinds) == 3
    assert max(sum(isinstance(part, Span) for part in parse(TABLE, ids)) for ids in replies) == 4


def test_a_span_that_would_not_fit_is_not_opened() -> None:
    found = Rules.of(Policy(max_tokens=5), TABLE, list(SIZES))
    grammar = SpanGrammar(TABLE, VOCABULARY, found)
    assert grammar.openable(state_of(TABLE, [])) == ["image", "audio", "speech"]
    assert grammar.openable(state_of(TABLE, [7])) == ["audio", "speech"]
    assert grammar.openable(state_of(TABLE, [7, 7, 7])) == []


def test_what_is_forced_is_opened_when_the_budget_just_suffices() -> None:
    found = Rules.of(Policy(force=("image",), max_tokens=8, max_caption=1), TABLE, list(SIZES))
    grammar = SpanGrammar(TABLE, VOCABULARY, found)
    talks = grammar.allowed([7, 7])
    assert talks[7] and not talks[END]
    due = grammar.allowed([7, 7, 7])
    assert due.nonzero()[:, 0].tolist() == [TABLE["image"].open]


def test_long_words_do_not_starve_the_caption_of_a_forced_span() -> None:
    found = Rules.of(Policy(force=("speech",), max_tokens=40, max_caption=10), TABLE, list(SIZES))
    words = [7] * (40 - 1 - 10 - 2)
    assert SpanGrammar(TABLE, VOCABULARY, found).allowed(words[1:])[7]
    assert not SpanGrammar(TABLE, VOCABULARY, found).allowed(words)[7]


def test_half_of_the_reply_is_kept_for_captions_that_repeat_the_other_half() -> None:
    policy = Policy(max_tokens=40, max_caption=5)
    found = Rules.of(policy, TABLE, list(SIZES), wanted=["speech"], said={"speech"})
    grammar = SpanGrammar(TABLE, VOCABULARY, found)
    words = [7] * 20
    assert not grammar.allowed(words)[7] and grammar.allowed(words)[TABLE["speech"].open]
    assert grammar.caption_room([*words, TABLE["speech"].open]) == 17
    assert grammar.caption_room([*words[:9], TABLE["image"].open]) == 5


def test_what_is_wanted_is_forced_as_far_as_the_policy_and_the_length_let_it() -> None:
    wanted = ["image", "image", "audio", "speech"]
    policy = Policy(most=(("image", 1),), forbid=("speech",), max_spans=2)
    assert Rules.of(policy, TABLE, list(SIZES), wanted).force == {"image": 1, "audio": 1}
    assert Rules.of(Policy(max_tokens=12), TABLE, list(SIZES), wanted).force == {"image": 1}
    assert Rules.of(Policy(max_spans=3), TABLE, ["image"], wanted).force == {"image": 2}
    assert Rules.of(Policy(force=("image",)), TABLE, list(SIZES), ["image"]).force == {"image": 1}


@pytest.mark.parametrize(
    ("policy", "makeable", "said"),
    [
        (Policy(force=("image",)), ["audio"], "forces image, which cannot be made here; there is audio"),
        (Policy(force=("image",), max_tokens=4), ["image"], "take 5 tokens, max_tokens is 4"),
        (Policy(force=("image", "audio"), max_spans=1), ["image", "audio"], "forces 2 spans but allows 1"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(policy: Policy, makeable: list[str], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Rules.of(policy, TABLE, makeable)


def test_ids_in_no_order_of_a_reply_are_refused() -> None:
    row = TABLE["image"]
    for ids in ([row.signals[0]], [row.open, row.signals[0]], [row.open, 7, row.signals[1]],
                [row.open, 7, row.signals[0], 7], [row.open, row.open]):  # fmt: skip
        with pytest.raises(ModelError, match="position"):
            parse(TABLE, ids)


def test_the_parser_gives_captions_and_the_places_of_signal_tokens() -> None:
    row = TABLE["image"]
    parts = parse(TABLE, [7, 8, row.open, 9, *row.signals, 10])
    assert parts == (TextRun((7, 8), 0), Span(row, (9,), 2, (4, 5, 6)), TextRun((10,), 7))


# -- borrowed probabilities


def free(parts: tuple[str, ...], said: frozenset[str] = frozenset(), max_caption: int = 32) -> Borrowed:
    found = Rules.of(Policy(max_tokens=60, max_caption=max_caption), TABLE, list(SIZES))
    return borrowed(SpanGrammar(TABLE, VOCABULARY, found), parts, said)


def logits(**values: float) -> torch.Tensor:
    row = torch.full((1, TABLE.end), -5.0)
    for name, value in values.items():
        row[0, int(name[1:])] = value
    return row


def test_the_probability_of_ending_opens_the_span_that_is_due() -> None:
    found = free(("text", "image"))([[7]], logits(_1=3.0, _8=1.0))[0]
    assert int(found.argmax()) == TABLE["image"].open
    assert found[END] == -math.inf
    assert found[TABLE["audio"].open] == -math.inf


def test_words_that_were_planned_are_said_before_a_span() -> None:
    found = free(("text", "image"))([[]], logits(_1=9.0, _8=1.0))[0]
    assert int(found.argmax()) == 8
    assert found[TABLE["image"].open] == -math.inf


def test_a_span_without_words_before_it_opens_at_once() -> None:
    found = free(("image",))([[]], logits(_8=9.0))[0]
    assert torch.isfinite(found).nonzero()[:, 0].tolist() == [TABLE["image"].open]


def test_a_reply_ends_after_its_last_part() -> None:
    row = TABLE["audio"]
    found = free(("audio",))([[row.open, 7, row.signals[0]]], logits(_8=9.0))[0]
    assert torch.isfinite(found).nonzero()[:, 0].tolist() == [END]


def test_closing_the_line_closes_the_caption() -> None:
    row = TABLE["image"]
    found = free(("image",))([[row.open, 7]], logits(_3=4.0, _8=3.0))[0]
    assert int(found.argmax()) == row.signals[0]
    assert found[LINE] == -math.inf


def test_a_said_caption_repeats_whole_sentences_from_the_first_on() -> None:
    words, row = [7, 8, STOP, 9, 10, STOP], TABLE["speech"]
    replies = set()
    grammar = free(("text", "speech")).grammar
    for seed in range(60):
        ids = [*words, row.open]
        generator = torch.Generator().manual_seed(seed)
        speak = borrowed(grammar, ("text", "speech"), frozenset({"speech"}))
        while not (parts := parse(TABLE, ids)) or not isinstance(parts[-1], Span) or not parts[-1].signals:
            values = speak([ids], 3 * torch.randn(1, TABLE.end, generator=generator))
            ids.append(int(grammar([ids], values)[0].argmax()))
        replies.add(parts[-1].caption)
    assert replies == {(7, 8, STOP), (7, 8, STOP, 9, 10, STOP)}


def test_a_sentence_that_would_be_cut_is_not_begun() -> None:
    words, row = [7, 8, STOP, 9, 10, 11, STOP], TABLE["speech"]
    found = free(("text", "speech"), frozenset({"speech"}), max_caption=5)(
        [[*words, row.open, 7, 8, STOP]], logits(_9=9.0)
    )[0]
    assert torch.isfinite(found).nonzero()[:, 0].tolist() == [row.signals[0]]


def test_a_line_break_is_said_as_a_space() -> None:
    words, row = [7, LINE, LINE, 8, STOP], TABLE["speech"]
    speak = free(("text", "speech"), frozenset({"speech"}))
    assert torch.isfinite(speak([[*words, row.open, 7]], logits())[0]).nonzero()[:, 0].tolist() == [SPACE]
    assert torch.isfinite(speak([[*words, row.open, 7, SPACE]], logits())[0]).nonzero()[:, 0].tolist() == [8]
