"""What lies outside the database: stores and their packages, the project's files, disks."""
