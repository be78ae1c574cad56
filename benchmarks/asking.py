"""How well a model without trained signals tells what a request asks for: precision and recall, per modality.

    python benchmarks/asking.py [MODEL] [--wrong]

`TUNED` were looked at while the examples and the prior in `model.yaml` were chosen; of `SEEN` the mistakes were
read once, before the examples became single sentences; `HELD_OUT` was written afterwards and changed nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmagent.model.spec import ModelSpec
from mmagent.model.zoo import find

Labelled = tuple[str, str]

TUNED: tuple[Labelled, ...] = (
    ("Draw a cat.", "image"),
    ("Can you paint a house by the sea?", "image"),
    ("I'd like a picture of two dogs.", "image"),
    ("Make a drawing of a robot.", "image"),
    ("Show me an image of a green apple.", "image"),
    ("Sketch a bicycle for me.", "image"),
    ("Say hello out loud.", "speech"),
    ("Read this sentence aloud: the sun is warm.", "speech"),
    ("Tell me with your voice what time means.", "speech"),
    ("Please speak your answer: what is 2 + 2?", "speech"),
    ("What is this? Say it aloud.", "speech"),
    ("Play the sound of a bell.", "audio"),
    ("Make a drum noise three times.", "audio"),
    ("I want to hear a guitar.", "audio"),
    ("Can you make the sound of rain?", "audio"),
    ("Let me hear a dog bark.", "audio"),
    ("Make a video of a ball bouncing.", "video"),
    ("Animate a car moving to the left.", "video"),
    ("Show a clip of a rocket flying up.", "video"),
    ("Create a short film of a fish swimming.", "video"),
    ("What is the capital of France?", "text"),
    ("How many legs does a spider have?", "text"),
    ("Who wrote Hamlet?", "text"),
    ("What animal is in this picture?", "text"),
    ("Describe the video.", "text"),
    ("What sound is this?", "text"),
    ("Thank you!", "text"),
    ("Explain what a drum is.", "text"),
    ("Write a poem about the moon.", "text"),
    ("How do I record a video with my phone?", "text"),
    ("Which painter made the Mona Lisa?", "text"),
    ("Is there a dog in the photo?", "text"),
    ("What did the speaker say?", "text"),
    ("Hello, how are you?", "text"),
    ("Translate 'good morning' into Spanish.", "text"),
    ("Why is the sky blue?", "text"),
)

SEEN: tuple[Labelled, ...] = (
    ("Draw a red car on a road.", "image"),
    ("Paint me a sunset over mountains.", "image"),
    ("Could you draw a small yellow bird?", "image"),
    ("Please make a picture of a castle.", "image"),
    ("I want to see a drawing of a tree.", "image"),
    ("Create an image of three balloons.", "image"),
    ("Show me what a dragon looks like.", "image"),
    ("Generate a photo of a blue cup on a table.", "image"),
    ("Illustrate a rabbit in the snow.", "image"),
    ("Give me a sketch of a boat.", "image"),
    ("Make me a painting with flowers.", "image"),
    ("Draw two stars next to a moon.", "image"),
    ("Say good morning aloud.", "speech"),
    ("Read the answer out loud: who invented the telephone?", "speech"),
    ("Speak to me: tell me a fun fact.", "speech"),
    ("What is the largest ocean? Answer with your voice.", "speech"),
    ("Tell me aloud what is in the picture.", "speech"),
    ("Read this to me: all roads lead to Rome.", "speech"),
    ("What animal is this? Say it out loud, please.", "speech"),
    ("Pronounce the word 'tomato' for me.", "speech"),
    ("I can't read now, so please speak the answer: what is a comet?", "speech"),
    ("Say your name out loud.", "speech"),
    ("Announce that dinner is ready in a spoken voice.", "speech"),
    ("How do you say 'cat' in French? Speak it.", "speech"),
    ("Play a piano note.", "audio"),
    ("Make the sound of thunder.", "audio"),
    ("I'd like to hear a telephone ring.", "audio"),
    ("Play the noise a cow makes.", "audio"),
    ("Let me hear a church bell.", "audio"),
    ("Produce a loud boom.", "audio"),
    ("Give me the sound effect of a closing door.", "audio"),
    ("Play some drums.", "audio"),
    ("Can I hear what an owl sounds like?", "audio"),
    ("Ring a bell twice.", "audio"),
    ("Animate a balloon going up.", "video"),
    ("Make a short video of a running horse.", "video"),
    ("Show me a clip where a ball rolls to the right.", "video"),
    ("Create an animation of a growing plant.", "video"),
    ("I want a movie of a train passing by.", "video"),
    ("Film a boat crossing a lake.", "video"),
    ("Generate a video of falling leaves.", "video"),
    ("Make the star move across the sky in a video.", "video"),
    ("What is the largest planet?", "text"),
    ("How tall is Mount Everest?", "text"),
    ("Who painted the Starry Night?", "text"),
    ("What color is the car in the picture?", "text"),
    ("What instrument do you hear in this recording?", "text"),
    ("How many people are in the video?", "text"),
    ("Tell me about the history of Rome.", "text"),
    ("Give me a recipe for pancakes.", "text"),
    ("What does 'photosynthesis' mean?", "text"),
    ("Can you help me with my homework?", "text"),
    ("Is the cat sleeping?", "text"),
    ("What is the speed of sound?", "text"),
    ("How does a camera work?", "text"),
    ("When was the first film made?", "text"),
    ("Summarize the story of Cinderella.", "text"),
    ("What is 15 times 4?", "text"),
    ("Which language is spoken in Brazil?", "text"),
    ("Good night!", "text"),
    ("Why do dogs bark?", "text"),
    ("What is in this picture?", "text"),
)

HELD_OUT: tuple[Labelled, ...] = (
    ("Draw a penguin with a hat.", "image"),
    ("I need a picture of a bridge.", "image"),
    ("Can you sketch my grandmother's house?", "image"),
    ("Paint a bowl of fruit.", "image"),
    ("Show me a nice photo of a waterfall.", "image"),
    ("Draw four apples in a row.", "image"),
    ("Say goodbye out loud.", "speech"),
    ("Who was the first man on the moon? Tell me aloud.", "speech"),
    ("Please read your answer to me in a voice.", "speech"),
    ("What is this animal called? Say it aloud.", "speech"),
    ("Speak slowly and tell me what a volcano is.", "speech"),
    ("Play the sound of a siren.", "audio"),
    ("I want to hear waves on a beach.", "audio"),
    ("Make a drum roll.", "audio"),
    ("Let me hear how a lion roars.", "audio"),
    ("Play a short tune on a flute.", "audio"),
    ("Make an animation of a bouncing cube.", "video"),
    ("Show me a video of a cat jumping.", "video"),
    ("Animate the moon rising.", "video"),
    ("I would like a clip of a wheel turning to the left.", "video"),
    ("What is in the photo?", "text"),
    ("Who is the woman in this picture?", "text"),
    ("What is happening in the video?", "text"),
    ("What made that noise?", "text"),
    ("What did he say in the recording?", "text"),
    ("How many continents are there?", "text"),
    ("Why do leaves turn red?", "text"),
    ("Write an email to my boss.", "text"),
    ("What is a drum made of?", "text"),
    ("Who directed the film Jaws?", "text"),
    ("How do I draw a face?", "text"),
    ("Thanks, that was helpful.", "text"),
)


def weigh(spec: ModelSpec, requests: Sequence[Labelled]) -> list[str]:
    """The first kind of media that each request is taken to ask for, or `text`."""
    import torch

    from mmagent.conversation import Conversation, message
    from mmagent.fetch import fetch
    from mmagent.model.backbones.causal import CausalBackbone
    from mmagent.model.speaker import Speaker

    torch.set_num_threads(2)
    speaker = Speaker(spec, CausalBackbone.load(fetch(spec.backbone.weights or "")))
    found = []
    for request, _ in requests:
        parts = speaker.asking.parts(Conversation([message("user", request)]), tuple(spec.outputs))
        found.append(next((part for part in parts if part != "text"), "text"))
    return found


def table(requests: Sequence[Labelled], found: Sequence[str]) -> str:
    """Precision and recall of every kind, and the share that is right."""
    lines = []
    for kind in ("text", "image", "audio", "speech", "video"):
        wanted = [label == kind for _, label in requests]
        said = [item == kind for item in found]
        both = sum(a and b for a, b in zip(wanted, said))
        lines.append(f"  {kind:8} precision {both / max(1, sum(said)):.2f}  recall {both / max(1, sum(wanted)):.2f}")
    right = sum(label == item for (_, label), item in zip(requests, found))
    return "\n".join([*lines, f"  right    {right} of {len(requests)}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="pocket")
    parser.add_argument("--wrong", action="store_true", help="list the requests that were taken wrongly")
    chosen = parser.parse_args()
    found = weigh(find(chosen.model), TUNED + SEEN + HELD_OUT)
    for name, requests, kinds in (
        ("tuned", TUNED, found[: len(TUNED)]),
        ("seen once", SEEN, found[len(TUNED) : -len(HELD_OUT)]),
        ("held out", HELD_OUT, found[-len(HELD_OUT) :]),
    ):
        print(f"{name}\n{table(requests, kinds)}")
        for (request, label), kind in zip(requests, kinds):
            if chosen.wrong and kind != label:
                print(f"    {request!r} is {label}, taken for {kind}")


if __name__ == "__main__":
    main()
