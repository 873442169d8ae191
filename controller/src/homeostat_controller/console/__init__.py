"""The console's first, plain pages: from values of the API to HTML, with templates, style and script of its own."""
