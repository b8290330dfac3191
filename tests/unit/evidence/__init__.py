"""Certificates, the audit trail, and the report for an auditor."""
