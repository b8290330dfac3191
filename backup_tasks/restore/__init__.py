"""What the steps of a restore share: opening packages, compatibility, files, undo points."""
