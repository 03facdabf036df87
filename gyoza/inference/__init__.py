"""Inference without Keras: plans, the executors that run them, the checks that prove them, and their files."""

from gyoza.inference.compiled import CompiledFlow, compile_flow
from gyoza.inference.files.halves import load_checked_half, read_half, write_half
from gyoza.inference.files.loading import load_checked_plan, load_plan
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.reading import PlanError, read_plan
from gyoza.inference.files.writing import write_plan
from gyoza.inference.halves import CompiledHalf, HalfPlan, LoadedHalf
from gyoza.inference.loaded import LoadedFlow
from gyoza.inference.plan import Plan

__all__ = [
    "CompiledFlow",
    "CompiledHalf",
    "HalfPlan",
    "LoadedFlow",
    "LoadedHalf",
    "Plan",
    "PlanError",
    "Proof",
    "compile_flow",
    "load_checked_half",
    "load_checked_plan",
    "load_plan",
    "read_half",
    "read_plan",
    "write_half",
    "write_plan",
]
