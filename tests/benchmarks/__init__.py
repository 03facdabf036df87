"""The benchmarks' pure parts: that they measure what they say. No time is asserted, and no load is made."""
