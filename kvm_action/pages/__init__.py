"""The site: mkdocs pages made from the history, and the guide's references made from the code. Sees no machine."""
