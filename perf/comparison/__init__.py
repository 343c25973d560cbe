"""Starts servers, puts load on them in interleaved rounds, and compares what was measured within a round."""
