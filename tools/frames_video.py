"""A video out of pictures."""

from __future__ import annotations

from mmagent import Image, Video, tool


@tool(name="frames-video.v1", kind="converter", cost=0.02)
def frames_video(images: list[Image], fps: float = 8.0) -> Video:
    """Show pictures one after the other, `fps` a second; they are RGB from then on and have to be of one size."""
    if not images:
        raise ValueError("frames-video: a video needs at least one picture")
    sizes = sorted({(image.width, image.height) for image in images})
    if len(sizes) > 1:
        listed = ", ".join(f"{width} × {height}" for width, height in sizes)
        raise ValueError(f"frames-video: the pictures are of several sizes ({listed}); put resize.v1 before it")
    import numpy as np

    return Video(np.stack([image.rgb() for image in images]), fps=fps)  # [N, H, W, 3]
