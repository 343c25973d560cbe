"""The control plane: loops that decide when things happen."""
