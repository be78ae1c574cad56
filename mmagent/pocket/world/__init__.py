"""A small world of things that can be drawn, moved, heard and held, made from openly licensed pictures and sounds.

catalogue   the things, sounds and solids, one table         sprites   pictures of things at every size
scenes      pictures: one to three things on a background    videos    a thing that moves
sounds      a sound, so many times, at a pitch               solids    surfaces as clouds of points
splits      which combinations are never trained on          words     how people put all that
files       media and records on disk                        page      samples to look at and listen to

Everything is a pure function of a seed. A *spec* (Scene, Clip, Noise, Cloud) says what there is; rendering it gives
arrays; its facts are what a judge is asked about.
"""
