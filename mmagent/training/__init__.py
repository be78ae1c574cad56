"""Training: a loop that can be stopped anywhere and goes on as if it had not been.

loop        steps, learning rate, average of weights          checkpoint  what is kept of a run, written at once or not
data/       records and their readers, wordings, mixing       shards/     frozen features and targets, memory-mapped
"""
