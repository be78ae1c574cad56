"""Any decoder-only LLM that transformers can load, frozen, in float32, reading embeddings.

It knows nothing of signals, prompts or sampling.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.threads import modest
from mmagent.errors import MissingExtra, ModelError
from mmagent.model.backbones import States
from mmagent.model.tokens import Tokens

if TYPE_CHECKING:
    from torch import Tensor


class CausalBackbone:
    """An `AutoModelForCausalLM` with its tokenizer; its parameters take no gradient, its inputs may."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokens = Tokens(tokenizer, ends=_ends(model))
        self._in, self._out = model.get_input_embeddings(), model.get_output_embeddings()
        if self._out is None:
            raise ModelError(f"{type(model).__name__} makes no logits over tokens; load a causal language model")
        self._positions = "position_ids" in inspect.signature(model.forward).parameters
        if self.tokens.n_ids > min(self.n_vocab, self._in.weight.shape[0]):
            raise ModelError(
                f"the tokenizer has ids up to {self.tokens.n_ids - 1}, but {type(model).__name__} only "
                f"{self.n_vocab} rows; load the tokenizer that belongs to the model"
            )

    @classmethod
    def load(cls, source: str | Path) -> CausalBackbone:
        """Load from a folder, a GGUF file or a hub id; ModelError says what cannot be loaded and why.

        Nothing is unpickled, and no code from the source is run.
        """
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "local", f"model {source}") from None
        where, options = _where(source)
        try:
            safe = {} if options else {"use_safetensors": True}
            with _quiet(), modest():
                tokenizer = AutoTokenizer.from_pretrained(where, **options)
                model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **options, **safe)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{source} cannot be loaded as a causal language model: {str(error).splitlines()[0]}"
            ) from error
        return cls(model, tokenizer)

    @property
    def n_vocab(self) -> int:
        return int(self._out.weight.shape[0])

    @property
    def in_rows(self) -> Tensor:
        weight: Tensor = self._in.weight
        return weight

    @property
    def out_rows(self) -> Tensor:
        weight: Tensor = self._out.weight
        return weight

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._in(ids)
        return embedded  # [..., E]

    def cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    def forward(self, inputs: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> States:
        found = self.model(
            inputs_embeds=inputs, attention_mask=mask, past_key_values=cache, use_cache=True,
            output_hidden_states=True, logits_to_keep=keep, **self._places(mask, inputs.shape[1]),
        )  # fmt: skip
        return States(found.logits, found.hidden_states[-1])  # [B, keep, V], [B, T, D] after the final norm

    def at(self, inputs: Tensor, mask: Tensor, places: Tensor, cache: Any = None) -> States:
        """As `forward`, for training: logits `[N, V]` at `places` `[N]` of the flattened `[B · T]` alone, and no cache
        is made. The hidden states `[B, T, D]` are what the logits are made of."""
        states: list[Tensor] = []

        # The model itself makes the logits of what is left, so that whatever it does to them after is done here too.
        def leave(_: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            states.append(given[0])
            return (given[0].flatten(0, 1)[places],)  # [N, D]

        hook = self._out.register_forward_pre_hook(leave)
        try:
            options = self._places(mask, inputs.shape[1])
            found = self.model(
                inputs_embeds=inputs, attention_mask=mask, past_key_values=cache, use_cache=False, **options
            )
        finally:
            hook.remove()
        return States(found.logits, states[0])  # [N, V], [B, T, D]

    def _places(self, mask: Tensor, length: int) -> dict[str, Tensor]:
        """Positions counted over the mask: a padded one takes that of its neighbour and is never attended to."""
        if not self._positions:
            return {}
        return {"position_ids": (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]}  # [B, T]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the library's own: they would run into what the program prints."""
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    shown, bar = logging.is_progress_bar_enabled(), getattr(gguf, "tqdm", None)
    logging.disable_progress_bar()
    if bar is not None:  # its bar does not heed the library's own switch
        gguf.tqdm = functools.partial(bar, disable=True)
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
        if bar is not None:
            gguf.tqdm = bar


def _where(source: str | Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` is given: a GGUF file is named apart from its folder."""
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"{source} is no file; name a GGUF file, a folder or a hub id")
        return str(path.parent), {"gguf_file": path.name}
    return (str(path), {}) if path.is_dir() else (str(source), {})


def _ends(model: Any) -> list[int]:
    """The ids that end a reply, by the model's own generation settings."""
    found = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if found is None else [found] if isinstance(found, int) else list(found)
