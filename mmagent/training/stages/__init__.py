"""The stages of training a multimodal LLM: each says in one method what it trains and what it leaves frozen.

align-inputs    input projectors, by words               instruct   LoRA and what hangs on its states
align-outputs   output projectors and signal rows        prefer     LoRA, by pairs of replies
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmagent.training.stages.align_inputs import AlignInputs
from mmagent.training.stages.align_outputs import AlignOutputs
from mmagent.training.stages.instruct import Instruct
from mmagent.training.stages.parted import Parted
from mmagent.training.stages.prefer import Prefer
from mmagent.training.stages.school import School
from mmagent.training.stages.spec import Stage

__all__ = ["AlignInputs", "AlignOutputs", "Instruct", "Parted", "Prefer", "School", "Stage", "StageSpec"]

StageSpec = Annotated[AlignInputs | AlignOutputs | Instruct | Prefer, Field(discriminator="kind")]
