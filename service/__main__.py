"""The entry point of `duoact` and `python -m service`."""


def main() -> None:
    """Run the command line."""
    # Decoding workers import the module they were started from, this one: it must not bring the web framework along.
    from service.cli import app

    app(prog_name="duoact")


if __name__ == "__main__":
    main()
