"""Figures of a run, each a PNG with the data behind it: what the adapters changed, and where the model errs.

Modules: ``draw`` (all figures of a run), ``study`` (what they show), ``attention`` (reading attention weights),
``attention_maps``, ``tsne``, ``confusion``, ``lambda_curve``, and ``style`` (colours, names and files). Texts are
English, because the fonts that come with matplotlib have no Han characters.
"""
