"""How long the ways of computing a flow take in process."""
