"""A bundle as a SageMaker endpoint: what is asked for, the requests that make it, carrying them out, taking it down."""
