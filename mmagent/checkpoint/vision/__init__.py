"""Image encoders out of a user's checkpoint: what their configs tell before loading, and how they run.

`facts` reads JSON and touches no network; `Tower.load` reads the weights. The tools for pictures and for videos are
made of these. It knows nothing of tools, cards and media.
"""

from __future__ import annotations

from mmagent.checkpoint.vision.choice import Choice, Output
from mmagent.checkpoint.vision.facts import Facts, facts
from mmagent.checkpoint.vision.tower import Tower
from mmagent.checkpoint.vision.video import load_video, video_facts

__all__ = ["Choice", "Facts", "Output", "Tower", "facts", "load_video", "video_facts"]
