"""Linear models: from the words and letters of a text to one task's answers, without an encoder."""
