"""What the files of a base model say of it, read without torch: what is broken, and what does not fit."""
