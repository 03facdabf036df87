"""Inference without Keras: plans, the executors that run them, and the checks that prove them."""

from gyoza.inference.compiled import CompiledFlow, compile_flow
from gyoza.inference.plan import Plan

__all__ = ["CompiledFlow", "Plan", "compile_flow"]
