"""Files with many days in them: split once into a piece a day, which is then the delivery of that day."""
