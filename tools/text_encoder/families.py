"""What is true of all text encoders of a type, by the `model_type` in their config."""

from __future__ import annotations

TOWERS = {
    "clip": "CLIPTextModel",
    "clip_text_model": "CLIPTextModel",
    "clap": "ClapTextModelWithProjection",  # the one class that finds its weights within the whole model's
    "siglip": "SiglipTextModel",
    "siglip2": "Siglip2TextModel",
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
}
"""Models of which the text encoder is a part; the others load as AutoModel."""

UNMASKED = ("clip", "siglip")
"""How the types begin that were trained, and are used by pipelines, without a mask over the padding."""

PADDED = {
    "albert", "bart", "bert", "camembert", "deberta-v2", "distilbert", "electra", "eurobert", "gemma3_text", "gte",
    "jina_embeddings_v3", "llama", "m2m_100", "marian", "mistral", "modernbert", "mpnet", "nomic_bert", "qwen2", "qwen3",
    "roberta", "xlm-roberta", *TOWERS,
}  # fmt: skip
"""Types whose states are the same whatever follows behind the mask, so that texts of unlike lengths go together.

FNet has no mask, and in ConvBERT, MobileBERT and Nyströmformer states take from their neighbours past it.
"""


def class_of(kind: str, output: str) -> str:
    """The class of transformers that makes the output and loads no more than it has to."""
    tower = TOWERS.get(kind, "AutoModel")
    return f"{tower}WithProjection" if output == "projected" and tower == "CLIPTextModel" else tower
