"""The gateway: decodes an upload, encodes it, looks labels up in the label banks and answers. Never imports torch."""
