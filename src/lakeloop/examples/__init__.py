"""Loops that ship: a loop file for each scenario, and a maker of drops that suit it."""
