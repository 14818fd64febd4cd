"""The addresses of the pages, a module for each kind; what the pages show is in the modules beside."""
