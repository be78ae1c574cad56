"""Human raters: two systems' answers side by side on a page that does not say whose they are, and the votes read back.

pairing   whose answer is on which side    page    the page and its files    votes   who won
"""

from mmagent.evaluation.raters.page import write
from mmagent.evaluation.raters.pairing import Key, Pair, pair
from mmagent.evaluation.raters.votes import Verdict, Votes, tally

__all__ = ["Key", "Pair", "Verdict", "Votes", "pair", "tally", "write"]
