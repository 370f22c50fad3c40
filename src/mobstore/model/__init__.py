"""What is stored: immutable models and their exact JSON. Knows only `errors`."""
