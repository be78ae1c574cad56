"""A run of training as a file: which model, which stage, which data, how long; checked before, saved after.

spec    train.yaml              data    the readers that it names        check   what cannot work, said beforehand
room    model, data and stage put together     train   the run itself
"""
