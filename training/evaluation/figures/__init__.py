"""Figures of a run, each a PNG with the data behind it: what the adapters changed, and where the model errs.

Modules: ``draw`` (all figures of a run), ``study`` (what they show), ``videos`` (those shown one by
one), ``attention`` and ``evidence`` (reading weights and activations), ``attention_maps``, ``activation_maps``,
``tsne``, ``confusion``, ``lambda_curve``, ``panels`` (frames with maps over them) and ``style`` (colours, names and
files). Texts are English, because the fonts that come with matplotlib have no Han characters.
"""
