"""The fault suite: what happens to live when anything dies, fills up, or is cut off."""
