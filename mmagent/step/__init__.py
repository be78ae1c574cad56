"""A step of a turn: a reasoner's answer as a graph, with what leads to it and what its signals call for."""

from __future__ import annotations

from mmagent.step.compile import Answer, CompiledStep, Swaps, Words, compile_step, with_own_tools

__all__ = ["Answer", "CompiledStep", "Swaps", "Words", "compile_step", "with_own_tools"]
