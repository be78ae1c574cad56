"""The judge of sounds: what is heard, how often, how high.

mel        sounds as pictures of their frequencies           net      such a picture to logits
nonsense   what sounds like things and is none               ear      a sound's facts
augment    sounds as vocoders and rooms make them            task     training
"""
