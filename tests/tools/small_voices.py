"""Synthesisers of each family, built small by their own classes with random weights."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def vits(folder: Path) -> None:
    shape = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "window_size": 2, "ffn_dim": 16,
        "flow_size": 16, "spectrogram_bins": 17, "upsample_initial_channel": 32, "upsample_rates": [4, 4],
        "upsample_kernel_sizes": [8, 8], "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]],
        "prior_encoder_num_flows": 2, "prior_encoder_num_wavenet_layers": 1, "posterior_encoder_num_wavenet_layers": 1,
        "duration_predictor_num_flows": 2, "depth_separable_num_layers": 2, "depth_separable_channels": 2,
        "duration_predictor_filter_channels": 16, "wavenet_kernel_size": 3, "num_speakers": 3,
        "speaker_embedding_size": 4, "sampling_rate": 8_000,
    }  # fmt: skip
    model = tf.VitsModel(tf.VitsConfig(vocab_size=40, **shape))
    with torch.no_grad():
        model.decoder.conv_post.weight.mul_(0.01)  # else random weights make it one long clipping
    model.save_pretrained(folder)
    letters = {letter: number for number, letter in enumerate(f"_{LETTERS} '")}
    (folder / "letters.json").write_text(json.dumps({**letters, "<unk>": len(letters)}))
    tf.VitsTokenizer(str(folder / "letters.json"), pad_token="_", unk_token="<unk>", phonemize=False).save_pretrained(
        folder
    )
    (folder / "letters.json").unlink()


def speecht5(folder: Path) -> None:
    sentencepiece = importlib.import_module("sentencepiece")
    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog", LETTERS] * 20), model_writer=pieces,
        model_type="char", vocab_size=34, hard_vocab_limit=False, bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        bos_piece="<s>", minloglevel=2,
    )  # fmt: skip
    folder.mkdir()
    (folder / "spm_char.model").write_bytes(pieces.getvalue())
    words = tf.SpeechT5Tokenizer(str(folder / "spm_char.model"))
    words.save_pretrained(folder)
    shape = {
        "hidden_size": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_mel_bins": 8,
        "speech_decoder_prenet_units": 8, "speech_decoder_postnet_units": 8, "speech_decoder_postnet_layers": 2,
        "speaker_embedding_dim": 6, "max_text_positions": 64, "max_speech_positions": 1000, "conv_dim": [8],
        "conv_kernel": [3], "conv_stride": [2], "num_feat_extract_layers": 1,
    }  # fmt: skip
    model = tf.SpeechT5ForTextToSpeech(tf.SpeechT5Config(vocab_size=len(words), **shape))
    with torch.no_grad():
        for item in model.parameters():
            item.add_(torch.randn_like(item) * 0.1)
        model.speech_decoder_postnet.prob_out.bias.fill_(-20)  # speaks for as long as it may
    model.save_pretrained(folder)


def vocoder(folder: Path) -> None:
    config = tf.SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], sampling_rate=22_050,
    )  # fmt: skip
    tf.SpeechT5HifiGan(config).save_pretrained(folder)


def bark(folder: Path) -> None:
    size = {"block_size": 64, "num_layers": 1, "num_heads": 2, "hidden_size": 16, "bias": True}
    codes = {"input_vocab_size": 64, "output_vocab_size": 64}
    codec = tf.EncodecConfig(
        num_filters=4, hidden_size=8, upsampling_ratios=[4, 2], codebook_size=16, codebook_dim=8, num_lstm_layers=1,
        target_bandwidths=[48.0], sampling_rate=24_000,
    )  # fmt: skip
    config = tf.BarkConfig(
        semantic_config={"input_vocab_size": 60, "output_vocab_size": 40, **size},
        coarse_acoustics_config={**codes, **size},
        fine_acoustics_config={**codes, "n_codes_total": 4, "n_codes_given": 1, **size},
        codec_config=codec.to_dict(),
    )
    model = tf.BarkModel(config)
    for layer in model.codec_model.quantizer.layers:
        layer.codebook.embed.normal_()  # which starts as zeros: every code would sound alike
    model.generation_config = tf.GenerationConfig()  # its own class cannot be saved by this release of the library
    model.save_pretrained(folder)
    stages = {
        "semantic_config": {
            "eos_token_id": 20, "max_new_tokens": 12, "do_sample": True, "text_encoding_offset": 25,
            "text_pad_token": 24, "semantic_infer_token": 59, "semantic_vocab_size": 20, "max_input_semantic_length": 16,
        },
        "coarse_acoustics_config": {
            "do_sample": True, "coarse_semantic_pad_token": 60, "coarse_infer_token": 61, "max_coarse_input_length": 16,
            "max_coarse_history": 20, "sliding_window_len": 8,
        },
        "fine_acoustics_config": {
            "temperature": 0.5, "max_fine_history_length": 16, "max_fine_input_length": 32, "n_fine_codebooks": 4,
        },
    }  # fmt: skip
    fields = {"model_type": "bark", "sample_rate": 24_000, "codebook_size": 16, **stages}
    (folder / "generation_config.json").write_text(json.dumps(fields))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]
    tf.BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
