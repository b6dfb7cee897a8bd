"""Making a candidate from answers: rows of large models and of people, settled, and fitted."""
