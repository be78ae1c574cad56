"""Sound that its owner says is speech."""

from __future__ import annotations

from mmagent import Audio, Speech, tool


@tool(name="declare-speech.v1", kind="converter", inline=True, cost=0.0001, lossy=True)
def declare_speech(audio: Audio) -> Speech:
    """Declare a sound to be speech, unheard; `speech-detector.v1` listens first.

    It is a claim and may be wrong, so it is marked lossy: no route puts it in silently.
    """
    return audio if isinstance(audio, Speech) else Speech(audio.array, audio.rate)
