"""Forge's memory manager as functions without side effects: what it loads, unloads, splits and prints.

Deliberately empty, so that one rule can be had without all.
"""
