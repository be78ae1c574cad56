"""The judges of the pocket world: what is really to be seen, heard and felt in a medium, as facts.

facts       what a judge says it finds                       verdict     those facts against what was asked for
pictures/   things, how many, where, how large, what moves   sounds/     what is heard, how often, how high
solids/     whose shape it is                                speech      words, by recognition
score       ceilings, refusals, tables of confusion          shipped     weights, told by their digests

Each was trained on seeds and augmentations of its own and shares no weights with what it judges. What is nothing of
the world (noise, two things blended, a thing half faded) it calls `none`.
"""
