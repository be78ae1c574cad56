"""One Whisper model in three formats, heard by three libraries: the same words, and what happens on the way."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Speech, Text, load_tool
from mmagent.conformance import check as conform
from mmagent.errors import Cancelled
from mmagent.registry import registry

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

Listen = Callable[..., "Listener"]
Tool = Callable[[str, str], Any]
Direct = Callable[..., list[tuple[Any, Any, str]]]

RATE = 16_000
WAYS = (
    ("OpenAI", "openai-whisper"),
    ("OpenAI", "transformers"),
    ("transformers", "transformers"),
    ("transformers", "openai-whisper"),
    ("CTranslate2", "faster-whisper"),
)
"""Every format by every library that reads it."""

pytestmark = [
    # its classes are written in C, and say nothing of the module they are from
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning"),
    # OpenAI's library and tiktoken leave the files of vocabularies for the interpreter to close
    pytest.mark.filterwarnings("ignore:.*tiktoken:pytest.PytestUnraisableExceptionWarning"),
]


def part(name: str) -> Any:
    """A file of the tool, whose parts are looked at."""
    return importlib.import_module(f"mmagent.tools.whisper.{name}")


def humming(seconds: float, seed: int = 0) -> Speech:
    """A tone that wanders, with noise."""
    t = np.arange(round(RATE * seconds)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return Speech((0.3 * np.sin(440 * np.pi * t * (1 + 0.3 * np.sin(3 * t))) + 0.05 * noise).astype("f4"), RATE)


SHORT, LONG = humming(4), humming(40)


def test_names_are_mapped_one_to_one(small: Mapping[str, Path]) -> None:
    torch, naming = pytest.importorskip("torch"), part("naming")
    state = torch.load(small["OpenAI"], weights_only=True)["model_state_dict"]
    there = naming.to_transformers(state)
    assert len(there) == len(state)
    assert naming.to_openai(there).keys() == state.keys()


def test_converted_weights_give_the_same_states_and_logits(tool: Tool) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = (tool("OpenAI", backend)._listener._model for backend in ("openai-whisper", "transformers"))
    mel = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 80, 3000), "f4"))
    tokens = torch.tensor([[50258, 50261, 50359, 50364, 440, 1000]])
    with torch.inference_mode():
        states = theirs.encoder(mel)
        torch.testing.assert_close(ours.model.encoder(mel).last_hidden_state, states, rtol=1e-4, atol=1e-4)
        logits = theirs.decoder(tokens, states)
        torch.testing.assert_close(ours(mel, decoder_input_ids=tokens).logits, logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_vocab", [51864, 51865, 51866])
def test_the_ids_of_whispers_own_tokens_are_those_of_openais_library(n_vocab: int) -> None:
    whisper = pytest.importorskip("whisper")
    sizes = dict.fromkeys(part("checkpoints").DIMS, 2) | {"n_vocab": n_vocab}
    fields, languages = part("naming").generation_fields(sizes), part("checkpoints").languages(n_vocab)
    own = whisper.tokenizer.get_tokenizer(n_vocab > 51864, num_languages=max(99, len(languages)))
    assert (fields["eos_token_id"], fields["decoder_start_token_id"]) == (own.eot, own.sot)
    assert (fields["prev_sot_token_id"], fields["no_timestamps_token_id"]) == (own.sot_prev, own.no_timestamps)
    task = [own.transcribe, own.translate, own.sot, own.sot_prev, own.sot_lm, own.no_speech]
    assert fields["suppress_tokens"] == sorted([*own.non_speech_tokens, *task])
    assert fields["begin_suppress_tokens"] == [*own.encode(" "), own.eot]
    if n_vocab > 51864:
        assert fields["task_to_id"] == {"translate": own.translate, "transcribe": own.transcribe}
        assert fields["lang_to_id"] == {f"<|{code}|>": own.to_language_token(code) for code in languages}


@pytest.mark.parametrize("speech", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize(("format_", "backend"), WAYS)
def test_every_library_hears_what_openais_own_call_gives(
    tool: Tool, listen: Listen, direct: Direct, format_: str, backend: str, speech: Speech
) -> None:
    own = direct("openai-whisper", speech)
    ctx = listen()
    heard = tool(format_, backend).run(speech, ctx, language="de", timestamps="segment")
    assert heard.text == Text("".join(text for _, _, text in own).strip(), "de")
    assert len(heard.text.text) > 20
    assert cues(heard.subtitles) == [(start, end, text.strip()) for start, end, text in own]
    assert "".join(ctx.tokens) == heard.text.text
    places = [note[0] for note in ctx.notes]
    assert places == sorted(places)
    assert (places[0], places[-1], ctx.notes[-1][1]) == (0.0, speech.seconds, speech.seconds)
    assert speech is SHORT or len({round(place) for place in places}) >= 3


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_a_call_gives_what_the_librarys_own_call_gives(
    tool: Tool, ctx: Listener, direct: Direct, format_: str, backend: str
) -> None:
    options = {"language": "fr", "task": "translate", "beam_size": 2}
    own = direct(backend, SHORT, **options)
    heard = tool(format_, backend).run(SHORT, ctx, timestamps="segment", **options)
    assert heard.text == Text("".join(text for _, _, text in own).strip(), "en")
    assert cues(heard.subtitles) == [(start, end, text.strip()) for start, end, text in own]


@pytest.fixture(scope="module")
def direct(small: Mapping[str, Path]) -> Direct:
    """Start, end and text of what a library's own call gives, without any tool."""
    return functools.cache(lambda backend, speech, **options: list(DIRECT[backend](small, speech, **options)))


def by_openai(small: Mapping[str, Path], speech: Speech, **options: Any) -> Iterator[tuple[float, float, str]]:
    model = pytest.importorskip("whisper").load_model(str(small["OpenAI"]), device="cpu")
    settings = {"language": "de", "temperature": 0.0, "fp16": False, **options}
    for piece in model.transcribe(speech.mono().copy(), **settings)["segments"]:
        if piece["text"]:
            yield piece["start"], piece["end"], piece["text"]


def by_transformers(small: Mapping[str, Path], speech: Speech, **options: Any) -> Iterator[tuple[float, float, str]]:
    transformers = pytest.importorskip("transformers")
    processor = transformers.AutoProcessor.from_pretrained(small["transformers"])
    model = transformers.WhisperForConditionalGeneration.from_pretrained(small["transformers"])
    inputs = processor(
        speech.mono(), sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest",
        return_attention_mask=True,
    )  # fmt: skip
    found = model.generate(
        **inputs, language=options["language"], task=options["task"], num_beams=options["beam_size"], temperature=0.0,
        return_timestamps=True, return_segments=True, condition_on_prev_tokens=True, no_speech_threshold=0.6,
        logprob_threshold=-1.0,
    )  # fmt: skip
    for piece in found["segments"][0]:
        text = processor.tokenizer.decode(piece["tokens"], skip_special_tokens=True)
        yield float(piece["start"]), float(piece["end"]), text


def by_faster_whisper(small: Mapping[str, Path], speech: Speech, **options: Any) -> Iterator[tuple[float, float, str]]:
    model = pytest.importorskip("faster_whisper").WhisperModel(str(small["CTranslate2"]), device="cpu")
    for piece in model.transcribe(speech.mono(), temperature=0.0, **options)[0]:
        yield piece.start, piece.end, piece.text


DIRECT = {"openai-whisper": by_openai, "transformers": by_transformers, "faster-whisper": by_faster_whisper}


def cues(text: Text) -> list[tuple[Any, Any, str]]:
    """Start, end and words of the cues of WebVTT."""
    head, *blocks = text.text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, words = block.split("\n")
        start, end = (
            sum(float(part) * 60**power for power, part in enumerate(reversed(clock.split(":"))))
            for clock in times.split(" --> ")
        )
        assert start < end
        found.append((pytest.approx(start, abs=1e-3), pytest.approx(end, abs=1e-3), words))
    return found


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_the_language_is_detected(tool: Tool, ctx: Listener, format_: str, backend: str) -> None:
    heard = tool(format_, backend).run(SHORT, ctx)
    assert heard.text.describe()["lang"] == "ms"
    assert heard == tool(format_, backend).run(SHORT, ctx, language="ms")
    assert heard.subtitles is None


def test_an_english_only_checkpoint_is_told_no_language(small: Mapping[str, Path], ctx: Listener) -> None:
    heard = []
    for backend, language in (("openai-whisper", ""), ("openai-whisper", "en"), ("transformers", "")):
        english: Any = load_tool("whisper.v1", model=str(small["English"]), backend=backend, pickle=True)
        heard.append(english.run(SHORT, ctx, language=language))
    assert heard[0].text.text
    assert heard[0].text.describe()["lang"] == "en"
    assert heard == [heard[0]] * 3


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_words_have_times_of_their_own(tool: Tool, ctx: Listener, format_: str, backend: str) -> None:
    def attention() -> Any:
        model = tool(format_, backend)._listener._model
        return pytest.importorskip("torch").get_num_threads(), getattr(model, "config", model).__dict__.get(
            "_attn_implementation_internal"
        )

    before = attention()
    heard = tool(format_, backend).run(SHORT, ctx, language="de", timestamps="word")
    assert attention() == before
    found = cues(heard.subtitles)
    assert [word for _, _, word in found] == heard.text.text.split()
    again = tool(format_, backend).run(SHORT, ctx, language="de", timestamps="segment")
    assert again == tool(format_, backend).run(SHORT, ctx, language="de", timestamps="segment")
    assert len(found) > len(cues(again.subtitles)) or heard.text != again.text


def test_characters_of_several_tokens_and_marks_make_words_of_transformers_tokens(tool: Tool) -> None:
    listener = tool("transformers", "transformers")._listener

    def split(text: str, language: str, n_tokens: int | None = None) -> list[str]:
        ids = listener._tokens.encode(text, add_special_tokens=False).ids[:n_tokens]
        words = listener._words(ids, range(len(ids)), [*map(float, range(len(ids) + 1))], language)
        assert [word.start for word in words] == sorted(word.start for word in words)
        assert words[-1].end == len(ids)
        return [word.text for word in words]

    assert split(' He said, "No 𝄞 clef!"', "en") == [" He", " said,", ' "No', " 𝄞", ' clef!"']
    assert split("我们,鱻。", "zh")[-1] == "鱻。"
    assert split(" No 𝄞", "en", 2) == [" No", " \N{REPLACEMENT CHARACTER}"]


# -- what a call does on the way


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_a_call_stops_at_every_look_and_leaves_the_model_as_it_was(
    tool: Tool, listen: Listen, format_: str, backend: str
) -> None:
    whisper, ctx = tool(format_, backend), listen()
    whole = whisper.run(LONG, ctx, language="de")
    for look in (1, ctx.looks // 2, ctx.looks):
        with pytest.raises(Cancelled):
            whisper.run(LONG, listen(cancel_at=look), language="de")
    assert whisper.run(LONG, listen(), language="de") == whole


def test_a_call_that_stops_while_words_are_timed_leaves_the_model_as_it_was(
    tool: Tool, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whisper.model import MultiHeadAttention

    def check() -> None:
        if not MultiHeadAttention.use_sdpa:  # as the library has it while it times words
            raise Cancelled("as the test asked")

    stopping = listen()
    monkeypatch.setattr(stopping, "check", check)
    whisper = tool("OpenAI", "openai-whisper")
    whole = whisper.run(LONG, listen(), language="de", timestamps="word")
    with pytest.raises(Cancelled):
        whisper.run(LONG, stopping, language="de", timestamps="word")
    assert whisper.run(LONG, listen(), language="de", timestamps="word") == whole


def test_a_call_of_faster_whisper_stops_before_a_window_in_which_it_hears_nothing(tool: Tool, listen: Listen) -> None:
    account = part("account").Account(listen(cancel_at=1), 30.0)
    view = part("by_faster_whisper")._watched(tool("CTranslate2", "faster-whisper")._listener._model, account)
    with pytest.raises(Cancelled):
        view.encode(np.zeros((80, 3000), "f4"))


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_silence_and_nothing_are_empty_texts(tool: Tool, ctx: Listener, format_: str, backend: str) -> None:
    for samples in (np.zeros((0, 1)), np.zeros((RATE, 1)), np.full((40 * RATE, 1), 1e-4)):
        heard = tool(format_, backend).run(Speech(samples.astype("f4"), RATE), ctx, timestamps="word")
        assert heard == (Text(""), Text("WEBVTT\n"))
    assert ctx.tokens == []


def test_what_is_no_speech_is_passed_over_with_vad(tool: Tool, ctx: Listener) -> None:
    rain = Speech(np.random.default_rng(0).standard_normal(4 * RATE).astype("f4") * 0.1, RATE)
    assert tool("CTranslate2", "faster-whisper").run(rain, ctx, language="de").text.text
    assert tool("CTranslate2", "faster-whisper").run(rain, ctx, language="de", vad=True).text == Text("", "de")


@pytest.mark.parametrize(("format_", "backend"), [WAYS[0], WAYS[2], WAYS[4]])
def test_a_prompt_of_any_length_changes_what_is_heard(tool: Tool, ctx: Listener, format_: str, backend: str) -> None:
    whisper = tool(format_, backend)
    plain = whisper.run(SHORT, ctx, language="de")
    for prompt in ("Ada Lovelace", "names " * 500, "<|endoftext|><|nospeech|>"):
        ctx.tokens.clear()
        heard = whisper.run(SHORT, ctx, language="de", prompt=Text(prompt))
        assert heard != plain
        assert "".join(ctx.tokens) == heard.text.text
    assert whisper.run(SHORT, ctx, language="de", prompt=Text(" ")) == plain


@given(st.lists(st.sampled_from(["<|endoftext|>", "<|de|>", "<|0.00|>", "<", "|", ">", "a", " "]), max_size=8))
def test_no_prompt_yields_whispers_own_tokens(tool: Tool, texts: list[str]) -> None:
    hint = part("account").hint("".join(texts))
    assert all(token < 50257 for token in tool("transformers", "transformers")._listener._prompt(hint)[1:])
    faster = tool("CTranslate2", "faster-whisper")._listener._model.hf_tokenizer
    assert all(token < 50257 for token in faster.encode(f" {hint}", add_special_tokens=False).ids)
    own = pytest.importorskip("whisper").tokenizer.get_tokenizer(True)
    assert all(token < 50257 for token in own.encode(f" {hint}"))


@pytest.mark.parametrize("backend", ["openai-whisper", "transformers"])
def test_what_is_drawn_comes_from_the_seed(tool: Tool, listen: Listen, backend: str) -> None:
    torch, whisper = pytest.importorskip("torch"), tool("OpenAI", backend)
    state = torch.get_rng_state()
    one, again, other = (
        whisper.run(SHORT, listen(seed=seed), language="de", temperature=1.0).text for seed in (3, 3, 4)
    )
    assert one == again
    assert one != other
    assert torch.equal(torch.get_rng_state(), state)


def test_calls_at_once_give_what_calls_in_turn_give(tool: Tool, listen: Listen) -> None:
    """The card says `reentrant` for faster-whisper; the engine lends the others out to one call at a time."""
    whisper = tool("CTranslate2", "faster-whisper")
    jobs = [(humming(4, seed), language) for seed in range(4) for language in ("de", "en", "")]

    def hear(job: tuple[Speech, str]) -> Any:
        return whisper.run(job[0], listen(), language=job[1], timestamps="word")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hear, jobs)) == list(map(hear, jobs))


def test_two_models_time_words_at_once_by_openais_library(tool: Tool, listen: Listen) -> None:
    """The library switches something for all its models meanwhile."""
    models = [tool(format_, "openai-whisper") for format_ in ("OpenAI", "transformers")]
    alone = models[0].run(SHORT, listen(), language="de", timestamps="word")

    def hear(model: Any) -> list[Any]:
        return [model.run(SHORT, listen(), language="de", timestamps="word") for _ in range(4)]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(hear, models)) == [[alone] * 4] * 2


def test_who_waits_for_a_turn_may_be_cancelled(listen: Listen) -> None:
    turns, account = part("turns"), part("account").Account(listen(cancel_at=2), 1.0)

    def wait() -> None:
        with turns.turn(account):
            pytest.fail("it was not its turn")

    with ThreadPoolExecutor(1) as pool, turns.turn(account), pytest.raises(Cancelled):
        pool.submit(wait).result(30)


def test_the_tool_is_what_its_card_says(small: Mapping[str, Path]) -> None:
    findings = list(
        conform(
            registry.find("whisper.v1"),
            settings={"model": str(small["CTranslate2"]), "backend": "faster-whisper"},
            inputs={"speech": [SHORT, humming(3, 1)], "prompt": [Text("Ada"), Text("Bob")]},
            only=("constructor", "types", "determinism", "concurrency", "cancel", "unload"),
        )
    )
    assert [(item.check, item.status, item.detail) for item in findings if item.status != "ok"] == []
