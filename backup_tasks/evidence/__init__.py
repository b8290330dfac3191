"""Evidence for an auditor.

audit          who did what, in a chain of hashes
certificates   what a drill proved, beside the packages in the store
certificate_page   the same as a page, with a signature of its own
report         a month of backups, proofs and restores
pages          the templates
"""
