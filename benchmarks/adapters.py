"""What an adapter costs: a call of a loaded tool against the same call of the library that it wraps.

    python benchmarks/adapters.py [--quick] [family ...]

Each family is a model of realistic size with random weights, saved in its own format and loaded twice, by the tool
and by the library. The two take turns in one process and one thread, and have to give the same. Ends with 1 if a
ratio is above the bar. A family is a function below that is decorated with `@family`.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmagent import Image, load_tool

LIMIT = 1.02
"""How much a tool's call may cost, in calls of the library."""


@dataclass(frozen=True)
class Pair:
    """The same work twice; each call gives an array, and the two are equal."""

    tool: Callable[[], Any]
    library: Callable[[], Any]


class Unheard:
    """A context that hears nothing."""

    seed = 0

    def check(self) -> None:
        pass

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        pass

    def token(self, text: str) -> None:
        pass

    def preview(self, media: object) -> None:
        pass


Family = Callable[[Path], Pair]
FAMILIES: dict[str, Family] = {}


def family(make: Family) -> Family:
    """Have a family measured under its function's name; it is given an empty folder for its checkpoint."""
    FAMILIES[make.__name__.replace("_", "-")] = make
    return make


@family
def image_encoder(folder: Path) -> Pair:
    """ViT-B/16 on a photograph of 640 × 480: the patches of the last layer."""
    import torch
    from transformers import AutoImageProcessor, ViTConfig, ViTImageProcessorPil, ViTModel

    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil().save_pretrained(folder)
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), "uint8")
    tool: Any = load_tool("image-encoder.v1", model=str(folder))
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    image, photograph = Image(picture), Image(picture).pil()

    def library() -> Any:
        with torch.inference_mode():
            out = model(**processor(images=photograph, return_tensors="pt"))
        return out.last_hidden_state[0, 1:].numpy()

    return Pair(lambda: tool.run(image).array, library)


@family
def video_encoder(folder: Path) -> Pair:
    """VideoMAE-B on 16 frames of 320 × 240, half as deep as it is published."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEImageProcessorPil, VideoMAEModel

    from mmagent import Video

    VideoMAEModel(VideoMAEConfig(num_hidden_layers=6)).save_pretrained(folder)
    VideoMAEImageProcessorPil().save_pretrained(folder)
    frames = np.random.default_rng(0).integers(0, 256, (16, 240, 320, 3), "uint8")
    tool: Any = load_tool("video-encoder.v1", model=str(folder))
    model = VideoMAEModel.from_pretrained(folder).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(folder)
    video, stills = Video(frames, fps=8), [Image(frame).pil() for frame in frames]

    def library() -> Any:
        with torch.inference_mode():
            return model(**processor(stills, return_tensors="pt")).last_hidden_state[0].numpy()

    return Pair(lambda: tool.run(video, Unheard()).array, library)


@family
def audio_encoder(folder: Path) -> Pair:
    """Whisper base's encoder on its window of 30 s."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    from mmagent import Audio

    shape = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048}
    WhisperModel(WhisperConfig(**shape, decoder_layers=1, decoder_attention_heads=8)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    noise = np.random.default_rng(0).standard_normal(30 * 16_000).astype("f4") * 0.1
    tool: Any = load_tool("audio-encoder.v1", model=str(folder))
    model = WhisperModel.from_pretrained(folder).eval().encoder
    hear, audio = WhisperFeatureExtractor.from_pretrained(folder), Audio(noise, 16_000)

    def library() -> Any:
        with torch.inference_mode():
            return model(**hear(noise, sampling_rate=16_000, return_tensors="pt")).last_hidden_state[0].numpy()

    return Pair(lambda: tool.run(audio, Unheard()).array, library)


@family
def whisper(folder: Path) -> Pair:
    """A Whisper of the size of tiny on 10 s of noise, in OpenAI's format."""
    import torch
    import whisper

    from mmagent import Speech

    file = folder / "tiny.pt"
    sizes = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 384, "n_audio_head": 6, "n_audio_layer": 4}
    sizes |= {"n_vocab": 51865, "n_text_ctx": 448, "n_text_state": 384, "n_text_head": 6, "n_text_layer": 4}
    made = whisper.model.Whisper(whisper.model.ModelDimensions(**sizes))
    with torch.no_grad():  # some tokens, and then the end
        made.decoder.positional_embedding.normal_(0.0, 0.1)
        made.decoder.positional_embedding[:, 0] += torch.arange(448) * 0.5
        made.decoder.token_embedding.weight[50257, 0] += 8.0
    torch.save({"dims": sizes, "model_state_dict": made.state_dict()}, file)
    noise = np.random.default_rng(0).standard_normal(10 * 16_000).astype("f4") * 0.1
    tool: Any = load_tool("whisper.v1", model=str(file), pickle=True, backend="openai-whisper")
    model, speech = whisper.load_model(str(file), device="cpu"), Speech(noise, 16_000)

    def library() -> Any:
        said = model.transcribe(noise, language="de", temperature=0.0, fp16=False)["text"]
        return np.array([said.strip()])

    return Pair(lambda: np.array([tool.run(speech, Unheard(), language="de").text.text]), library)


@family
def text_encoder(folder: Path) -> Pair:
    """BERT base on 120 words: the states of the last layer."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    from mmagent import Text

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, "the", "cat", "sat", "on", "mat"]
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    BertModel(BertConfig()).save_pretrained(folder)
    text = "the cat sat on the mat " * 20
    tool: Any = load_tool("text-encoder.v1", model=str(folder))
    model, tokens = BertModel.from_pretrained(folder).eval(), BertTokenizer.from_pretrained(folder)

    def library() -> Any:
        with torch.inference_mode():
            given = tokens(text, return_tensors="pt", truncation=True, max_length=512)
            return model(**given).last_hidden_state[0].numpy()

    return Pair(lambda: tool.run(Text(text), Unheard()).array, library)


@family
def text_to_speech(folder: Path) -> Pair:
    """VITS of the published size on a word."""
    import json

    import torch
    from transformers import AutoTokenizer, VitsConfig, VitsModel, VitsTokenizer

    from mmagent import Text

    VitsModel(VitsConfig()).save_pretrained(folder)
    letters = {letter: number for number, letter in enumerate("_abcdefghijklmnopqrstuvwxyz '")}
    (folder / "letters.json").write_text(json.dumps({**letters, "<unk>": len(letters)}))
    VitsTokenizer(str(folder / "letters.json"), pad_token="_", phonemize=False).save_pretrained(folder)  # noqa: S106
    sentence = "nobody"
    tool: Any = load_tool("text-to-speech.v1", model=str(folder))
    model, tokens = VitsModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def library() -> Any:
        torch.manual_seed(Unheard.seed)
        with torch.inference_mode():
            return model(**tokens(sentence, return_tensors="pt")).waveform[0].numpy()

    return Pair(lambda: tool.run(Text(sentence), Unheard()).array[:, 0], library)


@family
def spectrum_to_speech(folder: Path) -> Pair:
    """SpeechT5 of the published size, as many frames as a word may have, and its vocoder."""
    import io

    import sentencepiece
    import torch
    from transformers import (
        SpeechT5Config,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        SpeechT5Tokenizer,
    )

    from mmagent import Embedding, Text

    model, vocoder = SpeechT5ForTextToSpeech(SpeechT5Config()), SpeechT5HifiGan(SpeechT5HifiGanConfig())
    torch.nn.init.constant_(model.speech_decoder_postnet.prob_out.bias, -20.0)
    model.eval().save_pretrained(folder)
    vocoder.eval().save_pretrained(folder / "vocoder")
    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog"] * 20), model_writer=pieces,
        model_type="char", vocab_size=40, hard_vocab_limit=False, pad_id=1, bos_id=0, eos_id=2, unk_id=3, minloglevel=2,
    )  # fmt: skip
    (folder / "spm_char.model").write_bytes(pieces.getvalue())
    tokens = SpeechT5Tokenizer(str(folder / "spm_char.model"))
    tokens.save_pretrained(folder)
    speaker = np.random.default_rng(0).standard_normal((1, 512)).astype("f4")
    tool: Any = load_tool("text-to-speech.v1", model=str(folder), vocoder=str(folder / "vocoder"))
    voice, sentence = Embedding(speaker, "speecht5.speaker"), "dog"

    def library() -> Any:
        torch.manual_seed(Unheard.seed)
        with torch.inference_mode():
            ids = tokens(sentence, return_tensors="pt").input_ids
            return model.generate_speech(ids, torch.tensor(speaker), vocoder=vocoder).numpy()

    return Pair(lambda: tool.run(Text(sentence), Unheard(), voice).array[:, 0], library)


@family
def image_diffusion(folder: Path) -> Pair:
    """A Stable Diffusion of 22 M parameters, two guided steps of 64 × 64 pixels."""
    import torch
    from diffusers import StableDiffusionPipeline

    from mmagent import Text
    from mmagent.diffusion.small import image

    made = image.stable_diffusion(block_out_channels=(128, 256), layers_per_block=2, sample_size=32)
    made.save_pretrained(folder)
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    tool: Any = load_tool("image-diffusion.v1", model=str(folder))

    def library() -> Any:
        painted = pipe("a red cat", num_inference_steps=2, generator=torch.Generator().manual_seed(Unheard.seed))
        return np.asarray(painted.images[0])

    return Pair(lambda: tool.run(Unheard(), prompt=Text("a red cat"), steps=2).array, library)


@family
def video_diffusion(folder: Path) -> Pair:
    """A Wan of 22 M parameters, two guided steps of 5 frames of 64 × 64 pixels."""
    import torch
    from diffusers import WanPipeline, WanTransformer3DModel

    from mmagent import Text
    from mmagent.diffusion.small import video

    pipe = video.wan()
    pipe.register_modules(
        transformer=WanTransformer3DModel(
            num_attention_heads=8, attention_head_dim=64, in_channels=16, out_channels=16, text_dim=32, freq_dim=256,
            ffn_dim=2048, num_layers=4,
        )
    )  # fmt: skip
    pipe.save_pretrained(folder)
    pipe = WanPipeline.from_pretrained(folder)  # T5 has dropout where it is not loaded
    pipe.set_progress_bar_config(disable=True)
    tool: Any = load_tool("video-diffusion.v1", model=str(folder))
    size = {"width": 64, "height": 64}

    def library() -> Any:
        noise = torch.Generator().manual_seed(Unheard.seed)
        made = pipe("a red cat", num_inference_steps=2, num_frames=5, generator=noise, output_type="np", **size)
        return (made.frames[0] * 255).round().astype("uint8")

    return Pair(lambda: tool.run(Unheard(), prompt=Text("a red cat"), steps=2, frames=5, **size).array, library)


@family
def audio_diffusion(folder: Path) -> Pair:
    """A spectrogram painted by a Stable Diffusion of 22 M parameters, two guided steps of 128 × 16, and its vocoder."""
    import torch

    from mmagent import Text
    from mmagent.diffusion.small import audio, image

    pipe = image.stable_diffusion(block_out_channels=(128, 256), layers_per_block=2, sample_size=(64, 8))
    pipe.register_modules(vae=audio.spectrogram().vae)
    pipe.save_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    voice = audio.vocoder().eval()
    voice.save_pretrained(folder / "vocoder")
    tool: Any = load_tool("audio-diffusion.v1", model=str(folder))

    def library() -> Any:
        noise = torch.Generator().manual_seed(Unheard.seed)
        told = {"num_inference_steps": 2, "height": 128, "width": audio.BINS, "output_type": "latent"}
        latents = pipe("a red cat", **told, generator=noise).images
        with torch.no_grad():
            return voice(pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample[:, 0])[0].numpy()

    return Pair(lambda: tool.run(Unheard(), prompt=Text("a red cat"), steps=2).array[:, 0], library)


def seconds(call: Callable[[], Any]) -> float:
    """Processor time of a call in all threads: what other programs take of the machine does not count."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def measure(pair: Pair, turns: int) -> tuple[float, float, float]:
    """Median seconds of a call of the tool and of the library, and the median of their ratio turn by turn.

    Who begins alternates. Both are computed: a ratio of neighbours is not moved by what else the machine does.
    """
    if not np.array_equal(pair.tool(), pair.library()):
        raise AssertionError("the tool and the library give different results")
    ours, theirs = list[float](), list[float]()
    for turn in range(turns):
        for mine in (True, False) if turn % 2 else (False, True):
            (ours if mine else theirs).append(seconds(pair.tool if mine else pair.library))
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs))
    return statistics.median(ours), statistics.median(theirs), ratio


def main() -> int:
    """Measure what is asked for; 0 if every ratio keeps to the bar."""
    parser = argparse.ArgumentParser(description="Adapters against the libraries that they wrap.")
    parser.add_argument("--quick", action="store_true", help="fewer turns: a look, not a measurement")
    parser.add_argument("families", nargs="*", metavar="family", help=f"of {', '.join(FAMILIES)} (default: all)")
    given = parser.parse_args()
    unknown = sorted(set(given.families) - set(FAMILIES))
    if unknown:
        parser.error(f"no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    print(f"{'':20} {'tool, ms':>10} {'library, ms':>12} {'ratio':>8}   bar ≤ {LIMIT}")
    missed = False
    for name in given.families or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            mine, theirs, ratio = measure(FAMILIES[name](Path(folder)), 5 if given.quick else 31)
        missed |= ratio > LIMIT
        print(
            f"{name:20} {mine * 1e3:10.2f} {theirs * 1e3:12.2f} {ratio:8.4f}   {'MISSED' if ratio > LIMIT else 'kept'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
