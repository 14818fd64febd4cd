"""What a server writes down for the lake, by way of the local disk: answers, and what clients do not get."""
