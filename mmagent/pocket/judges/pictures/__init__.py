"""The judge of pictures and videos: two small networks, and plain geometry on what they find.

net        finding what lies in pictures, naming     eye      a picture's facts, a video's facts
drawn      training pictures and their targets       ground   which background, by colour
nonsense   what looks like things and is none        motion   how the thing of a video moves
augment    pictures as generators and files make them        task     training
"""
