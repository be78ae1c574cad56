"""What people ask of the pocket model: requests by cells of input and output, for its training and for its score.

request     a request as data: turns, what is shown, what the answer says and makes
wordings    in which words things are asked; some are never trained on
cells       drawing a request of a cell, its compositions and wordings trained on or held out
talk        requests for several things in one answer, and over two turns
named       whether words say the facts that were asked for
records     all of them as records to train on, with the media that they show
"""
