"""What the processes of a launch share: who they are, and how they hold one model together."""
