"""Text encoders of each family, built small by their own classes, saved in their own format, loaded as a user's."""

from __future__ import annotations

import importlib
import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import MissingExtra, Text
from mmagent.errors import MediaError, ModelError
from tests.tools.encoders.checkpoints import Folders, card_of, fresh, loaded
from tests.tools.encoders.families import (
    READING,
    tf,
    tk,
    torch,
    unigram,
)

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

TOOL = "text-encoder.v1"


TEXT = "a small text"


def new_words(tokenizer: Any) -> Any:
    return importlib.import_module("mmagent.tools.text_encoder.words").Words(tokenizer)


TOWERS = {"clip": "CLIPTextModel", "siglip": "SiglipTextModel", "t5": "T5EncoderModel"}


def direct(folder: Path, name: str, text: str = TEXT, **how: Any) -> Any:
    """What a user of the library gets from the same folder."""
    model = getattr(tf, TOWERS.get(name, "AutoModel")).from_pretrained(folder).eval()
    model = {"clap": lambda: model.text_model, "bart": lambda: model.encoder}.get(name, lambda: model)()
    inputs = tf.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", return_token_type_ids=False, **how)
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


@pytest.mark.parametrize("name", sorted(set(READING) - {"siglip"}))
@pytest.mark.parametrize("layer", [-1, -2])
def test_the_states_are_those_that_the_library_gives(folders: Folders, ctx: Listener, name: str, layer: int) -> None:
    out = direct(folders(name), name)
    states = out.last_hidden_state if layer == -1 else out.hidden_states[layer]
    made = loaded(TOOL, model=str(folders(name)), layer=layer).run(Text(TEXT), ctx)
    np.testing.assert_allclose(made.array, states[0].numpy(), atol=1e-6)
    assert made.mask.all()


@pytest.mark.parametrize("name", ["clip", "clap", "siglip"])
def test_the_projected_vector_is_the_one_that_is_compared_with_pictures_and_sounds(
    folders: Folders, ctx: Listener, name: str
) -> None:
    model = tf.AutoModel.from_pretrained(folders(name)).eval()
    padding: dict[str, Any] = {"padding": "max_length", "max_length": 16} if name == "siglip" else {}
    words = tf.AutoTokenizer.from_pretrained(folders(name))(
        TEXT, return_tensors="pt", return_token_type_ids=False, return_attention_mask=name == "clap", **padding
    )
    with torch.no_grad():
        features = model.get_text_features(**words).pooler_output[0]
    made = loaded(TOOL, model=str(folders(name)), output="projected").run(Text(TEXT), ctx)
    np.testing.assert_allclose(made.array[0], features.numpy(), atol=1e-5)
    assert (
        card_of(TOOL, model=str(folders(name)), output="projected").outputs[0].constraints["space"]
        == f"{name}.projected"
    )


def test_clip_as_pipelines_use_it_is_filled_up_without_a_mask(folders: Folders, ctx: Listener) -> None:
    folder = folders("clip-text")
    model, words = tf.CLIPTextModel.from_pretrained(folder).eval(), tf.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        expected = model(words(TEXT, padding="max_length", max_length=24, return_tensors="pt").input_ids)
    made = loaded(TOOL, model=str(folder), padded=True).run(Text(TEXT), ctx)
    np.testing.assert_allclose(made.array, expected.last_hidden_state[0].numpy(), atol=1e-6)
    assert made.mask.sum() == len(TEXT) + 2
    assert card_of(TOOL, model=str(folder), padded=True).outputs[0].constraints["tokens"] == 24


@pytest.mark.parametrize("name", ["bert", "distilbert", "t5", "clip", "xlm-roberta"])
def test_what_fills_up_changes_nothing(folders: Folders, ctx: Listener, name: str) -> None:
    plain = loaded(TOOL, model=str(folders(name))).run(Text(TEXT), ctx)
    filled = loaded(TOOL, model=str(folders(name)), padded=True).run(Text(TEXT), ctx)
    assert len(filled.array) > len(plain.array)
    np.testing.assert_allclose(filled.array[filled.mask], plain.array, atol=1e-5)
    pooled = [loaded(TOOL, model=str(folders(name)), padded=padded, output="pooled") for padded in (False, True)]
    one, other = (tool.run(Text(TEXT), ctx).array for tool in pooled)
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("name", sorted(READING))
def test_what_comes_out_is_what_the_card_declares(folders: Folders, ctx: Listener, name: str) -> None:
    kept = 0
    for chosen in ({}, {"layer": 0}, {"padded": True}, {"output": "pooled"}, {"output": "projected"}):
        asked = {"model": str(folders(name)), **chosen}
        try:
            (port,) = card_of(TOOL, **asked).outputs
        except ModelError:
            continue
        tool = loaded(TOOL, **asked)
        for text in ("a", "a much longer text than that " * 3):
            facts = tool.run(Text(text), ctx).describe()
            assert {key: facts[key] for key in port.constraints} == dict(port.constraints)
        assert {"width", "space"} <= set(port.constraints)
        kept += 1
    assert kept >= 3


# -- ids


NASTY = ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "</s>", "<pad>", "＜/s＞", "<|endoftext|>", "<|startoftext|>", "[", "/s>"]


@pytest.fixture(scope="module")
def writers(folders: Folders) -> dict[str, tuple[Any, set[int]]]:
    """The tokenizers of three kinds as the tool keeps them, and the ids that control their models."""
    found = {}
    for name, controls in {"bert": {0, 2, 3, 4}, "t5": {0, 1}, "clip-text": {256, 257}}.items():
        found[name] = (loaded(TOOL, model=str(folders(name)))._words, controls)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=8).map("".join))
def test_no_text_yields_a_control_token(writers: dict[str, tuple[Any, set[int]]], text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for words, controls in writers.values():
        ids, n_cut = words.ids(text, None)
        around = words.ids("", None)[0]
        assert n_cut == 0
        n_before = len(around) - 1  # all of them begin with all but the last of what they add
        assert ids[:n_before] + ids[-1:] == around
        assert not controls & set(ids[n_before:-1])


def test_the_characters_of_a_control_token_are_kept(writers: dict[str, tuple[Any, set[int]]]) -> None:
    words, _ = writers["clip-text"]
    text = "so <|endoftext|> it is"
    assert len(words.ids(text, None)[0]) == len(text) + 2  # its vocabulary has a piece for each byte


class Counting:
    """A tokenizer that counts its passes over a text."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.n_passes = backend, 0

    def encode(self, *args: Any, **how: Any) -> Any:
        self.n_passes += 1
        return self.backend.encode(*args, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


def test_many_control_tokens_are_broken_up_at_once(folders: Folders) -> None:
    words = fresh(TOOL, model=str(folders("t5")))._words
    words._pieces._backend = counting = Counting(words._pieces._backend)
    ids, _ = words.ids("</s> a " * 500, None)
    assert 1 not in ids[:-1]
    assert counting.n_passes == 2


@pytest.fixture(scope="module")
def spare() -> Any:
    """A tokenizer that has no piece for a space, and takes what it does not know for padding."""
    backend = tk.Tokenizer(tk.models.Unigram([("<pad>", 0.0), ("</s>", 0.0), *((c, -3.0) for c in "ab</s>")], unk_id=0))
    return new_words(
        tf.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<pad>")
    )


@pytest.mark.parametrize(("text", "kept"), [("a é b", "ab"), ("ééé", ""), ("a<é/s>b", "ab"), ("a<</s>/s>", "a")])
def test_what_a_space_does_not_break_up_is_dropped(spare: Any, text: str, kept: str) -> None:
    assert "".join(spare._pieces._backend.id_to_token(number) for number in spare.ids(text, None)[0]) == kept


def test_text_that_makes_control_tokens_again_and_again_is_refused(spare: Any) -> None:
    with pytest.raises(MediaError, match="full of pieces that control the model"):
        spare.ids("<é" * 9 + "/s>" * 9, None)


def test_a_tokenizer_of_sentencepiece_alone_is_as_safe(folders: Folders, tmp_path: Path, ctx: Listener) -> None:
    sentencepiece, pieces = pytest.importorskip("sentencepiece"), io.BytesIO()
    pytest.importorskip("google.protobuf")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over a lazy dog"] * 9), model_writer=pieces, vocab_size=33,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    folder = Path(shutil.copytree(folders("siglip"), tmp_path / "siglip"))
    (folder / "tokenizer.json").unlink()
    (tmp_path / "pieces.model").write_bytes(pieces.getvalue())
    tf.SiglipTokenizer(str(tmp_path / "pieces.model"), model_max_length=16).save_pretrained(folder)
    words = tf.AutoTokenizer.from_pretrained(folder)
    assert not words.is_fast
    tool = loaded(TOOL, model=str(folder))
    assert tool._words.ids(TEXT, None) == (words(TEXT).input_ids, 0)
    short = words(TEXT, truncation=True, max_length=5).input_ids
    assert tool._words.ids(TEXT, 5) == (short, len(words(TEXT).input_ids) - 5)
    ids, _ = tool._words.ids("".join(NASTY), None)
    assert 1 not in ids[:-1]
    assert 1 in words("a </s> b").input_ids[:-1]  # as the library alone has it
    assert tool.run(Text("a </s> b"), ctx).array.shape == (16, 16)


def test_the_library_alone_would_have_yielded_them(folders: Folders) -> None:
    for name, text, control in (("bert", "[SEP]", 3), ("t5", "</s>", 1), ("t5", "＜/s＞", 1)):
        words = tf.AutoTokenizer.from_pretrained(folders(name))
        assert control in words(text, add_special_tokens=False).input_ids


def test_text_over_the_limit_is_cut_and_said_to_be(folders: Folders, ctx: Listener) -> None:
    tool = loaded(TOOL, model=str(folders("bert")), length=10)
    made = tool.run(Text("a" * 20), ctx)
    assert len(made.array) == 10
    assert ctx.notes == [(0.0, 1.0, "text cut to 10 tokens, 12 left out")]
    expected = direct(folders("bert"), "bert", "a" * 20, truncation=True, max_length=10).last_hidden_state[0]
    np.testing.assert_allclose(made.array, expected.numpy(), atol=1e-6)


def test_a_prompt_is_put_before_the_text(folders: Folders, ctx: Listener) -> None:
    plain = loaded(TOOL, model=str(folders("bert")))
    prompted = loaded(TOOL, model=str(folders("bert")), prompt="query ")
    assert prompted.run(Text("cats"), ctx) == plain.run(Text("query cats"), ctx)


# -- what is refused


def test_what_a_checkpoint_does_not_have_is_refused_before_loading(folders: Folders) -> None:
    with pytest.raises(ModelError, match="has 2 layers; layer is -3 … 2, not 5"):
        card_of(TOOL, model=str(folders("bert")), layer=5)
    with pytest.raises(ModelError, match="shares no space with an image or audio encoder; take pooled"):
        card_of(TOOL, model=str(folders("bert")), output="projected")
    with pytest.raises(ModelError, match="takes 1 … 40 tokens; length is 41"):
        card_of(TOOL, model=str(folders("bert")), length=41)
    with pytest.raises(ModelError, match="its own vector of the last layer"):
        card_of(TOOL, model=str(folders("clip")), output="projected", layer=0)


def test_a_limit_that_leaves_no_room_is_refused(folders: Folders) -> None:
    with pytest.raises(ModelError, match="puts 2 tokens around a text; length is more than that"):
        loaded(TOOL, model=str(folders("bert")), length=2)


def test_text_of_which_no_token_comes_is_refused(folders: Folders, tmp_path: Path, ctx: Listener) -> None:
    folder = Path(shutil.copytree(folders("t5"), tmp_path / "open"))
    words = unigram()
    words.backend_tokenizer.post_processor = tk.processors.TemplateProcessing(single="$A", special_tokens=[])
    words.save_pretrained(folder)
    with pytest.raises(MediaError, match="the text is empty"):
        loaded(TOOL, model=str(folder)).run(Text(""), ctx)


def test_without_the_library_the_command_that_installs_it_is_told(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'mmagent\[local\]'"):
        fresh(TOOL, model=str(folders("bert")))


def test_another_tokenizer_is_another_recipe(folders: Folders, tmp_path: Path) -> None:
    words = Path(shutil.copytree(folders("bert"), tmp_path / "words"))
    chosen = {"model": str(folders("bert")), "tokenizer": str(words)}
    before = card_of(TOOL, **chosen).weights
    (words / "tokenizer_config.json").write_text((words / "tokenizer_config.json").read_text() + " ")
    assert before != card_of(TOOL, **chosen).weights != card_of(TOOL, model=str(folders("bert"))).weights
