"""Raw bytes to records: one importer per dataset, downloads and dataset cards."""
