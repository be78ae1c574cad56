"""Pictures out of a video."""

from __future__ import annotations

from mmagent import Image, Video, tool


@tool(name="video-frames.v1", kind="converter", cost=0.02, lossy=True)
def video_frames(video: Video, count: int = 8) -> list[Image]:
    """Take `count` frames spread evenly over a video, each the middle one of its share; a short video gives all it has."""
    if count < 1:
        raise ValueError(f"video-frames: count is at least 1, not {count}")
    n_frames = len(video.array)
    taken = min(count, n_frames)
    return [Image(video.array[(2 * index + 1) * n_frames // (2 * taken)]) for index in range(taken)]
