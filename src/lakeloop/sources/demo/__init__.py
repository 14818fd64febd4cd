"""The corpus that the demo replays as daily drops, with dirt in it; no part of a loop on real data."""
