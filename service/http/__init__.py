"""HTTP below the application: how long a client may take, how much it may send, and what is refused unread."""
