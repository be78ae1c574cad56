"""The engine: plans and runs checked graphs. It knows tools by their contract alone, and no model.

plan        a checked graph compiled: slots, recipes, who waits for whom
run         Engine: run, arun, stream, astream                graph     Graph, for users
scheduler   one run: a state machine without a thread         frame     one graph of it
job         one call: cache, lease, attempts, timeout         each      one call an item of a list
context     what a call may say and ask                       splice    subgraphs added while it runs
ports       what may enter a port                             outcome   what a tool gave
instances   loaded tools, lent out                            flights   identical calls made once
threads     workers for sync tools                            loop      the loop for async tools and timers
cache       results in memory                                 store     results on disk
keys        recipe keys and seeds                         code      what tells tools of one name apart
source      where a module's code comes from              cancel    the switch that stops a run
events      what a run tells                                  result    what it leaves
stream      events for those who iterate
"""

from mmagent.engine.cache import Cache
from mmagent.engine.cancel import CancelToken
from mmagent.engine.events import Call, Event, Handle
from mmagent.engine.result import Result
from mmagent.engine.run import Engine, default_engine
from mmagent.engine.store import Store

__all__ = ["Cache", "Call", "CancelToken", "Engine", "Event", "Handle", "Result", "Store", "default_engine"]
