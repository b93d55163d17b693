"""Contract 5 as training jobs of Amazon SageMaker."""
