"""Traces: everything that happened in a turn, as data and as one self-contained page."""

from mmagent.trace.data import Candidate, Edge, Node, Part, Route, Step, Trace, Wire

__all__ = ["Candidate", "Edge", "Node", "Part", "Route", "Step", "Trace", "Wire"]
