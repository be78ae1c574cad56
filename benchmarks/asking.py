"""How well a model without trained signals tells what a request asks for: precision and recall, per modality.

    python benchmarks/asking.py [MODEL] [--wrong]

`TUNED` were looked at while the examples and the prior in `model.yaml` were chosen; of `SEEN` the mistakes were
read once, before the examples became single sentences; `HELD_OUT` was written afterwards and changed nothing. `SEVERAL`
ask for two things in a sentence, or look as if they did; the margin was chosen on them, and `SEVERAL_HELD_OUT`
changed nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmagent.model.spec import ModelSpec
from mmagent.model.zoo import find

Labelled = tuple[str, str]
"""A request and the kinds of media that it asks for, or `text`."""

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


SEVERAL: tuple[Labelled, ...] = (
    ("Say it aloud, then draw two.", "speech image"),
    ("Draw a cat, then say what it is out loud.", "image speech"),
    ("Draw a boat, and play the sound of the sea.", "image audio"),
    ("Draw a cat and play the sound it makes.", "image audio"),
    ("Paint a storm, and let me hear the thunder.", "image audio"),
    ("Make a video of a dog running, and play a bark.", "video audio"),
    ("What is this? Say it aloud, then draw another one.", "speech image"),
    ("Answer with your voice and sketch a map.", "speech image"),
    ("Play a bell, then make a video of it.", "audio video"),
    ("Show me a picture of a lake, then animate it.", "image video"),
    ("Draw a tree, a house, and a red car.", "image"),
    ("Draw a cat sitting on a box, with a blue hat.", "image"),
    ("Please speak slowly, clearly, and loudly.", "speech"),
    ("Play a guitar, some drums, and a flute.", "audio"),
    ("Make a video of a ball that rolls, falls, and bounces.", "video"),
    ("If it rains, what should I wear?", "text"),
    ("What is the difference between a cat, a dog, and a fox?", "text"),
    ("Give me a list of painters, with their pictures.", "text"),
    ("In the recording, who is speaking?", "text"),
    ("Well, how do I draw a circle?", "text"),
    ("In the video, what does the man say?", "text"),
    ("Who painted it, and when?", "text"),
    ("First tell me what it is, then draw it.", "image"),
    ("Tell me what a violin is, then play one.", "audio"),
)

SEVERAL_HELD_OUT: tuple[Labelled, ...] = (
    ("Read it out loud, then paint it.", "speech image"),
    ("Sketch a bird, then play its song.", "image audio"),
    ("Draw a clock and make it tick.", "image audio"),
    ("Say hello aloud, and show me a picture of the sun.", "speech image"),
    ("Play the sound of rain, then show a clip of a river.", "audio video"),
    ("Make a short film of a train, and tell me aloud where it goes.", "video speech"),
    ("What is in the picture? Say it aloud, then draw two of them.", "speech image"),
    ("Paint a garden with roses, tulips, and bees.", "image"),
    ("Draw me an old man, smiling.", "image"),
    ("Speak to me, please.", "speech"),
    ("Let me hear a cow, a pig, and a hen.", "audio"),
    ("Animate a kite, high over the beach.", "video"),
    ("Tell me, what is a melody?", "text"),
    ("Why, in your opinion, do people paint?", "text"),
    ("In this photo, what is behind the tree?", "text"),
    ("When I sing, my dog howls, why?", "text"),
    ("Is the film long, or short?", "text"),
    ("What is it, and what sound does it make?", "text"),
    ("Explain what an owl is, then draw one.", "image"),
    ("Yes, and how are videos recorded?", "text"),
)

SETS: tuple[tuple[str, tuple[Labelled, ...]], ...] = (
    ("tuned", TUNED),
    ("seen once", SEEN),
    ("held out", HELD_OUT),
    ("several, tuned", SEVERAL),
    ("several, held out", SEVERAL_HELD_OUT),
)


def weigh(spec: ModelSpec, requests: Sequence[str]) -> list[set[str]]:
    """The kinds of media that each request is taken to ask for, or `text` alone."""
    from mmagent.conversation import Conversation, message
    from mmagent.fetch import fetch
    from mmagent.model.backbones.causal import CausalBackbone
    from mmagent.model.speaker import Speaker

    speaker = Speaker(spec, CausalBackbone.load(fetch(spec.backbone.weights or "")))
    found = []
    for request in requests:
        parts = speaker.asking.parts(Conversation([message("user", request)]), tuple(spec.outputs))
        found.append(set(parts) - {"text"} or {"text"})
    return found


def table(wanted: Sequence[set[str]], found: Sequence[set[str]]) -> str:
    """Precision and recall of every kind, and how many requests are taken for just what they ask for."""
    lines = []
    for kind in ("text", "image", "audio", "speech", "video"):
        asked = [kind in kinds for kinds in wanted]
        taken = [kind in kinds for kinds in found]
        both = sum(a and b for a, b in zip(asked, taken))
        lines.append(f"  {kind:8} precision {both / max(1, sum(taken)):.2f}  recall {both / max(1, sum(asked)):.2f}")
    right = sum(a == b for a, b in zip(wanted, found))
    return "\n".join([*lines, f"  right    {right} of {len(wanted)}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="pocket")
    parser.add_argument("--wrong", action="store_true", help="list the requests that were taken wrongly")
    chosen = parser.parse_args()
    rest = iter(weigh(find(chosen.model), [request for _, requests in SETS for request, _ in requests]))
    for name, requests in SETS:
        wanted = [set(label.split()) for _, label in requests]
        found = [next(rest) for _ in requests]
        print(f"{name}\n{table(wanted, found)}")
        for (request, label), kinds in zip(requests, found):
            if chosen.wrong and kinds != set(label.split()):
                print(f"    {request!r} is {label}, taken for {' '.join(sorted(kinds))}")


if __name__ == "__main__":
    main()
