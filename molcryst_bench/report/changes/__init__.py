"""What has changed since an older table of results, such as that of the last release."""
