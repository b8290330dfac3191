"""Evidence for an auditor.

certificates   what a drill proved, beside the packages in the store
certificate_page   the same as a page, with a signature of its own
pages          the templates
"""
