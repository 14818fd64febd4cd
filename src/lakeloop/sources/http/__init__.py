"""Source `http`: what is asked (`words`, `secrets`), how (`client`), page by page (`paging`), into a file."""
