"""The commands of `duoact-train`, a module a command, each loaded when it is run."""
