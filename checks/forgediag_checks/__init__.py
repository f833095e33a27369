"""Checks that come with forgediag."""

from forgediag.check import Check

CHECKS: tuple[Check, ...] = ()
