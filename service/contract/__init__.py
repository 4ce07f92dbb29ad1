"""What training and service agree on: numpy, PyAV and tokenizers only; no torch, no web framework, no engine."""
