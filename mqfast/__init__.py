"""mqfast: a job-queue daemon with its sockets and queues in C.

Source: the version stands here and nowhere else; the build reads it from this file.
"""

__version__ = "0.1.0"
