"""The encoder of an artifact in torch, as training made it: its layers, what was added, what it reads."""
