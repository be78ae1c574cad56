"""Encoders of each family, built small by their own classes, with what prepares their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")
tk = pytest.importorskip("tokenizers")

Made = tuple[Any, ...]
"""A model, and what prepares its inputs."""

SMALL: Mapping[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
}  # fmt: skip
SIGHT: Mapping[str, Any] = {**SMALL, "image_size": 16, "patch_size": 8}
"""Fields of a small transformer, and of one that sees."""
BOX = {"height": 16, "width": 16}
SHORT = {"shortest_edge": 16}


# -- that see


def _clip_vision() -> Made:
    return tf.CLIPVisionModel(tf.CLIPVisionConfig(**SIGHT)), tf.CLIPImageProcessorPil(size=SHORT, crop_size=BOX)


def _naflex() -> Made:
    vision = {name: value for name, value in SIGHT.items() if name != "image_size"}
    config = tf.Siglip2Config(text_config={**SMALL, "vocab_size": 50}, vision_config={**vision, "num_patches": 16})
    return tf.Siglip2Model(config), tf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=11)


def _dinov2(kind: str = "Dinov2", **more: Any) -> Made:
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    config = getattr(tf, f"{kind}Config")(**shape, image_size=28, patch_size=7, **more)
    processor = tf.BitImageProcessorPil(size={"shortest_edge": 25}, crop_size={"height": 21, "width": 21})
    return getattr(tf, f"{kind}Model")(config), processor


def _like_vit(kind: str, **more: Any) -> Callable[[], Made]:
    def make() -> Made:
        model = getattr(tf, f"{kind}Model")(getattr(tf, f"{kind}Config")(**SIGHT, **more))
        return model, tf.ViTImageProcessorPil(size=BOX)

    return make


def _beit() -> Made:
    config = tf.BeitConfig(**SIGHT, use_relative_position_bias=True, use_absolute_position_embeddings=False)
    return tf.BeitModel(config), tf.BeitImageProcessorPil(size=BOX, do_center_crop=False)


def _resnet() -> Made:
    config = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return tf.ResNetModel(config), tf.ConvNextImageProcessorPil(size=SHORT, crop_pct=1.0)


def _convnext() -> Made:
    config = tf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
    return tf.ConvNextModel(config), tf.ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=1.0)


def _swin() -> Made:
    config = tf.SwinConfig(embed_dim=8, depths=[1, 1], num_heads=[2, 2], image_size=32, window_size=4)
    return tf.SwinModel(config), tf.ViTImageProcessorPil(size={"height": 32, "width": 32})


def _mobilenet() -> Made:
    """A family of which no row is known."""
    config = tf.MobileNetV2Config(depth_multiplier=0.1, image_size=32)
    return tf.MobileNetV2Model(config), tf.ViTImageProcessorPil(size={"height": 32, "width": 32})


# -- that hear

WAVES: dict[str, Any] = {
    **SMALL, "conv_dim": (8, 8, 8), "conv_kernel": (10, 3, 3), "conv_stride": (5, 8, 8), "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
LARGE: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""How the large ones differ: each state is normalised by itself, so that sound may be filled up behind a mask."""


def _whisper() -> Made:
    """A window of one second: 50 states of 320 samples each."""
    config = tf.WhisperConfig(
        vocab_size=60, num_mel_bins=8, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_source_positions=50,
        max_target_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return tf.WhisperForConditionalGeneration(config), tf.WhisperFeatureExtractor(feature_size=8, chunk_length=1)


def _waves(kind: str, **more: Any) -> Callable[[], Made]:
    def make() -> Made:
        config = getattr(tf, f"{kind}Config")(**WAVES, **more)
        return getattr(tf, f"{kind}Model")(config), tf.Wav2Vec2FeatureExtractor()

    return make


def _ast() -> Made:
    """A window of 64 frames: 5 times by 2 bands of patches, and two states for the whole."""
    config = tf.ASTConfig(**SMALL, max_length=64, num_mel_bins=32)
    return tf.ASTForAudioClassification(config), tf.ASTFeatureExtractor(max_length=64, num_mel_bins=32)


def _encodec() -> Made:
    """A codec: it hears, and makes codes in place of states."""
    config = tf.EncodecConfig(
        num_filters=4, hidden_size=8, num_residual_layers=1, upsampling_ratios=[8, 5], num_lstm_layers=1,
        codebook_size=16, codebook_dim=8, target_bandwidths=[1.5], sampling_rate=16_000,
    )  # fmt: skip
    return tf.EncodecModel(config), tf.EncodecFeatureExtractor(sampling_rate=16_000)


# -- that read

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def wordpieces() -> Any:
    """BERT's tokenizer over single letters."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return tf.BertTokenizer(
        vocab={word: number for number, word in enumerate(words)}, do_lower_case=False, model_max_length=30
    )


def unigram() -> Any:
    """T5's kind of tokenizer, whose vocabulary holds the control tokens as pieces like any other."""
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        *((letter, -3.0) for letter in LETTERS + "</>"),
    ]
    backend = tk.Tokenizer(tk.models.Unigram(pieces, unk_id=2))
    backend.normalizer = tk.normalizers.NFKC()
    backend.pre_tokenizer = tk.pre_tokenizers.Metaspace()
    backend.post_processor = tk.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=20
    )


def clip_words() -> Any:
    """CLIP's kind: bytes, and a token for unknown text that ends texts and fills them up as well."""
    alphabet = tk.pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {piece: number for number, piece in enumerate([*sorted(alphabet), "<|startoftext|>", "<|endoftext|>"])}
    backend = tk.Tokenizer(tk.models.BPE(vocabulary, []))
    backend.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    start, end = (256, 257)
    backend.post_processor = tk.processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>", special_tokens=[("<|startoftext|>", start), ("<|endoftext|>", end)]
    )
    end_token = "<|endoftext|>"
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|startoftext|>", eos_token=end_token, unk_token=end_token,
        pad_token=end_token, model_max_length=24,
    )  # fmt: skip


def _bert() -> Made:
    words = wordpieces()
    return tf.BertModel(tf.BertConfig(**SMALL, vocab_size=len(words), max_position_embeddings=40)), words


def _fnet() -> Made:
    """It mixes all tokens by a Fourier transform, those that fill up among them."""
    words = wordpieces()
    fields = {name: value for name, value in SMALL.items() if name != "num_attention_heads"}
    return tf.FNetModel(tf.FNetConfig(**fields, vocab_size=len(words), max_position_embeddings=40)), words


def _distilbert() -> Made:
    words = wordpieces()
    config = tf.DistilBertConfig(
        vocab_size=len(words), dim=16, n_layers=2, n_heads=2, hidden_dim=16, max_position_embeddings=40
    )
    return tf.DistilBertModel(config), words


def _roberta() -> Made:
    words = clip_words()
    config = tf.XLMRobertaConfig(**SMALL, vocab_size=len(words), max_position_embeddings=34, pad_token_id=1)
    return tf.XLMRobertaModel(config), words


def _t5() -> Made:
    words = unigram()
    config = tf.T5Config(
        vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    return tf.T5ForConditionalGeneration(config), words


def _bart() -> Made:
    words = wordpieces()
    config = tf.BartConfig(
        vocab_size=len(words), d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=40,
        pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=3, forced_eos_token_id=None,
    )  # fmt: skip
    return tf.BartModel(config), words


def _clip_text_fields(words: Any) -> dict[str, Any]:
    ends = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 257}
    return {**SMALL, "vocab_size": len(words), "max_position_embeddings": 24, **ends}


def _clip_text() -> Made:
    words = clip_words()
    return tf.CLIPTextModel(tf.CLIPTextConfig(**_clip_text_fields(words))), words


# -- of two kinds


def _clip() -> Made:
    words = clip_words()
    config = tf.CLIPConfig(text_config=_clip_text_fields(words), vision_config=SIGHT, projection_dim=24)
    return tf.CLIPModel(config), tf.CLIPImageProcessorPil(size=SHORT, crop_size=BOX), words


def _siglip() -> Made:
    words = unigram()
    text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": 16, "projection_size": 16}
    model = tf.SiglipModel(tf.SiglipConfig(text_config=text, vision_config=SIGHT))
    return model, tf.SiglipImageProcessorPil(size=BOX), words


def _clap(fused: bool) -> Callable[[], Made]:
    def make() -> Made:
        sound = {
            "spec_size": 64, "num_mel_bins": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1], "hidden_size": 16,
            "num_attention_heads": [2, 2], "num_hidden_layers": 2, "window_size": 4, "enable_fusion": fused,
            "aff_block_r": 2,
        }  # fmt: skip
        words = wordpieces()
        text = {**SMALL, "vocab_size": len(words), "max_position_embeddings": 40, "pad_token_id": 0}
        shared: dict[str, Any] = {"projection_dim": 12}
        config = tf.ClapConfig(text_config=text | shared, audio_config=sound | shared, **shared)
        hear = tf.ClapFeatureExtractor(feature_size=16, max_length_s=1, truncation="fusion" if fused else "rand_trunc")
        return tf.ClapModel(config), hear, words

    return make


SEEING: Mapping[str, Callable[[], Made]] = {
    "beit": _beit,
    "clip": _clip,
    "clip-vision": _clip_vision,
    "convnext": _convnext,
    "deit": _like_vit("DeiT"),
    "dinov2": _dinov2,
    "dinov2-registers": lambda: _dinov2("Dinov2WithRegisters", num_register_tokens=3),
    "ijepa": _like_vit("IJepa"),
    "mobilenet": _mobilenet,
    "naflex": _naflex,
    "resnet": _resnet,
    "siglip": _siglip,
    "swin": _swin,
    "vit": _like_vit("ViT"),
    "vit-msn": _like_vit("ViTMSN"),
}
HEARING: Mapping[str, Callable[[], Made]] = {
    "ast": _ast,
    "clap": _clap(False),
    "clap-fused": _clap(True),
    "hubert": _waves("Hubert"),
    "hubert-batch-norm": _waves("Hubert", **LARGE, conv_pos_batch_norm=True),
    "hubert-large": _waves("Hubert", **LARGE),
    "unispeech-sat-large": _waves("UniSpeechSat", **LARGE),
    "wav2vec2": _waves("Wav2Vec2"),
    "wav2vec2-adapter": _waves("Wav2Vec2", add_adapter=True, output_hidden_size=24),
    "wav2vec2-large": _waves("Wav2Vec2", **LARGE),
    "wavlm": _waves("WavLM"),
    "whisper": _whisper,
}
READING: Mapping[str, Callable[[], Made]] = {
    "bart": _bart,
    "bert": _bert,
    "clap": _clap(False),
    "clip": _clip,
    "clip-text": _clip_text,
    "distilbert": _distilbert,
    "siglip": _siglip,
    "t5": _t5,
    "xlm-roberta": _roberta,
}
ODD: Mapping[str, Callable[[], Made]] = {"encodec": _encodec, "fnet": _fnet}
