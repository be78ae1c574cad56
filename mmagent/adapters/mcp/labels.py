"""What our server adds for our client to what the protocol has: where a card says more than a JSON schema can.

Others pass these over. None of them makes a client do what it would not do else: they name ports and outputs.
"""

from __future__ import annotations

PORT = "x-mmagent-port"
"""In a parameter's schema: the port that it fills, written as a graph writes it, `list[image]`."""

SEED = "x-mmagent-seed"
"""In a parameter's schema: that it is the seed of the call, which the engine gives, and no setting."""

OUTPUTS = "mmagent/outputs"
"""In a tool's `_meta`: its outputs by name, each written as a port."""

OUTPUT = "mmagent/output"
"""In a content block's `_meta`: the output that the block is an item of."""

MODALITY = "mmagent/modality"
"""In a content block's `_meta`: what the medium is, where its file looks like something wider: speech, not audio."""

COPY = "mmagent/copy"
"""In a resource link's `_meta`: that the block before it holds the same, whole."""

NAMED = ";modality="
"""In a data URI that our client sends to our server: what the medium is, as `MODALITY` in a block."""

SCHEME = "mmagent://media/"
"""How the addresses of media that a server holds begin."""
