"""Servers of one bundle beside the same network in process: latency, requests a second, memory; and the formats.

suite.py says what is measured and in which order, the other files how each is.
"""
