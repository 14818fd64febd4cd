"""The model server: a predictor, the champion behind it, HTTP in front of it, and the prediction log."""
