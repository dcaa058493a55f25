"""The queue of a server: what waits, how much may wait, and what is computed together.

batcher.py          one queue for the texts of all requests, and the threads that compute them
token_batches.py    which of the waiting texts are computed next
speed.py            tokens per second of late, which say how long a wait will be
waiting.py          a request waits for its answers, or is told why there are none
"""
