"""The judge of solids: whose shape a cloud of points is.

net        clouds to logits, however they are turned         hand     a cloud's facts
nonsense   clouds that are no solid's                        task     training, augmentation
"""
