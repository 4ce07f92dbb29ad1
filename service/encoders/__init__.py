"""Engines that turn frames and texts into unit-length features: protocols in ``base``, engines beside them."""
