"""The temporal difference side network beside a frozen CLIP (Wang and Wang, TDS-CLIP), one concept a module.

Its sizes are in ``training.config.towers``; which of a model's parameters train is decided in ``freezing``.
"""
