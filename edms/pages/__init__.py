"""The web pages of the EDMS."""
