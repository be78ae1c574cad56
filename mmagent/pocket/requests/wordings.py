"""In which words things are asked. Of each way of asking some wordings are trained on, others are for tests alone.

Holes are filled by whoever asks: {a} a thing with its article, {them} its plural, {caption} a whole caption, {tinted} a
background with its article, {number} a number word, {times} how often and {pitch} how high, {move} a motion as a verb.
"""

from __future__ import annotations

from random import Random

TRAINED: dict[str, tuple[str, ...]] = {
    # -- questions
    "describe image": ("Describe the picture.", "What does the picture show?", "What do you see?", "Tell me what is in this picture."),
    "describe video": ("Describe the video.", "What happens in the video?", "What do you see in the clip?", "Tell me what moves, and how."),
    "describe sound": ("Describe the sound.", "What do you hear?", "What is heard, and how often?", "Tell me what this sound is."),
    "what image": ("What is it?", "What is in the picture?", "Which thing is this?", "Name the thing in the picture."),
    "what video": ("What moves?", "Which thing moves in the video?", "What is moving?", "Name the thing that moves."),
    "what sound": ("What is it?", "What makes this sound?", "Which thing is heard?", "Name what is heard."),
    "what points": ("What is it?", "Which solid is this?", "What shape is this?", "Name the thing that has this shape."),
    "background": ("What colour is the background?", "Which colour is behind it?", "What is the background colour?"),
    "count": ("How many {them} are there?", "How many {them} do you see?", "Count the {them}."),
    "how often": ("How often is it heard?", "How many times do you hear it?", "How often does it sound?"),
    "motion": ("How does it move?", "What does it do?", "Which way does it go?"),
    "left of": ("What is left of {a}?", "What is to the left of {a}?", "Which thing is to the left of {a}?"),
    "right of": ("What is right of {a}?", "What is to the right of {a}?", "Which thing is to the right of {a}?"),
    "above": ("What is above {a}?", "What is over {a}?", "Which thing is above {a}?"),
    "below": ("What is below {a}?", "What is under {a}?", "Which thing is below {a}?"),
    "there": ("Is there {a}?", "Is {a} there?", "Do you see {a}?"),
    # -- wishes
    "make image": ("Draw {caption}.", "Paint {caption}.", "Make a picture of {caption}.", "Please draw {caption}.", "I want a picture of {caption}."),
    "make sound": ("Play {caption}.", "Make {caption}.", "Let me hear {caption}.", "Please play {caption}.", "I want to hear {caption}."),
    "make video": ("Animate {caption}.", "Make a video of {caption}.", "Film {caption}.", "Please make a clip of {caption}.", "I want a video of {caption}."),
    "say": ("Say: {caption}", "Say aloud: {caption}", "Read this aloud: {caption}", "Speak these words: {caption}"),
    "other ground": ("Draw it again on {tinted} background.", "Draw it on {tinted} background instead.", "Make the background {ground}.", "The same picture on {tinted} background, please."),
    "several": ("Draw {number} of them.", "Draw {number} {them} on the same background.", "Make it {number}.", "Now a picture with {number} of them."),
    "draw source": ("Draw it on {tinted} background.", "Draw what this is on {tinted} background.", "Make a picture of it on {tinted} background.", "Paint it, with {tinted} background."),
    "draw": ("Draw it.", "Draw what this is.", "Make a picture of it.", "Paint it."),
    "its sound": ("Play its sound{times}{pitch}.", "Make its sound{times}{pitch}.", "Let me hear it{times}{pitch}.", "What does it sound like? Play it{times}{pitch}."),
    "again": ("Play it again{times}{pitch}.", "Repeat the sound{times}{pitch}.", "Make the same sound{times}{pitch}.", "Again, but{times}{pitch}."),
    "make move": ("Make it {move}.", "Animate it: let it {move}.", "Make a video in which it does {move}.", "Let it {move}."),
    "make move on": ("Make a video of it on {tinted} background: let it {move}.", "Animate it on {tinted} background and let it {move}.", "Show it in a clip on {tinted} background, where it should {move}."),
    "other way": ("Make it move the other way round.", "The other way round, please.", "Make a video in which it does the opposite.", "Turn its motion round."),
    # -- frames around a question whose answer is to be spoken
    "aloud": ("{question} Tell me aloud.", "Say it aloud: {question}", "{question} Answer by voice.", "Speak the answer. {question}"),
    # -- a description and a question about it
    "told": ("Imagine {caption}. {question}", "Picture this: {caption}. {question}", "Think of {caption}. {question}"),
    "moving": ("{a} that {moves} on {tinted} background", "{a} that {moves}, {ground} background", "{a} on {ground} that {moves}"),
    # -- wishes for several things; {One} begins a sentence
    "two": ("{One} Then {two}", "First, {one} Then {two}", "{One} After that, {two}"),
    "three": ("{One} Then {two} Then {three}", "First, {one} Then {two} Last, {three}", "{One} After that, {two} Then {three}"),
    "now on": ("Now on {tinted} background.", "And now on {tinted} background.", "Change the background to {ground}."),
}  # fmt: skip
TESTED: dict[str, tuple[str, ...]] = {
    "describe image": ("What can be seen in the picture?", "Give me a description of this image."),
    "describe video": ("What can be seen in the video?", "Give me a description of this clip."),
    "describe sound": ("What can be heard here?", "Give me a description of this sound."),
    "what image": ("What object is that?", "What is shown here?"),
    "what video": ("What object is in motion?", "Which object moves here?"),
    "what sound": ("What object sounds like that?", "What was that?"),
    "what points": ("What object has this form?", "Which object do these points show?"),
    "background": ("Tell me the colour of the background.", "In front of which colour is it?"),
    "count": ("What is the number of {them}?", "Tell me how many {them} there are."),
    "how often": ("Tell me how many times it is heard.", "How often can you hear it?"),
    "motion": ("In which way does it move?", "Tell me how it moves."),
    "left of": ("Tell me what is to the left of {a}.", "What stands left of {a}?"),
    "right of": ("Tell me what is to the right of {a}.", "What stands right of {a}?"),
    "above": ("Tell me what is above {a}.", "What hangs above {a}?"),
    "below": ("Tell me what is below {a}.", "What lies below {a}?"),
    "there": ("Can you see {a}?", "Does it show {a}?"),
    "make image": ("Could you draw {caption}?", "Sketch {caption} for me.", "Show me a picture of {caption}."),
    "make sound": ("Could you play {caption}?", "Give me {caption}, so that I can hear it.", "Sound out {caption}."),
    "make video": ("Could you animate {caption}?", "Show me a video of {caption}.", "Create a short clip of {caption}."),
    "say": ("Could you say this aloud: {caption}", "Pronounce: {caption}"),
    "other ground": ("Could you redraw it with {tinted} background?", "Put it on {tinted} background."),
    "several": ("Could you draw {number} {them} like that?", "Give me a picture of {number} such {them}."),
    "draw source": ("Could you draw that on {tinted} background?", "Sketch it in front of {tinted} background."),
    "draw": ("Could you draw that?", "Sketch it for me."),
    "its sound": ("Could you play what it sounds like{times}{pitch}?", "I want to hear its sound{times}{pitch}."),
    "again": ("Could you play that once more, I mean{times}{pitch}?", "The same thing{times}{pitch}, please."),
    "make move": ("Could you make it {move}?", "Show me a clip where it starts to {move}."),
    "make move on": ("Could you show it on {tinted} background in a video where it starts to {move}?", "Film it in front of {tinted} background, it should {move}."),
    "other way": ("Could you reverse the way it moves?", "Show it moving in the opposite way."),
    "aloud": ("{question} I want to hear the answer.", "With your voice, please: {question}"),
    "told": ("Suppose we have {caption}. {question}", "Consider {caption}. {question}"),
    "moving": ("{a} that {moves} against {tinted} background", "{a} that {moves} with {tinted} background"),
    "two": ("{One} And then {two}", "To begin with, {one} Next, {two}"),
    "three": ("{One} And then {two} And then {three}", "To begin with, {one} Next, {two} Finally, {three}"),
    "now on": ("The same on {tinted} background.", "I would like {tinted} background instead."),
}  # fmt: skip


def worded(way: str, random: Random, *, tested: bool, **holes: str) -> str:
    """A way of asking in words drawn by chance."""
    return random.choice((TESTED if tested else TRAINED)[way]).format(**holes)
