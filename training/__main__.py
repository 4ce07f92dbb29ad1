"""The entry point of `duoact-train` and `python -m training`."""


def main() -> None:
    """Run the command line."""
    # Imported here because processes that decode videos import this module, and must not load torch.
    from training.commands.menu import app

    app(prog_name="duoact-train")


if __name__ == "__main__":
    main()
