"""How good the generators are, as the judges of the pocket world tell it.

asked       held-out prompts of a test       measures    what has to be right
media       what is drawn, judged, counted   judging     facts, and vectors for Fréchet distances
makers      weights that make media          score       shares of the judges' ceilings, as a table
sheets      samples to be looked at          schedulers  how few steps are enough, measured
"""
