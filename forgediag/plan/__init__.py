"""What will happen, and what to set instead: plans, recommendations and comparisons from headers alone.

Deliberately empty: whoever needs only what is asked must not load the planner.
"""
