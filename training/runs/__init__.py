"""The folder of a run: its recipe, backbone, checkpoints and the record of its steps."""
