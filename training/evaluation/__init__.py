"""Evaluation by the papers' protocols, with the scoring, decoding and preprocessing of the service."""
