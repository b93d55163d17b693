"""Run TorchServe: its settings, its process, its management API, and the folder that says what is running."""
