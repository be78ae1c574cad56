"""Whisper by transformers: its own checkpoints, and OpenAI's under other names."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmagent.checkpoint import given, load_part, load_pretrained, loading, placement
from mmagent.errors import ModelError

from .account import RATE, Account, Ask, How, Piece
from .checkpoints import Checkpoint, dims_of
from .naming import config_fields, generation_fields, read, to_transformers, torn
from .turns import drawing

SPACELESS = ("zh", "ja", "th", "lo", "my", "yue")
"""Languages that write no space between words: there every character is one."""


class Transformers:
    """A loaded checkpoint for one call at a time: for the times of words the model is switched to another attention."""

    def __init__(self, checkpoint: Checkpoint, how: How) -> None:
        import transformers

        path = str(checkpoint.path)
        if checkpoint.format == "transformers":
            self._model = load_pretrained(
                "WhisperForConditionalGeneration", path, pickle=how.pickle, device=how.device, dtype=how.dtype
            )
            self._tokens = load_part("WhisperTokenizer", path).backend_tokenizer
            self._features = load_part("WhisperFeatureExtractor", path)
        else:
            dims, state = read(checkpoint, how.pickle)
            where = placement(how.device, how.dtype, f"model {path}")
            self._model = _converted(checkpoint, dims, state).to(*where)
            self._tokens = _tokens(checkpoint)
            self._features = transformers.WhisperFeatureExtractor(feature_size=dims["n_mels"])
        _tell(self._model)
        logging.getLogger("transformers.generation.utils").addFilter(_of_interest)

    def hear(self, samples: Any, ask: Ask, account: Account) -> None:
        import torch

        model, known = self._model, self._model.generation_config
        inputs = self._features(
            samples, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest",
            return_attention_mask=True,
        )  # fmt: skip
        chosen: dict[str, Any] = {}
        account.language = "en"
        if known.is_multilingual:
            account.language = ask.language or self._detect(samples)
            chosen = {"language": account.language, "task": ask.task}
        if ask.prompt:
            chosen["prompt_ids"] = torch.tensor(self._prompt(ask.prompt), device=model.device)
        attention = model.config._attn_implementation
        try:
            with torch.inference_mode(), drawing(ask, account):
                found = model.generate(
                    **given(inputs, model),
                    **chosen,
                    return_timestamps=True,
                    return_segments=True,
                    return_token_timestamps=ask.words,
                    num_beams=ask.beam_size,
                    temperature=ask.temperature,
                    # These three as the other libraries have them: what was heard before is what comes next is read
                    # after, and a window that is silent is passed over.
                    condition_on_prev_tokens=True,
                    no_speech_threshold=0.6,
                    logprob_threshold=-1.0,
                    monitor_progress=lambda seen: account.reach(float(seen[0, 0]) / 100),
                    stopping_criteria=[_watch(account)],
                )
        finally:
            model.config._attn_implementation = attention  # "eager" after word times were asked for
        for segment in found["segments"][0]:
            account.hear(self._piece(segment, account.language))

    def _detect(self, samples: Any) -> str:
        """The language spoken in the first 30 s, which are filled up with silence."""
        first = given(self._features(samples, sampling_rate=RATE, return_tensors="pt"), self._model)
        found = int(self._model.detect_language(first["input_features"])[0])  # of [1, M, 3000]
        codes = self._model.generation_config.lang_to_id
        return next(str(code).strip("<|>") for code, number in codes.items() if number == found)

    def _prompt(self, text: str) -> list[int]:
        """The ids of a prompt, of which the last that fit into half the context are taken."""
        ids = self._tokens.encode(f" {text.strip()}", add_special_tokens=False).ids
        most = self._model.config.max_target_positions // 2 - 1
        return [self._model.generation_config.prev_sot_token_id, *ids[-most:]]

    def _piece(self, segment: Mapping[str, Any], language: str) -> Piece:
        ids, end = segment["tokens"].tolist(), float(segment["end"])
        said = [place for place, token in enumerate(ids) if token < self._model.generation_config.eos_token_id]
        times = segment["token_timestamps"].tolist() if "token_timestamps" in segment else None
        words = tuple(self._words(ids, said, [*times, end], language)) if times else ()
        return Piece(float(segment["start"]), end, self._tokens.decode([ids[place] for place in said]), words)

    def _words(self, ids: Sequence[int], said: Sequence[int], times: Sequence[float], language: str) -> list[Piece]:
        """The words of a segment, of which the tokens at the places `said` are text; a token ends where the next begins."""
        words: list[Piece] = []
        open_: list[int] = []
        for place in said:
            open_.append(place)
            text = self._tokens.decode([ids[item] for item in open_])
            if text.endswith("\N{REPLACEMENT CHARACTER}") and place != said[-1]:
                continue  # the rest of a character follows
            begins = any(map(str.isalnum, text)) if language in SPACELESS else text.startswith(" ")
            start, end = times[open_[0]], times[place + 1]
            if words and not begins:
                start, text = words[-1].start, words.pop().text + text
            words.append(Piece(start, end, text))
            open_ = []
        return words


def _of_interest(record: logging.LogRecord) -> bool:
    """Not that the library's own Whisper calls its own `generate` in a way that it will give up."""
    return "generation-related arguments" not in str(record.msg)


def _watch(account: Account) -> Any:
    """Look after each token whether the call should stop."""
    import torch
    from transformers import StoppingCriteria

    class Watch(StoppingCriteria):  # type: ignore[misc]  # the library has no types
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            account.ctx.check()
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    return Watch()


def _converted(checkpoint: Checkpoint, dims: Mapping[str, int], state: Mapping[str, Any]) -> Any:
    """The model of transformers that holds OpenAI's weights."""
    import transformers

    with loading():
        model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**config_fields(dims)))
    named = to_transformers(state)
    try:
        model.load_state_dict({**named, "proj_out.weight": named["model.decoder.embed_tokens.weight"]})
    except (KeyError, RuntimeError) as error:
        raise torn(checkpoint, error) from error
    return model.eval().requires_grad_(False)


def _tell(model: Any) -> None:
    """Let the model know its own tokens where its generation config does not; without one it has no right ones."""
    from transformers import GenerationConfig

    fields, known = generation_fields(dims_of(model.config.to_dict())), model.generation_config
    if known._from_model_config:
        model.generation_config = GenerationConfig(**fields)
        return
    for name, value in fields.items():
        if getattr(known, name, None) is None:
            setattr(known, name, value)


def _tokens(checkpoint: Checkpoint) -> Any:
    """The tokenizer of a checkpoint that holds none: the file beside it, or the one in OpenAI's library."""
    import tokenizers

    beside = checkpoint.path.with_name("tokenizer.json")
    if beside.is_file():
        return tokenizers.Tokenizer.from_file(str(beside))
    library = importlib.util.find_spec("whisper")
    if library is None or library.origin is None:
        alike = "openai/whisper-tiny" if checkpoint.multilingual else "openai/whisper-tiny.en"
        raise ModelError(
            f"{checkpoint.path} holds no tokenizer, and there is no tokenizer.json beside it; "
            f"put that of {alike} there (hf download {alike} tokenizer.json), or: pip install openai-whisper"
        )
    from transformers.convert_slow_tokenizer import TikTokenConverter

    name = "multilingual" if checkpoint.multilingual else "gpt2"
    found = TikTokenConverter(str(Path(library.origin).parent / "assets" / f"{name}.tiktoken")).converted()
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)  # it splits as GPT-2 does
    return found
