"""Models that run elsewhere and are asked over HTTP, in the manner of OpenAI."""
