"""One file for each kind of thing on the disk; see `lakeloop.disk.base.Kind`."""
