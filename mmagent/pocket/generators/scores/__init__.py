"""How good the generators are, as the judges of the pocket world tell it.

asked       held-out prompts of the test     measures    what has to be right, and how often
media       what is drawn, judged, measured  features    a judge's vectors, for Fréchet distances
makers      weights that make media          score       shares of the judges' ceilings, as a table
sheets      samples to be looked at          schedulers  how few steps are enough, measured
"""
