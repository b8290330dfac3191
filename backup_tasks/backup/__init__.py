"""How a package is made: the rows are dumped, then they and the files are packed."""
