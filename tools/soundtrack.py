"""The sound of a video."""

from __future__ import annotations

from mmagent import Audio, Video, tool


@tool(name="soundtrack.v1", kind="converter", inline=True, cost=0.0001, lossy=True)
def soundtrack(video: Video) -> Audio | None:
    """Give the sound track of a video, or nothing if it has none."""
    return video.audio
