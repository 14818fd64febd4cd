"""What a request must fulfil before it is worked on, and how a refusal is said."""
