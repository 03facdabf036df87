"""How fast the library and its service are, each figure beside references that are measured in the same run."""
